"""Visual prompting against text prompts, linear probes and fine-tuning (Bahng et al. 2022).

The names below are the Python API. They are imported when first used, so that the torch-free
rooms (common, spec, records) stay cheap to import.
"""

from importlib import import_module
from typing import Any

_API = {
    "load_backbone": "vpbench.models.backbone",
    "load_folder": "vpbench.data.image_folder",
    "load_task": "vpbench.data.load",
    "load_recipe": "vpbench.spec.recipes",
    "fit_prompt": "vpbench.api",
    "evaluate_prompt": "vpbench.api",
    "save_prompt": "vpbench.prompts.files",
    "load_prompt": "vpbench.prompts.files",
    "export_prompt": "vpbench.prompts.files",
}
__all__ = list(_API)


def __getattr__(name: str) -> Any:
    if name not in _API:
        raise AttributeError(f"module 'vpbench' has no attribute {name!r}")
    return getattr(import_module(_API[name]), name)
