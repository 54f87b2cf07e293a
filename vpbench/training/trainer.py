"""The one training loop that prompts, tokens and fine-tuning share."""

import math
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from vpbench.common.errors import UserError
from vpbench.compute import distributed
from vpbench.compute.engine import Engine, until_it_fits
from vpbench.data.augmentation import changed, draw
from vpbench.data.batches import batches, place
from vpbench.data.task import Task
from vpbench.spec.schedules import (
    is_eval_epoch,
    learning_rate,
    steps_of_epoch,
    warm_up_length,
)
from vpbench.training.checkpoint import Checkpoint, Stopped
from vpbench.training.evaluate import Evaluation, evaluate_splits
from vpbench.training.learner import Learner
from vpbench.training.progress import Progress, progress_of
from vpbench.training.selection import RULES, Selected, Selection, select

Result = TypeVar("Result")


class Step(NamedTuple):
    """What a step found, over all processes of the run."""

    loss: float  # mean over the images of the batch
    correct: int  # images of the batch that were classified correctly, before the step
    stop: bool  # is the run to end?
    due: bool  # is it time for a checkpoint?


class Trainer:
    """Trains a `Learner` on a task, by steps of an optimiser against the cross-entropy.

    `settings` are those of a method that is trained by steps: epochs, batch_size, lr, schedule,
    warm_up, warm_up_steps, eval_epochs and, if they are there, augmentation, warm_up_lr,
    rate_changes, t_max and drop_last. What is drawn for a batch, and the order of the images, is
    drawn from `generator`. A batch is passed through `progress.micro_batch` images at a time: as
    `engine` says, or fewer if memory is short; the gradients are those of the batch. (Only batch
    norm in training sees the images of a pass.) From a `checkpoint` the training goes on where it
    was. State and logits are kept of the epochs that the rules in `keep` select.
    """

    def __init__(
        self,
        learner: Learner,
        optimiser: torch.optim.Optimizer,
        task: Task,
        settings: dict[str, Any],
        generator: torch.Generator,
        description: str,
        engine: Engine | None = None,
        checkpoint: Checkpoint | None = None,
        keep: Collection[str] = RULES,
    ):
        engine = engine or Engine()
        self.keep = keep
        self.learner, self.optimiser = learner, optimiser
        self.settings, self.generator, self.description = settings, generator, description
        self.checkpoint = checkpoint or Checkpoint()
        self.device = next(learner.parameters()).device
        self.task = place(task, self.device)
        self.batch_size = settings["batch_size"]
        self.steps_per_epoch = steps_of_epoch(settings, len(task.splits["train"]))
        self.images_per_epoch = min(
            len(task.splits["train"]), self.steps_per_epoch * self.batch_size
        )
        self.steps = self.steps_per_epoch * settings["epochs"]
        self.warm_up = warm_up_length(settings, self.steps)
        self.augmentation = settings.get("augmentation", "none")
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=engine.precision == "fp16")
        self.progress = Progress(min(engine.micro_batch or self.batch_size, self.batch_size))
        self.latest = Selected(None, None, {})  # of the last evaluation, with its logits
        self.bar = tqdm(disable=True)

    @property
    def taken(self) -> int:
        """The number of steps so far."""
        return (self.progress.epoch - 1) * self.steps_per_epoch + self.progress.done

    def run(self) -> Progress:
        """Returns the progress at the end of the training, with its history and its selection.

        Raises UserError if the loss is not finite, Stopped after a signal to end.
        """
        self.resume()
        distributed.broadcast(self.learner)
        self.bar = tqdm(
            desc=self.description, total=self.steps, initial=self.taken, mininterval=5,
            disable=distributed.rank() > 0,
        )  # fmt: skip
        with self.bar, self.checkpoint.trying(self.taken, self.steps), self.checkpoint.watching():
            while self.progress.epoch <= self.settings["epochs"]:
                self.train_epoch()
                self.end_epoch()
        self.learner.eval()
        return self.progress

    def resume(self) -> None:
        """Goes on from the checkpoint, if there is one; what was read is not held any longer."""
        state = self.checkpoint.read()
        if state:
            self.load_state_dict(state)

    def train_epoch(self) -> None:
        """Trains on the images of the epoch at hand, those that are left of it."""
        progress, train = self.progress, self.task.splits["train"]
        if progress.order is None:
            self.looked(
                lambda: self.learner.begin_epoch(
                    progress.epoch, train.images, train.labels, self.one_batch
                )
            )
            progress.order = torch.randperm(len(train), generator=self.generator)
        self.learner.train()
        order = progress.order[: self.images_per_epoch]
        waiting = order.split(self.batch_size)[progress.done :]
        shares = [distributed.share(index) for index in waiting]
        coming = batches(train.images, shares, self.device)
        for whole, index, images in zip(waiting, shares, coming, strict=True):
            step = self.train_step(images, train.labels[index].to(self.device), len(whole))
            if step.stop or step.due:
                self.save()
            if step.stop:
                self.checkpoint.end()

    def train_step(self, images: Tensor, labels: Tensor, batch_size: int | None = None) -> Step:
        """Takes a step on uint8 images [N, H, W, C] and labels [N], and returns what it found.

        They are this process's share of a batch of `batch_size` images, or all of it.
        """
        total = len(images) if batch_size is None else batch_size
        self.set_learning_rate()
        draws = draw(total, self.augmentation, self.generator)  # the same in all processes
        images = changed(images, self.augmentation, distributed.share(draws))
        with self.learner.one_draw():
            loss, correct = self.pass_through(images, labels, total)
        loss, hits, stop, due = distributed.sum_numbers(
            loss, correct, self.checkpoint.stop, self.checkpoint.due(self.taken + 1)
        )
        step = Step(loss, int(hits), bool(stop), bool(due))
        self.check_finite(step.loss, "training")
        distributed.sum_gradients(self.learner)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.progress.loss += step.loss * total
        self.progress.correct += step.correct
        self.progress.done += 1
        self.bar.update()
        return step

    def set_learning_rate(self) -> None:
        """Gives the optimiser the learning rate of the step that comes."""
        settings, step = self.settings, self.taken
        if settings.get("rate_changes") == "epoch":  # as in schedulers that step once an epoch
            step -= self.progress.done
        rate = learning_rate(
            step, self.steps, settings["lr"], self.warm_up, settings["schedule"],
            settings.get("warm_up_lr"), settings.get("t_max", "rest"),
        )  # fmt: skip
        for group in self.optimiser.param_groups:
            group["lr"] = group.get("factor", 1) * rate

    def pass_through(self, images: Tensor, labels: Tensor, total: int) -> tuple[float, int]:
        """Returns (loss, correct) of this process's share of a batch of `total` images.

        The gradients are in the parameters. If there is too little memory everything is taken back
        and done again with half as many images per pass.
        """
        progress, learner = self.progress, self.learner
        statistics = [buffer.clone() for buffer in learner.buffers()]  # of batch norm

        def attempt(size: int) -> tuple[float, int]:
            if size != progress.micro_batch:
                for buffer, value in zip(learner.buffers(), statistics, strict=True):
                    buffer.copy_(value)
            self.optimiser.zero_grad(set_to_none=True)
            loss, correct = 0.0, 0
            for start in range(0, len(images), size):
                answers = labels[start : start + size]
                logits = learner(images[start : start + size])
                part = F.cross_entropy(logits, answers) * (len(answers) / total)
                self.scaler.scale(part).backward()
                loss += part.item()
                correct += int((logits.argmax(1) == answers).sum().item())
            return loss, correct

        sums, progress.micro_batch = until_it_fits(attempt, progress.micro_batch)
        return sums

    def end_epoch(self) -> None:
        """Notes the epoch at hand, with an evaluation if that is due, and turns to the next."""
        progress, images = self.progress, self.images_per_epoch
        line = {
            "epoch": progress.epoch,
            "loss": progress.loss / images,
            "train_accuracy": 100 * progress.correct / images,
            "validation_accuracy": None,
            "test_accuracy": None,
        }
        if is_eval_epoch(progress.epoch, self.settings):
            evaluations = self.evaluate()
            latest = self.latest = Selected(progress.epoch, None, evaluations)
            line |= {f"{name}_accuracy": latest.accuracy(name) for name in evaluations}
            progress.selection = self.kept(select(progress.selection, latest), latest)
        progress.history.append(line)
        progress.next_epoch()

    def kept(self, selection: Selection, latest: Selected) -> Selection:
        """Returns `selection` with what is kept of the epoch at hand, `latest`."""
        new = [rule for rule in selection if selection[rule] is latest]
        whole = latest
        if set(self.keep) & set(new):
            whole = latest._replace(state=copy_of(self.learner))
        short = latest.summary()
        return selection | {rule: whole if rule in self.keep else short for rule in new}

    def evaluate(self) -> dict[str, Evaluation]:
        """Returns split name -> Evaluation of the learner as it is.

        Raises UserError if a loss is not finite, Stopped after a signal to end.
        """
        self.learner.eval()
        distributed.average_buffers(self.learner)
        evaluations = self.looked(
            lambda: evaluate_splits(self.learner, self.task, self.device, self.one_batch)
        )
        for name, evaluation in evaluations.items():
            self.check_finite(evaluation.metrics["nll"], name)
        return evaluations

    def looked(self, look: Callable[[], Result]) -> Result:
        """Returns look(); a signal to end that comes in one_batch keeps the state before it."""
        before = self.generator.get_state()
        try:
            return look()
        except Stopped:
            self.generator.set_state(before)
            self.save()
            self.checkpoint.end()

    @contextmanager
    def one_batch(self) -> Iterator[None]:
        """Ends an evaluation or a count between two of its batches, after a signal to end."""
        if self.checkpoint.stop and distributed.processes() == 1:  # several stop after a step
            raise Stopped
        with self.learner.one_draw():
            yield

    def check_finite(self, loss: float, kind: str) -> None:
        """Raises UserError unless the loss is a finite number."""
        if not math.isfinite(loss):
            raise UserError(
                f"{self.description}: the {kind} loss is {loss} after {self.taken} of {self.steps} "
                "steps; choose a smaller lr"
            )

    def save(self) -> None:
        """Writes a checkpoint; raises UserError if the last step has spoilt what is trained."""
        distributed.average_buffers(self.learner)
        values = [
            value for value in self.learner.state_dict().values() if value.is_floating_point()
        ]
        if not all(bool(value.isfinite().all()) for value in values):
            self.check_finite(math.nan, "next training")  # the checkpoint before is worth more
        self.checkpoint.write(self.state_dict())

    def state_dict(self) -> dict[str, Any]:
        """Returns all that the training needs to go on; torch.load reads it with weights_only."""
        generators = {"training": self.generator.get_state(), "cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            generators["cuda"] = torch.cuda.get_rng_state(self.device)
        return {
            "progress": self.progress.plain(),
            "generators": generators,
            "learner": self.learner.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Brings learner, optimiser, generators and progress to `state`."""
        self.learner.load_state_dict(state["learner"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.scaler.load_state_dict(state["scaler"])
        generators = state["generators"]
        self.generator.set_state(generators["training"])
        torch.set_rng_state(generators["cpu"])
        if self.device.type == "cuda" and "cuda" in generators:
            torch.cuda.set_rng_state(generators["cuda"], self.device)
        self.progress = progress_of(state["progress"])


def copy_of(module: nn.Module) -> dict[str, Tensor]:
    """Returns the state of `module` on the CPU; later steps do not change it."""
    return {name: value.to("cpu", copy=True) for name, value in module.state_dict().items()}
