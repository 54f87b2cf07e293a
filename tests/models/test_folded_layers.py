import timm
import torch
from open_clip.modified_resnet import ModifiedResNet
from open_clip.transformer import QuickGELU, VisionTransformer
from pytest import mark
from timm.layers import StdConv2d
from torch import nn

from vpbench.compute.engine import cast
from vpbench.lab.micro_backbones import build_classifier, build_clip
from vpbench.models.folded_layers import folded
from vpbench.models.vision_transformer import streamline

MODELS = {
    "resnet": lambda: build_classifier("rn50_micro", 7),
    "resnext": lambda: build_classifier("instagram_micro", 7),
    "bit": lambda: build_classifier("bit_m_micro", 7),
    "efficientnet": lambda: timm.create_model("efficientnet_lite0", num_classes=7),
    "clip": lambda: streamline(VisionTransformer(64, 16, 32, 2, 4, 2, 16, act_layer=QuickGELU)),
    "clip_resnet": lambda: ModifiedResNet((1, 1, 1, 1), 8, 4, image_size=64, width=16),
}


def build(name):
    """Returns a model whose batch norms are not the identity, as those of a trained one."""
    torch.manual_seed(0)
    model = MODELS[name]().eval().requires_grad_(False)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d | nn.GroupNorm):
            nn.init.normal_(module.weight, 1, 0.1)
            nn.init.normal_(module.bias, 0, 0.1)
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, 0, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 2)
    return model


@mark.parametrize("name", MODELS)
def test_a_folded_model_gives_the_same_outputs_and_gradients_in_fewer_operations(name):
    model = build(name).double()  # where rounding does not hide a difference
    images = torch.randn(2, 3, 64, 64, dtype=torch.double)
    expected, found = images.clone().requires_grad_(), images.clone().requires_grad_()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    logits, others = model(expected), folded(model)(found)
    torch.testing.assert_close(others, logits)
    logits.square().sum().backward()
    others.square().sum().backward()
    torch.testing.assert_close(found.grad, expected.grad)
    kinds = {type(module) for module in folded(model).modules()}
    assert not any(issubclass(kind, nn.BatchNorm2d | StdConv2d | QuickGELU) for kind in kinds)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_a_model_with_nothing_to_fold_is_not_copied():
    model = build_clip(20).visual
    assert folded(model) is model


@mark.parametrize("name", ["clip", "resnet", "bit"])
def test_autocast_gives_the_same_numbers_with_weights_that_were_cast_before(name):
    model = streamline(build_clip(20).visual) if name == "clip" else folded(build(name))
    model.eval().requires_grad_(False)
    images = torch.randn(2, 3, 56, 56)
    once = cast(model, torch.bfloat16)
    assert torch.bfloat16 in {parameter.dtype for parameter in once.parameters()}
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(once(images), model(images))
