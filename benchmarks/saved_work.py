"""Saved work: what a training would cost with the work that the suite leaves out.

And what it would save to leave out two things more, which the suite does.
"""

import ctypes
from functools import partial

import torch
import torch.nn.functional as F

from benchmarks.our_step import (
    BATCHES,
    DESK,
    LAB,
    OurStep,
    in_turn,
    official_recipe,
    parts_of,
    random_backbone,
    random_task,
)
from benchmarks.report import ranged, table
from benchmarks.timing import interleaved, ratios, spread
from vpbench.compute import memory
from vpbench.data.load import load_task
from vpbench.methods import linear_probe, visual_prompt
from vpbench.models.backbone import load_backbone
from vpbench.models.desk import efficientnets
from vpbench.prompts.build import build_prompt
from vpbench.prompts.label_maps import label_map
from vpbench.spec.recipes import load_recipe
from vpbench.spec.text_prompts import text_prompts, worded
from vpbench.training.evaluate import predict

MICRO, LARGE, CONVOLUTIONAL = "clip_micro", "clip_vit_b32", "efficientnet_lite0_128"
LARGE_BATCH, CLASSES = 8, 100
STEPS = {MICRO: 10, LARGE: 1, CONVOLUTIONAL: 10}  # that are timed together
GIVEN_BACK = 64 * 2**20  # bytes: what is free above them glibc gives back, once tensors are large
PROMPTS = 4  # trained at once
TWIN = "eurosat_twin"
DATA = {"train": 500, "validation": 150, "test": 500}  # images, as in the lab
ROUNDS = 9
WEIGHTS, MAPPED, TEXTS, LOOKS, AT_ONCE, FEATURES = (
    "gradients of the frozen weights",
    "memory given back to the system and mapped anew, in every step",
    "the texts of the classes encoded in every step",
    "a look at validation and test after every epoch, not after the last alone",
    f"{PROMPTS} prompts one after another, not in one batch",
    "a linear probe's features of validation and test computed again, for the text prompt",
)
DONE_WITHOUT = (WEIGHTS, MAPPED, TEXTS, LOOKS)  # what the suite saves


def measure(quick, threads):
    """Returns the seconds with and without each thing that can be saved, and their ratios."""
    rounds = 1 if quick else ROUNDS
    data = dict.fromkeys(DATA, 20) if quick else DATA
    micro, task = load_backbone(MICRO), load_task(TWIN, data)
    recipe = load_recipe(LAB, "visual_prompt", MICRO, epochs=1 if quick else 4)
    groups = [
        steps(micro, load_backbone(MICRO), task, recipe, recipe["batch_size"]),
        whole_runs(micro, task, recipe),
    ]
    if not quick:
        large = [random_backbone(LARGE) for _ in range(2)]
        random = random_task(large[0].image_size, BATCHES * LARGE_BATCH, CLASSES)
        groups.append(steps(*large, random, official_recipe(LARGE), LARGE_BATCH))
    if not quick and memory.keep_freed():
        model = efficientnets.build(CONVOLUTIONAL)
        groups.append(mapped_steps(efficientnets.backbone_of(CONVOLUTIONAL, model, "random")))
    seconds = {}
    for cases in groups:
        seconds |= interleaved(
            {(*case, done): pair[done] for case, pair in cases.items() for done in pair}, rounds
        )
    rows = [
        {
            "backbone": backbone,
            "work": work,
            "saved": work in DONE_WITHOUT,
            "seconds": {done: spread(seconds[backbone, work, done]) for done in (True, False)},
            "times": spread(ratios(seconds[backbone, work, True], seconds[backbone, work, False])),
        }
        for backbone, work in dict.fromkeys(key[:2] for key in seconds)
    ]
    done = (
        f"Each kind of work done and not done, {rounds} rounds of all in turn, after one that is "
        f"not timed. {MICRO}: {STEPS[MICRO]} steps on {TWIN} in batches of "
        f"{recipe['batch_size']}, a training of {recipe['epochs']} epochs of {data['train']} "
        f"images, a linear probe of the same; {LARGE}, random weights: {STEPS[LARGE]} step in a "
        f"batch of {LARGE_BATCH}, {CLASSES} classes; {CONVOLUTIONAL}, random weights: "
        f"{STEPS[CONVOLUTIONAL]} steps of the desk's recipe."
    )
    return {"title": "Saved work", "done": done, "rows": rows}


def steps(backbone, unfrozen, task, settings, batch):
    """Returns (backbone's name, work) -> {done: a function that takes STEPS with it or without}.

    `unfrozen` is another backbone with the same weights; here they get gradients.
    """
    unfrozen.frozen.requires_grad_(True)
    parts = parts_of(task.splits["train"], batch)
    texts = text_prompts(task.template, task.class_names)
    ours = OurStep(backbone, task, settings)

    def with_texts(images, labels):
        backbone.text_features(texts)
        return ours(images, labels)

    alone = [OurStep(backbone, task, settings, seed) for seed in range(PROMPTS)]
    together = StepOfMany(backbone, task, settings)
    pairs = {
        WEIGHTS: {True: OurStep(unfrozen, task, settings), False: ours},
        TEXTS: {True: with_texts, False: ours},
        AT_ONCE: {True: lambda *those: [step(*those) for step in alone], False: together},
    }

    return {
        (backbone.name, work): {
            done: several(step, parts, STEPS[backbone.name]) for done, step in pair.items()
        }
        for work, pair in pairs.items()
    }


def several(step, parts, count):
    """Returns a function that takes so many steps, each with the next of `parts`."""
    take = in_turn(step, parts)
    return lambda: [take() for _ in range(count)]


def mapped_steps(backbone):
    """Returns (backbone's name, work) -> {done: a function that takes STEPS with it or without}.

    Without it the first of the steps does it still, after those with it.
    """
    settings = load_recipe(DESK, "visual_prompt", backbone.name)
    batch = settings["batch_size"]
    task = random_task(backbone.image_size, BATCHES * batch, CLASSES)
    parts = parts_of(task.splits["train"], batch)
    take = several(OurStep(backbone, task, settings), parts, STEPS[backbone.name])

    def given_back():
        ctypes.CDLL(None).mallopt(memory.TRIM_THRESHOLD, GIVEN_BACK)
        take()

    def kept():
        memory.keep_freed()
        take()

    return {(backbone.name, MAPPED): {True: given_back, False: kept}}


class StepOfMany:
    """Several prompts in training, each with its own loss, in one pass over the same images."""

    def __init__(self, backbone, task, settings):
        self.prompts = build_prompt(
            settings["template"], backbone.image_size, settings["size"], init=settings["init"],
            generator=torch.Generator().manual_seed(0), ensemble_size=PROMPTS,
        )  # fmt: skip
        self.backbone, self.map = backbone, label_map(backbone, worded(task, settings), settings)
        parameters = self.prompts.parameters()
        self.optimiser = torch.optim.SGD(parameters, settings["lr"], settings["momentum"])

    def __call__(self, images, labels):
        """Returns the loss of each prompt in a step on uint8 `images` [N, H, W, C]."""
        self.optimiser.zero_grad()
        logits = self.map(self.prompts(self.backbone.prepare(images))).unflatten(
            0, (PROMPTS, len(images))
        )
        losses = torch.stack([F.cross_entropy(each, labels) for each in logits])
        losses.sum().backward()
        self.optimiser.step()
        return losses.tolist()


def whole_runs(backbone, task, recipe):
    """Returns (backbone's name, work) -> {done: a function that does a run with it or without}."""

    def trained(eval_epochs):
        visual_prompt.fit(backbone, task, recipe | {"eval_epochs": eval_epochs}, 0)

    def probed(again=()):
        linear_probe.fit(backbone, task, probe, 0)
        for split in again:
            predict(features, task.splits[split].images, backbone.device)

    features = partial(linear_probe.features, backbone)
    probe = load_recipe(LAB, "linear_probe", backbone.name)
    is_eval_epoch = ("validation", "test")
    return {
        (backbone.name, LOOKS): {True: lambda: trained(1), False: lambda: trained([])},
        (backbone.name, FEATURES): {True: lambda: probed(is_eval_epoch), False: probed},
    }


def render(result):
    """Returns the result as Markdown."""
    lines = [
        [
            row["work"], row["backbone"],
            *(ranged(row["seconds"][done], 3) for done in (True, False)),
            ranged(row["times"]), "yes" if row["saved"] else "no",
        ]
        for row in result["rows"]
    ]  # fmt: skip
    titles = ["work", "backbone", "s with it", "s without", "times as long", "saved by the suite"]
    return f"{result['done']}\n\n{table(titles, lines)}"
