"""`vpbench show`, `list` and `sheet`."""

import json
from argparse import Namespace
from collections.abc import Iterable, Mapping
from pathlib import Path

from vpbench.cli.file_kinds import refuse_other_kinds
from vpbench.cli.outputs import refuse_taken
from vpbench.common.errors import UserError
from vpbench.common.messages import instead
from vpbench.records import reading
from vpbench.spec.analyses import ANALYSES
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.label_maps import LABEL_MAPS
from vpbench.spec.methods import METHODS
from vpbench.spec.prompt_forms import PROMPT_FORMS
from vpbench.spec.recipes import shipped_names
from vpbench.spec.settings import REQUIRED, Setting
from vpbench.spec.tasks import TASKS, is_twin

CATALOGUES: dict[str, Iterable[str]] = {
    "backbones": BACKBONES,
    "tasks": TASKS,
    "methods": METHODS,
    "templates": PROMPT_FORMS,
    "label_maps": LABEL_MAPS,
    "analyses": ANALYSES,
    "configurations": shipped_names(),
}
FEW = {"train": 48, "validation": 48, "test": 48}  # images of a task on a contact sheet


def show(arguments: Namespace) -> None:
    """Prints a record for reading."""
    refuse_other_kinds(Path(arguments.record))
    record = reading.read(arguments.record)
    print(f"{arguments.record} (schema {record['schema']})")
    for key in ("spec", "task", "backbone", "chosen", "hashes", "versions", "measured"):
        if key not in record:  # of a measurement
            continue
        print(f"{key}:")
        for name, value in record[key].items():
            print(f"  {name}: {value}")
    if "selection" not in record:
        print(f"{len(record['rows'])} rows, device: {record['device']}")
        return
    print(f"trained parameters: {record['trained_parameters']}, device: {record['device']}")
    print(f"the tables show: {record['rule']}")
    for name, chosen in record["selection"].items():
        numbers = [
            f"{split} {chosen[split]['accuracy']:.1f} % "
            f"(macro-F1 {decimal(chosen[split]['macro_f1'])}, "
            f"NLL {decimal(chosen[split]['nll'], 2)}, ECE {decimal(chosen[split]['ece'])})"
            for split in ("validation", "test")
            if chosen.get(split)
        ]
        epoch = "" if chosen["epoch"] is None else f" (epoch {chosen['epoch']})"
        print(f"{name}{epoch}: {'; '.join(numbers)}")


def decimal(number: float | None, digits: int = 1) -> str:
    """Returns a number with so many decimals, or a dash for one that is missing."""
    return "-" if number is None else f"{number:.{digits}f}"


def list_names(arguments: Namespace) -> None:
    """Prints the legal names of one kind, or of all, or the settings of a method."""
    kind = arguments.kind
    if kind in METHODS:
        print(*described(METHODS[kind].settings), sep="\n")
    elif kind in CATALOGUES:
        print(*CATALOGUES[kind], sep="\n")
    elif kind is None:
        for title, names in CATALOGUES.items():
            print(f"{title}: {', '.join(names)}")
    else:
        legal = [*CATALOGUES, *METHODS]
        hint = f"choose one of: {', '.join(CATALOGUES)}, or a method"
        raise UserError(f"there is nothing called {kind!r} to list; {instead(kind, legal, hint)}")


def described(settings: Mapping[str, Setting]) -> list[str]:
    """Returns a line for each setting of a method: its name, its default and what it means."""
    width = max(map(len, settings), default=0)
    return [
        f"{name:{width}}  {each.meaning} "
        + (
            "(to be given)"
            if each.default is REQUIRED
            else f"(default: {json.dumps(each.default)})"
        )
        for name, each in settings.items()
    ]


def sheet(arguments: Namespace) -> None:
    """Writes a contact sheet of tasks."""
    from vpbench.data import contact_sheet, load

    refuse_taken([Path(arguments.out)], arguments.force)
    names = arguments.tasks or filter(is_twin, TASKS)
    print(contact_sheet.save_sheet(arguments.out, [load.load_task(name, FEW) for name in names]))
