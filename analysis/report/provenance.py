"""Where numbers come from: versions, hardware, hashes and dates of their records."""

import os
import platform
import re
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from analysis.common.aliases import Record


def facts(records: list[Record]) -> dict[str, str]:
    """Returns fact -> text about the records as a whole and about the machine at hand.

    The date is that of the newest record, so that equal records give an equal page.
    """
    runs = [record for record in records if "measurement" not in record["spec"]]
    seconds = sum(record["measured"].get("seconds") or 0 for record in records)
    return {
        **noted(records),
        "Runs": f"{len(runs):,}",
        "Measurements beside the runs": f"{len(records) - len(runs):,}",
        "Newest record": newest(records),
        "Time in runs and measurements": duration(seconds),
        "Device of the runs": counted(record["device"] for record in records),
        "Machine that made this page": machine(),
        "Code": commit(),
    }


def noted(records: list[Record]) -> dict[str, str]:
    """Returns fact -> how many notes there are on the images of how many datasets, if any."""
    different = {(record["spec"]["task"], note) for record in records for note in notes(record)}
    tasks = {task for task, _ in different}
    if not different:
        return {}
    many = "datasets" if len(tasks) > 1 else "dataset"
    text = f"{len(different):,} on {len(tasks):,} {many}; the details of a run have them in words"
    return {"Notes on the images": text}


def notes(record: Record) -> list[str]:
    """Returns in words what is not as in the paper, and what was left out or done to the images."""
    task = record["task"]
    return [*task.get("deviations", []), *task.get("notes", [])]


def newest(records: list[Record]) -> str:
    """Returns when the newest record was written, in UTC."""
    times = [Path(record["file"]).stat().st_mtime for record in records if "file" in record]
    if not times:
        return "none"
    return f"{datetime.fromtimestamp(max(times), UTC):%Y-%m-%d %H:%M} UTC"


def duration(seconds: float) -> str:
    """Returns a time in hours and minutes, or in seconds where it is short."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def counted(values: Iterable[str]) -> str:
    """Returns the different values as text, each with how many records have it."""
    counts: dict[str, int] = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    return ", ".join(f"{value} ({count:,})" for value, count in sorted(counts.items())) or "none"


def machine() -> str:
    """Returns processor, number of cores and system of this machine."""
    return f"{processor()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}"


def processor() -> str:
    """Returns the name of the processor; Linux tells it in a file of its own."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        text = ""
    named = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return named[1].strip() if named else platform.processor() or "unknown processor"


def commit() -> str:
    """Returns the commit of the code, or that it is not known."""
    command = ["git", "describe", "--always", "--dirty=, with changes", "--abbrev=12"]
    try:
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True)
    except OSError:
        return "not known: git is not installed"
    return f"commit {done.stdout.strip()}" if done.returncode == 0 else "not known: no git checkout"


def versions(records: list[Record]) -> dict[str, str]:
    """Returns package -> the versions that the records name, sorted."""
    by_package: dict[str, set[str]] = {}
    for record in records:
        for package, version in record["versions"].items():
            by_package.setdefault(package, set()).add(version)
    return {package: ", ".join(sorted(by_package[package])) for package in sorted(by_package)}


def hashes(records: list[Record]) -> list[tuple[str, str, list[str]]]:
    """Returns (what, of which, hashes) rows: weights per backbone, worlds, data per task."""
    values: dict[tuple[str, str], set[str]] = {}
    for record in records:
        spec = record["spec"]
        owners = {"weights": spec.get("backbone"), "data": spec["task"]}
        for kind, value in record.get("hashes", {}).items():
            if kind == "splits":  # of a real dataset: the files that define its splits
                for file, sha256 in value.items():
                    values.setdefault((kind, f"{spec['task']}: {file}"), set()).add(sha256)
            elif value:
                values.setdefault((kind, owners.get(kind, "")), set()).add(value)
    kinds = {"weights": 0, "world": 1, "data": 2, "splits": 3}
    order = sorted(values, key=lambda key: (kinds.get(key[0], 4), key))
    return [(kind, owner, sorted(values[kind, owner])) for kind, owner in order]
