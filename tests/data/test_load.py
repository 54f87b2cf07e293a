import pytest

from vpbench.data import load


def test_without_sizes_a_twin_has_500_300_and_1000_pictures():
    sizes = {name: len(split) for name, split in load.load_task("dtd_twin").splits.items()}
    assert sizes == {"train": 500, "validation": 300, "test": 1000}


def test_an_unknown_task_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="'imagenet' is neither a folder of images nor one of"):
        load.load_task("imagenet")
