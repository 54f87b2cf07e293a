"""What is left out where a user restricts the tasks or backbones of a configuration."""

import pytest

from tests.helpers.checkout import copy_suite, plan, planned_jobs, read_config, write_config
from tests.helpers.messages import complains
from vpbench.experiment import plan as costs
from vpbench.spec.grid import expand

PROMPTS = {"methods": ["text_prompt", "visual_prompt"], "seeds": [0]}
SHIFTS = ["table2", "table5"]


def config(**changes):
    """Returns a small configuration of the lab, of two tasks and both modalities."""
    small = read_config("smoke") | {"variants": {}, "measurements": {}, "analyses": {"cost": {}}}
    small |= {"tasks": ["svhn_twin", "dtd_twin"], "backbones": ["clip_micro", "rn50_micro"]}
    return small | {"grid": {"main": PROMPTS}} | changes


def test_of_one_dataset_the_lab_has_all_but_what_is_about_others():
    lab = read_config("lab")
    grid = expand(lab | {"tasks": ["eurosat_twin"]}, "lab.yaml")
    gone = ["table2", "table5", "ablation_architecture"]
    assert list(grid.left_out) == [
        f"lab.yaml at analyses.{name}: left out, it has no run with the tasks eurosat_twin"
        for name in gone
    ]
    assert list(grid.config["analyses"]) == [name for name in lab["analyses"] if name not in gone]
    assert {run["task"] for run in grid.specs.values()} >= {"eurosat_twin"}


def test_a_whole_configuration_leaves_nothing_out():
    for name in ("lab", "paper", "smoke", "desk"):
        assert expand(read_config(name), "").left_out == ()


def test_blocks_and_measurements_without_a_run_go_as_well_and_are_named():
    measured = {"runs": {"shift": True}, "data": {"train": 24, "validation": 24, "test": 24}}
    measured["data"]["resolution"] = "backbone"
    measured["settings"] = {"images": 8}
    grid = expand(
        config(
            grid={"main": PROMPTS, "shifts": PROMPTS | {"shift": True}},
            measurements={"transfer": measured},
            analyses={"cost": {}, "figure3": {"grid": ["shifts"]}},
            extensions=["figure3"],
        ),
        "c",
    )
    assert grid.blocks["shifts"] == {} and len(grid.specs) == 6
    assert grid.config["measurements"] == {} and list(grid.config["analyses"]) == ["cost"]
    assert "extensions" not in grid.config
    why = "left out, it has no run with the tasks svhn_twin, dtd_twin"
    places = ("grid.shifts", "analyses.figure3", "measurements.transfer.runs")
    assert list(grid.left_out) == [f"c at {place}: {why}" for place in places]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"backbones": ["clip_micro"]}, "the backbones clip_micro"),
        (
            {"backbones": ["clip_micro"], "analyses": {"cost": {}, "table4": {"shift": True}}},
            "the tasks svhn_twin, dtd_twin",
        ),
        (
            {
                "backbones": ["clip_micro"],
                "analyses": {"cost": {}, "table4": {"modality": "vision", "shift": True}},
            },
            "the tasks svhn_twin, dtd_twin and the backbones clip_micro",
        ),
    ],
)
def test_the_list_that_leaves_no_run_is_named(changes, why):
    (line,) = expand(
        config(analyses={"cost": {}, "table4": {"modality": "vision"}}) | changes, "c"
    )[-1]
    assert line == f"c at analyses.table4: left out, it has no run with {why}"


@pytest.mark.parametrize(
    ("slice_", "facts"),
    [
        ({"methods": ["linear_probe"]}, ("analyses.table1", "no such run", "leave it out")),
        ({"tasks": ["svhn_twin"], "shift": True}, ("analyses.table1", "no such run")),
        ({"tasks": ["svhn_twinn"]}, ("analyses.table1.tasks", "'svhn_twinn'", "not in")),
        ({"grid": ["mian"]}, ("analyses.table1.grid", "'mian'", "not in grid")),
    ],
)
def test_a_mistake_in_an_analysis_is_still_one(slice_, facts):
    with complains(ValueError, *facts):
        expand(config(analyses={"table1": slice_}), "c")


def test_lists_that_leave_no_run_at_all_are_refused():
    with complains(ValueError, "tasks and backbones", "no run at all"):
        expand(config(grid={"main": PROMPTS | {"shift": True}}, analyses={}), "c")


def test_the_workflow_makes_the_rest_and_says_what_it_leaves_out(tmp_path):
    suite = copy_suite(tmp_path)
    small = config(analyses={"cost": {}} | dict.fromkeys(SHIFTS, {"shift": True}))
    given = write_config(suite, small)
    output = plan(suite, "--configfile", given, "--", "all")
    found = planned_jobs(output)
    assert found["cost"] == found["claims"] == 1 and not set(SHIFTS) & set(found)
    assert found == costs.jobs(expand(small, ""))
    assert "--names cost --scale" in output
    for name in SHIFTS:
        assert output.count(f"at analyses.{name}: left out, it has no run with the tasks") == 1
