"""What a GPU must do as a CPU does it: each part returns what it found, and whether that is right.

They need torch, timm and open_clip_torch only: no file of weights, no dataset, no network. `tiny`
takes models of few layers and small images, to see on a CPU that a part works.
"""

import gc
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path
from typing import Any, NamedTuple

import timm
import torch
from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from benchmarks import report
from benchmarks.against_official import relative, update
from benchmarks.our_step import BATCHES, CONFIG, RECIPES, OurStep, random_backbone, random_task
from vpbench.compute.engine import Engine, computing
from vpbench.data.task import Task
from vpbench.methods.prompted_classifier import PromptedClassifier
from vpbench.methods.vpt import LearnedTokens
from vpbench.models.backbone import Backbone, VisionBackbone, VisionLanguageBackbone
from vpbench.models.hub_backbones import CLIPS, normalization, tokenizer
from vpbench.spec.methods import merge_settings
from vpbench.spec.preprocessing import Preprocessing
from vpbench.spec.recipes import read_configs
from vpbench.spec.settings import Settings
from vpbench.training.checkpoint import Checkpoint
from vpbench.training.trainer import Trainer, copy_of

Found = dict[str, Any]
CASES = {"clip_vit_b32": 32, "rn50": 16}  # -> images of a batch
SMALL = 64  # pixels of an image for a tiny model
TEXT = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
VISION = {"image_size": SMALL, "patch_size": 16, "width": 64, "layers": 3, "head_width": 32}
STEPS = 20
SAME, CLOSE = 1e-3, 0.5  # largest differences of updates: of float32, of a lower precision


class Material(NamedTuple):
    """A backbone, images for it and the official recipe."""

    backbone: Backbone
    task: Task
    settings: Settings


class Trained(NamedTuple):
    """What some steps have done."""

    update: Tensor  # of the prompt, on the CPU
    seconds: float  # of a step, the median of the second half
    step: OurStep


def recipe(method: str, backbone: str, **changes: Any) -> Settings:
    """Returns the settings of the paper's configuration; unlike load_recipe without jsonschema."""
    document, _ = read_configs([RECIPES, CONFIG / "methods" / "paper.yaml"])
    return merge_settings(document["recipes"], method, backbone) | changes


def material(name: str, device: torch.device, tiny: bool, batch: int) -> Material:
    """Returns what a training of the official prompt on `device` is made of."""
    settings = recipe("visual_prompt", name, batch_size=batch)
    if tiny:
        backbone, settings = tiny_backbone(name), settings | {"size": 7}
    else:
        backbone = random_backbone(name)
    task = random_task(backbone.image_size, BATCHES * batch, 3 if tiny else 100)
    return Material(backbone.to(device), task, settings)


def tiny_backbone(name: str) -> Backbone:
    """Returns a small relative of the backbone `name` with random weights, the same each time."""
    torch.manual_seed(0)
    mean, std = normalization(name)
    facts: Any = {"mean": mean, "std": std, "preprocessing": Preprocessing(SMALL, SMALL)}
    if name in CLIPS:
        clip = CLIP(32, CLIPVisionCfg(**VISION), CLIPTextCfg(**TEXT), quick_gelu=True)
        tokenize = tokenizer(name)
        return VisionLanguageBackbone(name, clip, tokenize=tokenize, weights_hash="", **facts)
    model: Any = timm.create_model("resnetv2_50x1_bit" if "bit" in name else "resnet10t")
    return VisionBackbone(name, model, weights_hash="", **facts)


def train(made: Material, engine: Engine, count: int = STEPS) -> Trained:
    """Returns what `count` steps with this engine do, from the same start on every device."""
    backbone, task, settings = made
    train, size, seconds = task.splits["train"], settings["batch_size"], []
    images, labels = (each.to(backbone.device) for each in (train.images, train.labels))
    with computing(backbone, engine):
        step = OurStep(backbone, task, settings)
        start = {name: value.clone() for name, value in step.prompt.state_dict().items()}
        batches = cycle(zip(images.split(size), labels.split(size), strict=True))
        for batch in islice(batches, count):
            started = time.perf_counter()
            step(*batch)  # which reads the loss, and so waits for a GPU
            seconds.append(time.perf_counter() - started)
    taken = statistics.median(seconds[count // 2 :])
    return Trained(update(step.prompt, start).cpu(), taken, step)


@contextmanager
def whole_float32() -> Iterator[None]:
    """Turns off TF32, which convolutions of float32 use where nobody says otherwise."""
    convolutions, products = torch.backends.cudnn, torch.backends.cuda.matmul
    before = convolutions.allow_tf32, products.allow_tf32
    convolutions.allow_tf32 = products.allow_tf32 = False
    try:
        yield
    finally:
        convolutions.allow_tf32, products.allow_tf32 = before


def as_on_cpu(device: torch.device, tiny: bool) -> Found:
    """Returns how far float32 on `device` is from float32 on the CPU, with TF32 and without."""
    rows, goals = [], []
    for name, batch in CASES.items():
        made = material(name, torch.device("cpu"), tiny, batch)
        reference = train(made, Engine())
        made.backbone.to(device)
        with whole_float32():
            exact = train(made, Engine())
        usual = train(made, Engine())
        row = {
            "backbone": name,
            "update": reference.update.norm().item(),
            "difference": relative(exact.update, reference.update),
            "difference as runs are": relative(usual.update, reference.update),
            "times as fast": reference.seconds / usual.seconds,
        }
        rows.append(row)
        text = f"{name}, {STEPS} steps, difference of the update from the CPU's"
        goals.append(report.goal(text, row["difference"], SAME, at_most=True))
    return {"rows": rows, "goals": goals}


def in_precision(device: torch.device, tiny: bool, precision: str) -> Found:
    """Returns how far the steps of another precision are from float32, and how fast they are."""
    return compared(device, tiny, Engine(precision), CLOSE)


def compiled(device: torch.device, tiny: bool) -> Found:
    """Returns the same of a compiled model in float32."""
    with whole_float32():
        return compared(device, tiny, Engine(compile=True), SAME)


def compared(device: torch.device, tiny: bool, engine: Engine, largest: float) -> Found:
    """Returns how the steps of `engine` differ from those of plain float32 on the same device."""
    rows, goals = [], []
    for name, batch in CASES.items():
        made = material(name, device, tiny, batch)
        plain, other = train(made, Engine()), train(made, engine)
        row = {
            "backbone": name,
            "difference": relative(other.update, plain.update),
            "times as fast": plain.seconds / other.seconds,
        }
        if engine.precision == "fp16":
            row["scale of the loss"] = other.step.trainer.scaler.get_scale()
        rows.append(row)
        text = f"{name}, {STEPS} steps, difference of the update from float32's"
        goals.append(report.goal(text, row["difference"], largest, at_most=True))
    return {"rows": rows, "goals": goals}


def little_memory(device: torch.device, tiny: bool) -> Found:
    """Returns what a training does that runs out of memory: fewer images a pass, equal numbers."""
    name, batch = "clip_vit_b32", 12 if tiny else 128
    with whole_float32():
        made = material(name, device, tiny, batch)
        whole = train(made, Engine(), 4)
        with short_of_memory(device, made, batch) as left:
            halved = train(made, Engine(), 4)
    passes = halved.step.trainer.progress.micro_batch
    difference = relative(halved.update, whole.update)
    row = {
        "backbone": name, "batch": batch, "images of a pass": passes, "bytes left": left,
        "difference": difference,
    }  # fmt: skip
    goals = [
        report.goal("images of a pass", passes, batch // 2, at_most=True),
        report.goal("difference of the update from the whole batch's", difference, SAME, True),
    ]
    return {"rows": [row], "goals": goals}


@contextmanager
def short_of_memory(device: torch.device, made: Material, batch: int) -> Iterator[int | None]:
    """Leaves too little memory for a step; gives the bytes that are left.

    On a GPU the rest is taken. A CPU, which has no limit of its own, refuses more than a third of
    the images.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        train(made, Engine(), 1)
        gc.collect()
        needed = torch.cuda.max_memory_allocated(device) - torch.cuda.memory_allocated(device)
        torch.cuda.empty_cache()
        free, left = torch.cuda.mem_get_info(device)[0], needed // 2
        ballast = torch.empty(max(0, free - left), dtype=torch.uint8, device=device)
        yield left
        del ballast
        return
    forward = PromptedClassifier.forward

    def limited(self: PromptedClassifier, images: Tensor) -> Tensor:
        if len(images) > batch // 3:
            raise torch.OutOfMemoryError("out of memory")
        return forward(self, images)

    PromptedClassifier.forward = limited  # type: ignore[method-assign]
    try:
        yield None
    finally:
        PromptedClassifier.forward = forward  # type: ignore[method-assign]


def resumed(device: torch.device, tiny: bool) -> Found:
    """Returns whether a training that draws on `device` goes on from its checkpoint, to the bit."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # for products that repeat
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    made = material("clip_vit_b32", device, tiny, 8)
    try:
        # An attention of plain products: the gradients of a fused one differ from run to run.
        with sdpa_kernel(SDPBackend.MATH), tempfile.TemporaryDirectory() as folder:
            states = [dropped_tokens(made, None), dropped_tokens(made, None)]
            states.append(dropped_tokens(made, Path(folder, "kept.pt")))
    finally:
        torch.use_deterministic_algorithms(before)
    first, again, resumed = ({"state": copy} for copy in states)
    equal = [
        all(torch.equal(value, other["state"][name]) for name, value in first["state"].items())
        for other in (again, resumed)
    ]
    row = {"undisturbed twice": equal[0], "stopped and resumed": equal[1]}
    return {"rows": [row], "goals": [report.goal("equal bits after a resume", int(equal[1]), 1)]}


def dropped_tokens(made: Material, path: Path | None, count: int = 8) -> dict[str, Tensor]:
    """Returns the state of learned tokens with dropout after `count` steps.

    With a `path` half the steps are taken by a trainer that then ends, the rest by another one
    that has read its checkpoint.
    """
    trainer = token_trainer(made, seed=0)
    for number in range(count):
        if path and number == count // 2:
            Checkpoint(path).write(trainer.state_dict())
            trainer = token_trainer(made, seed=1)
            state = Checkpoint(path).read()
            assert state is not None
            trainer.load_state_dict(state)
        train, size = trainer.task.splits["train"], trainer.batch_size
        index = torch.arange(number * size, number * size + size) % len(train)
        images = train.images[index.to(train.images.device)].to(trainer.device)
        trainer.train_step(images, train.labels[index].to(trainer.device))
    return copy_of(trainer.learner)


def token_trainer(made: Material, seed: int) -> Trainer:
    """Returns the trainer of tokens of which torch's generator of the device drops one in ten."""
    backbone: Any = made.backbone
    settings = recipe("vpt", "clip_vit_b32", dropout=0.1, batch_size=8, lr=1.0, warm_up=0.0)
    torch.manual_seed(seed)
    learner = LearnedTokens(backbone, made.task, settings).to(backbone.device).train()
    optimiser = torch.optim.SGD(learner.parameters(), lr=1.0, momentum=0.9)
    generator = torch.Generator().manual_seed(seed)
    return Trainer(learner, optimiser, made.task, settings, generator, "tokens")
