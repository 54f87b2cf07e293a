"""The one optimisation loop that prompts and fine-tuning share, and the choice of an epoch."""

import math
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from vpbench.common.errors import UserError
from vpbench.compute import distributed
from vpbench.compute.engine import Engine, until_it_fits
from vpbench.data.augmentation import changed, draw
from vpbench.data.batches import batches, place
from vpbench.spec.schedules import learning_rate, looked_at, warm_up_length
from vpbench.training.checkpoint import Checkpoint, Stopped
from vpbench.training.evaluate import Evaluation, evaluate
from vpbench.training.selection import select


@dataclass
class Progress:
    """How far a training is; with the states of module, optimiser and generators all it needs."""

    micro_batch: int  # images per pass
    epoch: int = 1  # the one at hand
    order: Tensor | None = None  # of its images
    done: int = 0  # its steps so far
    loss: float = 0.0  # summed over its images
    correct: int = 0
    history: list[dict] = field(default_factory=list)
    selection: dict = field(default_factory=dict)


def optimise(
    module, classifier, optimiser, task, settings, generator, description,
    engine=None, checkpoint=None,
):  # fmt: skip
    """Trains `module` through `classifier` and returns (history, selection, micro_batch).

    `classifier` maps uint8 images to logits and uses `module`. history has one dict per epoch;
    selection maps last, best_validation and best_test to (epoch, state of the module, evaluation
    per split). Ties go to the earlier epoch. A batch is passed through `micro_batch` images at a
    time: as `engine` says, or fewer if memory is short; the gradients are those of the batch.
    (Only batch norm in training sees the images of a pass.) From a `checkpoint` the training goes
    on where it was. Raises UserError if the loss is not finite, Stopped after a signal to end.
    """
    engine, checkpoint = engine or Engine(), checkpoint or Checkpoint()
    device, batch_size = next(module.parameters()).device, settings["batch_size"]
    task, classes = place(task, device), len(task.class_names)
    train = task.splits["train"]
    per_epoch = math.ceil(len(train) / batch_size)
    steps = per_epoch * settings["epochs"]
    warm_up = warm_up_length(settings, steps)
    scaler = torch.amp.GradScaler(device.type, enabled=engine.precision == "fp16")
    progress = Progress(min(engine.micro_batch or batch_size, batch_size))
    held = getattr(module, "held", nullcontext)  # what is drawn at random for a batch
    begin_epoch = getattr(module, "begin_epoch", lambda *_: None)  # what is counted for an epoch
    diversity = settings.get("augmentation", "none")
    by_epoch = settings.get("rate_changes") == "epoch"  # as in schedulers that step once an epoch

    parts = {"module": module, "optimiser": optimiser, "scaler": scaler}
    kept = checkpoint.read()
    if kept:
        progress = resume(kept, parts, generator, device)
    distributed.broadcast(module)

    def keep():
        distributed.average_buffers(module)
        checkpoint.write(snapshot(progress, parts, generator, device))

    @contextmanager
    def evaluated_batch():
        if checkpoint.stop and distributed.processes() == 1:  # several stop after a step, together
            raise Stopped
        with held():
            yield

    def taken():
        return (progress.epoch - 1) * per_epoch + progress.done

    with (
        tqdm(
            desc=description, total=steps, initial=taken(), mininterval=5,
            disable=distributed.rank() > 0,
        ) as bar,
        checkpoint.watching(),
    ):  # fmt: skip

        def check(value, kind):
            if not math.isfinite(value):
                bar.close()  # the message gets a line of its own
                raise UserError(
                    f"{description}: the {kind} loss is {value} after {taken()} of {steps} steps; "
                    "choose a smaller lr"
                )

        while progress.epoch <= settings["epochs"]:
            if progress.order is None:
                begin_epoch(progress.epoch, train.images, train.labels)
                progress.order = torch.randperm(len(train), generator=generator)
            module.train()
            waiting = progress.order.split(batch_size)[progress.done :]
            shares = [distributed.share(index) for index in waiting]
            for whole, index, images in zip(
                waiting, shares, batches(train.images, shares, device), strict=True
            ):
                step = (progress.epoch - 1) * per_epoch if by_epoch else taken()
                for group in optimiser.param_groups:
                    group["lr"] = group.get("factor", 1) * learning_rate(
                        step, steps, settings["lr"], warm_up, settings["schedule"],
                        settings.get("warm_up_lr"),
                    )  # fmt: skip
                draws = draw(len(whole), diversity, generator)  # the same in all processes
                images = changed(images, diversity, distributed.share(draws))
                with held():
                    (loss, hits), progress.micro_batch = pass_through(
                        module, classifier, optimiser, scaler,
                        images, train.labels[index].to(device), len(whole), progress.micro_batch,
                    )  # fmt: skip
                loss, hits, stop, due = distributed.sum_numbers(
                    loss, hits, checkpoint.stop, checkpoint.due(taken() + 1)
                )
                check(loss, "training")
                distributed.sum_gradients(module)
                scaler.step(optimiser)
                scaler.update()
                progress.loss += loss * len(whole)
                progress.correct += int(hits)
                progress.done += 1
                bar.update()
                if stop or due:
                    keep()
                if stop:
                    checkpoint.end()
            line = {
                "epoch": progress.epoch,
                "loss": progress.loss / len(train),
                "train_accuracy": 100 * progress.correct / len(train),
                "validation_accuracy": None,
                "test_accuracy": None,
            }
            if looked_at(progress.epoch, settings):
                module.eval()
                distributed.average_buffers(module)
                before = generator.get_state()
                try:
                    evaluations = evaluate_splits(
                        classifier, task, classes, device, evaluated_batch
                    )
                except Stopped:
                    generator.set_state(before)
                    keep()
                    checkpoint.end()
                for name, evaluation in evaluations.items():
                    check(evaluation.metrics["nll"], name)
                    line[f"{name}_accuracy"] = evaluation.metrics["accuracy"]
                entry = progress.epoch, copy_of(module), evaluations
                progress.selection = select(progress.selection, entry)
            progress.history.append(line)
            progress.epoch, progress.order, progress.done = progress.epoch + 1, None, 0
            progress.loss, progress.correct = 0.0, 0
    module.eval()
    return progress.history, progress.selection, progress.micro_batch


def pass_through(module, classifier, optimiser, scaler, images, labels, total, micro_batch):
    """Returns ((loss, hits), micro_batch) of this process's share of a batch of `total` images.

    The gradients are in the parameters. If there is too little memory everything is taken back and
    done again with half as many images per pass.
    """
    statistics = [buffer.clone() for buffer in module.buffers()]  # of batch norm

    def attempt(size):
        if size != micro_batch:
            for buffer, value in zip(module.buffers(), statistics, strict=True):
                buffer.copy_(value)
        optimiser.zero_grad(set_to_none=True)
        loss, hits = 0.0, 0
        for start in range(0, len(images), size):
            answers = labels[start : start + size]
            logits = classifier(images[start : start + size])
            part = F.cross_entropy(logits, answers) * (len(answers) / total)
            scaler.scale(part).backward()
            loss += part.item()
            hits += (logits.argmax(1) == answers).sum().item()
        return loss, hits

    return until_it_fits(attempt, micro_batch)


def evaluate_splits(classifier, task, classes, device=None, around=nullcontext):
    """Returns split name -> Evaluation for the validation (if the task has one) and test splits.

    `device` and `around` are those of evaluate.predict.
    """
    return {
        name: evaluate(classifier, task.splits[name], classes, device, around)
        for name in ("validation", "test")
        if name in task.splits
    }


def copy_of(module):
    """Returns the state of `module` on the CPU; later steps do not change it."""
    return {name: value.to("cpu", copy=True) for name, value in module.state_dict().items()}


def snapshot(progress, parts, generator, device):
    """Returns all that a training needs to go on, as torch.load reads it with weights_only."""
    generators = {"own": generator.get_state(), "cpu": torch.get_rng_state()}
    if device.type == "cuda":
        generators["cuda"] = torch.cuda.get_rng_state(device)
    selection = {
        name: (epoch, state, {split: tuple(each) for split, each in evaluations.items()})
        for name, (epoch, state, evaluations) in progress.selection.items()
    }
    return {
        "progress": vars(progress) | {"selection": selection},
        "generators": generators,
        **{name: part.state_dict() for name, part in parts.items()},
    }


def resume(kept, parts, generator, device):
    """Returns the progress of the snapshot `kept`; `parts` and generators are as they were."""
    for name, part in parts.items():
        part.load_state_dict(kept[name])
    generators = kept["generators"]
    generator.set_state(generators["own"])
    torch.set_rng_state(generators["cpu"])
    if device.type == "cuda" and "cuda" in generators:
        torch.cuda.set_rng_state(generators["cuda"], device)
    progress = Progress(**kept["progress"])
    progress.selection = {
        name: (epoch, state, {split: Evaluation(*each) for split, each in evaluations.items()})
        for name, (epoch, state, evaluations) in progress.selection.items()
    }
    return progress
