"""Who may import whom."""

import ast
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import vpbench

ROOT = Path(__file__).parents[1]
MODULES = sorted(
    module.name for module in pkgutil.walk_packages(vpbench.__path__, "vpbench.")
    if not module.name.endswith("__main__")
)  # fmt: skip
# WILDS keeps its tables in pandas, and scikit-learn imports it.
WITH_TABLES = (
    "vpbench.datasets.wilds_repairs",
    "vpbench.datasets.wilds_sets",
    "vpbench.methods.linear_probe",
)
ANALYSES = sorted(f"analysis.{path.stem}" for path in ROOT.glob("analysis/*.py"))
ANALYSES.remove("analysis.__init__")


def loaded(*names):
    """Returns the names of all modules that a fresh Python has after importing `names`."""
    command = f"import sys, {', '.join(names)}; print(*sys.modules)"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "MPLBACKEND": "agg"}
    done = subprocess.run(
        [sys.executable, "-c", command], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def imports(path):
    """Returns the modules that the statements of a file import."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_the_catalogue_imports_nothing_heavy():
    assert not loaded("vpbench.catalogue") & {"torch", "numpy", "jsonschema", "pandas"}


def test_records_import_no_torch():
    modules = loaded("vpbench.records")
    assert "vpbench.catalogue" in modules and not modules & {"torch", "pandas", "sklearn"}


def test_the_command_line_starts_without_torch():
    assert "torch" not in loaded("vpbench", "vpbench.__main__")


def test_no_analysis_imports_torch():
    assert len(ANALYSES) > 8
    modules = loaded(*ANALYSES, "seaborn")  # which figures import when they are drawn
    assert "pandas" in modules
    assert not modules & {"torch", "torchvision", "timm", "open_clip", "torchmetrics"}


def test_vpbench_imports_no_pandas_and_no_seaborn():
    assert "vpbench.lab.pretrain" in MODULES
    modules = loaded(*(name for name in MODULES if name not in WITH_TABLES))
    assert "torch" in modules and not modules & {"pandas", "seaborn", "matplotlib"}


@pytest.mark.parametrize("path", sorted(ROOT.glob("vpbench/**/*.py")), ids=lambda path: path.stem)
def test_vpbench_does_not_know_the_analysis_or_the_workflow(path):
    tops = {name.split(".")[0] for name in imports(path) if name}
    tables = {"pandas"} if f"vpbench.datasets.{path.stem}" in WITH_TABLES else set()
    foreign = {"analysis", "workflow", "snakemake", "pandas", "seaborn", "matplotlib"}
    assert not tops & foreign - tables


@pytest.mark.parametrize("path", sorted(ROOT.glob("analysis/*.py")), ids=lambda path: path.stem)
def test_analysis_takes_only_specs_records_costs_and_words_from_vpbench(path):
    allowed = ("catalogue", "costs", "documents", "grid", "records", "text")
    mine = [name for name in imports(path) if name and name.startswith("vpbench.")]
    assert {name.split(".")[1] for name in mine} <= set(allowed)


def test_the_painters_of_the_lab_need_no_torch():
    painters = [name for name in MODULES if name.startswith("vpbench.lab.twins.")]
    assert len(painters) == 16  # and the toy dataset of cats and dogs
    assert "torch" not in loaded("vpbench.lab.world", *painters)


def test_the_workflow_imports_only_modules_without_torch():
    files = [ROOT / "Snakefile", *ROOT.glob("workflow/**/*.smk")]
    lines = [line for file in files for line in file.read_text().splitlines()]
    pattern = re.compile(r"^\s*(from|import)\s+(vpbench|analysis|torch)\b")
    assert [line for line in lines if pattern.match(line)] == [
        "from vpbench import catalogue, grid, places",
        "from vpbench.preprocessing import Preprocessing",
    ]
    modules = loaded("vpbench.catalogue", "vpbench.grid", "vpbench.places", "vpbench.preprocessing")
    assert not modules & {"torch", "pandas", "sklearn"}
