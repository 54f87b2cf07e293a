"""What Snakemake would end with a traceback at before it reads the Snakefile."""

import sys

import pytest

from tests.helpers.checkout import ROOT, snakemake
from tests.helpers.messages import complains, holds
from vpbench.cli import workflow_line
from vpbench.common.errors import UserError
from vpbench.common.strict_yaml import read_config


@pytest.mark.parametrize(
    ("line", "facts"),
    [
        ("--config a.b=1", ("--config 'a.b=1'", "no such key", "file of its own")),
        ("--cores 2 -C data_dir=x grid.main=1 --dry-run", ("--config 'grid.main=1'",)),
        ("--config=1a=2", ("--config '1a=2'", "no such key")),
        ("--config tasks=[x] all", ("--config 'all'", "KEY=VALUE", "`-- all`")),
        ("--configfile a.yaml b.yaml", ("--configfile b.yaml", "no such file", "mend the path")),
        ("--configfiles=c.yaml", ("--configfile c.yaml", "no such file")),
        ("--configfile a.yaml all", ("--configfile all", "no such file", "`-- all`")),
        ("--configfile .", ("--configfile .", "no such file")),
    ],
)
def test_a_mistake_that_snakemake_has_no_line_for_gets_one(line, facts, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.yaml").touch()
    with complains(UserError, *facts):
        workflow_line.check_line(line.split())


@pytest.mark.parametrize(
    "line",
    [
        "all --cores 2",
        "--config tasks=[svhn_twin] data_dir= device=cpu -- all",
        "--configfile a.yaml --dry-run a.b=1",
        "--cores 1 --configfile=a.yaml -C two_words=a=b -- a.b=1",
    ],
)
def test_what_snakemake_takes_is_taken(line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.yaml").touch()
    workflow_line.check_line(line.split())


def test_a_cache_that_cannot_be_written_is_named_with_the_remedy(tmp_path):
    workflow_line.check_cache(tmp_path / "new" / "cache")
    (tmp_path / "file").touch()
    name = "HOME" if sys.platform == "darwin" else "XDG_CACHE_HOME"
    with complains(UserError, tmp_path / "file" / "cache", "Not a directory", name):
        workflow_line.check_cache(tmp_path / "file" / "cache")


def test_every_profile_looks_at_the_command_line_first():
    for profile in (ROOT / "profiles").iterdir():
        first, second, *_ = read_config(profile / "config.yaml").items()
        assert first == ("__use_yte__", True)
        assert second[0] == "__definitions__" and "workflow_line.check(" in second[1][-1]


def test_snakemake_ends_with_the_line_and_no_traceback(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    for arguments, facts in (
        (("--config", "grid.main=1"), ("--config 'grid.main=1'", "no such key")),
        ((), (tmp_path / "file", "set XDG_CACHE_HOME")),
    ):
        output = snakemake(ROOT, "--dry-run", *arguments, succeeds=False)
        holds(output.splitlines()[-1], *facts)
        assert "Traceback" not in output and len(output.splitlines()) == 2
