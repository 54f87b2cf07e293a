"""What the names of files and folders say in a folder of images, and how they are ordered."""

import re
from collections.abc import Callable, Sequence

Order = Callable[[Sequence[str]], list[str]]
# Of operating systems, archives, network drives and notebooks; all that begins with a dot as well.
HIDDEN = (
    *("__macosx", "__pycache__", "@eadir", "@synoresource", "#recycle", "$recycle.bin"),
    *("system volume information", "lost+found", "thumbs.db", "ehthumbs.db", "desktop.ini"),
)
SPLIT_FOLDERS = {
    "train": "train", "training": "train", "val": "validation", "valid": "validation",
    "validation": "validation", "dev": "validation", "test": "test", "testing": "test",
}  # fmt: skip
IMAGES = "images"
BESIDE_IMAGES = ("labels", "masks", "annotations")  # what detection and segmentation learn from
_SPEAKING = re.compile(f"(?<![a-z])({'|'.join(SPLIT_FOLDERS)})(?:s|sets?|data|images?)?(?![a-z])")


def hidden(name: str) -> bool:
    """Returns whether a file or folder is not a person's own."""
    return name.startswith(".") or name.lower() in HIDDEN


def split_of(name: str) -> str | None:
    """Returns the split that a folder with this name holds, or None."""
    return SPLIT_FOLDERS.get(name.strip().lower())


def are_parts(names: Sequence[str]) -> bool:
    """Returns whether folders with these names are images and what belongs to each of them."""
    kinds = {name.strip().lower() for name in names}
    return IMAGES in kinds and len(kinds) > 1 and kinds <= {IMAGES, *BESIDE_IMAGES}


def speaks_of(name: str) -> str | None:
    """Returns the split that a name speaks of, as training_set and seg_test do, or None."""
    found = _SPEAKING.search(name.lower())
    return SPLIT_FOLDERS[found[1]] if found else None


def in_text_order(names: Sequence[str]) -> list[str]:
    """Returns names in the order of their letters: 10 before 2, capitals before the others."""
    return sorted(names)


def in_counting_order(names: Sequence[str]) -> list[str]:
    """Returns names as a person counts: 2 before 10, capitals among the other letters."""

    def place(name: str) -> tuple[list[tuple[int, str]], str]:
        parts = re.split("0*([0-9]+)", name.casefold())  # every second one is a number
        return [(len(part) if i % 2 else 0, part) for i, part in enumerate(parts)], name

    return sorted(names, key=place)


ORDERS: dict[str, Order] = {"text": in_text_order, "counting": in_counting_order}


def two_orders(names: Sequence[str]) -> bool:
    """Returns whether a list in the order of these names could be meant in two ways."""
    return in_text_order(names) != in_counting_order(names)
