import hashlib
import sys
import tarfile

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from tests.helpers.messages import holds
from tests.helpers.refused import refused
from vpbench.common.errors import UserError
from vpbench.data.datasets import wilds_repairs, wilds_sets
from vpbench.data.datasets.source import CorruptDataset, MissingDataset
from vpbench.experiment.rehearsal import wilds_files
from vpbench.training.metrics import classification_metrics

# Species 2 and 3 share their name; the last rows have no images.
CATEGORIES = [
    (99999, 7, "start"),
    (2, 33, "mazama temama"),
    (0, 0, "empty"),
    (1, 2, "tayassu pecari"),
    (99999, 570, "end"),
    (3, 99, "mazama temama"),
]
CAMERA_TRAPS = [  # split, file, y, camera, mode
    ("train", "a.jpg", 0, 0, "L"),
    ("test", "b.jpg", 3, 2, "RGB"),
    ("train", "c.jpg", 1, 0, "RGB"),
    ("id_val", "d.jpg", 1, 0, "RGB"),
    ("val", "e.jpg", 2, 1, "L"),
    ("test", "f.jpg", 0, 3, "L"),
    ("id_test", "g.jpg", 0, 0, "RGB"),
    ("test", "h.jpg", 3, 2, "RGB"),
    ("test", "i.jpg", 1, 3, "RGB"),
]
COUNTRIES = {"FRA": "Europe", "IND": "Asia", "KEN": "Africa"}
LAND_USES = [  # split, category, time stamp, country; XKX is no country of the list
    ("train", "airport", "2002-05-01T10:00:00Z", "FRA"),
    ("seq", "zoo", "2016-05-01T10:00:00Z", "IND"),
    ("train", "zoo", "2012-12-31T23:59:59.643Z", "IND"),
    ("train", "dam", "2014-01-01T00:00:00Z", "IND"),  # too late for training: in no split
    ("val", "dam", "2013-01-01T00:00:00Z", "KEN"),
    ("val", "dam", "2010-01-01T00:00:00Z", "KEN"),  # in distribution
    ("seq", "zoo", "2003-05-01T10:00:00Z", "IND"),
    ("test", "airport", "2016-01-01T00:00:00Z", "FRA"),
    ("test", "zoo", "2017-06-07T08:09:10.001Z", "IND"),
    ("test", "multi-unit_residential", "2017-06-07T08:09:10Z", "XKX"),
    ("test", "zoo", "2017-06-07T08:09:10Z", "FRA"),
    ("test", "dam", "2017-06-07T08:09:10Z", "IND"),
    ("test", "dam", "2012-06-07T08:09:10Z", "IND"),  # in distribution
    ("test", "zoo", "2017-06-07T08:09:10Z", "FRA"),
]
PATCHES = [  # patient, node, tumor, slide, centre, split
    ("004", 4, 0, 0, 0, 0),
    ("010", 0, 1, 1, 0, 1),  # in distribution
    ("017", 1, 1, 2, 1, 0),
    ("099", 4, 1, 4, 4, 0),
    ("040", 3, 0, 3, 2, 1),
    ("041", 3, 1, 3, 2, 0),
]


def write_iwildcam(root, rows=CAMERA_TRAPS):
    """Returns the folder of a tiny iWildCam; the images of all splits lie in train/."""
    return wilds_files.write_iwildcam(root, rows, CATEGORIES)


def write_fmow(root):
    """Returns the folder of a tiny FMoW; an image is named after its row, all rows counted."""
    return wilds_files.write_fmow(root, LAND_USES, COUNTRIES)


def write_camelyon17(root):
    """Returns the folder of a tiny Camelyon17."""
    return wilds_files.write_camelyon17(root, PATCHES)


WRITE = {"iwildcam": write_iwildcam, "fmow": write_fmow, "camelyon17": write_camelyon17}


def shades(listing):
    """Returns the numbers of the pictures of a split, read from their pixels."""
    return [round((listing.read(i).getpixel((0, 0))[0] - 5) / 10) for i in range(len(listing))]


def test_val_and_test_of_iwildcam_are_other_cameras(tmp_path):
    write_iwildcam(tmp_path)
    splits = wilds_sets.open_source("iwildcam", tmp_path).splits
    assert list(splits) == ["train", "validation", "test"]
    assert splits["train"].labels.tolist() == [0, 1] and splits["train"].labels.dtype == np.int64
    assert splits["validation"].labels.tolist() == [2]
    assert splits["test"].labels.tolist() == [3, 0, 3, 1]
    assert splits["train"].groups == ("camera 0", "camera 0")
    assert splits["validation"].groups == ("camera 1",)
    assert splits["test"].groups == ("camera 2", "camera 3", "camera 2", "camera 3")
    assert splits["test"].ids == ("train/b.jpg", "train/f.jpg", "train/h.jpg", "train/i.jpg")


def test_names_of_iwildcam_are_in_the_order_of_labels_and_may_repeat(tmp_path):
    write_iwildcam(tmp_path)
    names = wilds_sets.open_source("iwildcam", tmp_path).class_names
    assert names == ("empty", "tayassu pecari", "mazama temama", "mazama temama")


def test_grey_pictures_of_iwildcam_become_rgb(tmp_path):
    write_iwildcam(tmp_path)
    train = wilds_sets.open_source("iwildcam", tmp_path).splits["train"]
    with Image.open(tmp_path / "iwildcam_v2.0" / "train" / "a.jpg") as file:
        assert file.mode == "L"
    assert train.read(0).mode == "RGB" and train.read(0).getpixel((0, 0)) == (5, 5, 5)


def test_fmow_is_split_by_year_and_its_sequestered_rows_count_as_rows_only(tmp_path):
    write_fmow(tmp_path)
    source = wilds_sets.open_source("fmow", tmp_path)
    named = {
        split: [source.class_names[label] for label in listing.labels]
        for split, listing in source.splits.items()
    }
    assert named["train"] == ["airport", "zoo"] and named["validation"] == ["dam"]
    assert named["test"] == ["airport", "zoo", "multi-unit_residential", "zoo", "dam", "zoo"]
    assert {split: shades(listing) for split, listing in source.splits.items()} == {
        "train": [0, 2],
        "validation": [4],
        "test": [7, 8, 9, 10, 11, 13],
    }
    assert source.splits["train"].ids == ("images/rgb_img_0.png", "images/rgb_img_2.png")


def test_the_groups_of_fmow_are_regions(tmp_path):
    write_fmow(tmp_path)
    source = wilds_sets.open_source("fmow", tmp_path)
    assert source.splits["validation"].groups == ("Africa",)
    assert source.splits["test"].groups == ("Europe", "Asia", "Other", "Europe", "Asia", "Europe")
    assert len(source.class_names) == 62 and list(source.class_names) == sorted(source.class_names)


def test_hospitals_of_camelyon17_decide_whatever_its_column_split_says(tmp_path):
    write_camelyon17(tmp_path)
    source = wilds_sets.open_source("camelyon17", tmp_path)
    assert source.class_names == ("not containing", "containing")
    labels = {split: listing.labels.tolist() for split, listing in source.splits.items()}
    assert labels == {"train": [0, 1], "validation": [1], "test": [0, 1]}
    groups = {split: listing.groups for split, listing in source.splits.items()}
    assert groups == {
        "train": ("hospital 0", "hospital 4"),
        "validation": ("hospital 1",),
        "test": ("hospital 2", "hospital 2"),
    }


def test_patients_of_camelyon17_keep_their_zeros_and_patches_become_rgb(tmp_path):
    write_camelyon17(tmp_path)
    train = wilds_sets.open_source("camelyon17", tmp_path).splits["train"]
    patch = "patches/patient_004_node_4/patch_patient_004_node_4_x_3328_y_21792.png"
    assert train.ids[0] == patch
    assert (train.read(1).mode, train.read(1).size) == ("RGB", (96, 96))
    assert shades(train) == [0, 3]


@pytest.mark.parametrize("name", WRITE)
def test_pictures_are_those_that_wilds_itself_reads(tmp_path, name):
    WRITE[name](tmp_path)
    dataset = wilds_repairs.open_dataset(name, wilds_sets.SHIFTS[name].version, tmp_path)
    source = wilds_sets.open_source(name, tmp_path)
    for ours, theirs in wilds_sets.SPLITS.items():
        subset, listing = dataset.get_subset(theirs), source.splits[ours]
        assert len(subset) == len(listing) > 0
        for number, (image, label, _) in enumerate(subset):
            assert np.array_equal(image.convert("RGB"), listing.read(number))
            assert label == listing.labels[number]


@pytest.mark.parametrize("name", WRITE)
def test_the_hashes_are_those_of_the_tables(tmp_path, name):
    folder = WRITE[name](tmp_path)
    hashes = wilds_sets.open_source(name, tmp_path).hashes
    assert hashes == {
        f"{folder.name}/{file.name}": hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.glob("*.csv")
    }


@pytest.mark.parametrize("name", WRITE)
def test_the_archive_is_where_wilds_says_it_is(tmp_path, name):
    WRITE[name](tmp_path)
    shift = wilds_sets.SHIFTS[name]
    dataset = wilds_repairs.open_dataset(name, shift.version, tmp_path)
    assert dataset.version == dataset.latest_version == shift.version
    theirs = dataset.versions_dict[shift.version]["download_url"]
    assert theirs == wilds_sets.BUNDLES.format(shift.bundle)


@pytest.mark.parametrize("name", WRITE)
def test_a_missing_dataset_is_named_and_no_folder_is_made(tmp_path, name):
    line = refused(MissingDataset, wilds_sets.open_source, name, tmp_path / "data")
    assert "RELEASE_v" in line
    holds(line, f"vpbench data download {name}")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("name", WRITE)
def test_a_missing_table_is_named(tmp_path, name):
    table = WRITE[name](tmp_path) / wilds_sets.SHIFTS[name].definitions[-1]
    table.unlink()
    assert str(table) in refused(MissingDataset, wilds_sets.open_source, name, tmp_path)


@pytest.mark.parametrize("name", WRITE)
def test_a_missing_image_is_named_when_the_dataset_is_opened(tmp_path, name):
    folder = WRITE[name](tmp_path)
    listing = wilds_sets.open_source(name, tmp_path).splits["test"]
    (folder / listing.ids[1]).unlink()
    assert listing.ids[1] in refused(CorruptDataset, wilds_sets.open_source, name, tmp_path)


@pytest.mark.parametrize("name", WRITE)
def test_opening_decodes_no_image_and_a_broken_one_is_named(tmp_path, name):
    folder = WRITE[name](tmp_path)
    for file in folder.rglob("*"):
        if file.suffix in (".jpg", ".png"):
            file.write_bytes(b"no image")
    listing = wilds_sets.open_source(name, tmp_path).splits["test"]
    assert listing.ids[0] in refused(UserError, listing.read, 0)


@pytest.mark.parametrize(
    ("name", "file", "old", "new", "facts"),
    [
        ("iwildcam", "categories.csv", "1,2,tayassu pecari\n", "", ("every class", "once")),
        ("iwildcam", "metadata.csv", "i.jpg,1,", "i.jpg,7,", ("AssertionError",)),  # labels 4 to 6
        ("iwildcam", "metadata.csv", "05:44:19.000", "05:44:19", ("not match format",)),
        ("iwildcam", "metadata.csv", "datetime", "date", ("'datetime'",)),
        ("fmow", "rgb_metadata.csv", ",dam,", ",beaver_dam,", ("'beaver_dam'",)),
        ("camelyon17", "metadata.csv", "099,4,1,", "099,4,2,", ("labels", "0 to 2")),
    ],
)
def test_tables_that_contradict_the_format_are_refused(tmp_path, name, file, old, new, facts):
    path = WRITE[name](tmp_path) / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    holds(refused(CorruptDataset, wilds_sets.open_source, name, tmp_path), name, *facts)


def test_an_image_outside_the_dataset_is_none_of_it(tmp_path):
    rows = [*CAMERA_TRAPS, ("test", "../../private.jpg", 0, 3, "RGB")]
    write_iwildcam(tmp_path, rows)
    assert (tmp_path / "private.jpg").is_file()
    line = refused(CorruptDataset, wilds_sets.open_source, "iwildcam", tmp_path)
    assert "train/../../private.jpg" in line


def guesses(name, root, seed):
    """Returns the dataset of wilds, random logits for its test images, and their source."""
    dataset = wilds_repairs.open_dataset(name, wilds_sets.SHIFTS[name].version, root)
    source = wilds_sets.open_source(name, root)
    generator = torch.Generator().manual_seed(seed)
    logits = torch.rand(len(source.splits["test"]), len(source.class_names), generator=generator)
    labels = torch.from_numpy(source.splits["test"].labels)
    logits[torch.arange(len(labels)), labels] += 0.7 * torch.rand(len(labels), generator=generator)
    return dataset, source, logits


def both(name, root, seed):
    """Returns the metrics of the same guesses: by wilds, and by this suite."""
    dataset, source, logits = guesses(name, root, seed)
    test, listing = dataset.get_subset("test"), source.splits["test"]
    theirs, _ = test.eval(logits.argmax(1), test.y_array, test.metadata_array)
    labels = torch.from_numpy(listing.labels)
    return theirs, classification_metrics(logits, labels, logits.shape[1], listing.groups)


def test_accuracy_and_macro_f1_of_iwildcam_are_those_of_wilds(tmp_path):
    write_iwildcam(tmp_path)
    seen = set()
    for seed in range(8):
        theirs, ours = both("iwildcam", tmp_path, seed)
        assert ours["accuracy"] == pytest.approx(100 * theirs["acc_avg"])
        assert ours["macro_f1"] == pytest.approx(100 * theirs["F1-macro_all"])
        seen.add(round(ours["macro_f1"], 3))
    assert len(seen) > 3


def test_accuracy_and_worst_region_of_fmow_are_those_of_wilds(tmp_path):
    write_fmow(tmp_path)
    seen = set()
    for seed in range(12):
        theirs, ours = both("fmow", tmp_path, seed)
        assert ours["accuracy"] == pytest.approx(100 * theirs["acc_avg"])
        assert ours["worst_group"] == pytest.approx(100 * theirs["acc_worst_region"])
        seen.add(round(ours["worst_group"], 3))
    assert len(seen) > 2


def test_images_of_unknown_countries_are_no_region_of_fmow(tmp_path):
    write_fmow(tmp_path)
    _, source, logits = guesses("fmow", tmp_path, 0)
    listing = source.splits["test"]
    labels = torch.from_numpy(listing.labels)
    logits = 10.0 * torch.eye(62)[labels]
    logits[listing.groups.index("Other")] = 0  # guesses class 0, which is wrong
    metrics = classification_metrics(logits, labels, 62, listing.groups)
    assert metrics["worst_group"] == 100 and metrics["accuracy"] < 100
    unknown = classification_metrics(logits, labels, 62, ("Other",) * len(labels))
    assert unknown["worst_group"] is None


def test_accuracy_of_camelyon17_is_that_of_wilds(tmp_path):
    write_camelyon17(tmp_path)
    for seed in range(4):
        theirs, ours = both("camelyon17", tmp_path, seed)
        assert ours["accuracy"] == pytest.approx(100 * theirs["acc_avg"])


def test_averages_over_groups_are_those_of_a_data_frame():
    values = torch.tensor([1.0, 0, 1, 1, 0, 0, 1])
    groups = torch.tensor([3, 0, 0, 3, 4, 3, 1])
    means, sizes = wilds_repairs.average_over_groups(values, groups, 6)
    expected = pd.DataFrame({"value": values, "group": groups}).groupby("group")["value"]
    assert means.tolist() == pytest.approx(expected.mean().reindex(range(6), fill_value=0).tolist())
    assert sizes.tolist() == expected.size().reindex(range(6), fill_value=0).tolist()


def test_wilds_asks_nobody_for_a_newer_version_and_leaves_pillow_as_it_was():
    before = Image.MAX_IMAGE_PIXELS
    wilds = wilds_repairs.repaired()
    assert wilds.version.check_outdated is None
    assert sys.modules.get("outdated", "absent") == "absent"
    assert Image.MAX_IMAGE_PIXELS == before and before < 10**9


def packed(root, name, evil=None):
    """Returns the archive of a dataset at the place where it is downloaded to, and is all."""
    folder = WRITE[name](root / "elsewhere")
    archive = wilds_sets.folder_of(name, root) / "archive.tar.gz"
    archive.parent.mkdir(parents=True)
    with tarfile.open(archive, "w:gz") as files:
        for entry in sorted(folder.iterdir()):
            files.add(entry, entry.name)
        if evil:
            files.add(folder / "metadata.csv", evil)
    return archive


@pytest.mark.parametrize("name", WRITE)
def test_an_archive_that_is_there_is_unpacked_and_removed(tmp_path, name):
    archive = packed(tmp_path, name)
    assert len(wilds_sets.download(name, tmp_path).splits["train"]) == 2
    assert not archive.exists()


def test_an_archive_puts_nothing_outside_of_its_folder(tmp_path):
    packed(tmp_path, "camelyon17", "../evil.csv")
    line = refused(CorruptDataset, wilds_sets.download, "camelyon17", tmp_path)
    assert "evil.csv" in line
    assert not (tmp_path / "evil.csv").exists()


def test_an_archive_that_was_cut_short_is_refused(tmp_path):
    archive = packed(tmp_path, "camelyon17")
    archive.write_bytes(archive.read_bytes()[:300])
    assert str(archive) in refused(CorruptDataset, wilds_sets.download, "camelyon17", tmp_path)


def test_a_download_without_a_network_says_where_to_put_the_archive(tmp_path, monkeypatch):
    monkeypatch.setattr(wilds_sets, "BUNDLES", "http://127.0.0.1:9/{}")
    line = refused(MissingDataset, wilds_sets.download, "fmow", tmp_path)
    assert str(tmp_path / "fmow_v1.1" / "archive.tar.gz") in line
    assert not list((tmp_path / "fmow_v1.1").iterdir())
