import pytest
import torch

from tests.helpers.tiny import UPT
from vpbench.methods.upt import UnifiedPrompt, fit


@pytest.fixture
def module(clip, task):
    """Returns an untrained unified prompt."""
    torch.manual_seed(0)
    return UnifiedPrompt(clip, task, UPT)


@pytest.fixture(scope="module")
def pixels(clip, task):
    """Returns a few normalised images."""
    return clip.normalize(clip.scale_pixels(task.splits["test"].images[:4]))


def test_one_transformer_sees_the_tokens_of_both_towers(module):
    context, tokens = module.mixed()
    assert context.shape == (4, 64) and tokens.shape == (2, 3, 96)
    context[0].sum().backward()
    assert (module.tokens.grad.abs().sum(-1) > 0).all()  # the texts depend on the image's
    module.zero_grad()
    module.mixed()[1][1, 2].sum().backward()
    assert (module.context.grad.abs().sum(-1) > 0).all()


def test_its_layers_are_in_the_order_that_is_described(module):
    block = module.mixing.resblocks[0]
    x = torch.cat([module.context_in(module.context), module.tokens_in(module.tokens).view(6, 32)])
    y = block.ln_1(x)
    query, key, value = (y @ block.attn.in_proj_weight.t() + block.attn.in_proj_bias).chunk(3, 1)
    x = x + block.attn.out_proj((query @ key.t() / 32**0.5).softmax(1) @ value)
    inner = block.mlp.c_fc(block.ln_2(x))
    x = x + block.mlp.c_proj(inner * torch.sigmoid(1.702 * inner))  # CLIP's QuickGELU, not GELU
    context, tokens = module.mixed()
    torch.testing.assert_close(context, module.context_out(x[:4]), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(
        tokens, module.tokens_out(x[4:]).view(2, 3, 96), atol=1e-5, rtol=1e-4
    )


def test_both_towers_read_what_it_makes(module, clip, pixels):
    context, tokens = module.mixed()
    image = torch.nn.functional.normalize(module.tower.features(pixels, tokens), dim=-1)
    expected = clip.logit_scale * image @ module.texts.features(context).t()
    torch.testing.assert_close(module.logits(pixels), expected)
    plain = torch.nn.functional.normalize(clip.features(pixels), dim=-1)
    assert not torch.allclose(image, plain, atol=1e-2)


def test_its_tokens_start_as_those_of_coop_and_vpt(clip, task):
    torch.manual_seed(0)
    module = UnifiedPrompt(clip, task, UPT | {"image_tokens": 100, "depth": None})
    assert module.tokens.shape == (4, 100, 96)
    assert 0.144 < module.tokens.abs().max() <= 0.14434
    assert module.context.detach().std() == pytest.approx(0.02, rel=0.15)


def test_a_width_that_its_heads_cannot_share_is_refused(clip, task):
    with pytest.raises(ValueError, match="^width: 32 cannot be divided among 3 heads$"):
        fit(clip, task, UPT | {"heads": 3}, seed=0)
