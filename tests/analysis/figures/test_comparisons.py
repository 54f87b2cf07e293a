import math
from pathlib import Path

import numpy as np
import pandas
import pytest
from matplotlib import pyplot
from scipy.stats import binomtest

from analysis.common import cells
from analysis.figures import comparisons
from tests.helpers.analyses import LAB, run
from tests.helpers.fake_records import by_method, grid, record, write_all
from tests.helpers.fake_sides import beside
from tests.helpers.tiny import TWINS
from vpbench.common.errors import RecordError
from vpbench.spec.tasks import TASKS

PAPERS = {name for name in TWINS if TASKS[name].published}


def pick(made, task, rival, role="clip"):
    """Returns one row of the comparisons of `made`."""
    frame = comparisons.comparisons(made)
    return frame.set_index(["role", "task", "rival"]).loc[(role, task, rival)]


def duel(folder, ours, theirs, task="svhn_twin", method="linear_probe", seed=0):
    """Returns the records of a visual prompt and of `method`; which images are right is given."""
    return [
        beside(record(task, "clip_micro", name, 50.0, seed=seed), folder, right)
        for name, right in (("visual_prompt", ours), (method, theirs))
    ]


@pytest.fixture(scope="module")
def whole_grid(tmp_path_factory):
    """Returns records of everything in the paper: TP 20, VP 60, LP 50, FT 80."""
    folder = tmp_path_factory.mktemp("runs")
    return [beside(one, folder) for one in grid(by_method) if one["spec"]["task"] in PAPERS]


def test_a_difference_is_paired_and_stands_beside_the_papers(tmp_path):
    ours = np.repeat([True, True, False, False], [40, 30, 10, 20])
    theirs = np.repeat([True, False, True, False], [40, 30, 10, 20])
    row = pick(duel(tmp_path, ours, theirs), "svhn", "linear_probe")
    assert (row.difference, row.images, row.seeds) == (pytest.approx(20), 100, 1)
    error = 100 * math.sqrt((0.4 - 0.2**2) / 100)  # of the mean of 30 ones and 10 minus ones
    assert (row.low, row.high) == pytest.approx((20 - 1.96 * error, 20 + 1.96 * error), abs=1.5)
    assert float(row.p_value) == pytest.approx(binomtest(10, 40).pvalue, rel=0.05)
    assert row.published == pytest.approx(88.4 - 65.4)


def test_an_average_is_over_all_its_tasks_or_empty(whole_grid):
    row = pick(whole_grid, "average", "text_prompt")
    assert (row.difference, row.images) == (pytest.approx(40), 12_000)
    assert row.published == pytest.approx(78.2 - 54.2) and math.isnan(row.p_value)
    shift = pick(whole_grid, "shift_average", "fine_tune")
    assert (shift.difference, shift.images) == (pytest.approx(-20), 3000)
    assert shift.published == pytest.approx(58.1 - 61.6)
    task = pick(whole_grid, "svhn", "text_prompt")
    assert row.high - row.low < (task.high - task.low) / 2  # 12 times the images
    without = [one for one in whole_grid if one["spec"]["task"] != "svhn_twin"]
    assert math.isnan(pick(without, "average", "text_prompt").difference)
    assert pick(without, "shift_average", "fine_tune").difference == pytest.approx(-20)


def test_only_seeds_that_both_methods_have_are_compared(tmp_path):
    right, wrong = np.ones(50, bool), np.zeros(50, bool)
    made = duel(tmp_path, right, wrong) + duel(tmp_path, right, right, seed=1)
    assert pick(made, "svhn", "linear_probe").difference == pytest.approx(50)
    lone_prompt = duel(tmp_path, wrong, right, seed=2)[:1]
    row = pick(made + lone_prompt, "svhn", "linear_probe")
    assert (row.difference, row.seeds) == (pytest.approx(50), 2)
    one_probe = [made[0], made[1], made[2]]  # a probe without randomness meets both prompts
    row = pick(one_probe, "svhn", "linear_probe")
    assert (row.difference, row.seeds) == (pytest.approx(100), 2)


def test_every_model_meets_the_methods_that_it_has(tmp_path):
    frame = comparisons.comparisons([])
    assert frame.difference.isna().all() and frame.published.notna().all()
    assert len(frame) == (3 + 3 * 2) * (12 + 3 + 2)
    assert set(frame[frame.rival == "text_prompt"].role) == {"clip"}


def test_methods_on_other_images_are_not_compared(tmp_path):
    with pytest.raises(RecordError, match="test images differ"):
        pick(duel(tmp_path, np.ones(50, bool), np.ones(49, bool)), "svhn", "linear_probe")


def test_what_was_not_run_is_named(whole_grid):
    made = [one for one in whole_grid if one["backbone"]["role"] == "clip"]
    made = [
        one
        for one in made
        if (one["spec"]["task"], one["spec"]["method"]) != ("svhn_twin", "fine_tune")
    ]
    missing = comparisons.gaps_of(comparisons.comparisons(made))
    vision = [
        f"{model} VP and {m}" for model in ("Instagram", "BiT-M", "RN50") for m in ("LP", "FT")
    ]
    assert missing == ["CLIP VP and FT on svhn", f"{', '.join(vision)} on any dataset"]
    assert comparisons.gaps_of(comparisons.comparisons([])) == ["any comparison on any dataset"]


@pytest.mark.parametrize("tasks", [PAPERS, {"svhn_twin", "dtd_twin"}, set()])
def test_the_figure_is_made_whatever_was_run(whole_grid, tmp_path, tasks, capsys):
    made = [one for one in whole_grid if one["spec"]["task"] in tasks]
    runs = Path(whole_grid[0]["file"]).parents[5]
    manifests = write_all(made, runs)
    out = tmp_path / "comparisons.csv"
    command = ["--runs", *map(str, manifests), "--out", str(out)]
    assert run("comparisons", *command, "--figures", str(tmp_path)) == 0
    frame = pandas.read_csv(out)
    assert tuple(frame.columns) == comparisons.COLUMNS
    assert frame.difference.notna().sum() == 9 * (len(tasks) + 2 * (tasks == PAPERS))
    assert (tmp_path / "comparisons.png").stat().st_size > 10_000
    assert ("not run" in capsys.readouterr().err) == (tasks != PAPERS)


def test_the_figure_shows_twins_averages_and_scale(whole_grid):
    frame = comparisons.comparisons(whole_grid)
    figure = comparisons.draw(frame, LAB, [])
    assert "Lab scale: procedural twins" in figure.get_suptitle()
    names = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert names[12:] == [
        "Average of the 12", "iWILDCAM twin", "FMoW twin", "Camelyon17 twin", "Average of the 3"
    ]  # fmt: skip
    assert names[:12] == [f"{comparisons.style.TASKS[t]} twin" for t in cells.tasks_of(False)]
    pyplot.close("all")
