"""Files that disappear while they are read give one line; afterwards a run completes."""

import os
from pathlib import Path

import pytest

from tests.helpers import disk, fake_dataset
from tests.helpers.command_runs import (
    files,
    run,
    unwritten,
)
from tests.helpers.fake_dataset import NAME
from tests.helpers.tiny import spec
from vpbench.cli.main import main
from vpbench.common import locks
from vpbench.data import cache, dataset, image_folder
from vpbench.data import load as load_module
from vpbench.data.load import load_task
from vpbench.records import reading


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
        context.setattr(dataset, "prepare", prepare_and_lose)
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


def test_an_image_of_a_folder_that_disappears_after_it_was_listed(
    pets, monkeypatch, tmp_path, complains
):
    one = spec("linear_probe", task="pets") | {"folder": {"path": str(pets)}}
    monkeypatch.chdir(tmp_path)
    victim, listed = pets / "dog" / "3.png", image_folder.list_folder
    content = victim.read_bytes()

    def list_and_lose(*arguments):
        found = listed(*arguments)
        victim.unlink()
        return found

    with monkeypatch.context() as context:
        context.setattr(image_folder, "list_folder", list_and_lose)
        assert complains(run(one)) == f"{victim}: the image is missing"
    assert not Path("seed0.json").exists()
    victim.write_bytes(content)
    assert main(run(one)) == 0
