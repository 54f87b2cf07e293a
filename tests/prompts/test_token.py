"""What the methods that learn tokens have in common."""

import copy
import re
from functools import partial

import open_clip
import pytest
import torch
from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg

from tests.helpers.checkout import read_config
from tests.helpers.tiny import SETTINGS, TOKENS, spec
from tests.helpers.toy_training import SETTINGS as SHORT
from tests.helpers.toy_training import learn
from vpbench.compute.engine import Engine, computing
from vpbench.data import load
from vpbench.experiment import run
from vpbench.methods import cocoop, coop, token_fit, upt, vpt
from vpbench.models.backbone import VisionLanguageBackbone
from vpbench.models.hub_backbones import CLIPS
from vpbench.spec import costs
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.grid import expand
from vpbench.spec.methods import METHODS as DESCRIBED
from vpbench.spec.preprocessing import Preprocessing
from vpbench.spec.settings import defaults
from vpbench.training.checkpoint import Checkpoint

METHODS = {
    "coop": (coop, coop.LearnedContext),
    "cocoop": (cocoop, cocoop.ConditionalContext),
    "vpt": (vpt, vpt.LearnedTokens),
    "upt": (upt, upt.UnifiedPrompt),
}
TOWER = {"coop": "text", "cocoop": "text", "vpt": "image", "upt": "text"}
UPT_LAYERS = 64 * 32 + 32 + 32 * 64 + 64 + 96 * 32 + 32 + 32 * 96 + 96
UPT_MIXING = 4 * (32 * 32 + 32) + 2 * 2 * 32 + 32 * 128 + 128 + 128 * 32 + 32
PARAMETERS = {
    "coop": 4 * 64,
    "cocoop": 4 * 64 + 64 * 4 + 4 + 4 * 64 + 64,
    "vpt": 4 * 5 * 96,
    "upt": 4 * 64 + 2 * 3 * 96 + UPT_LAYERS + UPT_MIXING,
}


class Interruption(Exception):
    """A process that ends without a word."""


def built(method, backbone, task, **changes):
    """Returns the untrained module of a method."""
    torch.manual_seed(0)
    return METHODS[method][1](backbone, task, SETTINGS[method] | changes)


def learned(method, backbone, task, seed=0, checkpoint=None, **changes):
    """Returns the `Fit` of a method."""
    return METHODS[method][0].fit(backbone, task, SETTINGS[method] | changes, seed, checkpoint)


@pytest.fixture(scope="module")
def pixels(clip, task):
    """Returns a few normalised images."""
    return clip.prepare(task.splits["test"].images[:6])


@pytest.mark.parametrize("method", METHODS)
def test_only_what_is_learned_is_trained_and_counted(method, clip, task):
    before = copy.deepcopy(clip.state_dict())
    module = built(method, clip, task)
    names = {name for name, _ in module.named_parameters()}
    record, _, fit = run.run(spec(method), task, clip)
    assert record["trained_parameters"] == fit.trained_parameters == PARAMETERS[method]
    assert set(fit.selection["last"][1]) == names == set(module.state_dict())
    moved = {
        name for name, value in module.named_parameters()
        if not torch.equal(value, fit.selection["last"][1][name])
    }  # fmt: skip
    assert moved == names
    assert all(torch.equal(value, before[name]) for name, value in clip.state_dict().items())
    assert all(p.grad is None and not p.requires_grad for p in clip.parameters())


@pytest.mark.parametrize("method", METHODS)
def test_a_short_training_lowers_the_loss(method, clip, task):
    lr = {"coop": 0.3, "cocoop": 0.1, "vpt": 0.02, "upt": 0.02}[method]
    history = learned(method, clip, task, epochs=5, eval_epochs=[], lr=lr).history
    assert history[-1]["loss"] < 0.95 * history[0]["loss"]


@pytest.mark.parametrize("method", METHODS)
def test_half_precision_gives_the_same_logits_and_directions(method, clip, task, pixels):
    def logits_and_gradient(engine):
        with computing(clip, engine):
            module = built(method, clip, task)
            logits = module.logits(pixels)
            torch.nn.functional.cross_entropy(logits, torch.arange(6)).backward()
        gradient = torch.cat([each.grad.flatten() for each in module.parameters()])
        return logits.detach(), gradient

    expected, direction = logits_and_gradient(Engine())
    found, other = logits_and_gradient(Engine("bf16"))
    assert found.dtype == torch.float32
    assert not torch.equal(found, expected)
    torch.testing.assert_close(found, expected, atol=0.02 * float(clip.logit_scale), rtol=0.02)
    assert torch.cosine_similarity(direction, other, dim=0) > 0.98


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # torch looks while it traces
@pytest.mark.parametrize(
    "method", [pytest.param(m, marks=() if m == "coop" else pytest.mark.slow) for m in METHODS]
)
def test_a_compiled_model_gives_the_same_logits(method, clip, task, pixels, monkeypatch):
    def changed(module):
        with torch.no_grad():
            first = next(module.parameters())
            first[..., ::2] += 0.1
        return module

    expected = [
        built(method, clip, task).logits(pixels).detach(),
        changed(built(method, clip, task)).logits(pixels).detach(),
    ]
    assert not torch.allclose(*expected, atol=0.1)
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    with computing(clip, Engine(compile=True)):
        module = built(method, clip, task)
        logits = module.logits(pixels).detach()
        torch.testing.assert_close(logits, expected[0], atol=1e-3, rtol=1e-4)
        changed(module)  # after a step the tokens are others, and what was compiled is used again
        logits = module.logits(pixels).detach()
        torch.testing.assert_close(logits, expected[1], atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_a_batch_may_go_through_in_parts(method, clip, task):
    def state(engine):
        with computing(clip, engine):
            return learned(method, clip, task, augmentation="flip").selection["last"][1]

    whole, parts = state(Engine()), state(Engine(micro_batch=3))
    for name, value in whole.items():
        torch.testing.assert_close(value, parts[name], atol=1e-4, rtol=1e-3)


def test_a_training_that_was_interrupted_ends_as_if_nothing_had_happened(
    clip, task, tmp_path, monkeypatch
):
    changes = {"dropout": 0.2, "augmentation": "resized_crop", "head": "linear"}
    whole = learned("vpt", clip, task, **changes)
    calls, forward = [], vpt.LearnedTokens.logits

    def interrupted(module, x):
        calls.append(x)
        if len(calls) == 5:  # of 6 steps
            raise Interruption
        return forward(module, x)

    with monkeypatch.context() as patch:
        patch.setattr(vpt.LearnedTokens, "logits", interrupted)
        with pytest.raises(Interruption):
            learned("vpt", clip, task, checkpoint=Checkpoint(tmp_path / "run.pt", 0), **changes)
    resumed = learned("vpt", clip, task, checkpoint=Checkpoint(tmp_path / "run.pt"), **changes)
    assert resumed.history == whole.history
    for name, value in whole.selection["last"][1].items():
        assert torch.equal(value, resumed.selection["last"][1][name])


def test_a_seed_repeats_a_training_and_another_does_not(clip, task):
    states = [
        learned("upt", clip, task, seed=seed, epochs=1).selection["last"][1]["tokens"]
        for seed in (0, 0, 1)
    ]
    assert torch.equal(states[0], states[1]) and not torch.equal(states[0], states[2])


@pytest.mark.parametrize("method", METHODS)
def test_a_model_without_text_is_refused_by_name(method, resnet, task):
    with pytest.raises(ValueError, match=f"^{method} does not work on rn50_micro: it has no text$"):
        run.run(spec(method, "rn50_micro"), task, resnet)


@pytest.mark.parametrize(
    ("method", "backbone", "tower", "architecture"),
    [
        ("vpt", "clip_rn50", "image", "ResNet-50"),
        ("upt", "clip_rn101", "image", "ResNet-101"),
        ("coop", "siglip_vit_b16", "text", "ViT-B/16 (SigLIP)"),
        ("cocoop", "lite0_minilm", "text", "EfficientNet-Lite0, MiniLM-L6"),
    ],
)
def test_a_backbone_whose_towers_take_no_tokens_is_refused_before_it_is_loaded(
    method, backbone, tower, architecture
):
    able = "clip_micro, clip_vit_b32, clip_vit_b16, "
    able += "clip_rn50, clip_rn101, clip_vit_l14" if tower == "text" else "clip_vit_l14"
    words = (
        f"{method} does not work on {backbone}: its {tower} tower, {architecture}, takes no "
        f"learned tokens; choose one of: {able}"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(words)}$"):
        run.check_spec(spec(method, backbone))
    config = read_config("paper") | {"analyses": {}, "measurements": {}}
    config["recipes"][method] = {"every_backbone": SETTINGS[method]}
    config["grid"] = {"main": {"methods": [method], "seeds": [0]}}
    config |= {"backbones": ["clip_vit_b32"], "tasks": ["svhn"]}
    assert len(expand(config, "own.yaml").specs) == 1
    with pytest.raises(ValueError, match=f"^own.yaml at grid.main: {re.escape(words)}$"):
        expand(config | {"backbones": ["clip_vit_b32", backbone]}, "own.yaml")


def test_the_descriptions_say_which_towers_of_the_original_models_take_tokens():
    for name, (architecture, _) in CLIPS.items():
        config = open_clip.get_model_config(architecture)
        own = not config.get("custom_text", False)  # open_clip's CLIP, not another's towers
        image = own and isinstance(config["vision_cfg"]["layers"], int)  # blocks, not stages
        assert BACKBONES[name].token_towers == ("text",) * own + ("image",) * image


@pytest.mark.parametrize("method", METHODS)
def test_a_model_whose_towers_are_others_is_refused_by_name(method, clip, resnet, task):
    words = f"rn50_micro has no {TOWER[method]} tower that takes"
    with pytest.raises(ValueError, match=words) as error:
        learned(method, resnet, task)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("method", METHODS)
def test_a_clip_whose_image_tower_is_a_resnet_learns_texts_and_no_image_tokens(method, clip, task):
    torch.manual_seed(0)
    text = CLIPTextCfg(16, clip.tokenize.size, width=16, heads=2, layers=1)
    vision = CLIPVisionCfg(layers=(1, 1, 1, 1), width=4, head_width=8, image_size=32)
    backbone = VisionLanguageBackbone(
        "clip_rn50", CLIP(8, vision, text), tokenize=clip.tokenize,
        preprocessing=Preprocessing(32, 32), mean=(0.5,) * 3, std=(0.5,) * 3,
        weights_hash="0" * 64,
    )  # fmt: skip
    if method in ("coop", "cocoop"):
        assert built(method, backbone, task).logits(torch.randn(2, 3, 32, 32)).shape == (2, 10)
    else:
        with pytest.raises(ValueError, match="^clip_rn50 has no image tower that takes tokens: "):
            learned(method, backbone, task)


def test_the_class_names_of_the_settings_are_the_ones_that_are_said(clip):
    task = load.load_task("cats_dogs_twin", {"train": 8, "validation": 4, "test": 4})
    said = {}

    def build(backbone, task, settings):
        said[task.class_names] = task.template
        return built("vpt", backbone, task)

    for names in (None, ["small snail", "large whale"]):
        settings = TOKENS | {"class_names": names, "epochs": 1}
        token_fit.fit("vpt", build, clip, task, settings, 0, None, ())
    assert list(said) == [task.class_names, ("small snail", "large whale")]
    with pytest.raises(ValueError, match="class_names: 1 names, but cats_dogs_twin has 2 classes"):
        learned("coop", clip, task, class_names=["cat"])


def test_the_rate_of_coop_falls_once_an_epoch_as_if_the_warm_up_epoch_were_still_to_come():
    changes = {"warm_up": 0.2, "warm_up_steps": None, "epochs": 5, "schedule": "cosine"}
    changes |= {"lr": 0.002, "warm_up_lr": 1e-5, "rate_changes": "epoch", "t_max": "all"}
    rates = learn(SHORT | changes).optimiser.rates  # 3 steps an epoch
    falling = [1, 0.9045085, 0.6545085, 0.3454915]  # (1 + cosine of 0, 36, 72, 108 degrees) / 2
    expected = [1e-5] * 3 + [0.002 * share for share in falling for _ in range(3)]
    assert rates == pytest.approx(expected, rel=1e-6)
    rest = learn(SHORT | changes | {"t_max": "rest"}).optimiser.rates
    falling = [1, 0.8535534, 0.5, 0.1464466]  # of 0, 45, 90, 135 degrees
    assert rest[3::3] == pytest.approx([0.002 * share for share in falling], rel=1e-6)


def test_a_last_batch_that_is_not_whole_is_left_out_and_not_counted():
    trainer = learn(SHORT | {"epochs": 2, "drop_last": True})  # 10 images in batches of 4
    shown = [numbers for training, numbers in trainer.learner.seen if training]
    assert [len(numbers) for numbers in shown] == [4, 4, 4, 4]
    hits = [line["train_accuracy"] for line in trainer.progress.history]
    assert all(value * 8 % 100 == 0 for value in hits)  # eighths, not tenths
    assert learn(SHORT | {"epochs": 2, "drop_last": False}).steps == 6


def test_a_batch_that_is_the_only_one_is_kept_though_it_is_not_whole():
    trainer = learn(SHORT | {"epochs": 2, "batch_size": 16, "drop_last": True})
    assert trainer.steps == 2 and trainer.images_per_epoch == 10


@pytest.mark.parametrize("method", METHODS)
def test_methods_of_tokens_train_as_dassl_does(method, clip, task):
    found = defaults(DESCRIBED[method].settings)
    assert (found["t_max"], found["drop_last"]) == ("all", True)
    assert learned(method, clip, task, epochs=1, batch_size=10).images == 20  # of 24


@pytest.mark.parametrize(
    ("method", "passes"),
    [  # 24 images in 2 epochs of batches of 8, one look at 36; a text is 0.1 pass, there are 10
        ("coop", 2 * 24 * (1 + 2 * 10 * 0.1 / 8) + 36 * (1 + 10 * 0.1 / 64)),
        ("cocoop", 2 * 24 * (1 + 2 * 10 * 0.1) + 36 * (1 + 10 * 0.1)),
        ("vpt", 2 * 24 * 2 + 36),
        ("upt", 2 * 24 * (2 + 2 * 10 * 0.1 / 8) + 36 * (1 + 10 * 0.1 / 64)),
    ],
)
def test_a_plan_knows_what_texts_cost(method, passes):
    assert costs.passes_of(spec(method)) == pytest.approx(passes)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_the_paper_s_clip_learns_tokens_with_random_weights(method, task):
    from vpbench.models import hub_backbones

    torch.manual_seed(0)
    name = "clip_vit_b32"
    clip = hub_backbones.backbone_of(name, hub_backbones.build(name), "0" * 64)
    images = torch.randint(256, (3, 224, 224, 3), dtype=torch.uint8)
    changes = {"context_tokens": 16, "context_words": None} if method == "coop" else {}
    changes |= {"hidden_width": 32} if method == "cocoop" else {}
    changes |= {"depth": 12, "width": 128} if method == "upt" else {}
    module = built(method, clip, task, **changes)
    logits = module(images)
    logits.logsumexp(1).sum().backward()
    assert logits.shape == (3, 10)
    assert all(p.grad.abs().sum() > 0 for p in module.parameters())
    sizes = {
        "coop": 16 * 512,
        "cocoop": 4 * 512 + 512 * 32 + 32 + 32 * 512 + 512,
        "vpt": 12 * 5 * 768,
        "upt": 4 * 512 + 12 * 3 * 768 + 2 * 512 * 128 + 128 + 512 + 2 * 768 * 128 + 128 + 768
        + 4 * (128 * 128 + 128) + 4 * 128 + 2 * 4 * 128 * 128 + 4 * 128 + 128,
    }  # fmt: skip
    assert sum(p.numel() for p in module.parameters()) == sizes[method]
