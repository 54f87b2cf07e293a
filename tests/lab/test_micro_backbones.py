"""The shipped weights: what they are, and whether zero-shot is what the lab's questions need."""

import json
import os
import subprocess
import sys

import pytest

from tests.helpers.tiny import MICRO, READING
from vpbench.data import load
from vpbench.lab import micro_backbones, pretrain
from vpbench.methods import text_prompt
from vpbench.models import backbone
from vpbench.twins import world

CARDS = {name: json.loads((micro_backbones.WEIGHTS / f"{name}.json").read_text()) for name in MICRO}


def zero_shot(clip, name):
    """Returns the zero-shot accuracy in percent on 200 validation pictures of a twin."""
    task = load.load_task(name, {"train": 10, "validation": 200, "test": 10})
    selected = text_prompt.fit(clip, task, READING, 0).selection["last"]
    return selected.evaluations["validation"].metrics["accuracy"]


def test_all_weights_together_have_less_than_10_mb():
    sizes = [path.stat().st_size for path in micro_backbones.WEIGHTS.iterdir()]
    assert len(sizes) >= 2 * len(CARDS) and sum(sizes) < 10_000_000


@pytest.fixture(scope="module")
def world_hash():
    """Returns the hash of the world as it is painted now, without AVX-512.

    With it NumPy rounds some sines and exponentials differently, and one byte of these pictures.
    """
    features = "X86_V4 AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR"
    code = "from vpbench.lab import pretrain; print(pretrain.world_hash())"
    environment = os.environ | {"NPY_DISABLE_CPU_FEATURES": features}
    command = [sys.executable, "-c", code]
    return subprocess.check_output(command, env=environment, text=True).strip()


@pytest.mark.parametrize("name", CARDS)
def test_the_weights_were_trained_on_the_world_as_it_is_now(name, world_hash):
    assert CARDS[name]["world_sha256"] == world_hash
    assert (CARDS[name]["labels"], CARDS[name]["fine_labels"]) == (
        len(world.LABELS),
        len(world.FINE_LABELS),
    )


@pytest.mark.parametrize("name", CARDS)
def test_the_card_tells_the_training_and_the_parameters(name):
    stages = [tuple(stage.values()) for stage in CARDS[name]["stages"]]
    assert stages == pretrain.STAGES[name]
    model = backbone.load_backbone(name).model
    assert CARDS[name]["parameters"] == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("name", CARDS)
def test_the_log_of_the_training_is_shipped(name):
    lines = (micro_backbones.WEIGHTS / f"{name}.log.jsonl").read_text().splitlines()
    losses = [json.loads(line)["loss"] for line in lines]
    assert losses[-1] < losses[0]


def test_zero_shot_is_far_above_chance_on_a_near_twin(clip):
    assert zero_shot(clip, "cifar10_twin") >= 3 * 10


def test_zero_shot_is_near_chance_on_a_far_twin(clip):
    assert zero_shot(clip, "eurosat_twin") < 3 * 10
