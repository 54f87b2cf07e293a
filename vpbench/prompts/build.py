"""Prompts as a recipe says: new ones, and those that were trained."""

import torch
from torch import Tensor

from vpbench.common.errors import UserError
from vpbench.common.implementations import implementation
from vpbench.common.messages import instead
from vpbench.prompts.pixel import AnyPrompt, Draws, Ensemble, Whole
from vpbench.spec.prompt_forms import PROMPT_FORMS
from vpbench.spec.settings import Settings


def build_prompt(
    template: str,
    image_size: int,
    size: int,
    *,
    init: str = "normal",
    generator: Draws = None,
    position_range: str = "full",
    test_position: str = "centre",
    bound: str = "none",
    operation: str = "add",
    ensemble_size: int = 1,
    gradient: str = "plain",
) -> AnyPrompt:
    """Returns an untrained prompt of the given template and size."""
    if template not in PROMPT_FORMS:
        raise UserError(f"unknown template {template!r}; {instead(template, PROMPT_FORMS)}")
    form = {"bound": bound, "operation": operation}
    if template == "random_patch":
        form |= {"position_range": position_range, "test_position": test_position}
    form_of = implementation(PROMPT_FORMS[template].implementation)
    built = [form_of(image_size, size, init, generator, **form) for _ in range(ensemble_size)]
    if gradient == "unit_image":
        built = [Whole(prompt) for prompt in built]
    return built[0] if ensemble_size == 1 else Ensemble(built)


def prompt_of(
    settings: Settings, image_size: int, generator: torch.Generator, init: str | None = None
) -> AnyPrompt:
    """Returns an untrained prompt as `settings` of a recipe say; `init` instead of theirs."""
    keys = (
        *("position_range", "test_position", "bound", "operation", "ensemble_size", "gradient"),
    )
    return build_prompt(
        settings["template"], image_size, settings["size"], init=init or settings["init"],
        generator=generator, **{key: settings[key] for key in keys},
    )  # fmt: skip


def restore_prompt(settings: Settings, image_size: int, state: dict[str, Tensor]) -> AnyPrompt:
    """Returns the trained prompt with the recipe `settings` and the tensors `state`."""
    # The generator is for positions at test time, if they are drawn.
    prompt = prompt_of(settings, image_size, torch.Generator().manual_seed(0), "zeros")
    prompt.load_state_dict(state)
    return prompt.eval()


def adds_one_canvas(settings: Settings) -> bool:
    """Returns whether a prompted image is the whole image with one and the same canvas added."""
    return (
        settings["operation"] == "add"
        and (PROMPT_FORMS[settings["template"]].fixed or settings["template"] == "random_patch")
        and (settings["ensemble_size"], settings["image_side"]) == (1, None)
    )


def part(state: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    """Returns the tensors of the submodule `name` in the state of a module."""
    return {key.removeprefix(f"{name}."): state[key] for key in state if key.startswith(f"{name}.")}


def parameter_count(template: str, image_size: int, size: int) -> int:
    """Returns the number of trainable parameters by the paper's formulas (section 3.2.2)."""
    if template == "padding":
        return 2 * 3 * size * (2 * image_size - 2 * size)
    return 3 * size**2
