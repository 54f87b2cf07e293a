from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.helpers.tiny import PADDING, numbered_task
from vpbench.data import load
from vpbench.methods.prompted_classifier import PromptedClassifier
from vpbench.prompts.build import build_prompt
from vpbench.prompts.label_maps import (
    Bayesian,
    BayesianPlus,
    Frequency,
    label_map,
    templates_read,
)
from vpbench.prompts.pair_counts import add_likeliest, mixture, no_pairs, one_to_one
from vpbench.spec.label_maps import LABEL_MAPS
from vpbench.spec.text_prompts import text_prompts
from vpbench.training.evaluate import BATCH


@pytest.fixture(scope="module")
def pixels(clip, task):
    """Returns a few normalised images."""
    return clip.normalize(clip.scale_pixels(task.splits["test"].images[:6]))


@pytest.fixture(scope="module")
def pets():
    """Returns a task of two classes whose names the vision models know."""
    return load.load_task("cats_dogs_twin", {"train": 4, "validation": 4, "test": 4})


def of(name, backbone, task, seed=0, **changes):
    """Returns the label map `name`."""
    return label_map(backbone, task, PADDING | {"label_map": name} | changes, seed)


# Of models that read


def test_text_logits_are_scaled_cosines_to_the_class_prompts(clip, task, pixels):
    image = clip.model.encode_image(pixels).double()
    tokens = clip.tokenize(text_prompts("This is a photo of a {}", task.class_names))
    prompts = clip.model.encode_text(tokens).double()
    cosines = torch.stack(
        [torch.stack([a @ b / (a @ a).sqrt() / (b @ b).sqrt() for b in prompts]) for a in image]
    )
    expected = clip.model.logit_scale.exp() * cosines
    torch.testing.assert_close(
        of("text", clip, task)(pixels).double(), expected.double(), atol=1e-3, rtol=1e-4
    )


def test_the_text_map_follows_the_template_of_the_task(clip, task, pixels):
    other = replace(task, template="a satellite picture of a {}")
    assert not torch.allclose(of("text", clip, task)(pixels), of("text", clip, other)(pixels))


def test_the_names_map_says_only_the_names(clip, task, pixels):
    alone = replace(task, template="{}")
    assert torch.equal(of("names", clip, task)(pixels), of("text", clip, alone)(pixels))


def test_an_ensemble_points_where_the_mean_of_its_unit_texts_points(clip, task):
    texts = templates_read(clip, task)
    assert len(texts) > 5 and len({each[0] for each in texts}) == len(texts)
    mean = sum(clip.text_features(each) for each in texts)
    expected = torch.stack([row / (row @ row).sqrt() for row in mean]).t()
    torch.testing.assert_close(of("ensemble", clip, task).weights, expected)


def test_a_learned_classifier_starts_as_the_text_map_and_is_trained(clip, task, pixels):
    learned = of("learned_classifier", clip, task)
    torch.testing.assert_close(learned(pixels), of("text", clip, task)(pixels))
    assert [parameter.shape for parameter in learned.parameters()] == [(64, 10)]


# Of models with source classes


def test_the_hard_coded_map_reads_the_first_source_classes(resnet, task, pixels):
    logits = of("hard_coded", resnet, task)(pixels)
    torch.testing.assert_close(logits, resnet.model(pixels)[:, :10])


def test_a_hard_coded_map_reads_the_source_classes_it_is_given(resnet, pets):
    images = torch.randn(2, 3, 56, 56)
    names = ["chihuahua", "siamese"]
    found = of("hard_coded", resnet, pets, source_classes=names)(images)
    numbers = [resnet.source_classes.index(name) for name in names]
    torch.testing.assert_close(found, resnet.logits(images)[:, numbers])


def test_a_random_map_has_different_source_classes_and_others_with_another_seed(resnet, task):
    first, again, other = (of("random", resnet, task, seed).numbers for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert len(set(first.tolist())) == 10 and max(first) < resnet.source_count


def test_a_semantic_map_takes_the_classes_of_the_same_names(resnet, pets):
    named = replace(pets, class_names=("siamese", "chihuahua"))
    numbers = of("semantic", resnet, named, text_encoder="clip_micro").numbers
    assert [resnet.source_classes[number] for number in numbers] == ["siamese", "chihuahua"]


def test_a_linear_map_starts_as_the_hard_coded_one(resnet, task, pixels):
    linear = of("linear", resnet, task)
    torch.testing.assert_close(linear(pixels), of("hard_coded", resnet, task)(pixels))
    source = resnet.source_count
    assert sum(parameter.numel() for parameter in linear.parameters()) == (source + 1) * 10


# Counted maps, by hand


def dense(logits, labels, classes, top=None):
    """Returns counts [S, K] from a product of N x S values, with which a map needs no table."""
    hot = F.one_hot(labels, classes).double()
    if top is None:
        return F.one_hot(logits.argmax(1), logits.shape[1]).double().t() @ hot
    values, indices = logits.softmax(1).topk(top)
    return torch.zeros(logits.shape).scatter_(1, indices, values).double().t() @ hot


def summed(counted, logits, labels, batch):
    """Returns the counts of a map that sees `batch` images at a time."""
    counts = counted.no_pairs()
    for part, its in zip(logits.split(batch), labels.split(batch), strict=True):
        counted.add_pairs(counts, part, its)
    return counts


def test_pairs_are_counted_by_the_likeliest_source_class():
    logits = torch.tensor([[9.0, 0, 0], [0, 9, 0], [0, 9, 0], [0, 0, 9]])
    counts = no_pairs(3, 2)
    add_likeliest(counts, logits, torch.tensor([0, 0, 1, 1]))
    assert counts.tolist() == [[1, 0], [1, 1], [0, 1]]
    add_likeliest(counts, logits[:1], torch.tensor([1]))
    assert counts.tolist() == [[1, 1], [1, 1], [0, 1]]


@pytest.mark.parametrize("batch", [1, 7, 64, 300])
def test_a_map_that_is_counted_batch_by_batch_is_that_of_one_product_of_all_images(batch, resnet):
    draw, source = torch.Generator().manual_seed(0), resnet.source_count
    logits = torch.randint(6, (300, source), generator=draw).float()  # of few values: many ties
    labels = torch.randint(19, (300,), generator=draw)  # none of the twentieth class
    frequency, plain, plus = (
        Frequency(resnet, list(range(20))), Bayesian(resnet, 20), BayesianPlus(resnet, 20)
    )  # fmt: skip
    for counted, top in ((frequency, None), (plain, None), (plus, 3)):
        expected = dense(logits, labels, 20, top)
        counts = summed(counted, logits, labels, batch)
        torch.testing.assert_close(counts, expected, atol=1e-12, rtol=0)
        counted.update(counts)
    assert torch.equal(frequency.numbers, one_to_one(dense(logits, labels, 20)))
    for counted, top in ((plain, None), (plus, 3)):
        wanted = mixture(dense(logits, labels, 20, top))
        torch.testing.assert_close(counted.mixture, wanted, atol=1e-12, rtol=0)


def test_counting_holds_no_table_of_images_by_source_classes(resnet):
    source, images, held = resnet.source_count, 2048, []

    class Watch(TorchDispatchMode):
        """Notes the size of every tensor that is made."""

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            made = function(*args, **(kwargs or {}))
            held.extend(each.numel() for each in tree_leaves(made) if torch.is_tensor(each))
            return made

    task = numbered_task({"train": images})
    for name in ("frequency", "bayesian", "bayesian_plus"):
        classifier = PromptedClassifier(
            build_prompt("none", 56, 1), of(name, resnet, task), resnet,
            PADDING | {"label_map": name},
        )  # fmt: skip
        answers = torch.arange(source).float()
        classifier.pixels = lambda batch: batch
        classifier.answers = lambda _, batch, answers=answers: answers.expand(len(batch), -1)
        with Watch():
            classifier.count_map(task.splits["train"].images, task.splits["train"].labels)
        assert BATCH * source in held  # what the backbone says of a batch, and no more than that
        assert max(held) <= max(BATCH * source, images * 4 * 4 * 3)


def test_the_greedy_map_takes_the_largest_count_and_the_first_of_equal_ones():
    # 5 is the largest: class 1 gets source 2. Then 3 and 3 tie: the first in the order of the
    # source classes is source 0, so class 0 gets it, and class 2 what is left of its column.
    counts = torch.tensor([[3.0, 4, 0], [0, 0, 1], [2, 5, 2], [3, 0, 0]])
    assert one_to_one(counts).tolist() == [0, 2, 1]


def test_a_class_without_images_gets_the_first_source_class_that_is_free():
    counts = torch.tensor([[4.0, 0, 1], [3, 0, 5], [0, 0, 0], [0, 0, 0]])
    assert one_to_one(counts).tolist() == [0, 2, 1]


def test_the_columns_of_a_mixture_sum_to_one_and_are_as_computed_by_hand():
    counts = torch.tensor([[3.0, 0], [1, 1], [0, 0]])
    # shares of a source class, with lambda = 1: 3/4 and 0; 1/3 and 1/3; 0 and 0
    first, second = 3 / 4 + 1 / 3, 1 / 3
    expected = [[3 / 4 / first, 0], [1 / 3 / first, 1 / 3 / second], [0, 0]]
    torch.testing.assert_close(mixture(counts), torch.tensor(expected))
    torch.testing.assert_close(mixture(counts).sum(0), torch.ones(2))


def test_a_class_without_images_is_an_even_mixture():
    found = mixture(torch.tensor([[2.0, 0], [0, 0], [1, 0], [1, 0]]))
    assert found[:, 1].tolist() == [0.25] * 4
    torch.testing.assert_close(found.sum(0), torch.ones(2))


def test_blm_plus_counts_at_least_one_source_class_of_an_image(resnet, pets):
    plus, source = BayesianPlus(resnet, 2), resnet.source_count
    logits = torch.zeros(2, source)
    logits[0, 3], logits[1, 5] = 50.0, 50.0  # sure of one class each
    counts = summed(plus, logits, torch.tensor([0, 1]), 2)
    assert counts[3].tolist() == pytest.approx([1, 0]) and counts[5].tolist() == pytest.approx(
        [0, 1]
    )
    plus.update(counts)
    torch.testing.assert_close(plus.mixture.sum(0), torch.ones(2))


def test_blm_plus_counts_the_likeliest_15_percent_of_as_many_classes(resnet):
    plus = BayesianPlus(resnet, 20)  # 15 % of 20: three source classes of an image
    logits = torch.arange(resnet.source_count).float()[None]
    counts = summed(plus, logits, torch.tensor([4]), 1)
    assert torch.nonzero(counts)[:, 1].tolist() == [4] * 3
    torch.testing.assert_close(counts[-3:, 4], logits[0].softmax(0)[-3:].double())


def test_updated_maps_answer_with_what_was_counted(resnet, pixels):
    source = resnet.logits(pixels)
    logits = torch.zeros(2, source.shape[1])
    logits[0, 7], logits[1, 2] = 1.0, 1.0
    for counted in (Frequency(resnet, [0, 1]), Bayesian(resnet, 2)):
        counted.update(summed(counted, logits, torch.tensor([0, 1]), 2))
        torch.testing.assert_close(counted(pixels), source[:, [7, 2]])


def test_only_maps_that_cannot_be_made_again_are_part_of_a_state(clip, resnet, task):
    kept = {
        name
        for backbone in (clip, resnet)
        for name in LABEL_MAPS
        if LABEL_MAPS[name].modality == backbone.modality
        and of(name, backbone, task, text_encoder={"semantic": "clip_micro"}.get(name)).state_dict()
    }
    assert kept == {
        *("learned_classifier", "linear", "random"),
        *("frequency", "iterative", "bayesian", "bayesian_plus"),
    }


# What is refused


@pytest.mark.parametrize("name", ["hard_coded", "random", "frequency", "iterative"])
def test_a_one_to_one_map_refuses_more_classes_than_the_backbone_has(name, resnet, task):
    source = resnet.source_count
    many = replace(task, class_names=tuple(str(number) for number in range(source + 1)))
    words = f"has {source + 1} classes, rn50_micro only {source} source classes"
    with pytest.raises(ValueError, match=words):
        of(name, resnet, many)


def test_a_label_map_of_the_other_modality_is_refused_with_those_that_fit(clip, resnet, task):
    with pytest.raises(ValueError, match="'hard_coded' does not fit clip_micro; use text, names,"):
        of("hard_coded", clip, task)
    with pytest.raises(ValueError, match="'text' does not fit rn50_micro; use hard_coded, random"):
        of("text", resnet, task)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["chihuahua", "unicorn"], "has no class 'unicorn'; its classes are: abyssinian, "),
        (["chihuahua"], "cats_dogs_twin needs 2 different ones"),
        (["chihuahua", "chihuahua"], "cats_dogs_twin needs 2 different ones"),
    ],
)
def test_source_classes_that_do_not_fit_are_refused(resnet, pets, names, words):
    with pytest.raises(ValueError, match=words):
        of("hard_coded", resnet, pets, source_classes=names)


def test_source_classes_are_for_the_hard_coded_map_alone(clip, resnet, pets):
    for name, backbone in (("text", clip), ("random", resnet)):
        with pytest.raises(ValueError, match="source_classes are for the label map hard_coded"):
            of(name, backbone, pets, source_classes=["cat", "dog"])


@pytest.mark.parametrize(
    ("name", "text_encoder", "line"),
    [
        ("semantic", None, "^label_map semantic needs a text_encoder, a vision-language backbone"),
        (
            "random",
            "clip_micro",
            "^text_encoder clip_micro is .* alone; leave it out with random$",
        ),
    ],
)
def test_a_text_encoder_is_for_the_semantic_map_alone(name, text_encoder, line, resnet, pets):
    with pytest.raises(ValueError, match=line):
        of(name, resnet, pets, text_encoder=text_encoder)
