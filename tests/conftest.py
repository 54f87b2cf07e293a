from pathlib import Path

import pytest
import torch

from tests.helpers.checkout import copy_suite
from tests.helpers.tiny import DATA
from vpbench.data import load
from vpbench.models import backbone

TESTS = Path(__file__).parent
QUICK = (  # folders and files, below this one, whose tests take milliseconds each
    "analysis/common/",
    "analysis/tables/",
    "common/test_paths",
    "compute/test_engine",
    "compute/test_precision",
    "data/datasets/",
    "data/test_augmentation",
    "data/test_folder_",
    "data/test_image_folder",
    "data/test_photographs",
    "data/test_subsets",
    "data/test_task",
    "methods/test_fit",
    "models/test_backbone",
    "models/test_folded_layers",
    "models/test_vision_transformer",
    "models/test_weight_files",
    "prompts/",
    "records/test_reading",
    "spec/test_class_names",
    "spec/test_dataset_facts",
    "spec/test_preprocessing",
    "spec/test_schedules",
    "spec/test_settings",
    "spec/test_text_prompts",
    "test_architecture",
    "training/test_metrics",
    "training/test_trainer",
    "twins/",
)
LONG = (  # whose tests go first, so that no worker waits for another at the end
    "workflow/test_smoke",
    "models/test_hub_backbones",
    "experiment/test_killed_runs",
    "experiment/",
    "spec/",
    "workflow/",
    "docs/",
    "compute/",
)

torch.set_num_threads(1)  # the models are so small that more threads only cost


def pytest_collection_modifyitems(items):
    """Marks the tests of the tier for every save, and lets the longest files begin first.

    Those of a file go to one worker (--dist loadfile), since many share what takes long to make.
    """
    for item in items:
        path = item.path.relative_to(TESTS).as_posix()
        if path.startswith(QUICK) and not item.get_closest_marker("slow"):
            item.add_marker("quick")
    items.sort(key=lambda item: turn(item.path.relative_to(TESTS).as_posix()))


def turn(path):
    """Returns when the tests of a file are to begin, the longest first."""
    return next((turn for turn, long in enumerate(LONG) if path.startswith(long)), len(LONG))


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


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    """Returns a copy of the suite in which nothing has been run."""
    return copy_suite(tmp_path_factory.mktemp("suite"))
