"""VP as what is trained: a prompt before a frozen backbone, and a label map behind it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any, Self, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from vpbench.common.errors import UserError
from vpbench.compute import distributed
from vpbench.data.task import Task
from vpbench.models.backbone import Backbone
from vpbench.prompts.build import prompt_of
from vpbench.prompts.label_maps import Counted, LabelMap, label_map
from vpbench.prompts.own import NOTHING_OWN, Own
from vpbench.prompts.pixel import AnyPrompt
from vpbench.spec.label_maps import LABEL_MAPS
from vpbench.spec.settings import Settings
from vpbench.spec.text_prompts import worded
from vpbench.training.evaluate import Around, outputs
from vpbench.training.learner import Learner


class PromptedClassifier(Learner):
    """A frozen backbone behind a visual prompt: uint8 images [N, H, W, C] to logits [N, K].

    What it learns are its `prompt` and its `label_map`; they are its state. `settings` are its
    recipe.
    """

    backbone: Backbone

    def __init__(
        self, prompt: AnyPrompt, label_map: LabelMap, backbone: Backbone, settings: Settings
    ):
        super().__init__()
        self.prompt, self.label_map = prompt, label_map
        self.__dict__["backbone"] = backbone  # not a submodule: it is neither trained nor saved
        self.settings = settings
        self.prompt_space, self.side = settings["prompt_space"], settings["image_side"]

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Returns itself, moved together with its backbone."""
        self.backbone.to(*args, **kwargs)
        return super().to(*args, **kwargs)

    def forward(self, images: Tensor) -> Tensor:
        return self.from_pixels(self.pixels(images))

    def pixels(self, images: Tensor) -> Tensor:
        """Returns uint8 images [N, H, W, C] as pixels 0..1 [N, C, S, S], before any prompt.

        Where the recipe shrinks images they have the side that they were stored with.
        """
        native = self.side is None
        return self.backbone.scale_pixels(images) if native else self.backbone.unit_pixels(images)

    def from_pixels(self, pixels: Tensor) -> Tensor:
        """Returns the logits [N, K] of `pixels`; an exported model is made of this."""
        return self.answers(self.label_map, pixels)

    def answers(self, logits: Callable[[Tensor], Tensor], pixels: Tensor) -> Tensor:
        """Returns what `logits` gives to prompted `pixels`, averaged over an ensemble's members."""
        x = self.with_prompt(pixels)
        return logits(x).unflatten(0, (self.prompt.copies, -1)).mean(0)

    def prompted(self, images: Tensor) -> Tensor:
        """Returns uint8 images [N, H, W, C] as the backbone sees them; see `with_prompt`."""
        return self.with_prompt(self.pixels(images))

    def with_prompt(self, pixels: Tensor) -> Tensor:
        """Returns `pixels` as the backbone sees them: normalised [N, C, S, S].

        The prompt is added in pixel units, 0 to 1, or in normalised ones, as the official code
        does; the images are shrunk before if the recipe says so. Of an ensemble of M prompts they
        are [M N, C, S, S], member by member.
        """
        if self.side is not None:
            pixels = shrunk(pixels, self.side, self.backbone.image_size)
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

    def begin_epoch(
        self, epoch: int, images: Tensor, labels: Tensor, around: Around = nullcontext
    ) -> None:
        """Counts a label map that is counted from training images, if it is time."""
        if "label_map" not in self.settings:  # one's own
            return
        when = LABEL_MAPS[self.settings["label_map"]].refresh
        if when == "epoch" or (when == "once" and epoch == 1):
            self.eval()
            self.count_map(images, labels, around)

    @torch.no_grad()
    def count_map(self, images: Tensor, labels: Tensor, around: Around = nullcontext) -> None:
        """Counts the label map from uint8 images [N, H, W, C] and labels [N]."""
        counted = cast(Counted, self.label_map)
        counts = counted.no_pairs()

        def answers(images: Tensor) -> Tensor:
            return self.answers(counted.source, self.pixels(images))

        for batch, source_logits in outputs(answers, images, self.backbone.device, around):
            counted.add_pairs(counts, source_logits, labels[batch].cpu())
        counted.update(distributed.sum_tensor(counts))

    def for_task(self, task: Task) -> "PromptedClassifier":
        """Returns the same prompt in the words of another task, with as many classes."""
        mapped = label_map(self.backbone, worded(task, self.settings), self.settings)
        mapped.load_state_dict(self.label_map.state_dict())
        return PromptedClassifier(self.prompt, mapped, self.backbone, self.settings).eval()


def untrained(
    backbone: Backbone,
    task: Task,
    settings: Settings,
    seed: int,
    generator: torch.Generator,
    own: Own = NOTHING_OWN,
) -> PromptedClassifier:
    """Returns the classifier of a recipe before its training; the prompt draws from `generator`.

    What is one's `own` stands in place of what the recipe says.
    """
    prompt, mapped = own
    if prompt is None:
        prompt = prompt_of(settings, backbone.image_size, generator)
    if mapped is None:
        mapped = label_map(backbone, worded(task, settings), settings, seed)
    return PromptedClassifier(prompt, mapped, backbone, settings).to(backbone.device)


def shrunk(pixels: Tensor, side: int, size: int) -> Tensor:
    """Returns images [N, C, H, H] at `side` pixels in the middle of black [N, C, size, size].

    Those that were stored at that side, straight from their files, are not resized again.
    """
    if side > size:
        raise UserError(f"image_side {side}: the backbone's images have {size} pixels; shrink them")
    if pixels.shape[-1] != side:
        pixels = F.interpolate(pixels, (side, side), mode="bicubic", antialias=True).clamp(0, 1)
    before = (size - side) // 2
    return F.pad(pixels, (before, size - side - before, before, size - side - before))
