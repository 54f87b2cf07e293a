"""Methods, backbones, label maps and scales of outside packages, in every table and figure."""

import pytest

from tests.helpers.analyses import run
from tests.helpers.fake_records import by_method, grid, record, write_all
from tests.helpers.fake_sides import beside
from vpbench.records.paths import record_path
from vpbench.spec.analyses import ANALYSES
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.label_maps import LABEL_MAPS, LabelMapEntry
from vpbench.spec.methods import METHODS, Method
from vpbench.spec.prompt_forms import PROMPT_FORMS, PromptForm
from vpbench.spec.scales import SCALES

SETTINGS = {"lr": 1.0, "template": "wave", "size": 3, "label_map": "guessed", "epochs": 2}
SETTINGS |= {"batch_size": 16, "eval_epochs": [], "ensemble_size": 1}
SETTINGS |= {"text_prompt": None, "class_names": None}
TASKS = ("eurosat_twin", "svhn_twin", "camelyon17_twin")
ABOUT_ALL = ("table1", "table_accuracy", "accuracy", "cost", "methods", "budget", "figure3")


@pytest.fixture
def outside(monkeypatch):
    """Returns records of a scale with a name of its own, with a foreign method and backbone."""
    monkeypatch.setitem(METHODS, "mine", Method("my.method", "Mine", {}, learns="pixels"))
    foreign = BACKBONES["rn50_micro"]._replace(role="my_role", stand_in=False)
    monkeypatch.setitem(BACKBONES, "my_backbone", foreign)
    monkeypatch.setitem(PROMPT_FORMS, "wave", PromptForm("my.prompts:Wave"))
    monkeypatch.setitem(LABEL_MAPS, "guessed", LabelMapEntry("my.maps:guessed", "vision"))
    made = [one for one in grid(by_method) if one["spec"]["task"] in TASKS]
    for task in TASKS:
        for backbone, method in (
            ("clip_micro", "mine"),
            ("my_backbone", "visual_prompt"),
            ("my_backbone", "linear_probe"),
        ):
            made.append(record(task, backbone, method, 40.0))
    for one in made:
        one["spec"] |= {"scale": "my_lab", "settings": SETTINGS}
        one["history"] = [
            {"epoch": 8, "test_accuracy": 40.0, "validation_accuracy": 60.0, "loss": 1.0}
        ]
    return made


def written(made, folder, **chosen):
    """Returns the arguments with which an analysis reads these records, or some of them."""
    kept = [
        one for one in made if all(one["spec"][key] in values for key, values in chosen.items())
    ]
    manifests = write_all(kept, folder)
    for one in kept:
        beside(one, folder)
        assert record_path(one["spec"], folder).exists()
    return "--runs", *manifests, "--out", folder / "made.csv"


def figures_of(name, folder):
    """Returns the argument that a figure has, and a table has not."""
    return ("--figures", folder) if ANALYSES[name].kind == "figure" else ()


@pytest.mark.parametrize("name", ABOUT_ALL)
def test_what_comes_from_outside_is_in_tables_and_figures(outside, tmp_path, name, capsys):
    arguments = *written(outside, tmp_path), *figures_of(name, tmp_path)
    assert run(name, *arguments) == 0, capsys.readouterr().err
    text = (tmp_path / "made.csv").read_text()
    if name not in ("table1", "figure3"):  # which are about the paper's
        assert "mine" in text and "my_backbone" in text


@pytest.mark.parametrize("name", ANALYSES)
def test_no_analysis_stumbles_over_it(outside, tmp_path, name, capsys):
    some = {"task": ["eurosat_twin"], "backbone": ["clip_micro"]}
    code = run(name, *written(outside, tmp_path, **some), *figures_of(name, tmp_path))
    lines = capsys.readouterr().err.splitlines()
    assert code == 0 or (code == 2 and lines[-1].startswith("error: ")), lines


def test_a_scale_with_a_name_of_its_own_is_named_in_the_table(outside, tmp_path):
    assert "my_lab" not in SCALES
    assert run("table1", *written(outside, tmp_path)) == 0
    text = (tmp_path / "made.md").read_text()
    assert text.startswith("Scale my_lab: procedural twins") and "SVHN twin" in text
