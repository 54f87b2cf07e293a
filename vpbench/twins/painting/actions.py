"""Twelve actions named as in UCF101: a person of thick lines in the typical pose, with the props.

The person's own frame has the head near y = -0.8 and the feet near y = 0.8; poses are written in
hundredths.
"""

import numpy as np

from vpbench.twins.painting.canvas import (
    X,
    Y,
    any_colour,
    box,
    circle,
    cover,
    ellipse,
    lay,
    segment,
    vary,
)

SKINS = ((0.95, 0.78, 0.65), (0.80, 0.60, 0.45), (0.50, 0.33, 0.22))
# Joints in the order head, neck, hip, then elbow, hand, elbow, hand, knee, foot, knee, foot.
BONES = ((1, 3), (3, 4), (1, 5), (5, 6), (2, 7), (7, 8), (2, 9), (9, 10))
POSES = {
    "archery":
        "0 -75 0 -50 0 10 30 -45 60 -45 -35 -50 -5 -50 12 45 20 85 -12 45 -20 85",
    "basketball":
        "0 -60 0 -35 0 20 20 -60 30 -90 -20 -20 -30 10 10 50 5 85 -20 50 -30 80",
    "biking":
        "30 -75 18 -50 -25 -10 40 -30 55 -10 38 -28 50 -10 15 10 0 45 10 0 -10 30",
    "bowling":
        "10 -55 0 -30 -20 15 20 0 35 30 -30 -35 -55 -50 15 35 10 80 -30 50 -75 75",
    "diving":
        "-30 55 -12 35 20 -15 -35 55 -50 80 -30 50 -42 80 38 -50 55 -85 42 -45 62 -80",
    "golf swing":
        "0 -70 0 -45 -8 10 15 -20 22 8 -2 -15 20 10 15 45 15 85 -20 45 -25 85",
    "handstand pushups":
        "0 50 0 30 0 -25 25 50 20 85 -25 50 -20 85 5 -60 3 -95 -5 -60 -3 -95",
    "horse riding":
        "0 -85 -2 -65 -5 -20 10 -45 28 -35 8 -40 26 -33 18 -5 10 25 15 -5 8 22",
    "jumping jack":
        "0 -65 0 -42 0 10 30 -60 50 -95 -30 -60 -50 -95 25 45 50 80 -25 45 -50 80",
    "pull ups":
        "0 -60 0 -38 0 15 32 -50 30 -85 -32 -50 -30 -85 8 50 -2 80 -8 50 -15 80",
    "skiing":
        "18 -60 10 -38 -15 5 30 -20 45 -10 10 -10 30 0 12 30 -5 62 0 35 -15 65",
    "surfing":
        "10 -60 5 -38 -8 0 30 -30 60 -35 -25 -35 -55 -30 20 20 25 50 -28 20 -30 50",
}  # fmt: skip
JOINTS = {
    name: np.array(text.split(), np.float32).reshape(11, 2) / 100 for name, text in POSES.items()
}
ACTIONS = tuple(JOINTS)


def draw_action(rng, picture, name):
    """Returns `picture` after painting a person doing `name` on it, with the props."""
    scale = rng.uniform(0.6, 0.95)
    room = 1.05 - scale
    cx, cy = rng.uniform(-room, room), rng.uniform(-room, room)
    flip = 1 if rng.random() < 0.5 else -1
    x, y = (X - cx) / scale * flip, (Y - cy) / scale
    joints = JOINTS[name] + rng.normal(0, 0.03, (11, 2)).astype(np.float32)

    def paint(distance, colour, spread=0.04):
        lay(picture, cover(distance * scale), vary(rng, colour, spread))

    if name in BEHIND:
        BEHIND[name](rng, paint, x, y)
    _person(rng, paint, x, y, joints)
    if name in BEFORE:
        BEFORE[name](rng, paint, x, y, joints)
    return picture


def _lines(x, y, starts, ends, thickness):
    first, last = starts.T[..., None, None], ends.T[..., None, None]
    return segment(x, y, first[0], first[1], last[0], last[1], thickness).min(0)


def _person(rng, paint, x, y, joints):
    skin, shirt, trousers = (
        vary(rng, SKINS[rng.integers(3)], 0.03),
        any_colour(rng),
        any_colour(rng),
    )
    starts, ends = joints[[bone[0] for bone in BONES]], joints[[bone[1] for bone in BONES]]
    paint(_lines(x, y, starts[4:], ends[4:], 0.085), trousers, 0)
    paint(segment(x, y, *joints[1], *joints[2], 0.13), shirt, 0)
    paint(_lines(x, y, starts[:4], ends[:4], 0.065), skin, 0)
    paint(circle(x - joints[0, 0], y - joints[0, 1], 0.15), skin, 0)


def _court(rng, paint, x, y):
    paint(0.75 - y, (0.78, 0.52, 0.28), 0.06)
    hoop, height = rng.uniform(0.75, 0.95), rng.uniform(-0.8, -0.6)
    paint(box(x - hoop - 0.2, y - height + 0.05, 0.05, 0.32), (0.95, 0.95, 0.97), 0.02)
    paint(box(x - hoop - 0.25, y - height - 0.8, 0.04, 0.8), (0.30, 0.30, 0.33))
    net = np.maximum(np.abs(x - hoop) - 0.18 + 0.3 * (y - height), np.abs(y - height - 0.12) - 0.12)
    paint(net, (0.92, 0.92, 0.92), 0.02)
    paint(box(x - hoop, y - height, 0.2, 0.035), (0.95, 0.30, 0.08))


def _basketball(rng, paint, x, y, joints):
    hand = joints[4]
    paint(circle(x - hand[0] - 0.06, y - hand[1] + 0.08, 0.17), (0.93, 0.45, 0.10), 0.03)


def _bow(rng, paint, x, y, joints):
    hand = joints[4]
    top, low = hand + np.float32((-0.1, -0.45)), hand + np.float32((-0.1, 0.45))
    arc = np.abs(circle(x - hand[0] + 0.35, y - hand[1], 0.5)) - 0.045
    paint(np.maximum(arc, hand[0] - 0.15 - x), (0.45, 0.22, 0.08))
    string = segment(x, y, *top, *joints[6], 0.015)
    string = np.minimum(string, segment(x, y, *low, *joints[6], 0.015))
    paint(string, (0.95, 0.95, 0.9), 0.02)
    paint(segment(x, y, *joints[6], hand[0] + 0.25, hand[1], 0.03), (0.15, 0.12, 0.1))


def _target(rng, paint, x, y):
    x, y = x - rng.uniform(1.0, 1.15), y + rng.uniform(0.3, 0.5)
    for radius, colour in (
        (0.36, (0.95, 0.95, 0.95)),
        (0.25, (0.2, 0.4, 0.9)),
        (0.13, (0.9, 0.1, 0.1)),
    ):
        paint(ellipse(x, y, radius * 0.6, radius), colour)


def _bicycle(rng, paint, x, y):
    rubber = vary(rng, (0.10, 0.10, 0.11), 0.03)
    paint(np.abs(circle(np.abs(x) - 0.52, y - 0.5, 0.32)) - 0.05, rubber, 0)
    frame = np.array(
        ((-0.52, 0.5), (-0.25, 0.0), (0.0, 0.48), (0.42, 0.0), (0.52, 0.5)), np.float32
    )
    starts = frame[[0, 0, 1, 1, 2, 3]]
    ends = frame[[1, 2, 2, 3, 3, 4]]
    paint(_lines(x, y, starts, ends, 0.04), any_colour(rng))
    paint(segment(x, y, 0.38, -0.1, 0.55, -0.12, 0.04), rubber, 0)


def _alley(rng, paint, x, y):
    paint(0.55 - y, (0.86, 0.68, 0.42))
    start = rng.uniform(0.55, 0.65)
    across = x - start
    pin = np.clip(np.round(across / 0.16), 0, 3) * 0.16
    down = y - 0.4
    body = np.minimum(
        ellipse(across - pin, down, 0.07, 0.18), circle(across - pin, down + 0.22, 0.055)
    )
    paint(body, (0.98, 0.98, 0.97), 0.01)
    paint(box(across - pin, down + 0.14, 0.05, 0.025), (0.88, 0.10, 0.10))


def _bowling_ball(rng, paint, x, y, joints):
    paint(circle(x - joints[4, 0], y - joints[4, 1] - 0.1, 0.17), any_colour(rng) * 0.5)


def _pool(rng, paint, x, y):
    surface = y - 0.75 - 0.03 * np.sin(12 * x)
    paint(-surface, (0.10, 0.55, 0.85), 0.05)
    paint(np.abs(surface + 0.0) - 0.03, (0.85, 0.95, 1.0), 0.02)
    paint(box(x - 0.95, y + 0.55, 0.45, 0.05), (0.92, 0.92, 0.92), 0.04)
    paint(box(x - 1.1, y - 0.2, 0.08, 0.8), (0.55, 0.58, 0.62))


def _lawn(rng, paint, x, y):
    paint(0.7 - y, (0.25, 0.62, 0.20), 0.05)
    flag = rng.uniform(-0.95, -0.75)
    if rng.random() < 0.5:
        paint(box(x - flag, y - 0.25, 0.02, 0.5), (0.95, 0.95, 0.95))
        paint(box(x - flag - 0.12, y + 0.15, 0.12, 0.09), (0.90, 0.12, 0.12))


def _club(rng, paint, x, y, joints):
    hand = joints[4]
    if rng.random() < 0.6:
        tip, toe = (0.62, 0.82), (0.78, 0.8)
    else:
        tip, toe = (0.75, -0.6), (0.82, -0.72)
    paint(segment(x, y, *hand, *tip, 0.03), (0.75, 0.77, 0.80), 0.03)
    paint(segment(x, y, *tip, *toe, 0.06), (0.12, 0.12, 0.14), 0.03)
    paint(circle(x - 0.92, y - 0.83, 0.075), (0.99, 0.99, 0.99), 0)


def _wall(rng, paint, x, y):
    wall = 0.2 - x
    rows = np.floor(y / 0.2)
    bricks = x / 0.4 + rows * 0.5
    joint = np.minimum(np.abs(bricks - np.round(bricks)) * 0.4, np.abs(y - rows * 0.2))
    paint(wall, (0.72, 0.36, 0.26), 0.06)
    paint(np.maximum(wall, joint - 0.022), (0.85, 0.80, 0.74), 0.03)
    paint(0.9 - y, (0.35, 0.35, 0.38), 0.06)


def _horse(rng, paint, x, y):
    coat = vary(
        rng, ((0.45, 0.26, 0.12), (0.18, 0.13, 0.11), (0.85, 0.82, 0.78))[rng.integers(3)], 0.04
    )
    body = ellipse(x, y - 0.15, 0.58, 0.26)
    legs = np.array(
        ((-0.42, 0.2), (-0.32, 0.2), (0.3, 0.2), (0.42, 0.2), (0.45, 0.1), (0.68, -0.32)),
        np.float32,
    )
    sway = rng.normal(0, 0.08, 4)
    feet = np.array([(leg[0] + turned, 0.88) for leg, turned in zip(legs[:4], sway)], np.float32)
    feet = np.concatenate((feet, np.array(((0.68, -0.32), (0.95, -0.15)), np.float32)))
    paint(np.minimum(body, _lines(x, y, legs, feet, 0.09)), coat, 0)
    mane = np.minimum(
        segment(x, y, 0.32, -0.1, 0.58, -0.42, 0.06), segment(x, y, -0.58, 0.1, -0.78, 0.5, 0.06)
    )
    paint(mane, coat * 0.4, 0)


def _bar(rng, paint, x, y, joints):
    posts = box(np.abs(x) - 0.75, y - 0.1, 0.05, 1.0)
    paint(np.minimum(posts, box(x, y + 0.88, 0.8, 0.055)), (0.30, 0.32, 0.36), 0.07)


def _snow(rng, paint, x, y):
    slope = rng.uniform(0.3, 0.5)
    paint((0.72 + slope * x - y) * 0.9, (0.96, 0.97, 1.0), 0.015)
    for side in (-0.9, 0.85):
        across, down = x - side, y - 0.4 - slope * side
        fir = np.maximum(np.abs(across) - (down + 0.5) * 0.35, down - 0.25)
        paint(fir, (0.12, 0.32, 0.22))


def _skis(rng, paint, x, y, joints):
    left, right = joints[8], joints[10]
    skis = np.array((left - (0.5, 0.1), right - (0.5, 0.13)), np.float32)
    tips = np.array((left + (0.55, 0.3), right + (0.55, 0.27)), np.float32)
    paint(_lines(x, y, skis, tips, 0.035), (0.85, 0.12, 0.15), 0.1)
    poles = joints[[4, 6]]
    paint(
        _lines(x, y, poles, poles + np.array((-0.35, 0.6), np.float32), 0.022), (0.15, 0.15, 0.18)
    )


def _wave(rng, paint, x, y):
    crest = 0.15 + 0.35 * np.sin(1.6 * x + rng.uniform(-0.4, 0.4)) + 0.05 * np.sin(9 * x)
    paint((crest - y) * 0.8, (0.10, 0.48, 0.62), 0.05)
    paint((np.abs(y - crest) - 0.07) * 0.8, (0.93, 0.98, 1.0), 0.02)
    ripples = np.maximum(np.sin(11 * (y - crest)) * 0.05 + 0.03, crest + 0.15 - y)
    paint(ripples, (0.30, 0.68, 0.78), 0.04)


def _board(rng, paint, x, y, joints):
    tilted = y - 0.6 + 0.15 * x
    board = ellipse(x, tilted, 0.8, 0.1)
    paint(board, ((0.98, 0.92, 0.30), (0.97, 0.97, 0.97), (0.95, 0.35, 0.30))[rng.integers(3)])
    foam = np.maximum(circle(x + 0.8, tilted - 0.1, 0.22), -tilted)
    paint(foam, (0.97, 0.99, 1.0), 0.01)


BEHIND = {
    "archery": _target,
    "basketball": _court,
    "biking": _bicycle,
    "bowling": _alley,
    "diving": _pool,
    "golf swing": _lawn,
    "handstand pushups": _wall,
    "horse riding": _horse,
    "skiing": _snow,
    "surfing": _wave,
}
BEFORE = {
    "archery": _bow,
    "basketball": _basketball,
    "bowling": _bowling_ball,
    "golf swing": _club,
    "pull ups": _bar,
    "skiing": _skis,
    "surfing": _board,
}
