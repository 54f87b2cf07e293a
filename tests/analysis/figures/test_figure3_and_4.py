import math

import pandas
import pytest
from matplotlib import pyplot

from analysis.common import cells
from analysis.figures import figure3, figure4
from tests.helpers.analyses import LAB, run
from tests.helpers.fake_records import by_method, grid, record, write_all

CLIP_TASKS = cells.tasks_of(shift=False)


def test_figure_3_compares_the_averages_of_every_model_with_the_papers():
    frame = figure3.averages(grid(by_method))
    assert len(frame) == 4 * 3 and set(frame.task) == {"average"}
    measured = frame.groupby("method").measured.unique().map(list).to_dict()
    assert measured == {"visual_prompt": [60], "linear_probe": [50], "fine_tune": [80]}
    published = frame.set_index(["role", "method"]).published
    assert published["clip", "visual_prompt"] == 78.2
    assert published["rn50", "linear_probe"] == 72.5


def test_figure_4_sorts_the_gains_over_the_text_prompt():
    gains = dict(zip(CLIP_TASKS, range(-3, 9)))
    made = [
        record(f"{task}_twin", "clip_micro", method, 50.0 + gain)
        for task, gain in gains.items()
        for method, gain in (("text_prompt", 0), ("visual_prompt", gain))
    ]
    frame = figure4.gains(made)
    assert list(frame.measured) == list(range(8, -4, -1))
    assert list(frame.task) == CLIP_TASKS[::-1]
    published = frame.set_index("task").published
    assert published["svhn"] == pytest.approx(83.3)
    assert published["food101"] == pytest.approx(-0.9)


def test_the_interval_of_a_gain_holds_both_accuracies_uncertainty():
    made = [
        record("svhn_twin", "clip_micro", "text_prompt", 50.0),
        record("svhn_twin", "clip_micro", "visual_prompt", 50.0),
    ]
    row = figure4.gains(made).set_index("task").loc["svhn"]
    half = math.sqrt(2) * (cells.wilson(50.0, 1000)[1] - 50)
    assert (row.measured, row.low, row.high) == pytest.approx((0, -half, half))


@pytest.mark.parametrize("figure", [figure3, figure4])
@pytest.mark.parametrize("made", [grid(by_method), [], grid(by_method)[5:]])
def test_a_figure_is_a_csv_a_pdf_and_a_png_with_or_without_records(tmp_path, figure, made):
    name = figure.__name__.rpartition(".")[2]
    manifests = write_all(made, tmp_path / "runs")
    out, folder = tmp_path / f"{name}.csv", tmp_path / "figures"
    command = ["--runs", *map(str, manifests), "--out", str(out), "--figures", str(folder)]
    assert run(name, *command) == 0
    frame = pandas.read_csv(out)
    assert tuple(frame.columns) == cells.COLUMNS
    assert frame.published.notna().all()
    assert (folder / f"{name}.png").stat().st_size > 10_000
    assert b"/Type /Font" in (folder / f"{name}.pdf").read_bytes()


def test_a_figure_names_its_scale():
    for figure, frame in ((figure3, figure3.averages([])), (figure4, figure4.gains([]))):
        assert "Lab scale: procedural twins" in figure.draw(frame, LAB).get_suptitle()
    pyplot.close("all")
