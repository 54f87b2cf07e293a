"""Digits in real typefaces: Pillow's own and the DejaVu and STIX files that matplotlib ships."""

from importlib.util import find_spec
from pathlib import Path

from vpbench.twins.painting.canvas import glyph, stamp

FONT_NAMES = (
    "DejaVuSans",
    "DejaVuSans-Bold",
    "DejaVuSans-Oblique",
    "DejaVuSans-BoldOblique",
    "DejaVuSansMono",
    "DejaVuSansMono-Bold",
    "DejaVuSerif",
    "DejaVuSerif-Bold",
    "STIXGeneral",
    "STIXGeneralBol",
)


def font_folder():
    """Returns the folder of matplotlib's typefaces, found without importing matplotlib."""
    return Path(find_spec("matplotlib").origin).parent / "mpl-data" / "fonts" / "ttf"


FONT_FILES = tuple(str(font_folder() / f"{name}.ttf") for name in FONT_NAMES)


def any_font(rng):
    """Returns one of FONT_FILES or None, which stands for Pillow's own typeface."""
    choice = int(rng.integers(len(FONT_FILES) + 1))
    return FONT_FILES[choice] if choice < len(FONT_FILES) else None


def draw_digit(rng, picture, digit, cx, cy, scale, angle, colour, font):
    """Returns `picture` with `digit` of height 1.6 * `scale` drawn on it, centred at (cx, cy)."""
    opacity = glyph(str(digit), font)
    stamp(picture, opacity, cx, cy, scale, angle, colour, rng.uniform(0.85, 1.05), rng.random())
    return picture
