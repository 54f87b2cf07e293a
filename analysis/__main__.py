"""`python -m analysis NAME ...` makes one table, figure or page."""

import sys
from importlib import import_module

from vpbench.common.messages import brief
from vpbench.spec.analyses import ANALYSES, PAGES


def main(argv=None):
    """Returns the exit code: 0, or 2 after one line on stderr."""
    name, *arguments = (sys.argv[1:] if argv is None else argv) or [""]
    modules = {each: entry.module for each, entry in ANALYSES.items()} | PAGES
    if name not in modules:
        print(
            f"error: {brief(name)} is no analysis; choose one of: {', '.join(modules)}",
            file=sys.stderr,
        )
        return 2
    return import_module(modules[name]).main(arguments)


if __name__ == "__main__":
    sys.exit(main())
