"""The command line: `vpbench VERB` or `python -m vpbench VERB`."""

import gc
import json
import os
import sys
import time
from contextlib import suppress
from pathlib import Path

from vpbench.cli.device import claim_gpus, limit_threads
from vpbench.cli.parser import parser
from vpbench.common import paths
from vpbench.common.errors import UserError
from vpbench.common.messages import first_line, one_line, out_of_memory


def main(argv=None):
    """Returns the exit code: 0, or 2 after one line on stderr for a mistake of the user."""
    gc.set_threshold(100_000, 20, 20)  # imports make a million objects, and no garbage
    arguments = parser().parse_args(argv)
    arguments.line = sys.argv[1:] if argv is None else argv
    try:
        paths.use(getattr(arguments, "data_dir", None), getattr(arguments, "weights_dir", None))
        if getattr(arguments, "device", None) in ("auto", "cuda"):
            claim_gpus(getattr(arguments, "processes", 1))
        if getattr(arguments, "threads", None) is not None:
            limit_threads(arguments.threads)
        return arguments.function(arguments) or 0
    except UserError as error:
        if arguments.debug:
            raise
        return complain(str(error))
    except OSError as error:  # a file or folder that cannot be read or written
        where = f"{error.filename}: " if error.filename else ""
        return complain(where + (error.strerror or str(error)))
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        return complain(
            f"the memory is too small ({first_line(error)}); choose fewer images, a smaller batch "
            "or another machine"
        )


def complain(line):
    """Returns 2; `line` is on stderr, or known to the process that has started this one.

    Where several processes share a run, that one says it once: see distributed.launch.
    """
    told = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if told:
        with suppress(OSError):
            Path(told).write_text(json.dumps({"message": line, "timestamp": time.time()}))
            return 2
    print(f"vpbench: {one_line(line)}", file=sys.stderr)
    return 2
