"""Growth: what a training costs against its size, and a workflow against its number of jobs.

A cost that grows in proportion has the slope 1 where both axes are logarithmic. What is fixed
flattens the left of a curve, so the slope that counts is that of its right end.
"""

import subprocess
import sys
import tempfile
from itertools import islice, permutations
from pathlib import Path

import numpy as np
import torch
import yaml

from benchmarks.our_step import LAB, random_task
from benchmarks.report import goal, goals, ranged, table
from benchmarks.timing import interleaved, spread
from vpbench.common.errors import UserError
from vpbench.common.strict_yaml import read_config
from vpbench.data.task import Task
from vpbench.experiment import plan
from vpbench.lab.micro_backbones import read_words
from vpbench.methods import visual_prompt
from vpbench.models.backbone import load_backbone
from vpbench.spec import grid
from vpbench.spec.grid import selection
from vpbench.spec.products import digests
from vpbench.spec.recipes import load_recipe
from vpbench.training.metrics import classification_metrics
from vpbench.twins.painting.canvas import SIZE

ROOT = Path(__file__).parents[1]
BACKBONE = "clip_micro"
ORDINARY = {"classes": 10, "images": 160, "is_eval_epoch": 64, "epochs": 1, "size": 7}
SWEEPS = {  # what grows -> its values; everything else is ORDINARY
    "classes": (10, 30, 100, 300, 1000, 3000),
    "images": (160, 320, 640, 1280, 2560),
    "is_eval_epoch": (64, 256, 1024, 4096, 8192),
    "epochs": (1, 2, 4, 8, 16),
    "size": (1, 3, 7, 14, 28),
}
GROUPS = (10, 30, 100, 300, 1000)  # cameras, regions or hospitals of the images of a split
GROUPED = 40_000  # images: as many as iWildCam's test split
SEEDS = (1, 2, 4, 8, 16)  # of the lab's main block, a job for each run
WORDS = {  # what grows -> in words
    "classes": "classes (a training of 10 steps)",
    "images": "training images (an epoch)",
    "is_eval_epoch": "test images (a training of 10 steps and a look)",
    "epochs": "epochs (of 160 images)",
    "size": "width of the padding in pixels (a training of 10 steps)",
    "groups": f"groups (metrics of {GROUPED:,} images)",
    "expanded": "jobs (the grid of a configuration expanded)",
    "planned": "jobs (`snakemake --dry-run all`)",
}
LINEAR = 1.1  # the slope that passes for linear: a tenth for the noise of a measurement


def measure(quick, threads):
    """Returns a row per thing that grows: its values, the seconds at each, and their slopes."""
    rounds, values = (1, slice(2)) if quick else (3, slice(None))
    backbone = load_backbone(BACKBONE)
    points = {
        (name, value): training(backbone, **ORDINARY | {name: value})
        for name, sweep in SWEEPS.items()
        for value in sweep[values]
    }
    points |= {("groups", count): grouped(count) for count in GROUPS[values]}
    with tempfile.TemporaryDirectory() as folder:
        for seeds in SEEDS[values]:
            config, path = many_jobs(seeds), Path(folder, f"{seeds}.yaml")
            path.write_text(yaml.safe_dump(config))
            jobs = sum(plan.jobs(grid.expand(config, "growth")).values())
            points["expanded", jobs] = expanding(config)
            points["planned", jobs] = planning(path)
        seconds = interleaved(points, rounds)
    rows = [row(name, points, seconds) for name in WORDS]
    reached = [goal(each["name"], each["slope"], LINEAR, at_most=True) for each in rows]
    done = (
        f"{BACKBONE}, the lab's recipe, {threads} threads, {rounds} rounds of all points in turn. "
        "Slopes are those of a straight line through the right half of a curve, both axes "
        f"logarithmic: 1 is linear, up to {LINEAR} passes for it."
    )
    return {"title": "Growth", "done": done, "rows": rows, "goals": reached}


def row(name, points, seconds):
    """Returns what was measured of one thing that grows."""
    values = [value for what, value in points if what == name]
    taken = [spread(seconds[name, value]) for value in values]
    medians = [each["median"] for each in taken]
    half = len(values) // 2
    return {
        "grows": name,
        "name": WORDS[name],
        "values": values,
        "seconds": taken,
        "slope": slope(values[half - 1 :], medians[half - 1 :]),
        "slope_of_all": slope(values, medians),
    }


def slope(values, seconds):
    """Returns the exponent p of seconds ~ values ** p, by least squares of the logarithms."""
    return float(np.polyfit(np.log(values), np.log(seconds), 1)[0])


def training(backbone, classes, images, is_eval_epoch, epochs, size):
    """Returns a function that trains a prompt of that many of everything."""
    task = random_task(SIZE, images, 2)
    test = random_task(SIZE, is_eval_epoch, 2).splits["train"]
    words = [word for word in read_words() if word.isalpha()]
    names = tuple(" ".join(pair) for pair in islice(permutations(words, 2), classes))
    task = Task("grown", "", names, "{}", task.splits | {"test": test})
    settings = load_recipe(LAB, "visual_prompt", BACKBONE, text_prompt="{}", size=size)
    settings |= {"epochs": epochs, "eval_epochs": []}
    return lambda: visual_prompt.fit(backbone, task, settings, 0)


def grouped(groups):
    """Returns a function that computes the metrics of a split whose images are in `groups`."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(GROUPED, 10, generator=generator)
    labels = torch.randint(0, 10, (GROUPED,), generator=generator)
    names = tuple(f"camera {number % groups}" for number in range(GROUPED))
    return lambda: classification_metrics(logits, labels, 10, names)


def many_jobs(seeds):
    """Returns the lab's configuration with so many seeds, and a job for each run."""
    config = read_config(LAB)
    config["grid"]["main"]["seeds"] = list(range(seeds))
    return config | {"granularity": "per_run"}


def expanding(config):
    """Returns a function that does with a grid what every start of the workflow does."""

    def expand():
        expanded = grid.expand(config, "growth")
        for name, slice_ in config["analyses"].items():
            digests(expanded, name, slice_)
            selection(expanded, slice_)

    return expand


def planning(path):
    """Returns a function that lets Snakemake plan all jobs of a configuration; nothing is run."""
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--forceall", "--quiet", "all"]
    command += ["--cores", "1", "--configfile", str(path), "--", "all"]

    def dry_run():
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if done.returncode:
            raise UserError(f"snakemake --dry-run: {done.stderr.strip().splitlines()[-1]}")

    return dry_run


def render(result):
    """Returns the table and the goals as Markdown; the figure is beside it."""
    lines = [
        [
            each["name"],
            f"{each['values'][0]:,} to {each['values'][-1]:,}",
            ranged(each["seconds"][0], 3),
            ranged(each["seconds"][-1], 3),
            f"{each['slope_of_all']:.2f}",
            f"{each['slope']:.2f}",
        ]
        for each in result["rows"]
    ]
    titles = ["what grows", "from, to", "s at first", "s at last", "slope", "slope at the end"]
    return "\n\n".join(
        [
            result["done"],
            table(titles, lines),
            "![Seconds against what grows, both axes logarithmic](growth.png)",
            goals(result["goals"]),
        ]
    )


def draw(result, folder):
    """Returns the path of the figure growth.png: a panel per thing that grows."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter

    rows = result["rows"]
    figure = Figure(figsize=(11, 5.5), layout="constrained")
    for axes, each in zip(figure.subplots(2, -(-len(rows) // 2)).flat, rows, strict=False):
        values, medians = each["values"], [point["median"] for point in each["seconds"]]
        axes.loglog(values, medians, "o-")
        linear = [medians[-1] * value / values[-1] for value in values]
        axes.loglog(values, linear, "--", color="grey")
        axes.set_title(f"{each['grows'].replace('_', ' ')}: slope {each['slope']:.2f}", fontsize=10)
        axes.set_xlabel(each["name"].replace(" (", "\n(").replace("`", ""), fontsize=8)
        axes.set_ylim(min(medians) / 2, max(medians) * 2)
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))  # powers of ten lie too far apart
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter("{x:g}")
            axis.set_minor_formatter(NullFormatter())
    figure.supylabel("seconds (dashed: in proportion)")
    path = Path(folder, "growth.png")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    return path
