import pytest
import torch

from tests.helpers.tiny import DATA
from vpbench.data import load
from vpbench.models import backbone

torch.set_num_threads(1)  # the models are so small that more threads only cost


@pytest.fixture(scope="session")
def clip():
    """Returns the micro-CLIP; tests leave it as it is."""
    return backbone.load_backbone("clip_micro")


@pytest.fixture(scope="session")
def resnet():
    """Returns the stand-in for RN50; tests leave it as it is."""
    return backbone.load_backbone("rn50_micro")


@pytest.fixture(scope="session")
def task():
    """Returns a very small EuroSAT twin."""
    return load.load_task("eurosat_twin", DATA)
