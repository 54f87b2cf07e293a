import hashlib

import pytest

from tests.helpers.messages import complains
from tests.helpers.tiny import numbered_task
from vpbench.data.datasets.source import CorruptDataset, Source, check_names
from vpbench.spec import class_names
from vpbench.spec.class_names import MANIFESTS, read_manifest
from vpbench.spec.dataset_facts import FACTS
from vpbench.spec.tasks import TASKS
from vpbench.spec.text_prompts import refine_class_name, text_prompts, worded

READINGS = [name for name in MANIFESTS if "." in name]


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_list_has_the_hash_that_is_written_down(name):
    data = (class_names.FOLDER / f"{name}.txt").read_bytes()
    assert hashlib.sha256(data).hexdigest() == MANIFESTS[name]
    assert read_manifest(name) == tuple(data.decode().rstrip("\n").split("\n"))


def test_every_file_is_listed_and_every_real_dataset_has_a_list():
    assert sorted(path.stem for path in class_names.FOLDER.iterdir()) == sorted(MANIFESTS)
    assert set(FACTS) <= set(MANIFESTS) | {"digits", "mnist_5k"}


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_list_has_a_name_for_each_class_of_table_6(name):
    assert len(read_manifest(name)) == FACTS[name.partition(".")[0]].classes


@pytest.mark.parametrize("name", MANIFESTS)
def test_the_names_of_a_list_make_different_prompts_but_where_iwildcam_repeats_itself(name):
    names = [refine_class_name(each) for each in read_manifest(name)]
    twice = {i for i, each in enumerate(names) if names.count(each) > 1}
    expected = {
        "iwildcam": {153, 181},
        "iwildcam.english": {3, 148, 19, 174, 82, 178, 153, 181},  # synonyms become one name
    }
    assert twice == expected.get(name, set())


@pytest.mark.parametrize("name", MANIFESTS)
def test_nothing_is_left_in_a_name_that_the_refinement_does_not_turn_into_words(name):
    text = " ".join(map(refine_class_name, read_manifest(name)))
    assert not set("_-/?\t\r") & set(text)


@pytest.mark.parametrize("name", ["cifar100", "cifar10", "food101", "dtd", "resisc45", "fmow"])
def test_labels_that_are_numbers_of_sorted_names_are_in_that_order(name):
    assert list(read_manifest(name)) == sorted(read_manifest(name))


def test_oxford_pets_are_in_alphabetical_order_cats_and_dogs_mixed():
    names = read_manifest("oxfordpets")
    assert names[:3] == ("abyssinian", "american_bulldog", "american_pit_bull_terrier")
    assert list(names) == sorted(names)


def test_camelyon_names_the_healthy_class_first():
    template = TASKS["camelyon17"].template
    assert text_prompts(template, read_manifest("camelyon17")) == [
        "a tissue region not containing tumor",
        "a tissue region containing tumor",
    ]


def test_the_readings_that_the_paper_leaves_open_are_there():
    assert sorted(READINGS) == ["eurosat.folders", "iwildcam.english", "svhn.words"]
    assert read_manifest("svhn") == tuple("0123456789")
    assert read_manifest("svhn.words")[::9] == ("zero", "nine")
    assert (read_manifest("eurosat")[9], read_manifest("eurosat.folders")[9]) == (
        "Sea or Lake",
        "SeaLake",
    )
    assert (read_manifest("iwildcam")[1], read_manifest("iwildcam.english")[1]) == (
        "tayassu pecari",
        "White-lipped peccary",
    )
    assert read_manifest("clevr")[::7] == ("three", "ten")


def test_the_sub_folders_of_sun_are_read_backwards():
    names = read_manifest("sun397")
    assert names[9] == "indoor apse" and names[0] == "abbey" and names[-1] == "youth_hostel"
    assert names[337] == "platform subway_station"


def test_flowers_are_called_as_in_torchvision_but_for_its_stray_question_mark():
    from torchvision.datasets import Flowers102

    differing = [
        pair for pair in zip(read_manifest("flowers102"), Flowers102.classes, strict=True)
        if pair[0] != pair[1]
    ]  # fmt: skip
    assert differing == [("pink-yellow dahlia", "pink-yellow dahlia?")]


def test_a_list_that_is_not_there_is_refused_with_those_that_are():
    with complains(ValueError, "class_names", "'svhn.roman'", "did you mean svhn.words"):
        read_manifest("svhn.roman")


def test_a_list_that_was_changed_is_refused(tmp_path, monkeypatch):
    (tmp_path / "svhn.txt").write_text("nil\n")
    monkeypatch.setattr(class_names, "FOLDER", tmp_path)
    with complains(ValueError, tmp_path / "svhn.txt", "changed", "SHA-256", "restore it"):
        read_manifest("svhn")


def test_a_task_is_worded_by_the_name_of_a_list():
    task = numbered_task({"train": 10}, classes=8)
    settings = {"text_prompt": None, "class_names": "clevr"}
    assert worded(task, settings).class_names == read_manifest("clevr")
    with complains(ValueError, "class_names", "10 names", "numbered", "8 classes"):
        worded(task, settings | {"class_names": "svhn.words"})


def test_a_dataset_whose_classes_are_called_otherwise_is_refused_by_the_first_of_them():
    names = list(read_manifest("eurosat"))
    names[3], names[4] = names[4], names[3]
    expected = "expected 'Highway or Road'"
    with complains(CorruptDataset, "eurosat", "class 3", "'Industrial Buildings'", expected):
        check_names("eurosat", Source(tuple(names), {}))


def test_capitals_and_underscores_make_no_difference():
    names = tuple(name.replace(" ", "_").upper() for name in read_manifest("eurosat"))
    check_names("eurosat", Source(names, {}))


def test_the_names_of_a_dataset_without_a_list_are_not_compared():
    check_names("mnist_5k", Source(("a", "b"), {}))
