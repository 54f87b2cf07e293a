"""Whatever lies in a folder of images, a list, a split or an archive: it is used, or refused.

In a line, and no program is started, and nothing outside of the folder is read or written.
"""

import io
import json
import os
import pickle
import struct
import tarfile
import zlib

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image

from tests.helpers.fake_coop import official
from tests.helpers.hostile import (
    WAYS,
    as_json,
    changed,
    damaged,
    examples,
    holding,
    only_reads_below,
    value_or_line,
    watched,
)
from tests.helpers.messages import complains, holds
from tests.helpers.refused import refused
from vpbench.common.errors import UserError
from vpbench.data import image_folder
from vpbench.data.datasets import archives, cifar, coop, coop_rule, image_files
from vpbench.data.datasets.source import CorruptDataset
from vpbench.data.datasets.split_files import parse_split
from vpbench.spec import class_names, preprocessing
from vpbench.spec.preprocessing import Preprocessing, open_image

SMALL = Preprocessing(8, 8)
CLASSES = ("ant", "bee")
FORMATS = ("png", "jpg", "gif", "bmp", "webp", "tif", "ppm")


def paint(path, size=(4, 4), **options):
    """Returns `path` once it is an image of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, **options)
    return path


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Returns a folder with three images of each of two classes, and a secret beside it."""
    root = tmp_path_factory.mktemp("data")
    paint(root / "secret" / "0.png")
    for name in CLASSES:
        for number in range(3):
            paint(root / "images" / name / f"{number}.png")
    return root / "images"


def load(folder, *names, **options):
    """Returns the task of a folder, or None after a line; only what is below it was read."""
    with watched() as opened:
        task = value_or_line(
            lambda: image_folder.load_folder(folder, SMALL, **options), *(names or [folder])
        )
    assert only_reads_below(folder, opened)
    if task is not None:
        assert all(one.encode() and one.strip() for one in task.class_names)
        for split in task.splits.values():
            assert split.labels.max() < len(task.class_names)
    return task


@given(damaged(b"ant lion\nhoney bee\n") | st.text(max_size=40).map(lambda text: text.encode()))
@examples(100)
def test_a_list_of_class_names_is_used_or_refused_in_a_line(images, data):
    path = images / "names.txt"
    path.write_bytes(data)
    load(images, path, class_names=path)


def test_a_list_of_class_names_may_begin_with_a_mark_as_windows_writes_it(images):
    (images / "names.txt").write_bytes(b"\xef\xbb\xbfant lion\r\nhoney bee\r\n")
    task = load(images, class_names=images / "names.txt")
    assert task.class_names == ("ant lion", "honey bee")


@given(damaged((class_names.FOLDER / "svhn.txt").read_bytes()))
@examples(30)
def test_a_list_of_the_suite_that_was_changed_is_refused(tmp_path, data):
    assume(data != (class_names.FOLDER / "svhn.txt").read_bytes())
    path = tmp_path / "svhn.txt"
    path.write_bytes(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(class_names, "FOLDER", tmp_path)
        assert str(path) in refused(UserError, class_names.read_manifest, "svhn")


ROWS = [[f"{name}/{number}.png", label, name] for label, name in enumerate(CLASSES)
        for number in range(3)]  # fmt: skip
SPLIT = {"train": ROWS[::2], "val": ROWS[5:], "test": [ROWS[3], ROWS[1]]}


@given(changed(SPLIT).map(as_json) | damaged(as_json(SPLIT)))
@examples(200)
def test_a_split_file_is_used_or_refused_in_a_line(images, data):
    path = images / "split.json"
    path.write_bytes(data)
    load(images, path, images, split_file=path)


def test_a_split_file_that_was_left_alone_is_used(images):
    (images / "split.json").write_bytes(as_json(SPLIT))
    task = load(images, split_file=images / "split.json")
    assert {name: len(split) for name, split in task.splits.items()} == {
        "train": 3, "validation": 1, "test": 2
    }  # fmt: skip


@given(damaged(as_json(SPLIT | {"regenerated": {"seed": 3}})))
@examples(60)
def test_a_split_drawn_anew_has_a_seed_or_is_refused_in_a_line(tmp_path, data):
    path = coop.drawn_split("dtd", tmp_path)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    found = value_or_line(lambda: (parse_split(path), coop.find_split("dtd", tmp_path)), path)
    assert found is None or found[1][0] == path


OFFICIAL = {
    "oxfordpets": ["oxford-iiit-pet/annotations/trainval.txt"],
    "sun397": ["SUN397/ClassName.txt", "Training_01.txt"],
    "ucf101": ["ucf101/ucfTrainTestlist/classInd.txt", "ucf101/ucfTrainTestlist/trainlist01.txt"],
    "flowers102": ["flowers-102/imagelabels.mat"],
}


@pytest.fixture(scope="module", params=OFFICIAL)
def lists(request, tmp_path_factory):
    """Returns (dataset, root, file -> bytes) of the official lists of a tiny dataset."""
    root = tmp_path_factory.mktemp("official")
    official(request.param, root, count=3)
    files = [root / file for file in OFFICIAL[request.param]]
    return request.param, root, {file: file.read_bytes() for file in files}


@given(st.data())
@examples(30)
def test_a_split_is_drawn_from_official_lists_or_they_are_refused_in_a_line(lists, data):
    name, root, contents = lists
    for file, content in contents.items():
        file.write_bytes(content)
    file = data.draw(st.sampled_from(sorted(contents)))
    file.write_bytes(data.draw(damaged(contents[file])))
    with pytest.MonkeyPatch.context() as patch:
        if name == "flowers102":
            patch.setattr(coop_rule, "read_manifest", lambda _: ("a", "b", "c"))
        path = value_or_line(lambda: coop_rule.regenerate_split(name, root, 1), root)
    if path is not None:
        value_or_line(lambda: parse_split(path), path)


LETTERS = st.characters(codec="utf-8", exclude_characters="/\0")
NAMES = st.one_of(
    st.text(LETTERS, min_size=1, max_size=12).map(str.encode),
    st.binary(min_size=1, max_size=12).map(lambda name: name.translate(None, b"/\0") or b"x"),
    st.sampled_from(
        [b"a\nb", b"\x1b[31m", b"\xff\xfe", b"-rf", b"~", b"$(touch x)", b"..a", b"%s"]
    ),
)


@given(NAMES, NAMES, st.sampled_from([b".png", b".JPG"]))
@examples(120)
def test_files_and_folders_of_any_name_are_read_or_refused_in_a_line(
    tmp_path_factory, folder, file, suffix
):
    root = tmp_path_factory.mktemp("odd")
    target = os.path.join(os.fsencode(root), b"images", folder)
    assume(folder not in (b".", b"..") and len(file) < 200)
    for path in (target, os.path.join(os.fsencode(root), b"images", b"bee")):
        os.makedirs(path, exist_ok=True)
        for number in range(3):
            image = paint(root / "a.png").read_bytes()
            with open(os.path.join(path, file + b"%d" % number + suffix), "wb") as written:
                written.write(image)
    task = load(root / "images")
    if task is not None:
        assert all("\n" not in one for split in task.splits.values() for one in split.ids)


def linked(root, link, target):
    """Returns a folder of images one part of which is a link."""
    for name in CLASSES:
        for number in range(3):
            paint(root / "images" / "train" / name / f"{number}.png")
            paint(root / "images" / "test" / name / f"{number}.png")
            paint(root / "secret" / name / f"{number}.png")
    place = root / "images" / link
    if place.is_dir():
        place.rename(root / "moved")
    else:
        place.unlink(missing_ok=True)
    place.symlink_to(target)
    return root / "images"


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("train/ant/1.png", "../../../secret/ant/1.png"),
        ("train/ant/new.png", "/etc/passwd"),
        ("train/ant", "../../secret/ant"),
        ("test", "../secret"),
    ],
)
def test_a_link_that_leads_out_of_the_folder_is_refused_by_name(tmp_path, link, target):
    folder = linked(tmp_path, link, target)
    message = refused(UserError, image_folder.load_folder, folder, SMALL)
    holds(message, folder / link, "link", f"out of {folder}", "in its place")
    assert load(folder) is None


def test_a_link_within_the_folder_is_followed(tmp_path):
    folder = linked(tmp_path, "test/ant/1.png", "../../train/ant/1.png")
    assert len(load(folder).splits["test"]) == 6


def test_a_link_to_itself_is_a_missing_image(tmp_path):
    folder = linked(tmp_path, "train/ant/1.png", "1.png")
    message = refused(UserError, image_folder.load_folder, folder, SMALL)
    holds(message, folder / "train/ant/1.png", "missing")


@pytest.mark.parametrize("name", ["a link out", "a loop"])
def test_a_split_file_cannot_use_a_link_to_get_out(tmp_path, name):
    for number, label in enumerate(CLASSES):
        paint(tmp_path / "images" / label / "0.png")
    paint(tmp_path / "secret.png")
    target = "../../secret.png" if name == "a link out" else "1.png"
    (tmp_path / "images" / "ant" / "1.png").symlink_to(target)
    rows = [["ant/1.png", 0, "ant"], ["bee/0.png", 1, "bee"]]
    path = tmp_path / "images" / "split.json"
    path.write_text(json.dumps({"train": rows, "test": rows}))
    assert load(tmp_path / "images", split_file=path) is None


@pytest.mark.parametrize("kind", FORMATS)
def test_a_damaged_image_is_read_or_refused_in_a_line(tmp_path, kind):
    content = paint(tmp_path / f"a.{kind}", (12, 9)).read_bytes()
    path = tmp_path / f"b.{kind}"

    @given(damaged(content))
    @examples(60)
    def each(data):
        path.write_bytes(data)
        with watched() as opened:
            pixels = value_or_line(lambda: preprocessing.read_image(path, SMALL), path)
        assert only_reads_below(tmp_path, opened)
        assert pixels is None or (pixels.shape, pixels.dtype) == ((8, 8, 3), np.uint8)

    each()


def png(width, height, rows=b""):
    """Returns a PNG that claims a size and holds the given rows."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(
            ">I", zlib.crc32(kind + data)
        )  # fmt: skip

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "facts"),
    [
        (png(2**31 - 1, 2**31 - 1), ("exceeds limit",)),
        (png(30_000, 30_000), ("exceeds limit",)),
        (png(0, 5), ("cannot be read",)),
        (png(10_000, 1, b"\0" * 30_001), ("10000 x 1", "crop or remove")),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", ("cannot identify",)),
        (b"", ("cannot identify",)),
    ],
)
def test_an_image_that_would_fill_the_memory_or_start_a_program_is_refused(
    tmp_path, content, facts
):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with watched():
        message = refused(UserError, open_image, path)
    holds(message, path, "image", *facts)


def test_a_pipe_with_the_name_of_an_image_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    holds(refused(UserError, open_image, tmp_path / "a.png"), tmp_path / "a.png", "missing")


@given(st.lists(st.text(max_size=12) | st.sampled_from(["../a", "/etc/passwd", "ant/0.png"])))
@examples(80)
def test_images_are_listed_from_their_folder_only(images, paths):
    paths = [path.replace("\0", "") for path in paths]
    entries = {"train": [(path, 0) for path in paths]}
    with watched() as opened:
        listings = value_or_line(lambda: image_files.list_images("dtd", images, entries), "dtd")
    assert only_reads_below(images, opened)
    if listings is not None:
        assert set(paths) <= {"ant/0.png", *(entry.name for entry in images.iterdir())}


KINDS = st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE,
                         tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.CONTTYPE])  # fmt: skip
PLACES = st.sampled_from(["a", "a/b", "../out", "/out", "a/../../out", "./a", "..", ".", "link",
                          "link/out", "a\nb", "../target-too/a"])  # fmt: skip


@given(st.lists(st.tuples(KINDS, PLACES, PLACES), min_size=1, max_size=4))
@examples(100)
def test_an_archive_puts_files_in_its_folder_and_nothing_elsewhere(tmp_path_factory, members):
    root = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(root / "archive.tar", "w") as file:
        for kind, name, target in members:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            member.size = 2 if kind in (tarfile.REGTYPE, tarfile.CONTTYPE) else 0
            file.addfile(member, io.BytesIO(b"hi"))

    def unpack():
        with archives.refusing("dtd", root / "archive.tar"):
            archives.unpack(root / "archive.tar", root / "target")

    value_or_line(unpack, root / "archive.tar")
    assert {path.name for path in root.iterdir()} <= {"archive.tar", "target"}
    for path in root.rglob("*"):
        assert not path.is_symlink() and (path.is_file() or path.is_dir())
        assert not path.is_file() or path.stat().st_nlink == 1
    assert not os.path.exists("/out")


@given(st.data())
@examples(60)
def test_a_damaged_archive_is_unpacked_or_refused_in_a_line(tmp_path, data):
    archive = tmp_path / "archive.tar.gz"
    with tarfile.open(archive, "w:gz") as file:
        member = tarfile.TarInfo("a/b.txt")
        member.size = 500
        file.addfile(member, io.BytesIO(bytes(range(250)) * 2))
    archive.write_bytes(data.draw(damaged(archive.read_bytes())))

    def unpack():
        with archives.refusing("dtd", archive):
            archives.unpack(archive, tmp_path / "target")

    value_or_line(unpack, archive)


def test_an_archive_that_would_fill_the_disk_is_refused_before_it_does(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "SLACK", 0)
    with tarfile.open(tmp_path / "archive.tar.gz", "w:gz") as file:
        for name in "abc":
            member = tarfile.TarInfo(name)
            member.size = 2**20
            file.addfile(member, io.BytesIO(bytes(2**20)))
    with complains(tarfile.FilterError, "50 times", "larger"):
        archives.unpack(tmp_path / "archive.tar.gz", tmp_path / "target")
    assert not list(tmp_path.rglob("target/*"))


@given(WAYS, st.integers(0, pickle.HIGHEST_PROTOCOL))
@examples(24)
def test_a_batch_of_cifar_with_code_in_it_is_refused_and_nothing_of_it_runs(
    tmp_path, way, protocol
):
    marker = tmp_path / "ran"
    with watched():
        with complains(CorruptDataset, "no data"), archives.refusing("cifar10", tmp_path):
            cifar.DataUnpickler(io.BytesIO(holding(way, marker, protocol))).load()
    assert not marker.exists()
