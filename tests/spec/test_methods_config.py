"""The methods around the paper: what config/methods/ adds to the lab and to the paper."""

import re

import pytest
from snakemake.utils import update_config

from tests.helpers.checkout import ROOT, plan, planned_jobs, planned_specs, snakemake
from tests.helpers.messages import complains, holds
from tests.helpers.tiny import SIZES
from vpbench.common import strict_yaml
from vpbench.data import load
from vpbench.experiment import run as run_module
from vpbench.models.backbone import load_backbone
from vpbench.spec import costs, recipes
from vpbench.spec.grid import expand, job_files, sliced
from vpbench.spec.methods import METHODS, merge_settings
from vpbench.spec.schedules import warm_up_length

LAB = ("lab", "methods/lab")
SEARCH = (*LAB, "methods/search")
PAPER = ("paper", "methods/paper")
SOURCES = ("ours", "paper", "code", "author", "open_clip", "WiSE-FT")
SOURCES_OF_METHODS = (
    *("EVP", "AR", "CoOp", "CoCoOp", "MaPLe", "VPT", "UPT", "Dassl", "ILM", "BLM", "SMM", "LoR-VP"),
)
COUNTED = ("random", "frequency", "iterative", "bayesian", "bayesian_plus")
OF_DASSL = ("coop", "cocoop", "vpt", "upt")
PUBLISHED = [  # method, setting, value, where it is stated
    ("evp", "image_side", 164, "EVP, main.py"),
    ("evp", "size", 30, "EVP, main.py"),
    ("evp", "init", "zeros", "EVP, main.py"),
    ("evp", "prompt_space", "pixel", "EVP, main.py"),
    ("evp", "gradient", "unit_image", "EVP, main.py"),
    ("evp", "momentum", 0, "EVP, main.py"),
    ("evp", "lr", 70, "EVP, main.py"),
    ("evp", "epochs", 1000, "EVP, main.py"),
    ("evp", "augmentation", "flip", "EVP, main.py: on squares its crop does nothing"),
    ("adversarial_reprogramming", "bound", "tanh", "Elsayed et al., equation 2"),
    ("adversarial_reprogramming", "optimiser", "adam", "Elsayed et al., appendix"),
    ("adversarial_reprogramming", "lr", 0.05, "Elsayed et al., appendix"),
    ("coop", "context_tokens", 16, "CoOp, section 3"),
    ("coop", "lr", 0.002, "CoOp, configs"),
    ("coop", "batch_size", 32, "CoOp, configs"),
    ("coop", "weight_decay", 5e-4, "CoOp, configs"),
    ("coop", "warm_up_lr", 1e-5, "CoOp, configs"),
    ("cocoop", "context_words", "a photo of a", "CoCoOp, configs"),
    ("cocoop", "hidden_width", 32, "CoCoOp: 512 / 16"),
    ("cocoop", "batch_size", 1, "CoCoOp, configs"),
    ("cocoop", "epochs", 10, "CoCoOp, configs"),
    ("vpt", "image_tokens", 8, "MaPLe, its VPT"),
    ("vpt", "lr", 0.0025, "MaPLe, its VPT"),
    ("vpt", "batch_size", 4, "MaPLe, its VPT"),
    ("vpt", "epochs", 5, "MaPLe, its VPT"),
    ("vpt", "tokens_at", "before_norm", "MaPLe, its VPT"),
    ("vpt", "text_prompt", "a photo of a {}.", "MaPLe, its VPT"),
    *((name, "t_max", "all", "Dassl, its scheduler") for name in OF_DASSL),
    *((name, "drop_last", True, "Dassl, its loader") for name in OF_DASSL),
    ("upt", "width", 128, "MVLPT"),
    ("upt", "class_name_at", "middle", "MVLPT"),
]
# variants whose recipes differ from another variant's in numbers alone
MANY = ("recipe_factorial", "padding_size", "fixed_patch_size", "random_patch_size", "single_pixel")


def read(names):
    """Returns (the configuration of several files, their names)."""
    return recipes.read_configs([ROOT / "config" / f"{name}.yaml" for name in names])


def small(spec):
    """Returns a spec with the smallest data and one epoch."""
    settings = dict(spec["settings"])
    if "epochs" in settings:
        settings |= {"epochs": 1, "eval_epochs": []}
    return spec | {"data": SIZES | {"resolution": "backbone"}, "settings": settings}


def kinds():
    """Returns one spec of each method, variant and backbone that the lab's methods have."""
    found = {}
    for spec in expand(*read(LAB)).specs.values():
        if spec["task"] in ("eurosat_twin", "svhn_twin") and "shots" not in spec["data"]:
            key = spec["backbone"], spec["method"], spec["variant"]
            if not spec["variant"].startswith(MANY):
                found.setdefault(key, spec)
    return list(found.values())


@pytest.mark.parametrize("names", [LAB, SEARCH, PAPER])
def test_what_goes_on_top_of_a_configuration_is_legal_and_keeps_its_runs(names):
    below, above = expand(*read(names[:1])), expand(*read(names))
    if names != SEARCH:
        assert below.specs.items() <= above.specs.items()
        assert set(below.jobs) <= set(above.jobs)  # so nothing of `all` is run again
    analyses = read(names)[0]["extensions"]
    assert analyses == [
        "methods",
        "recipe_factorial",
        "mapping_vs_prompt",
        "data_fraction",
        "budget",
    ]


@pytest.mark.parametrize(("method", "setting", "value", "source"), PUBLISHED)
def test_each_method_has_its_published_recipe_at_the_scale_of_the_paper(
    method, setting, value, source
):
    config, _ = read(PAPER)
    settings = merge_settings(config["recipes"], method, "clip_vit_b32")
    assert settings[setting] == value, source


@pytest.mark.parametrize(
    ("method", "epochs"), [("coop", 50), ("cocoop", 10), ("vpt", 5), ("upt", 50)]
)
def test_the_warm_up_of_coop_and_its_kin_is_one_epoch_of_any_number_of_steps(method, epochs):
    config, _ = read(PAPER)
    settings = merge_settings(config["recipes"], method, "clip_vit_b32")
    for steps in range(1, 3000):
        assert warm_up_length(settings, epochs * steps) == steps


def test_maps_that_count_are_trained_with_adam_and_two_steps_down_as_ilm_and_blm():
    config, where = read(PAPER)
    found = sliced(expand(config, where), config["analyses"]["mapping_vs_prompt"])
    trained = [run for run in found if run["method"] == "visual_prompt"]
    for run in trained:
        settings = run["settings"]
        of_ilm = settings["label_map"] in COUNTED and settings["template"] == "padding"
        recipe = ("adam", 0.01, "multistep", 200, 128, None)
        keys = "optimiser", "lr", "schedule", "epochs", "batch_size", "warm_up_steps"
        assert (tuple(settings[key] for key in keys) == recipe) == of_ilm
    cells = {(run["settings"]["label_map"], run["seed"]) for run in trained}
    assert {("random", 2), ("iterative", 0), ("bayesian_plus", 0)} <= cells


def test_methods_trains_all_methods_on_all_datasets_of_the_paper_with_clip():
    config, where = read(LAB)
    wanted = sliced(expand(config, where), config["analyses"]["methods"])
    cells = {(run["method"], run["task"]) for run in wanted if run["backbone"] == "clip_micro"}
    assert cells == {(method, task) for method in METHODS for task in config["tasks"]}


def test_the_factorial_has_every_combination_of_the_silent_choices():
    config, where = read(LAB)
    slice_ = config["analyses"]["recipe_factorial"]
    runs_ = sliced(expand(config, where), slice_)
    keys = "prompt_space", "init", "warm_up", "augmentation", "momentum", "gradient"
    cells = {tuple(run["settings"][key] for key in keys) for run in runs_}
    assert len(cells) == 2**6


@pytest.mark.parametrize(
    "spec", kinds(), ids=lambda spec: f"{spec['backbone']}-{spec['method']}-{spec['variant']}"
)
def test_each_method_of_the_lab_can_be_trained(spec):
    backbone = load_backbone(spec["backbone"])
    few = small(spec)
    task = load.load_task(few["task"], few["data"])
    record, _, fit = run_module.run(few, task, backbone)
    assert 0 <= record["selection"]["last"]["test"]["accuracy"] <= 100
    assert record["trained_parameters"] == fit.trained_parameters


def test_the_target_methods_puts_the_configuration_on_top_of_the_labs(suite):
    jobs = planned_jobs(plan(suite, "methods"))
    analyses = {"methods_table", "recipe_factorial", "mapping_vs_prompt", "data_fraction", "budget"}
    assert set(jobs) == analyses | {"methods", "methods_report", "run_task"}


def test_a_configuration_without_extensions_of_the_paper_is_told_what_the_target_needs(suite):
    given = ("--dry-run", "--configfile", "config/smoke.yaml", "--", "methods")
    output = snakemake(suite, *given, succeeds=False)
    (line,) = (line for line in output.splitlines() if "extensions" in line)
    holds(line, "smoke.yaml", "no extensions of the paper", "target methods")


def test_the_shots_of_a_block_are_in_its_specs_and_in_no_other():
    config, where = read(LAB)
    blocks = expand(config, where).blocks
    for block, shots in (("shots_1", 1), ("shots_16", 16)):
        found = list(blocks[block].values())
        assert {run["data"]["shots"] for run in found} == {shots}
        assert {run["variant"] for run in found} == {block}
    assert {"shots" in run["data"] for run in blocks["main"].values()} == {False}


def test_shots_cost_what_their_images_cost():
    config, where = read(LAB)
    blocks = expand(config, where).blocks
    probe = next(run for run in blocks["shots_4"].values() if run["method"] == "linear_probe")
    assert costs.images_of(probe)["train"] == 4 * 10


def test_shots_are_for_runs_and_a_measurement_with_them_is_refused():
    config, _ = read(LAB)
    config["measurements"]["transfer"]["data"]["shots"] = 4
    with complains(ValueError, "given", "transfer", "unknown", "'shots'"):
        expand(config, "given")


def test_later_configurations_change_earlier_ones(tmp_path):
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text("a: {b: 1, c: 2}\nd: [1, 2]\n")
    second.write_text("a: {c: 3}\nd: [4]\n")
    assert recipes.read_configs([first, second])[0] == {"a": {"b": 1, "c": 3}, "d": [4]}
    second.write_text("- a\n")
    with complains(ValueError, second, "only mappings"):
        recipes.read_configs([first, second])


def test_the_search_looks_at_validation_alone_and_trains_the_recipes_it_is_for():
    config, where = read(SEARCH)
    specs = expand(config, where)
    found = sliced(specs, config["analyses"]["recipe_search"])
    assert {run["data"]["test"] for run in found} == {20}  # as few as a twin can have
    assert {run["method"] for run in found} == set(read(("methods/lab",))[0]["recipes"]) | {
        "visual_prompt"
    }


def test_planned_runs_of_methods_are_those_of_the_grid(suite):
    config, where = read(LAB)
    specs = planned_specs(plan(suite, "methods"), config)
    everything = expand(config, where)
    asked = [config["analyses"][name] for name in config["extensions"]]
    files = {file for slice_ in asked for file in job_files(everything, slice_)}
    assert len(specs) == sum(len(everything.jobs[file]) for file in files)


@pytest.mark.parametrize("names", [LAB, SEARCH, PAPER])
def test_configurations_are_put_together_as_snakemake_does_it(names):
    merged = {}
    for name in names:
        update_config(merged, strict_yaml.read_config(ROOT / "config" / f"{name}.yaml"))
    assert read(names)[0] == merged


def recipe_lines(name):
    """Returns the lines of a file that give a setting of a recipe or of a variant a value."""
    text = (ROOT / "config" / f"{name}.yaml").read_text()
    parts = text.split("\nrecipes:")[1].split("\ngrid:")[0].split("\nvariants:")
    kept = parts if name.startswith("methods") else parts[:1]  # there variants are words
    lines = "\n".join(kept).splitlines()
    return [line for line in lines if re.match(r" +[\w<]+: *[^ #&]|.*&\w+ [^#]", line)]


@pytest.mark.parametrize("name", ["paper", "paper-fast", "methods/paper"])
def test_every_value_of_a_recipe_of_the_paper_states_its_source(name):
    source = "|".join((*SOURCES, *SOURCES_OF_METHODS))
    lines = recipe_lines(name)
    assert [line for line in lines if not re.search(rf"# .*\b({source})\b", line)] == []
    assert len(lines) > 15
