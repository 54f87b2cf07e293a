"""`vpbench show`, `list` and `sheet`."""

from argparse import Namespace
from pathlib import Path

from vpbench.cli.outputs import refuse_taken
from vpbench.records import reading
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.methods import METHODS
from vpbench.spec.tasks import TASKS, is_twin

FEW = {"train": 48, "validation": 48, "test": 48}  # images of a task on a contact sheet


def show(arguments: Namespace) -> None:
    """Prints a record for reading."""
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
    """Prints the legal names."""
    for title, names in (("backbones", BACKBONES), ("tasks", TASKS), ("methods", METHODS)):
        print(f"{title}: {', '.join(names)}")


def sheet(arguments: Namespace) -> None:
    """Writes a contact sheet of tasks."""
    from vpbench.data import contact_sheet, load

    refuse_taken([Path(arguments.out)], arguments.force)
    names = arguments.tasks or filter(is_twin, TASKS)
    print(contact_sheet.save_sheet(arguments.out, [load.load_task(name, FEW) for name in names]))
