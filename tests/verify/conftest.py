"""The results that are damaged and verified."""

import shutil
from pathlib import Path

import pytest

from tests.helpers.checkout import ROOT
from tests.helpers.small_results import make_results


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """Returns a folder with the runs and the measurement of the configuration, and no tables."""
    return make_results(tmp_path_factory.mktemp("made") / "results")


@pytest.fixture
def results(made, tmp_path, monkeypatch):
    """Returns a copy of that folder, to be damaged."""
    monkeypatch.chdir(ROOT)  # where the scripts of the tables are
    return Path(shutil.copytree(made, tmp_path / "results"))
