"""The examples of the README are run as they are printed."""

import re
import shlex
from pathlib import Path

import pytest

from tests.helpers.checkout import ROOT, copy_suite, snakemake
from vpbench.cli.main import main

README = (ROOT / "README.md").read_text()


def blocks(language):
    """Returns the code blocks of a language in the README."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def lines(program):
    """Returns the shell lines of the README that start with a program, without comments."""
    found = [line for block in blocks("sh") for line in block.splitlines()]
    return [line.partition("  #")[0].strip() for line in found if line.startswith(program + " ")]


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Returns an empty folder with nothing but the configurations, as working directory."""
    (tmp_path / "config").symlink_to(ROOT / "config")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_python_examples_run_and_save_a_prompt(elsewhere):
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), {})
    saved = {path.suffix for path in Path("results").glob("my_prompt.*")}
    assert saved == {".safetensors", ".json", ".npy", ".png"}


def test_the_command_line_examples_run_and_succeed(elsewhere):
    commands = [line for line in lines("vpbench") if "lpips-weights" not in line]  # a download
    assert len(commands) >= 4
    for command in commands:
        assert main(shlex.split(command)[1:]) == 0, command


@pytest.mark.parametrize("command", [c for c in lines("snakemake") if "profile" not in c])
def test_every_snakemake_line_of_the_readme_can_be_planned(command, tmp_path):
    snakemake(copy_suite(tmp_path), "-n", *shlex.split(command)[1:])


def test_no_placeholder_is_left_and_every_picture_exists():
    assert not re.search(r"@[A-Z_]+@", README)
    for name in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README):
        assert (ROOT / name).is_file(), name
