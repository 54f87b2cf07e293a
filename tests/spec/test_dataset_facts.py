import csv
import re
from pathlib import Path

import pytest

from vpbench.spec.dataset_facts import FACTS
from vpbench.spec.tasks import SPLITS, TASKS, is_twin

TABLE6 = Path(__file__).parents[2] / "analysis" / "published" / "table6.csv"
MISPRINTED = {("sun397", "train"): (15_888, 15_880)}  # published, true


def test_every_dataset_on_disk_has_its_row_of_facts_and_no_twin_has():
    real = {name for name, task in TASKS.items() if not is_twin(name)}
    assert set(FACTS) == real


def test_the_rows_are_table_6_but_for_its_misprint():
    with open(TABLE6, newline="") as file:
        rows = {row["task"]: row for row in csv.DictReader(file)}
    assert [name for name in FACTS if name in rows] == list(rows)
    for name, row in rows.items():
        published = {split: int(row[split]) for split in SPLITS if row[split]}
        for (task, split), (printed, true) in MISPRINTED.items():
            if task == name:
                assert published[split] == printed
                published[split] = true
        assert (FACTS[name].sizes, FACTS[name].classes) == (published, int(row["classes"]))
        assert row["template"] == TASKS[name].template


def test_a_misprint_is_explained_where_a_wrong_size_is_reported():
    for (name, _), sizes in MISPRINTED.items():
        for size in sizes:
            assert f"{size:,}" in FACTS[name].remark


@pytest.mark.parametrize("name", FACTS)
def test_a_row_has_a_validation_split_where_the_paper_has_one(name):
    assert ("validation" in FACTS[name].sizes) == TASKS[name].paper_validation


@pytest.mark.parametrize("name", FACTS)
def test_every_fact_is_filled_in(name):
    facts = FACTS[name]
    assert facts.names and facts.licence and facts.steps and facts.gigabytes > 0
    assert facts.chance == pytest.approx(100 / facts.classes)
    assert "\n" not in " ".join([facts.names, facts.licence, facts.steps, facts.remark])


@pytest.mark.parametrize("name", FACTS)
def test_what_is_fetched_by_hand_has_numbered_steps_an_address_and_what_must_be_there(name):
    facts = FACTS[name]
    assert facts.download in ("automatic", "manual")
    if facts.download == "manual":
        assert re.findall(r"(\d)\. ", facts.steps) == ["1", "2", "3"]
        assert "https://" in facts.steps and " is there" in facts.steps
        assert facts.steps.count(f"vpbench data download {name}") == 1


def test_two_are_fetched_by_hand():
    assert [name for name in FACTS if FACTS[name].download == "manual"] == ["ucf101", "resisc45"]


def test_images_of_one_size_have_a_native_size():
    native = {name: facts.native_size for name, facts in FACTS.items() if facts.native_size}
    assert native == {
        "cifar100": 32, "cifar10": 32, "eurosat": 64, "svhn": 32, "resisc45": 256, "fmow": 224,
        "camelyon17": 96, "digits": 8, "mnist_5k": 28,
    }  # fmt: skip
