import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torchvision.transforms import InterpolationMode, RandomResizedCrop
from torchvision.transforms.functional import resized_crop

from tests.helpers.messages import complains
from tests.helpers.tiny import numbered_task
from tests.helpers.toy_training import SETTINGS
from vpbench.compute.engine import Engine
from vpbench.data.augmentation import PARTS, any_parts, changed, diversify, draw
from vpbench.training.learner import Learner
from vpbench.training.trainer import Trainer

ONE = torch.from_numpy(
    np.asarray(
        Image.fromarray(
            np.random.default_rng(0).integers(0, 256, (7, 7, 3), dtype=np.uint8)
        ).resize((56, 56), Image.Resampling.BICUBIC)
    ).copy()
)
IMAGES = ONE.expand(40, -1, -1, -1)


def seeded(seed=0):
    """Returns a generator."""
    return torch.Generator().manual_seed(seed)


def cut_out(top, left, height, width):
    """Returns a part of the image at its full size, as Pillow makes it."""
    part = Image.fromarray(ONE.numpy()).crop((left, top, left + width, top + height))
    return torch.from_numpy(np.asarray(part.resize((56, 56), Image.Resampling.BICUBIC)).copy())


def same(found, expected):
    """Returns whether two images are the same but for rounding."""
    return (found.int() - expected.int()).abs().max() <= 1


def test_no_augmentation_leaves_images_and_generator_as_they_are():
    generator = seeded()
    before = generator.get_state()
    assert diversify(IMAGES, "none", generator) is IMAGES
    assert torch.equal(generator.get_state(), before)


def test_every_other_image_is_mirrored():
    found = diversify(IMAGES.repeat(10, 1, 1, 1), "flip", seeded())
    mirrored = [torch.equal(each, ONE.flip(1)) for each in found]
    assert all(torch.equal(each, ONE) for each, turned in zip(found, mirrored) if not turned)
    assert 160 < sum(mirrored) < 240  # of 400


@pytest.mark.parametrize("kind", ["flip", "flip_crop", "resized_crop"])
def test_each_image_has_a_draw_of_its_own_that_the_generator_repeats(kind):
    found = diversify(IMAGES, kind, seeded())
    assert found.dtype == torch.uint8 and found.shape == IMAGES.shape
    assert torch.equal(found, diversify(IMAGES, kind, seeded()))
    assert not torch.equal(found, diversify(IMAGES, kind, seeded(1)))
    different = {each.numpy().tobytes() for each in found}
    assert len(different) == 2 if kind == "flip" else len(different) > 30


def test_a_crop_is_seven_eighths_of_the_side_and_reaches_every_corner():
    draws = torch.tensor([[0.7, 0.0, 0.0], [0.7, 0.999, 0.0], [0.2, 0.0, 0.999]])
    found = changed(IMAGES[:3], "flip_crop", draws)
    assert same(found[0], cut_out(0, 0, 49, 49))
    assert same(found[1], cut_out(7, 0, 49, 49))
    assert same(found[2], cut_out(0, 0, 49, 49).flip(1))  # mirrored first: it was the right end


def test_a_resized_crop_is_the_part_that_was_drawn():
    draws = torch.full((1, 23), 0.5)  # 54 % of the area, square: sqrt(0.54) * 56 = 41.15
    found = changed(IMAGES[:1], "resized_crop", draws)[0]
    assert same(found, cut_out(8, 8, 41, 41))  # the middle of places 0 to 15


def test_parts_are_distributed_as_those_of_torchvision():
    mine = any_parts(56, 56, draw(4000, "resized_crop", seeded())[:, 1:].double()).numpy()
    image = torch.zeros(3, 56, 56)
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        theirs = [
            RandomResizedCrop.get_params(image, (0.08, 1.0), (3 / 4, 4 / 3)) for _ in range(4000)
        ]
    theirs = np.array(theirs)
    assert (mine >= 0).all() and (mine[:, :2] + mine[:, 2:] <= 56).all()
    assert 56 in mine[:, 0] + mine[:, 2] and 56 in mine[:, 1] + mine[:, 3]
    np.testing.assert_allclose(mine.mean(0), theirs.mean(0), atol=0.8)
    np.testing.assert_allclose(mine.std(0), theirs.std(0), atol=0.5)


def test_an_image_in_which_no_part_fits_is_left_whole():
    numbers = torch.tensor([[0.5, 0.5] + [1.0, 1.0] * 10])  # all of the area, 4:3
    assert any_parts(56, 56, numbers).tolist() == [[0, 0, 56, 56]]


def one_part(height, width, numbers):
    """Returns the part that an image's draws give, number by number, as torchvision tries it."""
    for attempt in range(10):
        share, shape = numbers[2 + 2 * attempt : 4 + 2 * attempt]
        area = height * width * (0.08 + 0.92 * share)
        ratio = math.exp(math.log(3 / 4) + (math.log(4 / 3) - math.log(3 / 4)) * shape)
        tall, wide = round(math.sqrt(area / ratio)), round(math.sqrt(area * ratio))
        if 0 < tall <= height and 0 < wide <= width:
            break
    else:
        tall, wide = height, width
    place = int(numbers[0] * (height - tall + 1)), int(numbers[1] * (width - wide + 1))
    return [*place, tall, wide]


def test_the_parts_of_all_images_are_those_of_each():
    draws = draw(2000, "resized_crop", seeded())[:, 1:]
    found = any_parts(56, 64, draws.double()).tolist()
    assert found == [one_part(56, 64, numbers) for numbers in draws.tolist()]


@pytest.mark.parametrize("kind", ["flip_crop", "resized_crop"])
@pytest.mark.parametrize("side", [32, 57])
def test_all_images_at_once_are_changed_as_torchvision_changes_each(kind, side):
    count = 400 if side == 32 else 5  # more than are enlarged at a time, and fewer
    images = torch.randint(256, (count, side, side, 3), generator=seeded(), dtype=torch.uint8)
    draws = draw(count, kind, seeded(1))
    found = changed(images, kind, draws)
    parts = PARTS[kind](side, side, draws[:, 1:].double()).tolist()
    for image, numbers, part, mine in zip(images, draws, parts, found, strict=True):
        image = image.flip(1) if numbers[0] < 0.5 else image
        expected = resized_crop(
            image.permute(2, 0, 1), *part, [side, side], InterpolationMode.BICUBIC, True
        ).permute(1, 2, 0)
        different = (mine.int() - expected.int()).abs()
        assert different.max() <= 1 and (different > 0).float().mean() < 0.01  # ties, rounded


def test_no_image_is_changed_by_python_on_its_own(monkeypatch):
    calls = []

    class Counter(TorchDispatchMode):
        """Counts what is asked of torch."""

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            calls.append(function)
            return function(*args, **(kwargs or {}))

    images = torch.zeros(100, 8, 8, 3, dtype=torch.uint8)
    counts = []
    for count in (10, 100):
        calls.clear()
        with Counter():
            changed(images[:count], "resized_crop", draw(count, "resized_crop", seeded()))
        counts.append(len(calls))
    assert counts[0] == counts[1] < 200


def test_an_unknown_kind_is_refused_with_the_known_ones():
    with complains(ValueError, "'rotate'", "choose", "none, flip, flip_crop, resized_crop"):
        diversify(IMAGES, "rotate", seeded())


class Watcher(Learner):
    """A classifier that remembers the images it saw."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(1, 3)
        self.seen = {True: [], False: []}  # in training?

    def forward(self, images):
        """Returns logits."""
        self.seen[self.training].append(images.clone())
        return self.head(images[:, 0, :1, 0] / 255)


def trained(kind, micro_batch=None):
    """Returns the images that a classifier saw in training, and in evaluation."""
    sizes = {"train": 10, "validation": 6, "test": 6}
    task = numbered_task(sizes)
    splits = {
        name: replace(split, images=IMAGES[: len(split)]) for name, split in task.splits.items()
    }
    watcher = Watcher()
    Trainer(
        watcher, torch.optim.SGD(watcher.parameters(), lr=0.1),
        replace(task, splits=splits), SETTINGS | {"augmentation": kind}, seeded(), "toy",
        Engine(micro_batch=micro_batch),
    ).run()  # fmt: skip
    return torch.cat(watcher.seen[True]), torch.cat(watcher.seen[False])


def test_a_training_sees_each_image_anew_and_an_evaluation_as_it_is():
    training, evaluation = trained("flip_crop")
    assert len({each.numpy().tobytes() for each in training}) > 25  # of 3 epochs of 10
    assert torch.equal(evaluation, IMAGES[: len(evaluation)])
    assert torch.equal(trained("none")[0], IMAGES[:30])


def test_the_draws_do_not_depend_on_how_many_images_go_through_at_a_time():
    assert torch.equal(trained("resized_crop")[0], trained("resized_crop", 3)[0])
