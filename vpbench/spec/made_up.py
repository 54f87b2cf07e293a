"""What a rehearsal makes up, and the guard around it: facts of tiny datasets, folders with a mark.

Only a spec of the kind `rehearsal` brings facts of its own. They count in the process that runs it,
and only for a data folder that is marked and says the same; no other kind reads a marked folder.
"""

from pathlib import Path
from typing import Any

from vpbench.common import strict_json
from vpbench.common.errors import UserError
from vpbench.common.messages import one_line
from vpbench.spec.dataset_facts import FACTS, Facts

KIND = "rehearsal"  # of vpbench.spec.scales.KINDS
MARKER = "rehearsal.json"  # in a folder of made-up data or weights: what is made up in it
Brought = dict[str, Any]  # of a dataset: classes, sizes, and checksums by the name of a file

_brought: dict[str, Brought] = {}  # dataset -> the facts that this process uses
_rehearsing = False  # does this process run a spec of the kind?


def use(spec: dict[str, Any]) -> None:
    """Makes this process use the facts that `spec` brings from here on, or none but the suite's."""
    global _rehearsing
    _rehearsing = spec["kind"] == KIND
    _brought.pop(spec["task"], None)
    if "facts" in spec:
        _brought[spec["task"]] = spec["facts"]


def facts_of(name: str) -> Facts:
    """Returns the facts of a dataset, those that a rehearsal has brought in place of the suite's.

    A dataset of many classes is made up with as few of them as it has images.
    """
    brought = _brought.get(name)
    if brought is None:
        return FACTS[name]
    # In the suite's order, whatever that of the spec: what is hashed split by split depends on it
    sizes = {split: brought["sizes"][split] for split in FACTS[name].sizes}
    return FACTS[name]._replace(classes=brought["classes"], sizes=sizes)


def checksum(name: str, file: str, published: str) -> str:
    """Returns the checksum that a file of a dataset must have, as a rehearsal has brought it."""
    brought = _brought.get(name)
    found: str = brought["checksums"].get(file, published) if brought else published
    return found


def read_marker(folder: str | Path) -> dict[str, Any] | None:
    """Returns what is made up in a folder, None where it is not marked; UserError if unreadable."""
    path = Path(folder, MARKER)
    if not path.is_file():
        return None
    document = strict_json.read_json(path)
    if not isinstance(document, dict):
        raise UserError(f"{path} is not a JSON object; remove the folder, it is a rehearsal's")
    return document


def check_data(name: str, folder: str | Path) -> None:
    """Raises UserError unless the data folder is as real, or made up as this process was told."""
    marker, brought = read_marker(folder), _brought.get(name)
    made = None if marker is None else marker.get(name)
    if marker is not None and not _rehearsing:
        raise refusal(folder, "data")
    if brought is not None and (made != brought or set(brought["sizes"]) != set(FACTS[name].sizes)):
        raise UserError(
            f"{name}: a rehearsal's spec brings facts that {Path(folder, MARKER)} does not state; "
            "read the folder that `vpbench rehearse` has made with them"
        )
    if made is not None and brought is None:
        raise UserError(f"{name}: {folder} has it made up, but the spec brings no facts of it")


def check_weights(path: str | Path) -> None:
    """Raises UserError if a weight file lies in a marked folder and this process rehearses not."""
    folder = Path(path).parent
    if read_marker(folder) is not None and not _rehearsing:
        raise refusal(folder, "weights")


def refusal(folder: str | Path, what: str) -> UserError:
    """Returns the error of a marked folder, which is only for a rehearsal."""
    return UserError(
        f"{one_line(folder)} holds {what} made up by a rehearsal ({MARKER}), which only runs of "
        f"the kind {KIND} may read; name another folder"
    )


def is_random(folder: str | Path, stem: str) -> bool:
    """Returns whether the marker of a weights folder says that a file of it is random."""
    marker = read_marker(folder) or {}
    return stem in marker.get("random", [])


def adopt(folder: str | Path) -> None:
    """Makes this process use what a data folder's mark says: it prepares the folder, no more."""
    global _rehearsing
    marker = read_marker(folder)
    _rehearsing = marker is not None
    _brought.clear()
    _brought.update(marker or {})
