"""UCF101 twin: 12 of the 101 actions as video mid-frames: a person before a scene, soft focus."""

from vpbench.twins.painting.actions import draw_action
from vpbench.twins.painting.canvas import blur_to, develop, noise
from vpbench.twins.painting.scenes import SCENES, paint_scene
from vpbench.twins.world import background

CLASS_NAMES = (
    "Archery", "Basketball", "Biking", "Bowling", "Diving", "Golf_Swing", "Handstand_Pushups",
    "Horse_Riding", "Jumping_Jack", "Pull_Ups", "Skiing", "Surfing",
)  # fmt: skip


def paint(rng, label, domain=0):
    """Returns a uint8 picture [SIZE, SIZE, 3] of class `label`."""
    if rng.random() < 0.5:
        picture = paint_scene(rng, SCENES[rng.integers(len(SCENES))])
        picture = picture * 0.5 + 0.25 + 0.1 * noise(rng, 6)[..., None]
    else:
        picture = background(rng)
    draw_action(rng, picture, CLASS_NAMES[label].lower().replace("_", " "))
    return blur_to(develop(rng, picture, 0.05), 40)
