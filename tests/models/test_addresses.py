"""Models of timm and open_clip by name: their weights from a file put here, or one line."""

import hashlib

import open_clip
import pytest
import timm
import torch
from safetensors.torch import save_file

from tests.helpers.messages import holds
from tests.helpers.refused import refused
from vpbench.common.errors import UserError
from vpbench.models.addresses import published_by_open_clip, published_by_timm
from vpbench.models.backbone import load_backbone

pytestmark = pytest.mark.usefixtures("weights")


def test_a_model_of_timm_goes_by_its_name_and_has_the_weights_of_the_file(weights):
    torch.manual_seed(0)
    model = timm.create_model("test_resnet").eval()
    file = weights / "test_resnet.r160_in1k.safetensors"
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, file)
    backbone = load_backbone("timm:test_resnet")
    assert backbone.name == backbone.address == "timm:test_resnet.r160_in1k"
    assert backbone.weights_hash == hashlib.sha256(file.read_bytes()).hexdigest()
    assert backbone.preprocessing.crop == 160 and backbone.source_count == 1000
    assert backbone.source_classes[:2] == ("tench", "goldfish")
    x = torch.randn(2, 3, 160, 160)
    with torch.no_grad():
        torch.testing.assert_close(backbone.logits(x), model(x), rtol=1e-5, atol=1e-5)
    again = load_backbone(backbone.address)
    assert again.weights_hash == backbone.weights_hash and again.modality == "vision"


def test_a_model_of_open_clip_goes_by_its_architecture_and_tag(weights, monkeypatch):
    tower = {"layers": 1, "width": 64, "head_width": 32, "patch_size": 16, "image_size": 32}
    words = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
    config = {"embed_dim": 16, "vision_cfg": tower, "text_cfg": words}
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "ViT-B-32", config)
    torch.manual_seed(0)
    model = open_clip.create_model("ViT-B-32", force_quick_gelu=True).eval()
    file = weights / "ViT-B-32-openai.safetensors"
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, file)
    backbone = load_backbone("open_clip:ViT-B-32/openai")
    assert backbone.name == backbone.address == "open_clip:ViT-B-32/openai"
    assert backbone.weights_hash == hashlib.sha256(file.read_bytes()).hexdigest()
    assert backbone.token_towers == ("text", "image") and backbone.image_size == 32
    expected = torch.tensor([0.48145466, 0.4578275, 0.40821073])
    torch.testing.assert_close(backbone.mean.flatten(), expected)
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():  # with the QuickGELU that these weights need
        torch.testing.assert_close(backbone.features(x), model.encode_image(x))


def test_the_files_are_those_that_the_libraries_would_read():
    found = published_by_timm("convnext_tiny.fb_in1k")
    assert found[2:] == ("timm/convnext_tiny.fb_in1k", "model.safetensors")
    found = published_by_open_clip("ViT-B-32", "laion2b_s34b_b79k")
    assert found[2:] == ("laion/CLIP-ViT-B-32-laion2B-s34B-b79K", "open_clip_model.safetensors")


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        (
            "timm:convnext_tiny",
            ("model.safetensors", "https://huggingface.co/timm/convnext_tiny.in12k_ft_in1k"),
        ),
        (
            "open_clip:ViT-B-32/laion2b_s34b_b79k",
            ("open_clip_model.safetensors", "laion/CLIP-ViT-B-32-laion2B-s34B-b79K"),
        ),
    ],
)
def test_offline_one_line_says_which_file_to_put_where(weights, name, facts):
    message = refused(UserError, load_backbone, name)
    stem = name.partition(":")[2].replace("/", "-")
    holds(message, name, "none from the hub", *facts)
    assert f"{weights}/{stem}" in message and message.endswith(".safetensors")


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("timm:convnext_tinny", ("timm has no model", "did you mean", "convnext_tiny")),
        ("timm:resnet18.tv_in1", ("resnet18", "did you mean", "tv_in1k")),
        ("open_clip:ViT-B-32/laion", ("open_clip has no weights", "did you mean", "ViT-B-32/")),
        ("open_clip:ViT-B-32", ("open_clip has no weights",)),
        ("timm:", ("timm has no model",)),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest_ones(name, facts):
    message = refused(UserError, load_backbone, name)
    holds(message, *facts)
    assert len(message) < 300


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"fc.bias": None}, "fc.bias"), ({"fc.bias": torch.full((1000,), torch.nan)}, "not finite")],
)
def test_a_file_of_other_tensors_is_refused(weights, changes, words):
    state = timm.create_model("test_resnet").state_dict() | changes
    file = weights / "test_resnet.r160_in1k.safetensors"
    save_file({k: v.contiguous() for k, v in state.items() if v is not None}, file)
    holds(refused(UserError, load_backbone, "timm:test_resnet"), file, words)
