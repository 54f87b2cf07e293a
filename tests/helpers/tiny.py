"""The smallest data and recipes that still run everything."""

import torch

from vpbench.data.task import Split, Task
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.tasks import TASKS, is_twin

TWINS = [name for name in TASKS if is_twin(name)]
MICRO = [name for name in BACKBONES if name.endswith("_micro")]
SIZES = {"train": 24, "validation": 12, "test": 24}
DATA = SIZES | {"resolution": "backbone"}
ENGINE = {"precision": "fp32", "compile": False, "micro_batch": None}
PADDING = {
    "template": "padding",
    "size": 7,
    "init": "normal",
    "bound": "none",
    "operation": "add",
    "ensemble_size": 1,
    "prompt_space": "normalized",
    "image_side": None,
    "augmentation": "none",
    "optimiser": "sgd",
    "momentum": 0.9,
    "gradient": "plain",
    "label_map": "text",
    "map_lr": None,
    "source_classes": None,
    "text_encoder": None,
    "text_prompt": None,
    "class_names": None,
    "position_range": "full",
    "test_position": "centre",
    "epochs": 2,
    "batch_size": 8,
    "lr": 1.0,
    "schedule": "cosine",
    "warm_up": 0.25,
    "warm_up_steps": None,
    "eval_epochs": [1, 2],
}
EVP = {
    "init": "zeros",
    "prompt_space": "pixel",
    "image_side": 42,
    "augmentation": "flip",
    "gradient": "unit_image",
    "momentum": 0.0,
}
REPROGRAMMING = {
    "prompt_space": "pixel",
    "bound": "tanh",
    "image_side": 28,
    "size": 14,
    "optimiser": "adam",
    "lr": 0.05,
}
READING = {"text_prompt": None, "class_names": None}
PROBE = {"C": [1.0], "max_iter": 20_000, "standardize": False}
TUNE = {
    "head": "text",
    "weight_decay": 0.01,
    "decay_gains_and_biases": True,
    "betas": [0.9, 0.98],
    "eps": 1e-8,
    "epochs": 2,
    "batch_size": 12,
    "lr": 0.001,
    "schedule": "cosine",
    "warm_up": 0.0,
    "warm_up_steps": None,
    "eval_epochs": [1],
}
TOKENS = {
    "epochs": 2,
    "batch_size": 8,
    "lr": 0.01,
    "schedule": "cosine",
    "warm_up": 0.0,
    "warm_up_steps": None,
    "eval_epochs": [2],
    "momentum": 0.9,
    "weight_decay": 0.0005,
    "warm_up_lr": None,
    "rate_changes": "step",
    "t_max": "all",
    "drop_last": True,
    "augmentation": "none",
    "class_names": None,
}
CONTEXT = TOKENS | {"context_tokens": 4, "context_words": "a photo of a"}
COOP = CONTEXT | {"class_specific": False, "class_name_at": "end"}
COCOOP = CONTEXT | {"hidden_width": 4}
VPT = TOKENS | {
    "text_prompt": None,
    "image_tokens": 5,
    "depth": None,
    "init": "uniform",
    "tokens_at": "after_norm",
    "dropout": 0.0,
    "head": "text",
}
UPT = TOKENS | {
    "context_tokens": 4,
    "class_name_at": "middle",
    "image_tokens": 3,
    "depth": 2,
    "width": 32,
    "layers": 1,
    "heads": 1,
}
SETTINGS = {
    "text_prompt": READING,
    "visual_prompt": PADDING,
    "evp": PADDING | EVP,
    "adversarial_reprogramming": PADDING | REPROGRAMMING,
    "linear_probe": PROBE,
    "fine_tune": TUNE,
    "coop": COOP,
    "cocoop": COCOOP,
    "vpt": VPT,
    "upt": UPT,
}


def spec(method="visual_prompt", backbone="clip_micro", task="eurosat_twin", seed=0, **changes):
    """Returns the spec of a tiny run, its settings with `changes`."""
    return {
        "scale": "lab",
        "kind": "twins",
        "task": task,
        "backbone": backbone,
        "method": method,
        "variant": "default",
        "seed": seed,
        "data": dict(DATA),
        "engine": dict(ENGINE),
        "settings": SETTINGS[method] | changes,
    }


def numbered_task(sizes, classes=3):
    """Returns a task whose image number n of a split is n everywhere and has label n % classes."""
    splits = {}
    for name, count in sizes.items():
        images = torch.arange(count, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 4, 4, 3)
        ids = tuple(f"{name}/{number}" for number in range(count))
        splits[name] = Split(images.contiguous(), torch.arange(count) % classes, ids)
    return Task("numbered", "Numbered", tuple("abcdefgh"[:classes]), "a {}", splits)
