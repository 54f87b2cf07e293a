"""`vpbench rehearse`."""

import os
import shutil
import tempfile
import time
from argparse import ArgumentParser, Namespace
from pathlib import Path

from vpbench.common import atomic_files
from vpbench.common.errors import UserError
from vpbench.common.messages import brief, instead, one_line
from vpbench.compute import gpu
from vpbench.spec import recipes

DEVICES = ("auto", "cuda", "cpu")


def rehearse(arguments: Namespace) -> int:
    """Returns the exit code: 1 if something would fail; prints a line for each item."""
    from vpbench.experiment.rehearsal import outcomes
    from vpbench.experiment.rehearsal.rehearsal import peak_gigabytes, rehearsal, steps
    from vpbench.experiment.rehearsal.workflow import Machine

    check_options(arguments)
    profile = profile_of(arguments.workflow_profile)
    device = demanded(arguments.jobs_device, elsewhere=profile is not None)
    config, where = recipes.read_configs(arguments.configfile)
    jobs = arguments.jobs or os.cpu_count() or 1
    machine = Machine(profile, device, jobs)
    given = arguments.scratch is not None
    scratch = Path(arguments.scratch if given else tempfile.mkdtemp(prefix="vpbench_rehearsal_"))
    started, found = time.perf_counter(), []
    try:
        one = rehearsal(config, where, scratch.resolve(), machine, arguments.shapes)
        for words, new in steps(one):
            print(f"vpbench: {words}", flush=True)
            found += new
    finally:
        if not given:
            shutil.rmtree(scratch, ignore_errors=True)
    minutes = (time.perf_counter() - started) / 60
    print("", *outcomes.table(found), sep="\n")
    print(f"{minutes:.1f} minutes; the largest process took {peak_gigabytes():.1f} GB")
    if arguments.json:
        facts = {"configuration": where, "device": device, "minutes": minutes}
        facts["largest_process_gb"] = peak_gigabytes()
        atomic_files.write(arguments.json, outcomes.document(found, facts))
    return outcomes.exit_code(found, arguments.strict)


def check_options(arguments: Namespace) -> None:
    """Raises UserError for what would only be seen at the end, or in the middle."""
    for option in ("shapes", "jobs"):
        count = getattr(arguments, option)
        if count is not None and count < 1:
            raise UserError(f"--{option} {count}: expected 1 or more; leave it out for all")
    file = Path(arguments.json or "outcomes.json")
    if file.is_dir() or not file.absolute().parent.is_dir():
        raise UserError(f"--json {one_line(file)}: expected a file in a folder that is there")
    if arguments.scratch and Path(arguments.scratch).is_file():
        raise UserError(f"--scratch {one_line(arguments.scratch)} is a file; expected a folder")


def profile_of(given: str | None) -> str | None:
    """Returns the folder of a workflow profile, which Snakemake calls by a name, too.

    Snakemake goes on without a profile that it does not find: jobs would run here.
    """
    if given is None:
        return None
    for folder in (Path(given), Path("profiles") / given):
        if any(folder.glob("config*.yaml")):
            return str(folder.resolve())
    known = ", ".join(sorted(file.parent.name for file in Path("profiles").glob("*/config*.yaml")))
    raise UserError(
        f"--workflow-profile {one_line(given)}: no config.yaml is there; expected its folder, or a "
        f"name in profiles/ of the clone ({known or 'not here'})"
    )


def demanded(device: str, elsewhere: bool) -> str:
    """Returns the device to rehearse on; the CPU has to be said, as at paper scale.

    Jobs of a profile run `elsewhere`, where there may be a GPU that is not seen here.
    """
    if device not in DEVICES:
        raise UserError(f"--device {brief(device)}: {instead(device, DEVICES)}")
    here = device == "auto" or (device == "cuda" and not elsewhere)
    if here and not gpu.visible():
        raise UserError("rehearse: no GPU is seen here; say --device cpu to rehearse without one")
    return "cuda" if device == "auto" else device


def add_options(command: ArgumentParser) -> None:
    """Adds the options of the verb."""
    text = "what is rehearsed: configurations, files or shipped ones; later ones change earlier"
    command.add_argument("--configfile", nargs="+", required=True, help=text)
    text = "of Snakemake, for the rehearsed jobs: a folder, or a name in profiles/; absent: default"
    command.add_argument("--workflow-profile", metavar="FOLDER", help=text)
    # Not `device`: this process starts others and claims no GPU for itself.
    text = "auto (cuda), cuda, or cpu, which has to be said"
    command.add_argument("--device", dest="jobs_device", default="auto", help=text)
    text = "kept afterwards; absent: a temporary one, deleted at the end"
    command.add_argument("--scratch", metavar="FOLDER", help=text)
    text = "only so many shapes, of each method and dataset the cheapest; absent: all"
    command.add_argument("--shapes", type=int, metavar="N", help=text)
    command.add_argument("--jobs", type=int, metavar="N", help="at once; absent: one a processor")
    text = "exit code 1 also where something is absent here"
    command.add_argument("--strict", action="store_true", help=text)
    command.add_argument(
        "--json",
        metavar="FILE",
        help="write the outcomes for machines, too; absent: only print them",
    )
