import math

import pandas
import pytest
from matplotlib import pyplot

from analysis.common import cells
from analysis.figures import cost
from tests.helpers import analyses
from tests.helpers.analyses import LAB
from tests.helpers.fake_records import by_method, grid, record, write_all
from tests.helpers.tiny import TWINS
from vpbench.common.errors import RecordError
from vpbench.spec.tasks import TASKS


def run(task, seconds, accuracy=50.0, method="visual_prompt", device="cpu", seed=0, speed=100.0):
    """Returns a record of CLIP that took so many seconds."""
    made = record(task, "clip_micro", method, accuracy, seed=seed)
    measured = {"seconds": seconds, "images_per_second": speed, "peak_memory_mb": 10 * seconds}
    return made | {"measured": measured, "device": device}


def test_costs_are_medians_and_accuracy_is_the_mean_over_the_datasets():
    made = [
        run("svhn_twin", 1.0, 40.0, speed=None),
        run("dtd_twin", 2.0, 50.0, speed=10.0),
        run("clevr_twin", 9.0, 90.0, speed=20.0),
    ]
    (row,) = cost.costs(made).itertuples()
    assert (row.seconds, row.images_per_second, row.peak_memory_mb) == (2, 15, 20)
    assert (row.accuracy, row.tasks) == (60, 3)
    assert (row.trained_parameters, row.parameters) == (4116, 594657)
    limits = [cells.wilson(value, 1000) for value in (40.0, 50.0, 90.0)]
    down = math.hypot(*(value - low for value, (low, _) in zip((40.0, 50.0, 90.0), limits))) / 3
    assert row.low == pytest.approx(60 - down)


def test_seeds_of_a_dataset_are_averaged_before_datasets_are():
    made = [run("svhn_twin", 1.0, 40.0), run("svhn_twin", 2.0, 60.0, seed=1)]
    made.append(run("dtd_twin", 9.0, 90.0))
    (row,) = cost.costs(made).itertuples()
    assert (row.accuracy, row.seconds, row.tasks) == (70, 2, 2)


def test_shifts_and_toy_datasets_do_not_count():
    made = [run(name, 5.0) for name in TWINS if TASKS[name].shift or not TASKS[name].published]
    assert cost.costs(made).empty
    (row,) = cost.costs([*made, run("svhn_twin", 1.0)]).itertuples()
    assert (row.seconds, row.tasks) == (1, 1)


def test_devices_are_never_mixed():
    made = [run("svhn_twin", 100.0), run("svhn_twin", 1.0, device="cuda:0")]
    frame = cost.costs(made)
    assert list(zip(frame.device, frame.seconds)) == [("cpu", 100), ("cuda:0", 1)]
    figure = cost.draw(frame, LAB, [])
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["Device: cpu"] * 2 + ["Device: cuda:0"] * 2
    pyplot.close("all")


def test_two_variants_of_a_run_are_refused():
    other = run("svhn_twin", 1.0)
    other["spec"] = other["spec"] | {"variant": "small"}
    with pytest.raises(RecordError, match="two records for visual_prompt of clip_micro"):
        cost.costs([run("svhn_twin", 1.0), other])


def test_nothing_measured_is_no_number():
    (row,) = cost.costs([run("svhn_twin", 1.0, speed=None)]).itertuples()
    assert math.isnan(row.images_per_second)


def test_what_was_not_run_is_named():
    made = [one for one in grid(by_method) if one["backbone"]["role"] == "clip"]
    made = [
        one
        for one in made
        if (one["spec"]["task"], one["spec"]["method"]) != ("svhn_twin", "fine_tune")
    ]
    missing = cost.gaps_of(cost.costs(made), LAB)
    assert missing[0].startswith("Instagram VP, Instagram LP, Instagram FT, BiT-M VP")
    assert missing[1:] == ["1 of 12 datasets of CLIP FT"]
    assert cost.gaps_of(cost.costs(grid(by_method)), LAB) == []


@pytest.mark.parametrize("made", [grid(by_method), grid(by_method)[:30], []])
def test_the_figure_is_made_whatever_was_run(tmp_path, made, capsys):
    manifests = write_all(made, tmp_path)
    out = tmp_path / "cost.csv"
    command = ["--runs", *map(str, manifests), "--out", str(out), "--figures", str(tmp_path)]
    assert analyses.run("cost", *command) == 0
    assert tuple(pandas.read_csv(out).columns) == cost.COLUMNS
    assert (tmp_path / "cost.png").stat().st_size > 10_000
    assert ("not run" in capsys.readouterr().err) == (len(made) < 40)
    assert "on this machine" in cost.draw(cost.costs(made), LAB, []).get_suptitle()
    pyplot.close("all")
