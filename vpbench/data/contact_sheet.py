"""Contact sheets: what the pictures of tasks look like."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from vpbench.common import atomic_files
from vpbench.data.task import Task

MARGIN, NAME = 2, 170  # pixels between pictures, and for the name of a row


def contact_sheet(tasks: Sequence[Task], columns: int = 16, side: int = 84) -> Image.Image:
    """Returns a picture with one row per task: its name and its first test images, upscaled."""
    font = ImageFont.load_default(size=15)
    step = side + MARGIN
    sheet = Image.new("RGB", (NAME + columns * step, len(tasks) * step), "white")
    draw = ImageDraw.Draw(sheet)
    for row, task in enumerate(tasks):
        middle = row * step + side // 2
        draw.text((6, middle), task.display, font=font, fill="black", anchor="lm")
        for column, image in enumerate(task.splits["test"].images[:columns]):
            picture = Image.fromarray(image.numpy()).resize((side, side), Image.Resampling.LANCZOS)
            sheet.paste(picture, (NAME + column * step, row * step))
    return sheet


def save_sheet(path: str | Path, tasks: Sequence[Task]) -> Path:
    """Returns `path` once the contact sheet of `tasks` is there as PNG."""
    sheet = contact_sheet(tasks)
    return atomic_files.write_with(path, lambda file: sheet.save(file, "PNG"))
