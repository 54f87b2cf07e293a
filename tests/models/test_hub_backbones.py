"""The real architectures, one at a time, with random weights in files of their own.

Those in SLOW take half a minute and gigabytes: `pytest -m slow`.
"""

import hashlib
import math
import shutil

import numpy as np
import open_clip
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from tests.helpers.messages import holds
from tests.helpers.refused import refused
from tests.helpers.tiny import spec
from vpbench.common.errors import UserError
from vpbench.data.task import Split, Task
from vpbench.experiment import run as run_module
from vpbench.models import hub_backbones
from vpbench.models.backbone import load_backbone
from vpbench.models.vision_transformer import SelfAttention, streamline
from vpbench.prompts.build import build_prompt, part
from vpbench.prompts.label_maps import label_map
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.preprocessing import Preprocessing, preprocess

ORIGINAL = [*hub_backbones.CLIPS, *hub_backbones.CLASSIFIERS]
FIGURE_9 = (  # appendix A.1 of the paper
    *("clip_rn50", "clip_rn101", "clip_vit_b32", "clip_vit_b16"),
    *("instagram_32x8d", "instagram_32x16d"),
    *("bit_m_r50x1", "bit_m_r101x1", "bit_m_r50x3", "bit_m_r101x3"),
    *("rn18", "rn50", "rn101", "rn152"),
)
QUICK = ("rn18", "clip_vit_b32", "bit_m_r50x1")
# Millions of parameters and 1e9 operations (2 x multiply-adds) of an image. CLIP and SigLIP:
# open_clip's own docs/model_profile.csv, columns mparams and image_gflops. ResNets: torchvision's
# table of classification weights. ResNeXt and BiT-M: the model cards of timm on the hub.
PUBLISHED = {
    "clip_vit_b32": (151.28, 8.82),
    "clip_vit_b16": (149.62, 35.13),
    "clip_rn50": (102.01, 12.22),
    "clip_rn101": (119.69, 19.54),
    "clip_vit_l14": (427.62, 162.03),
    "siglip_vit_b16": (203.16, 35.42),
    "instagram_32x8d": (88.8, 33.0),
    "instagram_32x16d": (194.0, 72.6),
    "bit_m_r50x1": (68.3, 8.6),
    "bit_m_r101x1": (87.2, 16.2),
    "bit_m_r101x3": (516.0, 142.8),
    "rn18": (11.69, 3.63),
    "rn50": (25.56, 8.18),
    "rn101": (44.55, 15.6),
    "rn152": (60.19, 23.03),
}


def slow(names, quick=QUICK):
    """Returns the names as parameters of a test, all but the `quick` ones marked slow."""
    return [pytest.param(name, marks=() if name in quick else pytest.mark.slow) for name in names]


@pytest.fixture(scope="module")
def meta():
    """Returns a function from a name to its model without weights, which takes no memory."""

    def build(name):
        with torch.device("meta"):
            return hub_backbones.build(name)

    return build


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Returns an empty folder of weights."""
    folder = tmp_path_factory.mktemp("weights")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VPBENCH_WEIGHTS", str(folder))
        yield folder


def random_values(name, value):
    """Returns values in half for the tensor `name` of a model, such that signals keep their size.

    They are a short row of random numbers, again and again: half a billion would take long.
    """
    if not value.is_floating_point():
        return torch.zeros(value.shape, dtype=value.dtype)
    if value.ndim < 2:
        one = name.endswith(("weight", "running_var", "gamma", "scale"))
        return torch.full(value.shape, float(one)).half()
    row = torch.randn(100_003, generator=torch.Generator().manual_seed(len(name)))
    copies = -(-value.numel() // len(row))
    scale = math.prod(value.shape[1:]) ** -0.5
    return (row * scale).half().repeat(copies)[: value.numel()].view(value.shape).clone()


@pytest.fixture(scope="module")
def backbone(request, weights):
    """Returns the backbone `request.param`, loaded from a file of random weights in half."""
    file = weights / f"{request.param.removesuffix('_zero_head')}.safetensors"
    with torch.device("meta"):
        shapes = hub_backbones.build(request.param).state_dict()
    save_file({name: random_values(name, value) for name, value in shapes.items()}, file)
    yield load_backbone(request.param)
    file.unlink()


@pytest.fixture(scope="module")
def small_task():
    """Returns two classes of two images that differ."""
    rng = np.random.default_rng(0)

    def split(name, count):
        images = torch.from_numpy(rng.integers(0, 256, (count, 224, 224, 3), dtype=np.uint8))
        ids = tuple(f"{name}/{number}" for number in range(count))
        return Split(images, torch.arange(count) % 2, ids)

    facts = {"published": None, "metric": "accuracy", "shift": False, "paper_validation": False}
    splits = {"train": split("train", 2), "test": split("test", 2)}
    return Task("pair", "Pair", ("cat", "dog"), "This is a photo of a {}", splits, facts)


def settings_of(name):
    """Returns what differs from the tiny recipe: one step of a prompt of the paper's size."""
    vision = name in hub_backbones.CLASSIFIERS
    changes = {"size": 30, "epochs": 1, "batch_size": 2, "eval_epochs": [1], "warm_up": 0.0}
    return changes | {"label_map": "hard_coded" if vision else "text"}


def run(method, name, backbone, task, **changes):
    """Returns (record, fit) of a run."""
    own = spec(method, name, "pair", **changes)
    record, _, fit = run_module.run(own, task, backbone)
    return record, fit


def moved(state):
    """Returns whether the tensors of a prompt differ from those that its seed drew."""
    start = build_prompt("padding", 224, 30, generator=torch.Generator().manual_seed(0))
    return not all(torch.equal(state[key], value) for key, value in start.state_dict().items())


def test_all_architectures_of_figure_9_are_there():
    assert len(set(FIGURE_9)) == 14 and set(FIGURE_9) <= set(ORIGINAL)
    own = {n for n, e in BACKBONES.items() if e.module == hub_backbones.__name__}
    assert own == set(ORIGINAL)


def test_the_weights_of_instagram_are_not_for_commerce():
    licences = {name: BACKBONES[name].licence for name in ORIGINAL}
    own = {name: licence for name, licence in licences.items() if licence == "CC-BY-NC-4.0"}
    assert set(own) == {"instagram_32x8d", "instagram_32x16d"}


@pytest.mark.parametrize("name", ORIGINAL)
def test_the_listed_facts_are_those_of_the_model(name, meta):
    model, entry = meta(name), BACKBONES[name]
    assert sum(p.numel() for p in model.parameters()) == entry.parameters
    if name in hub_backbones.CLASSIFIERS:
        assert model.num_classes == entry.source_classes
        cfg = timm.get_pretrained_cfg(hub_backbones.CLASSIFIERS[name])
        assert entry.hub == f"{cfg.hf_hub_id}/model.safetensors"
        assert entry.licence.lower() == cfg.license
    else:
        cfg = open_clip.get_pretrained_cfg(*hub_backbones.CLIPS[name])
        assert entry.hub == cfg["hf_hub"] + open_clip.constants.HF_SAFE_WEIGHTS_NAME
        assert entry.source_classes is None


@pytest.mark.parametrize("name", ORIGINAL)
def test_an_image_costs_the_operations_that_are_listed(name, meta):
    from torch.utils.flop_counter import FlopCounterMode

    model = meta(name).eval().requires_grad_(False)
    tower = model if name in hub_backbones.CLASSIFIERS else model.visual
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        tower(torch.empty(1, 3, 224, 224, device="meta"))
    assert counter.get_total_flops() / 1e9 == pytest.approx(BACKBONES[name].gflops, rel=0.01)


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_and_operations_are_the_published_ones(name):
    parameters, gflops = PUBLISHED[name]
    assert BACKBONES[name].parameters / 1e6 == pytest.approx(parameters, rel=0.001)
    # The cards of BiT-M count its normalisations as well.
    assert BACKBONES[name].gflops == pytest.approx(gflops, rel=0.05)


def library_transform(name):
    """Returns the evaluation transform that open_clip or timm gives to a model."""
    if name in hub_backbones.CLIPS:
        from open_clip import get_pretrained_cfg
        from open_clip.transform import PreprocessCfg, image_transform_v2, merge_preprocess_kwargs

        facts = get_pretrained_cfg(*hub_backbones.CLIPS[name])
        cfg = merge_preprocess_kwargs(PreprocessCfg(), **facts)
        return image_transform_v2(PreprocessCfg(**cfg), is_train=False)
    # The official script feeds BiT-M like its ResNet-50.
    source = "rn50" if name == hub_backbones.ZERO_HEAD else name
    cfg = timm.get_pretrained_cfg(hub_backbones.CLASSIFIERS[source]).to_dict()
    return timm.data.create_transform(**timm.data.resolve_data_config(pretrained_cfg=cfg))


@pytest.mark.parametrize("size", [(301, 257), (640, 255), (41, 97), (224, 224), (225, 500)])
@pytest.mark.parametrize("name", ["clip_vit_b32", "siglip_vit_b16", "rn50", "bit_m_r50x1"])
def test_an_image_reaches_the_model_as_through_the_library(name, size):
    noise = np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    pixels = preprocess(image, Preprocessing(*BACKBONES[name].preprocessing))
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in hub_backbones.normalization(name))
    found = (torch.tensor(pixels).permute(2, 0, 1).float() / 255 - mean) / std
    # A level of one pixel would be a difference of 0.008 at least.
    torch.testing.assert_close(found, library_transform(name)(image), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ORIGINAL)
def test_every_model_has_the_constants_of_its_library(name):
    transform = library_transform(name)
    constants = transform.transforms[-1]
    mean, std = hub_backbones.normalization(name)
    torch.testing.assert_close(torch.as_tensor(constants.mean).cpu(), torch.tensor(mean))
    torch.testing.assert_close(torch.as_tensor(constants.std).cpu(), torch.tensor(std))
    resize, crop, interpolation = BACKBONES[name].preprocessing
    first = transform.transforms[0]
    assert first.interpolation.value == interpolation
    squash = resize is None
    assert first.size == ((crop, crop) if squash else resize)
    assert squash or transform.transforms[1].size == (crop, crop)


@pytest.mark.parametrize("count", [1000, 21_843])
def test_each_source_class_has_a_name_of_its_own(count):
    names = hub_backbones.source_classes(count)
    assert len(set(names)) == len(names) == count and all(names)
    assert {"Chihuahua", "Siamese cat", "Egyptian cat", "golden retriever"} <= set(names)


def test_the_numbers_of_imagenet_are_the_usual_ones():
    names = hub_backbones.source_classes(1000)
    assert (names[0], names[151], names[285], names[999]) == (
        *("tench", "Chihuahua", "Egyptian cat"),
        "toilet tissue",
    )
    assert (names[134], names[517]) == ("crane (n02012849)", "crane (n03126707)")


@pytest.mark.parametrize("backbone", slow(FIGURE_9), indirect=True)
def test_an_architecture_of_figure_9_learns_a_prompt_from_weights_in_a_file(
    backbone, small_task, weights
):
    (file,) = weights.iterdir()
    assert backbone.weights_hash == hashlib.sha256(file.read_bytes()).hexdigest()
    assert backbone.image_size == 224
    assert {parameter.dtype for parameter in backbone.parameters()} == {torch.float32}
    record, fit = run(
        "visual_prompt", backbone.name, backbone, small_task, **settings_of(backbone.name)
    )
    assert record["backbone"]["parameters"] == BACKBONES[backbone.name].parameters
    assert record["hashes"]["weights"] == backbone.weights_hash
    assert record["trained_parameters"] == 69_840
    assert math.isfinite(record["history"][0]["loss"])
    assert moved(part(fit.selection["last"].state, "prompt"))


@pytest.mark.parametrize("backbone", slow(["clip_vit_l14"]), indirect=True)
def test_vit_l_14_learns_a_prompt_too(backbone, small_task):
    record, _ = run(
        "visual_prompt", backbone.name, backbone, small_task, **settings_of(backbone.name)
    )
    assert math.isfinite(record["history"][0]["loss"])


@pytest.mark.parametrize("backbone", slow(["clip_vit_b32", "clip_vit_l14"]), indirect=True)
def test_the_streamlined_tower_of_clip_says_what_its_own_says(backbone):
    torch.manual_seed(0)
    own = hub_backbones.build(backbone.name).visual.eval()
    own.load_state_dict(backbone.model.visual.state_dict())
    assert any(isinstance(module, SelfAttention) for module in backbone.model.modules())
    x = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(backbone.features(x), own(x), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["clip_rn50", "siglip_vit_b16"])
def test_other_towers_are_not_streamlined(name, meta):
    tower = meta(name).visual
    before = [type(module) for module in tower.modules()]
    assert [type(module) for module in streamline(tower).modules()] == before


@pytest.mark.parametrize(
    "backbone",
    slow(["rn18", "bit_m_r50x1", "clip_vit_b32", "clip_rn50"], quick=["rn18", "bit_m_r50x1"]),
    indirect=True,
)
def test_probe_and_fine_tuning_work_on_real_architectures(backbone, small_task):
    vision = backbone.modality == "vision"
    record, _ = run("linear_probe", backbone.name, backbone, small_task, max_iter=100)
    width = backbone.features(torch.zeros(1, 3, 224, 224)).shape[1]
    assert record["trained_parameters"] == 2 * (width + 1)
    for kind in ["new"] if vision else ["new", "text"]:
        changes = {"epochs": 1, "batch_size": 2, "eval_epochs": [1], "head": kind, "lr": 1e-5}
        record, _ = run("fine_tune", backbone.name, backbone, small_task, **changes)
        assert record["trained_parameters"] > 2 * width
        assert math.isfinite(record["history"][0]["loss"])


@pytest.mark.parametrize("backbone", slow(["clip_vit_b32", "clip_rn50"]), indirect=True)
def test_clip_reads_class_names_with_its_own_tokens(backbone, small_task):
    record, _ = run("text_prompt", backbone.name, backbone, small_task)
    assert math.isfinite(record["selection"]["last"]["test"]["nll"])
    tokens = backbone.tokenize(["This is a photo of a cat"])
    assert tokens.shape == (1, 77) and tokens[0, 0] == 49406 and 49407 in tokens[0]


@pytest.mark.parametrize("backbone", slow(["bit_m_r50x1"]), indirect=True)
def test_source_classes_of_bit_m_go_by_name(backbone, small_task):
    names = ["Siamese cat", "Chihuahua"]
    settings = spec(**settings_of(backbone.name), source_classes=names)["settings"]
    x = torch.randn(1, 3, 224, 224)
    found = label_map(backbone, small_task, settings)(x)
    numbers = [backbone.source_classes.index(name) for name in names]
    torch.testing.assert_close(found, backbone.logits(x)[:, numbers])
    misspelt = settings | {"source_classes": ["Siamese cat", "Chihuahu"]}
    message = refused(UserError, label_map, backbone, small_task, misspelt)
    holds(message, "no class", "'Chihuahu'", "Chihuahua")
    assert len(message) < 400


@pytest.mark.parametrize("backbone", slow(["bit_m_r50x1_zero_head"]), indirect=True)
def test_the_zeroed_head_of_the_official_script_gives_a_prompt_no_gradient(backbone, small_task):
    """Its logits are 0, its loss is ln C and the prompt never moves."""
    changes = settings_of(backbone.name) | {"lr": 40.0, "epochs": 2}
    record, fit = run("visual_prompt", backbone.name, backbone, small_task, **changes)
    assert [line["loss"] for line in record["history"]] == pytest.approx([math.log(2)] * 2)
    assert not moved(part(fit.selection["last"].state, "prompt"))
    x = torch.randn(1, 3, 224, 224, requires_grad=True)
    logits = backbone.logits(x)
    torch.nn.functional.cross_entropy(logits[:, :100], torch.tensor([3])).backward()
    assert logits.abs().max() == 0 and x.grad.abs().max() == 0


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["siglip_vit_b16"], indirect=True)
def test_a_siglip_is_loaded_and_sees(backbone, small_task):
    with torch.no_grad():
        features = backbone.features(torch.zeros(1, 3, 224, 224))
    assert features.shape == (1, 768)
    backbone.model.logit_scale.fill_(math.log(117))
    assert backbone.logit_scale.item() == pytest.approx(117)
    record, _ = run("linear_probe", backbone.name, backbone, small_task, max_iter=100)
    assert record["trained_parameters"] == 2 * 769


def test_without_its_tokenizer_a_siglip_reads_nothing_and_one_line_says_why(weights, monkeypatch):
    def missing(*_, **__):
        raise OSError("the hub does not answer\nand more")

    monkeypatch.setattr(open_clip.tokenizer, "HFTokenizer", missing)
    message = refused(UserError, hub_backbones.tokenizer("siglip_vit_b16"), ["a cat"])
    holds(message, "siglip_vit_b16", "text", "tokenizer", "missing", "the hub does not answer")
    holds(message, "https://huggingface.co/timm/ViT-B-16-SigLIP", weights / "siglip_vit_b16")


@pytest.mark.parametrize("here", [False, True])
def test_the_tokenizer_of_a_siglip_is_taken_from_the_weights_folder_if_it_is_there(
    weights, monkeypatch, here
):
    made = []

    def tokenizer(source, context_length, clean):
        made.append((source, context_length, clean))
        return lambda texts: torch.zeros(len(texts), context_length, dtype=torch.long)

    monkeypatch.setattr(open_clip.tokenizer, "HFTokenizer", tokenizer)
    folder = weights / "siglip_vit_b16"
    if here:
        folder.mkdir()
        (folder / "tokenizer.json").write_text("{}")
    tokenize = hub_backbones.tokenizer("siglip_vit_b16")
    assert made == []  # nothing is fetched before a text is read
    assert tokenize(["a", "b"]).shape == tokenize(["c", "d"]).shape == (2, 64)
    assert made == [(str(folder) if here else "timm/ViT-B-16-SigLIP", 64, "canonicalize")]
    if here:
        shutil.rmtree(folder)


def test_weights_of_another_model_are_refused_before_they_are_used(weights):
    torch.save(hub_backbones.build("rn18").state_dict(), weights / "rn50.pth")
    message = refused(UserError, load_backbone, "rn50")
    (weights / "rn50.pth").unlink()
    holds(message, weights / "rn50.pth", "another model", "lacks", "layer1.0.conv3.weight")
