"""What is known about each real dataset: one row per dataset (Table 6 and where to get it)."""

from typing import NamedTuple


class Facts(NamedTuple):
    """Facts of a dataset; sizes are numbers of images, `gigabytes` what its files take on disk."""

    classes: int
    sizes: dict[str, int]  # split -> images, as the loader must find them
    names: str  # where the class names come from
    licence: str
    download: str  # automatic, or manual
    steps: str  # what a person does to get it; for automatic ones what is fetched
    gigabytes: float
    native_size: int | None = None  # side in pixels, where all images are squares of one size
    remark: str = ""  # where Table 6 and the dataset disagree

    @property
    def chance(self):
        """The accuracy of guessing, in percent."""
        return 100 / self.classes


def _sizes(train, test, validation=None):
    return {"train": train} | ({"validation": validation} if validation else {}) | {"test": test}


FACTS = {
    "cifar100": Facts(
        100, _sizes(50_000, 10_000), "fine_label_names of the archive", "none stated",
        "automatic", "cifar-100-python.tar.gz by torchvision", 0.2, 32,
    ),
}  # fmt: skip
