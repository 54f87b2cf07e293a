"""Images and a prompt that the command line learned on them."""

import signal

import pytest
from PIL import Image

from tests.helpers.command_line import FIT, fit
from vpbench.cli.main import main
from vpbench.training.trainer import Trainer


@pytest.fixture(scope="session")
def pets(tmp_path_factory, task):
    """Returns a folder of images of three classes that the micro-CLIP can read."""
    folder = tmp_path_factory.mktemp("images") / "pets"
    images = task.splits["train"].images.numpy()
    for label, name in enumerate(("cat", "dog", "horse")):
        (folder / name).mkdir(parents=True)
        for number in range(6):
            Image.fromarray(images[6 * label + number]).save(folder / name / f"{number}.png")
    return str(folder)


@pytest.fixture(scope="session")
def fitted(tmp_path_factory, pets):
    """Returns the path, without ending, of a prompt that the command line learned."""
    path = tmp_path_factory.mktemp("prompts") / "pets"
    assert main([*fit(pets, str(path), *FIT)]) == 0
    return str(path)


@pytest.fixture
def stop_after(monkeypatch):
    """Returns a function: another fit gets the signal `number` in its step `step`."""
    original, signals = Trainer.train_step, []

    def train_step(self, *arguments):
        if signals and self.taken + 1 == signals[0][0]:
            signal.raise_signal(signals.pop(0)[1])
        return original(self, *arguments)

    monkeypatch.setattr(Trainer, "train_step", train_step)
    return lambda step, number: signals.append((step, number))
