"""The photographs that datasets are compared with are looked at by one job."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from tests.helpers.checkout import (
    copy_suite,
    plan,
    planned_jobs,
    read_config,
    snakemake,
    write_config,
)
from tests.helpers.folders import paint
from vpbench.cli.main import main
from vpbench.experiment import plan as costs
from vpbench.experiment.measurements import frechet
from vpbench.spec import measurement_memory
from vpbench.spec.fingerprints import fingerprint
from vpbench.spec.grid import expand, measurement_specs

SETTINGS = {"extractor": "rn50_micro", "diversity": "features", "weights": None, "seed": 0}
SETTINGS |= {"reference": "photos", "images": 8, "reference_images": 10, "pairs": 6}


def compared(**changes):
    """Returns a configuration of two datasets that are compared with photographs."""
    config = read_config("smoke")
    data = {"train": 24, "validation": 24, "test": 24, "resolution": "backbone"}
    measured = {"runs": {"modality": "vision_language"}, "data": data, "settings": SETTINGS}
    return (
        config
        | {
            "granularity": "per_run",
            "tasks": ["svhn_twin", "dtd_twin"],
            "grid": {"main": {"methods": ["text_prompt"], "seeds": [0]}},
            "measurements": {"dataset_properties": measured},
            "analyses": {"dataset_properties": {"modality": "vision_language"}},
        }
        | changes
    )


def test_one_job_looks_at_the_photographs_and_all_measuring_jobs_wait_for_it(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    suite = copy_suite(tmp_path)
    config = compared()
    output = plan(suite, "--configfile", write_config(suite, config), "--", "all")
    found = planned_jobs(output)
    assert (found["reference_photographs"], found["measure"]) == (1, 2)
    assert found == costs.jobs(expand(config, ""))
    (about,) = {word for word in output.split() if word.startswith("results/references/")}
    assert output.count(f"--out {about}") == 1
    (asked,) = {
        measurement_memory.host_mb(spec)
        for spec in measurement_specs(expand(config, ""), "dataset_properties")
    }
    assert output.count(f"mem_mb={asked},") == 3
    for task in config["tasks"]:
        needs = output.split(f"output: results/measurements/smoke/dataset_properties/{task}.json")
        assert about in needs[0].rsplit("rule measure:", 1)[1]


@pytest.mark.parametrize("change", [{"granularity": "per_task"}, {"reference": None}])
def test_one_process_for_all_datasets_and_the_labs_world_need_no_such_job(change):
    config = compared()
    if "reference" in change:
        config["measurements"]["dataset_properties"]["settings"] = SETTINGS | change
    else:
        config |= change
    assert "reference_photographs" not in costs.jobs(expand(config, ""))


def test_the_job_leaves_what_the_measuring_jobs_find(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("VPBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data" / "photos").mkdir(parents=True)
    generator = np.random.default_rng(0)
    for number in range(40):
        pixels = generator.integers(0, 256, (30, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "data" / "photos" / f"{number}.png")
    config = compared()
    config["measurements"]["dataset_properties"]["settings"] = SETTINGS | {
        "reference": "data/photos"
    }
    specs = measurement_specs(expand(config, ""), "dataset_properties")
    told = fingerprint({"path": str(tmp_path / "data" / "photos")})
    assert {spec["reference_fingerprint"] for spec in specs} == {told}
    caches = frechet.load_reference, frechet.photographs
    for cache in caches:
        cache.cache_clear()
    out = tmp_path / "results" / "reference.json"
    verb = ["reference-photographs", json.dumps(specs[0]), "--out", str(out)]
    assert main([*verb, "--device", "cpu"]) == 0
    assert json.loads(out.read_text())["reference_images"] == 10
    for cache in caches:
        cache.cache_clear()

    def no_more(*_):
        raise AssertionError("a photograph is read again")

    monkeypatch.setattr(frechet, "read_image", no_more)
    assert main(["measure", json.dumps(specs), "--device", "cpu"]) == 0
    found = sorted((tmp_path / "results" / "measurements").rglob("*.json"))
    rows = [json.loads(path.read_text())["rows"][0] for path in found]
    assert len(rows) == 2 and {row["reference"] for row in rows} == {"images of photos"}
    # One more photograph than was asked for
    (tmp_path / "data" / "photos" / "40.png").write_bytes(b"")
    found[0].unlink()
    capsys.readouterr()
    photographs = ["reference-photographs", json.dumps(specs[0]), "--out", "x"]
    for verb in (["measure", json.dumps(specs)], photographs):
        assert main([*verb, "--device", "cpu"]) == 2
        assert "files were added, removed or changed" in capsys.readouterr().err


def requests(output):
    """Returns verb -> the requests of a plan's jobs, whose names tell what is in them."""
    found = {}
    for verb, path in re.findall(r"vpbench (\S+) @(\S+)", output):
        found.setdefault(verb, set()).add(path)
    return found


@pytest.mark.slow
def test_photographs_that_were_added_make_other_jobs_of_measuring_and_of_nothing_else(tmp_path):
    suite, photos = copy_suite(tmp_path / "suite"), tmp_path / "photos"
    paint(photos / "0.png")
    config = compared()
    measured = config["measurements"]["dataset_properties"]
    measured["settings"] = SETTINGS | {"reference": str(photos)}
    before = requests(plan(suite, "--configfile", write_config(suite, config), "--", "all"))
    record = suite / "results/measurements/smoke/dataset_properties/dtd_twin.json"
    record.parent.mkdir(parents=True)
    told = fingerprint({"path": str(photos)})
    record.write_text(json.dumps({"spec": {"reference_fingerprint": told}}))
    paint(photos / "1.png")
    after = requests(plan(suite, "--configfile", write_config(suite, config), "--", "all"))
    assert before.keys() == after.keys() == {"run", "reference-photographs", "measure"}
    assert before["run"] == after["run"]
    assert not before["measure"] & after["measure"]
    assert not before["reference-photographs"] & after["reference-photographs"]
    # Without them what was measured stays, and with their fingerprint it is as it was
    photos.rename(tmp_path / "elsewhere")
    arguments = ("--configfile", write_config(suite, config), "--", "all")
    output = snakemake(suite, "--dry-run", *arguments, succeeds=False)
    assert f"there is no folder {photos}; mend `reference`" in output
    measured["reference_fingerprint"] = told
    given = requests(plan(suite, "--configfile", write_config(suite, config), "--", "all"))
    assert given == before
