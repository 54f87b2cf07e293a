"""The legal names of the suite and the facts that go with them; imports nothing heavy.

The Snakefile imports this module of vpbench and `grid`, and no other. To add a dataset, a backbone
or a method, write its file and add its one line here.
"""

from functools import cache
from typing import NamedTuple

from vpbench import documents
from vpbench.complaints import brief, one_line

SCHEMA = 1  # version of configuration, records and prompt cards
PLAIN = r"^[a-z0-9_]+\Z"  # of names that become paths; $ would let a line break follow
MOST = 1_000_000  # values in a configuration or in the specs of a job

SCALES = (
    *("lab", "smoke", "search", "speedrun"),
    *("desk", "desk-speedrun", "paper", "paper-fast"),
)
PAINTED = ("lab", "smoke", "search", "speedrun")  # the scales whose datasets are twins
OWN_DATASETS = ("desk", "desk-speedrun")  # the scales whose datasets are whatever the user names
MODALITIES = ("vision_language", "vision")  # Table 3; also the unit of a per_task job
SPLITS = ("train", "validation", "test")
SELECTIONS = ("last", "best_validation", "best_test")  # which epoch's accuracy is read


class Backbone(NamedTuple):
    """A frozen model: where it is built, what it stands for in the paper, and what it is."""

    module: str  # has load(name, device) -> vpbench.backbones.Backbone
    role: str  # the paper's model it is or stands in for: a key of ROLES
    modality: str
    architecture: str
    pretrained_on: str
    objective: str
    licence: str = "MIT"  # of the weights
    # What it takes and costs, for plans and caches
    preprocessing: tuple = (56, 56, "bicubic")  # of vpbench.preprocessing.Preprocessing
    parameters: int | None = None
    gflops: float | None = None  # of an image, forward: 2 x multiply-adds, torch's FlopCounterMode
    source_classes: int | None = None  # of the classifier that it is; None: it has none
    hub: str | None = None  # repository and file of the weights on the hub; None: shipped
    token_towers: tuple[str, ...] = ()  # the transformers that take learned tokens: text, image


ROLES = {"clip": "CLIP", "instagram": "Instagram", "bit_m": "BiT-M", "rn50": "RN50"}

_LAB = "vpbench.lab.micro_backbones"
_ORIGINAL = "vpbench.original_backbones"
_DESK = "vpbench.desk."
# pretrained on, objective, licence, preprocessing (Table 3; the cards of the weights)
_SHORTER_256 = (256, 224, "bilinear")
_CLIP = ("400M image-text pairs", "Contrastive", "MIT", (224, 224, "bicubic"))
_INSTAGRAM = ("3.5B Instagram photos", "Cross Entropy", "CC-BY-NC-4.0", _SHORTER_256)
_BIT_M = ("14M ImageNet-21k", "Cross Entropy", "Apache-2.0", _SHORTER_256)
_IMAGENET = ("1.2M ImageNet-1k", "Cross Entropy", "BSD-3-Clause", _SHORTER_256)
_TOWERS = ("text", "image")
_LITE = ("1.2M ImageNet-1k", "Cross Entropy", "Apache-2.0")
BACKBONES = {
    "clip_micro": Backbone(
        _LAB, "clip", "vision_language", "ViT 56/8, width 96, 4 layers", "captioned lab world",
        "Contrastive", parameters=603_169, gflops=0.046, token_towers=_TOWERS,
    ),
    "instagram_micro": Backbone(
        _LAB, "instagram", "vision", "ResNeXt, 4 blocks, 8 groups",
        "hashtags of the lab world, then its labels", "Cross Entropy",
        parameters=464_339, gflops=0.028, source_classes=147,
    ),
    "bit_m_micro": Backbone(
        _LAB, "bit_m", "vision", "ResNetV2 (weight std., group norm), 4 blocks",
        "fine labels of the lab world", "Cross Entropy",
        parameters=490_441, gflops=0.015, source_classes=313,
    ),
    "rn50_micro": Backbone(
        _LAB, "rn50", "vision", "ResNet, 4 blocks", "labelled lab world", "Cross Entropy",
        parameters=434_963, gflops=0.026, source_classes=147,
    ),
    # The original ones; the facts in the order of Backbone's fields
    "clip_vit_b32": Backbone(
        _ORIGINAL, "clip", "vision_language", "ViT-B/32", *_CLIP, 151_277_313, 8.82, None,
        "timm/vit_base_patch32_clip_224.openai/open_clip_model.safetensors", _TOWERS,
    ),
    "clip_vit_b16": Backbone(
        _ORIGINAL, "clip", "vision_language", "ViT-B/16", *_CLIP, 149_620_737, 35.13, None,
        "timm/vit_base_patch16_clip_224.openai/open_clip_model.safetensors", _TOWERS,
    ),
    "clip_rn50": Backbone(
        _ORIGINAL, "clip", "vision_language", "ResNet-50", *_CLIP, 102_007_137, 12.22, None,
        "timm/resnet50_clip.openai/open_clip_model.safetensors", ("text",),
    ),
    "clip_rn101": Backbone(
        _ORIGINAL, "clip", "vision_language", "ResNet-101", *_CLIP, 119_688_033, 19.54, None,
        "timm/resnet101_clip.openai/open_clip_model.safetensors", ("text",),
    ),
    "clip_vit_l14": Backbone(
        _ORIGINAL, "clip", "vision_language", "ViT-L/14", *_CLIP, 427_616_513, 162.03, None,
        "timm/vit_large_patch14_clip_224.openai/open_clip_model.safetensors", _TOWERS,
    ),
    "siglip_vit_b16": Backbone(
        _ORIGINAL, "clip", "vision_language", "ViT-B/16 (SigLIP)", "WebLI image-text pairs",
        "Pairwise sigmoid", "Apache-2.0", (None, 224, "bicubic"), 203_155_970, 35.42, None,
        "timm/ViT-B-16-SigLIP/open_clip_model.safetensors",
    ),
    "instagram_32x8d": Backbone(
        _ORIGINAL, "instagram", "vision", "ResNext101-32x8d", *_INSTAGRAM, 88_791_336, 32.83, 1000,
        "timm/resnext101_32x8d.fb_wsl_ig1b_ft_in1k/model.safetensors",
    ),
    "instagram_32x16d": Backbone(
        _ORIGINAL, "instagram", "vision", "ResNext101-32x16d", *_INSTAGRAM, 194_026_792, 72.33,
        1000, "timm/resnext101_32x16d.fb_wsl_ig1b_ft_in1k/model.safetensors",
    ),
    "bit_m_r50x1": Backbone(
        _ORIGINAL, "bit_m", "vision", "ResNet-50", *_BIT_M, 68_256_659, 8.26, 21_843,
        "timm/resnetv2_50x1_bit.goog_in21k/model.safetensors",
    ),
    "bit_m_r101x1": Backbone(
        _ORIGINAL, "bit_m", "vision", "ResNet-101", *_BIT_M, 87_248_787, 15.69, 21_843,
        "timm/resnetv2_101x1_bit.goog_in21k/model.safetensors",
    ),
    "bit_m_r50x3": Backbone(
        _ORIGINAL, "bit_m", "vision", "ResNet-50x3", *_BIT_M, 345_399_315, 72.42, 21_843,
        "timm/resnetv2_50x3_bit.goog_in21k/model.safetensors",
    ),
    "bit_m_r101x3": Backbone(
        _ORIGINAL, "bit_m", "vision", "ResNet-101x3", *_BIT_M, 516_015_123, 139.24, 21_843,
        "timm/resnetv2_101x3_bit.goog_in21k/model.safetensors",
    ),
    "bit_m_r50x1_zero_head": Backbone(  # as the official script builds it: it cannot learn
        _ORIGINAL, "bit_m", "vision", "ResNet-50, head zeroed", *_BIT_M, 68_256_659, 8.26, 21_843,
        "timm/resnetv2_50x1_bit.goog_in21k/model.safetensors",
    ),
    "rn18": Backbone(
        _ORIGINAL, "rn50", "vision", "ResNet-18", *_IMAGENET, 11_689_512, 3.63, 1000,
        "timm/resnet18.tv_in1k/model.safetensors",
    ),
    "rn50": Backbone(
        _ORIGINAL, "rn50", "vision", "ResNet-50", *_IMAGENET, 25_557_032, 8.18, 1000,
        "timm/resnet50.tv_in1k/model.safetensors",
    ),
    "rn101": Backbone(
        _ORIGINAL, "rn50", "vision", "ResNet-101", *_IMAGENET, 44_549_160, 15.60, 1000,
        "timm/resnet101.tv_in1k/model.safetensors",
    ),
    "rn152": Backbone(
        _ORIGINAL, "rn50", "vision", "ResNet-152", *_IMAGENET, 60_192_808, 23.03, 1000,
        "timm/resnet152.tv_in1k/model.safetensors",
    ),
    # Those of the desk, whose weights are in Python packages
    "lite0_minilm": Backbone(
        _DESK + "worded_classifier", "clip", "vision_language", "EfficientNet-Lite0, MiniLM-L6",
        "1.2M ImageNet-1k; pairs of sentences", "Cross Entropy; ridge regression", "Apache-2.0",
        (146, 128, "bicubic"), 26_084_225, 0.3,
    ),
    "efficientnet_lite0_128": Backbone(  # the same as the next at 128 pixels: three times as fast
        _DESK + "efficientnets", "rn50", "vision", "EfficientNet-Lite0, 128 px", *_LITE,
        (146, 128, "bicubic"), 4_652_008, 0.3, 1000,
    ),
    "efficientnet_lite0": Backbone(
        _DESK + "efficientnets", "rn50", "vision", "EfficientNet-Lite0", *_LITE,
        (256, 224, "bicubic"), 4_652_008, 0.8, 1000,
    ),
    "efficientnet_lite1": Backbone(
        _DESK + "efficientnets", "rn50", "vision", "EfficientNet-Lite1", *_LITE,
        (272, 240, "bicubic"), 5_416_680, 1.2, 1000,
    ),
    "efficientnet_lite2": Backbone(
        _DESK + "efficientnets", "rn50", "vision", "EfficientNet-Lite2", *_LITE,
        (292, 260, "bicubic"), 6_092_072, 1.8, 1000,
    ),
}  # fmt: skip


class Task(NamedTuple):
    """A dataset: where it is read or painted, and the facts of the paper's Table 6 about it."""

    module: str  # has CLASS_NAMES and paint (twins), or open_source (datasets on disk)
    display: str
    published: str  # the paper's dataset whose published number stands beside ours, if any
    template: str  # text prompt; {} is the class name
    paper_validation: bool  # does Table 6 list a validation split?
    shift: bool = False  # one of the three WILDS shifts (Tables 2 and 5)
    metric: str = "accuracy"  # the dataset's own headline metric


_PHOTO = "This is a photo of a {}"
_TWIN = "vpbench.lab.twins."
_DATA = "vpbench.datasets."
TASKS = {  # in the order of Table 6
    "cifar100_twin": Task(_TWIN + "cifar100", "CIFAR100 twin", "cifar100", _PHOTO, False),
    "cifar10_twin": Task(_TWIN + "cifar10", "CIFAR10 twin", "cifar10", _PHOTO, False),
    "flowers102_twin": Task(_TWIN + "flowers102", "Flowers102 twin", "flowers102", _PHOTO, True),
    "food101_twin": Task(_TWIN + "food101", "Food101 twin", "food101", _PHOTO, True),
    "eurosat_twin": Task(_TWIN + "eurosat", "EuroSAT twin", "eurosat", _PHOTO, True),
    "sun397_twin": Task(_TWIN + "sun397", "SUN397 twin", "sun397", _PHOTO, True),
    "ucf101_twin": Task(_TWIN + "ucf101", "UCF101 twin", "ucf101", _PHOTO, True),
    "svhn_twin": Task(_TWIN + "svhn", "SVHN twin", "svhn", _PHOTO, False),
    "oxfordpets_twin": Task(_TWIN + "oxfordpets", "OxfordPets twin", "oxfordpets", _PHOTO, True),
    "dtd_twin": Task(_TWIN + "dtd", "DTD twin", "dtd", _PHOTO, True),
    "resisc45_twin": Task(_TWIN + "resisc45", "Resisc45 twin", "resisc45", _PHOTO, True),
    "clevr_twin": Task(
        _TWIN + "clevr", "CLEVR/count twin", "clevr", "This is a photo of {} objects", False
    ),
    "iwildcam_twin": Task(
        _TWIN + "iwildcam", "iWildCam twin", "iwildcam", _PHOTO, True, True, "macro_f1"
    ),
    "fmow_twin": Task(_TWIN + "fmow", "FMoW twin", "fmow", _PHOTO, True, True, "worst_group"),
    "camelyon17_twin": Task(
        _TWIN + "camelyon17", "Camelyon17 twin", "camelyon17", "a tissue region {} tumor", True,
        True,
    ),
    # The toy dataset of section 6.3
    "cats_dogs_twin": Task(_TWIN + "cats_dogs", "Cats and dogs twin", "", _PHOTO, True),
    # The real ones, read from disk
    "cifar100": Task(_DATA + "cifar", "CIFAR100", "cifar100", _PHOTO, False),
    "cifar10": Task(_DATA + "cifar", "CIFAR10", "cifar10", _PHOTO, False),
    "flowers102": Task(_DATA + "coop", "Flowers102", "flowers102", _PHOTO, True),
    "food101": Task(_DATA + "coop", "Food101", "food101", _PHOTO, True),
    "eurosat": Task(_DATA + "coop", "EuroSAT", "eurosat", _PHOTO, True),
    "sun397": Task(_DATA + "coop", "SUN397", "sun397", _PHOTO, True),
    "ucf101": Task(_DATA + "coop", "UCF101", "ucf101", _PHOTO, True),
    "svhn": Task(_DATA + "svhn", "SVHN", "svhn", _PHOTO, False),
    "oxfordpets": Task(_DATA + "coop", "OxfordPets", "oxfordpets", _PHOTO, True),
    "dtd": Task(_DATA + "coop", "DTD", "dtd", _PHOTO, True),
    "resisc45": Task(_DATA + "resisc45", "Resisc45", "resisc45", _PHOTO, True),
    "clevr": Task(
        _DATA + "clevr", "CLEVR/count", "clevr", "This is a photo of {} objects", False
    ),
    "iwildcam": Task(_DATA + "wilds_sets", "iWildCam", "iwildcam", _PHOTO, True, True, "macro_f1"),
    "fmow": Task(_DATA + "wilds_sets", "FMoW", "fmow", _PHOTO, True, True, "worst_group"),
    "camelyon17": Task(
        _DATA + "wilds_sets", "Camelyon17", "camelyon17", "a tissue region {} tumor", True, True
    ),
    "cats_dogs": Task(_DATA + "coop", "Cats and dogs", "", _PHOTO, True),
    # Not the paper's: handwritten digits in Python packages
    "digits": Task(_DATA + "digits", "Digits", "", _PHOTO, True),
    "mnist_5k": Task(_DATA + "digits", "MNIST, 5,000 images", "", _PHOTO, True),
}  # fmt: skip


class Method(NamedTuple):
    """A way to adapt a backbone: where it is, its name in the tables, and what it works on."""

    # has fit(backbone, task, settings, seed) -> vpbench.methods.Fit; with epochs, also checkpoint
    module: str
    display: str
    modalities: tuple[str, ...] = MODALITIES
    token_towers: tuple[str, ...] = ()  # the towers that it gives learned tokens


_METHODS = "vpbench.methods."
METHODS = {
    "text_prompt": Method(_METHODS + "text_prompt", "TP", ("vision_language",)),
    "visual_prompt": Method(_METHODS + "visual_prompt", "VP"),
    "evp": Method(_METHODS + "visual_prompt", "EVP"),
    "adversarial_reprogramming": Method(_METHODS + "visual_prompt", "AR"),
    "linear_probe": Method(_METHODS + "linear_probe", "LP"),
    "fine_tune": Method(_METHODS + "fine_tune", "FT"),
    "prompted_fine_tune": Method(_METHODS + "prompted_fine_tune", "VP + FT"),
    "coop": Method(_METHODS + "coop", "CoOp", ("vision_language",), ("text",)),
    "cocoop": Method(_METHODS + "cocoop", "CoCoOp", ("vision_language",), ("text",)),
    "vpt": Method(_METHODS + "vpt", "VPT", ("vision_language",), ("image",)),
    "upt": Method(_METHODS + "upt", "UPT", ("vision_language",), _TOWERS),
}

PAPER_METHODS = ("text_prompt", "visual_prompt", "linear_probe", "fine_tune")  # of its tables

# Section 3.2.2 of the paper, then others': a product of factors, a picture that a network weights
# for each image, and no prompt at all
PAPER_TEMPLATES = ("padding", "fixed_patch", "random_patch")
TEMPLATES = (*PAPER_TEMPLATES, "low_rank", "conditional", "none")
LABEL_MAPS = (  # those of section 3.3, then others' for each modality
    *("text", "hard_coded", "names", "ensemble", "learned_classifier"),
    *("random", "semantic", "frequency", "iterative", "bayesian", "bayesian_plus", "linear"),
)
TRAINED_MAPS = ("learned_classifier", "linear")  # by steps, together with the prompt
INPUT_DIVERSITY = ("none", "flip", "flip_crop", "resized_crop")  # of training images
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
    "evaluate_at": {"type": ["array", "integer"], "items": _COUNT, "minimum": 1},
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
    "input_diversity": {"enum": list(INPUT_DIVERSITY)},
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
        "squash": {"enum": ["none", "tanh", "sigmoid"]},  # what bounds the prompt
        "operation": {"enum": ["add", "multiply"]},
        "members": _COUNT,  # prompts whose answers are averaged
        "placement": {"enum": ["after_normalization", "before_normalization"]},
        # The image is shrunk to so many pixels, in the middle of black; null: it is not
        "image_side": {"type": ["integer", "null"], "minimum": 1},
        "input_diversity": {"enum": list(INPUT_DIVERSITY)},  # of the training images
        "optimiser": {"enum": ["sgd", "nesterov", "adam"]},
        "momentum": _SHARE,  # of adam: its first beta
        # As it is, divided by its L2 norm, or by that of the whole image's gradient (EVP)
        "gradient": {"enum": ["plain", "unit", "unit_image"]},
        "label_map": {"enum": list(LABEL_MAPS)},
        "map_lr": _POSITIVE | {"type": ["number", "null"]},  # of a label map that is trained
        "source_classes": _NAMES,  # of a hard-coded map, one per class; null: the first ones
        # Of a semantic map: the vision-language backbone that compares the names of classes
        "reader": {"type": ["string", "null"]},
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


class Measurement(NamedTuple):
    """What is measured beside the runs: where, with which settings, and does it read prompts?"""

    module: str  # has measure(task, settings, runs, device) -> vpbench.measurements.Measured
    settings: dict  # setting -> what is legal, as JSON schema
    reads_prompts: bool


_MEASUREMENTS = "vpbench.measurements."
MEASUREMENTS = {
    "dataset_properties": Measurement(
        _MEASUREMENTS + "dataset_properties",
        {
            "extractor": {"enum": [*BACKBONES, "inception_v3"]},  # of the Frechet distance
            "diversity": {"enum": ["features", "lpips_alex", "lpips_vgg"]},
            "weights": {"type": ["string", "null"]},  # a file for inception_v3 or lpips
            "images": _COUNT,
            # A folder of photographs like those that the extractor was pretrained on, e.g. of
            # ImageNet; null: the lab's world
            "reference": {"type": ["string", "null"]},
            "reference_images": _COUNT,
            "pairs": _COUNT,
            "seed": {"type": "integer", "minimum": 0},
        },
        reads_prompts=False,
    ),
    "deployability": Measurement(
        _MEASUREMENTS + "deployability",
        {
            "images": _COUNT,
            "jpeg_qualities": {
                "type": "array",
                "items": {"type": "integer", "minimum": 1, "maximum": 95},
            },
        },
        reads_prompts=True,
    ),
    "transfer": Measurement(_MEASUREMENTS + "transfer", {"images": _COUNT}, reads_prompts=True),
}


def is_prompt(method):
    """Returns whether `method` learns a prompt in the image, which is kept beside its record."""
    return SETTINGS[method] is _PROMPT


def nothing_to_train(settings):
    """Returns whether a run only looks: no prompt, and a label map that is not trained."""
    return settings.get("template") == "none" and settings["label_map"] not in TRAINED_MAPS


def is_twin(task):
    """Returns whether `task` is a painted twin of a dataset."""
    return task in TASKS and not TASKS[task].module.startswith(_DATA)


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


def spec_schema():
    """Returns the JSON schema of a run's spec: what to run, on which data, with which settings."""
    schema = closed_schema(
        {
            "scale": {"enum": list(SCALES)},
            "task": {"type": "string"},  # a name of TASKS, or a folder of images
            "backbone": {"enum": list(BACKBONES)},
            "method": {"enum": list(METHODS)},
            "variant": {"type": "string", "pattern": PLAIN},
            "seed": {"type": "integer", "minimum": 0},
            "data": data_schema(of_run=True),
            "engine": engine_schema(),
            "settings": {"type": "object"},
            "folder": folder_schema(),
        },
        ["scale", "task", "backbone", "method", "variant", "seed", "data", "engine", "settings"],
    )
    own = {method: settings_schema(method, complete=True) for method in METHODS}
    return schema | {"allOf": one_of("method", own)}


def data_schema(complete=True, of_run=False):
    """Returns the JSON schema of `data`: how many images of each split, and of which size.

    None of a split means all there are; the resolution `native` leaves images that all have one
    size as they are on disk, and the backbone's device resizes them. That of a run may also have
    `shots`: so many training images of each class are used, drawn by its seed.
    """
    counts = dict.fromkeys(SPLITS, {"type": ["integer", "null"], "minimum": 1})
    keys = counts | {"resolution": {"enum": ["backbone", "native"]}}
    if of_run:
        keys["shots"] = _COUNT
    return closed_schema(keys, list(SPLITS) if complete else False)


def engine_schema():
    """Returns the JSON schema of `engine`: how the numbers are computed."""
    return closed_schema(
        {
            "precision": {"enum": list(PRECISIONS)},  # of forward and backward passes
            "compile": {"type": "boolean"},  # torch.compile
            # Images per pass; the gradients of a batch are accumulated. null: the whole batch.
            "micro_batch": {"type": ["integer", "null"], "minimum": 1},
        },
        True,
    )


def folder_schema():
    """Returns the JSON schema of a folder of images: where it is and how it is read."""
    text = {"type": "string"}
    return closed_schema(
        {"path": text, "split_file": text, "class_names": text, "template": text}, ["path"]
    )


def measurement_schema():
    """Returns the JSON schema of what one measurement of a task is asked for."""
    schema = closed_schema(
        {
            "scale": {"enum": list(SCALES)},
            "measurement": {"enum": list(MEASUREMENTS)},
            "task": {"type": "string"},
            "data": data_schema(),
            "settings": {"type": "object"},
            "folder": folder_schema(),
            "runs": {"type": "array", "items": spec_schema()},  # whose prompts are read
        },
        ["scale", "measurement", "task", "data", "settings", "runs"],
    )
    own = {
        name: closed_schema(measurement.settings, True)
        for name, measurement in MEASUREMENTS.items()
    }
    return schema | {"allOf": one_of("measurement", own)}


def one_of(key, settings):
    """Returns the conditions that `settings` obey the schema that the value of `key` has there."""
    return [
        {
            "if": {"properties": {key: {"const": name}}},
            "then": {"properties": {"settings": schema}},
        }
        for name, schema in settings.items()
    ]


def settings_schema(method, complete=False):
    """Returns the JSON schema of the settings of `method`; `complete`: all must be there."""
    return closed_schema(SETTINGS[method], complete)


def closed_schema(properties, required):
    """Returns the JSON schema of an object without other keys than those of `properties`.

    `required` lists the keys that must be there; True: all of them, False: none.
    """
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "required": list(properties) if required is True else required or [],
    }


def config_schema():
    """Returns the JSON schema of a configuration file."""
    names = {"type": "array", "minItems": 1, "uniqueItems": True}
    plain = {"type": "string", "pattern": PLAIN}
    tasks = names | {"items": plain}  # of TASKS or of `folders`
    backbones = names | {"items": {"enum": list(BACKBONES)}}
    slice_ = {  # a key that is absent means all; of tasks: those of the configuration
        "tasks": tasks,
        "backbones": backbones,
        "methods": names | {"items": {"enum": list(METHODS)}},
        "modality": {"enum": list(MODALITIES)},
        "shift": {"type": "boolean"},
    }
    block = slice_ | {
        "variants": names | {"items": plain},
        "seeds": names | {"items": {"type": "integer", "minimum": 0}},
        "settings": {"type": "object"},  # what the block changes in the recipes
        "data": data_schema(complete=False, of_run=True),  # ... and in the data
        "sweep": {  # setting -> values; each combination is a variant
            "type": "object",
            "minProperties": 1,
            "additionalProperties": names,
        },
    }
    reading = slice_ | {"grid": names | {"items": plain}}  # names of blocks; absent: main
    return closed_schema(
        {
            "schema": {"const": SCHEMA},
            "scale": {"enum": list(SCALES)},
            "granularity": {"enum": ["per_task", "per_run"]},
            "tasks_per_job": {"type": "integer", "minimum": 1},  # of per_task; absent: 1
            "data_dir": {"type": "string"},  # of this machine; absent: VPBENCH_DATA, or data/
            "weights_dir": {"type": "string"},  # absent: VPBENCH_WEIGHTS, or weights/
            "data": data_schema(),
            "task_data": {  # task -> what differs in `data`
                "type": "object",
                "propertyNames": plain,
                "additionalProperties": data_schema(complete=False),
            },
            "engine": engine_schema(),
            "folders": {  # task -> the folder of images that it is
                "type": "object",
                "propertyNames": plain,
                "additionalProperties": folder_schema(),
            },
            "tasks": tasks,
            "backbones": backbones,
            "recipes": closed_schema(
                {
                    method: closed_schema(
                        dict.fromkeys(["every_backbone", *BACKBONES], settings_schema(method)),
                        ["every_backbone"],
                    )
                    for method in METHODS
                },
                False,
            ),
            "variants": {
                "type": "object",
                "propertyNames": plain,
                "additionalProperties": {"type": "object"},
            },
            "grid": {
                "type": "object",
                "minProperties": 1,
                "propertyNames": plain,
                "additionalProperties": closed_schema(block, ["methods", "seeds"]),
            },
            "measurements": closed_schema(
                {
                    name: closed_schema(
                        {
                            "runs": closed_schema(reading, False),
                            "data": data_schema(),
                            "settings": closed_schema(measurement.settings, True),
                        },
                        True,
                    )
                    for name, measurement in MEASUREMENTS.items()
                },
                False,
            ),
            "analyses": {
                "type": "object",
                "propertyNames": plain,
                "additionalProperties": closed_schema(reading, False),
            },
            "around_the_paper": names | {"items": plain},  # those that `snakemake methods` makes
        },
        [
            *("schema", "scale", "granularity", "data", "engine", "tasks", "backbones", "recipes"),
            *("grid", "analyses"),
        ],
    )


def misfit(method, backbone):
    """Returns, in one line, why a method cannot adapt a backbone, both by name; or None."""
    adapted, needed = BACKBONES[backbone], METHODS[method]
    if adapted.modality not in needed.modalities:
        return f"{method} does not work on {backbone}: it has no text"
    for tower in needed.token_towers:
        if tower not in adapted.token_towers:
            able = [name for name, each in BACKBONES.items() if tower in each.token_towers]
            return (
                f"{method} does not work on {backbone}: its {tower} tower, {adapted.architecture}, "
                f"takes no learned tokens; choose one of: {', '.join(able)}"
            )
    return None


@cache
def strict_validator():
    """Returns the class of validators to which 7.0 is no integer, as it is none to torch.

    Nor is a number one that is not finite, or that fits no array.
    """
    import jsonschema

    def number(kind):
        def check(_, value):
            plain = isinstance(value, kind) and not isinstance(value, bool)
            return plain and documents.computable(value)

        return check

    checker = jsonschema.Draft202012Validator.TYPE_CHECKER.redefine_many(
        {"integer": number(int), "number": number(int | float)}
    )
    return jsonschema.validators.extend(jsonschema.Draft202012Validator, type_checker=checker)


def complaint(document, schema, where):
    """Returns None if `document` obeys `schema`, else one line: what, where, and what is legal."""
    import jsonschema

    try:
        documents.check(document, MOST)
    except ValueError as error:
        return one_line(f"{where}: {error}")
    errors = strict_validator()(schema).iter_errors(document)
    error = jsonschema.exceptions.best_match(errors)
    if error is None:
        return None
    path = ".".join(str(part) for part in error.absolute_path)
    text = error.message.replace(repr(error.instance), brief(error.instance))
    if error.validator == "additionalProperties" and "properties" in error.schema:
        legal = ", ".join(sorted(error.schema["properties"]))
        unknown = sorted(set(error.instance) - set(error.schema["properties"]))
        text = f"unknown key {', '.join(map(repr, unknown))}; the legal keys are: {legal}"
    elif error.validator == "enum":
        legal = ", ".join(map(str, error.validator_value))
        text = f"{brief(error.instance)} is not legal; choose one of: {legal}"
    elif error.validator == "type" and type(error.instance) in (int, float):
        if not documents.computable(error.instance):
            text = f"{brief(error.instance)} is too large a number, or none"
    return one_line(f"{where}{' at ' + path if path else ''}: {text}")
