import pandas
import pytest
from matplotlib import pyplot

from analysis.common import cells
from analysis.figures import selection_gap
from tests.helpers.analyses import LAB, run
from tests.helpers.fake_records import by_method, grid, record, write_all
from tests.helpers.tiny import TWINS
from vpbench.spec.tasks import TASKS

CLIP_TASKS = [name for name in TWINS if TASKS[name].published and not TASKS[name].shift]


def prompt(task, *accuracies, seed=0, looks=2):
    """Returns a visual prompt's record; accuracies at best validation, best test and last epoch."""
    measured, best, last = accuracies
    made = record(task, "clip_micro", "visual_prompt", measured, seed=seed, best=best, last=last)
    seen = [{"test_accuracy": 50.0}] * looks + [{"test_accuracy": None}] * 3
    return made | {"history": seen}


def pick(made, task):
    """Returns one row of the gaps of CLIP's visual prompts."""
    frame = selection_gap.selection_gaps(made)
    return frame.set_index(["role", "method", "task"]).loc[("clip", "visual_prompt", task)]


def test_the_gaps_are_what_the_best_test_epoch_has_more():
    row = pick([prompt("svhn_twin", 60.0, 65.0, 58.0)], "svhn")
    assert (row["last"], row.best_validation, row.best_test) == (58, 60, 65)
    assert (row.gap_last, row.gap_validation) == (7, 5)
    assert (row.looks, row.seeds) == (2, 1)


def test_seeds_are_averaged():
    made = [prompt("svhn_twin", 60.0, 65.0, 58.0), prompt("svhn_twin", 62.0, 63.0, 62.0, seed=1)]
    row = pick(made, "svhn")
    assert (row.gap_last, row.gap_validation, row.seeds) == (4, 3, 2)


def test_the_average_is_of_all_twelve_with_an_interval_over_them():
    made = [prompt(task, 60.0, 60.0 + place % 2, 60.0) for place, task in enumerate(CLIP_TASKS)]
    row = pick(made, "average")  # gaps of zero and one, six times each
    assert (row.gap_last, row.gap_validation) == (0.5, 0.5)
    # the number of ones drawn is binomial: 3 of 12 or fewer in 7 %, 2 or fewer in 2 %
    assert row.low_last == pytest.approx(3 / 12, abs=0.01)
    assert row.high_last == pytest.approx(9 / 12, abs=0.01)
    frame = selection_gap.selection_gaps(made[1:])
    assert "average" not in set(frame.task) and len(frame) == 11


def test_three_shifts_have_an_average_but_no_interval():
    made = [prompt(f"{task}_twin", 60.0, 63.0, 60.0) for task in cells.tasks_of(shift=True)]
    row = pick(made, "shift_average")
    assert row.gap_validation == 3 and pandas.isna(row.low_validation)


def test_only_methods_with_epochs_have_a_gap():
    frame = selection_gap.selection_gaps(grid(by_method))
    assert set(frame.method) == {"visual_prompt", "fine_tune"}
    assert len(frame) == 4 * 2 * (12 + 3 + 2)


def test_what_was_not_run_is_named():
    made = [one for one in grid(by_method) if one["backbone"]["role"] == "clip"]
    made = [one for one in made if one["spec"]["task"] != "svhn_twin"]
    vision = ", ".join(
        f"{model} {m}" for model in ("Instagram", "BiT-M", "RN50") for m in ("VP", "FT")
    )
    missing = selection_gap.gaps_of(selection_gap.selection_gaps(made))
    assert missing == ["CLIP VP, CLIP FT on svhn", f"{vision} on any dataset"]
    nothing = selection_gap.gaps_of(selection_gap.selection_gaps([]))
    assert nothing == ["VP and FT of any model on any dataset"]


@pytest.mark.parametrize("made", [grid(by_method), grid(by_method)[:30], []])
def test_the_figure_is_made_whatever_was_run(tmp_path, made, capsys):
    manifests = write_all(made, tmp_path)
    out = tmp_path / "selection_gap.csv"
    command = ["--runs", *map(str, manifests), "--out", str(out)]
    assert run("selection_gap", *command, "--figures", str(tmp_path)) == 0
    assert tuple(pandas.read_csv(out).columns) == selection_gap.COLUMNS
    assert (tmp_path / "selection_gap.png").stat().st_size > 10_000
    assert ("not run" in capsys.readouterr().err) == (len(made) < 40)


def test_the_figure_says_how_many_epochs_there_were_and_names_the_largest_gap():
    made = [prompt("svhn_twin", 60.0, 65.0, 58.0), prompt("dtd_twin", 60.0, 61.0, 58.0)]
    figure = selection_gap.draw(selection_gap.selection_gaps(made), LAB, ["everything else"])
    assert "choice of 2 epochs" in figure.get_suptitle()
    assert "Lab scale: procedural twins" in figure.get_suptitle()
    texts = [[text.get_text() for text in axes.texts] for axes in figure.axes]
    assert texts == [["SVHN twin"], ["SVHN twin"]]
    assert "everything else" in figure.legends[0].get_title().get_text()
    assert "So few epochs leave little to choose" in figure.legends[0].get_title().get_text()
    many = selection_gap.selection_gaps(made).assign(looks=100)
    title = selection_gap.draw(many, LAB, []).legends[0].get_title().get_text()
    assert "So few epochs" not in title
    pyplot.close("all")
