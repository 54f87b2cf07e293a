import hashlib
import os
from collections import Counter

import pytest

from tests.helpers.checkout import read_config
from tests.helpers.messages import complains
from tests.helpers.small_results import TEXT
from vpbench.common.errors import UserError
from vpbench.common.hashing import sha256
from vpbench.data.load import load_task
from vpbench.spec import fingerprints
from vpbench.spec.caches import caches
from vpbench.spec.fingerprints import (
    check_fingerprint,
    check_reference,
    fingerprint,
    taken_once,
)
from vpbench.spec.grid import expand, measurement_paths, measurement_specs
from vpbench.verify.verification import Report, compare_specs


@pytest.fixture
def photos(tmp_path):
    """Returns a folder with a file of three bytes and one of five, in two classes."""
    folder = tmp_path / "photos"
    for name, data in (("cats/a.png", b"abc"), ("dogs/b.png", b"abcde")):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_bytes(data)
    return folder


def configuration(folder):
    """Returns a configuration of one run on a folder of images."""
    grid = {"main": {"methods": ["text_prompt"], "seeds": [0]}}
    config = read_config("smoke") | {"kind": "real", "tasks": ["mine"], "grid": grid}
    return config | {
        "backbones": ["clip_micro"],
        "measurements": {},
        "analyses": {"table_accuracy": {}},
        "folders": {"mine": folder},
    }


def spec_of(folder):
    """Returns the spec of the run on a folder."""
    (spec,) = expand(configuration(folder), "mine.yaml").specs.values()
    return spec


def test_a_fingerprint_is_that_of_names_and_sizes_in_the_order_of_the_names(photos):
    told = hashlib.sha256(b"cats/a.png\x003\ndogs/b.png\x005\n").hexdigest()
    assert fingerprint({"path": str(photos)}) == told


def test_where_the_folder_is_its_times_and_hidden_files_change_nothing(photos, tmp_path):
    before = fingerprint({"path": str(photos)})
    os.utime(photos / "cats/a.png", (0, 0))
    (photos / "cats/.DS_Store").write_bytes(b"x")
    (photos / "cats/Thumbs.db").write_bytes(b"x")
    (photos / ".thumbnails").mkdir()
    (photos / ".thumbnails/a.png").write_bytes(b"x")
    photos.rename(tmp_path / "moved")
    assert fingerprint({"path": str(tmp_path / "moved")}) == before


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "cats/c.png").write_bytes(b"abc"),
        lambda folder: (folder / "cats/a.png").rename(folder / "dogs/a.png"),
        lambda folder: (folder / "cats/a.png").write_bytes(b"abcd"),
        lambda folder: (folder / "cats/a.png").unlink(),
    ],
    ids=["added", "moved", "larger", "removed"],
)
def test_another_photograph_is_another_run_and_the_old_one_is_refused(photos, change):
    before = spec_of({"path": str(photos)})
    check_fingerprint(before["folder"])
    change(photos)
    assert spec_of({"path": str(photos)}) != before
    facts = (str(photos), "added", "start the same command again")
    with complains(UserError, *facts):
        load_task("mine", folder=before["folder"])


@pytest.mark.parametrize("key", ["class_names", "split_file"])
def test_what_says_how_the_folder_is_read_counts_as_well(photos, tmp_path, key):
    beside = tmp_path / "beside.txt"
    beside.write_text("cat\ndog\n")
    folder = {"path": str(photos), key: str(beside)}
    inside = hashlib.sha256(b"cats/a.png\x003\ndogs/b.png\x005\n")
    inside.update(f"{key} {sha256(beside)}\n".encode())
    assert fingerprint(folder) == inside.hexdigest()
    beside.unlink()
    with complains(UserError, str(beside), key, "not read"):
        fingerprint(folder)


def test_links_are_followed_but_not_round_and_round(photos, tmp_path):
    before = fingerprint({"path": str(photos)})
    (photos / "again").symlink_to(photos)
    (photos / "nowhere").symlink_to(tmp_path / "gone")
    found = fingerprint({"path": str(photos)})
    assert found != before
    (photos / "again").unlink()
    assert fingerprint({"path": str(photos)}) == before


def test_a_folder_that_is_not_there_is_refused_unless_its_fingerprint_is_given(tmp_path):
    folder = {"path": str(tmp_path / "gone")}
    with complains(UserError, "mine.yaml at folders.mine", folder["path"], "`fingerprint`"):
        spec_of(folder)
    assert spec_of(folder | {"fingerprint": "abc"})["folder"] == folder | {"fingerprint": "abc"}


def test_a_folder_that_no_run_is_on_need_not_be_there(photos, tmp_path):
    config = configuration({"path": str(photos)})
    config["folders"]["other"] = {"path": str(tmp_path / "gone")}
    assert len(expand(config, "mine.yaml").specs) == 1


def test_verification_names_a_record_of_other_photographs(photos, tmp_path):
    before = spec_of({"path": str(photos)})
    (photos / "cats/c.png").write_bytes(b"abc")
    after = spec_of({"path": str(photos)})
    report, path = Report([], [], Counter()), tmp_path / f"runs/smoke/{TEXT}.json"
    path = path.parents[4] / "mine" / path.relative_to(path.parents[3])
    records = {path: {"spec": before}}
    compare_specs(report, records, {path: after}, tmp_path, "mine.yaml")
    (problem,) = report.problems
    assert f"folder.fingerprint is '{before['folder']['fingerprint']}'" in problem.line


def test_photographs_that_a_measurement_compares_with_are_part_of_its_specs(photos):
    config = read_config("smoke")
    measured = config["measurements"]["dataset_properties"]
    measured["settings"] = measured["settings"] | {"reference": str(photos)}
    specs = []
    for _ in range(2):
        taken_once.cache_clear()
        specs += [measurement_specs(expand(config, ""), "dataset_properties")[0]]
        check_reference(specs[-1])
        (photos / "cats/c.png").write_bytes(b"abcd")
    told = [
        hashlib.sha256(names).hexdigest()
        for names in (
            b"cats/a.png\x003\ndogs/b.png\x005\n",
            b"cats/a.png\x003\ncats/c.png\x004\ndogs/b.png\x005\n",
        )
    ]
    assert [spec["reference_fingerprint"] for spec in specs] == told
    with pytest.raises(UserError, match="files were added, removed or changed"):
        check_reference(specs[0])
    given = expand(config, "").config["measurements"]["dataset_properties"]
    given["reference_fingerprint"] = told[0]
    photos.rename(photos.parent / "elsewhere")
    assert measurement_specs(expand(config, ""), "dataset_properties")[0] == specs[0]


def test_a_fingerprint_of_photographs_is_taken_only_where_it_is_asked_for(photos, monkeypatch):
    config = read_config("smoke")
    measured = config["measurements"]["dataset_properties"]
    measured["settings"] = measured["settings"] | {"reference": str(photos)}
    monkeypatch.setattr(fingerprints, "fingerprint", None)
    grid = expand(config, "")
    assert measurement_paths(grid, "dataset_properties")
    assert caches(grid) == []


def test_the_labs_world_has_no_fingerprint():
    specs = measurement_specs(expand(read_config("smoke"), ""), "dataset_properties")
    assert "reference_fingerprint" not in specs[0]
