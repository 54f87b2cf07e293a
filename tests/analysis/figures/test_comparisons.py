import math
from pathlib import Path

import numpy as np
import pandas
import pytest
from matplotlib import pyplot
from scipy.stats import binomtest, t

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


def runs_of(folder, method, *shares, task="svhn_twin"):
    """Returns the runs of a method, seed after seed, each with this percentage of the images."""
    made = [record(task, "clip_micro", method, share, seed) for seed, share in enumerate(shares)]
    return [beside(one, folder) for one in made]


def test_all_seeds_of_both_methods_count_and_both_variances(tmp_path):
    ours, theirs = (50.0, 52.0, 54.0), (40.0, 46.0)
    made = runs_of(tmp_path, "visual_prompt", *ours) + runs_of(tmp_path, "fine_tune", *theirs)
    row = pick(made, "svhn", "fine_tune")
    assert (row.difference, row.seeds, row.seed_variance) == (pytest.approx(9), 3, "own")
    parts = [t.ppf(0.975, 2) * 2 / math.sqrt(3), t.ppf(0.975, 1) * math.sqrt(18 / 2)]
    image = np.array([np.arange(1000) < 10 * share for share in ours]).mean(0)
    image -= np.array([np.arange(1000) < 10 * share for share in theirs]).mean(0)
    half = math.hypot(*parts, 1.96 * 100 * image.std() / math.sqrt(1000))
    assert (row.low, row.high) == pytest.approx((9 - half, 9 + half), abs=0.1)


def test_a_lone_seed_borrows_and_a_probe_has_no_variance(tmp_path):
    made = runs_of(tmp_path, "visual_prompt", 50.0, 52.0, 54.0, task="dtd_twin")
    made += runs_of(tmp_path, "visual_prompt", 52.0)
    for method in ("linear_probe", "fine_tune"):
        made += runs_of(tmp_path, method, 52.0, task="dtd_twin") + runs_of(tmp_path, method, 52.0)
    own, borrowed = (pick(made, task, "linear_probe") for task in ("dtd", "svhn"))
    assert (own.seed_variance, borrowed.seed_variance) == ("own", "pooled")
    assert borrowed.high == pytest.approx(t.ppf(0.975, 2) * 2)  # all images agree
    unknown = pick(made, "svhn", "fine_tune")  # no second seed of fine-tuning anywhere
    assert unknown.seed_variance == "none"


def test_an_average_of_differences_divides_the_variance_by_its_tasks(tmp_path):
    shifts = ("iwildcam_twin", "fmow_twin", "camelyon17_twin")
    made = [one for task in shifts for one in runs_of(tmp_path, "linear_probe", 52.0, task=task)]
    for task, spread in zip(shifts, (1.0, 2.0, 3.0)):
        made += runs_of(tmp_path, "visual_prompt", 52 - spread, 52 + spread, task=task)
    row = pick(made, "shift_average", "linear_probe")
    part = t.ppf(0.975, 3) * math.sqrt((2 + 8 + 18) / 3 / 2 / 3)  # of 2 seeds and 3 tasks
    halves = 2 * np.array([1.0, 2.0, 3.0]) * 10 / 1000  # images that only one seed has right
    image = 1.96 * 100 * math.sqrt((halves / 4).sum() / 1000) / 3
    assert row.high == pytest.approx(math.hypot(part, image), abs=0.1)


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
    [limits] = {axes.get_xlim() for axes in figure.axes}  # equal lengths are equal differences
    published = frame.published
    assert limits[0] < min(frame.low.min(), published.min()) and limits[1] > published.max()
    pyplot.close("all")
