"""Records and manifests that are missing, elsewhere, cut off or not asked for."""

import json

import pytest

from tests.helpers.small_results import (
    PROMPT,
    SIDES,
    TEXT,
    UNIT,
    WANTED,
    alone,
    configuration,
    edit,
    put,
    run_file,
)
from vpbench.spec.grid import expand
from vpbench.verify import verification


def test_what_the_runs_wrote_is_right(results):
    report = verification.verify(results, WANTED, "given.yaml")
    assert report.problems == report.notes == []
    assert report.counts == {"runs": 4, "measurements": 1, "manifests": 2}


@pytest.mark.parametrize(
    "name",
    [
        *(PROMPT + suffix for suffix in (SIDES, ".prompt.safetensors", ".prompt.json")),
        *(PROMPT + ".examples.npz", TEXT + SIDES),
    ],
)
def test_a_side_file_that_is_missing_is_found(results, name):
    (results / "runs/smoke" / name).unlink()
    line = alone(results)
    assert line.startswith(f"runs/smoke/{name} is missing")


def test_a_record_that_is_missing_is_listed_once(results):
    run_file(results, TEXT).unlink()
    assert (
        alone(results) == f"runs/smoke/{TEXT}.json: is missing, though runs/smoke/{UNIT} lists it"
    )
    (results / "runs/smoke" / UNIT).unlink()
    assert alone(results) == f"runs/smoke/{UNIT}: is missing, and 1 of its 4 records are"


def test_a_record_in_another_place_is_told_where_it_belongs(results):
    path = run_file(results, TEXT)
    path.rename(path.with_name("seed7.json"))
    moved = path.with_name("seed7.json").relative_to(results)
    expected = f"{moved}: holds the record of runs/smoke/{TEXT}.json; move it there, or delete it"
    assert alone(results) == expected


def test_a_record_that_nothing_asks_for_is_no_problem_but_checked(results):
    less = expand(configuration(grid={"main": {"methods": ["visual_prompt"], "seeds": [0]}}),
                       "less.yaml")  # fmt: skip
    report = verification.verify(results, less, "less.yaml")
    (problem,) = report.problems  # the job has another list now
    assert problem.line.endswith(f"{UNIT}: lists 4 records, less.yaml asks for 1")
    (note,) = report.notes
    assert note.endswith("runs/smoke/eurosat_twin: 3 records that less.yaml does not ask for")
    edit(run_file(results, TEXT), put("trained_parameters", 1))
    assert len(verification.verify(results, less, "less.yaml").problems) == 2


def test_an_edited_manifest_is_found(results):
    edit(results / "runs/smoke" / UNIT, put("records", 0, "spec", "seed", 1))
    assert alone(results).startswith(f"runs/smoke/{UNIT}: digest is")


def test_what_was_half_written_is_found(results):
    part = results / "runs/smoke/eurosat_twin/.seed0.json.77.part"
    part.write_text("{")
    assert alone(results).startswith("runs/smoke/eurosat_twin/.seed0.json.77.part: was never")


def test_any_file_that_is_cut_off_is_found_alone(results):
    files = sorted(path for path in results.rglob("*.*") if path.is_file())
    assert len(files) == 15
    for path in files:
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        stem = path.relative_to(results).as_posix().split(".")[0]
        assert alone(results).startswith(f"{stem}.")
        path.write_bytes(whole)


@pytest.mark.parametrize("value", [None, 5, "text", [], {}, [[]], {"test": []}])
def test_no_value_of_a_wrong_kind_ends_the_verification(results, value):
    path = run_file(results, PROMPT)
    whole = path.read_text()
    for key in ("schema", "spec", "task", "backbone", "rule", "selection", "history", "hashes"):
        if (key, value) == ("schema", 1):
            continue
        edit(path, put(key, value))
        assert alone(results).startswith(f"runs/smoke/{PROMPT}.json")
    path.write_text(json.dumps(value))
    assert alone(results).startswith(f"runs/smoke/{PROMPT}.json")
    path.write_text(whole)


def test_the_scale_of_another_configuration_is_refused_in_one_line(results):
    other = expand(configuration(scale="lab"), "lab.yaml")
    with pytest.raises(ValueError, match=r"has no runs of the scale lab of lab.yaml \(but of: smo"):
        verification.verify(results, other, "lab.yaml")
