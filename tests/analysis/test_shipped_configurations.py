"""What shipped configurations ask for can be analysed: found out before its GPU-hours are spent."""

from functools import cache

import numpy as np
import pytest
from snakemake.utils import update_config

from analysis.common import cells, convergence, factorial
from analysis.figures import mapping_vs_prompt, recipe_search
from tests.helpers.fake_records import record
from vpbench.common.strict_yaml import read_config
from vpbench.spec import grid
from vpbench.spec.dataset_facts import FACTS

SPLITS = ("train", "validation")

WITH_METHODS = [
    (f"config/{scale}.yaml", f"config/methods/{scale}.yaml") for scale in ("paper", "lab")
]


@cache
def expanded(files):
    """Returns the grid of a configuration and its overlays."""
    config = {}
    for file in files:
        update_config(config, read_config(file))
    return grid.expand(config, ", ".join(files))


def records_of(wanted, analysis):
    """Returns made-up records of the runs of an analysis, with the splits they will have."""
    made = []
    for number, spec in enumerate(grid.sliced(wanted, wanted.config["analyses"][analysis])):
        accuracy = 40.0 + number % 37
        one = record(spec["task"], spec["backbone"], spec["method"], accuracy)
        one["spec"] = spec
        if "validation" not in getattr(FACTS.get(spec["task"]), "sizes", {"validation": 1}):
            for look in one["selection"].values():
                look["validation"] = None
        made.append(one)
    return made


@pytest.mark.parametrize("files", WITH_METHODS, ids=str)
def test_the_factorial_finds_every_cell_and_a_validation_accuracy_for_its_rate(files):
    made = records_of(expanded(files), "recipe_factorial")
    assert len(made) == 2 * 2 * 2**6  # datasets, rates, levels of the six choices
    values = factorial.factorial(made).values
    assert values.shape == (2,) * 7 and np.isfinite(values).all()


@pytest.mark.parametrize("files", WITH_METHODS, ids=str)
def test_label_maps_and_prompts_are_each_there_once(files):
    made = records_of(expanded(files), "mapping_vs_prompt")
    for backbone in {one["spec"]["backbone"] for one in made}:
        of_backbone = [one for one in made if one["spec"]["backbone"] == backbone]
        groups = mapping_vs_prompt.grouped(of_backbone)
        there = {cell[:2] for cell in groups}
        assert there >= set(mapping_vs_prompt.WANTED) - {("none", "iterative")}, backbone


@pytest.mark.parametrize("scale", ["paper", "search"])
def test_a_search_reads_datasets_with_a_validation_split_only(scale):
    wanted = expanded((f"config/{scale}.yaml",))
    assert len(recipe_search.search(records_of(wanted, "recipe_search")))


@pytest.mark.parametrize("scale", ["lab", "paper", "study"])
def test_no_table_is_asked_for_two_kinds_of_one_cell(scale):
    wanted = expanded((f"config/{scale}.yaml",))
    for name in ("table1", "table2", "table4", "table5", "figure3", "figure4"):
        assert cells.by_cell(records_of(wanted, name))


def test_each_prompt_and_fine_tune_of_the_study_has_a_partner_of_half_its_length():
    wanted = expanded(("config/study.yaml",))
    trained = ("visual_prompt", "fine_tune")
    whole, half = (
        {
            tuple(spec[key] for key in ("task", "backbone", "method")): spec["settings"]["epochs"]
            for spec in wanted.blocks[name].values()
            if spec["method"] in trained
        }
        for name in ("main", "half")
    )
    assert len(whole) == 15 * 4 * 2 and whole == {cell: 2 * each for cell, each in half.items()}
    assert len(convergence.arms(records_of(wanted, "comparisons"))) == 195 + 30 + 24 + 18 + 4


def test_an_ablation_of_the_study_reads_its_own_length_and_the_recipe_for_its_rate():
    wanted = expanded(("config/study.yaml",))
    kept = grid.selection(wanted, wanted.config["analyses"]["ablation_prompt_size"])
    files = grid.job_files(wanted, wanted.config["analyses"]["ablation_prompt_size"])
    read = [
        spec
        for file in files
        for spec in wanted.jobs[file]
        if spec["variant"] in kept["variants"] and spec["method"] in kept["methods"]
    ]
    lengths = {spec["settings"].get("epochs") for spec in read}
    assert lengths == {None, 40, 16, 8} and len(read) == 2 + 3 * 30 + 4


def test_the_sizes_of_the_study_are_trained_with_the_rate_of_its_recipe_too():
    config = read_config("config/study.yaml")
    recipe = config["recipes"]["visual_prompt"]
    rate = (recipe["every_backbone"] | recipe["clip_micro"])["lr"]
    for name in ("padding_size", "fixed_patch_size", "random_patch_size"):
        assert rate in config["grid"][name]["sweep"]["lr"]


def test_a_length_is_measured_on_as_many_images_as_it_is_used_with():
    search, study = (read_config(f"config/{name}.yaml") for name in ("training_length", "study"))
    for task in search["tasks"]:
        sizes = [
            {key: (each["data"] | each["task_data"].get(task, {}))[key] for key in SPLITS}
            for each in (search, study)
        ]
        assert sizes[0] == sizes[1]


def test_the_search_for_lengths_has_two_recipes_on_six_tasks_in_doublings():
    wanted = expanded(("config/training_length.yaml",))
    runs = grid.sliced(wanted, wanted.config["analyses"]["training_length"])
    for recipe in ("official", "fast"):
        swept = [run for run in runs if run["variant"].startswith(f"{recipe}_epochs")]
        cells_of = {(run["task"], run["seed"], run["settings"]["epochs"]) for run in swept}
        assert len(cells_of) == len(swept) == 6 * 2 * 6
