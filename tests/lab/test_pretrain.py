import json
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

from tests.helpers.messages import complains
from vpbench.lab import micro_backbones, pretrain
from vpbench.twins import world, world_pictures

NORMALIZATION = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


class Interrupted(Exception):
    """The power went out."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Returns the folder and the card of a barely trained stand-in for RN50."""
    folder = tmp_path_factory.mktemp("weights")
    return folder, pretrain.pretrain("rn50_micro", folder, scale=0.0005)


def toy_model():
    """Returns a small model with statistics of its own and a random part."""
    torch.manual_seed(3)
    return nn.Sequential(nn.Flatten(), nn.Linear(48, 4), nn.BatchNorm1d(4), nn.Dropout(0.3))


def train_toy(folder, stop_at=None, **changes):
    """Returns the state of a toy model after 640 steps, or dies at step `stop_at`."""
    images = np.random.default_rng(0).integers(0, 256, (256, 4, 4, 3), dtype=np.uint8)
    calls = []

    def loss(model, x, y):
        calls.append(1)
        if len(calls) == stop_at:
            raise Interrupted
        return F.cross_entropy(model(x), y)

    settings = {
        "normalization": NORMALIZATION,
        "seen": 640 * pretrain.BATCH,
        "lr": 1e-2,
        "checkpoint": folder / "toy.pt",
        "log": folder / "toy.log.jsonl",
    }
    y = torch.arange(256) % 4
    model = pretrain.train(toy_model(), images, y, loss, **settings | changes)
    return model.state_dict(), len(calls)


def test_pretraining_writes_weights_that_load_with_a_card_and_a_log(trained):
    folder, card = trained
    backbone = micro_backbones.load("rn50_micro", folder)
    assert backbone.weights_hash == card["sha256"]
    assert backbone.world_hash == card["world_sha256"]
    assert backbone.model.num_classes == card["labels"] == len(world.LABELS)
    assert json.loads((folder / "rn50_micro.json").read_text()) == card
    assert json.loads((folder / "rn50_micro.log.jsonl").read_text().splitlines()[-1])["step"] == 2
    stored = load_file(folder / "rn50_micro.safetensors").values()
    assert {value.dtype for value in stored} == {torch.float16, torch.int64}


def test_pretraining_again_gives_the_same_weights(trained, tmp_path):
    assert pretrain.pretrain("rn50_micro", tmp_path, scale=0.0005)["sha256"] == trained[1]["sha256"]


def test_a_finished_stage_is_not_trained_again(trained, monkeypatch):
    folder, card = trained
    monkeypatch.setattr(pretrain, "_augment", None)  # whoever trains needs it
    assert pretrain.pretrain("rn50_micro", folder, scale=0.0005)["sha256"] == card["sha256"]


def test_an_interrupted_training_ends_with_the_same_weights(tmp_path):
    (tmp_path / "whole").mkdir()
    whole, _ = train_toy(tmp_path / "whole")
    with pytest.raises(Interrupted):
        train_toy(tmp_path, stop_at=600)
    torch.manual_seed(99)  # another process has another state
    resumed, steps = train_toy(tmp_path)
    assert steps == 140  # the checkpoint is of step 500
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)


def test_a_full_disk_leaves_no_weights_under_their_name(trained, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    model = micro_backbones.load_model("rn50_micro", trained[0])[0]
    monkeypatch.setattr("os.replace", fail)
    with complains(ValueError, "rn50_micro.safetensors", "not written", "disk is full"):
        pretrain._ship("rn50_micro", model, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_loss_that_is_not_a_number_ends_the_training(tmp_path):
    with complains(ValueError, "loss", "toy.log", "nan", "step"):
        train_toy(tmp_path, normalization=((0.5,) * 3, (0.0,) * 3))


def test_the_first_pictures_of_the_world_never_change():
    few, some = world_pictures.paint_world(3, "captioned")
    more, others = world_pictures.paint_world(6, "captioned")
    assert np.array_equal(few, more[:3]) and some == others[:3]
    assert pretrain.world_hash(3) == pretrain.world_hash(3) != pretrain.world_hash(4)


def test_targets_are_class_numbers_and_shares_of_hashtags():
    _, samples = world_pictures.paint_world(20, "labelled")
    y, classes = pretrain.targets("labels", samples)
    assert classes == len(world.LABELS)
    assert [world.LABELS[label] for label in y] == [sample.label for sample in samples]
    y, classes = pretrain.targets("fine_labels", samples)
    assert [world.FINE_LABELS[label] for label in y] == [sample.fine_label for sample in samples]
    shares, tags = pretrain.targets("hashtags", samples)
    assert tags == len({tag for sample in samples for tag in sample.hashtags})
    torch.testing.assert_close(shares.sum(1), torch.ones(20))
    assert shares.count_nonzero(1).tolist() == [len(set(s.hashtags)) for s in samples]


class Features(nn.Module):
    """A CLIP whose images and texts are their own features."""

    def __init__(self):
        super().__init__()
        self.logit_scale = nn.Parameter(torch.tensor(2.0))

    def encode_image(self, x, normalize):
        return F.normalize(x, dim=-1)

    encode_text = encode_image


def test_with_different_captions_the_contrastive_loss_is_that_of_clip():
    generator = torch.Generator().manual_seed(0)
    image, text = torch.randn(2, 6, 5, generator=generator)
    logits = math.exp(2) * F.normalize(image, dim=1) @ F.normalize(text, dim=1).t()
    expected = (
        F.cross_entropy(logits, torch.arange(6)) + F.cross_entropy(logits.t(), torch.arange(6))
    ) / 2
    torch.testing.assert_close(pretrain.contrastive_loss(Features(), image, text), expected)


def test_equal_captions_are_joint_positives():
    same = torch.ones(4, 5)
    # Four equal pairs: every choice is right with probability 1/4, none is better.
    loss = pretrain.contrastive_loss(Features(), same, same)
    assert loss.item() == pytest.approx(math.log(4))


def test_augmentation_only_mirrors_and_shifts_by_at_most_four():
    x = torch.arange(64.0).view(1, 1, 8, 8)
    seen = set()
    for seed in range(200):
        changed = pretrain._augment(x, torch.Generator().manual_seed(seed), flip=True)
        assert torch.equal(changed.flatten().sort().values, x.flatten())
        seen.add(tuple(changed.flatten().tolist()))
    assert len(seen) > 60
