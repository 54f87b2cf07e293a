from dataclasses import replace

import pytest
import torch

from vpbench import tasks
from vpbench.label_maps import hard_coded, label_map, text
from vpbench.text import text_prompts


@pytest.fixture(scope="module")
def pixels(clip, task):
    """Returns a few normalised images."""
    return clip.normalize(clip.scale_pixels(task.splits["test"].images[:6]))


def test_text_logits_are_scaled_cosines_to_the_class_prompts(clip, task, pixels):
    image = clip.model.encode_image(pixels).double()
    tokens = clip.tokenize(text_prompts("This is a photo of a {}", task.class_names))
    prompts = clip.model.encode_text(tokens).double()
    cosines = torch.stack(
        [torch.stack([a @ b / (a @ a).sqrt() / (b @ b).sqrt() for b in prompts]) for a in image]
    )
    expected = clip.model.logit_scale.exp() * cosines
    torch.testing.assert_close(
        text(clip, task)(pixels).double(), expected.double(), atol=1e-3, rtol=1e-4
    )


def test_the_text_map_follows_the_template_of_the_task(clip, task, pixels):
    other = replace(task, template="a satellite picture of a {}")
    assert not torch.allclose(text(clip, task)(pixels), text(clip, other)(pixels))


def test_the_hard_coded_map_reads_the_first_source_classes(resnet, task, pixels):
    logits = hard_coded(resnet, task)(pixels)
    torch.testing.assert_close(logits, resnet.model(pixels)[:, :10])


def test_the_hard_coded_map_refuses_more_classes_than_the_backbone_has(resnet, task):
    source = resnet.model.num_classes
    many = replace(task, class_names=tuple(str(number) for number in range(source + 1)))
    words = f"has {source + 1} classes, rn50_micro only {source} source classes"
    with pytest.raises(ValueError, match=words):
        hard_coded(resnet, many)


def test_a_label_map_of_the_other_modality_is_refused_with_the_one_that_fits(clip, resnet, task):
    with pytest.raises(ValueError, match="'hard_coded' does not fit clip_micro; use 'text'"):
        label_map("hard_coded", clip, task)
    with pytest.raises(ValueError, match="'text' does not fit rn50_micro; use 'hard_coded'"):
        label_map("text", resnet, task)


def test_a_hard_coded_map_reads_the_source_classes_it_is_given(resnet):
    task = tasks.load_task("cats_dogs_twin", {"train": 4, "validation": 4, "test": 4})
    images = torch.randn(2, 3, 56, 56)
    found = label_map("hard_coded", resnet, task, ["chihuahua", "siamese"])(images)
    numbers = [resnet.source_classes.index("chihuahua"), resnet.source_classes.index("siamese")]
    torch.testing.assert_close(found, resnet.logits(images)[:, numbers])


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["chihuahua", "unicorn"], "has no class 'unicorn'; its classes are: abyssinian, "),
        (["chihuahua"], "cats_dogs_twin needs 2 different ones"),
        (["chihuahua", "chihuahua"], "cats_dogs_twin needs 2 different ones"),
    ],
)
def test_source_classes_that_do_not_fit_are_refused(resnet, names, words):
    task = tasks.load_task("cats_dogs_twin", {"train": 4, "validation": 4, "test": 4})
    with pytest.raises(ValueError, match=words):
        label_map("hard_coded", resnet, task, names)


def test_source_classes_are_not_for_the_text_map(clip):
    task = tasks.load_task("cats_dogs_twin", {"train": 4, "validation": 4, "test": 4})
    with pytest.raises(ValueError, match="source_classes are for the label map hard_coded"):
        label_map("text", clip, task, ["cat", "dog"])
