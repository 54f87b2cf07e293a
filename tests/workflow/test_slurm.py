"""The profiles for clusters, on a real Slurm of one node with two make-believe GPUs.

It is started and stopped by tests/slurm/node, which needs root and Debian's Slurm. These tests take
some minutes, most of it in waiting for a time limit: Slurm's smallest is one minute.
"""

import importlib.util
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.helpers.checkout import copy_suite, read_config, snakemake, write_config

pytestmark = pytest.mark.slurm
NODE = Path(__file__).parent / "slurm" / "node"
ENDED = Path("/var/tmp/vpbench-slurm/jobs.log")  # a line per job that has ended
COMMANDS = ("slurmctld", "slurmd", "sbatch", "munged")
PLUGINS = ("snakemake_executor_plugin_slurm", "snakemake_executor_plugin_cluster_generic")
GIVEN = ("--configfile", "given.yaml", "--set-threads", "run=1", "features=1", "regression=1")
SLURM = (  # this node has no accounting database, and need not be asked gently
    *("--workflow-profile", "slurm", "--slurm-status-command", "squeue", "--slurm-no-account"),
    *("--slurm-init-seconds-before-status-checks", "5", "--slurm-logdir", "slurm_logs", *GIVEN),
)
RUN = "eurosat_twin/clip_micro/{}/default/seed0"
MINUTE = 60  # seconds


def lacking():
    """Returns what these tests need and this machine does not have."""
    missing = [name for name in COMMANDS if not shutil.which(name)]
    missing += [name for name in PLUGINS if not importlib.util.find_spec(name)]
    return missing + ["root's rights"] * (os.geteuid() != 0)


@pytest.fixture(scope="module")
def node():
    """Starts Slurm; without it the tests are skipped, or fail if it is required."""
    if lacking():
        required = os.environ.get("VPBENCH_REQUIRE_SLURM") == "1"
        (pytest.fail if required else pytest.skip)(f"not there: {', '.join(lacking())}")
    subprocess.run([NODE, "start"], check=True)
    yield
    subprocess.run([NODE, "stop"], check=True)


@pytest.fixture(scope="module")
def suite(node, tmp_path_factory):
    """Returns a copy of the suite with a part of the smoke grid, a job per run, done by Slurm."""
    folder = copy_suite(tmp_path_factory.mktemp("slurm"))
    methods = ["text_prompt", "visual_prompt", "linear_probe"]
    given = configuration(methods, [0], epochs=8, eval_epochs=[]) | {"max_runtime": 60}
    write_config(folder, given)
    snakemake(folder, *SLURM, "--", "all")
    return folder


def configuration(methods, seeds, **settings):
    """Returns the configuration of the smoke test, cut to a few runs of CLIP."""
    config = read_config("smoke")
    config["recipes"]["visual_prompt"]["clip_micro"] |= settings
    grid = {"main": {"methods": methods, "seeds": seeds}}
    analyses = {"table1": {"modality": "vision_language", "shift": False}, "cost": {}}
    config |= {"granularity": "per_run", "tasks": ["eurosat_twin"], "backbones": ["clip_micro"]}
    return config | {"variants": {}, "grid": grid, "measurements": {}, "analyses": analyses}


def record_of(folder, method):
    """Returns the record of a run."""
    return json.loads((folder / f"results/runs/smoke/{RUN.format(method)}.json").read_text())


def ended():
    """Returns (id, state, minutes of time limit) of the jobs that have ended, in their order."""
    text = ENDED.read_text()
    return re.findall(r"^JobId=(\d+) .* JobState=(\w+) .* TimeLimit=(\w+)", text, re.MULTILINE)


def test_every_run_is_a_job_and_a_probe_two_and_all_that_was_asked_for_is_made(suite):
    limits = sorted((state, minutes) for _, state, minutes in ended())
    assert limits == [("COMPLETED", "60")] * 4  # as max_runtime says: hours here are not known
    assert (suite / "results/table1.csv").stat().st_size
    assert (suite / "results/figures/cost.png").stat().st_size
    assert (suite / "results/report.html").stat().st_size
    assert not list((suite / "results/features").rglob("*.safetensors"))


def test_submissions_at_the_same_time_have_different_gpus_and_a_regression_none(suite):
    logs = [path.read_text() for path in (suite / "results/logs/smoke").rglob("seed0*.log")]
    gpus = sorted(re.findall(r"^device: .*; GPU (\S+) is listed", log, re.M) for log in logs)
    assert gpus in ([[], ["0"], ["0"], ["1"]], [[], ["0"], ["1"], ["1"]])


def test_a_second_run_has_nothing_to_submit(suite):
    assert "Nothing to be done" in snakemake(suite, *SLURM, "--", "all")


@pytest.mark.parametrize(
    ("signal", "ends"),
    # Slurm sends it up to a minute early, and Snakemake begins again in what is left of the job.
    [("''", {"TIMEOUT"}), ("'--signal=TERM@5'", {"FAILED", "TIMEOUT"})],
)
def test_a_job_that_its_time_limit_has_ended_goes_on_from_its_checkpoint(suite, signal, ends):
    before = len(ended())
    train = read_config("smoke")["data"]["train"]
    speed = record_of(suite, "visual_prompt")["measured"]["images_per_second"]
    epochs = round(2 * MINUTE * speed / train)  # also where the machine has become faster since
    given = configuration(["visual_prompt"], [0], epochs=epochs, eval_epochs=[])
    write_config(suite, given | {"max_runtime": 1})
    target = f"results/runs/smoke/{RUN.format('visual_prompt')}.json"
    (suite / target).unlink()
    limit = ("--set-resources", f"run:slurm_extra={signal}")
    output = snakemake(suite, *SLURM, *limit, "--", target)
    states = [state for _, state, _ in ended()[before:]]
    assert states[:-1] and ends.issuperset(states[:-1]) and states[-1] == "COMPLETED", output
    record = record_of(suite, "visual_prompt")
    assert [line["epoch"] for line in record["history"]] == list(range(1, epochs + 1))
    log = (suite / f"results/logs/smoke/{RUN.format('visual_prompt')}.log").read_text()
    assert int(re.search(r"(\d+)%\|", log)[1]) > 10  # where the last part has begun
    assert not list((suite / "results/checkpoints").rglob("*.pt"))


def test_another_scheduler_needs_only_its_submit_command(suite):
    write_config(suite, configuration(["text_prompt"], [1, 2]))
    before = len(ended())
    generic = ("--workflow-profile", "generic", *GIVEN)
    snakemake(suite, *generic, "--", "results/table1.csv")
    assert [state for _, state, _ in ended()[before:]] == ["COMPLETED"] * 2
