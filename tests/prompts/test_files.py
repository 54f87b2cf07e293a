import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import vpbench
from tests.helpers.messages import complains
from tests.helpers.tiny import PADDING
from vpbench.prompts import files
from vpbench.prompts.build import restore_prompt
from vpbench.spec.preprocessing import Preprocessing, for_recipe
from vpbench.spec.schema import SCHEMA


@pytest.fixture(scope="module")
def made(clip, task):
    """Returns a classifier with a prompt."""
    return vpbench.fit("visual_prompt", clip, task, settings=PADDING)


@pytest.fixture
def saved(made, tmp_path):
    """Returns the path of the saved prompt."""
    return made.save(tmp_path / "prompt")


def edit(path, **changes):
    """Returns None; changes keys of the card of a prompt."""
    card = path.with_suffix(".json")
    card.write_text(json.dumps(json.loads(card.read_text()) | changes))


def refusal(path, backbone):
    """Returns the one line with which the prompt at `path` is refused."""
    with pytest.raises(ValueError) as error:
        vpbench.load(path, backbone)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_prompt_comes_back_as_it_was_saved(made, saved, clip):
    again = vpbench.load(saved, clip)
    assert again.card == made.card and again.accuracy == made.accuracy
    assert torch.equal(again.prompt.canvas(), made.prompt.canvas())
    assert not again.classifier.training
    assert sorted(file.name for file in saved.parent.iterdir()) == [
        "prompt.json", "prompt.safetensors"
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["prompt", "prompt.json", "prompt.safetensors", "prompt.png"])
def test_a_prompt_is_found_by_its_name_with_or_without_ending(saved, clip, name):
    assert vpbench.load(saved.with_name(name), clip).task.name == "eurosat_twin"


def test_a_name_with_a_dot_stays_whole(made, tmp_path, clip):
    first = made.save(tmp_path / "eurosat_v1.1")
    second = made.save(tmp_path / "eurosat_v1.2")
    assert (first.name, second.name) == ("eurosat_v1.1.safetensors", "eurosat_v1.2.safetensors")
    vpbench.load(tmp_path / "eurosat_v1.1", clip)
    paths = made.export(tmp_path / "eurosat_v1.1")
    assert [path.name for path in paths] == [
        f"eurosat_v1.1{ending}" for ending in (".npy", ".png", ".plain.safetensors", ".README.md")
    ]


def test_the_card_tells_what_the_prompt_was_made_for_and_how_good_it_is(made, clip, task):
    card = made.card
    assert (card["backbone"], card["weights"]) == ("clip_micro", clip.weights_hash)
    assert (card["task"], card["class_names"]) == ("eurosat_twin", list(task.class_names))
    assert card["text_prompt"] == "This is a photo of a {}"
    assert (card["template"], card["size"], card["image_size"]) == ("padding", 7, 56)
    assert card["settings"] == PADDING and card["schema"] == SCHEMA
    assert set(card["accuracy"]) == {"validation", "test"}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"prompt_space": "pixel", "lr": 0.1},
        {"template": "fixed_patch", "size": 20},
        {"template": "random_patch", "size": 17, "position_range": "official", "lr": 20.0},
        {"template": "random_patch", "size": 17, "position_range": "full", "lr": 20.0},
    ],
)
def test_a_prompt_keeps_the_accuracy_of_its_card_when_saved_and_loaded(
    changes, clip, task, tmp_path
):
    classifier = vpbench.fit("visual_prompt", clip, task, settings=PADDING | changes)
    loaded = vpbench.load(classifier.save(tmp_path / "a"), clip)
    assert set(classifier.accuracy) == {"validation", "test"}
    for split, accuracy in classifier.accuracy.items():
        metrics = classifier.evaluate(task, split)
        assert metrics["accuracy"] == accuracy
        assert loaded.evaluate(task, split) == metrics


def test_predictions_are_those_that_are_evaluated(made, task):
    test = task.splits["test"]
    logits = made.logits(test.images)
    assert logits.shape == (24, 10)
    accuracy = 100 * (logits.argmax(1) == test.labels).float().mean().item()
    assert made.evaluate(task)["accuracy"] == pytest.approx(accuracy)


def test_classes_in_another_order_are_matched_by_name(made, task):
    names = [name.upper().replace(" ", "_") for name in task.class_names[::-1]]
    split = task.splits["test"]
    mirrored = replace(split, labels=9 - split.labels)
    swapped = replace(task, class_names=tuple(names), splits={"test": mirrored})
    assert made.evaluate(swapped) == made.evaluate(task)


def test_accuracies_of_classes_go_by_their_names(made, task):
    test = task.splits["test"]
    right = made.logits(test.images).argmax(1) == test.labels
    expected = {
        name: pytest.approx(100 * right[test.labels == label].float().mean().item())
        for label, name in enumerate(task.class_names)
    }
    assert made.evaluate(task)["per_class"] == expected


def test_some_of_the_classes_may_be_there_in_any_order(made, task):
    test, chosen = task.splits["test"], (7, 2)
    keep = (test.labels == 7) | (test.labels == 2)
    labels = (test.labels[keep] == 2).long()  # 0 is class 7, and 1 is class 2
    part = replace(test, images=test.images[keep], labels=labels)
    names = tuple(task.class_names[number] for number in chosen)
    metrics = made.evaluate(replace(task, class_names=names, splits={"test": part}))
    right = made.logits(part.images).argmax(1) == test.labels[keep]  # among all ten
    assert metrics["accuracy"] == pytest.approx(100 * right.float().mean().item())
    whole = made.evaluate(task)["per_class"]
    assert metrics["per_class"] == {name: whole[name] for name in sorted(names, key=names.index)}


def test_images_that_were_made_for_another_backbone_are_refused(made, clip, task):
    other = replace(task, preprocessing=Preprocessing(256, 224, "bilinear"))
    facts = "resize256_bilinear_crop224", "clip_micro takes resize56_bicubic_crop56"
    with complains(ValueError, *facts, "preprocessing=backbone.preprocessing"):
        vpbench.fit("visual_prompt", clip, other, settings=PADDING)
    with complains(ValueError, *facts):
        made.evaluate(other)
    for right in (clip.preprocessing, None):
        assert made.evaluate(replace(task, preprocessing=right)) == made.evaluate(task)


def test_images_of_a_recipe_that_shrinks_them_may_come_at_its_side(clip, task):
    recipe = PADDING | {"image_side": 42, "epochs": 1}
    small = replace(task, preprocessing=for_recipe(clip.preprocessing, recipe))
    assert small.preprocessing == Preprocessing(42, 42)
    vpbench.fit("visual_prompt", clip, small, settings=recipe)
    with complains(ValueError, "resize42_bicubic_crop42"):
        vpbench.fit("visual_prompt", clip, small, settings=PADDING)


def test_only_uint8_squares_are_predicted(made, task):
    images = task.splits["test"].images[:2]
    for wrong in (images / 255, images.permute(0, 3, 1, 2), images[0], images[:, :40]):
        with complains(ValueError, "expected squares of uint8 [N, H, H, 3]"):
            made.logits(wrong)
    with complains(ValueError, "'eurosat_twin' is no task", "load_task"):
        made.evaluate("eurosat_twin")


def test_unknown_classes_are_refused_by_name(made, task):
    names = ("yak", *task.class_names[1:])
    with complains(ValueError, "does not know yak", "eurosat_twin", task.class_names[0], "rename"):
        made.evaluate(replace(task, class_names=names))


def test_names_of_a_recipe_do_not_hide_those_of_the_folders(clip, task, tmp_path):
    letters = [f"a {word}" for word in "cat dog horse bird fish frog one two three four".split()]
    classifier = vpbench.fit(
        "visual_prompt", clip, task, settings=PADDING | {"epochs": 1, "class_names": letters}
    )
    loaded = vpbench.load(classifier.save(tmp_path / "a"), clip)
    assert loaded.card == classifier.card
    assert loaded.card["class_names"] == letters
    assert loaded.card["original_names"] == list(task.class_names)
    split = task.splits["test"]
    mirrored = replace(split, labels=9 - split.labels)
    swapped = replace(task, class_names=task.class_names[::-1], splits={"test": mirrored})
    assert loaded.evaluate(swapped) == classifier.evaluate(task)
    in_words = replace(swapped, class_names=tuple(letters[::-1]))
    assert loaded.evaluate(in_words) == classifier.evaluate(task)


def test_notes_on_the_images_go_into_the_card(clip, task, tmp_path):
    noted = replace(task, notes=("left out: 3 .txt",))
    classifier = vpbench.fit("visual_prompt", clip, noted, settings=PADDING | {"epochs": 1})
    loaded = vpbench.load(classifier.save(tmp_path / "a"), clip)
    assert loaded.card["notes"] == ["left out: 3 .txt"] and loaded.card == classifier.card


def test_a_classifier_goes_to_a_device_with_its_backbone(task):
    backbone = vpbench.load_backbone("clip_micro")
    classifier = vpbench.fit("visual_prompt", backbone, task, settings=PADDING | {"epochs": 1})
    assert classifier.to("meta") is classifier
    assert backbone.device.type == "meta"
    assert {value.device.type for value in classifier.classifier.state_dict().values()} == {"meta"}


def test_incomplete_settings_are_refused_by_the_missing_one(clip, task):
    settings = {key: value for key, value in PADDING.items() if key != "momentum"}
    with pytest.raises(ValueError, match="visual_prompt on clip_micro: it lacks 'momentum'"):
        vpbench.fit("visual_prompt", clip, task, settings=settings)


def test_a_prompt_is_evaluated_only_on_splits_and_classes_it_fits(made, clip, task):
    with pytest.raises(ValueError, match="eurosat_twin has no dev split; it has: train, valid"):
        made.evaluate(task, "dev")
    other = vpbench.load_task("clevr_twin", {"train": 8, "validation": 8, "test": 8})
    with pytest.raises(ValueError, match="does not know three, four.* of clevr_twin; it was made"):
        made.evaluate(other)


def test_a_prompt_of_another_backbone_is_refused_by_both_names(saved, clip, resnet):
    message = refusal(saved, resnet)
    assert f"was made for clip_micro (weights {clip.weights_hash[:12]}), not for " in message
    assert f"rn50_micro (weights {resnet.weights_hash[:12]}); load that backbone" in message


def test_a_prompt_of_other_weights_is_refused(saved, clip):
    edit(saved, weights="0" * 64)
    assert "was made for clip_micro (weights 000000000000), not for " in refusal(saved, clip)


def test_a_prompt_of_another_image_size_is_refused(saved, clip):
    edit(saved, image_size=224)
    message = refusal(saved, clip)
    assert message.endswith("was made for images of 224 pixels, clip_micro takes 56")


@pytest.mark.parametrize(
    "changes", [{"size": 5}, {"template": "fixed_patch"}, {"ensemble_size": 10**9}]
)
def test_tensors_that_are_not_those_of_the_card_are_refused(saved, clip, changes):
    edit(saved, settings=PADDING | changes)
    assert f"{saved} does not hold what its card says: " in refusal(saved, clip)


def test_a_missing_or_broken_file_is_refused_by_name(saved, clip):
    card = saved.with_suffix(".json")
    text = card.read_text()
    card.write_text(text[:50])
    assert refusal(saved, clip) == f"{card} is not the card of a prompt: broken JSON"
    card.write_text("7")
    assert refusal(saved, clip) == f"{card} is not the card of a prompt: broken JSON"
    card.write_text("{}")
    assert refusal(saved, clip) == f"{card} is not the card of a prompt: it lacks 'schema'"
    card.unlink()
    assert f"{card} is missing: what was learned is a .safetensors file" in refusal(saved, clip)
    card.write_text(text)
    saved.write_bytes(saved.read_bytes()[:100])
    assert f"{saved} is not the file its card {card} was written for" == refusal(saved, clip)
    saved.unlink()
    assert f"{saved} is missing" in refusal(saved, clip)


def test_a_folder_that_moves_keeps_its_prompt(saved, clip, tmp_path):
    shutil.move(saved.parent, tmp_path.with_name("moved"))
    assert vpbench.load(tmp_path.with_name("moved") / "prompt", clip)


def test_a_misspelt_form_is_told_the_one_that_was_meant(made, tmp_path):
    with complains(ValueError, "nothing is exported as .onnxx; did you mean .onnx?"):
        made.export(tmp_path / "prompt.onnxx")
    assert not list(tmp_path.iterdir())


def test_the_npy_is_the_canvas_itself(made, tmp_path):
    npy, *_ = made.export(tmp_path / "prompt")
    canvas = np.load(npy)
    assert canvas.dtype == np.float32 and canvas.shape == (3, 56, 56)
    assert np.array_equal(canvas, made.prompt.canvas()[0].detach().numpy())


def test_the_png_has_grey_for_zero_and_white_for_the_largest_value(tmp_path):
    state = {"patch": torch.tensor([4.0, -4.0, 2.0]).view(1, 3, 1, 1)}
    prompt = restore_prompt(PADDING | {"template": "fixed_patch", "size": 1}, 56, state)
    _, png = files.export_prompt(prompt, tmp_path / "prompt")
    picture = Image.open(png)
    assert (picture.size, picture.mode) == ((56, 56), "RGB")
    assert picture.getpixel((0, 0)) == (255, 0, 191)  # 191 = 255 * (0.5 + 0.5 * 2 / 4)
    assert picture.getpixel((30, 30)) == (128, 128, 128)


def test_a_prompt_of_zeros_can_be_exported(tmp_path):
    prompt = restore_prompt(
        PADDING | {"template": "fixed_patch", "size": 1}, 56, {"patch": torch.zeros(1, 3, 1, 1)}
    )
    _, png = files.export_prompt(prompt, tmp_path / "prompt")
    assert Image.open(png).getextrema() == ((128, 128),) * 3


@pytest.mark.parametrize(
    ("number", "words"), [(28, "the disk is full"), (30, "the disk is read-only")]
)
@pytest.mark.parametrize("write", ["save", "export"])
def test_a_failed_write_leaves_nothing_and_says_why(
    made, tmp_path, monkeypatch, number, words, write
):
    def fail(*_):
        raise OSError(number, "in other words")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(ValueError, match=f"not written, {words}"):
        if write == "save":
            made.save(tmp_path / "prompt")
        else:
            made.export(tmp_path / "prompt")
    assert list(tmp_path.iterdir()) == []
