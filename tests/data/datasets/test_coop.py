import hashlib
import http.server
import json
import os
import pickle
import threading

import pytest
from PIL import Image

from tests.helpers.fake_coop import PATHS, pinned, place, publish, rows, shrink
from tests.helpers.messages import complains, holds
from tests.helpers.refused import refused
from vpbench.data.datasets import coop, split_files
from vpbench.data.datasets.source import (
    CorruptDataset,
    MissingDataset,
    WrongSize,
    download_dataset,
    open_dataset,
)
from vpbench.data.subsets import balanced
from vpbench.experiment.rehearsal.listed_files import paint
from vpbench.spec.class_names import read_manifest
from vpbench.spec.dataset_facts import FACTS

PLACES = [(name, place) for name, places in coop.IMAGES.items() for place in places]


@pytest.mark.parametrize(("name", "images"), PLACES)
def test_each_dataset_is_read_where_coop_or_torchvision_puts_it(
    tmp_path, monkeypatch, name, images
):
    place(monkeypatch, tmp_path, name, images=images)
    shrink(monkeypatch, name)
    source = open_dataset(name, tmp_path)
    assert source.class_names == read_manifest(name)[:2]
    assert {split: listing.ids[0] for split, listing in source.splits.items()} == dict(
        zip(("train", "validation", "test"), PATHS[name], strict=True)
    )
    for listing in source.splits.values():
        (label,) = listing.labels.tolist()
        pixel = listing.read(0).getpixel((4, 4))
        assert max(range(3), key=pixel.__getitem__) == label  # JPEG changes colours a little
    (published,) = split_files.SPLIT_FILES[name]
    assert source.hashes == {published.file: published.sha256} and source.deviations == ()


@pytest.mark.parametrize("folder", ["splits", "oxford_flowers", "flowers-102"])
def test_the_split_file_may_lie_with_the_others_or_beside_the_images(tmp_path, monkeypatch, folder):
    place(monkeypatch, tmp_path, "flowers102")
    file = split_files.SPLIT_FILES["flowers102"][0].file
    (tmp_path / folder).mkdir(exist_ok=True)
    os.replace(tmp_path / "splits" / file, tmp_path / folder / file)
    assert len(coop.open_source("flowers102", tmp_path).splits["train"]) == 1


def test_a_class_that_is_only_in_one_split_has_its_name(tmp_path, monkeypatch):
    place(monkeypatch, tmp_path)
    assert coop.open_source("eurosat", tmp_path).class_names == ("Annual Crop Land", "Forest")


def test_a_part_of_a_file_that_is_sorted_by_class_has_all_classes(tmp_path, monkeypatch):
    document = {"train": [], "val": [], "test": []}
    for label, name in enumerate(("banded", "blotchy", "braided")):
        document["train"] += [[f"{name}/{name}_{k}.jpg", label, name] for k in range(5)]
    place(monkeypatch, tmp_path, "dtd", document)
    labels = coop.open_source("dtd", tmp_path).splits["train"].labels
    assert labels.tolist() == [0] * 5 + [1] * 5 + [2] * 5
    assert sorted(labels[balanced(labels, 3)]) == [0, 1, 2]


def test_the_folder_of_handstand_pushups_is_spelled_otherwise_than_its_frames(
    tmp_path, monkeypatch
):
    path = "Handstand_Pushups/v_HandStandPushups_g01_c01.jpg"
    document = {"train": [[path, 0, "Handstand_Pushups"]], "val": [], "test": []}
    place(monkeypatch, tmp_path, "ucf101", document)
    assert coop.open_source("ucf101", tmp_path).splits["train"].ids == (path,)


def test_sub_folders_of_sun_are_found(tmp_path, monkeypatch):
    path = "a/apse/indoor/sun_aabb.jpg"
    document = {"train": [[path, 0, "indoor apse"]], "val": [], "test": []}
    place(monkeypatch, tmp_path, "sun397", document, images="SUN397")
    source = coop.open_source("sun397", tmp_path)
    assert source.class_names == ("indoor apse",)
    assert source.splits["train"].read(0).size == (8, 8)


@pytest.mark.parametrize(
    ("mode", "colour", "kind"), [("L", 77, "JPEG"), ("RGBA", (77, 77, 77, 9), "PNG")]
)
def test_grey_jpegs_and_pngs_called_jpg_are_read_in_rgb(tmp_path, monkeypatch, mode, colour, kind):
    folder = place(monkeypatch, tmp_path, "oxfordpets")
    Image.new(mode, (8, 8), colour).save(folder / "Abyssinian_100.jpg", kind)
    image = coop.open_source("oxfordpets", tmp_path).splits["train"].read(0)
    assert (image.mode, image.getpixel((0, 0))) == ("RGB", (77, 77, 77))


def test_opening_decodes_nothing_and_looks_once_into_each_folder(tmp_path, monkeypatch):
    folder = place(monkeypatch, tmp_path)
    for path in folder.rglob("*.jpg"):
        path.write_bytes(b"no image")
    looked, scandir = [], os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: looked.append(path) or scandir(path))
    train = coop.open_source("eurosat", tmp_path).splits["train"]
    assert sorted(looked) == [folder / "AnnualCrop", folder / "Forest"]
    with complains(ValueError, "AnnualCrop_9.jpg", "cannot be read"):
        train.read(0)


def test_a_listing_can_be_sent_to_another_process(tmp_path, monkeypatch):
    place(monkeypatch, tmp_path)
    listing = coop.open_source("eurosat", tmp_path).splits["test"]
    assert pickle.loads(pickle.dumps(listing)).read(0).size == (64, 64)  # as in EuroSAT


@pytest.mark.parametrize("path", ["../secret.jpg", "a/../../secret.jpg", "/etc/a.jpg", "..\\a.jpg"])
def test_a_path_that_leads_out_of_the_folder_is_refused(tmp_path, monkeypatch, path):
    document = rows("eurosat")
    place(monkeypatch, tmp_path)
    document["val"][0][0] = path
    publish(monkeypatch, tmp_path / "splits" / "split_zhou_EuroSAT.json", document)
    message = refused(CorruptDataset, coop.open_source, "eurosat", tmp_path)
    holds(message, "eurosat", "split", path, f"out of {tmp_path}/eurosat/2750")


def test_an_image_in_two_splits_is_refused(tmp_path, monkeypatch):
    document = rows("eurosat")
    document["val"] = document["train"]
    place(monkeypatch, tmp_path, document=document)
    message = refused(CorruptDataset, coop.open_source, "eurosat", tmp_path)
    holds(message, "eurosat", "splits", "AnnualCrop/AnnualCrop_9.jpg", "twice")


def test_missing_images_are_counted_and_the_first_is_named(tmp_path, monkeypatch):
    folder = place(monkeypatch, tmp_path)
    (folder / "Forest" / "Forest_2.jpg").unlink()
    (folder / "Forest").rmdir()
    (folder / "AnnualCrop" / "AnnualCrop_1.jpg").unlink()
    message = refused(CorruptDataset, coop.open_source, "eurosat", tmp_path)
    holds(message, "eurosat", "2 of the 3", "missing", folder, "remove that folder")
    holds(message, "first", "AnnualCrop/AnnualCrop_1.jpg")


def test_without_images_it_says_where_they_were_looked_for_and_how_to_get_them(tmp_path):
    message = refused(MissingDataset, open_dataset, "sun397", tmp_path)
    holds(message, "sun397", "no images", tmp_path / "sun397/SUN397", tmp_path / "SUN397")
    holds(message, "vpbench data download sun397")
    message = refused(MissingDataset, open_dataset, "ucf101", tmp_path)
    holds(message, "ucf101", "no images", FACTS["ucf101"].steps)


def test_without_the_split_file_it_says_where_to_put_it(tmp_path):
    (tmp_path / "dtd" / "images").mkdir(parents=True)
    message = refused(MissingDataset, open_dataset, "dtd", tmp_path)
    holds(message, "dtd", "split_zhou_DescribableTextures.json", "missing", "get it with")
    holds(message, "1u3_QfB467jqHgNXC00UIzbLZRQCg2S7x")
    holds(message, tmp_path / "splits/split_zhou_DescribableTextures.json")


def test_another_split_file_than_the_published_one_is_refused_with_both_hashes(
    tmp_path, monkeypatch
):
    place(monkeypatch, tmp_path)
    path = tmp_path / "splits" / "split_zhou_EuroSAT.json"
    expected = hashlib.sha256(path.read_bytes()).hexdigest()
    path.write_bytes(path.read_bytes() + b"\n")
    message = refused(CorruptDataset, coop.open_source, "eurosat", tmp_path)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    holds(message, path, "published file", found, expected)


@pytest.mark.parametrize(
    ("document", "facts"),
    [
        ("{", ("property name", "line 1 column 2")),
        ("[]", ("TypeError",)),
        ({"train": [], "dev": []}, ("KeyError", "'dev'")),
        ({"train": [[7, 0, "b"]]}, ("TypeError", 7, "path")),
        ({"train": [["a.jpg", 0]], "val": [], "test": []}, ("not enough values",)),
        ({"train": [["a.jpg", 1, "b"]], "val": [], "test": []}, ("0 to 0", "without gaps")),
        (
            {"train": [["a.jpg", 0, "b"]], "val": [], "test": [["c.jpg", 0, "d"]]},
            ("class 0", "two names", "b, d"),
        ),
    ],
)
def test_what_is_not_a_split_file_is_refused(tmp_path, monkeypatch, document, facts):
    (tmp_path / "eurosat" / "2750").mkdir(parents=True)
    publish(monkeypatch, tmp_path / "splits" / "split_zhou_EuroSAT.json", document)
    message = refused(CorruptDataset, coop.open_source, "eurosat", tmp_path)
    holds(message, "split_zhou_EuroSAT.json", *facts)


def test_a_dataset_of_another_size_is_refused_with_both_numbers(tmp_path, monkeypatch):
    place(monkeypatch, tmp_path, "sun397")
    message = refused(WrongSize, open_dataset, "sun397", tmp_path)
    holds(message, "sun397", "2 classes", "expected 397")
    shrink(monkeypatch, "sun397", **FACTS["sun397"].sizes)
    message = refused(WrongSize, open_dataset, "sun397", tmp_path)
    holds(message, "sun397", "train split", "1 images", "expected 15880", "15,888")
    shrink(monkeypatch, "sun397", train=1, validation=1, test=2)
    message = refused(WrongSize, open_dataset, "sun397", tmp_path)
    holds(message, "sun397", "test split", "1 images", "expected 2")


def test_other_class_names_than_those_of_the_dataset_are_refused(tmp_path, monkeypatch):
    document = rows("eurosat")
    document["test"][0][2] = "Wood"
    place(monkeypatch, tmp_path, document=document)
    shrink(monkeypatch, "eurosat")
    message = refused(CorruptDataset, open_dataset, "eurosat", tmp_path)
    holds(message, "eurosat", "class 1", "'Wood'", "expected 'Forest'")


def test_cats_and_dogs_are_the_pets_by_species(tmp_path, monkeypatch):
    breeds = read_manifest("oxfordpets")
    document = {"train": [], "val": [], "test": []}
    for label, breed in enumerate(breeds):
        cat = breed in coop.CATS
        file = (breed.capitalize() if cat else breed) + "_1.jpg"  # as the real ones are spelled
        document["train"].append([file, label, breed])
        paint(tmp_path / "oxford_pets" / "images" / file, 0)
    publish(monkeypatch, tmp_path / "splits" / "split_zhou_OxfordPets.json", document)
    shrink(monkeypatch, "cats_dogs", train=37)
    source = open_dataset("cats_dogs", tmp_path)
    assert source.class_names == ("cat", "dog")
    train = source.splits["train"]
    assert train.labels.tolist() == [0 if file[0].isupper() else 1 for file in train.ids]
    assert (train.labels == 0).sum() == 12
    assert coop.open_source("oxfordpets", tmp_path).splits["train"].ids == train.ids


class Fetched:
    """Stands in for a dataset of torchvision: unpacks images, and counts how often."""

    def __init__(self, root, download):
        assert download
        type(self).calls += 1
        for path, label, _ in (row for entries in rows("eurosat").values() for row in entries):
            paint(root / "eurosat" / "2750" / path, label)


@pytest.fixture
def fetched(monkeypatch):
    """Returns what stands in for torchvision's EuroSAT."""
    from torchvision import datasets

    kind = type("EuroSAT", (Fetched,), {"calls": 0})
    monkeypatch.setattr(datasets, "EuroSAT", kind)
    return kind


@pytest.fixture
def server(monkeypatch):
    """Returns a function that serves the split of EuroSAT, with the hash of some bytes pinned."""
    data = json.dumps(rows("eurosat")).encode()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()

        def pin(expected=data):
            url = f"http://127.0.0.1:{running.server_port}/split.json"
            file = pinned("eurosat", expected, url)
            monkeypatch.setitem(split_files.SPLIT_FILES, "eurosat", (file,))

        yield pin
        running.shutdown()
        thread.join()


def test_a_download_fetches_images_and_split_once(tmp_path, monkeypatch, fetched, server):
    server()
    shrink(monkeypatch, "eurosat")
    for _ in range(2):
        source = download_dataset("eurosat", tmp_path)
        assert len(source.splits["test"]) == 1 and fetched.calls == 1
    assert (tmp_path / "splits" / "split_zhou_EuroSAT.json").is_file()


def test_a_split_that_was_changed_on_the_way_is_not_kept(tmp_path, fetched, server):
    server(b"something else")
    message = refused(MissingDataset, coop.download, "eurosat", tmp_path)
    holds(message, "split.json", "not fetched", "ValueError", "SHA256")
    assert list((tmp_path / "splits").iterdir()) == []


def test_images_that_cannot_be_fetched_are_a_line_that_says_where_to_put_them(
    tmp_path, monkeypatch, fetched
):
    def fail(self, root, download):
        raise RuntimeError("File not found or corrupted.\nmore")

    monkeypatch.setattr(fetched, "__init__", fail)
    message = refused(MissingDataset, coop.download, "eurosat", tmp_path)
    holds(message, "eurosat", "images", "not fetched", "RuntimeError: File not found or corrupted")
    holds(message, "try again", "by hand", tmp_path / "eurosat/2750")


def test_the_frames_of_ucf_are_put_there_by_hand(tmp_path, monkeypatch):
    message = refused(MissingDataset, download_dataset, "ucf101", tmp_path)
    holds(message, "ucf101", FACTS["ucf101"].steps)
    place(monkeypatch, tmp_path, "ucf101")
    shrink(monkeypatch, "ucf101")
    assert len(download_dataset("ucf101", tmp_path).splits["train"]) == 1


@pytest.mark.parametrize("name", coop.DOWNLOADS)
def test_what_torchvision_unpacks_is_looked_for_where_it_puts_it(tmp_path, name):
    from torchvision import datasets

    kind = getattr(datasets, coop.DOWNLOADS[name])
    dataset = kind.__new__(kind)
    with pytest.raises(RuntimeError, match="Dataset not found"):
        dataset.__init__(tmp_path)
    attributes = ("_images_folder", "_data_folder", "_data_dir")
    (unpacked,) = [getattr(dataset, a) for a in attributes if hasattr(dataset, a)][:1]
    assert str(unpacked) == str(tmp_path / coop.IMAGES[name][-1])


def test_what_the_users_of_coop_have_is_looked_for_where_it_tells_them_to_put_it():
    assert {name: places[0] for name, places in coop.IMAGES.items()} == {
        "flowers102": "oxford_flowers/jpg",
        "food101": "food-101/images",
        "eurosat": "eurosat/2750",
        "sun397": "sun397/SUN397",
        "ucf101": "ucf101/UCF-101-midframes",
        "oxfordpets": "oxford_pets/images",
        "dtd": "dtd/images",
    }


def test_every_dataset_whose_images_are_fetched_has_its_class_in_torchvision():
    from torchvision import datasets

    assert set(coop.DOWNLOADS) == set(coop.IMAGES) - {"ucf101"}
    assert all(hasattr(datasets, name) for name in coop.DOWNLOADS.values())
    for name in coop.IMAGES:
        by_hand = FACTS[name].download == "manual"
        assert by_hand == (name not in coop.DOWNLOADS)
