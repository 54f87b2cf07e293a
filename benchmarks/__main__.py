"""The command line: `python -m benchmarks [NAME ...]`, and `python -m benchmarks gpu`."""

import argparse
import importlib
import os
import signal
import sys

from benchmarks import gpu, report
from vpbench.cli.device import limit_threads
from vpbench.cli.main import interrupted_by
from vpbench.common.errors import UserError
from vpbench.compute import memory

BENCHMARKS = {
    "official": "benchmarks.against_official",
    "limit": "benchmarks.limit",
    "saved_work": "benchmarks.saved_work",
    "data_path": "benchmarks.data_path",
    "start_up": "benchmarks.start_up",
    "growth": "benchmarks.growth",
}


def parser():
    """Returns the argument parser."""
    main = argparse.ArgumentParser("benchmarks", description="Measure how fast the suite is.")
    main.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; all if none is given"
    )
    main.add_argument(
        "--quick", action="store_true", help="less of everything: to see that it works"
    )
    main.add_argument("--threads", type=int, help="CPU threads of torch; else one per processor")
    main.add_argument("--out", default="results/speed", metavar="FOLDER")
    return main


def main(argv=None):
    """Returns the exit code: 0, or 2 after one line on stderr for a mistake of the user.

    That of `gpu`, which has options of its own, is 1 where a part has failed.
    """
    argv = sys.argv[1:] if argv is None else argv
    try:
        with interrupted_by(signal.SIGINT, signal.SIGTERM):
            if argv[:1] == ["gpu"]:
                return gpu.main(argv[1:])
            arguments = parser().parse_args(argv)
            run(arguments.names, arguments.quick, arguments.threads, arguments.out)
    except KeyboardInterrupt as stopped:
        print("benchmarks: stopped; what is written already stays", file=sys.stderr)
        return 128 + (stopped.args[0] if stopped.args else signal.SIGINT)
    except ValueError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"benchmarks: {error.filename}: {error.strerror or error}", file=sys.stderr)
        return 2
    return 0


def run(names, quick=False, threads=None, folder="results/speed"):
    """Measures the benchmarks `names`, or all, and writes each when it is done."""
    for name in names:
        if name not in BENCHMARKS:
            raise UserError(f"no benchmark {name!r}; choose of: {', '.join(BENCHMARKS)}")
    threads = processors() if threads is None else threads
    limit_threads(threads)
    report.read(folder)  # what is wrong with it is said before an hour has gone by
    for name in names or BENCHMARKS:
        print(f"{name} ...", file=sys.stderr, flush=True)
        memory.keep_freed()  # as a run does
        facts = report.machine(threads)
        module = importlib.import_module(BENCHMARKS[name])
        result = module.measure(quick, threads) | {"machine": facts, "quick": quick}
        if hasattr(module, "draw"):
            print(module.draw(result, folder))
        print(report.add(folder, name, result, module.render(result)))


def processors():
    """Returns the number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


if __name__ == "__main__":
    sys.exit(main())
