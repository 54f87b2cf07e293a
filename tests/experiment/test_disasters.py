"""What can happen to a run happens here, really, and gives one line; afterwards it completes."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
import torch
import yaml
from PIL import Image

from analysis.common.csv_file import write_csv
from tests.compute.test_distributed import free_port
from tests.helpers import disk, fake_dataset
from tests.helpers.checkout import (
    ROOT,
    command,
    copy_suite,
    environment,
    plan,
    planned_jobs,
    read_config,
    snakemake,
    write_config,
)
from tests.helpers.fake_dataset import NAME
from tests.helpers.processes import command_as_member, command_in_little_memory, start
from tests.helpers.tiny import spec
from vpbench.cli.main import main
from vpbench.common import locks, messages
from vpbench.common.errors import RecordError
from vpbench.compute import distributed
from vpbench.data import cache, image_folder
from vpbench.data import load as load_module
from vpbench.data.load import load_task
from vpbench.experiment import side_files
from vpbench.experiment.run import checkpoint_path
from vpbench.records import reading
from vpbench.training import trainer

BOTH = [spec("text_prompt"), spec(epochs=1, eval_epochs=[])]
MANIFEST = "results/both.manifest.json"


def run_task(specs, every="300"):
    """Returns the arguments that run the specs below the working folder."""
    return [
        *("run-task", json.dumps(specs), "--device", "cpu", "--runs", "results/runs"),
        *("--checkpoints", "results/checkpoints", "--checkpoint-every", every, "--out", MANIFEST),
    ]


def run(one, folder=".", *options):
    """Returns the arguments that run one spec, a checkpoint after every step."""
    return [
        *("run", json.dumps(one), "--device", "cpu", "--out", f"{folder}/seed0.json"),
        *("--checkpoints", f"{folder}/checkpoints", "--checkpoint-every", "0", *options),
    ]


def files(folder):
    """Returns path -> content of all files below a folder, without what was measured of a run."""
    found = {}
    for path in sorted(Path(folder).rglob("*")):
        if path.is_file() and path.name != disk.FILLER:
            content = path.read_bytes()
            if path.suffix == ".json":
                content = json.loads(content)
                content.pop("measured", None)
            found[path.relative_to(folder).as_posix()] = content
    return found


def one_line(text):
    """Returns what `vpbench` complains of on stderr: one line, beside bars and warnings."""
    assert "Traceback" not in text
    (line,) = [line for line in text.splitlines() if line.startswith("vpbench: ")]
    return line.removeprefix("vpbench: ")


@pytest.fixture
def complains(capsys):
    """Returns a function: the one line with which a command ends, with 2."""

    def complaint(arguments):
        capsys.readouterr()
        assert main(arguments) == 2
        return one_line(capsys.readouterr().err)

    return complaint


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Returns a function: the arguments of a command -> the files that it writes undisturbed."""
    done = {}

    def result(arguments):
        key = json.dumps(arguments)
        if key not in done:
            folder = tmp_path_factory.mktemp("undisturbed")
            before = Path.cwd()
            os.chdir(folder)
            try:
                assert main(arguments) == 0
            finally:
                os.chdir(before)
            done[key] = files(folder)
        return done[key]

    return result


# A full disk, a read-only folder


def unwritten(full, rooms, arguments, pattern, capsys):
    """Yields the path that `pattern` finds in the one line of each failure of a command.

    The disk has ever more room, as many bytes as `rooms` say, until the command succeeds.
    """
    for left in rooms:
        full.fill(left)
        capsys.readouterr()
        if main(arguments) == 0:
            return
        yield re.fullmatch(pattern, one_line(capsys.readouterr().err))[1]


def test_a_disk_that_gets_full_at_any_file_gives_one_line_and_leaves_only_whole_files(
    tmp_path, monkeypatch, undisturbed, capsys
):
    whole, said = undisturbed(run_task(BOTH)), set()
    with disk.small(tmp_path / "disk") as full:
        monkeypatch.chdir(full.folder)
        rooms = 0, 3000, *(disk.PAGE * pages for pages in (1, 2, 4, 8, 16, 32))
        pattern = rf"(results/\S+): not written, {full.reason}"
        for path in unwritten(full, rooms, run_task(BOTH), pattern, capsys):
            said.add(Path(path).name)
            found = files(full.folder)
            assert path not in found and found.items() <= whole.items()
        full.free()
        assert main(run_task(BOTH)) == 0
        assert files(full.folder) == whole
        monkeypatch.chdir(tmp_path)
    assert len(said) >= 4, said


def test_without_room_for_checkpoints_a_run_completes(tmp_path, monkeypatch, undisturbed, capsys):
    monkeypatch.chdir(tmp_path)
    one, write = BOTH[1], side_files.write_run
    with disk.small(tmp_path / "checkpoints") as full:

        def write_with_room(*arguments):
            full.free()  # where files are limited, those of the record are as well
            return write(*arguments)

        monkeypatch.setattr(side_files, "write_run", write_with_room)
        full.fill(disk.PAGE)
        assert main(run(one)) == 0
        warnings = capsys.readouterr().err.count(f"not written, {full.reason}")
        assert list(full.folder.rglob("*.*")) == []
    assert warnings == 3  # steps
    assert files(tmp_path) == undisturbed(run(one))


def test_a_read_only_folder_gives_one_line_and_keeps_what_is_there(
    tmp_path, monkeypatch, complains, undisturbed
):
    monkeypatch.chdir(tmp_path)
    assert main(run_task(BOTH[:1])) == 0
    before = files(tmp_path)
    with disk.read_only(tmp_path / "results") as reason:
        line = complains(run_task(BOTH))
        assert re.fullmatch(rf"results/runs/\S+npz: not written, {reason}", line)
        assert files(tmp_path) == before
    assert main(run_task(BOTH)) == 0
    assert files(tmp_path) == undisturbed(run_task(BOTH))


def test_a_record_folder_that_is_a_file_is_one_line(tmp_path, monkeypatch, complains):
    monkeypatch.chdir(tmp_path)
    Path("results").write_text("")
    line = complains(run_task(BOTH[:1]))
    assert line.startswith("results/runs/") and line.endswith(": not written, Not a directory")


def test_checkpoints_in_a_read_only_folder_are_used_and_stay(
    tmp_path, monkeypatch, undisturbed, capsys
):
    monkeypatch.chdir(tmp_path)
    one = BOTH[1]
    kept = checkpoint_path(one, "checkpoints")
    with monkeypatch.context() as context:
        context.setattr(side_files, "write_run", interrupt)
        with pytest.raises(KeyboardInterrupt):
            main(run(one))
    before = kept.read_bytes()
    with disk.read_only(tmp_path / "checkpoints"):
        assert main(run(one)) == 0
        assert kept.read_bytes() == before
    assert main(run(one)) == 0
    assert files(tmp_path) == undisturbed(run(one))


def interrupt(*_):
    """Raises KeyboardInterrupt, as if somebody had pressed Ctrl-C."""
    raise KeyboardInterrupt


def test_a_table_that_does_not_fit_on_the_disk_leaves_the_earlier_one(tmp_path):
    import pandas

    with disk.small(tmp_path / "disk") as full:
        out = full.folder / "table.csv"
        write_csv(pandas.DataFrame({"a": [1]}), out)
        full.fill(0)
        large = pandas.DataFrame({"a": range(5000)})
        with pytest.raises(RecordError, match=f"{out}: not written, {full.reason}"):
            write_csv(large, out)
        assert files(full.folder) == {"table.csv": b"a\n1\n"}
        full.free()
        write_csv(large, out)
        assert out.read_text().splitlines()[-1] == "4999"


# Datasets whose files disappear


@pytest.fixture
def dots(monkeypatch, tmp_path):
    """Returns the folder of the fake dataset, which the suite takes for a real one."""
    monkeypatch.setenv("VPBENCH_DATA", str(tmp_path / "data"))
    for name, value in {"BEAT": 0.1, "POLL": 0.02, "GONE": 0.5}.items():
        monkeypatch.setattr(locks, name, value)
    fake_dataset.register(monkeypatch.setitem)
    monkeypatch.chdir(tmp_path)
    return fake_dataset.write_files(tmp_path / "data")


PROBE = spec("linear_probe", "rn50_micro", task=NAME)


def cached():
    """Returns path -> content of the caches of the fake dataset."""
    return files(Path(os.environ["VPBENCH_DATA"], "cache"))


def names(found):
    """Returns the sorted names of files without their folders."""
    return sorted(Path(path).name for path in found)


def test_an_image_that_disappears_while_the_cache_is_made(dots, monkeypatch, complains):
    opened, victim = [], dots / "validation1.png"
    content = victim.read_bytes()

    def open_image(path):
        opened.append(path)
        if len(opened) == 5:
            victim.unlink()
        return read(path)

    read = fake_dataset.open_image
    monkeypatch.setattr(fake_dataset, "open_image", open_image)
    assert complains(run(PROBE)) == f"{victim}: the image is missing"
    assert names(cached()) == ["train.json", "train.labels.npz", "train.npy"]
    assert not Path("seed0.json").exists()
    victim.write_bytes(content)
    assert main(run(PROBE)) == 0
    half, record = cached(), reading.read("seed0.json")
    cache.shutil.rmtree(Path(os.environ["VPBENCH_DATA"], "cache"))
    assert main(run(PROBE)) == 0
    assert cached() == half and reading.read("seed0.json")["hashes"] == record["hashes"]


def test_a_disk_that_gets_full_while_the_cache_is_made(dots, tmp_path, monkeypatch, capsys):
    assert main(run(PROBE)) == 0
    whole, said = cached(), set()
    with disk.small(tmp_path / "disk") as full:
        cache.shutil.copytree(dots, full.folder / NAME)
        monkeypatch.setenv("VPBENCH_DATA", str(full.folder))
        enough = cache.shutil.disk_usage(tmp_path)  # before something else fills the disk
        monkeypatch.setattr(cache.shutil, "disk_usage", lambda _: enough)
        rooms = 0, 100, 400, 1000, *(disk.PAGE * pages for pages in range(1, 9))
        pattern = rf"(\S+): (the lock was )?not written, {full.reason}"
        for path in unwritten(full, rooms, run(PROBE), pattern, capsys):
            said.add(Path(path).name)
            assert cached().items() <= whole.items()
        full.free()
        assert main(run(PROBE)) == 0
        assert cached() == whole
    assert len(said) >= 2, said


def test_a_cache_that_disappears_before_it_is_mapped(dots, monkeypatch, complains):
    assert main(run(PROBE)) == 0
    expected, (array,) = files("."), Path("data/cache").rglob("test.npy")
    prepare = cache.prepare

    def prepare_and_lose(*arguments):
        cards = prepare(*arguments)
        array.unlink()
        return cards

    with monkeypatch.context() as context:
        context.setattr(cache, "prepare", prepare_and_lose)
        line = complains(run(PROBE))
    assert line.startswith(f"{array.absolute()} is broken ([Errno 2] No such file")
    assert line.endswith("; delete its folder, it will be made again")
    cache.shutil.rmtree(array.parent)
    assert main(run(PROBE)) == 0
    assert files(".").keys() == expected.keys()
    assert reading.read("seed0.json")["hashes"]["data"] == expected["seed0.json"]["hashes"]["data"]


def test_a_cache_that_disappears_once_it_is_mapped_does_no_harm(dots, monkeypatch):
    assert main(run(PROBE)) == 0
    expected = files(".")
    load = load_task

    def load_and_lose(*arguments):
        task = load(*arguments)
        cache.shutil.rmtree("data/cache")
        return task

    monkeypatch.setattr(load_module, "load_task", load_and_lose)
    assert main(run(PROBE)) == 0
    assert files(".")["seed0.json"] == expected["seed0.json"]


def test_a_cache_in_a_read_only_folder_is_used_and_a_missing_one_is_one_line(
    dots, complains, tmp_path
):
    assert main(run(PROBE)) == 0
    other = PROBE | {"data": PROBE["data"] | {"train": 6}}
    with disk.read_only(tmp_path / "data") as reason:
        assert main(run(PROBE)) == 0
        assert complains(run(other)).endswith(f"lock: the lock was not written, {reason}")
    assert main(run(other)) == 0


@pytest.fixture
def pets(tmp_path, task):
    """Returns a folder of images of two classes."""
    images = task.splits["train"].images.numpy()
    for label, name in enumerate(("cat", "dog")):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for number in range(5):
            path = tmp_path / "pets" / name / f"{number}.png"
            Image.fromarray(images[5 * label + number]).save(path)
    return tmp_path / "pets"


def test_an_image_of_a_folder_that_disappears_after_it_was_listed(
    pets, monkeypatch, tmp_path, complains
):
    one = spec("linear_probe", task="pets") | {"folder": {"path": str(pets)}}
    monkeypatch.chdir(tmp_path)
    victim, listed = pets / "dog" / "3.png", image_folder._cut
    content = victim.read_bytes()

    def list_and_lose(*arguments):
        found = listed(*arguments)
        victim.unlink()
        return found

    with monkeypatch.context() as context:
        context.setattr(image_folder, "_cut", list_and_lose)
        assert complains(run(one)) == f"{victim}: the image is missing"
    assert not Path("seed0.json").exists()
    victim.write_bytes(content)
    assert main(run(one)) == 0


# Losses that are no numbers, memory that is too small


def test_a_loss_that_is_not_a_number_leaves_nothing_in_the_way_of_a_smaller_rate(
    tmp_path, monkeypatch, complains, undisturbed
):
    monkeypatch.chdir(tmp_path)
    line = complains(run(spec(lr=1e30, warm_up=0.0)))
    assert re.search(r"loss is (nan|inf) after \d of 6 steps; choose a smaller lr", line)
    assert not any(path.startswith("seed0") for path in files("."))
    assert main(run(spec(lr=1.0, warm_up=0.0))) == 0
    found = {path: found for path, found in files(".").items() if not path.endswith(".aside")}
    assert found == undisturbed(run(spec(lr=1.0, warm_up=0.0)))


def exhausted(*_, **__):
    """Raises what torch raises when the memory of a GPU is too small."""
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.\nMore about it")


def impossible(*_, **__):
    """Returns a tensor that no machine has memory for."""
    return torch.empty(1 << 50)


@pytest.mark.parametrize("lack", [exhausted, impossible])
def test_memory_that_is_too_small_for_one_image_is_one_line(
    lack, tmp_path, monkeypatch, complains, undisturbed
):
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as context:
        context.setattr(trainer.F, "cross_entropy", lack)
        line = complains(run(BOTH[1]))
    assert line.startswith("the memory of the device is too small for one image at a time (")
    assert files(".") == {}
    assert main(run(BOTH[1])) == 0
    assert files(".") == undisturbed(run(BOTH[1]))


@pytest.mark.parametrize("lack", [exhausted, impossible, lambda *_: np.empty(1 << 50)])
def test_memory_that_is_too_small_anywhere_else_is_one_line(lack, monkeypatch, tmp_path, complains):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(load_module, "load_task", lack)
    line = complains(run(BOTH[1]))
    assert line.startswith("the memory is too small (") and "choose fewer images" in line
    assert files(".") == {}


def test_other_mistakes_of_torch_are_not_taken_for_too_little_memory():
    assert not messages.out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


# Processes that die

LONG = spec(epochs=6, eval_epochs=3)


def last_written(path):
    """Returns when a file was written, 0 if it is not there."""
    return path.stat().st_mtime_ns if path.exists() else 0


def members(folder, count=2):
    """Returns the processes that share the run LONG, and the log of each."""
    folder.mkdir(exist_ok=True)
    port, logs = free_port(), [folder / f"{rank}.log" for rank in range(count)]
    for log in logs:
        log.write_text("")
    arguments = run(LONG, folder)
    started = [
        start(command_as_member, rank, count, port, arguments, log=log)
        for rank, log in enumerate(logs)
    ]
    return started, logs


def results(folder):
    """Returns path -> content of what a run has written, its logs aside."""
    return {path: found for path, found in files(folder).items() if not path.endswith(".log")}


def wait_for(found, seconds=300):
    """Returns what `found()` returns, once it is true."""
    end = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)
    return value


def test_when_one_process_of_a_run_is_killed_the_other_ends_with_one_line(tmp_path):
    folder = tmp_path / "shared"
    kept = checkpoint_path(LONG, folder / "checkpoints")
    for victim in (0, 1):
        before = last_written(kept)
        both, logs = members(folder)
        wait_for(lambda: last_written(kept) > before)
        both[victim].kill()
        both[1 - victim].join()
        assert both[1 - victim].exitcode == 2
        line = one_line(logs[1 - victim].read_text())
        assert line.startswith("another process of this run has ended (")
        assert kept.exists() and not (folder / "seed0.json").exists()
        both[victim].join()
    for each in (folder, tmp_path / "whole"):
        again, logs = members(each)
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


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_the_command_line_says_once_that_one_of_its_processes_was_killed(victim, tmp_path):
    for name in ("disturbed", "whole"):
        (tmp_path / name).mkdir()
    kept = checkpoint_path(LONG, tmp_path / "disturbed" / "checkpoints")
    with open(tmp_path / "log", "w") as log:
        process = subprocess.Popen(shared(LONG, tmp_path / "disturbed"), stderr=log)
    wait_for(kept.exists)
    family = psutil.Process(process.pid).children(recursive=True)
    of_rank = {each.environ()["RANK"]: each for each in family if "RANK" in each.environ()}
    of_rank[str(victim)].kill()
    assert process.wait() == 2
    assert one_line((tmp_path / "log").read_text()) == (
        f"process {victim + 1} of 2 was killed by SIGKILL; started again, the run goes on from its "
        "checkpoint"
    )
    assert psutil.wait_procs(family, 60)[1] == []
    for name in ("disturbed", "whole"):
        subprocess.run(shared(LONG, tmp_path / name), check=True)
    assert files(tmp_path / "disturbed") == files(tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.parametrize("number", distributed.SIGNALS)
def test_a_signal_to_the_command_line_stops_all_its_processes_with_a_checkpoint(number, tmp_path):
    kept = checkpoint_path(LONG, tmp_path / "checkpoints")
    with open(tmp_path / "log", "w") as log:
        process = subprocess.Popen(shared(LONG, tmp_path), stderr=log)
    wait_for(kept.exists)
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    assert process.wait() == 128 + number
    assert one_line((tmp_path / "log").read_text()) == (
        f"stopped by {number.name}; started again, the run goes on from {kept}"
    )
    assert psutil.wait_procs(family, 60)[1] == [] and kept.exists()


@pytest.mark.slow
def test_what_all_processes_of_a_run_complain_of_is_said_once(tmp_path):
    command = shared(spec(lr=1e30, warm_up=0.0), tmp_path)
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "choose a smaller lr" in one_line(done.stderr)


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_a_process_that_really_gets_no_more_memory_ends_with_one_line(tmp_path):
    arguments = run(spec(batch_size=24), tmp_path)
    process = start(command_in_little_memory, 8, arguments, log=tmp_path / "log")
    process.join()
    assert process.exitcode == 2
    assert "memory" in one_line((tmp_path / "log").read_text())
    assert not (tmp_path / "seed0.json").exists()
    process = start(command_in_little_memory, 4096, arguments, log=tmp_path / "log")
    process.join()
    assert process.exitcode == 0


# The workflow

GIVEN = ("--cores", "2", "--configfile", "given.yaml", "--", "all")


def configuration(**changes):
    """Returns a small configuration of the workflow: a table and two jobs of two runs each."""
    return read_config("smoke") | {
        "tasks": ["eurosat_twin", "camelyon17_twin"],
        "backbones": ["clip_micro"],
        "data": {"train": 40, "validation": 20, "test": 40, "resolution": "backbone"},
        "grid": {"main": {"methods": ["text_prompt", "visual_prompt"], "seeds": [0]}},
        "measurements": {},
        "analyses": {"accuracy": {}},
        **changes,
    }


def suite(folder, config):
    """Returns a copy of the suite with a configuration."""
    folder.mkdir()
    write_config(copy_suite(folder), config)
    return folder


def made(folder):
    """Returns path -> content of the runs of a workflow."""
    return files(folder / "results" / "runs")


def written(folder):
    """Returns path -> when it was written, of the runs of a workflow."""
    paths = (folder / "results" / "runs").rglob("*.*")
    return {path: path.stat().st_mtime_ns for path in paths}


@pytest.mark.parametrize("profile", sorted((ROOT / "profiles").iterdir()), ids=lambda p: p.name)
def test_with_every_profile_the_other_jobs_go_on_when_one_fails(profile):
    assert yaml.safe_load((profile / "config.yaml").read_text())["keep-going"] is True


@pytest.mark.slow
def test_a_job_that_fails_leaves_the_others_going_on_and_only_it_is_done_again(tmp_path, pets):
    own = {"pets": {"path": str(pets)}}
    config = configuration(tasks=["pets", "eurosat_twin"], folders=own)
    folder, victim = suite(tmp_path / "suite", config), pets / "cat" / "0.png"
    content = victim.read_bytes()
    victim.write_bytes(content[:100])
    output = snakemake(folder, *GIVEN, succeeds=False)
    failed = folder / "results" / "logs" / "smoke" / "pets" / "vision_language.main.log"
    assert f"{victim}: the image cannot be read" in one_line(failed.read_text())
    assert f"{victim}: the image cannot be read" in output  # show-failed-logs
    before = written(folder)
    manifests = [path.parent.name for path in before if path.name.endswith(".manifest.json")]
    assert manifests == ["eurosat_twin"]  # though it is the last one
    assert not (folder / "results" / "accuracy.csv").exists()

    victim.write_bytes(content)
    waiting = ("run_task", "accuracy", "claims", "report", "all")  # tables.tex needs none of them
    assert planned_jobs(plan(folder, *GIVEN)) == dict.fromkeys(waiting, 1)
    snakemake(folder, *GIVEN)
    assert written(folder).items() >= before.items()
    assert "pets" in (folder / "results" / "accuracy.csv").read_text()
    assert Counter(path.suffix for path in folder.rglob(".*.part")) == {}


@pytest.mark.slow
def test_snakemake_may_be_killed_while_its_jobs_live_on(tmp_path):
    whole = suite(tmp_path / "whole", configuration())
    snakemake(whole, *GIVEN)
    folder = suite(tmp_path / "disturbed", configuration())
    with open(tmp_path / "log", "w") as log:
        process = subprocess.Popen(
            command(*GIVEN), cwd=folder, env=environment(), stdout=log, stderr=log
        )
    jobs = wait_for(lambda: working(process.pid))
    process.kill()
    process.wait()
    assert all(job.is_running() for job in jobs)
    assert "--unlock" in snakemake(folder, *GIVEN, succeeds=False)
    snakemake(folder, "--unlock")
    snakemake(folder, *GIVEN)
    assert psutil.wait_procs(jobs, 300)[1] == []
    assert made(folder) == made(whole)
    table = Path("results", "accuracy.csv")
    assert (folder / table).read_bytes() == (whole / table).read_bytes()
    assert "Nothing to be done" in snakemake(folder, *GIVEN)


def working(pid):
    """Returns the processes below `pid` that run jobs."""
    try:
        family = psutil.Process(pid).children(recursive=True)
        return [each for each in family if "run-task" in each.cmdline()]
    except psutil.NoSuchProcess:
        return []
