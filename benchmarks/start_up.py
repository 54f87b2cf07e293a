"""Start-up: from the start of a process to the first step of its run, and what that time goes to.

Each run is a process of its own, as the workflow starts it. What every import takes by itself is
from vpbench.common.errors import UserError
from `python -X importtime`, in further processes: it slows imports down a little.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.report import ranged, table
from benchmarks.timing import interleaved, spread
from vpbench.common.errors import UserError
from vpbench.common.strict_yaml import read_config
from vpbench.spec.grid import expand, sliced

CONFIG = Path(__file__).parents[1] / "config" / "lab.yaml"
TASK = "eurosat_twin"
RUNS = (  # method, backbone
    ("text_prompt", "clip_micro"),
    ("visual_prompt", "clip_micro"),
    ("visual_prompt", "rn50_micro"),
    ("linear_probe", "rn50_micro"),
    ("fine_tune", "rn50_micro"),
)
STAGES = {  # as first_step.py calls them, in the order of a run -> in words
    "python": "Python itself",
    "torch": "import torch",
    "library": "import open_clip, or timm",
    "vpbench": "import vpbench",
    "weights": "build the backbone, read its weights",
    "data": "paint the pictures of the task",
    "text": "text tower",
    "step": "first step",
    "rest": "everything else",
}
SHARE = 0.01  # of all imports; packages below it are in one row
STANDARD = "Python's standard library"


def measure(quick, threads):
    """Returns, for each kind of run, the seconds of its stages and of its imports by package."""
    kinds, rounds = (RUNS[1:3], 1) if quick else (RUNS, 5)
    stages = {f"{method}, {backbone}": [] for method, backbone in kinds}
    specs = {name: spec_of(*kind) for name, kind in zip(stages, kinds, strict=True)}

    def start_one(name):
        return lambda: stages[name].append(start(specs[name], threads)[0])

    started = interleaved({name: start_one(name) for name in specs}, rounds, warm_up=1)
    rows = []
    for name, spec in specs.items():
        timed = stages[name][1:]
        imports = entries(start(spec, threads, "-X", "importtime")[1])
        rows.append(
            {
                "run": name,
                "process": spread(started[name]),
                "to_first_step": spread([sum(each.values()) for each in timed]),
                "stages": {
                    stage: spread([each.get(stage, 0.0) for each in timed]) for stage in STAGES
                },
                "imports": by_package(imports),
            }
        )
    done = (
        f"`vpbench run` on {TASK} at lab scale, files in the memory of the system, "
        f"{rounds} processes of each kind in turn, {threads} threads."
    )
    return {"title": "Start-up", "done": done, "rows": rows}


def spec_of(method, backbone):
    """Returns the spec of a run of the lab's main block."""
    config = read_config(CONFIG)
    wanted = {"tasks": [TASK], "methods": [method], "backbones": [backbone]}
    return sliced(expand(config, str(CONFIG)), wanted)[0]


def start(spec, threads, *options):
    """Returns (stage -> seconds, stderr) of a process that runs `spec` up to its first step."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, *options, "-m", "benchmarks.first_step"]
        arguments = [repr(time.monotonic()), json.dumps(spec), folder]
        process = subprocess.run(
            [*command, *arguments], env=environment, capture_output=True, text=True
        )
    if process.returncode:
        raise UserError(f"the run did not start: {process.stderr.strip().splitlines()[-1]}")
    return json.loads(process.stdout), process.stderr


def entries(text):
    """Returns (module, depth, seconds by itself) of each import that `-X importtime` lists.

    A module comes after those that it imports, which are deeper by one or more.
    """
    found = []
    for line in text.splitlines():
        if not line.startswith("import time:") or "self [us]" in line:
            continue
        own, _, name = line.removeprefix("import time:").split("|")
        module = name.strip()
        depth = (len(name) - len(name.lstrip()) - 1) // 2
        found.append((module, depth, int(own) / 1e6))
    return found


def by_package(imports):
    """Returns a row per package, the slowest first: its seconds by itself, and who imported it.

    What the standard library takes is one row, whoever imported it.
    """
    seconds, importers = {}, {}
    for number, (module, _, own) in enumerate(imports):
        package = module.partition(".")[0]
        package = STANDARD if package.lstrip("_") in sys.stdlib_module_names else package
        seconds[package] = seconds.get(package, 0.0) + own
        if module == package:
            importers[package] = importer(imports, number)
    order = sorted(seconds, key=seconds.get, reverse=True)
    return [
        {"package": name, "seconds": seconds[name], "imported_by": importers.get(name)}
        for name in order
    ]


def importer(imports, number):
    """Returns the module that imported the one with this number, None if nothing listed did."""
    _, depth, _ = imports[number]
    return next((module for module, other, _ in imports[number + 1 :] if other < depth), None)


def render(result):
    """Returns the tables of stages and of imports as Markdown."""
    rows = result["rows"]
    titles = ["seconds", *(row["run"] for row in rows)]
    stages = [
        [words, *(f"{row['stages'][stage]['median']:.2f}" for row in rows)]
        for stage, words in STAGES.items()
    ]
    stages.append(["**to the first step**", *(ranged(row["to_first_step"]) for row in rows)])
    stages.append(["until the process has ended", *(ranged(row["process"]) for row in rows)])
    return "\n\n".join([result["done"], table(titles, stages), *map(render_imports, rows)])


def render_imports(row):
    """Returns the table of a run's imports; small packages share a row."""
    total = sum(each["seconds"] for each in row["imports"])
    large = [each for each in row["imports"] if each["seconds"] >= SHARE * total]
    lines = [[e["package"], f"{e['seconds']:.2f}", e["imported_by"] or ""] for e in large]
    others = len(row["imports"]) - len(large)
    rest = total - sum(each["seconds"] for each in large)
    lines.append([f"{others} others", f"{rest:.2f}", ""])
    return f"Imports of {row['run']}\n\n" + table(
        ["package", "seconds by itself", "imported by"], [*lines, ["all", f"{total:.2f}", ""]]
    )
