import re
import subprocess
import sys

import pytest
from snakemake.utils import available_cpu_count

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
from vpbench.common import hashing
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.grid import expand, measurement_specs
from vpbench.spec.modalities import MODALITIES
from vpbench.spec.products import request_file

TRANSFER = "results/transfer.csv"


@pytest.fixture
def small():
    """Returns a legal configuration with one task, one backbone, one run and one table."""
    config = read_config("smoke")
    return config | {
        "tasks": ["eurosat_twin"],
        "backbones": ["clip_micro"],
        "grid": {"main": {"methods": ["visual_prompt"], "seeds": [0]}},
        "measurements": {},
        "analyses": {"table1": {}},
    }


def test_the_lab_is_a_job_per_block_three_tasks_and_modality_and_one_per_table_or_figure(suite):
    config = read_config("lab")
    modalities = {BACKBONES[backbone].modality for backbone in config["backbones"]}
    jobs = planned_jobs(plan(suite, "all"))
    whole = [block for block in config["grid"].values() if "tasks" not in block]
    others = len(config["grid"]) - len(whole)  # each of one task and one backbone
    assert config["tasks_per_job"] == 3 and len(whole) == 2  # at full and at half length
    training = {"run_task": 2 * len(config["tasks"]) // 3 * len(modalities) + others}
    measuring = {"measure_all": len(config["measurements"])}
    pages = dict.fromkeys(["claims", "tables", "report", "all"], 1)
    assert jobs == training | measuring | pages | dict.fromkeys(config["analyses"], 1)


def test_without_a_target_everything_is_planned(suite):
    assert planned_jobs(plan(suite))["all"] == 1


def test_table1_trains_the_cells_of_clip_and_nothing_else(suite):
    output, config = plan(suite, "results/table1.csv"), read_config("lab")
    unshifted = set(config["tasks"]) - {"iwildcam_twin", "fmow_twin", "camelyon17_twin"}
    assert planned_jobs(output) == {"run_task": len(unshifted) // 3, "table1": 1}
    specs = planned_specs(output, config)
    assert {spec["backbone"] for spec in specs} == {"clip_micro"}
    assert {spec["task"] for spec in specs} == unshifted


def test_snakemake_lint_has_nothing_to_say(suite):
    assert "good condition" in snakemake(suite, "--lint")


def test_snakefmt_would_change_nothing():
    subprocess.run(
        [sys.executable, "-m", "snakefmt", "--check", "Snakefile", "workflow"], cwd=ROOT, check=True
    )


def test_text_prompts_are_for_vision_language_backbones(suite):
    specs = planned_specs(plan(suite, "smoke"), read_config("smoke"))
    prompted = {spec["backbone"] for spec in specs if spec["method"] == "text_prompt"}
    assert prompted == {"clip_micro"}
    assert {spec["backbone"] for spec in specs} == {"clip_micro", "rn50_micro"}


def test_smoke_is_the_target_all_of_its_own_configuration(suite):
    smoke, config = plan(suite, "smoke"), read_config("smoke")
    given = plan(suite, "--configfile", "config/smoke.yaml", "--", "all")
    assert canonical(planned_specs(smoke, config)) == canonical(planned_specs(given, config))
    assert planned_jobs(smoke) | {"all": 1} == planned_jobs(given) | {"smoke": 1}


def test_smoke_refuses_another_configuration(suite):
    arguments = ("--dry-run", "--configfile", "config/lab.yaml", "--", "smoke")
    assert "smoke needs config/smoke.yaml" in snakemake(suite, *arguments, succeeds=False)


@pytest.mark.parametrize("factor", [1, 4])
def test_more_cores_than_processors_start_no_more_processes(suite, factor):
    cores = available_cpu_count() * factor
    output = plan(suite, "--cores", cores, "--", "results/table1.csv")
    threads = re.findall(r"rule run_task:.*?\n\n", output, re.DOTALL)
    for job in threads:
        claimed = re.search(r"threads: (\d+)", job)
        assert int(claimed[1] if claimed else 1) == factor
        assert "torch_threads=1" in job


def test_a_run_that_two_blocks_of_the_grid_ask_for_is_planned_once(suite, small, tmp_path):
    small["grid"]["again"] = small["grid"]["main"]
    small["grid"]["more"] = {"methods": ["visual_prompt"], "seeds": [1, 0]}
    small["analyses"]["table1"] = {"grid": ["more"]}
    given = write_config(tmp_path, small)
    output = plan(suite, "--configfile", given)
    assert sorted(spec["seed"] for spec in planned_specs(output, small)) == [0, 1]
    assert planned_jobs(output)["run_task"] == 2
    # The table needs both seeds, and one of them is in the job of another block.
    output = plan(suite, "--configfile", given, "--", "results/table1.csv")
    assert sorted(spec["seed"] for spec in planned_specs(output, small)) == [0, 1]


def test_a_variant_changes_its_settings_and_only_where_the_grid_names_it(suite, small, tmp_path):
    small["variants"] = {"border10": {"size": 10}, "unused": {"epochs": 9}}
    small["grid"]["wide"] = {"methods": ["visual_prompt"], "variants": ["border10"], "seeds": [0]}
    output = plan(suite, "--configfile", write_config(tmp_path, small))
    recipe, variant = sorted(
        planned_specs(output, small), key=lambda spec: spec["settings"]["size"]
    )
    assert (recipe["variant"], variant["variant"]) == ("default", "border10")
    assert variant["settings"] == recipe["settings"] | {"size": 10}


def test_the_order_of_the_grid_changes_no_job(suite, tmp_path):
    config = read_config("smoke")
    before = planned_specs(plan(suite, "smoke"), read_config("smoke"))
    config["grid"] = dict(reversed(config["grid"].items()))
    config["backbones"].reverse()
    given = plan(suite, "--configfile", write_config(tmp_path, config), "--", "all")
    assert canonical(planned_specs(given, config)) == canonical(before)
    jobs = {line for line in plan(suite, "smoke").splitlines() if "run-task" in line}
    assert jobs == {line for line in given.splitlines() if "run-task" in line}


@pytest.mark.parametrize(
    ("count", "together"),
    [
        (1, [["cifar10_twin"], ["eurosat_twin"], ["svhn_twin"]]),
        (2, [["cifar10_twin", "eurosat_twin"], ["svhn_twin"]]),
        (9, [["cifar10_twin", "eurosat_twin", "svhn_twin"]]),
    ],
)
def test_a_job_does_so_many_tasks_of_a_modality_and_goes_by_the_first(count, together):
    config = read_config("smoke")
    config |= {"tasks": ["svhn_twin", "cifar10_twin", "eurosat_twin"], "tasks_per_job": count}
    config |= {"grid": {"main": {"methods": ["linear_probe"], "seeds": [0]}}, "measurements": {}}
    jobs = expand(config | {"analyses": {}}, "given").jobs
    assert {path: [run["task"] for run in specs] for path, specs in jobs.items()} == {
        f"results/runs/smoke/{tasks[0]}/{modality}.main.manifest.json": tasks
        for tasks in together
        for modality in MODALITIES
    }


def test_per_run_makes_every_run_a_job_of_its_own_whatever_tasks_per_job_says(suite, tmp_path):
    config = read_config("smoke")
    specs = planned_specs(plan(suite, "smoke"), read_config("smoke"))
    config |= {"granularity": "per_run", "tasks_per_job": 3}
    output = plan(suite, "--configfile", write_config(tmp_path, config), "--", "all")
    jobs = planned_jobs(output)  # that of a probe is in two parts
    assert jobs["run"] + jobs["regression"] == len(specs)
    assert canonical(planned_specs(output, config)) == canonical(specs)


def test_a_run_outside_the_grid_is_refused_by_name(suite, small, tmp_path):
    small["granularity"] = "per_run"
    record = "results/runs/smoke/eurosat_twin/clip_micro/visual_prompt/default/seed7.json"
    given = write_config(tmp_path, small)
    output = snakemake(suite, "--dry-run", "--configfile", given, "--", record, succeeds=False)
    assert output.splitlines()[-1].startswith(f"{record}: the grid of ")


def test_a_sweep_is_every_combination_and_settings_are_for_the_methods_that_know_them(
    suite, small, tmp_path
):
    small["grid"] = {
        "sizes": {
            "methods": ["text_prompt", "visual_prompt"],
            "seeds": [0],
            "settings": {"epochs": 3, "eval_epochs": []},
            "variants": ["plain"],
        },
        "rates": {
            "methods": ["visual_prompt"],
            "seeds": [0],
            "sweep": {"size": [1, 28], "lr": [5, 0.5]},
        },
    }
    small["variants"] = {"plain": {"text_prompt": "{}"}}
    small["analyses"] = {"table1": {"grid": ["sizes"]}}
    specs = planned_specs(plan(suite, "--configfile", write_config(tmp_path, small)), small)
    found = {spec["variant"]: spec["settings"] for spec in specs if spec["method"] != "text_prompt"}
    rates = {name: (each["size"], each["lr"]) for name, each in found.items() if name != "plain"}
    assert rates == {
        "rates_lr_5_size_1": (1, 5),
        "rates_lr_0_5_size_1": (1, 0.5),
        "rates_lr_5_size_28": (28, 5),
        "rates_lr_0_5_size_28": (28, 0.5),
    }
    assert found["plain"]["epochs"] == 3 and found["plain"]["text_prompt"] == "{}"
    (text_settings,) = (spec["settings"] for spec in specs if spec["method"] == "text_prompt")
    assert text_settings == {"text_prompt": "{}", "class_names": None}


def test_a_measurement_reads_the_prompts_of_its_slice_after_their_runs(suite, small, tmp_path):
    few = {"train": 20, "validation": 20, "test": 20}
    measurement = {"runs": {}, "data": few, "settings": {"images": 20}}
    small["measurements"] = {"transfer": measurement}
    small["analyses"] = {"transfer": {}}
    output = plan(suite, "--configfile", write_config(tmp_path, small), "--", TRANSFER)
    assert planned_jobs(output) == {"run_task": 1, "measure_all": 1, "transfer": 1}
    (measured,) = measurement_specs(expand(small, "given"), "transfer")
    assert measured["settings"] == {"images": 20} and measured["data"] == few
    assert measured["runs"] == planned_specs(output, small)
    name = "measurements/smoke/transfer/all.manifest.json"
    request = request_file(name, hashing.canonical([measured]))
    assert f"python -m vpbench measure @{request} --runs results/runs" in output
    small["granularity"] = "per_run"
    output = plan(suite, "--configfile", write_config(tmp_path, small), "--", TRANSFER)
    assert planned_jobs(output) == {"run": 1, "measure": 1, "transfer": 1}


def test_a_script_follows_its_imports_and_no_other_script(suite):
    output = plan(suite, "results/table1.csv")
    inputs = re.search(r"rule table1:\n\s+input: (.*)", output)[1].split(", ")
    own = {path for path in inputs if path.endswith(".py")}
    assert {
        "analysis/tables/paper_accuracy.py",
        "analysis/common/cells.py",
        "vpbench/records/reading.py",
    } <= own
    assert "analysis/common/style.py" in own  # only through analysis/common/render.py
    assert not own & {
        "analysis/tables/table3.py",
        "analysis/figures/figure4.py",
        "analysis/report/report.py",
    }
