import json
import re
import subprocess
import sys
import tomllib

import pytest
import yaml

from tests.helpers.checkout import (
    ROOT,
    canonical,
    plan,
    planned_jobs,
    planned_specs,
    read_config,
    snakemake,
    write_config,
)
from tests.helpers.messages import holds
from vpbench.spec import schema_check
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.config_schema import config_schema
from vpbench.spec.methods import METHODS
from vpbench.spec.schema import spec_schema
from vpbench.spec.settings import REQUIRED
from vpbench.spec.tasks import TASKS

CONFIGS = sorted(path.stem for path in (ROOT / "config").glob("*.yaml"))
PLAIN = str.maketrans(".-", "__")  # 0.5 and 1e-05 in the name of a variant
DATA = {"train": 20, "validation": 20, "test": 20, "resolution": "backbone"}
TRANSFER = {"runs": {}, "data": DATA, "settings": {"images": 20}}
ENGINE = {"precision": "fp32", "compile": False, "micro_batch": None}
PROBES = {"methods": ["linear_probe"], "seeds": [0]}
VARIED = PROBES | {"variants": ["v"]}
PROFILES = sorted((ROOT / "profiles").glob("*/config.yaml"))


def expand(config):
    """Returns the specs of a configuration, written as loops."""
    specs = []
    for name, block in config["grid"].items():
        for task in block.get("tasks", config["tasks"]):
            shift = task in TASKS and TASKS[task].shift
            if shift != block.get("shift", shift):
                continue
            data = {**config["data"], **config.get("task_data", {}).get(task, {})}
            data |= block.get("data", {})
            for backbone in block.get("backbones", config["backbones"]):
                modality = BACKBONES[backbone].modality
                if modality != block.get("modality", modality):
                    continue
                for method in block["methods"]:
                    if modality not in METHODS[method].modalities:
                        continue
                    recipe = config["recipes"][method]
                    for variant, changes in expand_variants(name, block, config):
                        settings = {**given_by_default(method), **recipe.get("every_backbone", {})}
                        settings |= recipe.get(backbone, {})
                        of_task = config.get("task_recipes", {}).get(task, {}).get(method, {})
                        settings |= of_task.get("every_backbone", {}) | of_task.get(backbone, {})
                        for key, value in block.get("settings", {}).items():
                            if key in METHODS[method].settings:
                                settings[key] = value
                        settings.update(changes)
                        if "length" in block:
                            settings["epochs"] = int(settings["epochs"] * block["length"])
                            settings["eval_epochs"] = []
                        for seed in block["seeds"]:
                            spec = {"scale": config["scale"], "data": data}
                            spec |= {"task": task, "backbone": backbone, "method": method}
                            spec |= {"variant": variant, "seed": seed, "settings": settings}
                            spec |= {
                                "engine": ENGINE | config.get("engine", {}),
                                "kind": config["kind"],
                            }
                            if task in config.get("folders", {}):
                                spec["folder"] = config["folders"][task]
                            specs.append(spec)
    # A run that two blocks ask for is one run.
    return list({json.dumps(spec, sort_keys=True): spec for spec in specs}.values())


def given_by_default(method):
    """Returns the settings of a method that a configuration need not give."""
    return {
        name: setting.default
        for name, setting in METHODS[method].settings.items()
        if setting.default is not REQUIRED
    }


def expand_variants(name, block, config):
    """Returns (variant, changes) of a block; a sweep has two settings at most in these tests."""
    if "sweep" not in block and "variants" not in block:
        own = {"settings", "data", "length"} & set(block)
        return [(name if own else "default", {})]
    if "sweep" not in block:
        changes = [config.get("variants", {}).get(variant, {}) for variant in block["variants"]]
        names = block["variants"]
        if "length" in block:
            names = [name if each == "default" else f"{name}_{each}" for each in names]
        return list(zip(names, changes))
    variants = [("", {})]
    for key, values in sorted(block["sweep"].items()):
        variants = [
            (f"{text}_{key}_{str(value).translate(PLAIN)}", {**changes, key: value})
            for text, changes in variants
            for value in values
        ]
    return [(name + text, changes) for text, changes in variants]


@pytest.mark.parametrize("name", CONFIGS)
def test_each_configuration_is_legal_and_named_like_its_scale(name):
    config = read_config(name)
    assert schema_check.complaint(config, config_schema(), name) is None
    assert config["scale"] == name


@pytest.mark.parametrize("name", CONFIGS)
def test_a_configuration_is_planned_from_its_own_file_alone(suite, name):
    config = read_config(name)
    output = plan(suite, "--configfile", f"config/{name}.yaml", "--", "all")
    specs = planned_specs(output, config)
    assert canonical(specs) == canonical(expand(config))
    assert all(schema_check.complaint(spec, spec_schema(), "") is None for spec in specs)
    per_task = config["granularity"] == "per_task"
    made = {"run_task"} if per_task else {"run", "features", "regression"}
    made |= {"all", "claims", "tables", "report"}
    if config.get("measurements"):
        made |= {"measure_all"} if per_task else {"measure", "reference_photographs"}
    assert set(planned_jobs(output)) == made | set(config["analyses"])


def test_what_a_given_configuration_lacks_is_not_taken_from_the_lab(suite, tmp_path):
    config = read_config("smoke")
    config["analyses"] = {"table1": {"modality": "vision_language", "shift": False}}
    config["grid"] = {"main": {"methods": ["text_prompt"], "seeds": [0]}}
    del config["recipes"]["fine_tune"], config["variants"], config["measurements"]
    output = plan(suite, "--configfile", write_config(tmp_path, config))
    assert canonical(planned_specs(output, config)) == canonical(expand(config))
    pages = {"claims", "tables", "report"}
    assert set(planned_jobs(output)) == {"run_task", "all", "table1", *pages}
    config["grid"] = {"main": {"methods": ["fine_tune"], "seeds": [0]}}
    holds(refusal(suite, write_config(tmp_path, config)), "'fine_tune'", "not in recipes")


def refusal(suite, path):
    """Returns the one line with which Snakemake refuses a configuration."""
    output = snakemake(suite, "--configfile", path, "--", "all", succeeds=False)
    lines = [line for line in output.splitlines() if not line.startswith("Using workflow specific")]
    assert len(lines) == 1, output
    assert "given.yaml" in lines[0]
    return lines[0]


@pytest.mark.parametrize(
    ("change", "facts"),
    [
        ({"sedes": [0]}, ("unknown", "'sedes'", "docs/configuration.md")),
        ({"scale": "my lab"}, ("at scale", "'my lab'", "a-z")),
        ({"backbnes": []}, ("unknown", "'backbnes'", "did you mean backbones?")),
        ({"kind": "twin"}, ("at kind", "'twin'", "did you mean twins?")),
        ({"kind": "moon"}, ("at kind", "'moon'", "choose", "twins, real, paper")),
        ({"tasks": ["euro"]}, ("'euro'", "datasets or folders", "eurosat_twin")),
        ({"data": {"train": 0, "validation": 1, "test": 1}}, ("at data.train", 0, "less than")),
        ({"variants": {"big": {"sise": 9}}}, ("unknown", "'sise'", "did you mean size?")),
        ({"variants": {"default": {"size": 9}}}, ("'default'", "recipe itself")),
        ({"grid": {"main": {"methods": ["text_prompt"]}}}, ("'seeds'", "lacks")),
        (
            {"grid": {"main": PROBES | {"variants": ["big"]}}},
            ("at grid.main.variants", "'big'", "not in variants", "default"),
        ),
        (
            {"variants": {"big": {"size": 9}}, "grid": {"main": PROBES | {"variants": ["big"]}}},
            ("linear_probe on clip_micro (big)", "unknown", "'size'", "choose", "C"),
        ),
        (
            {"grid": {"main": PROBES | {"sweep": {"size": [9]}}}},
            ("linear_probe on clip_micro (main_size_9)", "unknown", "'size'", "choose", "C"),
        ),
        (
            {"grid": {"main": PROBES | {"settings": {"size": 9}}}},
            ("at grid.main.settings", "unknown", "'size'", "choose", "C, max_iter"),
        ),
        (
            {"grid": {"main": {"methods": ["text_prompt"], "modality": "vision", "seeds": [0]}}},
            ("at grid.main", "no run"),
        ),
        (
            {"grid": {"main": PROBES, "more": PROBES | {"date": 3}}},
            ("at grid.more", "unknown", "'date'"),
        ),
        (
            {"grid": {"main": VARIED, "more": VARIED | {"settings": {"max_iter": 3}}}},
            ("linear_probe", "variant v", "eurosat_twin", "other settings", "block main"),
        ),
        (
            {"grid": {"own": PROBES}, "analyses": {"table1": {}}},
            ("at analyses.table1.grid", "'main'", "not in grid", "own"),
        ),
        (
            {"measurements": {"transfer": TRANSFER | {"runs": {"methods": ["visual_prompt"]}}}},
            ("at measurements.transfer.runs", "grid", "no such run"),
        ),
        (
            {"analyses": {"table1": {"grid": ["mian"]}}},
            ("at analyses.table1.grid", "'mian'", "not in grid", "main"),
        ),
        (
            {"measurements": {"transfer": TRANSFER | {"settings": {}}}},
            ("at measurements.transfer.settings", "'images'", "lacks"),
        ),
        (
            {"analyses": {"table1": {"backbones": ["bit_m_micro"]}}},
            ("'bit_m_micro'", "not in backbones"),
        ),
        ({"analyses": {"table1": {"colour": "red"}}}, ("unknown", "'colour'")),
        (
            {"analyses": {"table1": {"methods": ["visual_prompt"]}}},
            ("at analyses.table1", "grid", "no such run", "leave it out"),
        ),
    ],
)
def test_a_mistake_in_a_configuration_is_named_in_one_line(suite, tmp_path, change, facts):
    base = read_config("smoke") | {"variants": {"v": {}}, "grid": {"main": PROBES}}
    base |= {"measurements": {}, "analyses": {}}
    path = write_config(tmp_path, base | change)
    holds(refusal(suite, path), *facts)


def test_a_setting_that_no_recipe_gives_is_missed(suite, tmp_path):
    config = read_config("smoke")
    del config["recipes"]["fine_tune"]["every_backbone"]["batch_size"]
    complaint = refusal(suite, write_config(tmp_path, config))
    holds(complaint, "fine_tune on clip_micro", "default", "'batch_size'", "lacks")


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.parent.name)
def test_a_profile_holds_only_options_of_snakemake(path):
    from snakemake.cli import get_argument_parser

    legal = {
        option.lstrip("-")
        for action in get_argument_parser()._actions
        for option in action.option_strings
    }
    own = ("slurm-", "cluster-generic-", "kubernetes-")  # options of the executor's plugin
    keys = yaml.safe_load(path.read_text())
    assert keys.pop("__use_yte__") and keys.pop("__definitions__")  # see test_workflow_line.py
    assert [key for key in keys if key not in legal and not key.startswith(own)] == []


def packages(requirements):
    """Returns the requirements as a set, written the same way whoever wrote them."""
    return {re.sub(r"[\s]", "", name).replace("_", "-").lower() for name in requirements}


def project():
    """Returns the project table of pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_conda_and_pip_install_the_same_packages():
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    pip = next(entry["pip"] for entry in conda if isinstance(entry, dict))
    wanted = [*project()["dependencies"], *project()["optional-dependencies"]["test"]]
    assert packages(pip) == packages(wanted)
    python = next(entry for entry in conda if str(entry).startswith("python"))
    assert python.removeprefix("python").strip() == project()["requires-python"]


def test_the_citation_names_the_version_that_is_installed():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert str(citation["version"]) == project()["version"]
    assert citation["references"][0]["url"] == "https://arxiv.org/abs/2203.17274"


def test_the_schemas_and_the_grid_import_neither_torch_nor_numpy():
    code = (
        "import sys; from vpbench.spec import config_schema, grid, schema, schema_check;"
        "schema_check.complaint({}, config_schema.config_schema(), 'x');"
        "schema_check.complaint({}, schema.spec_schema(), 'x');"
        "print({'torch', 'numpy', 'pandas'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr


def test_the_workflow_imports_nothing_heavy():
    # Every job on a cluster reads the Snakefile again.
    files = [ROOT / "Snakefile", *(ROOT / "workflow").rglob("*.smk")]
    imports = {
        line.strip()
        for file in files
        for line in file.read_text().splitlines()
        if re.match(r"\s*(from|import)\s+vpbench", line)
    }
    heavy = "{'torch', 'pandas', 'timm', 'open_clip', 'torchvision', 'wilds'}"
    code = "; ".join(["import sys", *imports, f"print({heavy} & set(sys.modules))"])
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert imports and done.stdout == "set()\n", done.stderr
