"""The parts of a vision transformer whose memory layout costs time: the same functions, faster.

They keep the weights they are given. On a CPU a step of a micro-CLIP's prompt takes a quarter less.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SelfAttention(nn.Module):
    """What an `nn.MultiheadAttention` computes where queries, keys and values are one tensor.

    PyTorch's own turns the batch [N, L, D] behind the sequence and back, so that its projections
    work on scattered memory.
    """

    multiplies = True  # its weights are factors of products: see compute.engine.cast

    def __init__(self, attention: nn.MultiheadAttention) -> None:
        super().__init__()
        self.heads = attention.num_heads
        self.in_proj_weight, self.in_proj_bias = attention.in_proj_weight, attention.in_proj_bias
        self.out_proj = attention.out_proj

    def forward(
        self,
        x: Tensor,
        key: Tensor | None = None,
        value: Tensor | None = None,
        need_weights: bool = False,
        attn_mask: Tensor | None = None,
    ) -> tuple[Tensor]:
        """Returns a tuple with the attended tokens [N, L, D], as `nn.MultiheadAttention` does."""
        query, keys, values = self.split(F.linear(x, self.in_proj_weight, self.in_proj_bias), 3)
        heads = attended(query, keys, values, attn_mask)
        return (self.out_proj(heads.transpose(1, 2).reshape(x.shape)),)

    def of_first(self, x: Tensor) -> Tensor:
        """Returns what the first token [N, 1, D] alone attends to among tokens [N, L, D]."""
        width, first = x.shape[-1], x[:, :1]
        weight, bias = self.in_proj_weight, self.in_proj_bias
        (query,) = self.split(F.linear(first, weight[:width], bias[:width]), 1)
        key, value = self.split(F.linear(x, weight[width:], bias[width:]), 2)
        heads = attended(query, key, value)
        attended_to: Tensor = self.out_proj(heads.transpose(1, 2).reshape(first.shape))
        return attended_to

    def split(self, projected: Tensor, parts: int) -> list[Tensor]:
        """Returns `parts` tensors [N, heads, L, D / heads] of projected tokens [N, L, parts * D].

        They are taken apart where they lie, so that their gradients, put together again, lie as
        the tokens do and need not be copied.
        """
        heads = projected.unflatten(2, (parts, self.heads, -1)).unbind(2)
        return [each.transpose(1, 2) for each in heads]


def attended(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """Returns softmax(query key' / sqrt(D) + mask) value of [N, heads, L, D], in one operation.

    In bf16 on a CPU it is several: the way back through that one takes longer than in fp32, six
    times as long as its products.
    """
    if mask is None and query.dtype == torch.bfloat16 and query.device.type == "cpu":
        weights = (query @ key.mT * query.shape[-1] ** -0.5).softmax(-1)
        return weights @ value
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)


class ClassTokenBlock(nn.Module):
    """A transformer's last block where only the class token is read after it.

    It computes that token alone: of a ViT-B/32 that saves a fourteenth, of the micro-CLIP a fifth
    of all products, forward and backward.
    """

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.ln_1, self.attn, self.ls_1 = block.ln_1, block.attn, block.ls_1
        self.ln_2, self.mlp, self.ls_2 = block.ln_2, block.mlp, block.ls_2

    def forward(self, x: Tensor, attn_mask: Tensor | None = None) -> Tensor:
        """Returns the class token [N, 1, D] of tokens [N, L, D]."""
        x = x[:, :1] + self.ls_1(self.attn.of_first(self.ln_1(x)))
        return x + self.ls_2(self.mlp(self.ln_2(x)))


class PatchEmbedding(nn.Module):
    """What an `nn.Conv2d` computes whose stride is its kernel: one product of the patches."""

    multiplies = True

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.weight, self.bias = convolution.weight, convolution.bias
        self.size = convolution.kernel_size[0]

    def forward(self, x: Tensor) -> Tensor:
        """Returns [N, D, H / size, W / size]."""
        count, channels, height, width = x.shape
        rows, columns = height // self.size, width // self.size
        patches = x.reshape(count, channels, rows, self.size, columns, self.size)
        patches = patches.permute(0, 2, 4, 1, 3, 5).reshape(count, rows, columns, -1)
        return F.linear(patches, self.weight.flatten(1), self.bias).permute(0, 3, 1, 2)


def token_towers(model: Any) -> tuple[str, ...]:
    """Returns which towers of a model take learned tokens as open_clip's CLIP does: text, image."""
    from open_clip.model import CLIP  # late: a run with a classifier has no need of it
    from open_clip.transformer import VisionTransformer

    text = isinstance(model, CLIP) and model.text_pool_type == "argmax"
    image = isinstance(model.visual, VisionTransformer) and model.visual.pool_type == "tok"
    return ("text",) * text + ("image",) * image


def streamline(tower: Any) -> nn.Module:
    """Returns `tower` with these parts in place of its own, if it is open_clip's transformer.

    CLIP's ResNets and SigLIP's tower, which is timm's, stay as they are, and so do transformers of
    open_clip whose attention is not PyTorch's.
    """
    if not hasattr(tower, "transformer"):
        return tower
    blocks = getattr(tower.transformer, "resblocks", ())
    if not blocks or any(type(block.attn) is not nn.MultiheadAttention for block in blocks):
        return tower
    tower.conv1 = PatchEmbedding(tower.conv1)
    for block in blocks:
        block.attn = SelfAttention(block.attn)
    if tower.pool_type == "tok" and tower.attn_pool is None and not tower.output_tokens:
        blocks[-1] = ClassTokenBlock(blocks[-1])
    return tower
