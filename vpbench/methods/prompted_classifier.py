"""A prompt and all that it needs to classify: its backbone, label map, texts and recipe."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Self, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from vpbench.common.errors import UserError
from vpbench.common.messages import first_line
from vpbench.compute import distributed
from vpbench.data.task import Task
from vpbench.models.backbone import Backbone
from vpbench.prompts.build import part, prompt_of, restore_prompt
from vpbench.prompts.files import export_prompt, named, prompt_card, read_prompt, write_prompt
from vpbench.prompts.label_maps import Counted, LabelMap, label_map
from vpbench.prompts.pixel import AnyPrompt
from vpbench.spec.settings import Settings
from vpbench.spec.text_prompts import worded
from vpbench.training.evaluate import evaluate, outputs, predict
from vpbench.training.learner import Learner
from vpbench.training.selection import Selected


class PromptedClassifier(Learner):
    """A frozen backbone behind a visual prompt: uint8 images [N, H, W, C] to logits [N, K].

    What it learns are its `prompt` and its `label_map`; they are its state. `settings` are its
    recipe and `task` what it was made for, in the recipe's words and without images. `accuracy`
    maps splits to %, if it is known; `origin` says where a prompt was trained that is not ours.
    """

    backbone: Backbone

    def __init__(
        self,
        prompt: AnyPrompt,
        label_map: LabelMap,
        backbone: Backbone,
        task: Task,
        settings: Settings,
        accuracy: dict[str, float] | None = None,
        origin: dict[str, Any] | None = None,
    ):
        super().__init__()
        self.prompt, self.label_map = prompt, label_map
        self.__dict__["backbone"] = backbone  # not a submodule: it is neither trained nor saved
        self.task, self.settings = replace(worded(task, settings), splits={}), settings
        self.accuracy, self.origin = accuracy or {}, origin
        self.prompt_space, self.side = settings["prompt_space"], settings["image_side"]

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Returns itself, moved together with its backbone."""
        self.backbone.to(*args, **kwargs)
        return super().to(*args, **kwargs)

    def forward(self, images: Tensor) -> Tensor:
        return self.answers(self.label_map, images)

    def answers(self, logits: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
        """Returns what `logits` gives to prompted images, averaged over an ensemble's members."""
        return logits(self.prompted(images)).unflatten(0, (self.prompt.copies, -1)).mean(0)

    def prompted(self, images: Tensor) -> Tensor:
        """Returns uint8 images [N, H, W, C] as the backbone sees them: normalised [N, C, S, S].

        The prompt is added in pixel units, 0 to 1, or in normalised ones, as the official code
        does; the images are shrunk before if the recipe says so. Of an ensemble of M prompts they
        are [M N, C, S, S], member by member.
        """
        pixels = self.backbone.scale_pixels(images)
        if self.side is not None:
            pixels = shrunk(pixels, self.side)
        if self.prompt_space == "normalized":
            return self.prompt(self.backbone.normalize(pixels))
        return self.backbone.normalize(self.prompt(pixels))

    def pixel_canvas(self) -> Tensor:
        """Returns the prompt alone [1, C, S, S] in pixel units, 1 being a pixel's full range."""
        canvas = self.prompt.canvas().detach()
        return canvas * self.backbone.std if self.prompt_space == "normalized" else canvas

    @contextmanager
    def one_draw(self) -> Iterator[None]:
        """Holds what the prompt draws at random for a batch, for the time of a block."""
        with ExitStack() as stack:
            for member in self.prompt.members:
                stack.enter_context(member.one_draw())
            yield

    def begin_epoch(self, epoch: int, images: Tensor, labels: Tensor) -> None:
        """Counts a label map that is counted from training images, if it is time."""
        when = self.label_map.refresh
        if when == "epoch" or (when == "once" and epoch == 1):
            self.eval()
            self.count_map(images, labels)

    @torch.no_grad()
    def count_map(self, images: Tensor, labels: Tensor) -> None:
        """Counts the label map from uint8 images [N, H, W, C] and labels [N]."""
        counted = cast(Counted, self.label_map)
        answers = partial(self.answers, counted.source)
        counts = counted.no_pairs()
        for batch, source_logits in outputs(answers, images, self.backbone.device):
            counted.add_pairs(counts, source_logits, labels[batch].cpu())
        counted.update(distributed.sum_tensor(counts))

    def predict(self, images: Tensor) -> Tensor:
        """Returns the logits [N, K], on the CPU, of any number of uint8 images [N, H, W, C]."""
        return predict(self, images, self.backbone.device)

    def evaluate(self, task: Task, split: str = "test") -> dict[str, Any]:
        """Returns the metrics on a split of a task; see metrics.classification_metrics.

        A task with other names of as many classes is read in those, with the same text. Raises
        UserError if it has another number of classes, or no such split.
        """
        if split not in task.splits:
            raise UserError(f"{task.name} has no {split} split; it has: {', '.join(task.splits)}")
        classes = len(self.task.class_names)
        if len(task.class_names) != classes:
            raise UserError(
                f"the prompt was made for {classes} classes ({self.task.name}), "
                f"{task.name} has {len(task.class_names)}; fit a prompt for it"
            )
        said = worded(replace(task, template=self.task.template), self.settings)
        same = said.class_names == self.task.class_names
        classifier = self if same else self.for_task(said)
        return evaluate(classifier, task.splits[split], classes, self.backbone.device).metrics

    def for_task(self, task: Task) -> "PromptedClassifier":
        """Returns the same prompt in the words of another task, with as many classes."""
        state = self.label_map.state_dict()
        return restored(self.prompt, state, self.backbone, task, self.settings)

    @property
    def card(self) -> dict[str, Any]:
        """What the prompt was made for, with which recipe, and how good it is, as JSON."""
        card = prompt_card(self.settings, self.backbone, self.task, self.accuracy)
        return card if self.origin is None else card | {"imported": self.origin}

    def save(self, path: str | Path) -> Path:
        """Returns the path `path`.safetensors, once it is written with the card `path`.json."""
        return write_prompt(path, self.prompt, self.label_map.state_dict(), self.card)

    @classmethod
    def load(cls, path: str | Path, backbone: Backbone) -> "PromptedClassifier":
        """Returns what was saved at `path`, made for exactly this `backbone`."""
        prompt, of_map, card = read_prompt(path, backbone)
        names = tuple(card["class_names"])
        task = Task(card["task"], card["task"], names, card["text_prompt"], {})
        facts = task, card["settings"], card["accuracy"], card.get("imported")
        try:
            return restored(prompt.to(backbone.device), of_map, backbone, *facts)
        except RuntimeError as error:  # of load_state_dict: other tensors
            reason = first_line(str(error).strip().splitlines()[-1])
            file = named(path, ".safetensors")
            raise UserError(f"{file} does not hold the prompt of its card: {reason}") from None

    def export(self, path: str | Path) -> tuple[Path, Path]:
        """Returns the paths of the prompt as .npy (float32 [C, S, S], its own units) and .png.

        The PNG shows the prompt alone, each channel stretched so that 0 is mid-grey and the largest
        magnitude of all channels is black or white; it is a picture, not a lossless copy.
        """
        return export_prompt(self.prompt, path)


def untrained(
    backbone: Backbone, task: Task, settings: Settings, seed: int, generator: torch.Generator
) -> PromptedClassifier:
    """Returns the classifier of a recipe before its training; the prompt draws from `generator`."""
    prompt = prompt_of(settings, backbone.image_size, generator)
    mapped = label_map(backbone, worded(task, settings), settings, seed)
    return PromptedClassifier(prompt, mapped, backbone, task, settings).to(backbone.device)


def trained(
    backbone: Backbone, task: Task, settings: Settings, selected: Selected
) -> PromptedClassifier:
    """Returns the classifier that a training with this recipe had after a selected epoch."""
    state = selected.state or {}
    prompt = restore_prompt(settings, backbone.image_size, part(state, "prompt"))
    accuracy = {split: selected.accuracy(split) for split in selected.evaluations}
    of_map = part(state, "label_map")
    return restored(prompt.to(backbone.device), of_map, backbone, task, settings, accuracy)


def restored(
    prompt: AnyPrompt,
    of_map: dict[str, Tensor],
    backbone: Backbone,
    task: Task,
    settings: Settings,
    accuracy: dict[str, float] | None = None,
    origin: dict[str, Any] | None = None,
) -> PromptedClassifier:
    """Returns the classifier of a trained prompt and of the tensors that its label map learned."""
    mapped = label_map(backbone, worded(task, settings), settings)
    mapped.load_state_dict(of_map)
    made = PromptedClassifier(prompt, mapped, backbone, task, settings, accuracy, origin)
    return made.eval()


def shrunk(pixels: Tensor, side: int) -> Tensor:
    """Returns images [N, C, S, S] at `side` pixels in the middle of as much black as is needed."""
    size = pixels.shape[-1]
    if side > size:
        raise UserError(f"image_side {side}: the backbone's images have {size} pixels; shrink them")
    small = F.interpolate(pixels, (side, side), mode="bicubic", antialias=True).clamp(0, 1)
    before = (size - side) // 2
    return F.pad(small, (before, size - side - before, before, size - side - before))
