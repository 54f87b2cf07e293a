"""The wilds package (2.0.0) under today's torch and pandas; nothing else imports it.

- FMoW's timestamps come in two formats, with and without fractions of a second, which pandas >= 2
  refuses to guess (https://github.com/p-lambda/wilds/issues/146).
- Its `eval` averages over groups with torch_scatter, which it does not install and which needs a
  compiler. Here that is plain torch, so that `eval` can check the metrics of this suite.
- It starts a thread that asks the package index for a newer version.
- Its FMoW module switches off Pillow's guard against decompression bombs.
"""

import sys
import warnings
from functools import cache, partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pandas as pd
import torch
from PIL import Image
from torch import Tensor


def open_dataset(name: str, version: str, root: str | Path) -> Any:
    """Returns the WILDS dataset `name` below `root`; nothing is downloaded."""
    with warnings.catch_warnings():
        # pandas hands out arrays that may not be written to, and nobody does.
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return repaired().get_dataset(
            dataset=name, version=version, root_dir=str(root), download=False
        )


@cache
def repaired() -> ModuleType:
    """Returns the module wilds, imported and repaired."""
    asked = "outdated" in sys.modules
    largest_image = Image.MAX_IMAGE_PIXELS
    # None: importing it fails, and wilds goes without. It is no module, so mypy is told.
    sys.modules.setdefault("outdated", None)  # type: ignore[arg-type]
    try:
        import wilds
        from wilds.common import utils
        from wilds.common.metrics import all_metrics, metric
        from wilds.datasets import fmow_dataset
    finally:
        Image.MAX_IMAGE_PIXELS = largest_image
        if not asked:
            del sys.modules["outdated"]
    fmow_dataset.pd = SimpleNamespace(
        read_csv=pd.read_csv, to_datetime=partial(pd.to_datetime, format="ISO8601")
    )
    for module in (utils, metric, all_metrics):  # each has its own name for it
        module.avg_over_groups = average_over_groups
    return wilds


def average_over_groups(values: Tensor, groups: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Returns the mean of `values` [N] in each of `count` groups (0 if empty), and their sizes."""
    sizes = torch.bincount(groups, minlength=count)
    sums = torch.zeros(count, dtype=values.dtype).index_add_(0, groups, values)
    return sums / sizes.clamp(min=1), sizes
