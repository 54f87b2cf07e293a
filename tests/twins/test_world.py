import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest

from vpbench.lab.tokenizer import collect_words, split_words
from vpbench.spec.tasks import TASKS, is_twin
from vpbench.twins import world
from vpbench.twins.painting.pets import BREEDS, SPECIES

FAR = {  # what paints satellites, camera traps, tissue and solids, and the twins themselves
    *(f"vpbench.twins.painting.{name}" for name in ("aerial", "animals", "windows")),
    *(task.module for name, task in TASKS.items() if is_twin(name)),
}


@pytest.fixture(scope="module")
def samples():
    """Returns 400 samples of the captioned world."""
    return [world.sample(np.random.default_rng([1, index])) for index in range(400)]


@pytest.fixture(scope="module")
def labelled():
    """Returns 200 samples of the labelled world."""
    return [world.sample(np.random.default_rng([2, index]), "labelled") for index in range(200)]


def test_a_picture_of_the_world_is_56_by_56_bytes(samples):
    assert {sample.image.shape for sample in samples} == {(56, 56, 3)}
    assert {sample.image.dtype for sample in samples} == {np.dtype(np.uint8)}


def test_equal_seeds_give_equal_samples_and_others_give_others(samples):
    again = [world.sample(np.random.default_rng([1, index])) for index in range(20)]
    for one, other in zip(samples[:20], again, strict=True):
        assert np.array_equal(one.image, other.image) and one[1:] == other[1:]
    assert len({sample.image.tobytes() for sample in samples}) == len(samples)


def test_every_caption_consists_of_known_words(samples):
    said = {word for sample in samples for word in split_words(sample.caption)}
    assert said <= set(collect_words())
    assert len(said) > 100


def test_labels_and_fine_labels_come_from_their_sorted_lists(samples, labelled):
    assert list(world.LABELS) == sorted(set(world.LABELS))
    assert list(world.FINE_LABELS) == sorted(set(world.FINE_LABELS))
    for sample in samples + labelled:
        assert sample.label is None or sample.label in world.LABELS
        assert sample.fine_label is None or sample.fine_label in world.FINE_LABELS
        assert sample.hashtags


def test_a_labelled_picture_always_has_a_label(labelled):
    assert all(sample.label is not None for sample in labelled)


def test_the_lab_has_an_imagenet_of_at_least_64_classes_with_cats_and_dogs():
    assert len(world.LABELS) >= 64 and set(BREEDS) <= set(world.LABELS)
    species = [SPECIES[breed] for breed in BREEDS]
    assert species.count("cat") >= 3 and species.count("dog") >= 3


def test_the_fine_labels_are_more():
    assert set(world.LABELS) < set(world.FINE_LABELS)
    assert len(world.FINE_LABELS) > 2 * len(world.LABELS)


def test_the_kinds_of_pictures_share_the_world():
    assert sum(world.KINDS.values()) == pytest.approx(1)


@pytest.mark.parametrize("kind", world.KINDS, ids=lambda kind: kind.__name__.strip("_"))
def test_a_world_of_one_kind_shows_that_kind_with_its_nuisance(kind):
    pictures = [world.sample_of(np.random.default_rng([3, i]), {kind: 1.0}).image for i in range(6)]
    assert len({picture.tobytes() for picture in pictures}) == 6
    assert all(picture.std() > 2 for picture in pictures)


def test_the_caption_of_a_count_says_how_many(samples):
    counts = [s for s in samples if s.fine_label and s.fine_label.endswith(" objects")]
    assert counts
    for sample in counts:
        number = sample.fine_label.split()[0]
        assert number in world.NUMBERS and number in split_words(sample.caption)


def test_the_world_cannot_paint_what_the_far_twins_look_like():
    command = "import sys, vpbench.twins.world; print(*sys.modules, sep='\\n')"
    modules = subprocess.run(
        [sys.executable, "-c", command], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "vpbench.twins.painting.icons" in modules
    assert all(map(find_spec, FAR)) and not FAR & set(modules)
