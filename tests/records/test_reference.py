"""What an archive keeps of the study, and how large it is."""

import numpy as np
import pytest

from tests.helpers.checkout import ROOT, read_config
from tests.helpers.fake_records import record
from vpbench.records import archive, reading, reference
from vpbench.spec.analyses import ANALYSES
from vpbench.spec.grid import expand


@pytest.mark.parametrize("name", ANALYSES)
def test_who_reads_pictures_is_known_to_show_prompts(name):
    text = (ROOT / f"{ANALYSES[name].module.replace('.', '/')}.py").read_text()
    assert ANALYSES[name].draws_prompts == ('"examples")' in text)


@pytest.mark.skipif(not (ROOT / reference.SHIPPED).exists(), reason="it is not made yet")
def test_the_shipped_archive_is_of_the_configuration_of_the_study():
    facts, _ = archive.read(ROOT / reference.SHIPPED)
    wanted = expand(read_config("study"), "study.yaml")
    assert facts["configuration"] == reference.configuration_digest(wanted)


def test_of_the_prompts_that_figures_show_the_first_seed_is_kept():
    config = read_config("lab")
    drawn = reference.drawn(expand(config, "lab"))
    gallery = {path for path in drawn if "/default/" in path}
    assert len(gallery) == len(config["tasks"]) * len(config["backbones"])
    assert all("/visual_prompt/" in path and path.endswith("/seed0.json") for path in drawn)
    assert len(drawn) == len(gallery) + 32  # and of the sizes: 3 forms, 5 sizes and 2 rates, 2 more


def made_up(spec, generator):
    """Returns a record of a run or measurement whose numbers have all their digits."""
    if "measurement" in spec:
        rows = [dict.fromkeys("abcdefgh", value) for value in generator.random(50)]
        rows = [row | {"e": value} for row, value in zip(rows, generator.random(50))]
        run = record(spec["task"], "clip_micro", "text_prompt", 50.0)
        return {"schema": 2, "spec": spec, "task": run["task"], "rows": rows, "versions": {}}
    one = record(spec["task"], spec["backbone"], spec["method"], 100 * generator.random())
    for picked in one["selection"].values():
        for split in ("validation", "test"):
            per_class = list(100 * generator.random(20))
            picked[split] = dict(zip(("accuracy", "nll", "ece"), generator.random(3))) | {
                "per_class": per_class
            }
    one["history"] = [
        {"epoch": epoch} | dict(zip(("loss", "train_accuracy"), generator.random(2)))
        for epoch in range(spec["settings"].get("epochs", 0))
    ]
    return one | {"spec": spec}


def made_up_arrays(one, name, generator):
    """Returns the side file of a record: answers as random as they can be, whole prompts."""
    if name == "examples":
        return {"canvas": generator.normal(size=(3, 56, 56)).astype(np.float32)}
    if name == "arrays":
        return {"correct": generator.random((200, 500)) < 0.5}
    data, classes = one["spec"]["data"], one["task"]["classes"]
    numbers = np.arange(data["test_start"], data["test_start"] + data["test"])
    answers = {
        "prediction": generator.integers(0, classes, data["test"]),
        "validation_label": np.arange(data["validation"]) % classes,
        "validation_prediction": generator.integers(0, classes, data["validation"]),
    }
    ids = {"id": np.array([f"test/{number}" for number in numbers]), "label": numbers % classes}
    return ids | answers | {"group": np.array([""] * len(numbers))}


@pytest.mark.slow
def test_the_archive_of_the_study_is_small_though_nothing_in_it_repeats(tmp_path, monkeypatch):
    wanted = expand(read_config("study"), "study.yaml")
    generator = np.random.default_rng(0)

    def read_of(path, spec):
        measured = "measurement" in spec and spec["measurement"] != "dataset_properties"
        file = tmp_path / "arrays.json" if measured else tmp_path / "none.json"
        return made_up(spec, generator) | {"file": str(file), "commit": "1" * 40}

    (tmp_path / "arrays.arrays.npz").write_bytes(b"")
    monkeypatch.setattr(reading, "read_of", read_of)
    monkeypatch.setattr(reading, "arrays", lambda one, name: made_up_arrays(one, name, generator))
    facts = reference.pack(tmp_path, wanted, tmp_path / "a.xz")
    assert facts["runs"] == len(wanted.specs) > 400
    size = (tmp_path / "a.xz").stat().st_size
    assert 2_000_000 < size < archive.MOST
