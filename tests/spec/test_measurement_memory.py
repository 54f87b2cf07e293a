"""What a measurement asks for of memory: sums made by hand."""

import pytest

from tests.helpers.checkout import read_config
from vpbench.spec import measurement_memory
from vpbench.spec.grid import expand, measurement_specs

LABELS = 60_000 * 300  # of CIFAR100, while they are read
PICTURE = 3 * 224 * 224


@pytest.fixture(scope="module")
def paper():
    """Returns the paper's grid of one run: the prompt of CLIP on CIFAR100, and measurements."""
    grid = {"main": {"methods": ["visual_prompt"], "seeds": [0]}}
    config = read_config("paper") | {"grid": grid, "analyses": {}, "variants": {}}
    return config | {"tasks": ["cifar100"], "task_data": {}, "backbones": ["clip_vit_b32"]}


def spec_of(config, name):
    """Returns the spec of a measurement of a grid that has one task."""
    (spec,) = measurement_specs(expand(config, ""), name)
    return spec


def test_photographs_are_compared_in_what_can_be_added_up_by_hand(paper):
    spec = spec_of(paper, "dataset_properties")
    features = 3 * (3 * 10_000) * 2048 * 8  # of three further samples, three times
    matrices = 10 * 2048**2 * 8
    names = 1_281_167 * 400
    held = LABELS + features + matrices + names + 10_000 * PICTURE
    read = 2 * 4 * 61_100_840  # of an AlexNet, larger than the Inception
    host = (1.1e9 + 2.5e9 + held + read) / 1e9
    assert measurement_memory.gigabytes(spec) == pytest.approx(host)
    assert measurement_memory.host_mb(spec) == 10_000  # 1.2 times 7.9 GB: 8000 were too few


def test_on_a_cpu_the_networks_and_a_batch_are_in_the_memory_of_the_machine(paper):
    spec = spec_of(paper, "dataset_properties")
    alex = measurement_memory.gigabytes(spec, on_gpu=False)
    weights = 2 * 4 * (23_885_392 + 61_100_840)
    batch = 64 * 4.0e6 * 4 * 1.15  # of the Inception, more than two images of an AlexNet
    more = weights + batch - 2.5e9 - 2 * 4 * 61_100_840
    assert alex - measurement_memory.gigabytes(spec) == pytest.approx(more / 1e9)
    spec["settings"] = spec["settings"] | {"diversity": "lpips_vgg"}
    more = 2 * 4 * (138_357_544 - 61_100_840) + 64 * (2 * 16.0e6 - 4.0e6) * 4 * 1.15
    vgg = measurement_memory.gigabytes(spec, on_gpu=False)
    assert vgg - alex == pytest.approx(more / 1e9)


def test_pictures_that_are_sent_are_held_all_at_once_and_others_are_not(paper):
    sent, moved = (spec_of(paper, name) for name in ("deployability", "transfer"))
    facts = (50_000 + 1_000) * 300  # cifar100 has no validation split of its own
    read = 2 * 4 * 151_277_313
    host = (3.6e9 + facts + read) / 1e9
    assert measurement_memory.gigabytes(moved) == pytest.approx(host, rel=1e-3)
    pictures = 1_000 * PICTURE * (4 * 4 + 2)
    assert measurement_memory.gigabytes(sent) - measurement_memory.gigabytes(moved) == (
        pytest.approx(pictures / 1e9)
    )


def test_the_labs_world_is_painted_as_large_as_its_classifiers_take_it():
    config = read_config("lab") | {"tasks": ["svhn_twin"], "analyses": {}}
    spec = spec_of(config, "dataset_properties")
    world = (2_000 + 3 * 500) * 3 * 56**2
    drawn = 500 * 3 * 56**2
    features = 3 * (3 * 500) * 128 * 8 + 10 * 128**2 * 8
    assert measurement_memory.compared_bytes(spec) == world + drawn + features
