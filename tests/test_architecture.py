"""The rooms of the house: who may import whom, and how large files and functions may be."""

import ast
import os
import re
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = (  # each may import those before it; those of one floor do not import each other
    ("common",),
    ("spec",),
    ("records", "compute"),
    ("twins",),
    ("data", "models"),
    ("lab", "prompts"),
    ("training",),
    ("methods",),
    ("experiment", "api"),
    ("verify",),
    ("cli",),
)
ABOVE_ALL = {"__init__", "__main__"}
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
WITHOUT_TORCH = ("common", "spec", "records")
HEAVY = {"torch", "torchvision", "timm", "open_clip", "torchmetrics"}
# WILDS keeps its tables in pandas, and scikit-learn imports it.
WITH_TABLES = (
    "vpbench.data.datasets.wilds_repairs",
    "vpbench.data.datasets.wilds_sets",
    "vpbench.methods.linear_probe",
    "vpbench.methods.model",  # its predictions are one
)
# A confusion matrix is drawn for whoever evaluates, beside its table; figures of records are
# the analysis's.
DRAWS = ("vpbench.cli.confusion",)
# Painters and lists are long because pictures and words are many.
LONG = ("vpbench/twins/", "vpbench/spec/manifests/", "vpbench/lab/weights/")


def files(*folders):
    """Returns the Python files below folders of the repository."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def module_name(path):
    """Returns the dotted name of a file of the repository."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {module_name(path): path for path in files("vpbench", "analysis")}


def imports(path, everywhere=True):
    """Returns the modules of this repository, and others, that a file imports; not `everywhere`:
    at its top level only."""
    tree = ast.parse(path.read_text())
    found = set()
    for node in ast.walk(tree) if everywhere else tree.body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                found.add(name if name in SOURCES else node.module)
    return found


def room(module):
    """Returns the room of a module of vpbench: its package, or itself."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def loaded(*names):
    """Returns the names of all modules that a fresh Python has after importing `names`."""
    command = f"import sys, {', '.join(names)}; print(*sys.modules)"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "MPLBACKEND": "agg"}
    done = subprocess.run(
        [sys.executable, "-c", command], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def modules(*rooms):
    """Returns the names of the modules in rooms of vpbench."""
    return sorted(name for name in SOURCES if name.startswith("vpbench.") and room(name) in rooms)


def test_every_package_is_on_a_floor_and_every_room_exists():
    rooms = {room(name) for name in SOURCES if name.startswith("vpbench")}
    assert rooms - ABOVE_ALL == set(FLOOR)


def test_vpbench_has_at_most_14_packages_and_5_files():
    here = ROOT / "vpbench"
    packages = [path for path in here.iterdir() if (path / "__init__.py").is_file()]
    assert len(packages) <= 14
    assert len([path for path in here.iterdir() if path.is_file()]) <= 5


@pytest.mark.parametrize("module", modules(*FLOOR))
def test_a_room_imports_only_itself_and_the_floors_below(module):
    mine = room(module)
    for name in imports(SOURCES[module]):
        if name.split(".")[0] == "vpbench":
            other = room(name)
            if other in ABOVE_ALL:
                assert mine == "cli", f"{module} imports {name}"
            else:
                below = FLOOR[other] < FLOOR[mine] or other == mine
                assert below, f"{module} imports {name}"


@pytest.mark.parametrize("package", ["vpbench", "analysis"])
def test_no_module_imports_itself_through_others(package):
    graph = {
        name: imports(path) & SOURCES.keys() - {name}
        for name, path in SOURCES.items()
        if name.split(".")[0] == package
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_the_rooms_of_specs_and_records_import_no_torch_and_no_tables():
    names = loaded(*modules(*WITHOUT_TORCH))
    assert "vpbench.records.schema" in names
    assert not names & {*HEAVY, "pandas", "sklearn", "seaborn"}


@pytest.mark.parametrize("module", modules(*WITHOUT_TORCH))
def test_the_rooms_of_specs_and_records_import_no_torch_later_either(module):
    assert not {name.split(".")[0] for name in imports(SOURCES[module])} & HEAVY


def test_the_workflow_loads_only_what_is_light():
    used = ("vpbench.spec.grid", "vpbench.spec.products", "vpbench.compute.gpu")
    assert not loaded(*used, "vpbench.spec.memory_costs") & {
        *HEAVY, "pandas", "sklearn", "scipy", "jsonschema",
    }  # fmt: skip


def test_the_command_line_starts_without_torch():
    assert "torch" not in loaded("vpbench", "vpbench.cli.main")


def test_no_analysis_imports_torch():
    analyses = [name for name in SOURCES if name.startswith("analysis.") and "__main__" not in name]
    assert len(analyses) > 40
    names = loaded(*analyses, "seaborn")  # which figures import when they are drawn
    assert "pandas" in names and not names & HEAVY


@pytest.mark.parametrize("module", [name for name in SOURCES if name.startswith("analysis")])
def test_analysis_takes_only_common_spec_and_records_from_vpbench(module):
    mine = {name for name in imports(SOURCES[module]) if name.split(".")[0] == "vpbench"}
    assert {room(name) for name in mine} <= set(WITHOUT_TORCH)


def test_vpbench_imports_no_pandas_and_no_seaborn():
    light = (name for name in SOURCES if name.startswith("vpbench") and "__main__" not in name)
    names = loaded(*(name for name in light if name not in WITH_TABLES))
    assert "torch" in names and not names & {"pandas", "seaborn", "matplotlib"}


@pytest.mark.parametrize("module", [name for name in SOURCES if name.startswith("vpbench")])
def test_vpbench_does_not_know_the_analysis_or_the_workflow(module):
    tops = {name.split(".")[0] for name in imports(SOURCES[module])}
    tables = {"pandas"} if module in WITH_TABLES else set()
    tables |= {"matplotlib"} if module in DRAWS else set()
    foreign = {"analysis", "workflow", "snakemake", "pandas", "seaborn", "matplotlib", "tests"}
    assert not tops & foreign - tables


def test_the_training_knows_no_method_by_name():
    from vpbench.spec.methods import METHODS

    names = "|".join(METHODS)
    for module in modules("training"):
        assert not re.search(rf"[\"']({names})[\"']", SOURCES[module].read_text()), module


def test_the_painters_of_twins_need_no_torch():
    painters = modules("twins")
    assert len(painters) > 16  # with the toy dataset of cats and dogs
    assert "torch" not in loaded(*painters)


def test_the_workflow_imports_only_the_room_of_specs_and_paths():
    found = [ROOT / "Snakefile", *ROOT.glob("workflow/**/*.smk")]
    lines = [line for file in found for line in file.read_text().splitlines()]
    pattern = re.compile(r"^\s*(?:from|import)\s+((?:vpbench|analysis|torch)\S*)")
    taken = {match[1] for line in lines if (match := pattern.match(line))}
    rooms = ("vpbench.common", "vpbench.spec", "vpbench.compute.gpu")  # the last counts GPUs
    assert taken and all(name.startswith(rooms) for name in taken)


@pytest.mark.parametrize("module", SOURCES)
def test_no_file_is_longer_than_350_lines_and_no_function_than_60(module):
    path = SOURCES[module]
    text = path.read_text()
    if not path.relative_to(ROOT).as_posix().startswith(LONG):
        assert len(text.splitlines()) <= 350
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 60, node.name


@pytest.mark.parametrize("path", files("tests"), ids=lambda path: path.stem)
def test_no_test_file_is_longer_than_500_lines(path):
    assert len(path.read_text().splitlines()) <= 500
