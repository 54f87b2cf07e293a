"""What Snakemake ends with a traceback at before it reads the Snakefile, said in one line.

Each profile calls this: Snakemake reads it first of all that is ours.
"""

import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from vpbench.common.errors import UserError
from vpbench.common.messages import brief, not_written, one_line

CONFIG = ("--config", "-C")
CONFIG_FILES = ("--configfile", "--configfiles")
TARGETS = "a target comes before all options or behind `--`, as in `-- all`"
KEY = re.compile(r"[A-Za-z_][\w-]*\w")  # of --config, for Snakemake


def check(cache: str | None = None) -> None:
    """Ends with one line where Snakemake's command line is a mistake or its `cache` not written."""
    try:
        check_line(sys.argv[1:])
        if cache is not None:
            check_cache(Path(cache, "snakemake", "source-cache"))
    except UserError as error:
        sys.exit(str(error))


def check_line(arguments: Sequence[str]) -> None:
    """Raises UserError unless each --config is KEY=VALUE and each --configfile is there."""
    for entry in given(arguments, CONFIG):
        key, equals, _ = entry.partition("=")
        if not equals:
            raise UserError(f"--config {brief(entry)}: expected KEY=VALUE; {TARGETS}")
        if not KEY.fullmatch(key):
            raise UserError(
                f"--config {brief(entry)}: Snakemake takes no such key; write what is inside of "
                "one into a file of its own and give it last: --configfile config/lab.yaml "
                "changes.yaml"
            )
    for path in given(arguments, CONFIG_FILES):
        if not Path(path).exists() or Path(path).is_dir():
            raise UserError(
                f"--configfile {one_line(path)}: there is no such file, seen from {Path.cwd()}; "
                f"mend the path; {TARGETS}"
            )


def given(arguments: Sequence[str], options: Sequence[str]) -> list[str]:
    """Returns all that follows one of `options` on a command line, up to the next option."""
    found, listening = [], False
    for argument in arguments:
        option, equals, value = argument.partition("=")
        if argument.startswith("-"):
            listening = argument in options
            if equals and option in options:
                found.append(value)
        elif listening:
            found.append(argument)
    return found


def check_cache(folder: Path) -> None:
    """Raises UserError unless Snakemake can write into the folder of its cache."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise UserError(
            f"{one_line(folder)}: Snakemake keeps files there, {not_written(error)}; set "
            f"{'HOME' if sys.platform == 'darwin' else 'XDG_CACHE_HOME'} to a folder that can be "
            "written"
        ) from None
