import json

import pytest

from tests.helpers.messages import holds
from tests.helpers.refused import refused
from vpbench.cli.main import main
from vpbench.common.errors import UserError
from vpbench.data import load
from vpbench.data.datasets.source import CorruptDataset, WrongSize, open_dataset
from vpbench.experiment.rehearsal import datasets
from vpbench.spec import made_up
from vpbench.spec.dataset_facts import FACTS
from vpbench.spec.preprocessing import Preprocessing

ON_DISK = [name for name in FACTS if name not in ("digits", "mnist_5k")]
SMALL = Preprocessing(16, 8)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Returns (folder, facts) of all datasets that lie on disk, made up."""
    root = tmp_path_factory.mktemp("data")
    return root, datasets.write_all(ON_DISK, root)


@pytest.fixture(autouse=True)
def plain():
    """Leaves this process with no facts but the suite's."""
    yield
    made_up.adopt("/nowhere")


def spec(name, facts, kind="rehearsal"):
    """Returns what of a spec says whose facts count."""
    return {"kind": kind, "task": name} | ({"facts": facts[name]} if facts else {})


def test_every_dataset_that_lies_on_disk_is_made_up(made):
    assert set(made[1]) == set(ON_DISK)


@pytest.mark.parametrize("name", ON_DISK)
def test_a_made_up_dataset_is_read_by_the_loader_of_the_real_one(made, name):
    root, facts = made
    made_up.use(spec(name, facts))
    source = open_dataset(name, root)
    sizes = {split: len(listing) for split, listing in source.splits.items()}
    assert sizes == {"train": 4, "test": 4} | ({"validation": 2} if "validation" in sizes else {})
    assert set(sizes) == set(FACTS[name].sizes)
    pictures = [listing.read(i) for listing in source.splits.values() for i in range(len(listing))]
    assert {picture.mode for picture in pictures} == {"RGB"}
    native = FACTS[name].native_size
    assert native is None or name == "resisc45" or pictures[0].size == (native, native)


@pytest.mark.parametrize(
    ("name", "classes"),
    [("cifar100", 100), ("svhn", 10), ("clevr", 8), ("iwildcam", 182), ("fmow", 62)]
    + [("camelyon17", 2), ("cats_dogs", 2), ("eurosat", 10), ("sun397", 10), ("resisc45", 10)],
)
def test_classes_are_all_there_are_or_as_many_as_images_where_those_say_them(made, name, classes):
    root, facts = made
    made_up.use(spec(name, facts))
    assert len(open_dataset(name, root).class_names) == facts[name]["classes"] == classes


@pytest.mark.parametrize(
    ("name", "error"),
    [("cifar10", CorruptDataset), ("svhn", CorruptDataset), ("eurosat", CorruptDataset)]
    + [("resisc45", CorruptDataset), ("clevr", WrongSize), ("fmow", WrongSize)],
)
def test_without_the_facts_of_a_rehearsal_its_files_are_not_the_dataset(made, name, error):
    refused(error, open_dataset, name, made[0])


@pytest.mark.parametrize("kind", ["paper", "real", "twins"])
def test_no_other_kind_reads_a_marked_folder(made, monkeypatch, kind):
    root, _ = made
    monkeypatch.setenv("VPBENCH_DATA", str(root))
    made_up.use(spec("clevr", {}, kind))
    line = refused(UserError, load.load_task, "clevr", None, SMALL)
    holds(line, root, "made up by a rehearsal", "rehearsal.json")


def test_a_rehearsal_reads_what_its_facts_say_and_nothing_else(made, monkeypatch, tmp_path):
    root, facts = made
    monkeypatch.setenv("VPBENCH_DATA", str(root))
    made_up.use(spec("clevr", facts))
    task = load.load_task("clevr", None, SMALL)
    assert len(task.splits["train"]) == 4 and len(task.class_names) == 8
    others = {"clevr": facts["clevr"] | {"classes": 7}}
    made_up.use(spec("clevr", others))
    holds(refused(UserError, load.load_task, "clevr", None, SMALL), "facts", "does not state")
    monkeypatch.setenv("VPBENCH_DATA", str(tmp_path))  # real, as far as its mark says
    made_up.use(spec("clevr", facts))
    holds(refused(UserError, load.load_task, "clevr", None, SMALL), "facts", "does not state")
    monkeypatch.setenv("VPBENCH_DATA", str(root))
    made_up.use(spec("clevr", {}))
    holds(refused(UserError, load.load_task, "clevr", None, SMALL), "brings no facts of it")


def test_the_order_of_facts_in_a_spec_changes_nothing(made, monkeypatch):
    root, facts = made
    monkeypatch.setenv("VPBENCH_DATA", str(root))
    hashes = set()
    for order in (["train", "validation", "test"], ["test", "train", "validation"]):
        sizes = {split: facts["dtd"]["sizes"][split] for split in order}
        made_up.use(spec("dtd", {"dtd": facts["dtd"] | {"sizes": sizes}}))
        hashes.add(load.load_task("dtd", None, SMALL).data_hash)
    assert len(hashes) == 1


def test_a_mark_that_is_broken_is_said(tmp_path):
    (tmp_path / made_up.MARKER).write_text("[]")
    holds(refused(UserError, made_up.adopt, tmp_path), "rehearsal.json", "not a JSON object")


def test_the_mark_of_the_folder_says_the_facts_of_each_dataset(made):
    root, facts = made
    assert json.loads((root / made_up.MARKER).read_text()) == facts
    assert facts["clevr"] == {
        "classes": 8,
        "sizes": {"train": 4, "test": 4},
        "checksums": {},
    }


def test_a_marked_folder_is_prepared_by_what_its_mark_says(made, monkeypatch, capsys):
    monkeypatch.setenv("VPBENCH_DATA", str(made[0]))
    assert main(["data", "prepare", "svhn", "--backbones", "rn18"]) == 0
    assert "svhn: 8 images" in capsys.readouterr().out
    assert main(["data", "status", "svhn", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["state"] == "present" and row["sizes"] == {"train": 4, "test": 4}
