"""A reference that was unpacked is, byte for byte, what was packed, without what is not kept."""

import json

import numpy as np
import pytest

from tests.helpers.small_results import (
    PROBE,
    PROMPT,
    SIDES,
    TEXT,
    WANTED,
    configuration,
    edit,
    edit_arrays,
    found,
    put,
    run_file,
)
from vpbench.common.errors import UserError
from vpbench.experiment.side_files import painted_examples
from vpbench.records import archive, reference
from vpbench.spec.grid import expand
from vpbench.verify import verification

COMMIT = "1" * 40
SHOWN = WANTED._replace(config=configuration(analyses={"prompt_gallery": {}}))


def records_of(results):
    """Returns the paths of the records in a folder of results."""
    paths = [
        *results.glob("runs/*/*/*/*/*/seed?.json"),
        *results.glob("measurements/*/*/*_twin.json"),
    ]
    return sorted(paths)


@pytest.fixture
def finished(results):
    """Returns results of one commit."""
    for path in records_of(results):
        edit(path, put("commit", COMMIT))
    return results


@pytest.fixture
def unpacked(finished, tmp_path):
    """Returns a function of a `Grid` that returns what was packed of it and unpacked."""

    def again(wanted=WANTED):
        packed = tmp_path / "reference.xz"
        reference.pack(finished, wanted, packed)
        reference.unpack(packed, wanted, tmp_path / "unpacked", "given.yaml", painted_examples)
        return tmp_path / "unpacked"

    return again


def refused(results, tmp_path):
    """Returns the line that packing is refused with; nothing is left of it."""
    packed = tmp_path / "reference.xz"
    with pytest.raises(UserError) as caught:
        reference.pack(results, WANTED, packed)
    assert not packed.exists() and "\n" not in str(caught.value)
    return str(caught.value).replace(f"{results}/", "")


def test_what_is_kept_is_as_it_was(unpacked, finished):
    there = unpacked(SHOWN)
    assert [path.relative_to(there) for path in records_of(there)] == [
        path.relative_to(finished) for path in records_of(finished)
    ]
    for path in records_of(there):
        before = json.loads((finished / path.relative_to(there)).read_text())
        text = json.dumps(before, indent=1) + "\n"  # as a run writes it
        assert path.read_text() == text
    sides = sorted(path.relative_to(there) for path in there.rglob("*.npz"))
    names = [f"runs/smoke/{PROMPT}.examples.npz", "measurements/smoke/deployability/"]
    assert str(sides[0]) == names[1] + "eurosat_twin.arrays.npz" and len(sides) == 6
    assert names[0] in map(str, sides)
    for side in sides:
        with np.load(there / side) as kept, np.load(finished / side) as whole:
            lacking = set(whole) - set(kept)
            assert lacking == (
                {"confidence", "log_probability"} if "predictions" in side.name else set()
            )
            for name in kept:
                assert kept[name].dtype == whole[name].dtype
                np.testing.assert_array_equal(kept[name], whole[name])


def test_only_what_figures_show_of_prompts_is_kept(unpacked):
    assert not list(unpacked(WANTED).rglob("*.examples.npz"))
    assert not list(unpacked(SHOWN).rglob("*.safetensors"))


def test_the_same_records_give_the_same_archive(finished, tmp_path):
    for name in ("a.xz", "b.xz"):
        reference.pack(finished, SHOWN, tmp_path / name)
    assert (tmp_path / "a.xz").read_bytes() == (tmp_path / "b.xz").read_bytes()
    assert archive.read(tmp_path / "a.xz")[0] == {
        "scale": "smoke",
        "configuration": reference.configuration_digest(SHOWN),
        "commit": COMMIT,
        "runs": 4,
        "measurements": 1,
        "not kept": reference.NOT_KEPT,
    }


def test_ids_and_labels_are_there_once(finished, tmp_path):
    reference.pack(finished, WANTED, tmp_path / "a.xz")
    sections = archive.read(tmp_path / "a.xz")[1]
    lists = [json.loads(line) for line in sections["lists"].splitlines()]
    with np.load(run_file(finished, TEXT, SIDES)) as arrays:
        names = ("id", "label", "group", "validation_label")
        assert lists == [arrays[name].tolist() for name in names]
        images = len(arrays["label"]) + len(arrays["validation_label"])
    assert len(sections["answers"]) == 4 * images  # a byte for each, of four runs


def test_it_is_verified_and_says_what_is_not_checked(unpacked):
    there = unpacked(SHOWN)
    report = verification.verify(there, WANTED, "given.yaml")
    assert report.problems == []
    assert report.counts == {"runs": 4, "measurements": 1, "manifests": 2}
    (note,) = report.notes
    assert note == (
        f"{there}: a reference that was unpacked; not kept, and not checked, are prompts, example "
        "pictures, confidences and log-probabilities"
    )


@pytest.mark.slow
def test_what_can_be_evaluated_again_without_the_prompts_is(unpacked):
    report = verification.verify(unpacked(), WANTED, "given.yaml", deep=True)
    assert report.problems == [] and report.counts["evaluated again"] == 1  # the text prompt


def test_only_there_may_anything_lack(unpacked):
    there = unpacked()
    (there / reference.MARK).unlink()
    lines = found(there)
    assert len(lines) == 4 and all("lacks the array confidence" in line for line in lines)


def test_what_is_wrong_in_it_is_found(unpacked):
    there = unpacked(SHOWN)
    edit_arrays(run_file(there, PROBE, SIDES), prediction=lambda array: (array + 1) % 10)
    edit_arrays(run_file(there, PROMPT, ".examples.npz"), prompted=lambda array: 255 - array)
    first, second = sorted(found(there))
    assert f"{PROBE}.json: selection" in first and "accuracy" in first
    assert f"{PROMPT}.examples.npz: prompted is not" in second


def test_manifests_of_a_reference_are_no_jobs_of_the_results_it_lies_in(unpacked, finished):
    unpacked().rename(finished / "reference")
    report = verification.verify(finished, WANTED, "given.yaml")
    assert report.problems == report.notes == []


def test_a_record_that_is_missing_is_not_packed(finished, tmp_path):
    run_file(finished, TEXT).unlink()
    assert refused(finished, tmp_path).startswith(f"runs/smoke/{TEXT}.json: not read, No such file")


def test_a_side_file_that_is_missing_is_not_packed(finished, tmp_path):
    run_file(finished, PROBE, SIDES).unlink()
    assert refused(finished, tmp_path).startswith(f"runs/smoke/{PROBE}{SIDES} is missing")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("2" * 40, "made by different commits of the code"),
        (f"{COMMIT}-dirty", "with changes that are in no commit"),
        (None, "holds no commit"),
    ],
)
def test_records_of_several_commits_or_of_code_in_none_are_not_packed(
    finished, tmp_path, said, words
):
    edit(run_file(finished, TEXT), put("commit", said))
    assert words in refused(finished, tmp_path)


def test_a_record_of_another_spec_is_not_packed(finished, tmp_path):
    edit(run_file(finished, PROMPT), put("spec", "settings", "lr", 7))
    line = refused(finished, tmp_path)
    assert line == f"runs/smoke/{PROMPT}.json: settings.lr is 7, but 5 is asked for"


def test_answers_that_are_of_no_class_are_not_packed(finished, tmp_path):
    edit_arrays(run_file(finished, TEXT, SIDES), prediction=lambda array: array + 300)
    assert refused(finished, tmp_path).endswith("prediction is not one of 10 classes")


def test_an_archive_of_another_configuration_is_refused(finished, tmp_path):
    reference.pack(finished, WANTED, tmp_path / "a.xz")
    less = expand(
        configuration(grid={"main": {"methods": ["text_prompt"], "seeds": [0]}}, measurements={}),
        "",
    )
    with pytest.raises(UserError) as caught:
        reference.unpack(tmp_path / "a.xz", less, tmp_path / "out", "less.yaml", painted_examples)
    assert "was packed for another configuration than less.yaml" in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("section", "change"),
    [
        ("runs", lambda lines: lines.replace(b'"seed":0', b'"seed":1', 1)),  # another place
        ("runs", lambda lines: lines.replace(b'"lists":{"id":0', b'"lists":{"id":99', 1)),
        ("runs", lambda lines: lines.replace(b'"lists":{"id"', b'"lists":{"../id"', 1)),
        ("runs", lambda lines: b"[]\n" + lines),
        ("runs", lambda lines: lines.split(b"\n", 1)[1]),
        ("runs", lambda lines: b"\xff" + lines),
        ("lists", lambda lines: lines.replace(b'"', b"", 1)),
        ("answers", lambda content: content[:-1]),
        ("bits", lambda content: b""),
        ("canvases", lambda content: content[:-4]),
        ("runs", lambda lines: lines.replace(b'"canvas":[3,', b'"canvas":[-3,', 1)),
        ("runs", lambda lines: lines.replace(b'"canvas":[3,', b'"canvas":[3000000000000000,', 1)),
    ],
)
def test_an_archive_whose_content_does_not_fit_is_one_line(finished, tmp_path, section, change):
    facts = reference.pack(finished, SHOWN, tmp_path / "a.xz")
    sections = archive.read(tmp_path / "a.xz")[1]
    archive.write(tmp_path / "b.xz", facts, sections | {section: change(sections[section])})
    with pytest.raises(UserError) as caught:
        reference.unpack(tmp_path / "b.xz", SHOWN, tmp_path / "out", "it", painted_examples)
    assert f"{tmp_path}/b.xz: no archive of records, or a damaged one" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_answer_has_as_many_bytes_as_its_classes_need():
    assert [reference.answer_type(classes).itemsize for classes in (2, 256, 257, 21843)] == [
        1,
        1,
        2,
        2,
    ]
