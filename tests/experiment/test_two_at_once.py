"""Two processes that do the same at the same time, or share a cache, do not corrupt each other."""

import os
import platform
import shutil
import subprocess
import threading
import time

import numpy as np
import pytest

from tests.helpers import fake_dataset
from tests.helpers.checkout import command, environment
from tests.helpers.command_runs import (
    configuration,
    files,
    made,
    run,
    run_task,
    suite,
)
from tests.helpers.fake_dataset import NAME
from tests.helpers.processes import command as vpbench
from tests.helpers.processes import start
from tests.helpers.tiny import spec
from vpbench.cli.main import main
from vpbench.common import atomic_files
from vpbench.experiment import run as run_module
from vpbench.experiment.run import complete
from vpbench.records import reading

LONG = spec(epochs=12, eval_epochs=4)
GIVEN = ("--cores", "2", "--configfile", "given.yaml", "--")


def all_end_well(processes, logs):
    """Returns None once all processes have ended, without a complaint."""
    for process, log in zip(processes, logs, strict=True):
        process.join(120)
        assert process.exitcode == 0, log.read_text()
        assert "Traceback" not in log.read_text() and "warning" not in log.read_text()


def at_once(arguments, folder, count=2):
    """Returns None once `count` processes have done the same at the same time, and ended well."""
    logs = [folder / f"{number}.log" for number in range(count)]
    processes = [start(vpbench, arguments, log=log) for log in logs]
    all_end_well(processes, logs)
    for log in logs:
        log.unlink()


def test_two_processes_that_run_the_same_at_once_leave_whole_and_equal_results(tmp_path):
    for name in ("shared", "alone"):
        (tmp_path / name).mkdir()
    at_once(run(LONG, tmp_path / "shared"), tmp_path, count=3)
    assert main(run(LONG, tmp_path / "alone")) == 0
    assert files(tmp_path / "shared") == files(tmp_path / "alone")


def test_two_processes_that_do_a_whole_task_at_once_leave_whole_and_equal_results(
    tmp_path, monkeypatch
):
    specs = [spec("text_prompt"), spec(epochs=3), spec("linear_probe")]
    for name in ("shared", "alone"):
        (tmp_path / name).mkdir()

    def arguments(folder):
        return [str(each).replace("results/", f"{folder}/") for each in run_task(specs, "0")]

    at_once(arguments(tmp_path / "shared"), tmp_path)
    assert main(arguments(tmp_path / "alone")) == 0
    found, expected = (files(tmp_path / name) for name in ("shared", "alone"))
    for each in (found, expected):
        each.pop("both.manifest.json")  # it names its folder
    assert found == expected


def test_of_two_processes_that_found_different_numbers_one_writes_all_files(
    tmp_path, monkeypatch, clip, task
):
    # On a GPU the same run may give other roundings: no record beside the predictions of another.
    one, path = spec("text_prompt"), tmp_path / "seed0.json"
    record, arrays, fit = run_module.run(one, task, clip)
    write_arrays, numbers = atomic_files.write_arrays, {}

    def find_other_numbers(*_):
        number = numbers[threading.current_thread()]
        others = arrays | {"confidence": np.full_like(arrays["confidence"], number)}
        return record | {"chosen": {"process": number}}, others, fit

    def write_slowly(path, arrays):
        write_arrays(path, arrays)
        time.sleep(0.1 / (1 + numbers[threading.current_thread()]))  # the last one is the first

    monkeypatch.setattr(run_module, "run", find_other_numbers)
    monkeypatch.setattr(atomic_files, "write_arrays", write_slowly)
    for number in range(4):
        thread = threading.Thread(target=complete, args=(path, one, task, clip))
        numbers[thread] = number
    for thread in numbers:
        thread.start()
        time.sleep(0.01)
    for thread in numbers:
        thread.join()
    found = reading.read(path) | {"file": str(path)}
    confidence = reading.arrays(found, "predictions")["confidence"]
    assert set(confidence) == {found["chosen"]["process"]}


# What a process that was killed leaves of a file


def part_of(path, pid, host=None):
    """Returns the file that a process leaves which is killed while it writes `path`."""
    part = path.with_name(f".{path.name}.{host or platform.node()}.{pid}.part")
    part.write_text("half")
    return part


def dead():
    """Returns the number of a process that has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_what_dead_processes_left_of_a_file_goes_when_it_is_written_again(tmp_path):
    path = tmp_path / "seed0.json"
    for pid in (dead(), os.getpid()):
        part_of(path, pid)
    alive = part_of(path, os.getppid())
    elsewhere = part_of(path, dead(), "elsewhere")
    other = part_of(tmp_path / "seed1.json", dead())
    atomic_files.write_bytes(path, b"whole")
    assert {each for each in tmp_path.iterdir()} == {path, alive, elsewhere, other}
    assert path.read_bytes() == b"whole"


def test_a_file_with_odd_characters_in_its_name_is_no_pattern(tmp_path):
    other = part_of(tmp_path / "a", dead())
    atomic_files.write_bytes(tmp_path / "[a]*", b"whole")
    assert other.exists() and len(list(tmp_path.iterdir())) == 2


# Workflows


def with_dots(folder, data):
    """Returns a copy of the suite that knows the fake dataset and finds it in the folder `data`."""
    config = configuration(
        kind="real",
        tasks=[NAME],
        backbones=["rn50_micro"],
        data_dir=str(data),
        data=dict.fromkeys(fake_dataset.SIZES) | {"resolution": "backbone"},
        grid={"main": {"methods": ["linear_probe"], "seeds": [0]}},
    )
    suite(folder, config)
    shutil.copy(fake_dataset.__file__, folder / "vpbench" / "data" / "datasets" / f"{NAME}.py")
    with open(folder / "vpbench" / "spec" / "dataset_facts.py", "a") as file:
        file.write(
            f"FACTS[{NAME!r}] = Facts(3, {fake_dataset.SIZES}, 'made up', 'CC0', 'manual', 'paint',"
            " 0.001, None)\n"
        )
    with open(folder / "vpbench" / "spec" / "tasks.py", "a") as file:
        file.write(
            f"TASKS[{NAME!r}] = Task({fake_dataset.MODULE!r}, 'Dots', '', 'a {{}}', True,"
            " metric='macro_f1', painted=False)\n"
        )
    return folder


def times_written(folders):
    """Returns how many logs of the jobs of the suites say that a cache was written."""
    logs = [path for folder in folders for path in (folder / "results" / "logs").rglob("*.log")]
    return sum(f"{NAME}: writing " in path.read_text() for path in logs)


@pytest.mark.slow
@pytest.mark.parametrize("target", ["data", "results/accuracy.csv"])
def test_two_workflows_that_share_their_data_make_its_cache_once(target, tmp_path):
    data = tmp_path / "data"
    fake_dataset.write_files(data)
    folders = [with_dots(tmp_path / name, data) for name in ("first", "second")]
    processes = []
    for folder in folders:
        with open(folder / "log", "w") as log:
            process = subprocess.Popen(
                command(*GIVEN, target), cwd=folder, env=environment(), stdout=log, stderr=log
            )
        processes.append(process)
    ended = [process.wait() for process in processes]
    assert ended == [0, 0], [(folder / "log").read_text() for folder in folders]
    caches = files(data / "cache")
    arrays = [path for path in caches if path.endswith(".npy")]
    assert len(arrays) == 3 and not [path for path in caches if "lock" in path or ".part" in path]
    assert times_written(folders) == 1
    if target != "data":
        assert made(folders[0]) == made(folders[1]) and made(folders[0])
