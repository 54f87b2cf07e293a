"""Processes of a run that die: the others end with one line, and the run can go on."""

import signal
import subprocess
import sys
from types import SimpleNamespace

import psutil
import pytest

from tests.helpers.command_runs import (
    files,
    one_line,
    run,
    wait_for,
)
from tests.helpers.processes import command_as_member, free_port, start
from tests.helpers.tiny import spec
from vpbench.compute import distributed
from vpbench.experiment.run import checkpoint_path

LONG = spec(epochs=6, eval_epochs=3)


def last_written(path):
    """Returns when a file was written, 0 if it is not there."""
    return path.stat().st_mtime_ns if path.exists() else 0


def members(one, folder, count=2):
    """Returns the processes that share a run, and the log of each."""
    folder.mkdir(exist_ok=True)
    port, logs = free_port(), [folder / f"{rank}.log" for rank in range(count)]
    for log in logs:
        log.write_text("")
    arguments = run(one, folder)
    started = [
        start(command_as_member, rank, count, port, arguments, log=log)
        for rank, log in enumerate(logs)
    ]
    return started, logs


def results(folder):
    """Returns path -> content of what a run has written, its logs aside."""
    return {path: found for path, found in files(folder).items() if not path.endswith("log")}


def test_when_one_process_of_a_run_is_killed_the_other_ends_with_one_line(tmp_path):
    folder = tmp_path / "shared"
    kept = checkpoint_path(LONG, folder / "checkpoints")
    for victim in (0, 1):
        before = last_written(kept)
        both, logs = members(LONG, folder)
        wait_for(lambda: last_written(kept) > before)
        both[victim].kill()
        both[1 - victim].join()
        assert both[1 - victim].exitcode == 2
        line = one_line(logs[1 - victim].read_text())
        assert line.startswith("another process of this run has ended (")
        assert kept.exists() and not (folder / "seed0.json").exists()
        both[victim].join()
    for each in (folder, tmp_path / "whole"):
        again, logs = members(LONG, each)
        for process, log in zip(again, logs, strict=True):
            process.join()
            assert process.exitcode == 0, log.read_text()
    assert results(folder) == results(tmp_path / "whole")


def failure(code, message="", name="", told=None, at=0):
    """Returns how torch says that a process has failed."""
    return SimpleNamespace(
        exitcode=code, message=message, signal_name=lambda: name, error_file=str(told), timestamp=at
    )


def test_of_several_processes_that_ended_the_cause_is_told(tmp_path):
    told = tmp_path / "error.json"
    told.write_text("{}")
    lost = failure(2, f"{distributed.ALONE} (Connection closed by peer)", told=told, at=1)
    ours = failure(-signal.SIGTERM, "Signal 15", "SIGTERM", at=2)
    stopped = failure(128 + signal.SIGTERM, "To enable traceback see", at=0)
    causes = {
        "process 2 of 4 was killed by SIGKILL; started again, the run goes on from its "
        "checkpoint": failure(-signal.SIGKILL, "Signal 9", "SIGKILL", at=3),
        "the loss is nan": failure(2, "the loss is nan", told=told, at=3),
    }
    for line, cause in causes.items():
        with pytest.raises(ValueError) as error:
            distributed.judge({0: lost, 1: cause, 2: ours, 3: stopped}, 4)
        assert str(error.value) == line
    assert distributed.judge({0: failure(128 + signal.SIGUSR1)}, 2) == 128 + signal.SIGUSR1
    with pytest.raises(ValueError, match="process 1 of 2 has ended with code 1"):
        distributed.judge({0: failure(1, "To enable traceback see")}, 2)


def shared(one, folder):
    """Returns the command that runs a spec in two processes."""
    options = ("--processes", "2", "--threads", "2")
    return [sys.executable, "-m", "vpbench", *run(one, folder, *options)]


def begin_shared(one, folder):
    """Returns the process of the command, and the others that it has started, after a step more."""
    kept = checkpoint_path(one, folder / "checkpoints")
    before = last_written(kept)
    with open(folder / "log", "w") as log:
        process = subprocess.Popen(shared(one, folder), stderr=log)
    wait_for(lambda: last_written(kept) > before)
    return process, psutil.Process(process.pid).children(recursive=True)


@pytest.mark.slow
def test_the_command_line_says_once_what_has_ended_its_processes_and_goes_on_from_there(tmp_path):
    one, folder = LONG | {"settings": LONG["settings"] | {"epochs": 40}}, tmp_path / "disturbed"
    folder.mkdir()
    for victim in (0, 1):
        process, family = begin_shared(one, folder)
        of_rank = {each.environ()["RANK"]: each for each in family if "RANK" in each.environ()}
        of_rank[str(victim)].kill()
        assert process.wait() == 2
        assert one_line((folder / "log").read_text()) == (
            f"process {victim + 1} of 2 was killed by SIGKILL; started again, the run goes on from "
            "its checkpoint"
        )
        assert psutil.wait_procs(family, 60)[1] == []
    kept = checkpoint_path(one, folder / "checkpoints")
    for number in (signal.SIGTERM, signal.SIGINT):
        process, family = begin_shared(one, folder)
        process.send_signal(number)
        assert process.wait() == 128 + number
        assert one_line((folder / "log").read_text()) == (
            f"stopped by {number.name}; started again, the run goes on from {kept}"
        )
        assert psutil.wait_procs(family, 60)[1] == [] and kept.exists()
    subprocess.run(shared(one, folder), check=True)
    for process in members(one, tmp_path / "whole")[0]:
        process.join()
        assert process.exitcode == 0
    assert results(folder) == results(tmp_path / "whole")


@pytest.mark.slow
def test_what_all_processes_of_a_run_complain_of_is_said_once(tmp_path):
    command = shared(spec(lr=1e30, warm_up=0.0), tmp_path)
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "choose a smaller lr" in one_line(done.stderr)
