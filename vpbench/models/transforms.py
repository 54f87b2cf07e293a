"""What a model of one's own does to an image before it sees it, read from its transform.

A prompt acts between the resizing and the normalisation, so both must be known, and nothing else
may happen to an image.
"""

from collections.abc import Sequence
from typing import Any, NoReturn

import torch
from PIL import Image
from torch import nn
from torchvision.transforms import transforms as v1
from torchvision.transforms import v2
from torchvision.transforms._presets import ImageClassification

from vpbench.common.errors import UserError
from vpbench.common.messages import brief, first_line
from vpbench.spec.preprocessing import Preprocessing

INTERPOLATIONS = ("bicubic", "bilinear")
TO_IMAGE = (v2.ToImage, v2.PILToTensor, v1.PILToTensor)  # bytes as a tensor of bytes
EXPECTED = (
    "expected Resize, CenterCrop, ToTensor, Normalize, because a prompt acts between resize and "
    "normalisation, or a vpbench.Preprocessing with mean and std"
)


def transform_of(transform: Any, module: nn.Module, name: str) -> Preprocessing:
    """Returns what `transform` does to an image, with mean and std.

    None is what timm or open_clip say of their `module`. Raises UserError, in one line that says
    why, for anything but a resize to a square and a normalisation.
    """
    if transform is None:
        transform = transform_of_library(module, name)
    if isinstance(transform, Preprocessing):
        return checked(transform, name)
    if isinstance(transform, ImageClassification):  # what torchvision gives with its weights
        transform = composed(transform)
    if not isinstance(transform, v1.Compose | v2.Compose):
        refuse(name, f"transform {brief(transform)} is not known")
    return checked(read_steps(list(flat(transform)), name), name)


def refuse(name: str, reason: str) -> NoReturn:
    """Raises UserError: what `name` does to an image is not what a backbone does."""
    raise UserError(f"{name}: {reason}; {EXPECTED}")


def transform_of_library(module: Any, name: str) -> Any:
    """Returns the evaluation transform that timm or open_clip attach to a model."""
    try:
        if getattr(module, "pretrained_cfg", None):
            from timm.data import create_transform, resolve_model_data_config  # late: its models

            facts = resolve_model_data_config(module)
            channels, height, width = facts["input_size"]
            if channels != 3 or height != width:
                refuse(name, f"it takes images {channels} x {height} x {width}, not RGB squares")
            return create_transform(**facts)
        if getattr(getattr(module, "visual", None), "preprocess_cfg", None):
            from open_clip.transform import PreprocessCfg, image_transform_v2  # late, a second

            return image_transform_v2(PreprocessCfg(**module.visual.preprocess_cfg), is_train=False)
    except (KeyError, TypeError, ValueError, AssertionError) as error:
        if isinstance(error, UserError):
            raise
        refuse(name, f"its own configuration of images is not readable ({first_line(error)})")
    refuse(name, "it does not say what happens to images before it; give transform=")


def composed(preset: ImageClassification) -> v1.Compose:
    """Returns torchvision's preset as the steps that it takes."""
    resize = v1.Resize(preset.resize_size, preset.interpolation)
    normalize = v1.Normalize(preset.mean, preset.std)
    return v1.Compose([resize, v1.CenterCrop(preset.crop_size), v1.ToTensor(), normalize])


def flat(transform: Any) -> Any:
    """Yields the steps of a Compose, those of a Compose inside it in its place."""
    for step in transform.transforms:
        if isinstance(step, v1.Compose | v2.Compose):
            yield from flat(step)
        else:
            yield step


def read_steps(steps: list[Any], name: str) -> Preprocessing:
    """Returns what the steps of a Compose do, in the one order that is known."""
    if not steps or not isinstance(steps[-1], v1.Normalize | v2.Normalize):
        refuse(name, "its transform does not end in Normalize")
    *steps, normalize = steps
    if steps and isinstance(steps[-1], v1.ToTensor | v2.ToTensor):
        steps = steps[:-1]
    elif len(steps) > 1 and isinstance(steps[-2], TO_IMAGE) and makes_shares(steps[-1]):
        steps = steps[:-2]
    else:
        refuse(name, "before Normalize its transform has no ToTensor of a PIL image")
    geometry = [step for step in steps if not makes_rgb(step)]
    resize, crop, interpolation = read_geometry(geometry, name)
    mean, std = (numbers(each) for each in (normalize.mean, normalize.std))
    return Preprocessing(resize, crop, interpolation, mean, std)


def makes_shares(step: Any) -> bool:
    """Returns whether a step turns bytes into float32 from 0 to 1."""
    scaled = isinstance(step, v2.ToDtype) and step.scale
    if not scaled and not isinstance(step, v1.ConvertImageDtype | v2.ConvertImageDtype):
        return False
    return bool(step.dtype == torch.float32)


def makes_rgb(step: Any) -> bool:
    """Returns whether a step converts to RGB, as every image here is: v2's, CLIP's or open_clip's.

    Those of CLIP and open_clip are told by their names: both are private.
    """
    names = ("_convert_to_rgb", "_convert_image_to_rgb", "MaybeConvertMode")
    return (
        isinstance(step, v2.RGB)
        or getattr(step, "__name__", "") in names
        or type(step).__name__ == names[-1]
    )


def read_geometry(steps: list[Any], name: str) -> tuple[int | None, int, str]:
    """Returns (resize, crop, interpolation) of a Resize, and of a CenterCrop if there is one."""
    kinds = [v1.Resize | v2.Resize, v1.CenterCrop | v2.CenterCrop][: max(1, len(steps))]
    if len(steps) != len(kinds) or not all(map(isinstance, steps, kinds)):
        said = ", ".join(type(step).__name__ for step in steps) or "nothing"
        refuse(name, f"its transform resizes by {said}")
    resize, *crops = steps
    if getattr(resize, "max_size", None) is not None:
        refuse(name, "its Resize has a max_size")
    sides, interpolation = sizes(resize.size), interpolation_of(resize)
    cut = sizes(crops[0].size) if crops else sides
    if len(set(cut)) > 1 or (len(sides) == 2 and set(sides) != set(cut)):
        refuse(name, f"its transform makes {cut} of images resized to {sides}, no one square")
    if not crops and len(sides) == 1:
        refuse(name, f"its Resize({sides[0]}) leaves images as they are that are not square")
    return None if len(sides) == 2 else sides[0], cut[0], interpolation


def interpolation_of(resize: Any) -> str:
    """Returns how a Resize interpolates, which v2 keeps in the words in which it was said."""
    said = resize.interpolation
    if isinstance(said, int):  # Pillow's number
        return Image.Resampling(said).name.lower()
    return str(getattr(said, "value", said))


def sizes(size: int | Sequence[int]) -> list[int]:
    """Returns a size of torchvision as one or two numbers."""
    return [size] if isinstance(size, int) else [int(side) for side in size]


def numbers(values: Any) -> tuple[float, ...]:
    """Returns the numbers of a mean or std, one per channel."""
    found = torch.as_tensor(values, dtype=torch.float32).flatten().tolist()
    return tuple(found * 3 if len(found) == 1 else found)


def checked(given: Preprocessing, name: str) -> Preprocessing:
    """Returns a preprocessing with mean and std; raises UserError for what no backbone does."""
    if given.interpolation not in INTERPOLATIONS:
        legal = " or ".join(INTERPOLATIONS)
        refuse(name, f"its interpolation is {given.interpolation!r}, not {legal}")
    sides = [side for side in (given.crop, given.resize) if side is not None]
    if not all(isinstance(side, int) and side > 0 for side in sides) or max(sides) > sides[-1]:
        refuse(name, f"its images are resized to {given.resize} and cut to {given.crop} pixels")
    for word, values in (("mean", given.mean), ("std", given.std)):
        try:
            usable = len(numbers(values)) == 3 and torch.tensor(numbers(values)).isfinite().all()
        except (TypeError, ValueError, RuntimeError):
            usable = False
        if not usable:
            refuse(name, f"its {word} {brief(values)} is not three numbers")
    if not 0 <= min(numbers(given.mean)) <= max(numbers(given.mean)) <= 1:
        refuse(name, f"its mean {brief(given.mean)} is not of pixels from 0 to 1; divide by 255")
    if min(numbers(given.std)) <= 0:
        refuse(name, f"its std {brief(given.std)} is not positive")
    return given._replace(mean=numbers(given.mean), std=numbers(given.std))
