import os

import pytest

from tests.helpers.folders import SMALL, fill, paint, refusal, sizes
from tests.helpers.messages import holds
from vpbench.data import folder_files, folder_splits, image_folder
from vpbench.spec.folder_names import in_text_order


def test_hidden_folders_and_sidecar_files_are_left_out_and_counted(tmp_path, capsys):
    fill(tmp_path, 5)
    paint(tmp_path / "cat" / ".ipynb_checkpoints" / "00-checkpoint.png")
    paint(tmp_path / "cat" / "@eaDir" / "00.png" / "thumb.jpg")
    paint(tmp_path / "__MACOSX" / "cat" / "00.png")
    paint(tmp_path / ".thumbnails" / "00.png")
    for name in ("cat/._00.jpg", "cat/.DS_Store", "dog/Thumbs.db", "owl/desktop.ini", ".DS_Store"):
        (tmp_path / name).write_bytes(b"of a system")
    task = image_folder.load_folder(tmp_path, SMALL)
    assert task.class_names == ("cat", "dog", "owl")
    assert sizes(task) == {"train": 9, "validation": 3, "test": 3}
    assert task.notes == (
        "left out: 3 hidden .png, 2 hidden .DS_Store, 2 hidden .jpg, 1 hidden .db, 1 hidden .ini",
    )
    assert f"{tmp_path}: {task.notes[0]}" in capsys.readouterr().err.splitlines()


def test_files_of_other_kinds_are_counted_by_their_ending(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_files, "reads_heif", lambda: False)
    monkeypatch.setattr(folder_files, "extensions", lambda: (".png",))
    fill(tmp_path, 5)
    for number in range(3):
        (tmp_path / "dog" / f"IMG_{number}.HEIC").write_bytes(b"a photograph")
    (tmp_path / "cat" / "notes.txt").write_text("...")
    (tmp_path / "cat" / "README").write_text("...")
    (tmp_path / "labels.csv").write_text("...")
    (note,) = image_folder.load_folder(tmp_path, SMALL).notes
    remedy = ".heic is read after `pip install pillow-heif`"
    assert note == f"left out: 3 .heic, 1 .csv, 1 .txt, 1 without an ending ({remedy})"


def test_a_note_lists_a_dozen_kinds_and_counts_the_others(tmp_path):
    fill(tmp_path, 5)
    for number in range(15):
        (tmp_path / "cat" / f"a.{number:02}").write_text("...")
    (note,) = image_folder.load_folder(tmp_path, SMALL).notes
    shown = ", ".join(f"1 .{number:02}" for number in range(12))
    assert note == f"left out: {shown}, 3 of other kinds"


def test_images_beside_the_classes_are_counted(tmp_path):
    paint(fill(tmp_path, 5) / "stray.png")
    assert image_folder.load_folder(tmp_path, SMALL).notes == (
        "left out: 1 .png outside of classes",
    )


def test_a_class_of_nothing_but_heic_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_files, "reads_heif", lambda: False)
    monkeypatch.setattr(folder_files, "extensions", lambda: (".png",))
    (fill(tmp_path, 3) / "yak").mkdir()
    (tmp_path / "yak" / "a.heic").write_bytes(b"a photograph")
    holds(refusal(tmp_path), tmp_path / "yak", "no images", "1 .heic", "pip install pillow-heif")


@pytest.mark.parametrize("place", [".", "test"])
def test_a_flat_folder_of_images_lacks_sub_folders(tmp_path, place):
    if place == "test":
        fill(tmp_path / "train", 2)
    paint(tmp_path / place / "a.png")
    message = refusal(tmp_path)
    holds(message, tmp_path / place, "holds images but no class sub-folders", "name of the class")


def test_a_linked_folder_in_a_class_is_counted_and_one_that_leads_out_is_refused(tmp_path):
    folder = fill(tmp_path / "images", 5)
    os.symlink(folder / "dog", folder / "cat" / "more")
    assert image_folder.load_folder(folder, SMALL).notes == ("left out: 1 linked folder",)
    os.symlink(fill(tmp_path / "other", 1) / "dog", folder / "cat" / "out")
    holds(refusal(folder), folder / "cat" / "out", "link", f"out of {folder}")


def test_a_folder_in_a_class_that_cannot_be_read_is_refused_by_name(tmp_path, monkeypatch):
    paint(fill(tmp_path, 3) / "dog" / "more" / "a.png")
    usual = os.scandir

    def refuse(path):
        if os.path.basename(path) == "more":
            raise PermissionError(13, "Permission denied", str(path))
        return usual(path)

    monkeypatch.setattr(os, "scandir", refuse)
    holds(refusal(tmp_path), tmp_path / "dog" / "more", "cannot be read", "Permission denied")


def test_a_file_more_in_a_class_is_no_look_at_a_file_more(tmp_path, monkeypatch):
    looks = []
    for name in ("stat", "lstat"):
        usual = getattr(os, name)
        counted = lambda *given, usual=usual, **more: looks.append(given) or usual(*given, **more)  # noqa: E731
        monkeypatch.setattr(os, name, counted)
    found = []
    for count in (3, 30):
        folder = fill(tmp_path / str(count), count)
        looks.clear()
        listing = folder_splits.list_folder(folder, in_text_order, 0)
        found.append(len(looks))
        assert sum(map(len, listing.lists.values())) == 3 * count
    assert found[0] == found[1]
