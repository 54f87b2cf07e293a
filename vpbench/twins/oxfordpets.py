"""OxfordPets twin: 6 of the 12 cat and 6 of the 25 dog breeds, indoors or on grass."""

from vpbench.twins.painting.canvas import Y, cover, develop, lay, named_colour, noise, plain, vary
from vpbench.twins.painting.pets import draw_pet

CLASS_NAMES = (
    "abyssinian", "beagle", "bengal", "bombay", "boxer", "chihuahua", "persian", "pug", "samoyed",
    "shiba_inu", "siamese", "sphynx",
)  # fmt: skip


def paint(rng, label, domain=0):
    """Returns a uint8 picture [SIZE, SIZE, 3] of class `label`."""
    if rng.random() < 0.5:
        picture = plain(named_colour(rng, "green", 0.08)) * (0.6 + 0.5 * noise(rng, 16))[..., None]
    else:
        picture = plain(vary(rng, (0.75, 0.7, 0.62), 0.12))
        lay(picture, cover(rng.uniform(-0.1, 0.5) - Y), named_colour(rng, "brown", 0.1))
    cx, cy = rng.normal(0, 0.1, 2)
    draw_pet(
        rng, picture, CLASS_NAMES[label].replace("_", " "), cx, cy - 0.1, rng.uniform(0.55, 0.85)
    )
    return develop(rng, picture, 0.05)
