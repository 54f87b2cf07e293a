import pytest
import torch

from tests.helpers.tiny import COCOOP, COOP
from vpbench.methods import cocoop
from vpbench.methods.cocoop import ConditionalContext
from vpbench.methods.coop import LearnedContext


@pytest.fixture(scope="module")
def pixels(clip, task):
    """Returns a few normalised images."""
    return clip.prepare(task.splits["test"].images[:5])


def built(clip, task):
    """Returns an untrained module."""
    torch.manual_seed(0)
    return ConditionalContext(clip, task, COCOOP)


def test_each_image_has_the_context_that_its_features_shift(clip, task, pixels):
    module, one = built(clip, task), LearnedContext(clip, task, COOP)
    unit = torch.nn.functional.normalize(clip.features(pixels), dim=-1)
    first, _, second = module.network
    found = module.logits(pixels)
    for number, image in enumerate(unit):
        shift = second.weight @ (first.weight @ image + first.bias).clamp(min=0) + second.bias
        with torch.no_grad():
            one.context.copy_(module.context + shift)
        expected = one.logits(pixels[number : number + 1])[0]
        torch.testing.assert_close(found[number], expected, atol=1e-3, rtol=1e-4)


def test_a_network_that_says_nothing_leaves_coop(clip, task, pixels):
    module = built(clip, task)
    torch.nn.init.zeros_(module.network[2].weight)
    torch.nn.init.zeros_(module.network[2].bias)
    expected = LearnedContext(clip, task, COOP).logits(pixels)
    torch.testing.assert_close(module.logits(pixels), expected, atol=1e-3, rtol=1e-4)


def test_texts_go_through_in_parts_with_the_same_logits_and_gradients(
    clip, task, pixels, monkeypatch
):
    sizes = []

    def logits_and_gradients(texts):
        monkeypatch.setattr(cocoop, "TEXTS", texts)
        module = built(clip, task)
        encode = module.texts.encode
        monkeypatch.setattr(module.texts, "encode", lambda x: sizes.append(len(x)) or encode(x))
        logits = module.logits(pixels)
        torch.nn.functional.cross_entropy(logits, torch.arange(5)).backward()
        return logits.detach(), [each.grad for each in module.parameters()]

    whole, gradients = logits_and_gradients(1000)
    assert sizes == [5]  # images; ten texts for each
    parts, others = logits_and_gradients(25)
    assert sorted(sizes[1:]) == [1, 1, 2, 2, 2, 2]  # computed again when gradients need it
    torch.testing.assert_close(parts, whole)
    for gradient, other in zip(gradients, others, strict=True):
        torch.testing.assert_close(other, gradient, atol=1e-5, rtol=1e-4)
    with torch.no_grad():
        torch.testing.assert_close(built(clip, task).logits(pixels), whole)
