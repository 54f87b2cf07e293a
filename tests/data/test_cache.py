import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.helpers import fake_build, fake_dataset
from tests.helpers.fake_cifar import without_checksums, write_cifar10
from tests.helpers.fake_dataset import NAME, SIZES, times_opened
from tests.helpers.messages import holds
from tests.helpers.refused import refused
from tests.helpers.tiny import spec
from vpbench.cli.main import main
from vpbench.common import atomic_files, locks, paths
from vpbench.common.errors import RecordError, UserError
from vpbench.data import cache, cache_files, preparation
from vpbench.data.dataset import load_dataset
from vpbench.data.datasets.source import CorruptDataset, MissingDataset, WrongSize
from vpbench.data.load import load_task
from vpbench.data.subsets import balanced
from vpbench.experiment import run
from vpbench.spec.dataset_facts import FACTS
from vpbench.spec.preprocessing import Preprocessing, open_image, preprocess, straight_to

SMALL = Preprocessing(16, 8)
ALL = dict.fromkeys(SIZES)
Usage = namedtuple("Usage", "total used free")


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path):
    """Makes locks quick, and the data folder that of the test."""
    monkeypatch.setattr(locks, "BEAT", 0.1)
    monkeypatch.setattr(locks, "POLL", 0.02)
    monkeypatch.setattr(locks, "GONE", 0.5)
    monkeypatch.setenv("VPBENCH_DATA", str(tmp_path))


@pytest.fixture
def dots(monkeypatch, tmp_path):
    """Returns the folder of the fake dataset, which the suite takes for a real one."""
    fake_dataset.register(monkeypatch.setitem)
    return fake_dataset.write_files(tmp_path)


def load(data=None, preprocessing=SMALL):
    """Returns the task of the fake dataset."""
    return load_dataset(NAME, data or ALL, preprocessing)


def folder_of(preprocessing=SMALL):
    """Returns the folder of a cache of the fake dataset."""
    return paths.data_dir() / "cache" / NAME / preprocessing.key


def decoded(dots, ids, preprocessing=SMALL):
    """Returns the images of the files `ids` as the backbone's transform makes them."""
    return np.stack([preprocess(open_image(dots / file), preprocessing) for file in ids])


def start_build(root, *seconds):
    """Returns a process that makes the cache."""
    return subprocess.Popen(
        [sys.executable, fake_build.__file__, *map(str, seconds)],
        env=os.environ | {"VPBENCH_DATA": str(root), "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for(found, seconds=20):
    """Returns once `found()` is true."""
    end = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


def test_the_cache_holds_what_direct_decoding_gives(dots):
    task = load()
    assert {name: len(split) for name, split in task.splits.items()} == SIZES
    for name, split in task.splits.items():
        files = [f"{name}{number}.png" for number in range(SIZES[name])]
        assert split.ids == tuple(files)
        assert np.array_equal(split.images.numpy(), decoded(dots, files))
        assert split.labels.tolist() == [number % 3 for number in range(SIZES[name])]
        assert split.groups == tuple(f"camera {number % 2}" for number in range(SIZES[name]))


def test_a_task_knows_the_facts_of_its_dataset(dots):
    task = load()
    assert (task.name, task.display, task.template) == (NAME, "Dots", "a {}")
    assert task.class_names == fake_dataset.CLASS_NAMES
    assert task.deviations == ("the split is made up",)
    assert task.facts == {
        "published": "", "metric": "macro_f1", "shift": False, "paper_validation": True
    }  # fmt: skip
    assert task.source_hashes == {"splits.json": "ab" * 32}


def test_a_task_by_name_is_read_from_the_cache(dots):
    task = load_task(NAME, preprocessing=SMALL)
    assert task.data_hash == load().data_hash
    assert len(task.splits["train"]) == 12


def test_the_second_load_does_not_need_the_dataset(dots):
    first = load()
    shutil.rmtree(dots)
    again = load()
    assert torch.equal(first.splits["test"].images, again.splits["test"].images)
    assert first.data_hash == again.data_hash


def test_the_images_are_mapped_from_disk(dots):
    load()
    card = cache_files.read_card(folder_of() / "train.json")
    images = cache_files.map_images(folder_of() / "train.npy", card)
    assert isinstance(images, np.memmap) and images.mode == "r"
    held = load().splits["train"].images
    with open(folder_of() / "train.npy", "r+b") as file:  # the same pages, so the tensor sees it
        file.seek(-1, os.SEEK_END)
        file.write(bytes([255 - int(held[-1, -1, -1, -1])]))
    assert held[-1, -1, -1, -1] == images[-1, -1, -1, -1]


def test_a_training_step_reads_mapped_images_without_a_warning(dots, resnet):
    images = load(preprocessing=resnet.preprocessing).splits["train"].images
    pixels = resnet.scale_pixels(images[torch.tensor([3, 1])])
    assert pixels.shape == (2, 3, 56, 56)
    expected = decoded(dots, ["train3.png", "train1.png"], resnet.preprocessing)
    assert np.allclose(pixels.permute(0, 2, 3, 1).numpy() * 255, expected, atol=1e-4)


def test_the_hash_of_the_data_depends_on_pixels_labels_and_preprocessing(dots):
    hashes = {load().data_hash, load(preprocessing=Preprocessing(16, 12)).data_hash}
    rows = json.loads((dots / "splits.json").read_text())
    rows["test"][0][1] = 2
    (dots / "splits.json").write_text(json.dumps(rows))
    shutil.rmtree(folder_of())
    hashes.add(load().data_hash)
    assert len(hashes) == 3


def test_equal_transforms_share_a_cache_and_others_have_their_own(dots):
    load(), load(preprocessing=Preprocessing(16, 8, "bicubic"))
    assert times_opened(dots.parent) == 1
    load(preprocessing=Preprocessing(16, 8, "bilinear"))
    assert times_opened(dots.parent) == 2
    names = sorted(path.name for path in (dots.parent / "cache" / NAME).iterdir())
    assert names == ["resize16_bicubic_crop8", "resize16_bilinear_crop8"]


def test_a_part_keeps_its_own_images_only_and_says_so_in_its_name(dots):
    task = load({"train": 6, "validation": None, "test": 100})
    names = {path.name for path in folder_of().glob("*.npy")}
    assert names == {"train.part6.npy", "validation.npy", "test.npy"}
    assert np.load(folder_of() / "train.part6.npy").shape == (6, 8, 8, 3)
    labels = [number % 3 for number in range(12)]
    files = [f"train{number}.png" for number in balanced(labels, 6)]
    split = task.splits["train"]
    assert split.ids == tuple(files) and sorted(split.labels.tolist()) == [0, 0, 1, 1, 2, 2]
    assert np.array_equal(split.images.numpy(), decoded(dots, files))


def test_a_part_and_the_whole_share_the_other_splits(dots):
    load({"train": 6, "validation": None, "test": None})
    before = (folder_of() / "test.npy").stat().st_mtime_ns
    load()
    assert (folder_of() / "test.npy").stat().st_mtime_ns == before
    assert times_opened(dots.parent) == 2


def test_native_images_are_kept_as_they_are_and_resized_on_the_device(
    monkeypatch, tmp_path, resnet
):
    fake_dataset.register(monkeypatch.setitem, native_size=24)
    folder = fake_dataset.write_files(tmp_path, side=24)
    task = load(ALL | {"resolution": "native"}, resnet.preprocessing)
    images = task.splits["train"].images
    assert images.shape == (12, 24, 24, 3)
    assert np.array_equal(images[7].numpy(), np.asarray(open_image(folder / "train7.png")))
    assert resnet.scale_pixels(images[:2]).shape == (2, 3, 56, 56)
    load(ALL | {"resolution": "native"}, Preprocessing(64, 56, "bilinear"))
    assert [path.name for path in (tmp_path / "cache" / NAME).iterdir()] == ["native24"]
    assert times_opened(tmp_path) == 1
    assert cache_files.read_card(tmp_path / "cache" / NAME / "native24/test.json")["side"] == 24


def test_native_needs_a_dataset_whose_images_all_have_one_size(dots, monkeypatch):
    data = ALL | {"resolution": "native"}
    holds(refused(UserError, load, data), NAME, "many sizes", "native")
    fake_dataset.register(monkeypatch.setitem, native_size=4)
    line = refused(CorruptDataset, load, data)
    holds(line, NAME, "train0.png", "(20, 30, 3)", "expected uint8 (4, 4, 3)")


def test_native_is_for_images_smaller_than_the_backbones(dots, monkeypatch):
    fake_dataset.register(monkeypatch.setitem, native_size=8)
    line = refused(UserError, load, ALL | {"resolution": "native"})
    holds(line, NAME, "8 pixels", "smaller", "backbone")


def test_the_size_is_announced_before_it_is_written(dots, capsys, monkeypatch):
    fake_dataset.register(monkeypatch.setitem, native_size=4)
    load()
    line = capsys.readouterr().err.splitlines()[0]
    size, small = 21 * 8 * 8 * 3 / 1e6, 21 * 4 * 4 * 3 / 1e6  # the bytes of 12 + 3 + 6 images
    holds(line, NAME, f"{size:.1f} MB", folder_of(), "native", f"{small:.1f} MB")
    load()
    assert capsys.readouterr().err == ""


def test_the_cache_of_camelyon17_at_224_pixels_would_be_64_gb(monkeypatch):
    sizes = {"train": 302_436, "validation": 34_904, "test": 85_054}
    fake_dataset.register(monkeypatch.setitem, sizes, native_size=96)
    clip = Preprocessing(224, 224)
    full, native = (
        sum(part.bytes for part in cache.parts(NAME, {"resolution": resolution}, clip)) / 1e9
        for resolution in ("backbone", "native")
    )
    assert (round(full, 1), round(native, 1)) == (63.6, 11.7)


def test_a_disk_with_less_free_is_refused_before_anything_is_written(dots, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(9e9, 9e9, 4000))
    line = refused(UserError, load)
    holds(line, NAME, "needs 0.0 MB", folder_of(), "0.0 MB free", "disk", "--data-dir")
    assert list(folder_of().iterdir()) == []


def test_a_disk_that_gets_full_leaves_nothing_behind(dots, monkeypatch):
    def refuse(*_):
        raise OSError(28, "in other words")

    monkeypatch.setattr(os, "fsync", refuse)
    holds(refused(UserError, load), "train.npy", "not written", "disk is full")
    assert list(folder_of().iterdir()) == []


def test_a_dataset_that_is_not_there_or_has_another_size_makes_no_cache(dots, monkeypatch):
    fake_dataset.register(monkeypatch.setitem, SIZES | {"test": 7})
    holds(refused(WrongSize, load), NAME, "test split", "6 images", "expected 7")
    shutil.rmtree(dots)
    holds(refused(MissingDataset, load), NAME, dots, "missing")
    assert list(folder_of().iterdir()) == []


def test_a_cache_of_another_size_is_refused_even_without_the_dataset(dots, monkeypatch):
    load()
    shutil.rmtree(dots)
    fake_dataset.register(monkeypatch.setitem, SIZES | {"test": 7})
    holds(refused(CorruptDataset, load), "test.json", 6, "expected 7", "delete its folder")


def test_an_image_that_cannot_be_read_is_named(dots):
    (dots / "test5.png").write_bytes((dots / "test5.png").read_bytes()[:100])
    holds(refused(UserError, load), "test5.png", "cannot be read")
    assert {path.name for path in folder_of().iterdir()} == {
        f"{split}{suffix}"
        for split in ("train", "validation")
        for suffix in (".npy", ".labels.npz", ".json")
    }


def cut_array(path):
    path.write_bytes(path.read_bytes()[:-1])


def lengthen_array(path):
    path.write_bytes(path.read_bytes() + b"0")


def empty_array(path):
    path.write_bytes(b"")


def remove_array(path):
    path.unlink()


def replace_array(path):
    np.save(path, np.zeros((3, 3), np.uint8))


@pytest.mark.parametrize(
    "damage", [cut_array, lengthen_array, empty_array, remove_array, replace_array]
)
def test_a_damaged_array_is_refused_in_one_line(dots, damage):
    load()
    damage(folder_of() / "train.npy")
    line = refused(CorruptDataset, load)
    holds(line, f"{folder_of()}/train.npy", "broken", "delete its folder")


@pytest.mark.parametrize("damage", [cut_array, empty_array, remove_array])
def test_damaged_labels_are_refused_in_one_line(dots, damage):
    load()
    damage(folder_of() / "train.labels.npz")
    holds(refused(CorruptDataset, load), f"{folder_of()}/train.labels.npz", "broken")


def test_changed_labels_are_refused(dots):
    load()
    path = folder_of() / "test.labels.npz"
    arrays = dict(np.load(path))
    atomic_files.write_arrays(path, arrays | {"labels": arrays["labels"][::-1]})
    holds(refused(CorruptDataset, load), path, "SHA-256", "card")


def test_a_changed_pixel_is_seen_by_verify_and_costs_no_pass_at_every_load(dots):
    load()
    path, card = folder_of() / "test.npy", cache_files.read_card(folder_of() / "test.json")
    cache_files.verify(path, card)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    load()
    line = refused(CorruptDataset, cache_files.verify, path, card)
    holds(line, "test.npy", "broken", "SHA-256", "card")


def test_the_sha256_of_the_card_is_that_of_the_pixels(dots):
    load()
    pixels = np.load(folder_of() / "test.npy").tobytes()
    card = cache_files.read_card(folder_of() / "test.json")
    assert card["sha256"]["images"] == hashlib.sha256(pixels).hexdigest()


def test_splits_from_different_split_files_are_not_mixed(dots):
    load()
    path = folder_of() / "test.json"
    card = json.loads(path.read_text())
    path.write_text(json.dumps(card | {"splits": {"splits.json": "cd" * 32}}))
    line = refused(CorruptDataset, load)
    holds(line, path, "splits", "'splits.json'", "expected", "delete its folder")
    assert "cd" * 8 in line and "ab" * 8 in line


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema": 1}', '{"schema": 99}'])
def test_a_broken_card_is_refused_in_one_line(dots, content):
    load()
    (folder_of() / "train.json").write_text(content)
    holds(refused(RecordError, load), f"{folder_of()}/train.json")


def test_without_its_card_a_split_is_made_again(dots):
    before = load().data_hash
    (folder_of() / "test.json").unlink()
    (folder_of() / "test.npy").write_bytes(b"half")
    assert load().data_hash == before


def test_two_processes_at_once_give_one_build(dots):
    first, second = start_build(dots.parent, 0.05), start_build(dots.parent, 0.05)
    said = first.communicate(timeout=50)[0] + second.communicate(timeout=50)[0]
    assert (first.returncode, second.returncode) == (0, 0), said
    assert times_opened(dots.parent) == 1
    assert said.count("dots: writing") == 1
    waiting = [line for line in said.splitlines() if "waiting" in line]
    assert waiting
    for line in waiting:
        holds(line, folder_of() / "lock", "process")
    assert sorted(path.name for path in folder_of().iterdir()) == sorted(
        f"{split}{suffix}" for split in SIZES for suffix in (".npy", ".labels.npz", ".json")
    )
    assert np.array_equal(load().splits["test"].images, decoded(dots, load().splits["test"].ids))
    assert times_opened(dots.parent) == 1


def test_the_stale_lock_of_a_killed_process_is_named_and_taken_over(dots, capsys):
    builder = start_build(dots.parent, 0.2)
    wait_for(lambda: list(folder_of().glob(".train.npy.*.part")))
    builder.send_signal(signal.SIGKILL)
    builder.communicate()
    assert locks.holder(folder_of() / "lock") == f"process {builder.pid} on {os.uname().nodename}"
    load()
    (line,) = (line for line in capsys.readouterr().err.splitlines() if "taken over" in line)
    who = f"process {builder.pid} on {os.uname().nodename}"
    holds(line, f"{folder_of()}/lock", who, "stale lock", "taken over")
    assert not list(folder_of().glob("*lock*")) and not list(folder_of().glob(".*.part"))


def test_the_command_line_prepares_the_cache_of_a_backbone(dots, capsys):
    data = json.dumps({"train": 6, "validation": None, "test": None, "resolution": "backbone"})
    arguments = ["data", "prepare", NAME, "--backbones", "clip_micro", "rn50_micro"]
    assert main([*arguments, "--data", data, "--data-dir", str(dots.parent)]) == 0
    folder = dots.parent / "cache" / NAME / "resize56_bicubic_crop56"
    looked, made = capsys.readouterr().out.splitlines()
    holds(looked, NAME, "21 images")
    holds(made, NAME, "15 images", folder)
    assert main([*arguments, "--data", data]) == 0  # all there: the dataset is not looked at
    assert capsys.readouterr().out.splitlines() == [made]
    assert (folder / "train.part6.npy").is_file()


def test_the_command_line_prepares_the_cache_of_images_that_go_straight_to_a_side(dots, capsys):
    assert main(["data", "prepare", NAME, "--image-side", "8", "10"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
    task = load(preprocessing=straight_to(8))
    (name,) = task.splits["test"].ids[:1]
    expected = preprocess(open_image(dots / name), straight_to(8))
    assert np.array_equal(task.splits["test"].images[0].numpy(), expected)
    assert main(["data", "prepare", NAME, "--image-side", "0"]) == 2
    holds(capsys.readouterr().err, "image_side 0", "1 pixel or more")


def test_without_a_backbone_the_command_line_only_looks_at_the_dataset(dots, capsys):
    assert main(["data", "prepare", NAME]) == 0
    holds(capsys.readouterr().out, NAME, "21 images")
    assert not (dots.parent / "cache").exists()


def test_what_is_missing_is_fetched_where_that_takes_nobody(dots, monkeypatch, capsys):
    aside = dots.rename(dots.with_name("aside"))
    for action in ("prepare", "download"):
        assert main(["data", action, NAME]) == 2
        holds(capsys.readouterr().err, "vpbench: ", NAME, "by hand", FACTS[NAME].steps)

    def download(name, root):
        aside.rename(Path(root, name))
        return fake_dataset.open_source(name, root)

    monkeypatch.setattr(fake_dataset, "download", download)
    monkeypatch.setitem(FACTS, NAME, FACTS[NAME]._replace(download="automatic"))
    assert main(["data", "prepare", NAME]) == 0
    said = capsys.readouterr()
    holds(said.out, NAME, "21 images")
    holds(said.err, NAME, "fetching", "0.001 GB")


def test_jobs_of_several_transforms_fetch_a_dataset_once(dots, monkeypatch):
    aside, fetched = dots.rename(dots.with_name("aside")), []

    def download(name, root):
        fetched.append(name)
        time.sleep(0.2)
        aside.rename(Path(root, name))
        return fake_dataset.open_source(name, root)

    monkeypatch.setattr(fake_dataset, "download", download)
    with ThreadPoolExecutor(4) as pool:
        sources = list(pool.map(preparation.fetch_missing, [NAME] * 4))
    assert fetched == [NAME] and [len(source.splits["test"]) for source in sources] == [6] * 4
    assert not list(dots.parent.glob(".*lock*"))


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        (["dogs"], ("'dogs'", "real dataset", "did you mean", "cats_dogs")),
        ([NAME, "--backbones", "vgg"], ("unknown backbone", "'vgg'", "`vpbench list`")),
        ([NAME, "--data", "{"], ("spec", "not JSON")),
        ([NAME, "--data", '{"train": 1}'], ("--data", "'validation'", "lacks")),
        ([NAME, "--threads", "0"], ("--threads 0", "1 or more")),
    ],
)
def test_a_mistake_is_one_line(dots, arguments, facts, capsys):
    assert main(["data", "prepare", *arguments]) == 2
    holds(capsys.readouterr().err, "vpbench: ", *facts)


def test_cifar10_goes_through_its_cache(tmp_path, monkeypatch):
    without_checksums(monkeypatch)
    write_cifar10(tmp_path)
    monkeypatch.setitem(FACTS, "cifar10", Facts10)
    task = load_task("cifar10", None, Preprocessing(16, 16))
    native = load_task("cifar10", ALL | {"resolution": "native"}, Preprocessing(64, 64))
    assert task.splits["train"].images.shape == (10, 16, 16, 3)
    assert native.splits["test"].images[:, 0, 0, 2].tolist() == [10, 11, 12]  # blue: the number
    assert native.splits["test"].images[0, 20, 3].tolist() == [20, 3, 10]  # row, column
    assert task.class_names[2] == "bird" and list(task.splits) == ["train", "test"]
    assert "cifar-10-batches-py/data_batch_1" in task.source_hashes


Facts10 = FACTS["cifar100"]._replace(classes=10, sizes={"train": 10, "test": 3}, native_size=32)


def test_a_record_of_a_run_on_it_names_its_hashes_and_deviations(dots, resnet):
    task = load_task(NAME, None, resnet.preprocessing)
    record, _, _ = run.run(spec("linear_probe", "rn50_micro", NAME), task, resnet)
    assert record["hashes"]["data"] == task.data_hash
    assert record["hashes"]["splits"] == {"splits.json": "ab" * 32}
    assert record["task"]["deviations"] == ["the split is made up"]
    assert record["task"]["metric"] == "macro_f1"
