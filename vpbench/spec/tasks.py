"""The datasets: where each is read or painted, and the facts of the paper's Table 6."""

from typing import Any, NamedTuple

SPLITS = ("train", "validation", "test")


class Task(NamedTuple):
    """A dataset: where it is read or painted, and the facts of the paper's Table 6 about it."""

    module: str  # has CLASS_NAMES and paint (twins), or open_source (datasets on disk)
    display: str
    published: str  # the paper's dataset whose published number stands beside ours, if any
    template: str  # text prompt; {} is the class name
    paper_validation: bool  # does Table 6 list a validation split?
    shift: bool = False  # one of the three WILDS shifts (Tables 2 and 5)
    metric: str = "accuracy"  # the dataset's own headline metric
    painted: bool = True  # a twin; else a dataset on disk


_PHOTO = "This is a photo of a {}"
_TWIN = "vpbench.twins."


def _real(module: str, *facts: Any) -> Task:
    return Task("vpbench.data.datasets." + module, *facts)._replace(painted=False)


TASKS = {  # in the order of Table 6
    "cifar100_twin": Task(_TWIN + "cifar100", "CIFAR100 twin", "cifar100", _PHOTO, False),
    "cifar10_twin": Task(_TWIN + "cifar10", "CIFAR10 twin", "cifar10", _PHOTO, False),
    "flowers102_twin": Task(_TWIN + "flowers102", "Flowers102 twin", "flowers102", _PHOTO, True),
    "food101_twin": Task(_TWIN + "food101", "Food101 twin", "food101", _PHOTO, True),
    "eurosat_twin": Task(_TWIN + "eurosat", "EuroSAT twin", "eurosat", _PHOTO, True),
    "sun397_twin": Task(_TWIN + "sun397", "SUN397 twin", "sun397", _PHOTO, True),
    "ucf101_twin": Task(_TWIN + "ucf101", "UCF101 twin", "ucf101", _PHOTO, True),
    "svhn_twin": Task(_TWIN + "svhn", "SVHN twin", "svhn", _PHOTO, False),
    "oxfordpets_twin": Task(_TWIN + "oxfordpets", "OxfordPets twin", "oxfordpets", _PHOTO, True),
    "dtd_twin": Task(_TWIN + "dtd", "DTD twin", "dtd", _PHOTO, True),
    "resisc45_twin": Task(_TWIN + "resisc45", "Resisc45 twin", "resisc45", _PHOTO, True),
    "clevr_twin": Task(
        _TWIN + "clevr", "CLEVR/count twin", "clevr", "This is a photo of {} objects", False
    ),
    "iwildcam_twin": Task(
        _TWIN + "iwildcam", "iWildCam twin", "iwildcam", _PHOTO, True, True, "macro_f1"
    ),
    "fmow_twin": Task(_TWIN + "fmow", "FMoW twin", "fmow", _PHOTO, True, True, "worst_group"),
    "camelyon17_twin": Task(
        _TWIN + "camelyon17", "Camelyon17 twin", "camelyon17", "a tissue region {} tumor", True,
        True,
    ),
    # The toy dataset of section 6.3
    "cats_dogs_twin": Task(_TWIN + "cats_dogs", "Cats and dogs twin", "", _PHOTO, True),
    # The real ones, read from disk
    "cifar100": _real("cifar", "CIFAR100", "cifar100", _PHOTO, False),
    "cifar10": _real("cifar", "CIFAR10", "cifar10", _PHOTO, False),
    "flowers102": _real("coop", "Flowers102", "flowers102", _PHOTO, True),
    "food101": _real("coop", "Food101", "food101", _PHOTO, True),
    "eurosat": _real("coop", "EuroSAT", "eurosat", _PHOTO, True),
    "sun397": _real("coop", "SUN397", "sun397", _PHOTO, True),
    "ucf101": _real("coop", "UCF101", "ucf101", _PHOTO, True),
    "svhn": _real("svhn", "SVHN", "svhn", _PHOTO, False),
    "oxfordpets": _real("coop", "OxfordPets", "oxfordpets", _PHOTO, True),
    "dtd": _real("coop", "DTD", "dtd", _PHOTO, True),
    "resisc45": _real("resisc45", "Resisc45", "resisc45", _PHOTO, True),
    "clevr": _real(
        "clevr", "CLEVR/count", "clevr", "This is a photo of {} objects", False
    ),
    "iwildcam": _real("wilds_sets", "iWildCam", "iwildcam", _PHOTO, True, True, "macro_f1"),
    "fmow": _real("wilds_sets", "FMoW", "fmow", _PHOTO, True, True, "worst_group"),
    "camelyon17": _real(
        "wilds_sets", "Camelyon17", "camelyon17", "a tissue region {} tumor", True, True
    ),
    "cats_dogs": _real("coop", "Cats and dogs", "", _PHOTO, True),
    # Not the paper's: handwritten digits in Python packages
    "digits": _real("digits", "Digits", "", _PHOTO, True),
    "mnist_5k": _real("digits", "MNIST, 5,000 images", "", _PHOTO, True),
}  # fmt: skip


def is_twin(task: str) -> bool:
    """Returns whether `task` is a painted twin of a dataset."""
    return task in TASKS and TASKS[task].painted


def task_facts(name: str) -> dict[str, Any]:
    """Returns the facts that a record keeps of the task `name`."""
    keys = ("published", "metric", "shift", "paper_validation")
    return {key: getattr(TASKS[name], key) for key in keys}
