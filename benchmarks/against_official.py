"""A step of the suite against a step of the official code, and what it changes in the numbers."""

from contextlib import ExitStack
from itertools import count
from typing import NamedTuple

import torch

from benchmarks import official_step, report
from benchmarks.our_step import (
    BATCHES,
    LAB,
    STEPS,
    OurStep,
    in_turn,
    official_recipe,
    parts_of,
    random_backbone,
    random_task,
    split_precisions,
)
from benchmarks.timing import interleaved, speed_ups, spread
from vpbench.compute.engine import Engine, computing
from vpbench.data.load import load_task
from vpbench.methods import visual_prompt
from vpbench.models.backbone import load_backbone
from vpbench.models.hub_backbones import build
from vpbench.spec.recipes import load_recipe
from vpbench.spec.text_prompts import text_prompts


class Case(NamedTuple):
    """A backbone, and how many times as fast as the official fp32 step ours has to be in fp32."""

    backbone: str
    batch: int
    classes: int
    goal: float


CASES = (Case("clip_vit_b32", 32, 100, 6.0), Case("rn50", 16, 100, 1.7))
TAKEN, WARM_UP = 20, 2  # steps of each, of which the first are not timed
LARGEST_DIFFERENCE = 1e-4  # of the update of the prompt, in fp32
BF16_OVER_OFFICIAL, BF16_OVER_FP32 = 10.0, 1.8  # of the first case
EPOCHS = 3  # of a training in each precision
TWINS = ("eurosat_twin", "svhn_twin", "oxfordpets_twin")


def measure(quick, threads):
    """Returns the times of both steps, and how far the numbers of ours are from the official."""
    taken, warm_up = (3, 1) if quick else (TAKEN, WARM_UP)
    precisions, left_out = split_precisions(torch.device("cpu"))
    rows, rounds, goals = [], {}, []
    for case in CASES:
        if quick:
            case = case._replace(batch=4, classes=10)
        found, seconds = contest(case, precisions, taken, warm_up)
        rows += found
        rounds[case.backbone] = seconds
        goals += reached(case, {row["step"]: row for row in found})
    return {
        "title": "Against the official step",
        "done": (
            "A training step of the padding prompt of 30 pixels on random weights and random "
            "images, the official one (text tower forward and backward in every step, gradients "
            "of all weights) against the suite's own in each precision of its engine, "
            f"{taken} steps of each in turn, {warm_up} of them before the clock runs. The official "
            "step is given images that are normalised already, ours 8-bit ones. Both start with "
            "the same prompt and see the same batches; the difference is the L2 norm of the "
            "difference of the prompt's updates after all steps, relative to the official update."
        ),
        "rows": rows,
        "rounds": rounds,
        "left_out": left_out,
        "accuracy": trained_accuracy([*precisions, *left_out], quick),
        "goals": goals,
    }


def contest(case, precisions, taken, warm_up):
    """Returns (rows, name -> seconds of each round) of a case."""
    torch.manual_seed(0)
    model = build(case.backbone).eval()
    backbones = {precision: random_backbone(case.backbone) for precision in precisions}
    first = backbones["fp32"]
    task = random_task(first.image_size, BATCHES * case.batch, case.classes)
    settings = official_recipe(case.backbone)
    return race(model, backbones, task, settings, case.batch, taken, warm_up)


def race(model, backbones, task, settings, batch, taken, warm_up):
    """Returns (rows, name -> seconds): official steps with `model` and ours with each backbone.

    `backbones` maps precisions, fp32 among them, to backbones with the weights of `model`.
    """
    plain, train = backbones["fp32"], task.splits["train"]
    parts = parts_of(train, batch)
    normalised = [(plain.prepare(images), each) for images, each in parts]
    with ExitStack() as engines:
        for precision, backbone in backbones.items():
            engines.enter_context(computing(backbone, Engine(precision=precision)))
        ours = {name: OurStep(each, task, settings) for name, each in backbones.items()}
        start = {name: value.clone() for name, value in ours["fp32"].prompt.state_dict().items()}
        prompt = official_step.Border(**{name: value.clone() for name, value in start.items()})
        functions = {"official": in_turn(official(model, plain, task, prompt), normalised)}
        functions |= {name: in_turn(step, parts) for name, step in ours.items()}
        seconds = interleaved(functions, taken - warm_up, warm_up)
        prompts = {"official": prompt} | {name: step.prompt for name, step in ours.items()}
        updates = {name: update(each, start) for name, each in prompts.items()}
        logits = {name: logits_of(step, ours["fp32"].prompt, parts) for name, step in ours.items()}
    faster = {each: speed_ups(seconds, each) for each in ("official", "fp32")}
    rows = [
        {
            "backbone": plain.name,
            "batch": batch,
            "classes": len(task.class_names),
            "step": name,
            "seconds": spread(seconds[name]),
            "images_per_second": spread([batch / each for each in seconds[name]]),
            "over_official": faster["official"].get(name),
            "over_fp32": faster["fp32"].get(name),
            "update": updates[name].norm().item(),
            "update_difference": relative(updates[name], updates["official"]),
            "logits": compared_logits(logits[name], logits["fp32"]) if name in logits else None,
        }
        for name in functions
    ]
    return rows, seconds


def official(model, backbone, task, prompt):
    """Returns the function (normalised images, labels) -> loss of a step of the official code."""
    optimiser = official_step.sgd(prompt)
    rates = (official_step.learning_rate(step, STEPS) for step in count())
    if backbone.modality == "vision_language":
        texts = text_prompts(task.template, task.class_names)
        return lambda images, labels: official_step.clip_step(
            model, backbone.tokenize, texts, prompt, optimiser, images, labels, next(rates)
        )
    return lambda images, labels: official_step.vision_step(
        model, len(task.class_names), prompt, optimiser, images, labels, next(rates)
    )


def update(prompt, start):
    """Returns what was added to a prompt since `start`, one vector in float64."""
    state = prompt.state_dict()
    return torch.cat([(state[name] - start[name]).flatten().double() for name in sorted(start)])


def relative(values, reference):
    """Returns the L2 norm of the difference, relative to that of `reference`."""
    return ((values - reference).norm() / reference.norm()).item()


@torch.no_grad()
def logits_of(step, prompt, batches):
    """Returns the logits [N, K] of the images of all `batches` with the values of `prompt`."""
    step.prompt.load_state_dict(prompt.state_dict())
    return torch.cat([step.classifier(images) for images, _ in batches])


def compared_logits(logits, reference):
    """Returns how far `logits` [N, K] are from the `reference`, and how often they agree.

    `scatter` is the standard deviation of the reference about the mean of each image.
    """
    return {
        "mean_difference": (logits - reference).abs().mean().item(),
        "largest_difference": (logits - reference).abs().max().item(),
        "scatter": (reference - reference.mean(1, keepdim=True)).std().item(),
        "same_class": 100 * (logits.argmax(1) == reference.argmax(1)).double().mean().item(),
    }


def trained_accuracy(precisions, quick):
    """Returns the test accuracy in % of the lab's prompts, trained and tested in each precision.

    Random weights have no accuracy; the micro-CLIP's are trained.
    """
    backbone = load_backbone("clip_micro")
    settings = load_recipe(LAB, "visual_prompt", "clip_micro", epochs=EPOCHS, eval_epochs=[])
    data = {"train": 500, "validation": 100, "test": 1000}
    if quick:
        settings |= {"epochs": 1}
        data = {"train": 40, "validation": 40, "test": 40}
    rows = []
    for name in TWINS[:1] if quick else TWINS:
        task, row = load_task(name, data), {"task": name}
        for precision in precisions:
            with computing(backbone, Engine(precision=precision)):
                fit = visual_prompt.fit(backbone, task, settings, seed=0)
            row[precision] = fit.selected("last").accuracy("test")
        rows.append(row)
    return rows


def reached(case, rows):
    """Returns the goals of a case, `rows` by the name of their step."""
    name, plain = case.backbone, rows["fp32"]
    goals = [
        report.goal(
            f"{name}, fp32 over the official step", plain["over_official"]["median"], case.goal
        ),
        report.goal(
            f"{name}, fp32, difference of the update", plain["update_difference"],
            LARGEST_DIFFERENCE, at_most=True,
        ),
    ]  # fmt: skip
    if name == CASES[0].backbone:
        rounded = rows.get("bf16", {"over_fp32": {}, "over_official": {}})
        goals += [
            report.goal(f"{name}, bf16 over {other}", rounded[key].get("median"), limit)
            for other, key, limit in (
                ("our fp32", "over_fp32", BF16_OVER_FP32),
                ("the official step", "over_official", BF16_OVER_OFFICIAL),
            )
        ]
    return goals


def render(result):
    """Returns the result as Markdown."""
    times = report.table(
        ["step", "batch", "classes", "s per step", "images/s", "x official", "x our fp32",
         "difference of the update"],
        [
            [
                f"{row['backbone']}, {row['step']}", row["batch"], row["classes"],
                report.ranged(row["seconds"], 3), report.ranged(row["images_per_second"], 1),
                report.ranged(row["over_official"]) if row["over_official"] else "1",
                report.ranged(row["over_fp32"]) if row["over_fp32"] else "1",
                f"{row['update_difference']:.1e}",
            ]
            for row in result["rows"]
        ],
    )  # fmt: skip
    logits = report.table(
        ["logits against fp32", "mean difference", "largest", "scatter over classes",
         "same class, %"],
        [
            [
                f"{row['backbone']}, {row['step']}",
                *(f"{row['logits'][key]:.2g}"
                  for key in ("mean_difference", "largest_difference", "scatter")),
                f"{row['logits']['same_class']:.1f}",
            ]
            for row in result["rows"] if row["step"] not in ("official", "fp32")
        ],
    )  # fmt: skip
    precisions = [key for key in result["accuracy"][0] if key != "task"]
    accuracy = report.table(
        ["test accuracy of trained prompts, %", *precisions],
        [
            [f"clip_micro, {row['task']}", *(f"{row[each]:.1f}" for each in precisions)]
            for row in result["accuracy"]
        ],
    )
    parts = [result["done"], report.goals(result["goals"]), times]
    parts += report.left_out(result)
    if any(row["step"] not in ("official", "fp32") for row in result["rows"]):
        parts.append(logits)
    return "\n\n".join([*parts, accuracy])
