from pathlib import Path

import pytest

from tests.helpers.checkout import read_config
from vpbench.experiment.rehearsal import configuration, shapes
from vpbench.spec import recipes
from vpbench.spec.grid import expand
from vpbench.spec.tasks import TASKS

PAPER = ["config/paper.yaml"]
METHODS = ["config/paper.yaml", "config/methods/paper.yaml"]


@pytest.fixture(scope="module")
def wanted():
    """Returns the grid of the paper with the methods around it."""
    return expand(*recipes.read_configs(METHODS))


def one(wanted, **facts):
    """Returns a spec of the grid with these facts."""
    for spec in wanted.specs.values():
        if all(spec[key] == value for key, value in facts.items()):
            return spec
    raise AssertionError(facts)


@pytest.mark.parametrize(
    "change", [{"size": 31}, {"lr": 0.1}, {"epochs": 2}, {"batch_size": 7}, {"momentum": 0}]
)
def test_numbers_make_no_new_shape(wanted, change):
    spec = one(wanted, method="visual_prompt", backbone="rn50", variant="default")
    other = spec | {"seed": 5, "task": "dtd", "settings": spec["settings"] | change}
    assert shapes.key_of(other) == shapes.key_of(spec)


@pytest.mark.parametrize(
    "change",
    [
        {"template": "fixed_patch"},
        {"label_map": "frequency"},
        {"warm_up_steps": None},
        {"augmentation": "flip"},
        {"class_names": ["a", "b"]},
        {"image_side": 112},
    ],
)
def test_what_chooses_between_code_paths_makes_a_new_shape(wanted, change):
    spec = one(wanted, method="visual_prompt", backbone="rn50", variant="default")
    other = spec | {"settings": spec["settings"] | change}
    assert shapes.key_of(other) != shapes.key_of(spec)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("backbone", "rn18"),
        ("engine", {"precision": "fp32", "compile": False, "micro_batch": None}),
        ("data", {"train": None, "validation": None, "test": None, "resolution": "native"}),
    ],
)
def test_so_do_backbone_precision_and_resolution(wanted, key, value):
    spec = one(wanted, method="visual_prompt", backbone="rn50", variant="default")
    assert shapes.key_of(spec | {key: value}) != shapes.key_of(spec)


def test_names_and_texts_are_as_good_as_any_but_not_as_none():
    assert shapes.outline({"C": [0.1, 1.0], "nothing": [], "names": ["a"]}) == {
        "C": ["number", True],
        "nothing": [],
        "names": ["a", False],
    }


def test_the_specs_of_all_shapes_are_those_of_the_grid_and_every_dataset_comes_up(wanted):
    found = shapes.shapes_of(wanted.specs.values())
    assert sum(shape.specs for shape in found) == len(wanted.specs)
    assert {shape.chosen["task"] for shape in found} == {*wanted.config["tasks"], "cats_dogs"}
    assert len({shape.key for shape in found}) == len(found) < len(wanted.specs) / 5
    assert {shape.chosen["backbone"] for shape in found} == set(wanted.config["backbones"])


def test_a_cut_down_rehearsal_still_has_every_method_dataset_and_family(wanted):
    found = shapes.thinned(shapes.shapes_of(wanted.specs.values()), 30)
    assert len(found) == 30
    assert {shape.chosen["method"] for shape in found} == set(wanted.config["recipes"])
    assert {shape.chosen["task"] for shape in found} == {*wanted.config["tasks"], "cats_dogs"}


def test_a_rehearsed_run_takes_two_steps_with_all_else_as_it_is():
    settings = {"epochs": 1000, "batch_size": 256, "warm_up_steps": 1000, "eval_epochs": 10}
    settings |= {"lr": 40, "size": 30, "template": "padding", "warm_up": 0.1}
    assert shapes.cut(settings) == {
        **{"epochs": 1, "batch_size": 2, "warm_up_steps": 1, "eval_epochs": 1},
        **{"lr": 40, "size": 30, "template": "padding", "warm_up": 0.1},
    }
    assert shapes.cut({"C": [0.316]}) == {"C": [0.316]}  # a probe takes no steps
    assert shapes.cut({"batch_size": 1, "epochs": 10, "eval_epochs": [5]}) == {
        **{"batch_size": 1, "epochs": 1, "eval_epochs": [1]}
    }


@pytest.mark.parametrize("files", [PAPER, METHODS, ["config/lab.yaml"], ["config/desk.yaml"]])
def test_a_rehearsal_is_a_legal_configuration_with_a_run_for_each_shape(files):
    grid = expand(*recipes.read_configs(files))
    found = shapes.shapes_of(grid.specs.values())
    facts = {
        task: {"classes": 2, "sizes": {"train": 4, "test": 4}, "checksums": {}}
        for task in grid.config["tasks"]
        if task in TASKS and not TASKS[task].painted
    }
    made = expand(configuration.of_shapes(grid, found, facts, Path("photographs")), "rehearsal")
    for number, shape in enumerate(found):
        (spec,) = made.blocks[configuration.block_name(number)].values()
        assert spec["kind"] == spec["scale"] == "rehearsal"
        assert spec.get("facts") == facts.get(spec["task"])
        assert shapes.key_of(spec | {"data": shape.chosen["data"]}) == shape.key
        steps = spec["settings"].get("epochs", 1)
        assert steps == 1 and spec["settings"].get("batch_size", 1) <= 2


def test_the_measurements_of_a_rehearsal_read_one_prompt_of_each_backbone(wanted):
    task, runs = configuration.measured_runs(wanted, ["sun397", "clevr"])
    assert task == "sun397"
    names = [run["backbone"] for run in runs]
    assert set(names) == {"clip_vit_b32", "instagram_32x8d", "bit_m_r50x1", "rn50"}


def test_facts_are_for_the_kind_rehearsal_alone():
    facts = {"svhn": {"classes": 10, "sizes": {"train": 4, "test": 4}, "checksums": {}}}
    config = read_config("paper") | {"facts": facts}
    with pytest.raises(ValueError, match="only the kind rehearsal brings facts"):
        expand(config, "given.yaml")
    grid = expand(config | {"kind": "rehearsal"}, "given.yaml")
    brought = {spec["task"] for spec in grid.specs.values() if "facts" in spec}
    assert brought == {"svhn"}
