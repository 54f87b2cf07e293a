"""Visual prompting against text prompts, linear probes and fine-tuning (Bahng et al. 2022).

The names below are the Python API. They are imported when first used, so that the torch-free
rooms (common, spec, records) stay cheap to import.
"""

from importlib import import_module
from typing import Any

__all__ = [
    "Comparison",
    "Model",
    "Preprocessing",
    "compare",
    "fit",
    "from_datasets",
    "from_folder",
    "load",
    "load_backbone",
    "load_recipe",
    "load_task",
    "wrap",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'vpbench' has no attribute {name!r}")
    return getattr(import_module("vpbench.api"), name)
