"""The photographs that datasets are compared with are looked at by one job."""

import json

import numpy as np
import pytest
from PIL import Image

from tests.helpers.checkout import copy_suite, plan, planned_jobs, read_config, write_config
from vpbench.cli.main import main
from vpbench.experiment import plan as costs
from vpbench.experiment.measurements import frechet
from vpbench.spec import measurement_memory
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
    assert (found["reference"], found["measure"]) == (1, 2)
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
    assert "reference" not in costs.jobs(expand(config, ""))


def test_the_job_leaves_what_the_measuring_jobs_find(tmp_path, monkeypatch):
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
    caches = frechet.load_reference, frechet.photographs
    for cache in caches:
        cache.cache_clear()
    out = tmp_path / "results" / "reference.json"
    assert main(["reference", json.dumps(specs[0]), "--out", str(out), "--device", "cpu"]) == 0
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
