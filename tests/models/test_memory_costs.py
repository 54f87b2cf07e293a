"""What the plan says of memory: facts of architectures, counted again, and sums made by hand."""

import copy

import pytest
import torch

from tests.helpers.checkout import read_config
from vpbench.models import backbone, hub_backbones
from vpbench.models.folded_layers import folded
from vpbench.models.vision_transformer import streamline
from vpbench.spec import memory_costs
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.grid import expand
from vpbench.spec.text_prompts import text_prompts
from vpbench.twins.cifar100 import CLASS_NAMES

QUICK = ("clip_vit_b32", "bit_m_r50x1", "rn18")  # one of each kind


def kept(tower, size):
    """Returns the million values that two images leave for the way back, weights not counted."""
    own = {each.untyped_storage()._cdata for each in [*tower.parameters(), *tower.buffers()]}
    found, alive = {}, []
    x = torch.zeros(2, 3, size, size, device="meta", requires_grad=True)

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            found[storage._cdata] = storage.nbytes() / 4e6
            alive.append(tensor)  # the number of a storage that is freed is given to another
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        tower(x).sum()
    return sum(found.values())


@pytest.mark.parametrize(
    "backbone",
    [
        pytest.param(name, marks=() if name in QUICK else pytest.mark.slow)
        for name in memory_costs.SIZES
    ],
)
def test_the_sizes_of_a_backbone_are_those_of_its_architecture(backbone):
    with torch.device("meta"):
        model = hub_backbones.build(backbone)
    tower, is_clip = model, backbone in hub_backbones.CLIPS
    if is_clip:
        streamline(model.visual)
        tower = model.visual
    said, size = memory_costs.SIZES[backbone], BACKBONES[backbone].preprocessing[1]
    parameters = sum(each.numel() for each in tower.parameters())
    assert parameters == (said.tower or BACKBONES[backbone].parameters)
    frozen = folded(tower.eval().requires_grad_(False))
    assert kept(frozen, size) / 2 == pytest.approx(said.prompt, abs=0.01)
    tuned = copy.deepcopy(tower).train().requires_grad_(True)
    assert kept(tuned, size) / 2 == pytest.approx(said.fine_tune, rel=0.01)
    width = tower(torch.zeros(1, 3, size, size, device="meta")).shape[1]
    assert said.features == (width if is_clip else tower.num_features)


@pytest.fixture
def spec_of():
    """Returns a function that gives a spec of the paper's configuration on CIFAR100."""
    config = read_config("paper")
    config |= {"measurements": {}, "analyses": {}}
    specs = list(expand(config, "").specs.values())

    def find(method, backbone, **engine):
        (found,) = (
            spec
            for spec in specs
            if (spec["method"], spec["backbone"], spec["variant"])
            == (method, backbone, spec["variant"])
            and spec["task"] == "cifar100"
            and spec["variant"] in ("default", "architectures")
        )
        return found | {"engine": found["engine"] | engine}

    return find


def test_the_largest_fine_tune_takes_what_can_be_added_up_by_hand(spec_of):
    spec = spec_of("fine_tune", "bit_m_r101x3")
    parameters = 516_015_123
    frozen = parameters * (4 + 4 + 2)  # as loaded, folded, in bfloat16
    learned = parameters * (4 + 4 + 8)  # weights, gradients, two moments
    step = 64 * 279.52e6 * 2 * 1.15
    wanted = (frozen + learned + step + 1.25e9) / 1e9
    assert memory_costs.memory(spec).gpu == pytest.approx(wanted)
    assert 55 < wanted < 57
    # On the machine: weights read and filled in, or a checkpoint of 3 times the weights, 6.2 GB
    labels = 60_000 * 300 + 5 * 10_000 * 100 * 4
    host = (1.1e9 + 2.5e9 + labels + 3 * 4 * parameters) / 1e9
    assert memory_costs.memory(spec).host == pytest.approx(host)
    # 1.2 times 9.8 GB, in the next 500 MB
    assert memory_costs.host_mb(spec) == 12_000


def test_a_probe_holds_its_features_in_double_precision(spec_of):
    spec = spec_of("linear_probe", "rn50")
    features = 60_000 * 2048 * 8 + 50_000 * 2048 * 4
    regression = 50_000 * 3 * 100 * 8  # gradients of the outputs, and what is made of them
    labels = 60_000 * 300 + 5 * 10_000 * 100 * 4
    read = 2 * 4 * 25_557_032
    host = (3.6e9 + features + regression + labels + read) / 1e9
    assert memory_costs.memory(spec).host == pytest.approx(host)


def test_float32_keeps_twice_as_much_and_smaller_parts_less(spec_of):
    step = {
        (precision, part): memory_costs.step_bytes(
            spec_of("visual_prompt", "rn50", precision=precision, micro_batch=part), True
        )
        for precision, part in (("bf16", None), ("fp32", None), ("bf16", 1))
    }
    assert step["bf16", None] == pytest.approx(128 * 10.36e6 * 2 * 1.15)
    assert step["fp32", None] == 2 * step["bf16", None]
    # No less than a look at 256 images without a way back
    assert step["bf16", 1] == pytest.approx(256 * 0.25 * 10.36e6 * 2 * 1.15)


def test_on_a_cpu_the_model_and_its_values_are_in_the_memory_of_the_machine(spec_of):
    spec = spec_of("fine_tune", "bit_m_r101x3", precision="fp32", micro_batch=2)
    weights = 4 * 516_015_123
    labels = 60_000 * 300 + 5 * 10_000 * 100 * 4
    look = 64 * 0.25 * 88.61e6 * 4 * 1.15  # at test images: more than a step, or a checkpoint
    # As loaded, folded; weights, gradients, two moments
    host = (1.1e9 + labels + 2 * weights + 4 * weights + look) / 1e9
    assert memory_costs.memory(spec, on_gpu=False).host == pytest.approx(host)
    assert 19 < host < 21


def test_on_a_cpu_auto_may_be_32_bits(spec_of):
    size = {
        precision: memory_costs.step_bytes(
            spec_of("visual_prompt", "rn50", precision=precision), on_gpu=False
        )
        for precision in ("auto", "fp32", "bf16")
    }
    assert size["auto"] == size["fp32"] == 2 * size["bf16"]
    assert size["auto"] == pytest.approx(128 * 10.36e6 * 4 * 1.15)


def test_a_table_of_pairs_counts_where_a_map_is_counted(spec_of):
    spec = spec_of("visual_prompt", "bit_m_r50x1")
    counted = copy.deepcopy(spec)
    counted["settings"]["label_map"] = "iterative"
    more = memory_costs.held_bytes(counted) - memory_costs.held_bytes(spec)
    assert more == 3 * 21_843 * 100 * 8  # not the 50,000 x 21,843 answers


def test_the_texts_of_many_classes_take_more_than_a_small_step(spec_of):
    spec = spec_of("visual_prompt", "clip_vit_b32", precision="fp32", micro_batch=1)
    look = 64 * 0.25 * 5.47e6 * 4 * 1.15
    few, many = spec | {"task": "cifar100"}, spec | {"task": "sun397"}
    assert memory_costs.text_bytes(few) == 100 * 0.75e6 * 4
    assert 100 * 0.75e6 * 4 < look < 397 * 0.75e6 * 4
    sums = {
        spec["task"]: memory_costs.memory(spec, on_gpu=False).host * 1e9
        - memory_costs.held_bytes(spec)
        for spec in (few, many)
    }
    assert sums["sun397"] - sums["cifar100"] == pytest.approx(397 * 0.75e6 * 4 - look)
    assert memory_costs.text_bytes(spec_of("visual_prompt", "rn50")) == 0


def test_a_semantic_map_takes_the_encoder_and_as_many_names_as_are_read_together(spec_of):
    for adapted in ("rn50", "bit_m_r50x1"):  # 1,000 and 21,843 source classes
        read = spec_of("visual_prompt", adapted)
        read["settings"] |= {"label_map": "semantic", "text_encoder": "clip_vit_b32"}
        assert memory_costs.text_bytes(read) == 151_277_313 * 4 + 512 * 0.75e6 * 4


def test_more_texts_than_are_read_together_have_the_features_of_each(clip, monkeypatch):
    texts = text_prompts("This is a photo of a {}", CLASS_NAMES)  # a hundred
    together = clip.text_features(texts)
    monkeypatch.setattr(backbone, "TEXTS_AT_ONCE", 5)
    torch.testing.assert_close(clip.text_features(texts), together)
