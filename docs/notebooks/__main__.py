"""`python -m docs.notebooks`: runs each page as a notebook, and fails if a cell fails."""

import argparse
import os
import resource
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from traitlets.config import Config

HERE = Path(__file__).parent
LIMIT = 300  # seconds of a cell


def run(page: Path, out: Path | None) -> str | None:
    """Returns what a page failed with, None if all its cells ran; keeps the notebook in `out`.

    It runs in a folder of its own, with this Python.
    """
    notebook = jupytext.read(page)
    with TemporaryDirectory() as folder, TemporaryDirectory() as sockets:
        # Over TCP others on this machine could listen.
        config = Config({"KernelManager": {"transport": "ipc", "ip": f"{sockets}/kernel"}})
        where = {"metadata": {"path": folder}}
        client = NotebookClient(notebook, timeout=LIMIT, resources=where, config=config)
        environment = os.environ | {"PYTHONPATH": str(HERE.parents[1]), "MPLBACKEND": ""}
        try:
            client.execute(env=environment)
        except CellExecutionError as error:
            return str(error)
        finally:
            if out is not None:
                out.mkdir(parents=True, exist_ok=True)
                nbformat.write(notebook, out / f"{page.stem}.ipynb")
    return None


def main() -> int:
    """Returns 0 if all pages ran, 1 if one failed."""
    pages = sorted(HERE.glob("[a-z]*.py"))
    parser = argparse.ArgumentParser(prog="python -m docs.notebooks", description=__doc__)
    parser.add_argument("pages", nargs="*", type=Path, default=pages, help="all, if left out")
    parser.add_argument("--out", type=Path, help="a folder to keep the notebooks in, with outputs")
    given = parser.parse_args()
    failed = False
    for page in given.pages:
        start, before = time.monotonic(), spent()
        error = run(page, given.out)
        print(f"{page.stem}: {time.monotonic() - start:.0f} s, {spent() - before:.0f} s of a core")
        if error is not None:
            print(error, file=sys.stderr)
            failed = True
    return int(failed)


def spent() -> float:
    """Returns the seconds that ended processes have computed."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main())
