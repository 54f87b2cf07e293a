"""Data: an epoch from the cache against decoding every time, and how long a step waits for images.

The official code opens, decodes, resizes and crops every image in every epoch; the suite does so
once and maps the bytes from disk.
"""

import os
import tempfile
import time
import warnings
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from PIL import Image

from benchmarks.our_step import LAB, official_recipe, random_backbone, random_task
from benchmarks.report import goal, goals, ranged, table
from benchmarks.timing import interleaved, speed_ups, spread
from vpbench.data import batches
from vpbench.data.cache_files import map_images
from vpbench.data.task import Split
from vpbench.methods import visual_prompt
from vpbench.models.backbone import load_backbone
from vpbench.spec.preprocessing import Preprocessing, read_image
from vpbench.spec.recipes import load_recipe
from vpbench.training import trainer
from vpbench.twins import eurosat

SIZE, QUALITY = (512, 384), 95  # of the photographs; 512 is Food101's longer side
PHOTOGRAPHS = 64
CACHED = 2048  # images of 224 pixels: 308 MB, more than a processor keeps close by
BATCH = 32
CLASSES = 10
STEPS = {"clip_micro": 40, "clip_vit_b32": 3}  # backbone -> steps of the epoch that is timed
WAYS = ("decoded, bytes", "cached, bytes", "decoded, normalised", "cached, normalised")


def measure(quick, threads):
    """Returns the seconds per image of both ways, and the share of a training spent waiting."""
    with tempfile.TemporaryDirectory() as folder:
        epochs = compare_epochs(Path(folder), 8 if quick else PHOTOGRAPHS, 1 if quick else 7)
        torch.set_num_threads(threads)
        names = list(STEPS)[:1] if quick else STEPS
        waits = [row for name in names for row in waiting(Path(folder), name, 1 if quick else 3)]
    reached = [goal("cached, bytes: times as fast", epochs[1]["faster"]["median"], 20)]
    reached += [
        goal(f"{row['backbone']}: share of waiting", row["share"]["median"], 0.02, at_most=True)
        for row in waits
        if not row["ahead"] and not row["from_disk"]
    ]
    done = (
        f"JPEGs of {SIZE[0]} x {SIZE[1]} pixels and quality {QUALITY} to squares of 224, one "
        f"thread, {BATCH} images at a time; the cache holds {CACHED} images, in random order. "
        f"All files are in the system's memory but for the rows that say otherwise. Waiting: the "
        f"time between steps of a training of a prompt, {threads} threads, until its next images "
        "are there. Normalising is the same work either way, and in the suite part of a step."
    )
    rows = {"epochs": epochs, "waiting": waits}
    return {"title": "Data", "done": done, "rows": rows, "goals": reached}


def compare_epochs(folder, photographs, rounds):
    """Returns a row per way: its seconds per image, and how many times as fast as decoding it is.

    An image has arrived when its batch is uint8 on the CPU, or float32 and normalised.
    """
    torch.set_num_threads(1)
    backbone = load_backbone("clip_micro")  # for its constants; any would do
    transform = Preprocessing(224, 224)
    paths = [write_photograph(folder / f"{number}.jpg", number) for number in range(photographs)]
    once = np.stack([read_image(path, transform) for path in paths])
    write_images(folder / "cache.npy", once[np.arange(CACHED) % photographs])
    images = mapped(folder / "cache.npy", CACHED, 224)
    order = torch.randperm(CACHED, generator=torch.Generator().manual_seed(0)).split(BATCH)

    def decoded():
        for start in range(0, photographs, BATCH):
            part = [read_image(path, transform) for path in paths[start : start + BATCH]]
            yield torch.from_numpy(np.stack(part))

    def cached():
        yield from batches.batches(images, order, torch.device("cpu"))

    def take(arriving, normalised):
        for batch in arriving:
            if normalised:
                pixels = batch.permute(0, 3, 1, 2).float().div_(255)  # as Backbone.scale_pixels
                backbone.normalize(pixels)

    functions = dict(
        zip(
            WAYS,
            (
                lambda: take(decoded(), False),
                lambda: take(cached(), False),
                lambda: take(decoded(), True),
                lambda: take(cached(), True),
            ),
            strict=True,
        )
    )
    seconds = interleaved(functions, rounds)
    per_image = {
        way: [each / (photographs if way.startswith("decoded") else CACHED) for each in taken]
        for way, taken in seconds.items()
    }
    return [
        {"way": way, "seconds": spread(per_image[way]), "faster": faster(per_image, way)}
        for way in WAYS
    ]


def faster(per_image, way):
    """Returns how many times as fast as decoding to the same `way` is, None for decoding itself."""
    reference = way.replace("cached", "decoded")
    return None if way == reference else speed_ups(per_image, reference)[way]


def write_photograph(path, seed):
    """Returns `path` once it is a JPEG with coarse and fine structure, about 120 KB."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize(SIZE, Image.Resampling.BICUBIC), np.float32)
    pixels = smooth + rng.normal(0, 8, smooth.shape)
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path, quality=QUALITY)
    return path


def write_images(path, images):
    """Writes the array `images`, and waits until it is on disk, not only on its way there."""
    with open(path, "wb") as file:
        np.save(file, images)
        file.flush()
        os.fsync(file.fileno())


def mapped(path, count, side):
    """Returns the images of a file as a run has them from the cache."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(map_images(path, {"images": count, "side": side}))


def forget(path):
    """Asks the system, where it can be asked, to read the file from disk again next time."""
    if hasattr(os, "posix_fadvise"):
        with open(path, "rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def waiting(folder, name, rounds):
    """Returns a row per way of reading: the share of an epoch that its steps wait for images."""
    backbone, settings = backbone_and_settings(name)
    side, count = backbone.image_size, STEPS[name] * settings["batch_size"]
    task, path = random_task(side, count, CLASSES), folder / f"{name}.npy"
    made = task.splits["train"]
    write_images(path, made.images.numpy())
    few = Split(made.images[:4].clone(), made.labels[:4], made.ids[:4])
    labels, ids = made.labels, made.ids
    shares = {}

    def train(read, from_disk, kept):
        def once():
            task.splits.clear()  # what is mapped cannot be forgotten
            if from_disk:
                forget(path)
            images = mapped(path, count, side)
            task.splits.update(train=Split(images, labels, ids), test=few)
            with patch.object(trainer, "batches", watched(read, kept)):
                visual_prompt.fit(backbone, task, settings, 0)

        return once

    ways = {
        (ahead, from_disk): (in_thread if ahead else batches.batches, from_disk)
        for from_disk in (False, True)
        for ahead in (False, True)
    }
    functions = {}
    for way, (read, from_disk) in ways.items():
        shares[way] = []
        functions[way] = train(read, from_disk, shares[way])
    interleaved(functions, rounds)
    return [
        {
            "backbone": name,
            "ahead": ahead,
            "from_disk": from_disk,
            "step": spread([taken / STEPS[name] for _, taken in kept[1:]]),
            "waits": spread([waited / STEPS[name] for waited, _ in kept[1:]]),
            "share": spread([waited / taken for waited, taken in kept[1:]]),
        }
        for (ahead, from_disk), kept in shares.items()
    ]


def backbone_and_settings(name):
    """Returns (backbone, settings): one epoch of its recipe, batches of at most BATCH images."""
    if name.endswith("_micro"):
        backbone = load_backbone(name)
        settings = load_recipe(LAB, "visual_prompt", name, class_names=list(eurosat.CLASS_NAMES))
    else:
        backbone, settings = random_backbone(name), official_recipe(name)
    size = min(settings["batch_size"], BATCH)
    return backbone, settings | {"epochs": 1, "eval_epochs": [], "batch_size": size}


def in_thread(images, indices, device):
    """Yields the batches that a thread has read ahead, as for a GPU."""
    yield from batches.read_ahead(images.__getitem__, indices)


def watched(read, kept):
    """Returns `read`, which adds (seconds of waiting, seconds in all) of each epoch to `kept`."""

    def watching(images, indices, device):
        begun, waited, arriving = time.perf_counter(), 0.0, read(images, indices, device)
        while True:
            asked = time.perf_counter()
            batch = next(arriving, None)
            waited += time.perf_counter() - asked
            if batch is None:
                kept.append((waited, time.perf_counter() - begun))
                return
            yield batch

    return watching


def render(result):
    """Returns both tables and the goals as Markdown."""
    epochs = [
        [
            row["way"],
            ranged(row["seconds"], factor=1000, digits=3),
            ranged(row["faster"], 1) if row["faster"] else "",
        ]
        for row in result["rows"]["epochs"]
    ]
    waits = [
        [
            row["backbone"],
            "disk" if row["from_disk"] else "memory",
            "a thread, ahead" if row["ahead"] else "the step itself",
            ranged(row["step"], factor=1000, digits=1),
            ranged(row["waits"], factor=1000),
            ranged(row["share"], factor=100),
        ]
        for row in result["rows"]["waiting"]
    ]
    titles = ["backbone", "file in", "read by", "ms per step", "ms of waiting", "% waiting"]
    return "\n\n".join(
        [
            result["done"],
            table(["an image", "ms", "times as fast as decoding"], epochs),
            table(titles, waits),
            goals(result["goals"]),
        ]
    )
