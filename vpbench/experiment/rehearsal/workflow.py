"""Snakemake in a folder of its own, with the rules and profiles of this checkout."""

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import yaml

from vpbench.common.errors import UserError
from vpbench.common.messages import first_line
from vpbench.spec.aliases import Config

PARTS = ("Snakefile", "analysis", "config", "environment.yml", "profiles", "vpbench", "workflow")
RULES = (
    "prepare",
    "run",
    "features",
    "regression",
    "run_task",
    "reference_photographs",
    "measure",
    "measure_all",
)
SHARE = 0.8  # of the free memory that jobs may take together
MOST = 18_000  # megabytes that they may take in any case


class Machine(NamedTuple):
    """Where jobs run: the profile (None: the default one, here), the device, jobs at once."""

    profile: str | None
    device: str
    jobs: int


def link_suite(folder: Path) -> Path:
    """Returns `folder` with links to the parts of this checkout that a workflow needs."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        source = Path(part).resolve()
        if not source.exists():
            raise UserError(f"no {part} here: start a rehearsal in the folder of the clone")
        if not (folder / part).exists():
            (folder / part).symlink_to(source)
    return folder


def write_config(folder: Path, config: Config) -> Path:
    """Returns the path of a file with `config`."""
    path = folder / "rehearsal.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return path


def environment(scratch: Path, machine: Machine) -> dict[str, str]:
    """Returns the environment of jobs that read the made-up data and weights of `scratch`."""
    places = {"VPBENCH_DATA": scratch / "data", "VPBENCH_WEIGHTS": scratch / "weights"}
    here = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    given = {name: str(path) for name, path in places.items()}
    return dict(os.environ) | given | {"VPBENCH_DEVICE": machine.device, "PATH": here}


def snakemake(
    folder: Path, scratch: Path, machine: Machine, *targets: str, options: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """Returns what became of Snakemake with `targets` in `folder`, with all that it has said."""
    command = [sys.executable, "-m", "snakemake", "--configfile", "rehearsal.yaml"]
    if machine.profile:
        command += ["--workflow-profile", machine.profile]
    else:
        jobs = str(machine.jobs)
        command += ["--cores", jobs, "--resources", f"gpu={jobs}", f"mem_mb={memory()}"]
        command += ["--set-threads", *(f"{rule}=1" for rule in RULES)]
    command += ["--keep-going", *options, "--", *targets]
    return subprocess.run(
        command,
        cwd=folder,
        env=environment(scratch, machine),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def memory() -> int:
    """Returns the megabytes that jobs may take together on this machine."""
    try:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**20
    except (ValueError, OSError):  # not Linux
        return MOST
    return min(MOST, int(SHARE * free))


def first_error(log: Path) -> str:
    """Returns the line of a job's log that says what was wrong."""
    try:
        lines = [line.strip() for line in log.read_text(errors="replace").splitlines()]
    except OSError:
        return f"no log {log.name}: the job was not started, or had no time to write"
    said = [line for line in lines if line.startswith("vpbench: ")]
    wrong = [line for line in lines if "Error" in line]
    return first_line((said or wrong or [line for line in lines if line] or ["nothing said"])[-1])


def complaint(said: str) -> str:
    """Returns the line with which Snakemake itself complains, in all that it has `said`."""
    lines = [line.strip() for line in said.splitlines()]
    wrong = [line for line in lines if "rror" in line or "xception" in line]
    return (wrong or ["Snakemake has ended with an error"])[0]
