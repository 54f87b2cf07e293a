"""What jobs of runs ask for: minutes, memory and GPUs."""

import re

import pytest

from tests.helpers.checkout import planned_jobs, read_config, snakemake, write_config
from vpbench.spec import job_limits, memory_costs
from vpbench.spec.grid import expand

FOUR = ("--set-resources", "run:gpu=4")
PROBES = "results/runs/paper/{}/rn50/linear_probe/default/seed0.json"


@pytest.fixture
def paper():
    """Returns the paper's configuration, cut to four runs of one task and backbone."""
    config = read_config("paper")
    methods = ["visual_prompt", "linear_probe", "fine_tune"]
    grid = {"main": {"methods": methods, "seeds": [0]}}
    config |= {"tasks": ["cifar100"], "task_data": {}, "backbones": ["rn50"], "grid": grid}
    return config | {"variants": {}, "measurements": {}, "analyses": {"cost": {}}}


def resources(output):
    """Returns (rule, method) -> name -> value of the jobs of runs in a plan."""
    found = {}
    for rule, text in re.findall(r"^rule (\w+):\n((?:    .*\n)+)", output, re.MULTILINE):
        values = dict(re.findall(r"(\w+)=([^,\n]+)", text))
        if "method" in values:
            values["threads"] = (re.findall(r"threads: (\d+)", text) or ["1"])[0]
            found[rule, values["method"]] = values
    return found


def test_a_run_asks_for_the_minutes_and_the_memory_of_the_plan(suite, paper, tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    paper["max_runtime"] = 100
    given = write_config(tmp_path, paper)
    output = snakemake(suite, "--dry-run", "--configfile", given, "--", "all")
    asked, specs = resources(output), expand(paper, "").specs.values()
    for spec in specs:
        method = spec["method"]
        rules = ["features", "regression"] if method == "linear_probe" else ["run"]
        for rule in rules:
            assert int(asked[rule, method]["mem_mb"]) == memory_costs.host_mb(spec)
        assert int(asked[rules[0], method]["runtime"]) == job_limits.runtime([spec], 100)
    assert asked["run", "visual_prompt"]["runtime"] == "100"  # of 5.8 hours
    assert asked["features", "linear_probe"]["runtime"] == "10"


def test_the_regression_of_a_probe_is_a_job_without_a_gpu(suite, paper, tmp_path):
    given = write_config(tmp_path, paper)
    record = PROBES.format("cifar100")
    output = snakemake(suite, "--dry-run", "--printshellcmds", "--configfile", given, "--", record)
    assert planned_jobs(output) == {"features": 1, "regression": 1}
    asked = resources(output)
    assert asked["features", "linear_probe"]["gpu"] == "1"
    assert "gpu" not in asked["regression", "linear_probe"]
    assert re.search(r"vpbench run @\S+ --features \S+ --device cpu --out", output)


@pytest.mark.parametrize(
    ("visible", "arguments", "gpu", "threads", "shown", "said"),
    [
        ("0,1,2,3,4,5,6,7", (), "1", "1", "8", None),  # 8 cores: 8 runs at once
        ("0,1,2,3,4,5,6,7", FOUR, "4", "1", "8", None),  # 2 at once
        ("0,1,2,3,4,5,6,7", (*FOUR, "--resources", "gpu=2"), "2", "1", "2", "--resources gpu=2"),
        ("0,1", FOUR, "2", "4", "2", "this machine has 2 GPUs"),
        # No GPU: one run after another, as many threads as before
        ("", FOUR, "1", "4", "1", "this machine has no GPUs"),
    ],
)
def test_as_many_runs_share_this_machine_as_it_has_gpus(
    suite, paper, tmp_path, monkeypatch, visible, arguments, gpu, threads, shown, said
):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    given = write_config(tmp_path, paper)
    counted = suite / "counted.smk"
    counted.write_text(
        'include: "Snakefile"\nprint("limit", workflow.global_resources["gpu"].value)\n'
    )
    output = snakemake(
        suite, "--dry-run", "--snakefile", counted, "--cores", "8", "--configfile", given,
        *arguments, "--", "results/figures/cost.png",
    )  # fmt: skip
    asked = resources(output)["run", "visual_prompt"]
    assert (asked["gpu"], asked["threads"]) == (gpu, threads)
    assert f"limit {shown}\n" in output
    wanted = [f"--set-resources run:gpu=4: {said}, so each job gets {gpu}"] if said else []
    assert [line for line in output.splitlines() if "so each job" in line] == wanted
