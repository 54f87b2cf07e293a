"""What is installed: the wheel, and a clone that is installed where it is."""

import os
import subprocess
import sys
from zipfile import ZipFile

import pytest

from tests.helpers.checkout import ROOT

WHERE = """
import os, vpbench
from vpbench.spec.recipes import load_recipe, shipped_config
print(vpbench.__file__, shipped_config("config/methods/lab.yaml"))
print(load_recipe("config/lab.yaml", "visual_prompt", "clip_micro")["lr"], os.listdir())
"""


def told(code, folder, *flags, **environment):
    """Returns the lines that a process of Python prints in a folder."""
    done = subprocess.run(
        [sys.executable, *flags, "-c", code],
        cwd=folder, env=os.environ | environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Returns the path of the wheel of this working tree, built as `pip` builds it."""
    folder = tmp_path_factory.mktemp("wheels")
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder))
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, ROOT], check=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.mark.slow
def test_the_wheel_has_the_package_its_data_and_the_configurations_and_nothing_else(wheel):
    about = ("dist-info/METADATA", "dist-info/WHEEL", "dist-info/RECORD")
    about += ("dist-info/entry_points.txt", "dist-info/licenses/LICENSE")
    with ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith(about)}
    endings = (".py", ".txt", ".json", ".jsonl", ".safetensors", ".typed")
    package = [path for path in (ROOT / "vpbench").rglob("*") if path.name.endswith(endings)]
    expected = {path.relative_to(ROOT).as_posix() for path in package}
    configs = (ROOT / "config").rglob("*.yaml")
    expected |= {f"vpbench/{path.relative_to(ROOT).as_posix()}" for path in configs}
    assert names == expected
    assert names >= {
        "vpbench/py.typed",
        "vpbench/config/lab.yaml",
        "vpbench/config/methods/paper.yaml",
        "vpbench/spec/manifests/svhn.words.txt",
        "vpbench/lab/weights/clip_micro.safetensors",
    }


@pytest.mark.slow
def test_what_the_wheel_installs_finds_its_configurations_from_any_folder(wheel, tmp_path):
    home, away = tmp_path / "home", tmp_path / "away"
    away.mkdir()
    with ZipFile(wheel) as archive:
        archive.extractall(home)
    package, recipe = told(WHERE, away, PYTHONPATH=str(home))
    assert package == f"{home}/vpbench/__init__.py {home}/vpbench/config/methods/lab.yaml"
    assert recipe == "10 []"


def test_a_clone_that_is_installed_where_it_is_is_imported_from_the_folder_above_it(
    tmp_path, monkeypatch
):
    from hatchling.build import build_editable

    clone, site = tmp_path / "vpbench", tmp_path / "site"
    subprocess.run(["git", "clone", "--quiet", "--depth=1", f"file://{ROOT}", clone], check=True)
    (clone / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    site.mkdir()
    monkeypatch.chdir(clone)
    with ZipFile(site / build_editable(str(site))) as archive:
        archive.extractall(site)
    code = f"import site; site.addsitedir({str(site)!r}); import vpbench; print(vpbench.__file__)"
    # -S: what is installed in this environment is not seen, nor the working tree
    assert told(code, tmp_path, "-S", PYTHONPATH="") == [f"{clone}/vpbench/__init__.py"]
    assert not (site / "vpbench").exists()  # one copy of the configurations
