"""What the tests of disasters share."""

import json
import os
from pathlib import Path

import pytest
from PIL import Image

from tests.helpers.command_runs import (
    files,
    one_line,
)
from vpbench.cli.main import main


@pytest.fixture
def complains(capsys):
    """Returns a function: the one line with which a command ends, with 2."""

    def complaint(arguments):
        capsys.readouterr()
        assert main(arguments) == 2
        return one_line(capsys.readouterr().err)

    return complaint


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Returns a function: the arguments of a command -> the files that it writes undisturbed."""
    done = {}

    def result(arguments):
        key = json.dumps(arguments)
        if key not in done:
            folder = tmp_path_factory.mktemp("undisturbed")
            before = Path.cwd()
            os.chdir(folder)
            try:
                assert main(arguments) == 0
            finally:
                os.chdir(before)
            done[key] = files(folder)
        return done[key]

    return result


@pytest.fixture
def pets(tmp_path, task):
    """Returns a folder of images of two classes."""
    images = task.splits["train"].images.numpy()
    for label, name in enumerate(("cat", "dog")):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for number in range(5):
            path = tmp_path / "pets" / name / f"{number}.png"
            Image.fromarray(images[5 * label + number]).save(path)
    return tmp_path / "pets"
