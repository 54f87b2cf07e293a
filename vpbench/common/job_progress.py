"""How far the jobs at hand of a workflow are, told on its screen from what their logs say."""

import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

LOGS = Path("results/logs")
PAUSE = 30.0  # seconds between two looks
TAIL = 200_000  # bytes of a log that are looked at: the bar of an hour
RUN = re.compile(r"\[(\d+)/(\d+)\] (.+)")  # of many runs: its number and name
# A bar of tqdm: what it counts, how many are done, of how many, and the time that is left
BAR = re.compile(r"(?:([^\r\n]*): +)?\d+%\|[^|\r\n]*\| *(\S+)/(\S+) \[[^<\]]*<([^,\]]*)")


def watch(say: Callable[[str], None], logs: Path = LOGS, pause: float = PAUSE) -> threading.Event:
    """Returns the event that ends a thread which says, now and then, how far jobs are.

    It says a line per job whose log has grown since the last look, and nothing of quick ones: a
    workflow that is done in seconds has the screen that it had.
    """
    ended, sizes = threading.Event(), dict(grown({}, logs))

    def look() -> None:
        while not ended.wait(pause):
            for path, size in grown(sizes, logs):
                sizes[path] = size
                if line := told(path):
                    say(line)

    threading.Thread(target=look, daemon=True).start()
    return ended


def grown(sizes: dict[Path, int], logs: Path) -> Iterator[tuple[Path, int]]:
    """Yields (log, its bytes) of each log of another size than in `sizes`."""
    for path in sorted(logs.rglob("*.log")):
        try:
            size = path.stat().st_size
        except OSError:  # gone meanwhile
            continue
        if sizes.get(path) != size:
            yield path, size


def told(log: Path) -> str | None:
    """Returns how far the job with this log is, in one line; None if its log does not say."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - TAIL))
            text = file.read().decode(errors="replace")
    except OSError:
        return None
    runs = list(RUN.finditer(text))
    rest = text[runs[-1].end() :] if runs else text
    bars = list(BAR.finditer(rest))
    if not runs and not bars:
        return None
    parts = [f"run {runs[-1][1]} of {runs[-1][2]}, {runs[-1][3]}" if runs else log.stem]
    if bars:
        what, done, count, left = bars[-1].groups()
        counted = what.strip() if what and not runs else "step"
        parts.append(f"{counted} {done} of {count}, {left} left")
    return ": ".join(parts)
