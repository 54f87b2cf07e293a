"""Snakemake in forks of a process that has imported it: most of what planning takes is that.

Started as a script it is that process: each line that it reads starts one Snakemake, and it answers
with the exit code. It imports nothing of the suite, which is there in many copies.
"""

import atexit
import json
import os
import subprocess
import sys
import tempfile
from functools import cache

IMPORTED = ("snakemake.cli", "snakemake.report.html_reporter", "snakemake.storage", "smart_open")


def run(folder, arguments, environment):
    """Returns (exit code, what it prints) of `python -m snakemake` with these arguments there."""
    server = _server()
    with tempfile.NamedTemporaryFile("r") as output:
        asked = [str(folder), list(map(str, arguments)), environment, output.name]
        print(json.dumps(asked), file=server.stdin, flush=True)
        return int(server.stdout.readline()), output.read()


@cache
def _server():
    """Returns the process that forks, which ends with this one."""
    server = subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    atexit.register(server.communicate)
    return server


def serve():
    """Starts a Snakemake for each line of stdin, one after the other."""
    import importlib

    for name in IMPORTED:
        importlib.import_module(name)
    for line in sys.stdin:
        child = os.fork()
        if not child:
            return become_snakemake(*json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def become_snakemake(folder, arguments, environment, output):
    """Ends this process as `python -m snakemake` with these arguments in a folder would."""
    from snakemake.cli import main

    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number in (1, 2):
        os.dup2(os.open(output, os.O_WRONLY | os.O_APPEND), number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[0] = str(folder)
    sys.argv = ["snakemake", *arguments]
    main()


if __name__ == "__main__":
    serve()
