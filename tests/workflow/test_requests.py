"""Command lines that no system refuses, whatever is asked for."""

import re
import shlex

import pytest

from tests.helpers.checkout import ROOT, plan
from tests.helpers.fake_records import by_method, write_jobs
from vpbench.common.hashing import canonical
from vpbench.spec.grid import expand
from vpbench.spec.products import (
    analysis_arguments,
    claims_arguments,
    document_arguments,
    request_file,
    request_text,
)
from vpbench.spec.recipes import read_configs
from vpbench.verify import tables

ARGUMENT, LINE = 32 * 1024, 128 * 1024  # bytes; Linux takes 128 KiB and 2 MiB
OVERLAYS = (
    ("lab", "methods/lab"),
    ("lab", "methods/lab", "methods/search"),
    ("paper", "methods/paper"),
    ("desk", "desk/speedrun"),
)
SHIPPED = [(path.stem,) for path in sorted((ROOT / "config").glob("*.yaml"))] + list(OVERLAYS)
RULES = sorted((ROOT / "workflow/rules").glob("*.smk"))
SHORT = r"log|output(\.\w+)?|input\.features|(params|wildcards|resources)\.\w+"  # no list of inputs


def given(names):
    """Returns the names of the files of a configuration."""
    return [f"config/{name}.yaml" for name in names]


def commands(path):
    """Returns the commands of the rules in a file."""
    text = path.read_text()
    return re.findall(r'^ +shell:\n((?: +"[^\n]+"\n?)+)', text, re.MULTILINE)


def test_every_file_of_configurations_is_among_them():
    named = {name for names in SHIPPED for name in names}
    assert named == {
        path.relative_to(ROOT / "config").with_suffix("").as_posix()
        for path in (ROOT / "config").rglob("*.yaml")
    }


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.stem)
def test_a_command_quotes_what_it_is_given_and_names_no_list_of_files(path):
    for command in commands(path):
        for name, form in re.findall(r"{([\w.]+)(:q)?}", command):
            number = name.startswith("resources.")
            assert number or form == ":q", f"{name} is not quoted"
            assert re.fullmatch(SHORT, name), f"{name} may be long"


@pytest.mark.parametrize("names", SHIPPED, ids=" ".join)
def test_what_a_command_is_given_is_short(names):
    wanted = expand(*read_configs([ROOT / path for path in given(names)]))
    single = [f"@{request_file(path.removeprefix('results/'), '')}" for path in wanted.jobs]
    single += [canonical(spec["data"]) for spec in wanted.specs.values()]
    lines = [claims_arguments(wanted), document_arguments(wanted), *([each] for each in single)]
    for line in lines:
        assert max(map(len, line)) <= ARGUMENT / 8
        assert sum(map(len, line)) <= LINE / 8


@pytest.mark.slow
@pytest.mark.parametrize("names", SHIPPED, ids=" ".join)
def test_no_command_of_a_shipped_configuration_is_long(names):
    targets = ["methods"] if names[-1].startswith("methods/") and names[-1][8:] != "search" else []
    output = plan(ROOT, "--forceall", "--configfile", *given(names), "--", "all", *targets)
    found = re.findall(r"Shell command: (.*)", output)
    assert len(found) > 5
    for line in found:
        assert len(line.encode()) <= LINE
        assert max(len(argument.encode()) for argument in shlex.split(line)) <= ARGUMENT


def test_an_analysis_reads_more_paths_than_an_argument_can_hold(tmp_path):
    config, where = read_configs([ROOT / "config/paper.yaml"])
    config["grid"] = {"main": config["grid"]["main"] | {"methods": ["text_prompt"]}}
    config["grid"]["main"]["seeds"] = list(range(60))
    config |= {"measurements": {}, "analyses": {"table1": {"shift": False}}, "variants": {}}
    wanted = expand(config, where)
    write_jobs(wanted, tmp_path, by_method)
    arguments = analysis_arguments(wanted, "table1", tmp_path / "results", tmp_path)
    assert max(map(len, arguments)) > LINE  # the digests
    assert tables.call("table1", arguments) is None
    text = (tmp_path / "table1.csv").read_text()
    assert "clip,text_prompt,eurosat,20.0,0.0,17.6" in text
    row = next(line for line in text.splitlines() if "text_prompt,eurosat" in line)
    assert row.split(",")[7] == "60"


def test_a_request_has_an_argument_a_line_and_another_name_when_it_says_another_thing():
    first, second = (request_text(["--runs", "a", each]) for each in ("b", "c"))
    assert first == "--runs\na\nb\n"
    names = {request_file("table1.txt", text) for text in (first, second, first)}
    assert len(names) == 2
    assert all(re.fullmatch(r"results/requests/table1\.[0-9a-f]{16}\.txt", name) for name in names)
