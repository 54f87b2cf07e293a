import pytest
import torch

import vpbench
from tests.helpers import fake_dataset, tiny
from tests.helpers.folders import SMALL, fill, paint
from tests.helpers.messages import complains
from vpbench.cli.run import task_of
from vpbench.data import load
from vpbench.data.image_folder import load_folder
from vpbench.experiment.provenance import describe_task
from vpbench.spec.schema import folder_schema
from vpbench.spec.schema_check import check


def test_without_sizes_a_twin_has_500_300_and_1000_pictures():
    sizes = {name: len(split) for name, split in load.load_task("dtd_twin").splits.items()}
    assert sizes == {"train": 500, "validation": 300, "test": 1000}


@pytest.mark.parametrize("start", [0, -1, 1.5, None])
def test_the_first_test_picture_is_a_whole_number_behind_the_very_first(start):
    data = {"train": 20, "validation": 20, "test": 20, "test_start": start}
    with complains(ValueError, "data of eurosat_twin", "test_start"):
        load.load_task("eurosat_twin", data)


def test_the_first_test_images_of_photographs_are_not_left_out(tmp_path):
    data = {"test_start": 5}
    for name in ("svhn", fill(tmp_path / "own", 5)):
        with complains(ValueError, f"data of {name}", "test_start", "twins", "leave it out"):
            load.load_task(name, data, SMALL)
    with complains(ValueError, tmp_path / "own", "'test_start'", "choose one of"):
        load_folder(tmp_path / "own", SMALL, data=data)


def test_shots_are_drawn_from_any_task_as_a_run_draws_them(tmp_path):
    sizes = {"train": 40, "validation": 10, "test": 10, "resolution": "backbone"}
    wanted = {"task": "eurosat_twin", "seed": 3, "data": sizes | {"shots": 2}}
    task = load.load_task("eurosat_twin", wanted["data"], seed=3)
    train = task.splits["train"]
    assert torch.bincount(train.labels).tolist() == [2] * 10
    assert [len(task.splits[split]) for split in ("validation", "test")] == [10, 10]
    whole = load.load_task("eurosat_twin", sizes)
    places = [whole.splits["train"].ids.index(name) for name in train.ids]
    assert torch.equal(train.images, whole.splits["train"].images[places])
    run = tiny.spec() | wanted
    assert task_of(run).splits["train"].ids == train.ids
    assert task_of(run | {"seed": 4}).splits["train"].ids != train.ids
    own = load.load_task(fill(tmp_path, 10), {"shots": 1}, SMALL)  # 6 of a class are to train on
    assert own.splits["train"].labels.tolist() == [0, 1, 2]
    assert len(own.splits["test"]) == 6
    with complains(ValueError, f"data of {tmp_path}", "'shots'", "choose one of"):
        load_folder(tmp_path, SMALL, data={"shots": 1})


@pytest.mark.parametrize("seed", [-1, True, 1.5, "0", None])
def test_a_seed_is_a_whole_number(seed):
    with complains(ValueError, "seed", "whole number, 0 or more"):
        load.load_task("eurosat_twin", seed=seed)


def test_an_unknown_task_is_refused_with_the_names_nearest_to_it():
    with complains(ValueError, "'imagenet'", "folder of images", "`vpbench list`"):
        load.load_task("imagenet")
    with complains(ValueError, "'eurosat_twn'", "folder of images", "eurosat_twin"):
        load.load_task("eurosat_twn")


def test_a_folder_of_a_configuration_has_all_options_and_its_notes_are_in_the_record(tmp_path):
    fill(tmp_path / "images", 5)
    (tmp_path / "images" / "cat" / "notes.txt").write_text("...")
    (tmp_path / "names").write_text("one\ntwo\nthree\n")
    folder = {
        "path": str(tmp_path / "images"),
        "class_names": str(tmp_path / "names"),
        "class_order": "counting",
        "template": "a {}",
    }
    check(folder, folder_schema(), "folders.pets")
    task = load.load_task("pets", None, SMALL, folder)
    notes = ["left out: 1 .txt", "classes: cat = one, dog = two, owl = three"]
    assert describe_task(task)["notes"] == notes and task.preprocessing == SMALL
    assert "notes" not in describe_task(
        load.load_task("dtd_twin", {"train": 47, "validation": 47, "test": 47})
    )
    with complains(ValueError, "class_order", "'random'", "text, counting"):
        check(folder | {"class_order": "random"}, folder_schema(), "folders.pets")


@pytest.mark.parametrize("wrong", [None, "clip_micro", 7])
def test_what_is_no_backbone_or_no_task_is_refused_by_the_function_that_makes_one(clip, wrong):
    with complains(ValueError, repr(wrong), "no Backbone", "load_backbone"):
        vpbench.fit("visual_prompt", wrong, wrong, settings={})
    with complains(ValueError, repr(wrong), "no task", "load_task"):
        vpbench.fit("visual_prompt", clip, wrong)
    if wrong is not None:  # then it is the one of the card
        with complains(ValueError, repr(wrong), "no Backbone", "load_backbone"):
            vpbench.load("prompt", wrong)


@pytest.mark.parametrize("data", [{"train": -5}, {"train": 2.0}, {"training": 5}, 7])
def test_sizes_of_a_folder_that_are_none_are_refused(tmp_path, data):
    with complains(ValueError, f"data of {tmp_path}"):
        load_folder(fill(tmp_path, 3), SMALL, data=data)


@pytest.mark.parametrize("folder", [{}, {"path": 7}, {"path": "a", "order": "text"}, "a"])
def test_a_folder_is_described_by_its_keys_or_refused(folder):
    with complains(ValueError, "folder of pets"):
        load.load_task("pets", None, SMALL, folder)


def test_a_path_that_does_not_exist_is_neither_a_folder_nor_a_task(tmp_path):
    with complains(ValueError, repr(str(tmp_path / "typo")), "neither", "folder of images"):
        load.load_task(tmp_path / "typo")
    with complains(ValueError, tmp_path / "a.png", "is a file"):
        load_folder(paint(tmp_path / "a.png"))


@pytest.mark.parametrize("native", [False, True])
def test_a_task_says_what_its_images_went_through(tmp_path, monkeypatch, native):
    monkeypatch.setenv("VPBENCH_DATA", str(tmp_path))
    fake_dataset.register(monkeypatch.setitem, native_size=4)
    fake_dataset.write_files(tmp_path, side=4)
    data = dict.fromkeys(fake_dataset.SIZES) | ({"resolution": "native"} if native else {})
    task = load.load_task(fake_dataset.NAME, data, SMALL)
    assert task.preprocessing == (None if native else SMALL)
    assert task.notes == ()
