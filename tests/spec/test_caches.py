"""The caches that a configuration reads, and the files that say that they are made."""

import shutil

import pytest

from vpbench.common.strict_yaml import read_config
from vpbench.data.preparation import prepare_all
from vpbench.spec import caches
from vpbench.spec.grid import expand
from vpbench.spec.preprocessing import Preprocessing

DATA = {"train": 50, "validation": 20, "test": 30, "resolution": "native"}


@pytest.fixture
def marker(tmp_path, monkeypatch):
    """Returns the file that says that a cache is made; it lists nine files of three splits."""
    monkeypatch.setenv("VPBENCH_DATA", str(tmp_path))
    done = tmp_path / "cache" / "digits" / "some.prepared"
    prepare_all(["digits"], ["rn50"], DATA, done=done)
    return done


def test_a_marker_stands_as_long_as_every_file_of_its_cache(marker):
    files = sorted((marker.parent / "native8").iterdir())
    assert len(files) == 9 and caches.stands(marker)
    for file in files:
        aside = file.rename(file.with_name("aside"))
        assert not caches.stands(marker)
        aside.rename(file)
    assert caches.stands(marker)
    moved = marker.parent.rename(marker.parent.with_name("moved"))
    assert caches.stands(moved / marker.name)
    shutil.rmtree(moved / "native8")
    assert not caches.stands(moved / marker.name)


@pytest.mark.parametrize("text", ["", "{}", "[1", None])
def test_a_marker_that_lists_nothing_does_not_stand(tmp_path, text):
    path = tmp_path / "old.prepared"
    if text is not None:
        path.write_text(text)
    assert not caches.stands(path)


def test_the_paper_has_a_cache_for_every_transform_and_the_parts_that_measurements_read():
    config = read_config("config/paper.yaml")
    found = caches.caches(expand(config, ""))
    names = {}
    for each in found:
        names.setdefault(each.task, set()).add(each.name)
    clip, vision = (
        Preprocessing(224, 224, "bicubic").key, Preprocessing(256, 224, "bilinear").key
    )  # fmt: skip
    both = {clip, vision}
    parts = {f"{key}_test1000" for key in both}
    for task in config["tasks"]:
        # Camelyon17 is kept as it is, for all of them
        expected = {"native", "native_test1000"} if task == "camelyon17" else both | parts
        assert names[task] == expected, task
    assert len(found) == len({(each.task, each.name) for each in found})


def test_a_recipe_that_shrinks_images_and_one_that_draws_few_read_a_cache_of_all():
    spec = {"task": "svhn", "backbone": "rn50", "data": DATA | {"resolution": "backbone"}}
    shrunk = caches.of_run(spec | {"settings": {"image_side": 164}})
    assert shrunk.name == "resize164_bicubic_crop164_train50_validation20_test30"
    assert shrunk.options[:2] == ["--image-side", "164"]
    few = caches.of_run(spec | {"settings": {}, "data": spec["data"] | {"shots": 4}})
    assert few.options[:2] == ["--backbones", "rn50"] and "shots" not in few.options[3]
