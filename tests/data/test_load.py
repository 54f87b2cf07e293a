from tests.helpers.messages import complains
from vpbench.data import load


def test_without_sizes_a_twin_has_500_300_and_1000_pictures():
    sizes = {name: len(split) for name, split in load.load_task("dtd_twin").splits.items()}
    assert sizes == {"train": 500, "validation": 300, "test": 1000}


def test_an_unknown_task_is_refused_with_the_known_ones():
    with complains(ValueError, "'imagenet'", "folder of images", "tasks", "cifar100", "dtd_twin"):
        load.load_task("imagenet")
