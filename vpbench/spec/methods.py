"""The methods: where each is, its name in the tables, and what it works on."""

from typing import NamedTuple

from vpbench.spec.backbones import _TOWERS, BACKBONES

MODALITIES = ("vision_language", "vision")  # Table 3; also the unit of a per_task job


class Method(NamedTuple):
    """A way to adapt a backbone: where it is, its name in the tables, and what it works on."""

    # has fit(backbone, task, settings, seed) -> vpbench.methods.fit.Fit; with epochs, also checkpoint
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
