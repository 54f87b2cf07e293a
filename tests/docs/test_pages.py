"""The examples of the README and of every page are run as they are printed."""

import re
import shlex
from pathlib import Path

import pytest

from tests.helpers.checkout import ROOT, snakemake
from tests.helpers.fake_datasets import put_examples
from tests.test_architecture import FLOORS
from vpbench.cli.main import main
from vpbench.data.twin import paint_twin
from vpbench.spec import products
from vpbench.spec.grid import expand
from vpbench.spec.recipes import read_configs

PAGES = [ROOT / "README.md", ROOT / "results/README.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text() for path in PAGES}
COMMANDS = "docs/command-line.md"
NOT_RUN = "lpips-weights", "vpbench reference", "results/reference"  # of a download, of hours


def blocks(page, language):
    """Returns the code blocks of a language on a page."""
    return re.findall(rf"^```{language}\n(.*?)^```", TEXTS[page], re.DOTALL | re.MULTILINE)


def lines(page, program):
    """Returns the shell commands of a page that start with a program, without comments."""
    shell = [line for block in blocks(page, "sh") for line in block.splitlines()]
    commands = [part.strip() for line in shell for part in line.partition("  #")[0].split("&&")]
    return [command for command in commands if command.startswith(program + " ")]


def plans():
    """Returns the Snakemake commands of all pages, each once, however many cores it takes."""
    commands = {}
    for page in TEXTS:
        for command in lines(page, "snakemake"):
            if "profile" not in command:  # it needs a cluster
                same = re.sub(r" (-n|--cores \d+)\b", "", command)
                commands.setdefault(tuple(sorted(same.split())), shlex.split(command)[1:])
    return list(commands.values())


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Returns a folder with the configurations and images of one's own, as working directory."""
    (tmp_path / "config").symlink_to(ROOT / "config")
    put_examples(tmp_path, monkeypatch)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", [page for page in TEXTS if blocks(page, "python")])
def test_the_python_examples_run(page, elsewhere):
    for block in blocks(page, "python"):
        block = block.replace("epochs=16", "epochs=1")  # the README's; see the next test
        exec(compile(block, page, "exec"), {})
    if "results/my_prompt" in "".join(blocks(page, "python")):
        saved = {path.suffix for path in Path("results").glob("my_prompt.*")}
        assert saved == {".safetensors", ".json", ".npy", ".png", ".md"}


@pytest.mark.slow
def test_the_gain_in_the_readme_is_what_its_example_prints(elsewhere, capsys):
    (block,) = blocks("README.md", "python")
    exec(compile(block, "README.md", "exec"), {})
    texts = capsys.readouterr().out, block.splitlines()[-1]
    printed, said = ([float(each) for each in re.findall(r"\d+\.\d", text)][:5] for text in texts)
    assert len(said) == 5  # both accuracies, their difference and its interval
    assert printed == pytest.approx(said, abs=3)  # points: processors round in other orders


def test_the_command_line_examples_of_all_pages_run_and_succeed(elsewhere, monkeypatch):
    def paint_few(name, data):
        whole = {"train": 500, "validation": 300, "test": 1000}  # the README's
        return paint_twin(name, {split: 50 for split in whole} if data == whole else data)

    monkeypatch.setattr("vpbench.data.load.paint_twin", paint_few)
    commands = dict.fromkeys(line for page in TEXTS for line in lines(page, "vpbench"))
    assert len(commands) >= 6
    for command in commands:
        if not any(words in command for words in NOT_RUN):
            command = command.replace("epochs=16", "epochs=1")  # the README's; see the next test
            assert main(shlex.split(command)[1:]) == 0, command


@pytest.mark.slow
def test_the_table_in_the_readme_is_what_its_command_prints(elsewhere, capsys):
    (command,) = (line for line in lines("README.md", "vpbench") if "vpbench fit" in line)
    assert main(shlex.split(command)[1:]) == 0
    tables = capsys.readouterr().out, *blocks("README.md", "text"), *blocks(COMMANDS, "text")[:1]
    numbers = [
        [float(each.replace(",", "")) for each in re.findall(r"[\d,]+\.\d|[\d,]{4,}", table)][-18:]
        for table in tables
    ]
    assert len(numbers) == 3 and len(numbers[0]) == 18  # three rows of four, two differences
    for said in numbers[1:]:
        assert said == pytest.approx(numbers[0], abs=3)  # points: processors round in other orders


@pytest.mark.parametrize("arguments", plans(), ids=" ".join)
def test_every_snakemake_line_can_be_planned(arguments, suite):
    snakemake(suite, "-n", *arguments)


def test_the_readme_is_short():
    assert len(TEXTS["README.md"].splitlines()) <= 150


@pytest.mark.parametrize("page", TEXTS)
def test_every_link_picture_and_fragment_is_there(page):
    text, folder = TEXTS[page], (ROOT / page).parent
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    targets += re.findall(r"^```\{(?:include|figure)\} (\S+)", text, re.MULTILINE)
    for target in targets:
        if not target.startswith(("http", "#")):
            assert (folder / target.partition("#")[0]).is_file(), target


@pytest.mark.parametrize("page", TEXTS)
def test_every_file_of_the_suite_that_a_page_names_is_there(page):
    names = re.findall(
        r"`((?:vpbench|analysis|config|docs|tests|workflow|profiles)/[\w./-]+)`", TEXTS[page]
    )
    for name in names:
        if "NAME" not in name and "_build" not in name:
            assert (ROOT / name).exists(), name


def test_the_rooms_are_those_of_the_test_of_the_architecture():
    floors = [" ".join(rooms) if len(rooms) == 1 else f"{{{', '.join(rooms)}}}" for rooms in FLOORS]
    assert " < ".join(floors) in " ".join(TEXTS["docs/architecture.md"].split())


def test_the_page_of_the_api_has_every_name():
    import vpbench

    described = re.findall(r"^\.\. auto\w+:: vpbench\.(\w+)$", TEXTS["docs/python-api.md"], re.M)
    assert sorted(described) == sorted(vpbench.__all__)


@pytest.mark.parametrize(
    ("page", "configs", "key"),
    [
        ("docs/quickstart.md", ["config/lab.yaml"], "analyses"),
        ("docs/methods.md", ["config/lab.yaml", "config/methods/lab.yaml"], "extensions"),
    ],
)
def test_the_list_of_results_is_what_the_configuration_makes(page, configs, key):
    table = TEXTS[page].partition("| File in `results/` |")[2].partition("\n\n")[0]
    first = [line.split("|")[1] for line in table.splitlines()[2:]]
    names = {name for cell in first for name in re.findall(r"`(.+?)`", cell)}
    config, _ = read_configs([ROOT / each for each in configs])
    assert names - {"claims", "tables.tex"} == set(config[key])


def made():
    """Returns the files of results/ that the lab makes, with the methods around the paper."""
    config, where = read_configs([ROOT / "config/lab.yaml", ROOT / "config/methods/lab.yaml"])
    grid = expand(config, where)
    files = [*products.PAGES, "results/claims.md", products.EXTENSIONS_PAGE, *grid.jobs]
    for name in config["analyses"]:
        files += products.products(name).values()
    for name in config["measurements"]:
        files += [f"results/measurements/lab/{name}/{task}.json" for task in config["tasks"]]
    return [*files, *grid.specs]


def test_the_readme_of_the_results_names_only_files_that_are_made():
    text = TEXTS["results/README.md"]
    first = [line.split("|")[1] for line in text.splitlines() if line.startswith("|")][2:]
    files = "\n".join(path.removeprefix("results/") for path in made())
    named = []
    for cell in first:
        for name in re.findall(r"`(.+?)`", cell):
            stem = named[-1].rpartition(".")[0] if name.startswith(".") else ""
            named.append(stem + name)
    assert len(named) > 12
    for name in named:
        parts = map(re.escape, re.split("<.*?>", name))
        assert re.search(f"^{'[^/]+'.join(parts)}$", files, re.MULTILINE), name
    workflow = "".join(path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk"))
    for folder in re.findall(r"`(\w+/)`", text):
        assert f"results/{folder}" in workflow or f"results/{folder[:-1]} " in workflow, folder
