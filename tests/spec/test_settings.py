"""The descriptions of methods, label maps and prompt forms, and the defaults of settings."""

import importlib

import pytest

from tests.helpers.checkout import read_config
from tests.helpers.messages import complains
from vpbench.common.errors import UserError
from vpbench.common.implementations import implementation
from vpbench.spec import costs, grid, schema_check
from vpbench.spec.analyses import ANALYSES, PAGES
from vpbench.spec.label_maps import LABEL_MAPS
from vpbench.spec.methods import LEARNS, METHODS, Method, merge_settings
from vpbench.spec.modalities import MODALITIES
from vpbench.spec.prompt_forms import PROMPT_FORMS
from vpbench.spec.scales import KINDS, SCALES, scale_title
from vpbench.spec.settings import ENGINE, REQUIRED, Setting, defaults

EACH = [(method, name) for method, entry in METHODS.items() for name in entry.settings]


@pytest.mark.parametrize(("method", "name"), EACH)
def test_a_default_is_legal_and_every_setting_says_what_it_means(method, name):
    setting = METHODS[method].settings[name]
    assert setting.meaning
    if setting.default is not REQUIRED:
        assert schema_check.complaint(setting.default, setting.legal, name) is None


def test_the_defaults_of_a_prompt_are_the_ones_of_the_papers_code():
    chosen = defaults(METHODS["visual_prompt"].settings)
    assert chosen["template"] == "padding" and chosen["init"] == "normal"
    assert (chosen["optimiser"], chosen["momentum"], chosen["schedule"]) == ("sgd", 0.9, "cosine")
    assert (chosen["prompt_space"], chosen["gradient"]) == ("normalized", "plain")
    assert not chosen.keys() & {"size", "lr", "epochs", "batch_size"}  # each scale has its own


def test_what_a_configuration_gives_wins_over_a_default_and_a_backbone_over_both():
    recipes = {"linear_probe": {"every_backbone": {"C": [1], "max_iter": 7}, "b": {"C": [2]}}}
    merged = {"C": [2], "max_iter": 7, "standardize": False}
    assert merge_settings(recipes, "linear_probe", "b") == merged
    assert merge_settings({"linear_probe": {}}, "linear_probe", "b")["C"] == [0.316]


@pytest.mark.parametrize("entry", [*LABEL_MAPS.values(), *PROMPT_FORMS.values()])
def test_every_description_names_something_that_is_there(entry):
    assert callable(implementation(entry.implementation))


def test_methods_label_maps_and_analyses_are_described_in_known_words():
    assert {entry.learns for entry in METHODS.values()} == set(LEARNS)
    assert {entry.modality for entry in LABEL_MAPS.values()} == set(MODALITIES)
    for module in [*(entry.module for entry in ANALYSES.values()), *PAGES.values()]:
        assert importlib.util.find_spec(module) is not None, module


def test_a_method_of_ones_own_has_a_cost_and_a_colour():
    assert Method("mine", "Mine", {}).shown_colour == METHODS["prompted_fine_tune"].shown_colour


def test_a_method_of_ones_own_is_planned_by_the_passes_it_states(monkeypatch):
    entry = Method(
        "mine", "Mine", {"power": Setting({"type": "integer"}, 2, "how strong")}, passes=5
    )
    monkeypatch.setitem(METHODS, "mine", entry)
    config = read_config("smoke") | {"analyses": {}, "measurements": {}}
    config["recipes"]["mine"] = {}
    config["grid"] = {"main": {"methods": ["mine"], "tasks": ["eurosat_twin"], "seeds": [0]}}
    specs = list(grid.expand(config, "smoke").specs.values())
    assert {spec["backbone"] for spec in specs} == {"clip_micro", "rn50_micro"}
    assert all(spec["settings"] == {"power": 2} for spec in specs)
    # 5 passes of 100 training images, one of 60 and 120 others
    assert costs.passes_of(specs[0]) == 5 * 100 + 60 + 120


def test_a_configuration_names_its_scale_and_states_its_kind():
    config = read_config("smoke") | {"scale": "my-lab_2"}
    paths = grid.expand(config, "mine").specs
    assert paths and all(path.startswith("results/runs/my-lab_2/") for path in paths)
    assert all(spec["kind"] == "twins" for spec in paths.values())
    assert scale_title("my-lab_2", "twins") == f"Scale my-lab_2: {KINDS['twins']}"
    assert scale_title("lab", "twins") == SCALES["lab"].title
    assert {scale.kind for scale in SCALES.values()} <= set(KINDS)


def test_an_engine_that_is_given_in_part_is_completed():
    config = read_config("smoke") | {"engine": {"precision": "bf16"}}
    engines = [spec["engine"] for spec in grid.expand(config, "mine").specs.values()]
    assert engines
    assert all(engine == defaults(ENGINE) | {"precision": "bf16"} for engine in engines)


def test_a_twin_is_not_shown_as_the_papers_dataset():
    config = read_config("smoke") | {"kind": "paper"}
    with pytest.raises(UserError, match="at kind: paper, but eurosat_twin is painted"):
        grid.expand(config, "mine.yaml")


@pytest.mark.parametrize(
    ("kind", "tasks", "backbone", "facts"),
    [
        ("twins", ["eurosat_twin", "eurosat"], "clip_micro", ("twins", "eurosat", "say real")),
        ("twins", ["mine"], "clip_micro", ("twins", "mine", "no twin", "say real")),
        ("real", ["eurosat_twin"], "clip_micro", ("real", "eurosat_twin", "say twins")),
        ("paper", ["mine"], "clip_vit_b32", ("paper", "mine", "folder", "say real")),
        ("paper", ["eurosat"], "clip_micro", ("paper", "clip_micro", "no model", "say real")),
    ],
)
def test_a_kind_says_what_all_runs_are_on(tmp_path, kind, tasks, backbone, facts):
    with complains(UserError, "mine.yaml at kind", *facts):
        grid.expand(of_kind(kind, tasks[:1], backbone, tmp_path, blocks=tasks), "mine.yaml")


def test_each_kind_takes_what_it_is_about(tmp_path):
    for kind, task, backbone in (
        ("twins", "eurosat_twin", "clip_vit_b32"),
        ("real", "mine", "clip_micro"),
        ("real", "eurosat", "clip_vit_b32"),
        ("paper", "eurosat", "clip_vit_b32"),
        ("rehearsal", "eurosat_twin", "clip_micro"),
    ):
        assert grid.expand(of_kind(kind, [task], backbone, tmp_path), "mine.yaml").specs


def of_kind(kind, tasks, backbone, folder, blocks=None):
    """Returns a configuration of a kind; `blocks` are tasks that only its block names."""
    recipe = {"text_prompt": {}}
    config = read_config("smoke") | {"kind": kind, "tasks": tasks, "recipes": recipe}
    config |= {"backbones": [backbone], "folders": {"mine": {"path": str(folder)}}}
    main = {"methods": ["text_prompt"], "seeds": [0], "tasks": blocks or tasks}
    return config | {"grid": {"main": main}, "measurements": {}, "analyses": {}}


def test_a_measurement_of_prompts_refuses_runs_without_one():
    config = read_config("smoke")
    config["measurements"]["transfer"]["runs"] = {"methods": ["linear_probe"]}
    with pytest.raises(UserError, match="transfer.runs: linear_probe keeps no prompt.*visual_prom"):
        grid.expand(config, "mine.yaml")


def test_all_settings_that_are_missing_are_named_at_once():
    config = read_config("smoke")
    config["recipes"]["visual_prompt"] = {}
    with pytest.raises(UserError, match="it lacks 'epochs', 'batch_size', 'lr', 'size'; give them"):
        grid.expand(config, "mine.yaml")
