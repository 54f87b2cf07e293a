from dataclasses import replace

import torch

from vpbench.data import load
from vpbench.data.task import few_shot


def test_the_data_hash_changes_with_one_pixel_and_with_one_label():
    few = {"train": 30, "validation": 25, "test": 60}
    one, again = load.load_task("dtd_twin", few), load.load_task("dtd_twin", few)
    assert one.data_hash == again.data_hash and len(one.data_hash) == 64
    test = one.splits["test"]
    pixel, label = test.images.clone(), test.labels.clone()
    pixel[3, 2, 1, 0] += 1
    label[3] = 11 - label[3]
    for changed in (replace(test, images=pixel), replace(test, labels=label)):
        assert replace(one, splits=one.splits | {"test": changed}).data_hash != one.data_hash


def test_a_few_shots_are_so_many_images_of_each_class_drawn_by_the_seed():
    task = load.load_task("fmow_twin", {"train": 60, "validation": 12, "test": 12})
    few, again = few_shot(task, 2, 0), few_shot(task, 2, 0)
    train, classes = few.splits["train"], len(task.class_names)
    assert train.labels.bincount().tolist() == [2] * classes
    assert train.ids == again.splits["train"].ids != few_shot(task, 2, 1).splits["train"].ids
    for number, name in enumerate(train.ids):
        place = task.splits["train"].ids.index(name)
        assert torch.equal(train.images[number], task.splits["train"].images[place])
        assert train.groups[number] == task.splits["train"].groups[place]
    assert few.splits["test"] is task.splits["test"]
    assert few.data_hash == task.data_hash


def test_a_class_with_fewer_images_than_shots_keeps_all_it_has():
    task = load.load_task("cifar10_twin", {"train": 25, "validation": 10, "test": 10})
    train = few_shot(task, 3, 0).splits["train"]
    assert train.labels.bincount().tolist() == [3] * 5 + [2] * 5
    assert few_shot(task, None, 0) is task
