"""`vpbench reference`: the reference run is unpacked, verified and shown; `--pack` makes it."""

import shutil
import tempfile
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vpbench.cli.outputs import refuse_taken
from vpbench.common import atomic_files, locks, paths
from vpbench.common.errors import UserError
from vpbench.common.messages import gigabytes
from vpbench.records import reference as references
from vpbench.spec import recipes
from vpbench.spec.grid import Grid, expand


def reference(arguments: Namespace) -> int:
    """Returns the exit code: 1 if anything is wrong or missing; prints a line for each."""
    config, where = recipes.read_configs(arguments.configfile)
    paths.use(config.get("data_dir"), config.get("weights_dir"))
    return (pack if arguments.pack else unpack)(arguments, expand(config, where), where)


def pack(arguments: Namespace, wanted: Grid, where: str) -> int:
    """Returns the exit code; the archive is there if it is 0.

    What is packed was verified before, and is again as it comes out of the archive.
    """
    from vpbench.experiment.side_files import painted_examples

    archive = Path(arguments.archive)
    refuse_taken([archive], arguments.force)
    if wanted.config["kind"] != "twins":
        raise UserError(f"{where}: is of no twins; a reference is, its pictures are painted again")
    if not verified(arguments.pack, wanted, where):
        return 1
    with tempfile.TemporaryDirectory() as folder:
        made, out = Path(folder, archive.name), Path(folder, "unpacked")
        facts = references.pack(arguments.pack, wanted, made)
        references.unpack(made, wanted, out, where, painted_examples)
        if not verified(out, wanted, where, tables=False):
            return 1
        atomic_files.write_bytes(archive, made.read_bytes())
    print(f"{archive}: {gigabytes(archive.stat().st_size)}, {in_words(facts)}")
    return 0


def unpack(arguments: Namespace, wanted: Grid, where: str) -> int:
    """Returns the exit code; what is in the archive was verified, and all that is made of it is
    there."""
    from vpbench.experiment.side_files import painted_examples
    from vpbench.verify import tables

    archive, out = Path(arguments.archive), Path(arguments.out)
    if not archive.is_file():
        raise UserError(
            f"{archive} is not there; call this in the folder of the suite; in it, make the "
            "reference run first, as docs/reference-run.md says"
        )
    with new_folder(out) as fresh:
        facts = references.unpack(archive, wanted, fresh, where, painted_examples)
    if not verified(out, wanted, where, tables=False):
        return 1
    failures = tables.make(wanted, out, arguments.configfile)
    for name, failure in failures:
        print(f"{name}: cannot be made, {failure}")
    print(f"{out}: {in_words(facts)}; its tables, figures and report.html are there")
    return 1 if failures else 0


def verified(results: str | Path, wanted: Grid, where: str, tables: bool = True) -> bool:
    """Returns whether nothing is wrong with a folder of results; says what is."""
    from vpbench.verify import verification

    report = verification.verify(results, wanted, where, tables=tables)
    print(*verification.lines(report, results, where), sep="\n", flush=True)
    return not report.problems


def in_words(facts: dict[str, Any]) -> str:
    """Returns the facts of an archive for people."""
    counted = f"{facts['runs']:,} runs and {facts['measurements']:,} measurements"
    return f"{counted} of the scale {facts['scale']}, by commit {facts['commit'][:12]}"


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Yields a folder to write into that becomes `out` once all is written.

    It takes the place of what was unpacked before. Raises UserError where anything else is there.
    """
    if out.exists() and not references.is_unpacked(out):
        raise UserError(
            f"{out} is there, and was not unpacked from an archive; choose another --out, nothing "
            "in it is touched"
        )
    fresh = out.with_name(f".{out.name}.new")
    with locks.one_at_a_time(out.parent):
        shutil.rmtree(fresh, ignore_errors=True)  # of one that was killed
        try:
            yield fresh
            if out.exists():
                shutil.rmtree(out)
            fresh.rename(out)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
