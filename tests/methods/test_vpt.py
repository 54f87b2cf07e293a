import math
from dataclasses import replace

import pytest
import torch

from tests.helpers.tiny import VPT
from vpbench.methods.vpt import LearnedTokens, fit, linear_head
from vpbench.prompts.token import PromptedTower, initial_tokens

PATCHES = 7 * 7


@pytest.fixture(scope="module")
def pixels(clip, task):
    """Returns a few normalised images."""
    return clip.normalize(clip.scale_pixels(task.splits["test"].images[:4]))


def read_by(prompted, pixels, tokens):
    """Returns what each layer reads of the images [N, L, W], and what it makes of it."""
    read, made = [], []
    hooks = [
        block.register_forward_hook(lambda _, x, y: read.append(x[0]) or made.append(y))
        for block in prompted.tower.transformer.resblocks
    ]
    prompted.features(pixels, tokens)
    for hook in hooks:
        hook.remove()
    return read, made


def test_tokens_enter_after_the_class_token_and_are_new_in_deep_layers(clip, pixels):
    tower = PromptedTower(clip)
    plain, _ = read_by(tower, pixels, torch.zeros(0, 0, 96))
    tokens = torch.randn(3, 5, 96)
    read, made = read_by(tower, pixels, tokens)
    assert [tuple(each.shape) for each in read] == [(4, 1 + 5 + PATCHES, 96)] * 4
    torch.testing.assert_close(read[0][:, :1], plain[0][:, :1])
    torch.testing.assert_close(read[0][:, 6:], plain[0][:, 1:])
    for layer in range(3):
        assert torch.equal(read[layer][:, 1:6], tokens[layer].expand(4, -1, -1))
    for layer in (1, 2):
        assert torch.equal(read[layer][:, 6:], made[layer - 1][:, 6:])
    assert torch.equal(read[3], made[2])  # there were none for the last layer


def test_shallow_tokens_are_carried_on(clip, pixels):
    tokens = torch.randn(1, 5, 96)
    read, made = read_by(PromptedTower(clip), pixels, tokens)
    assert torch.equal(read[0][:, 1:6], tokens.expand(4, -1, -1))
    assert all(torch.equal(read[layer], made[layer - 1]) for layer in (1, 2, 3))


def test_the_features_are_those_of_the_class_token_written_out(clip, pixels):
    tokens, tower = torch.randn(4, 5, 96), clip.model.visual
    x = tower.conv1(pixels).flatten(2).transpose(1, 2)
    x = torch.cat([tower.class_embedding.expand(4, 1, -1), x], 1) + tower.positional_embedding
    x = tower.ln_pre(x)
    for layer, block in enumerate(tower.transformer.resblocks):
        patches = x[:, -PATCHES:]
        x = block(torch.cat([x[:, :1], tokens[layer].expand(4, -1, -1), patches], 1))
    expected = tower.ln_post(x[:, 0]) @ tower.proj
    found = PromptedTower(clip).features(pixels, tokens)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_before_the_norm_the_tokens_of_the_first_layer_alone_go_through_it(clip, pixels):
    tokens, norm = torch.randn(3, 5, 96), clip.model.visual.ln_pre
    read, _ = read_by(PromptedTower(clip, "before_norm"), pixels, tokens)
    after, _ = read_by(PromptedTower(clip), pixels, tokens)
    normed = torch.nn.functional.layer_norm(tokens[0], (96,), norm.weight, norm.bias, norm.eps)
    torch.testing.assert_close(read[0][:, 1:6], normed.expand(4, -1, -1))
    torch.testing.assert_close(read[0][:, 6:], after[0][:, 6:])
    assert [tuple(each.shape) for each in read] == [(4, 1 + 5 + PATCHES, 96)] * 4
    assert torch.equal(read[1][:, 1:6], tokens[1].expand(4, -1, -1))
    assert torch.equal(read[2][:, 1:6], tokens[2].expand(4, -1, -1))


def test_the_place_of_the_tokens_is_a_setting(clip, task, pixels):
    torch.manual_seed(0)
    module = LearnedTokens(clip, task, VPT | {"tokens_at": "before_norm"})
    expected = PromptedTower(clip, "before_norm").features(pixels, module.tokens)
    torch.testing.assert_close(module.tower.features(pixels, module.tokens), expected)
    assert not torch.allclose(PromptedTower(clip).features(pixels, module.tokens), expected)


@pytest.mark.parametrize("at", ["after_norm", "before_norm"])
@pytest.mark.parametrize("shape", [(4, 0, 96), (0, 5, 96)])
def test_no_tokens_leave_the_tower_as_it_is(clip, pixels, shape, at):
    found = PromptedTower(clip, at).features(pixels, torch.zeros(shape))
    torch.testing.assert_close(found, clip.features(pixels))


def test_the_backbone_keeps_its_own_tower_and_its_weights_are_there_once(clip, pixels):
    before = clip.features(pixels)
    tower = PromptedTower(clip)
    tower.features(pixels, torch.randn(4, 5, 96))
    assert torch.equal(clip.features(pixels), before)
    own, shared = clip.model.visual.state_dict(), tower.tower.state_dict()
    assert own.keys() == shared.keys()
    assert all(own[name].data_ptr() == shared[name].data_ptr() for name in own)


def test_tokens_start_within_the_range_of_vpt(clip):
    tokens = initial_tokens(clip, 50, None)
    assert tokens.shape == (4, 50, 96)
    bound = 0.1443376  # sqrt(6 / (3 * 8 * 8 + 96))
    assert 0.999 * bound < tokens.abs().max() <= bound
    assert tokens.std() == pytest.approx(bound / math.sqrt(3), rel=0.02)
    assert initial_tokens(clip, 50, None, "normal").std() == pytest.approx(0.02, rel=0.02)
    assert initial_tokens(clip, 50, 1).shape == (1, 50, 96)


def test_tokens_for_more_layers_than_there_are_are_refused(clip, task):
    with pytest.raises(ValueError, match="^depth: 12 layers, but clip_micro has 4; take fewer$"):
        fit(clip, task, VPT | {"depth": 12}, seed=0)


def test_the_text_head_compares_with_the_template_of_the_settings(clip, task, pixels):
    module = LearnedTokens(clip, task, VPT)
    texts = [f"This is a photo of a {name.lower()}" for name in task.class_names]
    unit = torch.nn.functional.normalize(module.tower.features(pixels, module.tokens), dim=-1)
    expected = clip.logit_scale * unit @ clip.text_features(texts).t()
    torch.testing.assert_close(module.logits(pixels), expected, atol=1e-3, rtol=1e-4)


def test_the_text_head_reads_class_names_as_coop_and_maple_do(clip, task, monkeypatch):
    read, names = [], ("hard-leaved_orchid", *task.class_names[1:])
    features = torch.eye(10, 64)
    monkeypatch.setattr(clip, "class_features", lambda texts: read.extend(texts) or features)
    LearnedTokens(clip, replace(task, class_names=names, template="a photo of a {}."), VPT)
    assert read[0] == "a photo of a hard-leaved orchid."


def test_a_linear_head_is_learned_with_the_tokens(clip, task):
    found = fit(clip, task, VPT | {"head": "linear", "depth": 1, "epochs": 1}, seed=0)
    assert found.trained_parameters == 5 * 96 + 64 * 10 + 10
    torch.manual_seed(0)
    head = linear_head(64, 50)
    assert head.weight.detach().std() == pytest.approx(math.sqrt(2 / 50), rel=0.03)
    assert not head.bias.any()


def test_dropout_is_drawn_for_each_image_and_not_in_an_evaluation(clip, task, pixels):
    torch.manual_seed(0)
    module = LearnedTokens(clip, task, VPT | {"dropout": 0.5})
    same = pixels[:1].expand(4, -1, -1, -1)
    assert not torch.allclose(module.logits(same)[0], module.logits(same)[1], atol=1e-3)
    module.eval()
    torch.testing.assert_close(module.logits(same)[0], module.logits(same)[1])
