"""Visual prompting against text prompts, linear probes and fine-tuning (Bahng et al. 2022).

The names below are the Python API. They are imported when first used, so that the torch-free
modules (catalogue, records) stay cheap to import.
"""

from importlib import import_module

_API = {
    "load_backbone": "vpbench.backbones",
    "load_folder": "vpbench.folders",
    "load_task": "vpbench.tasks",
    "load_recipe": "vpbench.recipes",
    "fit_prompt": "vpbench.prompting",
    "evaluate_prompt": "vpbench.prompting",
    "save_prompt": "vpbench.prompt_files",
    "load_prompt": "vpbench.prompt_files",
    "export_prompt": "vpbench.prompt_files",
}
__all__ = list(_API)


def __getattr__(name):
    if name not in _API:
        raise AttributeError(f"module 'vpbench' has no attribute {name!r}")
    return getattr(import_module(_API[name]), name)
