"""A prompt is not tested on one's own images that it was trained on."""

import json
from dataclasses import replace

import pytest
from PIL import Image

import vpbench
from tests.helpers.messages import complains
from tests.helpers.tiny import PADDING
from vpbench.common.hashing import sha256
from vpbench.data.image_folder import load_folder

CLASSES = ("cat", "dog")


@pytest.fixture
def pets(tmp_path, task):
    """Returns a folder of ten images of each of two classes."""
    for label, name in enumerate(CLASSES):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for number in range(10):
            image = Image.fromarray(task.splits["train"].images[10 * label + number].numpy())
            image.save(tmp_path / "pets" / name / f"{number}.png")
    return tmp_path / "pets"


@pytest.fixture
def stored(pets, clip, tmp_path):
    """Returns the path of a prompt that was trained on these images."""
    task = load_folder(pets, clip.preprocessing)
    settings = PADDING | {"epochs": 1, "eval_epochs": []}
    return vpbench.fit("visual_prompt", clip, task, settings=settings).save(tmp_path / "prompt")


def test_the_card_has_the_hashes_of_the_training_images_alone(stored, pets, clip):
    card = json.loads(stored.with_suffix(".json").read_text())
    trained = load_folder(pets, clip.preprocessing).splits["train"].ids
    assert len(trained) == 12  # of 20
    assert card["trained_on"] == "".join(sorted(sha256(pets / name)[:12] for name in trained))
    assert vpbench.load(stored, clip).card["trained_on"] == card["trained_on"]


def test_a_folder_as_it_was_is_evaluated_even_where_images_are_there_twice(pets, clip, tmp_path):
    copy = (pets / "cat" / "0.png").read_bytes()
    for number in range(1, 10):
        (pets / "cat" / f"{number}.png").write_bytes(copy)
    task = load_folder(pets, clip.preprocessing)
    made = vpbench.fit(
        "visual_prompt", clip, task, settings=PADDING | {"epochs": 1, "eval_epochs": []}
    )
    assert set(task.splits["test"].hashes) & made.trained_on
    assert 0 <= made.evaluate(task)["accuracy"] <= 100


def test_a_folder_that_is_cut_anew_is_refused_with_how_many_were_trained_on(stored, pets, clip):
    before = set(load_folder(pets, clip.preprocessing).splits["train"].hashes)
    for number in range(5):
        image = Image.new("RGB", (56, 56), (number, 9, 9))
        image.save(pets / "cat" / f"{number}_new.png")
    task = load_folder(pets, clip.preprocessing)
    test = task.splits["test"]
    count = sum(one in before for one in test.hashes)
    assert count > 0
    prompt = vpbench.load(stored, clip)
    with complains(ValueError, f"{count} of {len(test)} images of its test split", "trained on"):
        prompt.evaluate(task)
    assert prompt.evaluate(task, "train")


def test_a_card_without_hashes_is_read_as_before(stored, pets, clip):
    path = stored.with_suffix(".json")
    card = json.loads(path.read_text())
    del card["trained_on"]
    path.write_text(json.dumps(card))
    task = load_folder(pets, clip.preprocessing)
    tested_on = replace(task, splits={"test": task.splits["train"]})
    assert vpbench.load(stored, clip).evaluate(tested_on)["accuracy"] >= 0


def test_a_class_alone_in_a_test_folder_is_evaluated_by_its_name(stored, clip, tmp_path):
    (tmp_path / "new" / "test" / "dog").mkdir(parents=True)
    for number in range(4):
        image = Image.new("RGB", (56, 56), (number, 200, 9))
        image.save(tmp_path / "new" / "test" / "dog" / f"{number}.png")
    task = load_folder(tmp_path / "new", clip.preprocessing, to_fit=False)
    metrics = vpbench.load(stored, clip).evaluate(task)
    assert metrics["per_class"] == {"dog": metrics["accuracy"]}
