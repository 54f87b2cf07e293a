import json
import os
import shutil

import pytest

from tests.helpers import fake_dataset
from tests.helpers.fake_dataset import NAME, SIZES
from tests.helpers.messages import holds
from vpbench.cli.main import main
from vpbench.common import locks, paths
from vpbench.data import cache, status
from vpbench.data.datasets import coop_rule
from vpbench.spec.dataset_facts import FACTS
from vpbench.spec.preprocessing import Preprocessing

SMALL = Preprocessing(16, 8)


@pytest.fixture(autouse=True)
def data_folder(monkeypatch, tmp_path):
    """Makes the data folder that of the test."""
    monkeypatch.setenv("VPBENCH_DATA", str(tmp_path))


@pytest.fixture
def dots(monkeypatch, tmp_path):
    """Returns the folder of the fake dataset, which the suite takes for a real one."""
    fake_dataset.register(monkeypatch.setitem)
    return fake_dataset.write_files(tmp_path)


def only():
    """Returns the status of the fake dataset."""
    (row,) = status.status([NAME])
    return row


def make(data=None):
    """Returns the folder of a cache of the fake dataset."""
    cache.prepare(NAME, data, SMALL)
    return paths.data_dir() / "cache" / NAME / SMALL.key


def said(capsys, *arguments):
    """Returns the lines that `vpbench data status` prints; nothing goes to stderr."""
    capsys.readouterr()
    assert main(["data", "status", *arguments]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out.splitlines()


def test_on_a_machine_with_nothing_every_dataset_that_is_no_package_is_missing(tmp_path, capsys):
    lines = said(capsys, "--data-dir", str(tmp_path / "nowhere"))
    rows = {line.split()[0]: line for line in lines if not line.startswith(" ")}
    packaged = {"digits", "mnist_5k"}
    assert set(FACTS) - packaged <= set(rows)
    for name in set(FACTS) - packaged:
        below = lines[lines.index(rows[name]) + 1 :][:2]
        assert rows[name].removeprefix(name).split()[0] == "missing"
        holds(below[0], tmp_path / "nowhere")
        holds(below[1], "to do", FACTS[name].steps)
    holds(lines[-1], "looked in", tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_the_table_is_aligned_and_one_line_per_dataset(dots, capsys):
    header, *lines = said(capsys)
    rows = [line for line in lines[:-1] if not line.startswith(" ")]
    assert [row.split()[0] for row in rows] == list(FACTS)
    column = header.index("state")
    assert all(row[column - 1] == " " and row[column] != " " for row in rows)
    assert all(len(line.splitlines()) == 1 for line in lines)


def test_a_dataset_that_is_there_has_nothing_to_do(dots, capsys):
    header, row, deviation, total = said(capsys, NAME)
    assert row.split() == "dots present 12 / 3 / 6 0.001 GB CC0 -".split()
    holds(deviation, "deviation", "the split is made up")
    holds(total, "1 of 1 present", dots.parent)


def test_a_missing_dataset_says_where_it_was_looked_for_and_what_to_do(dots, capsys):
    shutil.rmtree(dots)
    _, row, problem, to_do, total = said(capsys, NAME)
    assert row.split()[:2] == ["dots", "missing"]
    holds(problem, dots, "missing")
    holds(to_do, "to do", "by hand", FACTS[NAME].steps)
    holds(total, "0 of 1 present")


def test_an_automatic_one_names_the_command(dots, monkeypatch):
    shutil.rmtree(dots)
    monkeypatch.setitem(FACTS, NAME, FACTS[NAME]._replace(download="automatic"))
    holds(only()["to_do"], "vpbench data download dots", FACTS[NAME].steps)


def test_a_split_of_another_size_is_named_with_both_numbers(dots, monkeypatch):
    fake_dataset.register(monkeypatch.setitem, SIZES | {"validation": 4})
    row = only()
    assert row["state"] == "wrong size"
    holds(row["problem"], NAME, "validation split", "3 images", "expected 4")
    holds(row["to_do"], "remove", "by hand", FACTS[NAME].steps)


def test_a_broken_list_or_first_image_is_corrupt(dots):
    (dots / "test0.png").write_bytes(b"no image")
    row = only()
    assert row["state"] == "corrupt"
    holds(row["problem"], "test0.png", "cannot be read")
    (dots / "splits.json").write_text("{")
    holds(only()["problem"], NAME, f"{dots}/splits.json", "broken")


@pytest.mark.parametrize("content", ["[]", "1", '{"train": [["a"]]}', '{"train": []}'])
def test_whatever_a_loader_raises_is_one_line(dots, content, capsys):
    (dots / "splits.json").write_text(content)
    row = only()
    assert row["state"] == "corrupt" and "\n" not in row["problem"]
    assert said(capsys, NAME)[1].split()[:2] == ["dots", "corrupt"]


def test_status_decodes_one_image_of_each_split_only(dots, monkeypatch):
    read = []
    real = fake_dataset.open_image
    monkeypatch.setattr(fake_dataset, "open_image", lambda path: read.append(path) or real(path))
    only()
    assert [path.name for path in read] == ["train0.png", "validation0.png", "test0.png"]


def test_caches_are_listed_with_their_splits_and_size(dots, capsys):
    folder = make({"train": 6})
    size = sum(path.stat().st_size for path in folder.iterdir())
    (entry,) = only()["caches"]
    assert entry == {
        "transform": "resize16_bicubic_crop8",
        "splits": ["test", "train.part6", "validation"],
        "bytes": size,
        "being_made_by": None,
        "problem": None,
        "verified": False,
    }
    line = said(capsys, NAME)[-2]
    splits = "test, train.part6, validation"
    holds(line, "cache", "resize16_bicubic_crop8", splits, f"{size / 1e6:.1f} MB", "sound")
    holds(said(capsys, NAME, "--verify")[-2], "resize16_bicubic_crop8", "verified")


def test_a_cache_without_its_dataset_is_listed_as_well(dots):
    make()
    shutil.rmtree(dots)
    row = only()
    assert row["state"] == "missing" and row["caches"][0]["problem"] is None


def test_a_damaged_cache_is_named_and_a_changed_pixel_is_found_by_verify(dots, capsys):
    path = make() / "test.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    holds(said(capsys, NAME)[-2], "cache", "sound")
    line = said(capsys, NAME, "--verify")[-2]
    holds(line, "test.npy", "broken", "SHA-256", "card", "delete its folder")
    path.write_bytes(content[:-1])
    holds(said(capsys, NAME)[-2], "test.npy", "broken")


@pytest.mark.parametrize("content", ["", "[]", '{"schema": 1}', '{"schema": 1, "images": {}}'])
def test_a_broken_card_is_one_line(dots, content):
    (make() / "test.json").write_text(content)
    (entry,) = only()["caches"]
    holds(entry["problem"], "test.json")


def test_a_cache_of_other_split_files_is_named(dots):
    path = make() / "test.json"
    card = json.loads(path.read_text())
    path.write_text(json.dumps(card | {"splits": {"splits.json": "cd" * 32}}))
    (entry,) = only()["caches"]
    holds(entry["problem"], path, "other split files", "now")


def test_a_cache_that_is_being_made_says_by_whom(dots, capsys):
    folder = paths.data_dir() / "cache" / NAME / SMALL.key
    folder.mkdir(parents=True)
    with locks.hold(folder / cache.LOCK):
        line = said(capsys, NAME)[-2]
    holds(line, "cache", SMALL.key, "nothing", f"being made by process {os.getpid()}")


def test_json_has_the_same_facts(dots, capsys):
    make()
    (row,) = json.loads("\n".join(said(capsys, NAME, "--json")))
    assert row == only()
    assert (row["dataset"], row["state"], row["sizes"]) == (NAME, "present", SIZES)
    assert row["looked_in"] == str(dots.parent)


def test_a_name_that_is_no_dataset_is_one_line(capsys):
    assert main(["data", "status", "cifar10_twin"]) == 2
    holds(capsys.readouterr().err, "vpbench: ", "'cifar10_twin'", "real dataset", "cifar100")


def test_split_draws_a_split_anew(monkeypatch, tmp_path, capsys):
    asked = []
    monkeypatch.setattr(
        coop_rule, "regenerate_split", lambda *given: asked.append(given) or "split.json"
    )
    assert main(["data", "split", "sun397", "--seed", "3"]) == 0
    assert asked == [("sun397", tmp_path, 3)] and capsys.readouterr().out == "split.json\n"
