"""The methods: one description each, of all that is to be known before any code of it is loaded."""

from typing import NamedTuple

from vpbench.spec.backbones import BACKBONES, TOWERS
from vpbench.spec.label_maps import LABEL_MAPS
from vpbench.spec.modalities import MODALITIES
from vpbench.spec.outside import Catalogue
from vpbench.spec.prompt_forms import FIXED_TEMPLATES, PROMPT_FORMS
from vpbench.spec.settings import (
    CLASS_NAME_AT,
    CONTEXT,
    CONTEXT_TOKENS,
    COUNT,
    DEPTH,
    FINE_TUNE,
    IMAGE_TOKENS,
    POSITIVE,
    PROMPT,
    TOKENS,
    WORDS,
    Setting,
    Settings,
    changed,
    defaults,
    one_of,
)

LEARNS = ("nothing", "pixels", "tokens", "head or all weights")
COLOURS = {  # of what is learned; from seaborn's colour-blind palette
    "nothing": "#000000",
    "pixels": "#0173b2",
    "tokens": "#de8f05",
    "head or all weights": "#029e73",
}
OTHER = "#949494"  # of anything else


class Method(NamedTuple):
    """A way to adapt a backbone."""

    # has fit(backbone, task, settings, seed) -> methods.fit.Fit; with epochs also checkpoint
    module: str
    display: str  # its name in tables
    settings: dict[str, Setting]
    modalities: tuple[str, ...] = MODALITIES  # of the backbones that it works on
    token_towers: tuple[str, ...] = ()  # the towers that it gives learned tokens
    learns: str = "head or all weights"  # one of LEARNS
    keeps_prompt: bool = False  # is what it learns a prompt in the image, kept beside the record?
    # is it fitted to features of all images, which a job of its own makes? Its module then has
    # split_features(backbone, task, settings) and regression(features, task, settings, seed)
    on_features: bool = False
    # Passes through the backbone per training image and epoch: forward 1, back to the input 1 more,
    # back to the weights 1 more; and what all classes go through the text tower for, there and back
    passes: float = 2
    texts: str | None = None  # once a batch, an image, or never
    colour: str | None = None  # None: that of what it learns
    marker: str = "P"
    fill: str = "full"  # of the marker, as Matplotlib calls it

    @property
    def shown_colour(self) -> str:
        """The colour in figures."""
        return self.colour or COLOURS.get(self.learns, OTHER)


_HERE = "vpbench.methods."
_VISION_LANGUAGE = ("vision_language",)
_EVP = changed(  # Wu et al., arXiv 2212.10556
    PROMPT, init="zeros", prompt_space="pixel", gradient="unit_image", momentum=0,
    augmentation="flip",  # its crop moves along the longer side; images here are squares
)  # fmt: skip
_REPROGRAMMING = changed(  # Elsayed et al., arXiv 1806.11146
    PROMPT, prompt_space="pixel", bound="tanh", optimiser="adam"
)
_OURS = {
    "text_prompt": Method(
        _HERE + "text_prompt", "TP", WORDS, _VISION_LANGUAGE,
        learns="nothing", passes=0, marker="o", fill="left",
    ),
    "visual_prompt": Method(
        _HERE + "visual_prompt", "VP", PROMPT, learns="pixels", keeps_prompt=True, marker="o"
    ),
    "evp": Method(
        _HERE + "visual_prompt", "EVP", _EVP, learns="pixels", keeps_prompt=True, marker="s"
    ),
    "adversarial_reprogramming": Method(
        _HERE + "visual_prompt", "AR", _REPROGRAMMING,
        learns="pixels", keeps_prompt=True, marker="^",
    ),
    "linear_probe": Method(
        _HERE + "linear_probe", "LP",
        {
            "C": Setting(
                {"type": "array", "items": POSITIVE, "minItems": 1}, [0.316],
                "inverse strength of the regularisation; of many the best on validation",
                "CLIP's README, which the author names",
            ),
            "max_iter": Setting(COUNT, 1000, "iterations of L-BFGS at most", "CLIP's README"),
            "standardize": Setting(
                {"type": "boolean"}, False, "are features standardised first?", "CLIP's README"
            ),
        },
        on_features=True, passes=1,  # its features; the regression itself runs on the CPU
        colour="#de8f05", marker="o", fill="bottom",
    ),
    "fine_tune": Method(
        _HERE + "fine_tune", "FT", FINE_TUNE, passes=3, colour="#595959", marker="s", fill="none"
    ),
    "prompted_fine_tune": Method(
        _HERE + "prompted_fine_tune", "VP + FT",
        FINE_TUNE
        | {
            "template": PROMPT["template"]._replace(legal=one_of(*FIXED_TEMPLATES)),
            "size": PROMPT["size"],
            "init": PROMPT["init"]._replace(default="zeros", source=""),
            "prompt_lr": Setting(POSITIVE, meaning="learning rate of the prompt"),
        },
        passes=3, marker="^",
    ),
    "coop": Method(  # Zhou et al., arXiv 2109.01134
        _HERE + "coop", "CoOp",
        CONTEXT
        | {
            "class_specific": Setting({"type": "boolean"}, False, "has each class its context?"),
            "class_name_at": CLASS_NAME_AT,
        },
        _VISION_LANGUAGE, ("text",), "tokens",
        passes=1, texts="batch", marker="o",  # only the texts are gone back to
    ),
    "cocoop": Method(  # Zhou et al., arXiv 2203.05557
        _HERE + "cocoop", "CoCoOp",
        CONTEXT | {"hidden_width": Setting(COUNT, meaning="of the network that sees the image")},
        _VISION_LANGUAGE, ("text",), "tokens",
        passes=1, texts="image", marker="s",
    ),
    "vpt": Method(  # Jia et al., arXiv 2203.12119
        _HERE + "vpt", "VPT",
        TOKENS
        | WORDS
        | {
            "image_tokens": IMAGE_TOKENS,
            "depth": DEPTH,
            "init": Setting(
                one_of("uniform", "normal"), "uniform", "VPT's own, or N(0, 0.02^2)", "VPT"
            ),
            "tokens_at": Setting(
                one_of("after_norm", "before_norm"),
                "after_norm",
                "do the tokens of the first layer go through the norm before it, as in MaPLe's VPT",
                "VPT, whose models have no such norm",
            ),
            "dropout": Setting(
                {"type": "number", "minimum": 0, "exclusiveMaximum": 1}, 0, "of the tokens"
            ),
            "head": Setting(
                one_of("text", "linear"), "text", "the text features, or a linear one, learned"
            ),
        },
        _VISION_LANGUAGE, ("image",), "tokens", marker="^",
    ),
    "upt": Method(  # Zang et al., arXiv 2210.07225
        _HERE + "upt", "UPT",
        TOKENS
        | {
            "context_tokens": CONTEXT_TOKENS,
            "class_name_at": CLASS_NAME_AT._replace(default="middle", source="UPT"),
            "image_tokens": IMAGE_TOKENS,
            "depth": DEPTH,
            "width": Setting(COUNT, meaning="of the transformer that mixes both kinds of tokens"),
            "layers": Setting(COUNT, 1, "of that transformer", "UPT"),
            "heads": Setting(COUNT, 1, "of that transformer"),
        },
        _VISION_LANGUAGE, ("text", "image"), "tokens",
        texts="batch", marker="D",
    ),
}  # fmt: skip
METHODS = Catalogue(
    "vpbench.methods",
    Method,
    _OURS,
    {
        "modalities": MODALITIES,
        "token_towers": TOWERS,
        "learns": LEARNS,
        "texts": (None, "batch", "image"),
        "fill": ("full", "left", "right", "bottom", "top", "none"),
    },
)

PAPER_METHODS = ("text_prompt", "visual_prompt", "linear_probe", "fine_tune")  # of its tables
SELECTIONS = ("last", "best_validation", "best_test")  # which epoch's accuracy is read


def misfit(method: str, backbone: str) -> str | None:
    """Returns, in one line, why a method cannot adapt a backbone, both by name; or None."""
    adapted = BACKBONES[backbone]
    called = f", {adapted.architecture},"
    return misfit_of(method, backbone, adapted.modality, adapted.token_towers, called)


def misfit_of(
    method: str, backbone: str, modality: str, token_towers: tuple[str, ...], called: str = ""
) -> str | None:
    """Returns the same of a backbone that is called so, and may be in no catalogue."""
    needed = METHODS[method]
    if modality not in needed.modalities:
        return f"{method} does not work on {backbone}: it has no text"
    for tower in needed.token_towers:
        if tower not in token_towers:
            able = [name for name, each in BACKBONES.items() if tower in each.token_towers]
            return (
                f"{method} does not work on {backbone}: its {tower} tower{called} takes no "
                f"learned tokens; choose one of: {', '.join(able)}"
            )
    return None


def merge_settings(recipes: dict[str, dict[str, Settings]], method: str, backbone: str) -> Settings:
    """Returns the settings of `method`: its defaults, then those of the configuration for every
    backbone, then what the configuration changes for `backbone`."""
    return defaults(METHODS[method].settings) | given_settings(recipes, method, backbone)


def given_settings(recipes: dict[str, dict[str, Settings]], method: str, backbone: str) -> Settings:
    """Returns the settings that recipes give: for every backbone, then for `backbone`."""
    recipe = recipes.get(method, {})
    return recipe.get("every_backbone", {}) | recipe.get(backbone, {})


def nothing_to_train(settings: Settings) -> bool:
    """Returns whether a run only looks: no prompt, and a label map that is not trained."""
    form = PROMPT_FORMS.get(str(settings.get("template")))
    label_map = LABEL_MAPS.get(str(settings.get("label_map")))
    if form is None or label_map is None:
        return False
    return not (form.learns or label_map.trained)


def selection_rule(method: str, paper_validation: bool, shift: bool) -> str:
    """Returns the selection whose accuracy the tables show.

    Trained methods are selected on validation where the paper's Table 6 has a validation split
    (the shifts: their OOD validation split) and read at the last epoch elsewhere.
    """
    trained = "epochs" in METHODS[method].settings
    return "best_validation" if trained and (paper_validation or shift) else "last"
