"""Lengths of trainings: recipes of single tasks, runs of half the length, later test images."""

import pytest

from tests.helpers.checkout import read_config
from tests.helpers.messages import holds
from tests.helpers.refused import refused
from vpbench.common.errors import UserError
from vpbench.spec import grid, products

VP = {"tasks": ["eurosat_twin"], "backbones": ["clip_micro"], "methods": ["visual_prompt"]}
VP |= {"seeds": [0]}
FAR = {"visual_prompt": {"every_backbone": {"epochs": 40}, "clip_micro": {"epochs": 80, "lr": 2}}}


def expanded(**changes):
    """Returns the grid of the smoke configuration with `changes`, and no analyses."""
    base = read_config("smoke") | {"grid": {"main": VP}, "measurements": {}, "analyses": {}}
    return grid.expand(base | changes, "given.yaml")


def settings(wanted, block="main"):
    """Returns (task, backbone, variant) -> settings of the runs of a block."""
    return {
        (run["task"], run["backbone"], run["variant"]): run["settings"]
        for run in wanted.blocks[block].values()
    }


def test_a_task_changes_the_recipe_for_every_backbone_and_then_for_single_ones():
    block = {key: VP[key] for key in ("methods", "seeds")}
    found = settings(expanded(task_recipes={"eurosat_twin": FAR}, grid={"main": block}))
    lengths = {cell: (each["epochs"], each["lr"]) for cell, each in found.items()}
    assert lengths == {
        ("eurosat_twin", "clip_micro", "default"): (80, 2),
        ("eurosat_twin", "rn50_micro", "default"): (40, 25),  # the rate of the recipe
        ("camelyon17_twin", "clip_micro", "default"): (2, 5),  # a task of which nothing is said
        ("camelyon17_twin", "rn50_micro", "default"): (2, 25),
    }


def test_blocks_and_variants_change_more_than_the_recipe_of_a_task():
    blocks = {
        "short": VP | {"settings": {"epochs": 3, "eval_epochs": []}},
        "named": VP | {"variants": ["slow"]},
    }
    variants = {"slow": {"lr": 1}}
    wanted = expanded(grid=blocks, variants=variants, task_recipes={"eurosat_twin": FAR})
    (short,) = settings(wanted, "short").values()
    (slow,) = settings(wanted, "named").values()
    assert (short["epochs"], short["lr"]) == (3, 2) and (slow["epochs"], slow["lr"]) == (80, 1)


def test_a_task_may_give_what_its_recipe_leaves_open_and_what_is_missing_is_named_with_the_task():
    recipes = read_config("smoke")["recipes"]
    rest = dict(recipes["visual_prompt"]["every_backbone"])
    del rest["epochs"]
    recipes |= {"visual_prompt": recipes["visual_prompt"] | {"every_backbone": rest}}
    tasks = {task: FAR for task in ("eurosat_twin", "camelyon17_twin")}
    block = {key: VP[key] for key in ("methods", "seeds")}
    assert len(expanded(recipes=recipes, task_recipes=tasks, grid={"main": block}).specs) == 4
    tasks["camelyon17_twin"] = {"visual_prompt": {"clip_micro": {"epochs": 1}}}
    with pytest.raises(UserError) as error:
        expanded(recipes=recipes, task_recipes=tasks, grid={"main": block})
    holds(str(error.value), "visual_prompt on rn50_micro for camelyon17_twin", "'epochs'", "lacks")


def test_a_block_of_half_the_length_differs_in_epochs_looks_and_name_only():
    wanted = expanded(grid={"main": VP, "half": VP | {"length": 0.5}})
    (whole,), (half,) = (list(wanted.blocks[name].values()) for name in ("main", "half"))
    assert (whole["settings"]["epochs"], whole["settings"]["eval_epochs"]) == (2, [1, 2])
    assert half["settings"] == whole["settings"] | {"epochs": 1, "eval_epochs": []}
    assert half == whole | {"variant": "half", "settings": half["settings"]}
    assert isinstance(half["settings"]["epochs"], int)


def test_variants_and_sweeps_of_part_of_the_length_are_called_after_their_block():
    blocks = {
        "main": VP | {"variants": ["default", "slow"]},
        "quarter": VP | {"variants": ["default", "slow"], "length": 0.25},
        "rates": VP | {"sweep": {"lr": [1, 2]}, "length": 0.25},
    }
    wanted = expanded(grid=blocks, variants={"slow": {"lr": 1}}, task_recipes={"eurosat_twin": FAR})
    found = {
        variant: (each["epochs"], each["lr"])
        for block in ("quarter", "rates")
        for (_, _, variant), each in settings(wanted, block).items()
    }
    assert found == {
        "quarter": (20, 2), "quarter_slow": (20, 1), "rates_lr_1": (20, 1), "rates_lr_2": (20, 2)
    }  # fmt: skip


def test_a_share_is_taken_as_it_is_written_and_not_as_its_nearest_float():
    assert 0.29 * 100 < 29
    block = VP | {"length": 0.29, "settings": {"epochs": 100}}
    (found,) = settings(expanded(grid={"part": block}), "part").values()
    assert found["epochs"] == 29


@pytest.mark.parametrize(
    ("changes", "facts"),
    [
        (
            {"grid": {"half": VP | {"length": 0.5, "settings": {"epochs": 5}}}},
            ("grid.half.length", 0.5, "5 epochs", "visual_prompt", "eurosat_twin", "whole number"),
        ),
        (
            {"grid": {"half": VP | {"methods": ["linear_probe"], "length": 0.5}}},
            ("grid.half", "linear_probe", "not trained by epochs", "leave it out"),
        ),
        ({"grid": {"half": VP | {"length": 1}}}, ("grid.half.length", 1)),
        (
            {"task_recipes": {"euro": FAR}},
            ("task_recipes.euro.tasks", "'euro'", "datasets or folders", "mean eurosat"),
        ),
        (
            {"task_recipes": {"eurosat_twin": {"coop": {}}}},
            ("task_recipes.eurosat_twin.methods", "'coop'", "not in recipes", "add it"),
        ),
        (
            {"task_recipes": {"eurosat_twin": {"visual_prompt": {"clip_micro": {"epocs": 1}}}}},
            ("task_recipes.eurosat_twin.visual_prompt.clip_micro", "'epocs'", "epochs"),
        ),
        ({"one_commit": "yes"}, ("one_commit", "'yes'", "true or false")),
    ],
)
def test_a_length_or_a_recipe_that_is_none_is_refused(changes, facts):
    with pytest.raises(UserError) as error:
        expanded(**changes)
    holds(str(error.value), "given.yaml", *facts)


def test_the_first_test_image_is_in_the_spec_where_one_is_given_and_else_not():
    data = read_config("smoke")["data"]
    (plain,) = expanded().specs.values()
    assert plain["data"] == data
    (later,) = expanded(data=data | {"test_start": 500}).specs.values()
    assert later["data"] == data | {"test_start": 500}
    (of_task,) = expanded(task_data={"eurosat_twin": {"test_start": 7}}).specs.values()
    assert of_task["data"] == data | {"test_start": 7}


@pytest.mark.parametrize("place", ["data", "task_data", "block", "measurement"])
def test_the_test_images_of_a_real_dataset_or_a_folder_all_count(tmp_path, place):
    (tmp_path / "cat").mkdir()
    data = read_config("smoke")["data"]
    skipped = {"test_start": 500}
    transfer = {"runs": {}, "data": data, "settings": {"images": 20}}
    for task, folders in (("svhn", {}), ("pets", {"pets": {"path": str(tmp_path)}})):
        config = {"kind": "real", "folders": folders, "tasks": [task]}
        block = VP | {"tasks": [task]}
        config |= {
            "data": {"data": data | skipped},
            "task_data": {"task_data": {task: skipped}},
            "block": {"grid": {"main": block | {"data": skipped}}},
            "measurement": {"measurements": {"transfer": transfer | {"data": data | skipped}}},
        }[place]
        line = refused(UserError, lambda: expanded(**({"grid": {"main": block}} | config)))
        holds(line, "given.yaml", "test_start", "twins", task, "leave it out")


def test_analyses_are_told_that_records_must_be_of_one_commit():
    analyses = {"table1": {"modality": "vision_language", "shift": False}}
    for said, told in ((True, True), (False, False)):
        wanted = expanded(analyses=analyses, one_commit=said)
        assert ("--one-commit" in products.analysis_arguments(wanted, "table1")) is told
        assert products.partial_request(wanted, [])["one_commit"] is told
    assert "--one-commit" not in products.analysis_arguments(expanded(analyses=analyses), "table1")
