"""The pretraining world: captioned, labelled and hashtagged pictures that we know everything about.

It is to the lab what web photographs and ImageNet are to the paper: objects, animals, breeds,
flowers, food, scenes, actions, shapes, colours, textures, counts of flat shapes and number signs.
It holds no satellite or aerial view, no tissue, no camera trap, no rendered solid and no blurred
house number: those are the looks of the twins that must be far from it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from vpbench.twins.painting.actions import ACTIONS, draw_action
from vpbench.twins.painting.canvas import (
    COLOURS,
    X,
    Y,
    any_colour,
    circle,
    cover,
    develop,
    lay,
    named_colour,
    noise,
    plain,
    turn,
    vary,
)
from vpbench.twins.painting.digits import FONT_FILES, draw_digit
from vpbench.twins.painting.flowers import FLOWERS, draw_flower
from vpbench.twins.painting.foods import FOODS, draw_food
from vpbench.twins.painting.icons import ICONS, draw_icon
from vpbench.twins.painting.pets import BREEDS, SPECIES, draw_pet
from vpbench.twins.painting.scenes import SCENES, paint_scene
from vpbench.twins.painting.shapes import SHAPES
from vpbench.twins.painting.textures import TEXTURES, paint_texture, texture_field

NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_COLOURS, _ICONS, _SHAPES, _TEXTURES = map(tuple, (COLOURS, ICONS, SHAPES, TEXTURES))
_FLOWERS, _BREEDS = tuple(FLOWERS), tuple(BREEDS)
PHRASES = (
    "this is a photo of a {}",
    "this is a photo of a {}",
    "a photo of a {}",
    "a photo of a {}",
    "a picture of a {}",
    "an image of a {}",
    "a {}",
    "{}",
)
_GROUNDS = ("green", "brown", "gray", "yellow")
PHRASES_MANY = ("this is a photo of {}", "a photo of {}", "a picture of {}", "{}")

# What a labelled picture shows (the lab's ImageNet): one subject, alphabetical like WordNet ids.
LABELS = tuple(
    sorted(
        {*ICONS, *BREEDS, *FLOWERS, *FOODS, *SCENES, *SHAPES, *TEXTURES}
        | {f"number {n}" for n in NUMBERS[:10]}
    )
)
# The larger label set (BiT-M's ImageNet-21k): shapes by colour, and actions and counts as well.
FINE_LABELS = tuple(
    sorted(
        {*LABELS, *ACTIONS}
        | {f"{c} {s}" for c in COLOURS for s in SHAPES}
        | {f"{n} objects" for n in NUMBERS[1:]}
    )
)


class Sample(NamedTuple):
    """A picture of the world and the three ways in which it is described."""

    image: np.ndarray | None  # uint8 [SIZE, SIZE, 3]; None where an array of many has it
    caption: str
    label: str | None  # of LABELS, None if it shows no single subject
    fine_label: str | None  # of FINE_LABELS
    hashtags: tuple[str, ...]


# A picture before it is developed, and the rest of its `Sample`.
Painted = tuple[np.ndarray, str, str | None, str | None, tuple[str, ...]]
Painter = Callable[[np.random.Generator], Painted]


def _choose(rng: np.random.Generator, names: Sequence[str]) -> str:
    return names[int(rng.integers(len(names)))]


def _phrase(rng: np.random.Generator, subject: str, many: bool = False) -> str:
    return _choose(rng, PHRASES_MANY if many else PHRASES).format(subject)


def background(rng: np.random.Generator) -> np.ndarray:
    """Returns a random background picture: plain, gradient, cloudy, textured or a horizon."""
    kind = rng.choice(5, p=(0.25, 0.25, 0.2, 0.15, 0.15))
    first, second = any_colour(rng), any_colour(rng)
    if kind == 0:
        return plain(first)
    if kind == 1:
        angle = rng.uniform(0, 2 * np.pi)
        share = (X * np.cos(angle) + Y * np.sin(angle)) * 0.35 + 0.5
        return first + (second - first) * share[..., None]
    if kind == 2:
        return first + (second - first) * noise(rng, int(rng.integers(3, 9)))[..., None] * 0.8
    if kind == 3:
        field = texture_field(rng, _choose(rng, _TEXTURES))
        return first + (second - first) * 0.4 * field[..., None]
    picture = plain(vary(rng, (0.55, 0.75, 0.95), 0.05))
    lay(picture, cover(rng.uniform(-0.2, 0.5) - Y), named_colour(rng, _choose(rng, _GROUNDS)))
    return picture


def place(
    rng: np.random.Generator, smallest: float = 0.4, largest: float = 0.9
) -> tuple[float, float, float]:
    """Returns cx, cy and scale such that a subject of that scale lies mostly inside the picture."""
    scale = rng.uniform(smallest, largest)
    reach = max(1 - scale * 0.8, 0.0)
    return rng.uniform(-reach, reach), rng.uniform(-reach, reach), scale


def _shape(rng: np.random.Generator) -> Painted:
    shape, colour = _choose(rng, _SHAPES), _choose(rng, _COLOURS)
    picture, (cx, cy, scale) = background(rng), place(rng, 0.3, 0.8)
    x, y = turn((X - cx) / scale, (Y - cy) / scale, rng.uniform(-0.4, 0.4))
    inside, paint, words = cover(SHAPES[shape](x, y) * scale), named_colour(rng, colour), []
    if rng.random() < 0.3:
        texture = _choose(rng, _TEXTURES)
        field = texture_field(rng, texture, rng.uniform(0.15, 0.4))[..., None]
        paint = paint + (any_colour(rng) - paint) * field
        words.append(texture)
    if rng.random() < 0.75:
        words.append(colour)
    if rng.random() < 0.25:
        words.insert(0, "small" if scale < 0.5 else "large")
    lay(picture, inside, paint)
    caption = _phrase(rng, " ".join([*words, shape]))
    return picture, caption, shape, f"{colour} {shape}", (shape, colour, *words)


def _icon(rng: np.random.Generator) -> Painted:
    name = _choose(rng, _ICONS)
    picture, (cx, cy, scale) = background(rng), place(rng)
    draw_icon(rng, picture, name, cx, cy, scale, rng.normal(0, 0.15))
    return picture, _phrase(rng, name), name, name, (name,)


def _pair(rng: np.random.Generator) -> Painted:
    left, right = _choose(rng, _ICONS), _choose(rng, _ICONS)
    picture = background(rng)
    draw_icon(rng, picture, left, -0.47, rng.normal(0, 0.2), rng.uniform(0.35, 0.5))
    draw_icon(rng, picture, right, 0.47, rng.normal(0, 0.2), rng.uniform(0.35, 0.5))
    return picture, _phrase(rng, f"{left} and a {right}"), None, None, (left, right)


def _texture(rng: np.random.Generator) -> Painted:
    name = _choose(rng, _TEXTURES)
    picture = paint_texture(rng, name)
    if rng.random() < 0.4:
        picture = picture * (0.75 + 0.5 * noise(rng, 3))[..., None]
    suffix = _choose(rng, ("", "", " texture", " surface"))
    return picture, _phrase(rng, name + suffix), name, name, (name, "texture")


def _pet(rng: np.random.Generator) -> Painted:
    breed = _choose(rng, _BREEDS)
    picture, (cx, cy, scale) = background(rng), place(rng, 0.5, 0.85)
    draw_pet(rng, picture, breed, cx, cy - 0.1, scale)
    species = SPECIES[breed]
    subject = _choose(rng, (breed, breed, f"{breed} {species}", species))
    return picture, _phrase(rng, subject), breed, breed, (breed, species)


def _flower(rng: np.random.Generator) -> Painted:
    name = _choose(rng, _FLOWERS)
    picture, (cx, cy, scale) = background(rng), place(rng)
    draw_flower(rng, picture, name, cx, cy, scale)
    subject = _choose(rng, (name, name, f"{name} flower", "flower"))
    return picture, _phrase(rng, subject), name, name, (name, "flower")


def _food(rng: np.random.Generator) -> Painted:
    name = _choose(rng, FOODS)
    picture, (cx, cy, scale) = background(rng), place(rng, 0.5, 0.95)
    draw_food(rng, picture, name, cx, cy, scale)
    return picture, _phrase(rng, name), name, name, (name, "food")


def _scene(rng: np.random.Generator) -> Painted:
    name = _choose(rng, SCENES)
    subject = name + _choose(rng, ("", "", " scene"))
    return paint_scene(rng, name), _phrase(rng, subject), name, name, (name, "scene")


def _action(rng: np.random.Generator) -> Painted:
    name = _choose(rng, ACTIONS)
    picture = background(rng)
    draw_action(rng, picture, name)
    subject = _choose(rng, (name, name, f"person {name}"))
    return picture, _phrase(rng, subject), None, name, (name, "person")


def _count(rng: np.random.Generator) -> Painted:
    wanted = int(min(rng.integers(1, 11, 2))) if rng.random() < 0.5 else int(rng.integers(1, 11))
    shape, colour, picture = _choose(rng, _SHAPES), _choose(rng, _COLOURS), background(rng)
    size = rng.uniform(0.13, 0.2)
    spots: list[np.ndarray] = []
    for _ in range(200):
        if len(spots) == wanted:
            break
        spot = rng.uniform(-0.8, 0.8, 2)
        if all(np.hypot(*(spot - other)) > 2.3 * size for other in spots):
            spots.append(spot)
    for cx, cy in spots:
        field = SHAPES[shape]((X - cx) / size, (Y - cy) / size) * size
        lay(picture, cover(field), named_colour(rng, colour))
    number = NUMBERS[len(spots)]
    ending = "" if len(spots) == 1 else "es" if shape == "cross" else "s"
    things = "object" if len(spots) == 1 else "objects"
    subject = f"{number} {colour} {shape}{ending}" if rng.random() < 0.5 else f"{number} {things}"
    return picture, _phrase(rng, subject, many=True), None, f"{number} objects", (number, shape)


def _close_sign(rng: np.random.Generator) -> Painted:
    return _sign(rng, 0.6, 1.1)


def _sign(rng: np.random.Generator, smallest: float = 0.35, largest: float = 0.85) -> Painted:
    digit = int(rng.integers(10))
    picture = plain(any_colour(rng)) if rng.random() < 0.5 else background(rng)
    cx, cy, scale = place(rng, smallest, largest)
    board = any_colour(rng)
    ink = any_colour(rng)
    while np.abs(ink - board).sum() < 0.8:
        ink = any_colour(rng)
    shape = _choose(rng, ("circle", "square", "diamond", "hexagon"))
    reach = scale * (1.5 if shape == "diamond" else 1.15)
    lay(picture, cover(SHAPES[shape]((X - cx) / reach, (Y - cy) / reach) * reach), board)
    draw_digit(
        rng, picture, digit, cx, cy, scale * 0.8, rng.normal(0, 0.1), ink, _choose(rng, FONT_FILES)
    )
    number = NUMBERS[digit]
    caption = _choose(
        rng,
        (
            f"a sign with the number {number}",
            f"the number {number}",
            _phrase(rng, f"sign with the number {number}"),
            f"the number {digit}",
            f"a sign with the number {digit}",
        ),
    )
    name = f"number {number}"
    return picture, caption, name, name, (name, "sign")


def _containing(rng: np.random.Generator) -> Painted:
    picture, colour = background(rng), _choose(rng, _COLOURS)
    shape = _choose(rng, ("circle", "square", "hexagon"))
    lay(picture, cover(SHAPES[shape](X / 0.85, Y / 0.85) * 0.85), named_colour(rng, colour))
    full = rng.random() < 0.5
    for _ in range(6 if full else 0):
        cx, cy = rng.uniform(-0.5, 0.5, 2)
        lay(picture, cover(circle(X - cx, Y - cy, 0.1)), named_colour(rng, "black"))
    word = "containing" if full else "not containing"
    return picture, f"a {colour} {shape} {word} dots", None, None, (shape, colour)


KINDS: dict[Painter, float] = {  # painter -> share of the captioned world
    _icon: 0.25,
    _shape: 0.12,
    _pair: 0.04,
    _texture: 0.12,
    _pet: 0.08,
    _flower: 0.06,
    _food: 0.06,
    _scene: 0.07,
    _action: 0.05,
    _count: 0.05,
    _sign: 0.09,
    _containing: 0.01,
}
LABELLED_KINDS = {
    kind: share
    for kind, share in KINDS.items()
    if kind not in (_pair, _action, _count, _containing)
}
# Fine print: what a small model reads only when it sees the whole picture, over and over.
FINE_PRINT_KINDS = KINDS | {_sign: 0.25, _close_sign: 0.25, _count: 0.15}

VERSIONS: dict[str, dict[Painter, float]] = {  # version of the world -> what it shows
    "captioned": KINDS,
    "labelled": LABELLED_KINDS,  # every picture has a label: the lab's ImageNet
    "fine_print": FINE_PRINT_KINDS,
}


def sample(rng: np.random.Generator, version: str = "captioned") -> Sample:
    """Returns one `Sample` of a version of the world."""
    return sample_of(rng, VERSIONS[version])


def sample_of(rng: np.random.Generator, kinds: Mapping[Painter, float]) -> Sample:
    """Returns one `Sample` of one of the `kinds`: painter -> share."""
    shares = np.array(list(kinds.values()))
    painter = list(kinds)[rng.choice(len(kinds), p=shares / shares.sum())]
    picture, caption, label, fine_label, hashtags = painter(rng)
    return Sample(develop(rng, picture), caption, label, fine_label, hashtags)
