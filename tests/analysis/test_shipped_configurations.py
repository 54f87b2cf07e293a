"""What shipped configurations ask for can be analysed: found out before its GPU-hours are spent."""

from functools import cache

import numpy as np
import pytest
from snakemake.utils import update_config

from analysis.common import cells, factorial
from analysis.figures import mapping_vs_prompt, recipe_search
from tests.helpers.fake_records import record
from vpbench.common.strict_yaml import read_config
from vpbench.spec import grid
from vpbench.spec.dataset_facts import FACTS

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


def test_no_table_is_asked_for_two_kinds_of_one_cell():
    wanted = expanded(("config/paper.yaml",))
    for name in ("table1", "table2", "table4", "table5"):
        assert cells.by_cell(records_of(wanted, name))
