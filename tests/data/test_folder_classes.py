import json
import unicodedata

import pytest

from tests.helpers.folders import SMALL, fill, paint, refusal
from tests.helpers.messages import complains, holds
from tests.helpers.tiny import numbered_task
from vpbench.data import image_folder
from vpbench.data.folder_classes import class_key
from vpbench.spec.folder_names import in_counting_order
from vpbench.spec.text_prompts import worded

FLOWERS = ("daisy", "rose", "tulip", *(f"flower{number}" for number in range(4, 11)))


def test_a_class_file_names_the_sorted_folders(tmp_path):
    fill(tmp_path / "images", 3)
    (tmp_path / "names.txt").write_text("Felis catus\n\nCanis familiaris\nBubo bubo\n")
    task = image_folder.load_folder(tmp_path / "images", SMALL, class_names=tmp_path / "names.txt")
    assert task.class_names == ("Felis catus", "Canis familiaris", "Bubo bubo")


@pytest.mark.parametrize("lines", ["cat\ndog\n", "cat\ndog\nowl\nyak\n", ""])
def test_a_class_list_of_another_length_is_refused_with_the_classes(tmp_path, lines):
    fill(tmp_path / "images", 3)
    (tmp_path / "names.txt").write_text(lines)
    message = refusal(tmp_path / "images", class_names=tmp_path / "names.txt")
    holds(message, "names.txt", f"{len(lines.split())} classes", 3, "cat, dog, owl")


def test_a_class_list_that_is_not_there_is_refused(tmp_path):
    message = refusal(fill(tmp_path, 3), class_names=tmp_path / "names.txt")
    holds(message, tmp_path / "names.txt", "class names", "not read", "No such file")


@pytest.fixture
def numbered(tmp_path):
    """Returns a folder of classes 1 to 10; all pixels of class n are n."""
    for number in range(1, 11):
        for shade in range(3):
            paint(tmp_path / "images" / str(number) / f"{shade}.png", (number, number, shade))
    return tmp_path / "images"


def names_of_pixels(task):
    """Returns number -> name of the class that its images are labelled with."""
    train = task.splits["train"]
    return {
        image[0, 0, 0].item(): task.class_names[label]
        for image, label in zip(train.images, train.labels.tolist(), strict=True)
    }


def load_named(folder, text, **options):
    """Returns the task of `folder`, whose classes a file with `text` names."""
    path = folder.parent / "names"
    path.write_text(text)
    return image_folder.load_folder(folder, SMALL, class_names=path, **options)


RIGHT = dict(enumerate(FLOWERS, start=1))


def test_a_plain_list_for_numbered_folders_is_refused_with_both_readings(numbered):
    (numbered.parent / "names").write_text("\n".join(FLOWERS))
    message = refusal(numbered, class_names=numbered.parent / "names")
    holds(message, "text: rose is 10, tulip is 2", "counting: rose is 2, tulip is 3")
    holds(message, "class_order text or counting", "folder<TAB>name")


@pytest.mark.parametrize("form", ["tabs", "json", "counting", "text"])
def test_it_can_be_said_which_name_is_whose(numbered, form, capsys):
    if form == "tabs":
        task = load_named(numbered, "".join(f"{n}\t{RIGHT[n]}\n" for n in reversed(RIGHT)))
    elif form == "json":
        task = load_named(numbered, json.dumps(RIGHT))
    elif form == "counting":
        task = load_named(numbered, "\n".join(FLOWERS), class_order="counting")
        assert task.class_names == FLOWERS
    else:
        in_text_order = [RIGHT[int(number)] for number in sorted(map(str, RIGHT))]
        task = load_named(numbered, "\n".join(in_text_order), class_order="text")
    assert names_of_pixels(task) == RIGHT
    (note,) = (note for note in task.notes if note.startswith("classes: "))
    assert "10 = flower10" in note and "2 = rose" in note
    assert f"{numbered}: {note}" in capsys.readouterr().err.splitlines()


def test_classes_may_come_in_counting_order_without_names(numbered):
    task = image_folder.load_folder(numbered, SMALL, class_order="counting")
    assert task.class_names == tuple(map(str, RIGHT))
    assert names_of_pixels(task) == {number: str(number) for number in RIGHT}


def test_an_unknown_order_is_refused(numbered):
    holds(refusal(numbered, class_order="random"), "'random'", "text, counting")


def test_counting_order_puts_2_before_10_and_capitals_among_the_others():
    assert in_counting_order(["b10", "b2", "Zoo", "apple", "10", "9"]) == [
        "9", "10", "apple", "b2", "b10", "Zoo",
    ]  # fmt: skip
    assert in_counting_order(["a11", "a011", "a9", "a09", "a"]) == ["a", "a09", "a9", "a011", "a11"]
    assert in_counting_order(["1" * 5000, "2"]) == ["2", "1" * 5000]


def test_names_of_a_recipe_are_refused_for_folders_with_two_orders(numbered):
    recipe = {"class_names": list(FLOWERS), "text_prompt": None}
    by_source = {"class_names": None, "text_prompt": None, "source_classes": list(FLOWERS)}
    for key, settings in (("class_names", recipe), ("source_classes", by_source)):
        with complains(ValueError, key, "1, 10, 2, 3", "class_order counting"):
            worded(image_folder.load_folder(numbered, SMALL), settings)
    counted = image_folder.load_folder(numbered, SMALL, class_order="counting")
    assert names_of_pixels(worded(counted, recipe)) == RIGHT
    worded(numbered_task({"train": 8}, 8), {"class_names": list("hgfedcba"), "text_prompt": None})


def test_capitals_make_two_orders_as_well(tmp_path):
    for name in ("apple", "Zebra"):
        for number in range(3):
            paint(tmp_path / "images" / name / f"{number}.png")
    (tmp_path / "names").write_text("a fruit\nan animal\n")
    message = refusal(tmp_path / "images", class_names=tmp_path / "names")
    holds(message, "text: a fruit is Zebra", "counting: a fruit is apple")


def test_a_list_that_gives_a_class_the_name_of_another_is_refused(tmp_path):
    (tmp_path / "names").write_text("owl\ncat\ndog\n")
    message = refusal(fill(tmp_path / "images", 3), class_names=tmp_path / "names")
    holds(message, tmp_path / "names", "owl is the class cat", "folder<TAB>name")


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("cat\tA\ndog\tB\n", ("no name for owl",)),
        ("cat\tA\ndog\tB\nowl\tC\nyak\tD", ("no class 'yak'", "cat, dog, owl")),
        ("cat\tA\ncat\tB\nowl\tC", ("the class cat twice",)),
        ("cat\tA\ndog B\nowl\tC", ("'dog B'", "no tab")),
        ("cat\tA\ndog\t\nowl\tC", ("blank",)),
        ("cat\tA\ndog\ta\nowl\tC", ("same text", "'A' and 'a'")),
        ('{"cat": "A", "dog": "B", "owl": 3}', ("3 is no class name",)),
        ('{"cat": "A", "dog": "B"', ("not read",)),
        ("A\nB\nB\n", ("same text", "'B' and 'B'")),
        ("cat,A\ndog,B\nowl,C\n", ("need a tab",)),
        ("cat A\nowl B\ndog C\n", ("need a tab",)),
    ],
)
def test_names_that_leave_a_class_open_are_refused(tmp_path, text, facts):
    (tmp_path / "names").write_text(text)
    message = refusal(fill(tmp_path / "images", 3), class_names=tmp_path / "names")
    holds(message, tmp_path / "names", *facts)


@pytest.mark.parametrize("other", ["CAT", "Cat ", "ca\u0301t"])
def test_two_folders_that_no_text_tells_apart_are_refused_by_name(tmp_path, other):
    first = unicodedata.normalize("NFC", other) if other[0] == "c" else "cat"
    for name in (first, other, "dog"):
        for number in range(3):
            paint(tmp_path / name / f"{number}.png")
    holds(refusal(tmp_path), tmp_path, "rename one", "put them together")


def test_names_of_macos_and_of_others_are_one(tmp_path):
    composed = "caf\u00e9"
    for system in ("mac", "linux"):
        name = unicodedata.normalize("NFD" if system == "mac" else "NFC", composed)
        for number in range(10):
            paint(tmp_path / system / name / f"{number}.png", (number, 1, 1))
            paint(tmp_path / system / "tea " / f"{number}.png", (number, 2, 2))
    mac, linux = (image_folder.load_folder(tmp_path / s, SMALL) for s in ("mac", "linux"))
    assert mac.class_names == linux.class_names == (composed, "tea")
    assert mac.data_hash == linux.data_hash  # the same cut as well


@pytest.mark.parametrize("other", ["sea LION", "Sea_Lion", " sea-lion", "sea  lion"])
def test_a_class_has_one_key_however_it_is_spelled(other):
    assert class_key(other) == class_key("sea lion")
