"""Runs in processes of their own, which can be killed or work together; see `start`."""

import json
import multiprocessing
import os
import socket
import sys

_context = multiprocessing.get_context("forkserver")  # imports torch once for all of them
_context.set_forkserver_preload(
    [
        *("vpbench.experiment.run", "vpbench.lab.micro_backbones", "vpbench.training.trainer"),
        *("open_clip", "timm"),
        *("torchmetrics.functional.classification", "sklearn.linear_model"),
    ]
)


def free_port():
    """Returns a port of this machine that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(function, *arguments, log=os.devnull):
    """Returns a started process of function(*arguments), whose stderr goes to the file `log`."""
    process = _context.Process(target=_alone, args=(function, arguments, str(log)))
    process.start()
    return process


def _alone(function, arguments, log):
    import threading

    import torch
    from tqdm import tqdm

    torch.set_num_threads(1)
    tqdm.set_lock(threading.RLock())  # its own is a semaphore, which a killed process leaves behind
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), sys.stderr.fileno())
    function(*arguments)


def run_with_checkpoints(specs, folder):
    """Ends the process, which writes the records of `specs` and a checkpoint after every step."""
    command(
        [
            *("run-task", json.dumps(specs), "--device", "cpu", "--runs", f"{folder}/runs"),
            *("--checkpoints", f"{folder}/checkpoints", "--checkpoint-every", "0"),
            *("--out", f"{folder}/manifest.json"),
        ]
    )


def command(arguments):
    """Ends the process with the exit code of `vpbench` with these arguments."""
    from vpbench.cli.main import main

    sys.exit(main(arguments))


def command_as_member(rank, count, port, arguments):
    """Does the same as one of `count` processes that share a run."""
    _join(rank, count, port)
    command(arguments)


def command_in_little_memory(megabytes, arguments):
    """Does the same where, once all is loaded, the process gets only so much more memory."""
    import resource
    from pathlib import Path

    from vpbench.data import load

    load_task = load.load_task

    def load_and_limit(*each):
        task = load_task(*each)
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + megabytes * 2**20
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        return task

    load.load_task = load_and_limit
    command(arguments)


def run_as_member(rank, count, port, specs, folder):
    """Returns None; is one of `count` processes that share each run of `specs`.

    The states that a run selected are in <folder>/<number of the spec>.<rank>.pt.
    """
    import torch

    from vpbench.compute import distributed
    from vpbench.data.load import load_task
    from vpbench.experiment import run
    from vpbench.models.backbone import load_backbone

    _join(rank, count, port)
    with distributed.group(torch.device("cpu")):
        for number, spec in enumerate(specs):
            backbone = load_backbone(spec["backbone"])
            task = load_task(spec["task"], spec["data"], backbone.preprocessing)
            record, _, fit = run.run(spec, task, backbone)
            states = {rule: selected.state for rule, selected in fit.selection.items()}
            logits = fit.selected("last").evaluations["test"].logits
            kept = {"states": states, "logits": logits, "history": fit.history}
            torch.save(kept | {"measured": record["measured"]}, f"{folder}/{number}.{rank}.pt")


def _join(rank, count, port):
    names = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "MASTER_PORT": port}
    os.environ |= {"MASTER_ADDR": "127.0.0.1"} | {key: str(value) for key, value in names.items()}
