"""A backbone adapted to a task: what `fit` gives, to evaluate, to use, and to keep."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from vpbench.common.errors import UserError
from vpbench.common.messages import brief
from vpbench.compute.device import REFUSALS, check_device
from vpbench.data.task import AnyTask, Split, Task, TaskSplit
from vpbench.data.unlabelled import read_unlabelled
from vpbench.methods.class_matching import labels_by_name, unlike
from vpbench.methods.prompted_classifier import PromptedClassifier
from vpbench.models.backbone import Backbone
from vpbench.prompts import files
from vpbench.prompts.label_maps import LabelMap
from vpbench.prompts.pixel import AnyPrompt
from vpbench.spec.methods import METHODS
from vpbench.spec.preprocessing import for_recipe
from vpbench.spec.settings import Settings
from vpbench.spec.text_prompts import worded
from vpbench.training.evaluate import Evaluation, evaluation_of, predict
from vpbench.training.learner import Learner

if TYPE_CHECKING:  # it takes half a second, and a run has no use for it
    from pandas import DataFrame


class Model:
    """A backbone adapted to a task by a `method`.

    `classifier` is what was learned, uint8 images [N, H, W, C] to logits [N, K]; its state is what
    is saved. `settings` are the recipe and `task` what it was made for, in the recipe's words and
    without images. `accuracy` maps splits to %, if it is known; `origin` says where a prompt was
    trained that is not ours. `trained_on` has the hashes of the files of one's own images that it
    was trained on, `own` what tells the parts that are not the suite's.
    """

    def __init__(
        self,
        method: str,
        classifier: Learner,
        backbone: Backbone,
        task: Task,
        settings: Settings,
        *,
        accuracy: dict[str, float] | None = None,
        origin: dict[str, Any] | None = None,
        trained_on: frozenset[str] = frozenset(),
        own: dict[str, Any] | None = None,
    ):
        self.method, self.classifier, self.backbone = method, classifier.eval(), backbone
        self.original_names = task.class_names  # before the settings gave others
        self.task, self.settings = replace(worded(task, settings), splits={}), settings
        self.accuracy, self.origin = accuracy or {}, origin
        self.trained_on, self.own = trained_on, own or {}

    def __repr__(self) -> str:
        return f"<{self.method} of {self.backbone.name} for {self.task.name}>"

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes, by label."""
        return self.task.class_names

    @property
    def prompt(self) -> AnyPrompt:
        """The prompt in the image that was learned; a UserError says that there is none."""
        if isinstance(prompt := getattr(self.classifier, "prompt", None), torch.nn.Module):
            return prompt  # type: ignore[return-value]  # it is one of ours or wrapped in one
        raise UserError(f"{self.method} learns no prompt in the image")

    @property
    def label_map(self) -> LabelMap:
        """The label map behind that prompt."""
        if isinstance(self.classifier, PromptedClassifier):
            return self.classifier.label_map
        raise UserError(f"{self.method} has no label map")

    def to(self, device: torch.device | str) -> Self:
        """Returns itself, moved with its backbone; UserError if there is no such device."""
        try:
            self.backbone.to(device)
        except REFUSALS:
            check_device(device)  # says why
            raise
        self.classifier.to(device)
        return self

    def logits(self, images: Tensor) -> Tensor:
        """Returns the logits [N, K], on the CPU, of any number of uint8 images [N, H, H, 3].

        Raises UserError for anything else, such as pixels from 0 to 1.
        """
        what = brief(images)
        if isinstance(images, Tensor):
            what = f"{images.dtype} {list(images.shape)}".removeprefix("torch.")
            square = images.ndim == 4 and images.shape[1] == images.shape[2] and len(images)
            if images.dtype == torch.uint8 and square and images.shape[3] == 3:
                return predict(self.classifier, images, self.backbone.device)
        raise UserError(f"the images are {what}, expected squares of uint8 [N, H, H, 3]")

    def predict(self, what: Any, top: int = 5) -> "DataFrame":
        """Returns a row per image: file, class, probability; then the next likeliest classes.

        `what` is a file, a folder, a list of files, pictures of PIL or uint8 arrays; see
        vpbench.data.unlabelled.read_unlabelled. With `top` 3 the columns are file, class,
        probability, class_2, probability_2, class_3, probability_3.
        """
        import pandas as pd  # late: see the top

        if not isinstance(top, int) or isinstance(top, bool) or top < 1:
            raise UserError(f"top {brief(top)}: expected a number of classes, 1 or more")
        names, images = read_unlabelled(what, self.preprocessing)
        probabilities = self.logits(images).double().softmax(1)
        values, labels = probabilities.topk(min(top, len(self.class_names)))
        columns: dict[str, Sequence[Any]] = {"file": names}
        for place in range(values.shape[1]):
            ending = "" if place == 0 else f"_{place + 1}"
            columns[f"class{ending}"] = [self.class_names[i] for i in labels[:, place].tolist()]
            columns[f"probability{ending}"] = values[:, place].tolist()
        return pd.DataFrame(columns)

    @property
    def preprocessing(self) -> Any:
        """What an image goes through before it comes to the classifier."""
        return for_recipe(self.backbone.preprocessing, self.settings)

    def evaluate(self, which: AnyTask | TaskSplit, split: str = "test") -> dict[str, Any]:
        """Returns the metrics on a split, task.test for one; see metrics.classification_metrics.

        Classes are matched by name; the task may have some of those that the model was made for,
        in any order, and an image may be taken for any that the model knows. `per_class` is by
        name, `mean_per_class` the mean of its accuracies. Raises UserError if the task has an
        unknown class, or no such split, or if it tests on one's own images that the model was
        trained on.
        """
        return self.examine(which, split).metrics

    def examine(self, which: AnyTask | TaskSplit, split: str = "test") -> "Examined":
        """Returns what the model says of each image of a split; see `evaluate`."""
        task, split = loaded(which, split, self.backbone, self.settings)
        check_unseen(task, split, self.trained_on)
        images, names = task.splits[split], self.class_names
        labels = torch.tensor(labels_by_name(task, self.original_names, names))[images.labels]
        images = replace(images, labels=labels)
        evaluation = evaluation_of(self.logits(images.images), images, len(names))
        return Examined(images, evaluation, names)

    @property
    def card(self) -> dict[str, Any]:
        """What it was made for, with which recipe, and how good it is, as JSON."""
        task = replace(self.task, class_names=self.original_names)
        card = files.prompt_card(self.settings, self.backbone, task, self.accuracy, self.method)
        card |= {} if self.origin is None else {"imported": self.origin}
        card |= {"own": self.own} if self.own else {}
        return card | ({"trained_on": "".join(sorted(self.trained_on))} if self.trained_on else {})

    def save(self, path: str | Path) -> Path:
        """Returns the path `path`.safetensors, once it is written with the card `path`.json."""
        state = self.classifier.state_dict()
        if keeps_prompt(self.method):  # the names of its tensors are those of the prompt
            state = {key.removeprefix("prompt."): value for key, value in state.items()}
        return files.write(path, state, self.card)

    def export(self, path: str | Path) -> tuple[Path, ...]:
        """Returns the paths of files for programs that do not know this suite, and of a model card.

        `path`.onnx and `path`.pt2 are the prompt and the model in one (of any method); with another
        name it is the prompt alone: .npy (float32 [C, S, S], its own units), .png (a picture:
        0 is mid-grey, the largest magnitude black or white) and .plain.safetensors, which plain
        PyTorch needs. A prompt that is not one picture for all images has no such file; it is said.
        """
        from vpbench.methods import exporting, model_card  # late: torch.export takes a second

        whole = {".onnx": exporting.export_onnx, ".pt2": exporting.export_program}
        ending = files.a_path(path).suffix
        meant = get_close_matches(ending, whole, 1, 0.8)  # not the .2 of v1.2
        if meant and ending not in whole:
            raise UserError(f"{path}: nothing is exported as {ending}; did you mean {meant[0]}?")
        if ending in whole:
            written = [whole[ending](self.classifier, self.settings, self.class_names, path)]
        else:
            written = [*files.export_prompt(self.prompt, path), *self.export_plain(path)]
        return *written, model_card.write_model_card(self.card, written, path)

    def export_plain(self, path: str | Path) -> list[Path]:
        """Returns the path of the prompt as plain tensors, or says on stderr why there is none."""
        from vpbench.methods.plain_prompt import export_plain  # late, as above

        reason: object = f"the prompt of {self.method} goes with a model that was trained with it"
        if isinstance(self.classifier, PromptedClassifier):
            try:
                return [export_plain(self.classifier, self.settings, self.class_names, path)]
            except UserError as error:
                reason = error
        print(f"{path}: no .plain.safetensors: {reason}", file=sys.stderr)
        return []


class Examined(NamedTuple):
    """What a model says of the images of a split, with their labels among its classes."""

    images: Split
    evaluation: Evaluation
    class_names: tuple[str, ...]

    @property
    def right(self) -> np.ndarray:
        """Whether each image [N] is taken for what it is."""
        right: np.ndarray = (self.evaluation.answers["prediction"] == self.images.labels).numpy()
        return right

    @property
    def metrics(self) -> dict[str, Any]:
        """The metrics, the accuracies of classes that have images by name, and their mean."""
        metrics = self.evaluation.metrics
        accuracies = zip(unlike(self.class_names), metrics["per_class"], strict=True)
        of_present = {name: value for name, value in accuracies if value is not None}
        mean = sum(of_present.values()) / len(of_present)
        return metrics | {"per_class": of_present, "mean_per_class": mean}


def loaded(
    which: AnyTask | TaskSplit, split: str, backbone: Backbone, settings: Settings
) -> tuple[Task, str]:
    """Returns (task, split) with its images as a backbone and a recipe take them."""
    if isinstance(which, TaskSplit):
        which, split = which
    if not isinstance(which, AnyTask):
        raise UserError(
            f"{brief(which)} is no task; give what load_task, from_folder or from_datasets "
            "returns, or a split of it as task.test"
        )
    task = which.load(for_recipe(backbone.preprocessing, settings))
    check_preprocessing(task, backbone, settings)
    if split not in task.splits:
        raise UserError(f"{task.name} has no {split} split; it has: {', '.join(task.splits)}")
    return task, split


def keeps_prompt(method: str) -> bool:
    """Returns whether what a method learns is a prompt in the image."""
    return method in METHODS and METHODS[method].keeps_prompt


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
