"""Numbers of different weights or different data are never averaged."""

from pathlib import Path

import pytest

from analysis.common import cells
from analysis.common.origin import same_origin
from analysis.figures import (
    ablation_architecture,
    ablation_prompt_size,
    comparisons,
    cost,
    recipe_search,
    selection_gap,
    text_prompt_quality,
)
from tests.helpers.analyses import run, write_table
from tests.helpers.fake_designs import prompt, text
from tests.helpers.fake_records import record, write_all
from vpbench.common.errors import RecordError


def seeds(kind, task="svhn_twin", other_task=None):
    """Returns two runs, of which the second has another hash of this kind."""
    made = [
        record(name, "clip_micro", "visual_prompt", 50.0, seed=seed) | {"file": f"seed{seed}.json"}
        for seed, name in enumerate((task, other_task or task))
    ]
    made[1]["hashes"] = made[1]["hashes"] | {kind: "f" * 64}
    return made


@pytest.mark.parametrize("kind, whose", [("weights", "clip_micro"), ("data", "svhn_twin")])
def test_seeds_of_different_weights_or_data_are_no_cell(kind, whose):
    first, second = seeds(kind)
    complaint = f"seed0.json and seed1.json: the {kind} of {whose} differ .*{'f' * 12}"
    with pytest.raises(RecordError, match=complaint) as caught:
        cells.by_cell([first, second])
    assert "\n" not in str(caught.value)


def test_an_average_over_tasks_is_one_of_the_same_weights():
    with pytest.raises(RecordError, match="the weights of clip_micro differ"):
        cells.by_cell(seeds("weights", other_task="dtd_twin"))


def test_other_tasks_backbones_and_numbers_of_images_may_have_other_hashes():
    made = [
        record("svhn_twin", "clip_micro", "visual_prompt", 50.0),
        record("dtd_twin", "clip_micro", "visual_prompt", 50.0),
        record("svhn_twin", "rn50_micro", "visual_prompt", 50.0),
        record("svhn_twin", "clip_micro", "visual_prompt", 50.0, data={"train": 7}),
    ]
    made[2]["hashes"] = {"weights": "a", "data": "b"}  # another size of the same images
    made[3]["hashes"] = made[3]["hashes"] | {"data": "c"}
    assert same_origin(made) == made


def paper_table(made):
    """Writes Table 1."""
    write_table("table1", made, Path("unused.csv"))


@pytest.mark.parametrize(
    "average",
    [
        paper_table,
        comparisons.comparisons,
        selection_gap.selection_gaps,
        cost.costs,
        ablation_architecture.accuracies,
        recipe_search.search,
    ],
)
def test_every_analysis_that_averages_seeds_refuses(average):
    made = seeds("weights")
    for one in made:
        one["spec"]["settings"] = {"lr": 1}
    with pytest.raises(RecordError, match="seed0.json and seed1.json: the weights of clip_micro"):
        average(made)


@pytest.mark.parametrize(
    "average",
    [ablation_prompt_size.accuracies, text_prompt_quality.accuracies],
)
def test_so_do_those_that_group_by_settings(average):
    said = {"variant": "words", "text_prompt": "a {}"}
    many = average is text_prompt_quality.accuracies
    made = [text(10.0, **said)] * many
    made += [prompt(50.0, seed=seed, **(said if many else {"size": 3})) for seed in (0, 1)]
    for number, one in enumerate(made):
        one["file"] = f"{number}.json"
    made[-1]["hashes"] = made[-1]["hashes"] | {"weights": "other"}
    with pytest.raises(RecordError, match="json: the weights of clip_micro differ"):
        average(made)


def test_the_command_line_ends_with_that_line(tmp_path, capsys):
    made = seeds("data")
    for one in made:
        del one["file"]
    runs = map(str, write_all(made, tmp_path))
    assert run("table1", "--runs", *runs, "--out", str(tmp_path / "table1.csv")) == 2
    (complaint,) = capsys.readouterr().err.splitlines()
    assert "svhn_twin" in complaint and "seed0.json and" in complaint and "run both" in complaint


COMMITS = "1" * 40, "2" * 40


def of_commits(*commits):
    """Returns runs that code of these commits has made."""
    runs = enumerate(commits)
    made = [(record("svhn_twin", "clip_micro", "linear_probe", 50.0), *run) for run in runs]
    return [one | {"file": f"{number}.json", "commit": said} for one, number, said in made]


def test_only_where_it_is_asked_for_the_command_line_refuses_other_commits(tmp_path, capsys):
    made = of_commits(*COMMITS)
    for seed, one in enumerate(made):
        one["spec"]["seed"] = seed
        del one["file"]
    runs = list(map(str, write_all(made, tmp_path)))
    arguments = ["table1", "--runs", *runs, "--out", str(tmp_path / "table1.csv")]
    assert run(*arguments) == 0
    capsys.readouterr()
    assert run(*arguments, "--one-commit") == 2
    (complaint,) = capsys.readouterr().err.splitlines()
    assert "seed0.json and" in complaint and "seed1.json: made by different commits" in complaint
