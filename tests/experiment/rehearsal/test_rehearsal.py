import pytest

from tests.helpers.checkout import ROOT
from tests.helpers.messages import holds
from tests.helpers.refused import refused
from tests.helpers.tiny import spec as tiny_spec
from vpbench.cli.main import main
from vpbench.cli.rehearse import profile_of
from vpbench.common.errors import UserError
from vpbench.experiment.rehearsal import interruption, planned, rehearsal, runs
from vpbench.experiment.rehearsal.outcomes import (
    ABSENT,
    FAILS,
    HOLDS,
    UNTRIED,
    Outcome,
    exit_code,
    table,
)
from vpbench.experiment.rehearsal.shapes import Shape
from vpbench.experiment.rehearsal.workflow import first_error
from vpbench.models import weight_files
from vpbench.models.weight_files import published
from vpbench.records.paths import record_path
from vpbench.spec import made_up, schema_check
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.schema import spec_schema

FACTS = {"classes": 10, "sizes": {"train": 4, "test": 4}, "checksums": {}}
ALL = [Outcome("runs", verdict, verdict, "why\nindeed") for verdict in (HOLDS, UNTRIED, ABSENT)]


@pytest.fixture(autouse=True)
def plain():
    """Leaves this process with no facts but the suite's."""
    yield
    made_up.adopt("/nowhere")


def test_the_table_begins_with_what_would_fail_and_ends_with_the_numbers():
    lines = table([*ALL, Outcome("analyses", "cost", FAILS, "x" * 900)])
    assert [line[:12].rstrip() for line in lines[:4]] == [FAILS, ABSENT, UNTRIED, HOLDS]
    assert lines[-1] == "rehearsed: 1 holds, 1 not tried, 1 absent here, 1 would fail"
    assert len(lines[0]) < 650 and "why\\nindeed" in lines[1]


@pytest.mark.parametrize(
    ("verdict", "strict", "code"),
    [(HOLDS, True, 0), (UNTRIED, True, 0), (ABSENT, False, 0), (ABSENT, True, 1)]
    + [(FAILS, False, 1), (FAILS, True, 1)],
)
def test_the_exit_code_is_1_where_something_would_fail_or_strictly_is_absent(verdict, strict, code):
    assert exit_code([Outcome("runs", "one", verdict)], strict) == code


def test_a_spec_of_the_paper_brings_no_facts():
    spec = tiny_spec(task="svhn") | {"kind": "rehearsal", "facts": FACTS}
    schema_check.check(spec, spec_schema(), "spec")
    spec["kind"] = "paper"
    holds(refused(UserError, schema_check.check, spec, spec_schema(), "spec"), "kind", "rehearsal")


def test_weights_of_a_marked_folder_are_for_a_rehearsal_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("VPBENCH_WEIGHTS", str(tmp_path))
    (tmp_path / "rn18.safetensors").touch()
    (tmp_path / made_up.MARKER).write_text('{"random": ["rn18"]}')
    line = refused(UserError, weight_files.find, published("rn18"))
    holds(line, tmp_path, "weights made up by a rehearsal")
    made_up.use({"kind": "rehearsal", "task": "svhn"})
    assert weight_files.find(published("rn18")) == tmp_path / "rn18.safetensors"
    assert made_up.is_random(tmp_path, "rn18") and not made_up.is_random(tmp_path, "rn50")


@pytest.mark.parametrize("given", ["slrum", "tests"])
def test_a_profile_that_is_not_there_is_told_before_anything_is_made(given, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    options = ["--configfile", "config/paper.yaml", "--device", "cpu"]
    assert main(["rehearse", *options, "--workflow-profile", given]) == 2
    said = capsys.readouterr().err
    holds(said, f"--workflow-profile {given}", "config.yaml", "profiles/", "slurm")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--jobs", "-2"], ("--jobs -2", "1 or more")),
        (["--shapes", "0"], ("--shapes 0", "1 or more")),
        (["--device", "gpu"], ("--device 'gpu'", "did you mean cpu?")),
        (["--device", "cuda"], ("no GPU", "--device cpu")),
        (["--json", "/nowhere/at/all.json"], ("--json /nowhere/at/all.json", "a folder")),
        (["--json", "/tmp"], ("--json /tmp", "a file")),
        (["--scratch", __file__], ("--scratch", "is a file")),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_made(options, words, monkeypatch, capsys):
    monkeypatch.setattr("vpbench.compute.gpu.visible", lambda: [])
    device = [] if "--device" in options else ["--device", "cpu"]
    assert main(["rehearse", "--configfile", "config/paper.yaml", *device, *options]) == 2
    holds(capsys.readouterr().err, *words)


def test_a_profile_is_a_folder_or_a_name_as_for_snakemake(monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    own = tmp_path / "own"
    own.mkdir()
    (own / "config.v8+.yaml").write_text("executor: slurm\n")
    assert profile_of(None) is None
    assert profile_of("slurm") == profile_of("profiles/slurm") == str(ROOT / "profiles/slurm")
    assert profile_of(str(own)) == str(own)


def test_the_cpu_has_to_be_said(monkeypatch, capsys):
    monkeypatch.setattr("vpbench.compute.gpu.visible", lambda: [])
    assert main(["rehearse", "--configfile", "config/paper.yaml"]) == 2
    holds(capsys.readouterr().err, "no GPU", "--device cpu")


def test_a_scratch_folder_with_something_else_in_it_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").touch()
    line = refused(UserError, rehearsal.check_scratch, tmp_path)
    holds(line, tmp_path, "something else")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    rehearsal.check_scratch(tmp_path / "new")
    rehearsal.check_scratch(tmp_path / "new")  # a second time, as its own


def test_a_shape_without_a_record_would_fail_with_the_first_line_of_its_log(tmp_path):
    spec = tiny_spec() | {"kind": "rehearsal", "scale": "rehearsal"}
    path = record_path(spec)
    found = runs.run_outcome(tmp_path / path, spec, Shape("", 14, spec))
    assert found.verdict == FAILS and found.reason == ""
    assert found.item == "visual_prompt of clip_micro on eurosat_twin (14 specs)"
    said = "Building DAG of jobs...\nMissingRuleException: no rule\nmore"
    assert runs.failure(tmp_path, str(path), said) == "MissingRuleException: no rule"
    log = tmp_path / "results/logs" / path.relative_to("results/runs").with_suffix(".log")
    log.parent.mkdir(parents=True)
    log.write_text("eurosat:  50%\nTraceback\nvpbench: lr is too large; choose a smaller one\n")
    line = "vpbench: lr is too large; choose a smaller one"
    assert runs.failure(tmp_path, str(path), said) == line


@pytest.mark.parametrize(
    ("job", "log"),
    [
        ("results/runs/lab/svhn/vision.main.manifest.json", "lab/svhn/vision.main.log"),
        ("results/runs/p/svhn/rn50/linear_probe/default/seed0.json",
         "p/svhn/rn50/linear_probe/default/seed0.features.log"),
        ("results/measurements/p/transfer/svhn.json", "p/transfer/svhn.log"),
        ("results/measurements/p/transfer/svhn.json", "p/transfer.reference.log"),
        ("results/measurements/lab/transfer/all.manifest.json", "lab/transfer.log"),
    ],
)  # fmt: skip
def test_the_log_of_each_kind_of_job_is_found(tmp_path, job, log):
    path = tmp_path / "results/logs" / log
    path.parent.mkdir(parents=True)
    path.write_text("vpbench: this\n")
    assert runs.failure(tmp_path, job, "") == "vpbench: this"


def test_a_traceback_is_said_by_its_last_line(tmp_path):
    log = tmp_path / "log"
    log.write_text("Traceback (most recent call last):\n  File\nKeyError: 'x'\n")
    assert first_error(log) == "KeyError: 'x'"


@pytest.mark.parametrize(
    ("times", "there", "verdict", "words"),
    [
        (None, True, FAILS, "no checkpoint"),
        (3, False, FAILS, "did not go on"),
        (4, True, FAILS, "0.19 GB, 4.0 times its weights; 3.2 times are allowed"),
        (3, True, HOLDS, "0.14 GB, 3.0 times its weights; it went on to its end"),
    ],
)
def test_a_killed_run_has_to_keep_its_state_and_to_go_on(
    tmp_path, monkeypatch, times, there, verdict, words
):
    spec = tiny_spec("fine_tune", "rn18", "cifar100")
    monkeypatch.setattr("vpbench.records.reading.holds", lambda path, wanted: there)
    kept = times and times * 4 * BACKBONES["rn18"].parameters
    one = interruption.Interrupted(spec, kept, 143, tmp_path / "log")
    found = interruption.checkpoint_outcome(tmp_path, one)
    assert found.verdict == verdict and words in found.reason


def test_a_run_that_starts_anew_beside_its_checkpoint_would_fail(tmp_path, monkeypatch):
    spec = tiny_spec("fine_tune", "rn18", "cifar100")
    monkeypatch.setattr("vpbench.records.reading.holds", lambda path, wanted: True)
    log = record_path(spec, tmp_path / "results/logs").with_suffix(".log")
    log.parent.mkdir(parents=True)
    log.write_text("seed0.pt: not used, its hashes.data is '82', the run's is '2b'\n")
    one = interruption.Interrupted(spec, 4, 143, tmp_path / "log")
    found = interruption.checkpoint_outcome(tmp_path, one)
    assert found.verdict == FAILS and "hashes.data" in found.reason


def test_the_longest_run_of_the_paper_ends_within_its_starts():
    from vpbench.spec import recipes
    from vpbench.spec.grid import expand

    wanted = expand(*recipes.read_configs(["config/paper.yaml"]))
    assert planned.times(wanted).verdict == HOLDS


def test_arguments_are_told_apart_as_a_shell_does():
    assert planned.split("python -m x 'a b' > y 2>&1") == [
        "python",
        "-m",
        "x",
        "a b",
        ">",
        "y",
        "2>&1",
    ]
    assert planned.split("it's broken") == ["it's broken"]
