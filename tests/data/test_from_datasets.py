"""Datasets in Python as tasks."""

import re

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image
from torch.utils.data import DataLoader, Subset, TensorDataset

from tests.helpers.checkout import ROOT
from tests.helpers.fake_datasets import COLOURS, NAMES, Pictures, Rows, put_examples, speckled
from tests.helpers.messages import complains
from vpbench.common.errors import UserError
from vpbench.data import stored_images
from vpbench.data.from_datasets import from_datasets
from vpbench.spec.preprocessing import Preprocessing, preprocess

SMALL = Preprocessing(8, 8)


def read(*datasets, preprocessing=SMALL, **options):
    """Returns the task of datasets, read."""
    return from_datasets(*datasets, **{"class_names": NAMES} | options).load(preprocessing)


def test_the_items_of_datasets_are_the_images_and_labels_of_a_task():
    train, test, validation = Pictures(6), Pictures(3, 100), Pictures(4, 200)
    source = from_datasets(train, test, validation, class_names=NAMES, name="pets")
    assert (source.name, source.class_names) == ("pets", NAMES)
    assert source.splits == ("train", "validation", "test")
    assert train.asked == []  # read when it is known for which backbone
    task = source.load(SMALL)
    assert train.asked == [0, 1, 2, 3, 4, 5]  # once, in order
    assert list(task.splits) == ["train", "validation", "test"]
    part = task.splits["validation"]
    assert part.labels.tolist() == [0, 1, 2, 0] and part.hashes is None
    assert part.ids == ("validation/0", "validation/1", "validation/2", "validation/3")
    expected = preprocess(speckled(1, 201), SMALL)
    assert np.array_equal(part.images[1].numpy(), expected)
    assert (task.preprocessing, task.notes) == (SMALL, ())
    assert task.facts["paper_validation"] is True


def test_a_task_that_was_read_is_kept_until_another_backbone_asks():
    train = Pictures(6)
    source = from_datasets(train, class_names=NAMES)
    task = source.load(SMALL)
    assert source.load(SMALL._replace(mean=(0.5,) * 3, std=(0.5,) * 3)) is task  # same pixels
    assert len(train.asked) == 6
    assert source.load(Preprocessing(16, 16)).splits["train"].images.shape == (6, 16, 16, 3)
    assert len(train.asked) == 12


def test_splits_are_objects_and_one_that_is_not_there_is_refused():
    source = from_datasets(Pictures(6), Pictures(3), class_names=NAMES, name="pets")
    task, split = source.test.load(SMALL)
    assert (split, task is source.load(SMALL)) == ("test", True)
    assert task.train == (task, "train") and task.train.load(SMALL) == (task, "train")
    for each in (source, task):
        with complains(UserError, "pets has no validation split", "train, test"):
            each.validation  # noqa: B018


KINDS = {
    "rows first": lambda image: np.asarray(image),
    "channels first": lambda image: np.asarray(image).transpose(2, 0, 1),
    "torch, rows first": lambda image: torch.from_numpy(np.array(image)),
    "torch, channels first": lambda image: torch.from_numpy(np.array(image)).permute(2, 0, 1),
    "palette": lambda image: image.quantize(256),
}


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_of_every_kind_give_the_same_task(kind):
    usual, other = read(Pictures(6)), read(Pictures(6, made=KINDS[kind]))
    assert other.data_hash == usual.data_hash


def test_grey_values_are_read_with_and_without_an_axis_of_channels():
    grey = np.arange(80, dtype=np.uint8).reshape(8, 10)
    expected = preprocess(Image.fromarray(grey).convert("RGB"), SMALL)
    for picture in (grey, grey[:, :, None], grey[None], torch.from_numpy(grey)):
        images = read([(picture, 0), (picture, 1)]).splits["train"].images
        assert np.array_equal(images[1].numpy(), expected)


def test_a_picture_is_turned_upright_and_put_on_white_as_a_file_is():
    upright = Image.new("RGB", (8, 8))
    upright.paste((200, 0, 0), (0, 0, 8, 4))  # red above
    turned = upright.transpose(Image.Transpose.ROTATE_90)  # and here on the left
    tags = Image.Exif()
    tags[ExifTags.Base.Orientation] = 6  # turn it to the right to see it
    turned.info["exif"] = tags.tobytes()
    clear = np.zeros((8, 8, 4), np.uint8)
    task = read([(turned, 0), (clear, 1)])
    images = task.splits["train"].images
    assert images[0, 0, :, 0].tolist() == [200] * 8 and images[0, 7, :, 0].tolist() == [0] * 8
    assert torch.equal(images[1], torch.full((8, 8, 3), 255, dtype=torch.uint8))
    assert task.notes[1:] == (
        "images turned upright by their orientation tag: 1",
        "images with transparency, put on white: 1",
    )


def test_rows_with_named_columns_bring_their_images_labels_and_class_names():
    rows = Rows(6, columns=("img", "fine_label"))
    task = read(rows, class_names=None, columns=("img", "fine_label"))
    assert task.class_names == NAMES
    assert task.data_hash == read(Pictures(6)).data_hash
    with complains(UserError, "dataset train: item 0", "'image'", "img, fine_label", "columns="):
        read(rows)
    with complains(UserError, "dataset train has no 'label'", "img, fine_label", "columns="):
        read(rows, class_names=None)


def test_the_classes_of_torchvision_are_those_of_the_task_and_must_be_one_list():
    train, test = Pictures(6), Pictures(3)
    train.classes = list(NAMES)
    assert from_datasets(train, test).class_names == NAMES
    test.classes = ["cat", "dog", "yak"]
    with complains(UserError, "test has other classes than train", "owl, yak", "class_names"):
        from_datasets(train, test)
    test.classes = ["dog", "cat", "owl"]
    with complains(UserError, "test has other classes than train", "another order"):
        from_datasets(train, test)
    assert from_datasets(train, test, class_names=NAMES).class_names == NAMES


def test_datasets_of_torch_are_read_as_they_are():
    images = torch.randint(0, 256, (6, 3, 8, 8), dtype=torch.uint8)
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    whole = TensorDataset(images, labels)
    task = read(whole, Subset(whole, [4, 1]))
    assert torch.equal(task.splits["train"].images, images.permute(0, 2, 3, 1))
    assert task.splits["test"].labels.tolist() == [1, 1]


def stream():
    yield speckled(0, 0), 0


@pytest.mark.parametrize(
    "dataset, facts",
    [
        (stream(), ("generator", "without a length", "list")),
        ({"train": Pictures(3)}, ("a dict of train", "one split each")),
        ("photos/", ("'photos/'", "from_folder")),
        (7, ("int", "without a length")),
        (type("Unsized", (list,), {"__len__": lambda self: -1})(), ("Unsized", "without a length")),
        ({1, 2}, ("set", "no number", "a list")),
        ([], ("has no items",)),
        (DataLoader(Pictures(3)), ("DataLoader", "batches", "dataset")),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_has_no_items_by_number_is_refused_at_once(dataset, facts):
    with complains(UserError, "dataset train", *facts):
        from_datasets(dataset, class_names=NAMES)


def of_label(label):
    return [(speckled(0, 0), 0), (speckled(1, 1), label)]


@pytest.mark.parametrize("label", [3, -1, np.int64(3), torch.tensor(3)])
def test_a_label_of_no_class_is_refused_with_the_number_of_its_item(label):
    with complains(UserError, "dataset train: item 1", f"label is {int(label)}", "from 0 to 2"):
        read(of_label(label))


@pytest.mark.parametrize(
    "label", [1.0, "dog", None, True, torch.tensor(True), np.bool_(True), torch.tensor([0, 1])]
)
def test_a_label_that_is_no_whole_number_is_refused(label):
    with complains(UserError, "dataset train: item 1", "label is", "a whole number"):
        read(of_label(label))


def test_labels_may_be_numbers_of_numpy_and_torch():
    labels = (np.int32(2), np.uint8(2), torch.tensor(2), 2)
    task = read([(speckled(2, n), label) for n, label in enumerate(labels)])
    assert task.splits["train"].labels.tolist() == [2, 2, 2, 2]


PICTURE = np.zeros((8, 8, 3), np.uint8)


@pytest.mark.parametrize(
    "item, facts",
    [
        ((torch.zeros(3, 8, 8), 0), ("float32 [3, 8, 8]", "normalisation", "ToTensor")),
        ((np.zeros((8, 8, 3)), 0), ("float64 [8, 8, 3]", "normalisation", "ToTensor")),
        ((PICTURE.astype(np.int64), 0), ("int64 [8, 8, 3]", "uint8")),
        ((np.zeros((3, 8, 3), np.uint8), 0), ("uint8 [3, 8, 3]", "which side")),
        ((np.zeros((8, 8, 2), np.uint8), 0), ("uint8 [8, 8, 2]", "no side")),
        ((np.zeros((0, 8, 3), np.uint8), 0), ("uint8 [0, 8, 3]",)),
        ((np.zeros((2, 8, 8, 3), np.uint8), 0), ("uint8 [2, 8, 8, 3]",)),
        (("cat/1.jpg", 0), ("'cat/1.jpg' is no picture", "a PIL image")),
        ((Image.new("I", (8, 8)), 0), ("more than 8 bits",)),
        ((Image.new("RGB", (1, 900)), 0), ("1 x 900",)),
        ((PICTURE, 0, {}), ("a tuple of 3", "(image, label)")),
        (PICTURE, ("a ndarray", "(image, label)")),
    ],
)
def test_an_item_that_is_no_picture_and_label_is_refused_with_its_number(item, facts):
    with complains(UserError, "dataset test: item 2", *facts):
        read(Pictures(6), [*map(Pictures(2).__getitem__, range(2)), item])


def test_a_dataset_that_fails_is_told_with_the_number_of_the_item_and_the_cause():
    def broken(image):
        raise KeyError("no such column")

    with complains(UserError, "pets train: item 0", "KeyError", "no such column"):
        read(Pictures(6, made=broken), name="pets")
    with pytest.raises(UserError) as error:
        read(Pictures(6, made=broken))
    assert isinstance(error.value.__cause__, KeyError)  # their traceback, for them to mend it


@pytest.mark.parametrize(
    "names, facts",
    [
        (None, ("no names of classes", "class_names")),
        ("cat", ("'cat'", "a list of names")),
        (["cat", 7], ("7 is no name",)),
        (["cat", "a\nb"], ("no name in one line",)),
        (["cat", "Cat"], ("the same text", "'cat'", "'Cat'")),
        (["cat"], ("two classes or more",)),
    ],
)
def test_class_names_that_are_none_are_refused_at_once(names, facts):
    with complains(UserError, *facts):
        from_datasets(Pictures(6), class_names=names)


def test_other_words_that_make_no_sense_are_refused_at_once():
    with complains(UserError, "there is no dataset"):
        from_datasets(None, class_names=NAMES)
    with complains(UserError, "name ''", "in one line"):
        from_datasets(Pictures(6), class_names=NAMES, name="")
    with complains(UserError, "template 7"):
        from_datasets(Pictures(6), class_names=NAMES, template=7)
    with complains(UserError, "columns 'image'", "two"):
        from_datasets(Pictures(6), class_names=NAMES, columns="image")


def test_a_dataset_to_evaluate_may_be_a_test_split_of_one_class():
    task = read(None, [(speckled(0, 0), 0)], class_names=["cat"])
    assert (list(task.splits), task.class_names) == (["test"], ("cat",))


def test_images_in_two_splits_and_absent_classes_are_counted_and_said(capsys):
    fields = np.random.default_rng(0).integers(0, 256, (8, 9, 3), dtype=np.uint8)
    large = Image.fromarray(fields).resize((450, 360), Image.Resampling.NEAREST)
    train = [(large, 0), (speckled(1, 1), 1)]
    test = [(large.resize((225, 180)), 0), (speckled(1, 1), 1), (speckled(1, 2), 1)]
    task = read(train, test)
    assert task.notes == (
        "classes without an image in train: owl",
        "classes without an image in test: owl",
        "images in train and in test, pixel for pixel: 1",
        "images of test equal or nearly equal to one of train, by their 64-bit difference hash: 1",
    )
    said = capsys.readouterr().err.splitlines()
    assert [line for line in said if line.startswith("dataset: ")] == [
        f"dataset: {note}" for note in task.notes
    ]


def test_many_photographs_are_mapped_and_never_held_at_full_size(tmp_path, monkeypatch):
    monkeypatch.setenv("VPBENCH_DATA", str(tmp_path))
    monkeypatch.setattr(stored_images, "IN_MEMORY", 8 * 8 * 3)
    held, most = set(), []

    class Photo(Image.Image):
        def __del__(self):
            held.discard(id(self))

    def photo(image):
        large = image.resize((120, 100))
        large.__class__ = Photo
        held.add(id(large))
        most.append(len(held))
        return large

    mapped = read(Pictures(20, made=photo))
    assert max(most) <= 3  # the one at hand and the one before it
    monkeypatch.setattr(stored_images, "IN_MEMORY", 2**30)
    assert mapped.data_hash == read(Pictures(20, made=photo)).data_hash


def test_colours_come_in_the_order_of_their_labels():
    images = read(Pictures(3)).splits["train"].images.double().mean((1, 2))
    assert images.argmax(1).tolist() == [colour.index(200) for colour in COLOURS]


def test_the_page_of_datasets_gives_three_times_the_same_task(tmp_path, monkeypatch):
    put_examples(tmp_path, monkeypatch)
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs/own-datasets.md").read_text()
    counts = []
    for block in re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE):
        names = {}
        exec(compile(block, "own-datasets.md", "exec"), names)
        assert names["task"].class_names == NAMES
        task = names["task"].load(SMALL)
        counts.append([task.splits[split].labels.bincount().tolist() for split in task.splits])
    assert counts == [[[4, 4, 4], [2, 2, 2], [2, 2, 2]]] * 3
