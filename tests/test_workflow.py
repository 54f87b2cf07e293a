import re
import subprocess
import sys

import pytest
from checkout import (
    ROOT,
    canonical,
    copy_suite,
    plan,
    planned_jobs,
    planned_specs,
    read_config,
    snakemake,
    write_config,
)
from snakemake.utils import available_cpu_count

from vpbench.catalogue import BACKBONES


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    """Returns a copy of the suite in which nothing has been run."""
    return copy_suite(tmp_path_factory.mktemp("suite"))


@pytest.fixture
def small():
    """Returns a legal configuration with one task, one backbone, one run and one table."""
    config = read_config("smoke")
    return config | {
        "tasks": ["eurosat_twin"],
        "backbones": ["clip_micro"],
        "grid": [{"methods": ["visual_prompt"], "seeds": [0]}],
        "analyses": {"table1": {}},
    }


def test_the_lab_is_a_job_per_task_and_modality_and_one_per_table_or_figure(suite):
    config = read_config("lab")
    modalities = {BACKBONES[backbone].modality for backbone in config["backbones"]}
    jobs = planned_jobs(plan(suite, "all"))
    training = {"run_task": len(config["tasks"]) * len(modalities)}
    assert jobs == training | dict.fromkeys(config["analyses"], 1) | {"all": 1}


def test_without_a_target_everything_is_planned(suite):
    assert planned_jobs(plan(suite))["all"] == 1


def test_table1_trains_the_cells_of_clip_and_nothing_else(suite):
    output = plan(suite, "results/table1.csv")
    unshifted = set(read_config("lab")["tasks"]) - {"iwildcam_twin", "fmow_twin", "camelyon17_twin"}
    assert planned_jobs(output) == {"run_task": len(unshifted), "table1": 1}
    specs = planned_specs(output)
    assert {spec["backbone"] for spec in specs} == {"clip_micro"}
    assert {spec["task"] for spec in specs} == unshifted


def test_snakemake_lint_has_nothing_to_say(suite):
    assert "good condition" in snakemake(suite, "--lint")


def test_snakefmt_would_change_nothing():
    subprocess.run(
        [sys.executable, "-m", "snakefmt", "--check", "Snakefile", "workflow"], cwd=ROOT, check=True
    )


def test_text_prompts_are_for_backbones_that_read(suite):
    specs = planned_specs(plan(suite, "smoke"))
    readers = {spec["backbone"] for spec in specs if spec["method"] == "text_prompt"}
    assert readers == {"clip_micro"}
    assert {spec["backbone"] for spec in specs} == {"clip_micro", "rn50_micro"}


def test_smoke_is_the_target_all_of_its_own_configuration(suite):
    smoke = plan(suite, "smoke")
    given = plan(suite, "--configfile", "config/smoke.yaml", "--", "all")
    assert planned_specs(smoke) == planned_specs(given)
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
    small["grid"] *= 2
    small["grid"].append({"methods": ["visual_prompt"], "tasks": ["eurosat_twin"], "seeds": [1, 0]})
    specs = planned_specs(plan(suite, "--configfile", write_config(tmp_path, small)))
    assert [spec["seed"] for spec in specs] == [0, 1]


def test_a_variant_changes_its_settings_and_only_where_the_grid_names_it(suite, small, tmp_path):
    small["variants"] = {"border10": {"size": 10}, "unused": {"epochs": 9}}
    small["grid"] += [{"methods": ["visual_prompt"], "variants": ["border10"], "seeds": [0]}]
    recipe, variant = planned_specs(plan(suite, "--configfile", write_config(tmp_path, small)))
    assert (recipe["variant"], variant["variant"]) == ("default", "border10")
    assert variant["settings"] == recipe["settings"] | {"size": 10}


def test_the_order_of_the_grid_changes_no_job(suite, tmp_path):
    config = read_config("smoke")
    before = planned_specs(plan(suite, "smoke"))
    config["grid"].reverse()
    config["backbones"].reverse()
    given = plan(suite, "--configfile", write_config(tmp_path, config), "--", "all")
    assert canonical(planned_specs(given)) == canonical(before)
    jobs = {line for line in plan(suite, "smoke").splitlines() if "run-task" in line}
    assert jobs == {line for line in given.splitlines() if "run-task" in line}


def test_per_run_makes_every_run_a_job_of_its_own(suite, tmp_path):
    config = read_config("smoke")
    specs = planned_specs(plan(suite, "smoke"))
    config["granularity"] = "per_run"
    output = plan(suite, "--configfile", write_config(tmp_path, config), "--", "all")
    assert planned_jobs(output)["run"] == len(specs)
    assert canonical(planned_specs(output)) == canonical(specs)


def test_a_run_outside_the_grid_is_refused_by_name(suite, small, tmp_path):
    small["granularity"] = "per_run"
    record = "results/runs/smoke/eurosat_twin/clip_micro/visual_prompt/default/seed7.json"
    given = write_config(tmp_path, small)
    output = snakemake(suite, "--dry-run", "--configfile", given, "--", record, succeeds=False)
    assert output.splitlines()[-1].startswith(f"{record}: the grid of ")
