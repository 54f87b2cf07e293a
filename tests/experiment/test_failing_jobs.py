"""Jobs of the workflow that fail, and a workflow that is killed or started twice."""

import shutil
import subprocess
from collections import Counter

import psutil
import pytest
import yaml

from tests.helpers.checkout import (
    ROOT,
    command,
    environment,
    plan,
    planned_jobs,
    snakemake,
)
from tests.helpers.command_runs import (
    configuration,
    made,
    one_line,
    suite,
    wait_for,
    written,
)

GIVEN = ("--cores", "2", "--configfile", "given.yaml", "--")
TABLE = "results/accuracy.csv"


@pytest.mark.parametrize("profile", sorted((ROOT / "profiles").iterdir()), ids=lambda p: p.name)
def test_with_every_profile_the_other_jobs_go_on_when_one_fails(profile):
    assert yaml.safe_load((profile / "config.yaml").read_text())["keep-going"] is True


@pytest.mark.slow
def test_a_job_that_fails_leaves_the_others_going_on_and_only_it_is_done_again(tmp_path, pets):
    farm = shutil.copytree(pets, tmp_path / "farm")
    own = {"pets": {"path": str(pets)}, "farm": {"path": str(farm)}}
    config = configuration(kind="real", tasks=["pets", "farm"], folders=own)
    folder, victim = suite(tmp_path / "suite", config), pets / "cat" / "0.png"
    content = victim.read_bytes()
    victim.write_bytes(content[:100])
    output = snakemake(folder, *GIVEN, "all", succeeds=False)
    failed = folder / "results" / "logs" / "smoke" / "pets" / "vision_language.main.log"
    assert f"{victim}: the image cannot be read" in one_line(failed.read_text())
    assert f"{victim}: the image cannot be read" in output  # show-failed-logs
    before = written(folder)
    manifests = [path.parent.name for path in before if path.name.endswith(".manifest.json")]
    assert manifests == ["farm"]  # though it is the last one
    assert not (folder / "results" / "accuracy.csv").exists()

    victim.write_bytes(content)
    waiting = ("run_task", "accuracy", "claims", "report", "all")  # tables.tex needs none of them
    assert planned_jobs(plan(folder, *GIVEN, "all")) == dict.fromkeys(waiting, 1)
    snakemake(folder, *GIVEN, "all")
    assert written(folder).items() >= before.items()
    assert "pets" in (folder / "results" / "accuracy.csv").read_text()
    assert Counter(path.suffix for path in folder.rglob(".*.part")) == {}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Returns a suite with a workflow that nothing has disturbed."""
    folder = suite(tmp_path_factory.mktemp("whole") / "suite", configuration())
    snakemake(folder, *GIVEN, TABLE)
    return folder


@pytest.mark.slow
def test_snakemake_may_be_killed_while_its_jobs_live_on(whole, tmp_path):
    folder = suite(tmp_path / "disturbed", configuration())
    process = begin(folder)
    jobs = wait_for(lambda: working(process.pid))
    process.kill()
    process.wait()
    assert all(job.is_running() for job in jobs)
    assert "--unlock" in snakemake(folder, *GIVEN, TABLE, succeeds=False)
    snakemake(folder, "--unlock")
    snakemake(folder, *GIVEN, TABLE)
    assert psutil.wait_procs(jobs, 300)[1] == []
    assert made(folder) == made(whole)
    assert (folder / TABLE).read_bytes() == (whole / TABLE).read_bytes()
    assert "Nothing to be done" in snakemake(folder, *GIVEN, TABLE)


@pytest.mark.slow
def test_a_second_snakemake_in_the_same_folder_is_refused_and_disturbs_nothing(whole, tmp_path):
    folder = suite(tmp_path / "shared", configuration())
    first = begin(folder)
    wait_for(lambda: list(folder.glob(".snakemake/locks/*")))
    refused = snakemake(folder, *GIVEN, TABLE, succeeds=False)
    assert first.poll() is None  # it was at work meanwhile
    assert first.wait() == 0, (folder / "log").read_text()
    assert "cannot be locked" in refused and "--unlock" in refused
    assert made(folder) == made(whole)


def begin(folder):
    """Returns the process of a workflow that has been started as users start it."""
    with open(folder / "log", "w") as log:
        return subprocess.Popen(
            command(*GIVEN, TABLE), cwd=folder, env=environment(), stdout=log, stderr=log
        )


def working(pid):
    """Returns the processes below `pid` that run jobs."""
    try:
        family = psutil.Process(pid).children(recursive=True)
        return [each for each in family if "run-task" in each.cmdline()]
    except psutil.NoSuchProcess:
        return []
