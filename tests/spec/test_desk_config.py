import numpy as np
import pytest
from PIL import Image

from tests.helpers.checkout import (
    copy_suite,
    plan,
    planned_jobs,
    planned_specs,
    read_config,
    snakemake,
    write_config,
)
from tests.helpers.messages import holds
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.modalities import MODALITIES
from vpbench.spec.tasks import TASKS

METHODS = {"text_prompt", "visual_prompt", "linear_probe", "fine_tune"}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Returns a folder with twelve noisy pictures of each of two classes, one of them reddish."""
    folder, generator = tmp_path_factory.mktemp("images") / "photos", np.random.default_rng(0)
    for name, red in (("cat", 200), ("dog", 0)):
        (folder / name).mkdir(parents=True)
        for number in range(12):
            pixels = generator.integers(0, 56, (40, 50, 3)) + (red, 0, 0)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{number}.jpg")
    return folder


def test_as_shipped_it_needs_nothing_but_packages():
    config = read_config("desk")
    assert "folders" not in config and config["granularity"] == "per_task"
    assert set(config["tasks"]) == {"digits", "mnist_5k"}
    packaged = ("vpbench.models.desk.", "vpbench.data.datasets.digits")
    modules = [TASKS[task].module for task in config["tasks"]]
    modules += [BACKBONES[name].module for name in config["backbones"]]
    assert all(module.startswith(packaged) for module in modules)
    modalities = {BACKBONES[name].modality for name in config["backbones"]}
    assert modalities == set(MODALITIES)
    assert set(config["grid"]["main"]["methods"]) == METHODS


def test_its_prompts_have_the_papers_share_of_the_image():
    config = read_config("desk")
    sides = {BACKBONES[name].preprocessing[1] for name in config["backbones"]}
    (size,) = {round(30 * side / 224) for side in sides}
    assert config["recipes"]["visual_prompt"]["every_backbone"]["size"] == size


def test_a_folder_is_added_on_the_command_line(suite, photos):
    folder = {"path": str(photos), "template": "one {}"}
    output = plan(
        suite, "--configfile", "config/desk.yaml", "--config", "tasks=[digits,my_photos]",
        f"folders={{my_photos: {{path: {photos}, template: 'one {{}}'}}}}", "--", "all",
    )  # fmt: skip
    config = read_config("desk")
    config |= {"tasks": ["digits", "my_photos"], "folders": {"my_photos": folder}}
    specs = planned_specs(output, config)
    own = [spec for spec in specs if spec["task"] == "my_photos"]
    assert {spec["method"] for spec in own} == METHODS and len(own) == 7
    assert all(spec["folder"]["path"] == str(photos) for spec in own)
    assert {spec["task"] for spec in specs} == {"digits", "my_photos"}
    assert planned_jobs(output)["run_task"] == 4


def test_a_folder_may_not_have_the_name_of_a_dataset(suite):
    output = snakemake(
        suite, "-n", "--configfile", "config/desk.yaml", "--config", "tasks=[eurosat]",
        "folders={eurosat: {path: /somewhere}}", "--", "all", succeeds=False,
    )  # fmt: skip
    (line,) = (line for line in output.splitlines() if "'eurosat'" in line)
    holds(line, "folders", "dataset's name", "rename it")


def small(photos):
    """Returns the configuration for a folder of photographs, with what is quick in place of it."""
    config = read_config("desk")
    config["tasks"], config["task_data"] = ["photos"], {}
    config["folders"] = {"photos": {"path": str(photos)}}
    config["data"] = {"train": 12, "validation": 4, "test": 4, "resolution": "backbone"}
    config["backbones"] = ["clip_micro", "rn50_micro"]
    for recipe in config["recipes"].values():
        changes = recipe.pop("lite0_minilm", None)
        if changes:
            recipe["clip_micro"] = changes
    prompts = config["recipes"]["visual_prompt"]["every_backbone"]
    prompts |= {"size": 7, "epochs": 1, "eval_epochs": []}
    config["recipes"]["fine_tune"]["every_backbone"] |= {"epochs": 1, "eval_epochs": []}
    config["measurements"]["dataset_properties"] = {
        "runs": {"modality": "vision_language"},
        "data": config["data"],
        "settings": {
            "extractor": "rn50_micro", "diversity": "features", "weights": None,
            "reference": str(photos), "images": 4, "reference_images": 8, "pairs": 4, "seed": 0,
        },
    }  # fmt: skip
    config["analyses"]["dataset_properties"] = {"modality": "vision_language"}
    return config


@pytest.mark.slow
def test_a_folder_of_photographs_gives_a_whole_report(photos, tmp_path):
    suite = copy_suite(tmp_path)
    path = write_config(tmp_path, small(photos))
    output = snakemake(suite, "--configfile", path, "--cores", "1", "--", "all")
    results = suite / "results"
    for name in ("accuracy", "prompt_gallery", "deployability", "transfer", "cost"):
        assert (results / f"{name}.csv").read_text().count("\n") > 1, output
    rows = (results / "table_accuracy.md").read_text()
    assert "| clip_micro | TP |" in rows and "| rn50_micro | FT |" in rows
    assert "images of photos" in (results / "dataset_properties.csv").read_text()
    page = (results / "report.html").read_text()
    assert "Desk scale" in page and "Not run: " not in (results / "tables.tex").read_text()
    claims = (results / "claims.csv").read_text()
    assert claims.count("not run") >= 25
    Image.new("RGB", (40, 50)).save(photos / "cat" / "new.jpg")
    again = planned_jobs(plan(suite, "--configfile", path, "--", "all"))
    assert again["run_task"] == 2 and again["measure_all"] == 3
