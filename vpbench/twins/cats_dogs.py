"""Cats and dogs: the pictures of the OxfordPets twin, told apart by species only (section 6.3)."""

from vpbench.twins import oxfordpets
from vpbench.twins.painting.pets import SPECIES

CLASS_NAMES = ("cat", "dog")
BREEDS = [
    [
        number
        for number, breed in enumerate(oxfordpets.CLASS_NAMES)
        if SPECIES[breed.replace("_", " ")] == species
    ]
    for species in CLASS_NAMES
]


def paint(rng, label, domain=0):
    """Returns a uint8 picture [SIZE, SIZE, 3] of a breed of class `label`."""
    return oxfordpets.paint(rng, int(rng.choice(BREEDS[label])), domain)
