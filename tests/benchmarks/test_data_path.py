"""How much memory a run takes that no file backs, whatever the size of its dataset."""

import json
import operator
import resource
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.data_path import faster, watched
from tests.helpers import fake_dataset
from tests.helpers.processes import start
from vpbench.common import atomic_files, paths
from vpbench.data import cache, cache_files
from vpbench.data.batches import take
from vpbench.data.load import load_task
from vpbench.data.task import Split, Task
from vpbench.experiment import side_files
from vpbench.spec.preprocessing import Preprocessing
from vpbench.spec.schema import SCHEMA
from vpbench.training.learner import Learner
from vpbench.training.trainer import Trainer

SIZES = {"train": 300_000, "validation": 1_000, "test": 30_000}
SIDE = 32
PIXELS = sum(SIZES.values()) * SIDE**2 * 3  # bytes: 1 GB
BOUND = 120 * 2**20  # bytes: what a run may take of the memory, above what it has when it starts
SETTINGS = {"batch_size": 500, "epochs": 1, "eval_epochs": 1, "lr": 0.1}
SETTINGS |= {"schedule": "constant", "warm_up_steps": 0}


class Corner(Learner):
    """What learns here: a linear classifier of a corner of an image, so that data is all it costs.

    Like a backbone it takes uint8 images; the gather before it copies all of their pixels.
    """

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(12, len(fake_dataset.CLASS_NAMES))

    def forward(self, images):
        return self.linear(images[:, :2, :2].flatten(1).float() / 255)


def write_sparse_cache():
    """Returns None once the cache of a large dataset is there, its pixels a hole in a file."""
    parts = cache.parts(fake_dataset.NAME, None, Preprocessing(SIDE, SIDE))
    for part in parts:
        part.path.parent.mkdir(parents=True, exist_ok=True)
        shape = part.images, SIDE, SIDE, 3
        with open(part.path, "wb") as file:
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            file.truncate(file.tell() + part.bytes)
        labels = np.arange(part.images) % len(fake_dataset.CLASS_NAMES)
        ids = [f"images/of/a/class/{number:012}.jpg" for number in range(part.images)]
        atomic_files.write_arrays(
            cache_files.labels_path(part.path), {"labels": labels, "ids": ids}
        )
        card = {
            "schema": SCHEMA,
            "dataset": fake_dataset.NAME,
            "split": part.split,
            "images": part.images,
            "of": part.images,
            "side": SIDE,
            "preprocessing": part.preprocessing,
            "sha256": {"images": "0" * 64, "labels": cache_files.hash_labels(labels, ids, None)},
            "class_names": fake_dataset.CLASS_NAMES,
            "splits": {},
            "deviations": [],
            "versions": {},
        }
        atomic_files.write(cache_files.card_path(part.path), card)


def private_memory():
    """Returns the bytes of this process that no file backs, as RLIMIT_DATA counts them."""
    lines = Path("/proc/self/status").read_text().splitlines()
    line = next(line for line in lines if line.startswith("VmData:"))
    return 1024 * int(line.split()[1])


def fit(task):
    """Returns the progress of a training and its looks at validation and test, at its end."""
    module = Corner()
    optimiser = torch.optim.SGD(module.parameters(), lr=0.1)
    generator = torch.Generator().manual_seed(0)
    return Trainer(module, optimiser, task, SETTINGS, generator, "sparse").run()


def learn_with_little_memory(root):
    """Returns None once a run over the large dataset is in <root>/done.json, with BOUND of memory.

    The kernel refuses more; that it does is in the file as well.
    """
    fake_dataset.register(operator.setitem, SIZES)
    paths.use(root)
    images = torch.zeros(600, SIDE, SIDE, 3, dtype=torch.uint8)
    small = Split(images, torch.arange(600) % 3, tuple(map(str, range(600))))
    fit(Task("small", "", fake_dataset.CLASS_NAMES, "{}", {"train": small, "test": small}))
    limit = private_memory() + BOUND  # now that torch has made its threads and buffers
    resource.setrlimit(resource.RLIMIT_DATA, (limit, resource.RLIM_INFINITY))
    task = load_task(fake_dataset.NAME, preprocessing=Preprocessing(SIDE, SIDE))
    progress = fit(task)
    kept = side_files.predictions(progress.selection["last"].evaluations, task)
    atomic_files.write_arrays(Path(root, "predictions.npz"), kept)
    try:
        task.splits["train"].images.clone()
        refused = ""
    except RuntimeError as error:
        refused = str(error)
    labels = Counter(kept["label"].tolist())
    done = {"history": progress.history, "hash": task.data_hash}
    done |= {"labels": labels, "refused": refused}
    Path(root, "done.json").write_text(json.dumps(done))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the memory of a process")
def test_a_run_over_300000_images_takes_no_eighth_of_their_size_in_memory(tmp_path, monkeypatch):
    assert PIXELS > 8 * BOUND
    fake_dataset.register(monkeypatch.setitem, SIZES)
    monkeypatch.setenv("VPBENCH_DATA", str(tmp_path))
    write_sparse_cache()
    process = start(learn_with_little_memory, tmp_path, log=tmp_path / "log")
    process.join()
    assert process.exitcode == 0, (tmp_path / "log").read_text()
    done = json.loads((tmp_path / "done.json").read_text())
    (line,) = done["history"]
    assert line["train_accuracy"] == pytest.approx(100 / 3, abs=1)  # black pictures tell nothing
    assert done["labels"] == {"0": 10_000, "1": 10_000, "2": 10_000}
    assert "can't allocate memory" in done["refused"]  # all of the images would not have fitted


def test_an_epoch_knows_how_long_it_waited_for_its_images(monkeypatch):
    now, kept = [0.0], []

    def read(images, indices, device):
        for index in indices:
            now[0] += 0.25  # until the batch is there
            yield images[index]

    monkeypatch.setattr("benchmarks.data_path.time.perf_counter", lambda: now[0])
    for _ in watched(read, kept)(torch.arange(6), [0, 1, 2, 3], None):
        now[0] += 0.75  # a step
    assert kept == [(1.0, 4.0)]


def test_a_way_is_compared_with_decoding_to_the_same_form():
    per_image = {"decoded, bytes": [6.0], "cached, bytes": [2.0]}
    per_image |= {"decoded, normalised": [10.0], "cached, normalised": [5.0]}
    assert faster(per_image, "cached, bytes")["median"] == 3
    assert faster(per_image, "cached, normalised")["median"] == 2
    assert faster(per_image, "decoded, normalised") is None


def test_numbers_and_slices_take_what_indexing_takes():
    images = torch.arange(5 * 4 * 4 * 3, dtype=torch.uint8).view(5, 4, 4, 3)
    for index in (torch.tensor([3, 0, 3]), torch.tensor([], dtype=torch.int64), slice(1, 9)):
        assert torch.equal(take(images, index), images[index])


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_normalised_pixels_are_those_of_the_formula_bit_by_bit(resnet, layout):
    pixels = torch.rand(3, 3, 56, 56).contiguous(memory_format=layout)
    found = resnet.normalize(pixels)
    assert torch.equal(found, (pixels - resnet.mean) / resnet.std)
    assert found.stride() == pixels.stride()  # the model gets the layout that it is fast with
