"""A prompt and all that it needs to classify: its backbone, label map, texts and recipe."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Self, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from vpbench.common.errors import UserError
from vpbench.common.messages import brief, first_line
from vpbench.compute import distributed
from vpbench.data.folder_classes import class_key, few
from vpbench.data.folder_images import DIGITS
from vpbench.data.task import Task
from vpbench.models.backbone import Backbone
from vpbench.prompts.build import part, prompt_of, restore_prompt
from vpbench.prompts.files import export_prompt, named, prompt_card, read_prompt, write_prompt
from vpbench.prompts.label_maps import Counted, LabelMap, label_map
from vpbench.prompts.pixel import AnyPrompt
from vpbench.spec.label_maps import LABEL_MAPS
from vpbench.spec.preprocessing import for_recipe
from vpbench.spec.settings import Settings
from vpbench.spec.text_prompts import worded
from vpbench.training.evaluate import Around, evaluate, outputs, predict
from vpbench.training.learner import Learner
from vpbench.training.selection import Selected


class PromptedClassifier(Learner):
    """A frozen backbone behind a visual prompt: uint8 images [N, H, W, C] to logits [N, K].

    What it learns are its `prompt` and its `label_map`; they are its state. `settings` are its
    recipe and `task` what it was made for, in the recipe's words and without images. `accuracy`
    maps splits to %, if it is known; `origin` says where a prompt was trained that is not ours.
    `trained_on` has the hashes of the files of one's own images that it was trained on.
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
        self.original_names = task.class_names  # before the settings gave others
        self.accuracy, self.origin = accuracy or {}, origin
        self.trained_on: frozenset[str] = frozenset()
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
        if self.side is None:
            pixels = self.backbone.scale_pixels(images)
        else:
            pixels = shrunk(self.backbone.unit_pixels(images), self.side, self.backbone.image_size)
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
        when = LABEL_MAPS[self.settings["label_map"]].refresh
        if when == "epoch" or (when == "once" and epoch == 1):
            self.eval()
            self.count_map(images, labels, around)

    @torch.no_grad()
    def count_map(self, images: Tensor, labels: Tensor, around: Around = nullcontext) -> None:
        """Counts the label map from uint8 images [N, H, W, C] and labels [N]."""
        counted = cast(Counted, self.label_map)
        answers = partial(self.answers, counted.source)
        counts = counted.no_pairs()
        for batch, source_logits in outputs(answers, images, self.backbone.device, around):
            counted.add_pairs(counts, source_logits, labels[batch].cpu())
        counted.update(distributed.sum_tensor(counts))

    def predict(self, images: Tensor) -> Tensor:
        """Returns the logits [N, K], on the CPU, of any number of uint8 images [N, H, W, C].

        Raises UserError for anything else, such as pixels from 0 to 1.
        """
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != images.shape[2]:
            shape = f"{images.dtype} {list(images.shape)}".removeprefix("torch.")
            raise UserError(f"the images are {shape}, expected squares of uint8 [N, H, H, C]")
        return predict(self, images, self.backbone.device)

    def evaluate(self, task: Task, split: str = "test") -> dict[str, Any]:
        """Returns the metrics on a split of a task; see metrics.classification_metrics.

        Classes are matched by name; the task may have some of those that the prompt was made for,
        in any order, and an image may be taken for any that the prompt knows. `per_class` is by
        name. Raises UserError if the task has an unknown class, or no such split, or if it tests on
        one's own images that the prompt was trained on.
        """
        if not isinstance(task, Task):
            raise UserError(f"{brief(task)} is no task; give what load_task or load_folder returns")
        check_preprocessing(task, self.backbone, self.settings)
        if split not in task.splits:
            raise UserError(f"{task.name} has no {split} split; it has: {', '.join(task.splits)}")
        check_unseen(task, split, self.trained_on)
        images, names = task.splits[split], self.task.class_names
        labels = torch.tensor(labels_by_name(task, self.original_names, names))[images.labels]
        images = replace(images, labels=labels)
        metrics = evaluate(self, images, len(names), self.backbone.device).metrics
        accuracies = zip(unlike(names), metrics["per_class"], strict=True)
        of_present = {name: value for name, value in accuracies if value is not None}
        return metrics | {"per_class": of_present}

    def for_task(self, task: Task) -> "PromptedClassifier":
        """Returns the same prompt in the words of another task, with as many classes."""
        state = self.label_map.state_dict()
        made = restored(self.prompt, state, self.backbone, task, self.settings)
        made.trained_on = self.trained_on
        return made

    @property
    def card(self) -> dict[str, Any]:
        """What the prompt was made for, with which recipe, and how good it is, as JSON."""
        task = replace(self.task, class_names=self.original_names)
        card = prompt_card(self.settings, self.backbone, task, self.accuracy)
        card |= {} if self.origin is None else {"imported": self.origin}
        return card | ({"trained_on": "".join(sorted(self.trained_on))} if self.trained_on else {})

    def save(self, path: str | Path) -> Path:
        """Returns the path `path`.safetensors, once it is written with the card `path`.json."""
        return write_prompt(path, self.prompt, self.label_map.state_dict(), self.card)

    @classmethod
    def load(cls, path: str | Path, backbone: Backbone) -> "PromptedClassifier":
        """Returns what was saved at `path`, made for exactly this `backbone`."""
        prompt, of_map, card = read_prompt(path, backbone)
        names = tuple(card.get("original_names", card["class_names"]))
        notes = tuple(card.get("notes", ()))
        task = Task(card["task"], card["task"], names, card["text_prompt"], {}, notes=notes)
        facts = task, card["settings"], card["accuracy"], card.get("imported")
        try:
            made = restored(prompt.to(backbone.device), of_map, backbone, *facts)
        except RuntimeError as error:  # of load_state_dict: other tensors
            reason = first_line(str(error).strip().splitlines()[-1])
            file = named(path, ".safetensors")
            raise UserError(f"{file} does not hold the prompt of its card: {reason}") from None
        hashes = card.get("trained_on", "")
        made.trained_on = frozenset(hashes[i : i + DIGITS] for i in range(0, len(hashes), DIGITS))
        return made

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
    made = restored(prompt.to(backbone.device), of_map, backbone, task, settings, accuracy)
    made.trained_on = frozenset(task.splits["train"].hashes or ())
    return made


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


def check_preprocessing(task: Task, backbone: Backbone, settings: Settings) -> None:
    """Raises UserError if the images of a task were made for another backbone or recipe.

    They would be resized once more, from 56 pixels for example, and nothing would look wrong.
    """
    usual, made = backbone.preprocessing, task.preprocessing
    right = {usual, for_recipe(usual, settings)}
    if made is not None and made not in right:
        raise UserError(
            f"the images of {task.name} went through {made.key}, and {backbone.name} takes "
            f"{usual.key}; load them with preprocessing=backbone.preprocessing"
        )


def check_unseen(task: Task, split: str, trained_on: frozenset[str]) -> None:
    """Raises UserError if a prompt was trained on images of a split that is not for training.

    A copy of one that is for training here as well does not count: the folder's notes tell of it.
    """
    images = task.splits[split]
    if split == "train" or not images.hashes:
        return
    noted = set(task.splits["train"].hashes or ()) if "train" in task.splits else set()
    files = zip(images.ids, images.hashes, strict=True)
    seen = [name for name, of_file in files if of_file in trained_on and of_file not in noted]
    if seen:
        raise UserError(
            f"{task.name}: {len(seen):,} of {len(images):,} images of its {split} split were "
            f"trained on, {seen[0]} for one: the folder has changed or is another, and one without "
            "splits is cut anew; put the images into train/ and test/ folders or give a split "
            "file, and fit again"
        )


def labels_by_name(task: Task, original: Sequence[str], said: Sequence[str]) -> list[int]:
    """Returns the label of each class of a task among classes that have these names.

    They go by their `original` names or, where settings gave others, by those that are `said`.
    Raises UserError, in one line, if there is a class that none of them is.
    """
    wanted = [class_key(name) for name in task.class_names]
    for names in (original, said):
        keys = [class_key(name) for name in names]
        if wanted == keys:  # also where two classes have one name
            return list(range(len(names)))
        labels = {key: label for label, key in enumerate(keys)}
        if len(labels) == len(names) and labels.keys() >= set(wanted):
            return [labels[key] for key in wanted]
    known = {class_key(name) for name in (*original, *said)}
    unknown = [name for name, key in zip(task.class_names, wanted, strict=True) if key not in known]
    raise UserError(
        f"the prompt does not know {few(unknown or task.class_names)}, classes of {task.name}; it "
        f"was made for {few(original)}; rename them, say by class names which is which, or fit a "
        "prompt"
    )


def unlike(names: Sequence[str]) -> list[str]:
    """Returns names, those that are there more than once with their labels."""
    return [f"{n} ({i})" if names.count(n) > 1 else n for i, n in enumerate(names)]


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
