"""How tests call the analyses."""

from importlib import import_module

from analysis.__main__ import main
from analysis.common.scales import Scale
from vpbench.spec.analyses import ANALYSES

LAB = Scale("lab", "twins")
DESK = Scale("desk", "real")
PAPER = Scale("paper", "paper")
NOWHERE = Scale()  # of no records


def run(name, *arguments):
    """Returns the exit code of `python -m analysis name`."""
    return main([name, *map(str, arguments)])


def write_table(name, made, out):
    """Writes the table `name` of the records `made`."""
    entry = ANALYSES[name]
    import_module(entry.module).write(made, out, **entry.options)
