"""The settings of every method: what is legal, as JSON schema."""

SELECTIONS = ("last", "best_validation", "best_test")  # which epoch's accuracy is read


# Section 3.2.2 of the paper, then others': a product of factors, a picture that a network weights
# for each image, and no prompt at all
PAPER_TEMPLATES = ("padding", "fixed_patch", "random_patch")


TEMPLATES = (*PAPER_TEMPLATES, "low_rank", "conditional", "none")


LABEL_MAPS = (  # those of section 3.3, then others' for each modality
    *("text", "hard_coded", "names", "ensemble", "learned_classifier"),
    *("random", "semantic", "frequency", "iterative", "bayesian", "bayesian_plus", "linear"),
)


TRAINED_MAPS = ("learned_classifier", "linear")  # by steps, together with the prompt


AUGMENTATIONS = ("none", "flip", "flip_crop", "resized_crop")  # of training images


PRECISIONS = ("fp32", "bf16", "fp16", "auto")  # auto: what the machine is fastest in


SCHEDULES = ("cosine", "linear", "constant")  # what the learning rate does after its warm-up


FIXED_TEMPLATES = ("padding", "fixed_patch", "low_rank")  # nothing is drawn, no network


_COUNT = {"type": "integer", "minimum": 1}


_POSITIVE = {"type": "number", "exclusiveMinimum": 0}


_SHARE = {"type": "number", "minimum": 0, "maximum": 1}


_OPTIMISER = {
    "epochs": _COUNT,
    "batch_size": _COUNT,
    "lr": _POSITIVE,
    "schedule": {"enum": list(SCHEDULES)},
    "warm_up": _SHARE,  # as a share of all steps ...
    "warm_up_steps": {"type": ["integer", "null"], "minimum": 0},  # ... or in steps, if not null
    # Epochs with a look at validation and test, or a number n: each n-th. The last always has one.
    "eval_epochs": {"type": ["array", "integer"], "items": _COUNT, "minimum": 1},
}


_NAMES = {"type": ["array", "null"], "items": {"type": "string"}, "minItems": 2}


_WORDS = {  # what is said to a model that reads; null: what the task says
    "text_prompt": {"type": ["string", "null"]},
    # a list, or the name of one in vpbench/datasets/class_names, e.g. svhn.words
    "class_names": _NAMES | {"type": ["array", "string", "null"]},
}


_TOKENS = _OPTIMISER | {  # of learned tokens, by SGD
    "momentum": _SHARE,
    "weight_decay": {"type": "number", "minimum": 0},
    "warm_up_lr": {"type": ["number", "null"], "minimum": 0},  # constant; null: linear up to lr
    "rate_changes": {"enum": ["step", "epoch"]},  # how often
    "augmentation": {"enum": list(AUGMENTATIONS)},
    "class_names": _WORDS["class_names"],
}


_CONTEXT = _TOKENS | {
    "context_tokens": _COUNT,
    "context_words": {"type": ["string", "null"]},  # to start from, as many tokens; null: random
}


_NAME_AT = {"enum": ["end", "middle", "front"]}  # of the context


_LAYERS = {"type": ["integer", "null"], "minimum": 1}  # that have tokens; 1: shallow, null: all


_PROMPT = (
    _OPTIMISER
    | _WORDS
    | {
        "template": {"enum": list(TEMPLATES)},
        # Pixels: the width of the border, the side of the patch or of the squares of a conditional
        # prompt's mask; of low_rank its rank
        "size": _COUNT,
        "init": {"enum": ["normal", "zeros"]},
        "bound": {"enum": ["none", "tanh", "sigmoid"]},  # what bounds the prompt
        "operation": {"enum": ["add", "multiply"]},
        "ensemble_size": _COUNT,  # prompts whose answers are averaged
        "prompt_space": {"enum": ["normalized", "pixel"]},
        # The image is shrunk to so many pixels, in the middle of black; null: it is not
        "image_side": {"type": ["integer", "null"], "minimum": 1},
        "augmentation": {"enum": list(AUGMENTATIONS)},  # of the training images
        "optimiser": {"enum": ["sgd", "nesterov", "adam"]},
        "momentum": _SHARE,  # of adam: its first beta
        # As it is, divided by its L2 norm, or by that of the whole image's gradient (EVP)
        "gradient": {"enum": ["plain", "unit", "unit_image"]},
        "label_map": {"enum": list(LABEL_MAPS)},
        "map_lr": _POSITIVE | {"type": ["number", "null"]},  # of a label map that is trained
        "source_classes": _NAMES,  # of a hard-coded map, one per class; null: the first ones
        # Of a semantic map: the vision-language backbone that compares the names of classes
        "text_encoder": {"type": ["string", "null"]},
        # Random patch: may it reach the last row and column (the official code's never does),
        # and is it drawn anew at test time (as there) or put in the middle of its range?
        "position_range": {"enum": ["official", "full"]},
        "test_position": {"enum": ["random", "centre"]},
    }
)


_FINE_TUNE = _OPTIMISER | {
    "weight_decay": {"type": "number", "minimum": 0},
    "decay_gains_and_biases": {"type": "boolean"},  # or only matrices, as open_clip does
    "betas": {"type": "array", "items": _SHARE, "minItems": 2, "maxItems": 2},
    "eps": _POSITIVE,
    "head": {"enum": ["text", "new"]},  # initialised from the text features, or at random
}


SETTINGS = {  # method -> setting -> what is legal, as JSON schema; every setting must be given
    "text_prompt": _WORDS,
    "visual_prompt": _PROMPT,
    "evp": _PROMPT,
    "adversarial_reprogramming": _PROMPT,
    "linear_probe": {
        "C": {"type": "array", "items": _POSITIVE, "minItems": 1},  # one: fixed; many: validation
        "max_iter": _COUNT,
        "standardize": {"type": "boolean"},
    },
    "fine_tune": _FINE_TUNE,
    "prompted_fine_tune": _FINE_TUNE
    | {
        "template": {"enum": list(FIXED_TEMPLATES)},
        "size": _COUNT,
        "init": _PROMPT["init"],
        "prompt_lr": _POSITIVE,
    },
    "coop": _CONTEXT | {"class_specific": {"type": "boolean"}, "class_name_at": _NAME_AT},
    "cocoop": _CONTEXT | {"hidden_width": _COUNT},  # of the network that sees the image
    "vpt": _TOKENS
    | _WORDS
    | {
        "image_tokens": _COUNT,
        "depth": _LAYERS,
        "init": {"enum": ["uniform", "normal"]},  # VPT's, or N(0, 0.02^2)
        "dropout": {"type": "number", "minimum": 0, "exclusiveMaximum": 1},  # of tokens
        "head": {"enum": ["text", "linear"]},  # the text features, or a linear one that is learned
    },
    "upt": _TOKENS
    | {
        "context_tokens": _COUNT,
        "class_name_at": _NAME_AT,
        "image_tokens": _COUNT,
        "depth": _LAYERS,
        "width": _COUNT,  # of the transformer that both kinds of tokens go through
        "layers": _COUNT,
        "heads": _COUNT,
    },
}


def is_prompt(method):
    """Returns whether `method` learns a prompt in the image, which is kept beside its record."""
    return SETTINGS[method] is _PROMPT


def nothing_to_train(settings):
    """Returns whether a run only looks: no prompt, and a label map that is not trained."""
    return settings.get("template") == "none" and settings["label_map"] not in TRAINED_MAPS


def merge_settings(recipes, method, backbone):
    """Returns the settings of `method`: those for every backbone, then what `backbone` changes."""
    return recipes[method]["every_backbone"] | recipes[method].get(backbone, {})


def selection_rule(method, paper_validation, shift):
    """Returns the selection whose accuracy the tables show.

    Trained methods are selected on validation where the paper's Table 6 has a validation split
    (the shifts: their OOD validation split) and read at the last epoch elsewhere.
    """
    trained = "epochs" in SETTINGS[method]
    return "best_validation" if trained and (paper_validation or shift) else "last"
