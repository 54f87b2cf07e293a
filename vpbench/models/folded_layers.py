"""What a frozen model need not compute at every step: it is put into its weights, once."""

import copy
from typing import Any

import torch
import torch.nn.functional as F
from timm.layers import BatchNormAct2d, StdConv2d
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

QUICK_GELU = 1.702  # the factor in x sigmoid(1.702 x)


def folded(model: nn.Module) -> nn.Module:
    """Returns a frozen model with the outputs of `model`, but for rounding, in fewer operations.

    Batch norm goes into the convolution before it, the factor of a QuickGELU into the layers around
    it, and weights that a convolution standardises are standardised. A model without any of them is
    returned as it is, any other as a copy.
    """
    if not any(
        isinstance(module, nn.BatchNorm2d | StdConv2d) or is_quick_gelu(module)
        for module in model.modules()
    ):
        return model
    model = copy.deepcopy(model)
    for module in list(model.modules()):
        children = list(module.named_children())
        for name, child in children:
            if type(child) is StdConv2d:
                setattr(module, name, standardised(child))
        # Where these libraries put the two beside each other, one is computed after the other.
        for (name, child), (next_name, norm) in zip(children, children[1:]):
            if (
                type(child) is nn.Conv2d
                and isinstance(norm, nn.BatchNorm2d)
                and norm.running_mean is not None  # else it is another function of every batch
                and norm.num_features == child.out_channels
            ):
                setattr(module, name, fuse_conv_bn_eval(child, norm))
                setattr(module, next_name, after(norm))
        for (_, before), (name, child), (_, behind) in zip(children, children[1:], children[2:]):
            if is_quick_gelu(child) and all(type(each) is nn.Linear for each in (before, behind)):
                scale_quick_gelu(before, behind)
                setattr(module, name, nn.SiLU())
    return model.eval().requires_grad_(False).to(memory_format=torch.channels_last)


def standardised(convolution: Any) -> nn.Conv2d:
    """Returns the plain convolution that timm's weight-standardising one is, its weights fixed."""
    weight = convolution.weight
    rows = weight.detach().reshape(1, len(weight), -1)
    rows = F.batch_norm(rows, None, None, training=True, momentum=0.0, eps=convolution.eps)
    plain = nn.Conv2d(
        convolution.in_channels, convolution.out_channels, convolution.kernel_size,
        convolution.stride, convolution.padding, convolution.dilation, convolution.groups,
        convolution.bias is not None, device=weight.device, dtype=weight.dtype,
    )  # fmt: skip
    plain.load_state_dict(convolution.state_dict() | {"weight": rows.reshape_as(weight)})
    return plain


def after(norm: nn.BatchNorm2d) -> nn.Module:
    """Returns what is left of a batch norm that a convolution has taken in."""
    return nn.Sequential(norm.drop, norm.act) if isinstance(norm, BatchNormAct2d) else nn.Identity()


def is_quick_gelu(module: nn.Module) -> bool:
    """Returns whether a module is open_clip's QuickGELU, x sigmoid(1.702 x), told by its name: a
    run without a CLIP does not import open_clip."""
    return type(module).__name__ == "QuickGELU"


def scale_quick_gelu(before: Any, behind: Any) -> None:
    """Makes the linear layers around a QuickGELU fit a SiLU: one operation in place of three.

    x sigmoid(1.702 x) = SiLU(1.702 x) / 1.702.
    """
    for scaled in (before.weight, before.bias):
        scaled.data *= QUICK_GELU
    behind.weight.data /= QUICK_GELU
