import hashlib
import os

import numpy as np

from tests.helpers.folders import paint
from tests.helpers.messages import complains
from vpbench.common.errors import UserError
from vpbench.experiment.measurements import reference_files
from vpbench.experiment.measurements.frechet import photographs
from vpbench.experiment.readiness import count_photographs


def test_copies_and_thumbnails_of_systems_and_notebooks_are_no_reference(tmp_path):
    kept = {paint(tmp_path / name) for name in ("a.png", "n01/b.JPEG", "n01/deep/c.jpg")}
    for name in (".cache/a.png", "n01/.ipynb_checkpoints/b.jpg", "n01/@eaDir/b.jpg", "._a.png"):
        paint(tmp_path / name)
    assert set(photographs(tmp_path)) == set(map(str, kept))
    assert count_photographs(tmp_path, enough=100) == 3


def test_which_photographs_are_drawn_and_what_tells_them_is_that_of_paths_in_their_order(tmp_path):
    names = ["a.png", "a-b.png", "a.b/x.png", "a/z.png", "a.b/c/ü.jpg", "A/q.JPG", "a0.png"]
    paths = sorted(paint(tmp_path / name, size=(8, 8 + i)) for i, name in enumerate(names))
    drawn = [str(paths[i]) for i in np.random.default_rng(0).permutation(len(paths))]
    assert photographs(tmp_path) == drawn
    listed = "".join(f"{os.path.relpath(path, tmp_path)}\n" for path in drawn)
    sizes = "".join(f"{os.path.getsize(path)}\n" for path in drawn[:2])
    told = hashlib.sha256(f"{listed}\n{sizes}".encode()).hexdigest()
    assert reference_files.fingerprint(drawn, drawn[:2]) == told


def test_photographs_that_cannot_be_listed_are_refused_in_one_line(tmp_path, monkeypatch):
    paint(tmp_path / "a.png")

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)
    with complains(UserError, "reference", tmp_path, "not read", "Permission denied"):
        photographs(tmp_path)
