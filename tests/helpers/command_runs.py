"""Runs and workflows by their commands, and the files that they leave."""

import json
import re
import time
from pathlib import Path

from tests.helpers import disk
from tests.helpers.checkout import (
    copy_suite,
    read_config,
    write_config,
)
from tests.helpers.tiny import spec
from vpbench.cli.main import main

BOTH = [spec("text_prompt"), spec(epochs=1, eval_epochs=[])]
MANIFEST = "results/both.manifest.json"


def run_task(specs, every="300"):
    """Returns the arguments that run the specs below the working folder."""
    return [
        *("run-task", json.dumps(specs), "--device", "cpu", "--runs", "results/runs"),
        *("--checkpoints", "results/checkpoints", "--checkpoint-every", every, "--out", MANIFEST),
    ]


def run(one, folder=".", *options):
    """Returns the arguments that run one spec, a checkpoint after every step."""
    return [
        *("run", json.dumps(one), "--device", "cpu", "--out", f"{folder}/seed0.json"),
        *("--checkpoints", f"{folder}/checkpoints", "--checkpoint-every", "0", *options),
    ]


def files(folder):
    """Returns path -> content of all files below a folder, without what was measured of a run."""
    found = {}
    for path in sorted(Path(folder).rglob("*")):
        if path.is_file() and path.name != disk.FILLER:
            content = path.read_bytes()
            if path.suffix == ".json":
                content = json.loads(content)
                for key in ("measured", "commit"):  # somebody may commit while tests run
                    content.pop(key, None)
            found[path.relative_to(folder).as_posix()] = content
    return found


def one_line(text):
    """Returns what `vpbench` complains of on stderr: one line, beside bars and warnings."""
    assert "Traceback" not in text
    (line,) = [line for line in text.splitlines() if line.startswith("vpbench: ")]
    return line.removeprefix("vpbench: ")


def wait_for(found, seconds=300):
    """Returns what `found()` returns, once it is true."""
    end = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)
    return value


def configuration(**changes):
    """Returns a small configuration of the workflow: a table and two jobs of two runs each."""
    return read_config("smoke") | {
        "tasks": ["eurosat_twin", "camelyon17_twin"],
        "backbones": ["clip_micro"],
        "data": {"train": 40, "validation": 20, "test": 40, "resolution": "backbone"},
        "grid": {"main": {"methods": ["text_prompt", "visual_prompt"], "seeds": [0]}},
        "measurements": {},
        "analyses": {"accuracy": {}},
        **changes,
    }


def suite(folder, config):
    """Returns a copy of the suite with a configuration."""
    folder.mkdir()
    write_config(copy_suite(folder), config)
    return folder


def made(folder):
    """Returns path -> content of the runs of a workflow."""
    return files(folder / "results" / "runs")


def written(folder):
    """Returns path -> when it was written, of the runs of a workflow."""
    paths = (folder / "results" / "runs").rglob("*.*")
    return {path: path.stat().st_mtime_ns for path in paths}


def unwritten(full, rooms, arguments, pattern, capsys):
    """Yields the path that `pattern` finds in the one line of each failure of a command.

    The disk has ever more room, as many bytes as `rooms` say, until the command succeeds.
    """
    for left in rooms:
        full.fill(left)
        capsys.readouterr()
        if main(arguments) == 0:
            return
        yield re.fullmatch(pattern, one_line(capsys.readouterr().err))[1]
