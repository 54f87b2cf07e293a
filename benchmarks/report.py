"""What benchmarks say, as JSON and as Markdown, with the machine they ran on."""

import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path

from vpbench.common import atomic_files
from vpbench.common.errors import UserError

HEAD = """# How fast the suite is

Made by `python -m benchmarks`. What is compared ran in turn in one process. A number with a range
is a median with its quartiles; a ratio is taken round by round.
"""


def machine(threads):
    """Returns the facts of this machine that a time depends on."""
    import torch

    return {
        "processor": processor(),
        "processors": os.cpu_count(),
        "threads": threads,
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "load_before": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def processor(facts=Path("/proc/cpuinfo")):
    """Returns what the processor calls itself."""
    if facts.is_file():
        for line in facts.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def read(folder):
    """Returns name -> result of the benchmarks in `folder`; {} where there are none yet."""
    path = Path(folder, "benchmarks.json")
    if not path.exists():
        return {}
    try:
        results = json.loads(path.read_text())
    except ValueError:
        results = None
    if not isinstance(results, dict) or not all(isinstance(e, dict) for e in results.values()):
        raise UserError(
            f"{path} is not a file of benchmarks: move it away, or choose another --out"
        )
    return results


def add(folder, name, result, text):
    """Returns the path of benchmarks.md once it and benchmarks.json hold `result` and its `text`.

    Results of other benchmarks stay; those of the same name are replaced.
    """
    section = f"## {result['title']}\n\n{machine_line(result)}\n\n{text.strip()}\n"
    results = read(folder) | {name: result | {"markdown": section}}
    atomic_files.write(Path(folder, "benchmarks.json"), results)
    sections = "\n".join(results[each]["markdown"] for each in sorted(results))
    return atomic_files.write_bytes(Path(folder, "benchmarks.md"), f"{HEAD}\n{sections}".encode())


def machine_line(result):
    """Returns the line that says where and when a result was measured."""
    facts = result["machine"]
    load = facts["load_before"]
    busy = "" if load is None else f", load {load:.1f} before it began"
    quick = " **A quick look at less of everything: no measurement.**" if result["quick"] else ""
    return (
        f"{facts['processor']}, {facts['threads']} of {facts['processors']} processors, "
        f"{facts['instructions']}, {facts['system']}, Python {facts['python']}, "
        f"torch {facts['torch']}, {facts['date'][:10]}{busy}.{quick}"
    )


def table(columns, rows):
    """Returns a Markdown table; `columns` are its titles, a row is a list of texts and numbers."""
    lines = [columns, ["---"] + ["---:"] * (len(columns) - 1), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def ranged(spread, digits=2, factor=1):
    """Returns the text of a `timing.spread`, times `factor`: median (low to high)."""
    median, low, high = (f"{spread[key] * factor:.{digits}f}" for key in ("median", "low", "high"))
    return f"{median} ({low} to {high})"


def goal(text, value, limit, at_most=False):
    """Returns a goal and whether `value` meets it: at least `limit`, or at most.

    A value of None was not measured, and meets nothing.
    """
    met = value is not None and (value <= limit if at_most else value >= limit)
    return {"goal": text, "limit": limit, "at_most": at_most, "value": value, "met": bool(met)}


def goals(reached):
    """Returns the Markdown list of `goal`s, each met or not met."""
    return "\n".join(
        f"- {each['goal']}: {'at most' if each['at_most'] else 'at least'} {each['limit']:g}, "
        + ("not measured" if each["value"] is None else f"reached {each['value']:.3g}")
        + f": {'met' if each['met'] else '**not met**'}"
        for each in reached
    )


def left_out(result):
    """Returns a Markdown paragraph for each precision whose steps were not measured."""
    return [
        f"No steps in {precision}: this processor only imitates it, a matrix product takes "
        f"{times:.0f} times as long as in fp32."
        for precision, times in result["left_out"].items()
    ]
