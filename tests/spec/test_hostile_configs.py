"""Whatever stands in a configuration or a spec: it is legal, or one line says what is wrong."""

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from analysis.__main__ import main as analysis_main
from tests.helpers.checkout import ROOT
from tests.helpers.hostile import as_json, changed, damaged, deep, examples, value_or_line, watched
from tests.helpers.messages import holds
from tests.helpers.refused import refused
from tests.helpers.tiny import spec
from vpbench.cli import arguments
from vpbench.common import strict_yaml
from vpbench.common.errors import UserError
from vpbench.spec import grid, recipes
from vpbench.spec.grid_checks import refuse
from vpbench.spec.methods import METHODS
from vpbench.spec.schema import spec_schema
from vpbench.spec.schema_check import complaint

PATH = ROOT / "config" / "smoke.yaml"
TEXT = PATH.read_bytes()
CONFIG = yaml.safe_load(TEXT)
SPEC = spec()


def expand(path):
    """Returns the grid of the configuration in a file, as `vpbench plan` makes it."""
    return grid.expand(strict_yaml.read_config(path), str(path))


@given(damaged(TEXT))
@examples(40)
def test_a_damaged_configuration_is_read_or_refused_in_a_line(tmp_path, data):
    path = tmp_path / "config.yaml"
    path.write_bytes(data)
    value_or_line(lambda: expand(path), path)


@given(changed(CONFIG))
@examples(120)
def test_a_configuration_with_odd_values_is_expanded_or_refused_in_a_line(config):
    found = value_or_line(lambda: grid.expand(config, "config.yaml"), "config.yaml")
    if found is not None:
        assert all(path.startswith("results/runs/smoke/") for path in found.specs)
        assert not any(part in ("..", "") for path in found.specs for part in path.split("/"))


@given(changed(CONFIG))
@examples(40)
def test_a_configuration_file_with_odd_values_is_read_or_refused_in_a_line(tmp_path, config):
    path = tmp_path / "config.yaml"
    path.write_bytes(as_json(config))  # nearly all of JSON is YAML
    value_or_line(lambda: expand(path), path)


@given(changed(CONFIG), st.sampled_from(list(METHODS)))
@examples(40)
def test_a_recipe_is_complete_or_refused_in_a_line(tmp_path, config, method):
    path = tmp_path / "config.yaml"
    path.write_bytes(as_json(config))
    settings = value_or_line(lambda: recipes.load_recipe(path, method, "clip_micro"), path, method)
    assert settings is None or settings.keys() == METHODS[method].settings.keys()


@given(changed(SPEC))
@examples(60)
def test_a_spec_is_legal_or_has_a_complaint_of_one_line(document):
    def read():
        found = arguments.read_json(as_json(document).decode())
        refuse(complaint(found, spec_schema(), "spec"))

    value_or_line(read, "spec")


@given(damaged(as_json(SPEC)).map(lambda data: data.decode(errors="surrogateescape")))
@examples(60)
def test_damaged_json_on_the_command_line_is_refused_in_a_line(text):
    value_or_line(lambda: arguments.read_specs(text), "spec")


@given(st.text(max_size=30) | st.just("a=" + "[" * 10**5) | st.just("a=NaN"))
@examples(60)
def test_a_change_on_the_command_line_is_a_name_and_a_value(text):
    value_or_line(lambda: arguments.read_change(text), "--set")


SLICE = {"tasks": ["svhn_twin"], "methods": ["visual_prompt"], "modality": "vision", "shift": True}


@given(changed(SLICE) | st.just(None))
@examples(60)
def test_an_analysis_ends_with_0_or_with_2_and_a_line(tmp_path, capsys, select):
    given = [f"--select={as_json(select).decode()}", "--out", str(tmp_path / "out.csv")]
    code = analysis_main(["table3", *given])
    line = capsys.readouterr().err
    assert (code, line.count("\n")) in ((0, 0), (2, 1)), line


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("lr: 1\nlr: 2\n", ("'lr'", "twice", "line 2")),
        ("a: {b: 1, b: 2}", ("'b'", "twice")),
        ("&a [*a]", ("nested", "more than 50 levels")),
        ("a: " + "[" * 100 + "]" * 100, ("nested", "more than 50 levels")),
        ("[" * 1_000, ("nested", "too deeply")),
        ("a: [\nb: 3", ("not YAML", "',' or ']'", "'<stream end>'", "line 2")),
        ("1: a", ("key 1", "no text", "quotes")),
        ("a: 2020-13-45", ("month", "1..12")),
        ("a: !!python/object/apply:os.system [ls]", ("constructor", "os.system")),
        ("a: !!int ''", ("not YAML",)),
        ("a: !!timestamp x", ("not YAML",)),
        ('a: "\\ud800"', ("not Unicode",)),
        ("a: \0", ("not YAML",)),
        (b"\xff\xfe\xff", ("not YAML",)),
    ],
)
def test_yaml_that_would_mislead_or_overwhelm_is_refused_by_its_reason(tmp_path, text, facts):
    path = tmp_path / "config.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with watched():
        message = refused(UserError, strict_yaml.read_config, path)
    holds(message, path, *facts)


def test_a_configuration_that_is_not_where_one_is_says_where_to_go(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as error:
        strict_yaml.read_config("config/lab.yaml")
    holds(
        str(error.value), "config/lab.yaml", f"in {tmp_path}", "start in the folder", "whole path"
    )


def test_a_few_lines_that_stand_for_a_billion_values_are_refused_at_once(tmp_path):
    lines = ["a0: &a0 [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]"]
    for level in range(1, 10):
        lines.append(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]")
    path = tmp_path / "config.yaml"
    path.write_text("\n".join(lines))
    holds(refused(UserError, strict_yaml.read_config, path), path, "more than 1,000,000 values")


def test_aliases_and_merged_keys_are_no_mistake(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("a: &a {x: 1, y: 2}\nb: &b {<<: *a, x: 3}\nc: {<<: *b, y: 4}\nd: *a\n")
    assert strict_yaml.read_config(path) == {
        "a": {"x": 1, "y": 2}, "b": {"x": 3, "y": 2}, "c": {"x": 3, "y": 4}, "d": {"x": 1, "y": 2}
    }  # fmt: skip


def test_every_configuration_of_the_suite_says_each_thing_once():
    paths = sorted((ROOT / "config").rglob("*.yaml"))
    assert PATH in paths and ROOT / "config/methods/lab.yaml" in paths
    for path in paths:
        assert strict_yaml.read_config(path) == yaml.safe_load(path.read_text())


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 10**400])
def test_a_number_that_cannot_be_computed_with_is_refused_by_its_place(value):
    config = json.loads(json.dumps(CONFIG))
    config["recipes"]["visual_prompt"]["every_backbone"]["lr"] = value
    message = refused(UserError, grid.expand, config, "config.yaml")
    holds(message, "config.yaml", "recipes.visual_prompt.every_backbone.lr", "too large", "number")
    assert len(message) < 200


def test_a_name_that_ends_with_a_line_break_is_refused():
    config = CONFIG | {"folders": {"pets\n": {"path": "pets"}}}
    assert "pets" in refused(UserError, grid.expand, config, "config.yaml")


def test_a_sweep_that_nobody_could_list_is_refused_with_its_number():
    values = [number + 1 for number in range(100)]
    block = {"methods": ["visual_prompt"], "backbones": ["clip_micro"], "tasks": ["svhn_twin"]}
    block |= {"seeds": [0], "sweep": dict.fromkeys(("lr", "size", "epochs", "batch_size"), values)}
    config = CONFIG | {"grid": CONFIG["grid"] | {"huge": block}}
    message = refused(UserError, grid.expand, config, "config.yaml")
    holds(message, "config.yaml", "grid.huge", "100,000,000 runs", "at most 100,000")


def test_lists_in_lists_without_end_are_no_spec():
    message = refused(UserError, arguments.read_specs, json.dumps(deep(60)))
    holds(message, "spec", "not JSON", "nested", "more than 50 levels")
