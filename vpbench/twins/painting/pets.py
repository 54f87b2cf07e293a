"""Pets: cat and dog breeds as faces over a hint of the body.

The features of a species are shared by its breeds (slit eyes, whiskers and pointed ears; muzzle
and large nose); a breed sets their proportions, its colours and its own markings.
"""

from math import radians

import numpy as np

from .icons import lay_parts, read_part

COAT, MARK, EYE, DARK, LIGHT = range(5)
DARK_COLOUR = (0.07, 0.06, 0.06)

# Colours are those of coat, markings, eyes and light parts. Ears are kind, x, y, width, height,
# clockwise degrees (of the right ear) and slot; face is width, height; muzzle is y, width, height
# and slot. Markings are parts in the notation of icons.py, painted under the eyes and the nose.
BREEDS = {
    "abyssinian": {
        "colours": ((0.72, 0.40, 0.16), (0.38, 0.20, 0.08), (0.60, 0.72, 0.15), (0.93, 0.76, 0.55)),
        "ears": ("triangle", 0.42, -0.62, 0.30, 0.42, 24, COAT),
        "face": (0.56, 0.56),
        "muzzle": (0.32, 0.26, 0.18, LIGHT),
        "markings": "# -.14 -.32 .035 .14 -10 1; # .14 -.32 .035 .14 10 1; # 0 -.36 .035 .1 0 1",
    },
    "bengal": {
        "colours": ((0.86, 0.62, 0.30), (0.24, 0.13, 0.06), (0.35, 0.75, 0.35), (0.96, 0.88, 0.72)),
        "ears": ("triangle", 0.46, -0.50, 0.22, 0.28, 24, COAT),
        "face": (0.66, 0.58),
        "muzzle": (0.34, 0.32, 0.20, LIGHT),
        "markings": "o -.2 -.34 .08 .06 0 1; o .2 -.34 .08 .06 0 1; o 0 -.26 .06 .08 0 1;"
        "o -.52 .04 .07 .09 0 1; o .52 .04 .07 .09 0 1; o -.46 .32 .08 .06 0 1;"
        "o .46 .32 .08 .06 0 1; o -.4 .84 .1 .08 0 1; o .36 .86 .1 .08 0 1; o 0 .84 .1 .07 0 1",
    },
    "bombay": {
        "colours": ((0.09, 0.08, 0.10), (0.16, 0.14, 0.17), (0.95, 0.62, 0.10), (0.24, 0.18, 0.20)),
        "ears": ("triangle", 0.44, -0.52, 0.26, 0.32, 22, COAT),
        "face": (0.66, 0.60),
        "muzzle": (0.34, 0.28, 0.18, MARK),
        "markings": "",
    },
    "persian": {
        "colours": ((0.90, 0.84, 0.76), (0.80, 0.72, 0.64), (0.92, 0.50, 0.10), (0.98, 0.94, 0.90)),
        "ears": ("triangle", 0.60, -0.54, 0.22, 0.24, 34, COAT),
        "face": (0.84, 0.64),
        "muzzle": (0.24, 0.34, 0.22, LIGHT),
        "markings": "o -.62 .4 .32 .34 30 0; o .62 .4 .32 .34 -30 0; o 0 .74 .5 .26 0 4;"
        "o 0 .26 .38 .22 0 1; o 0 -.36 .3 .16 0 4",
    },
    "siamese": {
        "colours": ((0.92, 0.86, 0.74), (0.26, 0.17, 0.14), (0.25, 0.55, 0.95), (0.45, 0.32, 0.28)),
        "ears": ("triangle", 0.48, -0.58, 0.30, 0.38, 28, MARK),
        "face": (0.58, 0.58),
        "muzzle": (0.34, 0.22, 0.20, MARK),
        "markings": "o 0 .14 .4 .42 0 1",
    },
    "sphynx": {
        "colours": ((0.92, 0.70, 0.62), (0.70, 0.45, 0.40), (0.65, 0.88, 0.80), (0.96, 0.54, 0.54)),
        "ears": ("triangle", 0.56, -0.54, 0.36, 0.50, 34, COAT),
        "face": (0.50, 0.60),
        "muzzle": (0.38, 0.24, 0.16, COAT),
        "markings": "# 0 -.24 .26 .02 0 1; # 0 -.33 .22 .02 0 1; # 0 -.42 .16 .02 0 1;"
        "# 0 .84 .36 .025 0 1; # 0 .94 .3 .025 0 1",
    },
    "beagle": {
        "colours": ((0.72, 0.43, 0.20), (0.96, 0.95, 0.92), (0.30, 0.16, 0.08), (0.46, 0.24, 0.10)),
        "ears": ("ellipse", 0.62, 0.06, 0.20, 0.52, -10, LIGHT),
        "face": (0.54, 0.60),
        "muzzle": (0.36, 0.28, 0.26, MARK),
        "markings": "o 0 -.1 .1 .5 0 1; o -.5 .94 .3 .26 0 3; o .5 .94 .3 .26 0 3;"
        "o 0 .9 .26 .3 0 1",
    },
    "boxer": {
        "colours": ((0.70, 0.42, 0.22), (0.16, 0.11, 0.09), (0.35, 0.18, 0.08), (0.95, 0.94, 0.92)),
        "ears": ("triangle", 0.54, -0.36, 0.20, 0.28, 140, COAT),
        "face": (0.58, 0.62),
        "muzzle": (0.38, 0.40, 0.28, MARK),
        "markings": "# 0 .04 .46 .46 0 0; # 0 -.28 .06 .28 0 4; o 0 .92 .28 .26 0 4",
    },
    "chihuahua": {
        "colours": ((0.88, 0.68, 0.44), (0.96, 0.86, 0.70), (0.20, 0.10, 0.06), (0.96, 0.70, 0.66)),
        "ears": ("triangle", 0.60, -0.46, 0.34, 0.48, 40, COAT),
        "face": (0.50, 0.50),
        "muzzle": (0.34, 0.18, 0.16, MARK),
        "markings": "o -.23 -.06 .16 .16 0 1; o .23 -.06 .16 .16 0 1",
        "eye": 0.12,
    },
    "pug": {
        "colours": ((0.87, 0.74, 0.54), (0.13, 0.11, 0.11), (0.32, 0.18, 0.10), (0.62, 0.48, 0.34)),
        "ears": ("triangle", 0.62, -0.20, 0.20, 0.30, 168, MARK),
        "face": (0.72, 0.62),
        "muzzle": (0.28, 0.40, 0.30, MARK),
        "markings": "o -.28 -.06 .2 .18 -20 1; o .28 -.06 .2 .18 20 1; # 0 -.3 .24 .025 0 4;"
        "# 0 -.4 .18 .025 0 4; # 0 -.2 .05 .1 0 1",
        "eye": 0.11,
    },
    "samoyed": {
        "colours": ((0.95, 0.95, 0.93), (0.84, 0.86, 0.88), (0.15, 0.10, 0.08), (0.95, 0.75, 0.75)),
        "ears": ("triangle", 0.42, -0.56, 0.22, 0.26, 18, COAT),
        "face": (0.64, 0.56),
        "muzzle": (0.32, 0.28, 0.22, COAT),
        "markings": "o 0 .5 .8 .5 0 0; o -.6 .2 .3 .44 20 0; o .6 .2 .3 .44 -20 0;"
        "o 0 .06 .56 .52 0 0; o 0 .36 .34 .26 0 1; # -.18 .5 .14 .03 30 3; # .18 .5 .14 .03 -30 3",
    },
    "shiba inu": {
        "colours": ((0.86, 0.50, 0.18), (0.97, 0.94, 0.88), (0.18, 0.10, 0.06), (0.95, 0.80, 0.62)),
        "ears": ("triangle", 0.42, -0.52, 0.24, 0.32, 14, COAT),
        "face": (0.66, 0.56),
        "muzzle": (0.34, 0.24, 0.20, MARK),
        "markings": "o -.36 .28 .24 .26 -20 1; o .36 .28 .24 .26 20 1; o -.2 -.24 .09 .06 -20 1;"
        "o .2 -.24 .09 .06 20 1; o 0 .9 .34 .26 0 1",
    },
}
CATS = ("abyssinian", "bengal", "bombay", "persian", "siamese", "sphynx")
SPECIES = {breed: "cat" if breed in CATS else "dog" for breed in BREEDS}

# A slit pupil in a coloured eye, a small nose and whiskers make a cat.
CAT_FEATURES = """
o -.26 -.04 .15 .12 12 2; o .26 -.04 .15 .12 -12 2; o -.26 -.04 .04 .11 0 3; o .26 -.04 .04 .11 0 3
^ 0 .26 .09 .06 180 5; # -.56 .3 .26 .02 8 5; # .56 .3 .26 .02 -8 5; # -.54 .42 .26 .02 -8 5
# .54 .42 .26 .02 8 5
"""


def read_parts(text):
    """Returns the parts written in `text`, split at semicolons and line ends."""
    return [read_part(part) for part in text.replace("\n", ";").split(";") if part.strip()]


def ear_parts(traits, species):
    """Returns both ears; those of cats, and upright ones of dogs, show their inside."""
    kind, x, y, width, height, degrees, slot = traits["ears"]
    angle = radians(degrees)
    ears = [(kind, side * x, y, width, height, side * angle, slot) for side in (-1, 1)]
    if species == "cat" or (kind == "triangle" and degrees < 90):
        ears += [
            (kind, side * x * 0.98, y + 0.05, width * 0.5, height * 0.6, side * angle, LIGHT)
            for side in (-1, 1)
        ]
    return ears


def feature_parts(traits, species):
    """Returns the muzzle, the eyes and the nose that all breeds of a species share."""
    y, width, height, slot = traits["muzzle"]
    if species == "cat":
        halves = [("ellipse", side * width / 2, y, width / 2, height, 0, slot) for side in (-1, 1)]
        return halves + read_parts(CAT_FEATURES)
    eye = traits.get("eye", 0.09)
    return [
        ("ellipse", 0, y + height * 0.9, 0.11, 0.16, 0, 5),
        ("ellipse", 0, y, width, height, 0, slot),
        *(("ellipse", side * 0.24, -0.07, eye, eye, 0, EYE) for side in (-1, 1)),
        *(("ellipse", side * 0.24, -0.07, eye / 2, eye / 2, 0, DARK) for side in (-1, 1)),
        ("ellipse", 0, y - height * 0.45, 0.15, 0.11, 0, DARK),
        ("box", 0, y + height * 0.3, 0.025, height * 0.4, 0, DARK),
    ]


def breed_parts(breed):
    """Returns the parts of a breed: body, ears and head, markings, then the features."""
    traits, species = BREEDS[breed], SPECIES[breed]
    width, height = traits["face"]
    behind = [("ellipse", 0, 0.98, width * 0.95, 0.42, 0, COAT)]
    head = [("ellipse", 0, 0.05, width, height, 0, COAT)]
    # a floppy ear hangs in front of the head, a pointed one stands behind it
    ears, hangs = ear_parts(traits, species), abs(traits["ears"][5]) > 90
    skull = head + ears if hangs else ears + head
    return (*behind, *skull, *read_parts(traits["markings"]), *feature_parts(traits, species))


PARTS = {breed: breed_parts(breed) for breed in BREEDS}
# the nose and whiskers of cats and the tongue of dogs
ACCENTS = {"cat": (0.93, 0.62, 0.66), "dog": (0.90, 0.38, 0.42)}


def draw_pet(rng, picture, breed, cx, cy, scale):
    """Returns nothing: paints a face of `breed` in place, varied in fur, lean and proportions."""
    coat, mark, eye, light = BREEDS[breed]["colours"]
    colours = np.array([coat, mark, eye, DARK_COLOUR, light, ACCENTS[SPECIES[breed]]], np.float32)
    # one common shift stands for the light and the animal, the rest for its patches
    colours += rng.normal(0, 0.04, 3).astype(np.float32)
    colours += rng.normal(0, 0.035, colours.shape).astype(np.float32)
    lean, mirror = rng.normal(0, 0.12), rng.random() < 0.5
    lay_parts(rng, picture, PARTS[breed], np.clip(colours, 0, 1), cx, cy, scale, lean, mirror)
