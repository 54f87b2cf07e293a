"""Tasks that read their images when it is known for which backbone."""

import pytest
import torch

from tests.helpers.folders import SMALL, fill, paint
from tests.helpers.messages import complains
from vpbench.common.errors import UserError
from vpbench.data import load, task_source
from vpbench.data.image_folder import load_folder
from vpbench.data.task_source import from_folder, source_of
from vpbench.spec.preprocessing import Preprocessing

FEW = {"train": 20, "validation": 10, "test": 10}


def test_a_folder_is_listed_at_once_and_read_for_a_backbone(tmp_path, capsys):
    (fill(tmp_path) / "cat" / "notes.txt").write_text("...")
    source = from_folder(tmp_path, class_order="counting", template="a {}")
    assert (source.name, source.display) == (str(tmp_path), tmp_path.name)
    assert (source.class_names, source.template) == (("cat", "dog", "owl"), "a {}")
    assert source.splits == ("train", "validation", "test")
    assert capsys.readouterr().err.splitlines() == [f"{tmp_path}: left out: 1 .txt"]
    task = source.load(SMALL)
    assert task.data_hash == load_folder(tmp_path, SMALL).data_hash
    assert task.notes == ("left out: 1 .txt",)
    assert source.load(SMALL) is task
    assert source.load(Preprocessing(16, 16)).splits["test"].images.shape == (6, 16, 16, 3)


def test_a_folder_that_cannot_be_used_is_refused_at_once(tmp_path):
    with complains(UserError, tmp_path / "none", "not a folder"):
        from_folder(tmp_path / "none")
    paint(tmp_path / "test" / "cat" / "1.png")
    with complains(UserError, tmp_path, "1 class", "to_fit=False"):
        from_folder(tmp_path)
    only_test = from_folder(tmp_path, to_fit=False)
    assert only_test.splits == ("test",)
    with complains(UserError, tmp_path, "no train split", "it has: test"):
        only_test.train  # noqa: B018


def test_a_backbone_in_place_of_its_preprocessing_is_refused(tmp_path):
    with complains(UserError, "preprocessing 7", "backbone.preprocessing"):
        from_folder(fill(tmp_path)).load(7)


def test_a_twin_is_painted_when_it_is_used_and_known_before(monkeypatch):
    with monkeypatch.context() as context:
        context.setattr(load, "paint_twin", lambda *given: pytest.fail("painted too early"))
        source = source_of("eurosat_twin", FEW)
    assert (source.display, source.splits) == ("EuroSAT twin", ("train", "validation", "test"))
    task, split = source.validation.load(Preprocessing(56, 56))
    assert (len(task.splits[split]), task.data_hash) == (
        10,
        load.load_task("eurosat_twin", FEW).data_hash,
    )
    assert (source.class_names, source.template) == (task.class_names, task.template)


def test_the_classes_of_a_dataset_are_known_before_it_is_there():
    assert source_of("svhn").class_names == tuple("0123456789")
    assert source_of("svhn").splits == ("train", "test")  # Table 6 has no validation
    assert source_of("digits").class_names[:2] == ("zero", "one")


def test_shots_of_a_folder_and_of_a_task_are_drawn_by_the_seed(tmp_path):
    fill(tmp_path)
    for name, data in (("eurosat_twin", FEW | {"shots": 1}), (str(tmp_path), {"shots": 2})):
        task = source_of(name, data, seed=3).load(SMALL)
        expected = load.load_task(name, data, SMALL, seed=3)
        assert task.splits["train"].ids == expected.splits["train"].ids
        assert torch.equal(task.splits["train"].images, expected.splits["train"].images)
        assert (task.name, task.display) == (expected.name, expected.display)


@pytest.mark.parametrize(
    "arguments, fact",
    [
        (("eurosat_twn",), "'eurosat_twn'"),
        ((7,), "task 7"),
        (("eurosat_twin", {"train": 5}), "data of eurosat_twin"),
        (("eurosat_twin", None, -1), "seed -1"),
    ],
)
def test_what_is_no_task_is_refused_at_once(arguments, fact):
    with complains(UserError, fact):
        source_of(*arguments)


def test_a_source_says_what_it_is():
    source = task_source.source_of("eurosat_twin")
    assert repr(source) == "<task eurosat_twin: 10 classes, train, validation, test>"
