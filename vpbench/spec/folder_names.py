"""What the names of files and folders say in a folder of images."""

# Of operating systems, archives, network drives and notebooks; all that begins with a dot as well.
HIDDEN = (
    *("__macosx", "__pycache__", "@eadir", "@synoresource", "#recycle", "$recycle.bin"),
    *("system volume information", "lost+found", "thumbs.db", "ehthumbs.db", "desktop.ini"),
)
SPLIT_FOLDERS = {
    "train": "train", "training": "train", "val": "validation", "valid": "validation",
    "validation": "validation", "dev": "validation", "test": "test", "testing": "test",
}  # fmt: skip


def hidden(name: str) -> bool:
    """Returns whether a file or folder is not a person's own."""
    return name.startswith(".") or name.lower() in HIDDEN


def split_of(name: str) -> str | None:
    """Returns the split that a folder with this name holds, or None."""
    return SPLIT_FOLDERS.get(name.strip().lower())
