import pytest
import torch
from open_clip.transformer import ResidualAttentionBlock
from torch import nn

from vpbench.lab.micro_backbones import build_clip
from vpbench.models.vision_transformer import (
    ClassTokenBlock,
    PatchEmbedding,
    SelfAttention,
    attended,
    streamline,
)


@pytest.fixture
def attention():
    """Returns PyTorch's own attention with weights and biases that are not zero."""
    torch.manual_seed(0)
    own = nn.MultiheadAttention(12, 3, batch_first=True)
    nn.init.normal_(own.in_proj_bias)
    nn.init.normal_(own.out_proj.bias)
    return own


@pytest.mark.parametrize("masked", [False, True])
def test_attention_gives_what_pytorchs_own_gives(attention, masked):
    tokens = torch.randn(2, 5, 12)
    mask = torch.full((5, 5), float("-inf")).triu(1) if masked else None
    expected, _ = attention(tokens, tokens, tokens, need_weights=False, attn_mask=mask)
    (found,) = SelfAttention(attention)(tokens, attn_mask=mask)
    torch.testing.assert_close(found, expected)


def test_attention_gives_the_gradients_that_pytorchs_own_gives(attention):
    tokens = torch.randn(2, 5, 12, requires_grad=True)
    attention(tokens, tokens, tokens, need_weights=False)[0].square().sum().backward()
    expected = tokens.grad, attention.in_proj_weight.grad
    tokens.grad = attention.in_proj_weight.grad = None
    SelfAttention(attention)(tokens)[0].square().sum().backward()
    torch.testing.assert_close((tokens.grad, attention.in_proj_weight.grad), expected)


def test_the_first_token_attends_to_all_as_it_does_among_them(attention):
    tokens = torch.randn(2, 5, 12)
    own = SelfAttention(attention)
    torch.testing.assert_close(own.of_first(tokens), own(tokens)[0][:, :1])


@pytest.mark.parametrize("first", [False, True])
def test_attention_in_bf16_is_that_in_fp32_but_for_rounding_and_so_are_its_gradients(first):
    torch.manual_seed(0)
    own = [torch.randn(2, 3, length, 8) for length in (1 if first else 5, 5, 5)]
    plain = [each.clone().requires_grad_() for each in own]
    rough = [each.to(torch.bfloat16).requires_grad_() for each in own]
    expected, found = attended(*plain), attended(*rough)
    for heads in (expected, found):
        heads.square().sum().backward()
    assert found.dtype == torch.bfloat16 and found.shape == expected.shape
    rounded = {"atol": 0.05, "rtol": 0.05}  # bf16 has 8 bits
    torch.testing.assert_close(found.float(), expected, **rounded)
    for one, other in zip(rough, plain, strict=True):
        torch.testing.assert_close(one.grad.float(), other.grad, **rounded)


@pytest.mark.parametrize("scaled", [None, 0.5])
def test_a_block_for_the_class_token_gives_its_value_and_gradients(scaled):
    torch.manual_seed(0)
    block = ResidualAttentionBlock(12, 3, ls_init_value=scaled).eval()
    tokens = torch.randn(2, 5, 12, requires_grad=True)
    block(tokens)[:, 0].square().sum().backward()
    expected = {name: value.grad for name, value in block.named_parameters()}
    gradient, value = tokens.grad, block(tokens)[:, :1].detach()
    block.zero_grad()
    tokens.grad, block.attn = None, SelfAttention(block.attn)
    alone = ClassTokenBlock(block)
    assert set(alone.state_dict()) == set(block.state_dict())
    torch.testing.assert_close(alone(tokens).detach(), value)
    alone(tokens)[:, 0].square().sum().backward()
    torch.testing.assert_close(tokens.grad, gradient)
    found = {name: value.grad for name, value in alone.named_parameters()}
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value)


def test_a_tower_whose_other_tokens_are_read_keeps_its_last_block():
    clip = build_clip(20)
    clip.visual.output_tokens = True
    assert not isinstance(streamline(clip.visual).transformer.resblocks[-1], ClassTokenBlock)


@pytest.mark.parametrize("bias", [False, True])
def test_a_patch_embedding_gives_what_the_convolution_gives(bias):
    torch.manual_seed(0)
    convolution = nn.Conv2d(3, 5, 4, stride=4, bias=bias)
    images = torch.randn(2, 3, 8, 12)
    torch.testing.assert_close(PatchEmbedding(convolution)(images), convolution(images))


def test_a_clip_tower_says_the_same_when_it_is_streamlined():
    torch.manual_seed(0)
    clip = build_clip(20).eval()
    images = torch.randn(2, 3, 56, 56)
    with torch.no_grad():
        expected = clip.encode_image(images)
        streamline(clip.visual)
        torch.testing.assert_close(clip.encode_image(images), expected)
