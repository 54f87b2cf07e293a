"""The reference of the Frechet distance: made once, kept, shared, and as the datasets are."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchmetrics.image.fid import FrechetInceptionDistance

from vpbench.common import locks
from vpbench.common.errors import UserError
from vpbench.data.load import load_task
from vpbench.data.task import Split
from vpbench.experiment.measurements import (
    dataset_properties,
    deployability,
    frechet,
    reference_files,
)
from vpbench.spec import schema_check
from vpbench.spec.measurements import MEASUREMENTS
from vpbench.spec.preprocessing import preprocess

CPU = torch.device("cpu")
SETTINGS = {"extractor": "rn50_micro", "diversity": "features", "weights": None}
SETTINGS |= {"images": 20, "reference_images": 30, "pairs": 12, "seed": 0}
LEFT = "cache/references"


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Returns a folder of 100 photographs of noise; the data folder is beside it."""
    monkeypatch.setenv("VPBENCH_DATA", str(tmp_path / "data"))
    generator = np.random.default_rng(0)
    for number in range(100):
        path = tmp_path / "photos" / str(number % 3) / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 256, (30, 40, 3), dtype=np.uint8)).save(path)
    forget()
    return tmp_path / "photos"


def forget():
    """Forgets what this process has read, as another process would not know it."""
    frechet.load_reference.cache_clear()
    frechet.photographs.cache_clear()


def task_of(count=24, side=56, name="photos"):
    """Returns a task of noise."""
    twin = load_task("eurosat_twin", {"train": 10, "validation": 10, "test": 10})
    pixels = np.random.default_rng(1).integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    labels = torch.arange(count) % 10
    ids = tuple(str(number) for number in range(count))
    split = Split(torch.from_numpy(pixels), labels, ids)
    return replace(twin, name=name, splits={"train": split, "test": split})


def row_of(task, folder, **changes):
    """Returns the row that is measured, by a process that knows nothing."""
    forget()
    settings = SETTINGS | {"reference": str(folder)} | changes
    return dataset_properties.measure(lambda _: task, settings, [], CPU).rows[0]


def counted(monkeypatch):
    """Returns a list of the photographs that are read from now on."""
    read, real = [], frechet.read_image
    monkeypatch.setattr(
        frechet, "read_image", lambda path, how: (read.append(path), real(path, how))[1]
    )
    return read


def test_photographs_are_read_once_for_all_datasets_and_processes(photos, monkeypatch):
    read = counted(monkeypatch)
    first = row_of(task_of(), photos)
    assert len(read) == len(set(read)) == 30 + 3 * 20
    again, few = row_of(task_of(), photos), row_of(task_of(8), photos)
    assert len(read) == 90  # none of them twice, also not for a smaller dataset
    assert again == first and few["images"] == 8
    assert few["frechet_bias_rn50_micro"] > first["frechet_bias_rn50_micro"]


def test_what_is_kept_gives_the_distance_of_torchmetrics_on_the_photographs_themselves(photos):
    task = task_of()
    for _ in range(2):  # made, and read
        row = row_of(task, photos)
        settings = SETTINGS | {"reference": str(photos)}
        pictures = frechet.decoded(
            frechet.photographs(photos), frechet.preprocessing_of("rn50_micro")
        )
        metric = FrechetInceptionDistance(
            frechet.Features(frechet.load_backbone("rn50_micro")), input_img_size=(3, 56, 56)
        )
        metric.update(pictures(slice(0, 30)).permute(0, 3, 1, 2), real=True)
        images = dataset_properties.drawn(task.splits["train"].images, settings["images"], 0)
        metric.update(images.permute(0, 3, 1, 2), real=False)
        expected = metric.compute().item()
        assert row["frechet_distance_rn50_micro"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("change", ["another photograph", "another size", "more images"])
def test_other_photographs_or_numbers_have_statistics_of_their_own(photos, change, monkeypatch):
    row_of(task_of(), photos)
    read, changes = counted(monkeypatch), {}
    if change == "another photograph":
        Image.new("RGB", (60, 60)).save(photos / "0" / "new.jpg")
    elif change == "another size":
        for path in photos.rglob("*.png"):
            Image.new("RGB", (60, 60)).save(path)
    else:
        changes = {"reference_images": 31}
    row_of(task_of(), photos, **changes)
    assert len(read) >= 90


def test_a_folder_that_moves_is_not_read_again(photos, monkeypatch):
    row_of(task_of(), photos)
    read = counted(monkeypatch)
    row_of(task_of(), photos.rename(photos.with_name("elsewhere")))
    assert not read


def test_statistics_without_their_card_are_made_again_and_damaged_ones_are_refused(
    photos, tmp_path
):
    first = row_of(task_of(), photos)
    (card,) = (tmp_path / "data" / LEFT).glob("*.json")
    about = json.loads(card.read_text())["about"]
    assert (about["extractor"], about["images"], about["device"]) == ("rn50_micro", 20, "cpu")
    card.unlink()
    assert row_of(task_of(), photos) == first
    card.with_suffix(".safetensors").write_bytes(b"cut off")
    with pytest.raises(UserError, match="not those of its card; delete .*json, they will be made"):
        row_of(task_of(), photos)


def test_of_several_that_want_the_same_statistics_one_makes_them(tmp_path, monkeypatch):
    monkeypatch.setenv("VPBENCH_DATA", str(tmp_path))
    monkeypatch.setattr(locks, "POLL", 0.01)
    made, started = [], threading.Barrier(3)

    def make():
        time.sleep(0.1)
        made.append(torch.full((2, 3), 7.0))
        return {"further": made[-1]}

    def one(_):
        started.wait()
        return reference_files.shared({"a": 1}, make)["further"].tolist()

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(one, range(3))) == [[[7.0] * 3] * 2] * 3
    assert len(made) == 1
    assert not list(tmp_path.rglob("*.lock")) and not list(tmp_path.rglob("*.part"))


def test_images_kept_at_their_own_size_enter_as_the_photographs_do(photos):
    small = task_of(side=24)
    transform = frechet.preprocessing_of("rn50_micro")
    large = [
        preprocess(Image.fromarray(image), transform)
        for image in small.splits["train"].images.numpy()
    ]
    split = replace(small.splits["train"], images=torch.from_numpy(np.stack(large)))
    resized = replace(small, splits=small.splits | {"train": split})
    assert row_of(small, photos) == row_of(resized, photos)
    assert split.images.shape[1:] == (56, 56, 3)


def test_a_reference_is_called_by_its_folder_and_not_by_the_name_of_a_split_alone():
    names = {
        "data/imagenet/train": "images of imagenet/train",
        "/photos": "images of photos",
        "photos": "images of photos",
        None: "labelled lab world",
    }
    assert {folder: dataset_properties.name_of(folder) for folder in names} == names


def test_one_image_has_no_frechet_distance():
    class Colours(nn.Module):
        num_features = 3

        def forward(self, images):
            return images.double().mean((2, 3))

    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (9, 4, 4, 3), np.uint8))
    metric = FrechetInceptionDistance(Colours(), reset_real_features=False)
    frechet.update(metric, images, real=True)
    with pytest.raises(UserError, match="need 2 images or more on each side; there is 1$"):
        frechet.frechet_distance(metric, images[:1])
    assert frechet.frechet_distance(metric, images)[0] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("measurement", "setting", "value", "legal"),
    [
        ("dataset_properties", "images", 1, 2),
        ("dataset_properties", "reference_images", 1, 2),
        ("dataset_properties", "pairs", 0, 2),
        ("dataset_properties", "pairs", 1, 2),
        ("deployability", "images", 0, 1),
        ("deployability", "jpeg_qualities", [0], [1]),
        ("deployability", "jpeg_qualities", [101], [95]),
        ("transfer", "images", 0, 1),
    ],
)
def test_numbers_that_nothing_can_be_measured_with_are_refused(measurement, setting, value, legal):
    allowed = MEASUREMENTS[measurement].settings[setting]
    schema_check.check(legal, allowed, setting)
    with pytest.raises(UserError, match=setting):
        schema_check.check(value, allowed, setting)


@pytest.mark.parametrize("quality", [0, 101])
def test_jpeg_has_no_such_quality(quality):
    picture = torch.zeros(1, 8, 8, 3, dtype=torch.uint8)
    with pytest.raises(UserError, match=f"qualities 1 to 100, not {quality}"):
        deployability.jpeg(picture, quality)


def test_weights_and_photographs_are_where_the_machine_says(tmp_path, monkeypatch):
    monkeypatch.setenv("VPBENCH_WEIGHTS", str(tmp_path / "w"))
    monkeypatch.setenv("VPBENCH_DATA", str(tmp_path / "d"))
    frechet.photographs.cache_clear()
    (tmp_path / "w").mkdir()
    (tmp_path / "d" / "photos").mkdir(parents=True)
    (tmp_path / "w" / "lpips_alex.safetensors").write_bytes(b"")
    file = frechet.weights_file("lpips_alex", "weights")
    assert file == str(tmp_path / "w" / "lpips_alex.safetensors")
    with pytest.raises(UserError, match="no safetensors file .*make it with `vpbench lpips-wei"):
        dataset_properties.load_lpips("lpips_alex", file, CPU)
    with pytest.raises(UserError, match=f"{tmp_path}/d/photos has 0 images, 90 are needed"):
        row_of(task_of(), "data/photos")
