"""The settings that methods share: what is legal, the default, what it means and where it is from.

A configuration gives what has no default and what differs. Sources: "paper" is Bahng et al. (arXiv
2203.17274) by section, "code" its released program.
"""

from typing import Any, NamedTuple

from vpbench.spec.label_maps import LABEL_MAPS
from vpbench.spec.prompt_forms import PROMPT_FORMS

Settings = dict[str, Any]  # of a run: every setting of its method, by name

REQUIRED = ...  # the default of a setting that every configuration has to give

PRECISIONS = ("fp32", "bf16", "fp16", "auto")  # auto: what the machine is fastest in
AUGMENTATIONS = ("none", "flip", "flip_crop", "resized_crop")  # of training images
SCHEDULES = ("cosine", "linear", "constant", "multistep")  # of the rate after its warm-up

COUNT = {"type": "integer", "minimum": 1}
POSITIVE = {"type": "number", "exclusiveMinimum": 0}
SHARE = {"type": "number", "minimum": 0, "maximum": 1}
NOT_NEGATIVE = {"type": "number", "minimum": 0}
_STEPS = {"type": ["integer", "null"], "minimum": 0}
_EPOCHS = {"type": ["array", "integer"], "items": COUNT, "minimum": 1}
_TEXT = {"type": ["string", "null"]}
_NAMES = {"type": ["array", "null"], "items": {"type": "string"}, "minItems": 2}
_LAYERS = {"type": ["integer", "null"], "minimum": 1}


class Setting(NamedTuple):
    """A setting of a method."""

    legal: dict[str, Any]  # as JSON schema
    default: Any = REQUIRED
    meaning: str = ""
    source: str = ""  # of the default


def one_of(*values: str) -> dict[str, Any]:
    """Returns the JSON schema of a text that is one of `values`."""
    return {"enum": list(values)}


def said(schema: dict[str, Any], meaning: str) -> dict[str, Any]:
    """Returns `schema` with what it means, which the pages of the documentation print."""
    return schema | {"description": meaning}


def changed(settings: dict[str, Setting], **defaults: Any) -> dict[str, Setting]:
    """Returns `settings` with other defaults."""
    return settings | {
        name: settings[name]._replace(default=value, source="") for name, value in defaults.items()
    }


TRAINING = {  # of every method that is trained by steps
    "epochs": Setting(COUNT, REQUIRED, "passes through the training images"),
    "batch_size": Setting(COUNT, REQUIRED, "training images of a step"),
    "lr": Setting(POSITIVE, REQUIRED, "learning rate, the highest of the schedule"),
    "schedule": Setting(
        one_of(*SCHEDULES),
        "cosine",
        "what the rate does after its warm-up; multistep: a tenth from 50 % of the steps, a "
        "hundredth from 72 % (ILM-VP)",
        "code, utils.py",
    ),
    "warm_up": Setting(SHARE, 0, "share of all steps in which the rate rises to lr"),
    "warm_up_steps": Setting(_STEPS, None, "the same in steps; null: the share counts"),
    "eval_epochs": Setting(
        _EPOCHS,
        [],
        "epochs with an evaluation on validation and test, or a number n: every n-th; the last "
        "epoch always has one",
    ),
}
TEXT_PROMPT = Setting(
    _TEXT, None, "what CLIP reads, {} for the name of the class; null: the task's", "paper, Table 6"
)
CLASS_NAMES = Setting(
    _NAMES | {"type": ["array", "string", "null"]},
    None,
    "names of the classes: a list, or a list of vpbench/spec/manifests by name, e.g. svhn.words; "
    "null: the task's",
)
WORDS = {"text_prompt": TEXT_PROMPT, "class_names": CLASS_NAMES}
AUGMENTATION = Setting(one_of(*AUGMENTATIONS), "none", "of the training images", "code")
MOMENTUM = Setting(SHARE, 0.9, "of SGD; of Adam its first beta", "code, --momentum")
WEIGHT_DECAY = Setting(NOT_NEGATIVE, 0, "of every step")

PROMPT = (  # of every method that learns a prompt in the image
    TRAINING
    | WORDS
    | {
        "template": Setting(
            one_of(*PROMPT_FORMS), "padding", "the form of the prompt", "paper, section 3.4"
        ),
        "size": Setting(
            COUNT,
            REQUIRED,
            "pixels: the width of a padding, the side of a patch, of the squares of a conditional "
            "prompt's mask; the rank of a low-rank prompt",
        ),
        "init": Setting(one_of("normal", "zeros"), "normal", "the start: N(0, 1) or 0", "code"),
        "bound": Setting(one_of("none", "tanh", "sigmoid"), "none", "what bounds the values"),
        "operation": Setting(
            one_of("add", "multiply"), "add", "how the prompt acts on an image", "paper, 3.2"
        ),
        "ensemble_size": Setting(COUNT, 1, "prompts whose answers are averaged"),
        "prompt_space": Setting(
            one_of("normalized", "pixel"),
            "normalized",
            "is the prompt added to the normalised image, or to the pixels before",
            "code, main_clip.py",
        ),
        "image_side": Setting(
            _LAYERS,
            None,
            "pixels that the image is shrunk to, in the middle of black; null: it is not",
        ),
        "augmentation": AUGMENTATION,
        "optimiser": Setting(
            one_of("sgd", "nesterov", "adam"), "sgd", "what takes the steps", "code"
        ),
        "momentum": MOMENTUM,
        "gradient": Setting(
            one_of("plain", "unit", "unit_image"),
            "plain",
            "as it is, divided by its L2 norm, or by that of the whole image's gradient (EVP)",
            "code",
        ),
        "label_map": Setting(
            one_of(*LABEL_MAPS), "hard_coded", "how outputs become classes", "paper, section 3.3"
        ),
        "map_lr": Setting(
            POSITIVE | {"type": ["number", "null"]}, None, "rate of a label map that is trained"
        ),
        "source_classes": Setting(
            _NAMES,
            None,
            "of a hard-coded map: a class of the backbone for every class; null: the first ones",
            "code",
        ),
        "text_encoder": Setting(
            _TEXT, None, "of a semantic map: the backbone that compares the names of classes"
        ),
        "position_range": Setting(
            one_of("official", "full"),
            "official",
            "may a random patch reach the last row and column; the official one never does",
            "code, models/prompters.py",
        ),
        "test_position": Setting(
            one_of("random", "centre"),
            "random",
            "is a random patch drawn anew at test time, or put in the middle of its range",
            "code",
        ),
    }
)
TOKENS = TRAINING | {  # of learned tokens, by SGD
    "momentum": MOMENTUM,
    "weight_decay": WEIGHT_DECAY._replace(default=5.0e-4, source="CoOp, Dassl's default"),
    "warm_up_lr": Setting(
        NOT_NEGATIVE | {"type": ["number", "null"]},
        None,
        "constant rate of the warm-up; null: it rises to lr",
    ),
    "rate_changes": Setting(one_of("step", "epoch"), "step", "how often the rate changes"),
    "t_max": Setting(
        one_of("rest", "all"),
        "all",
        "steps in which the schedule would end: those after the warm-up, or as many as all",
        "CoOp, Dassl's scheduler",
    ),
    "drop_last": Setting(
        {"type": "boolean"},
        True,
        "is a last batch that is not whole left out of an epoch?",
        "CoOp, Dassl's loader",
    ),
    "augmentation": AUGMENTATION,
    "class_names": CLASS_NAMES,
}
CONTEXT_TOKENS = Setting(COUNT, REQUIRED, "learned tokens beside the class name")
CLASS_NAME_AT = Setting(one_of("end", "middle", "front"), "end", "place of the name in the context")
IMAGE_TOKENS = Setting(COUNT, REQUIRED, "learned tokens of the image tower, in every layer")
DEPTH = Setting(_LAYERS, None, "layers that have tokens: 1 is shallow, null all")
CONTEXT = TOKENS | {
    "context_tokens": CONTEXT_TOKENS,
    "context_words": Setting(
        _TEXT, None, "text of as many tokens to start from; null: a random start"
    ),
}
ADAMW = {
    "weight_decay": WEIGHT_DECAY,
    "decay_gains_and_biases": Setting(
        {"type": "boolean"}, False, "or only matrices", "open_clip, main.py"
    ),
    "betas": Setting(
        {"type": "array", "items": SHARE, "minItems": 2, "maxItems": 2}, [0.9, 0.999], "of AdamW"
    ),
    "eps": Setting(POSITIVE, 1.0e-8, "of AdamW"),
}
FINE_TUNE = (
    TRAINING
    | ADAMW
    | {
        "head": Setting(
            one_of("text", "new"), "new", "starts as the text features (CLIP), or at random"
        )
    }
)
ENGINE = {  # how the numbers of a run are computed
    "precision": Setting(one_of(*PRECISIONS), "fp32", "of forward and backward passes"),
    "compile": Setting({"type": "boolean"}, False, "is torch.compile used?"),
    "micro_batch": Setting(
        {"type": ["integer", "null"], "minimum": 1},
        None,
        "images per pass, the gradients of a batch are added up; null: the whole batch",
    ),
}


def defaults(settings: dict[str, Setting]) -> Settings:
    """Returns name -> default of those settings that have one."""
    return {name: each.default for name, each in settings.items() if each.default is not REQUIRED}


def legal(settings: dict[str, Setting]) -> dict[str, Any]:
    """Returns name -> what is legal, as JSON schema."""
    return {name: each.legal for name, each in settings.items()}
