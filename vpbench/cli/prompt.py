"""`vpbench fit`, `evaluate`, `export` and `import`."""

import json
import sys
from argparse import Namespace

from vpbench.cli.arguments import read_change, read_task
from vpbench.cli.device import announce_device, check_device
from vpbench.cli.outputs import refuse_taken
from vpbench.common.errors import UserError
from vpbench.common.locks import hold
from vpbench.spec.preprocessing import for_recipe


def fit(arguments: Namespace) -> None:
    """Learns a prompt and writes it in all its forms; stopped, the same command goes on."""
    from vpbench.prompts.files import named

    lock = named(arguments.out, ".lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    with hold(lock):  # where it cannot be written, neither could what takes hours to learn
        learn(arguments)


def learn(arguments: Namespace) -> None:
    """Learns a prompt and writes it; no other process does so under its name."""
    import vpbench
    from vpbench.experiment.provenance import hashes, versions
    from vpbench.prompts.files import SUFFIXES, export_prompt, named
    from vpbench.training.checkpoint import Checkpoint

    files = [named(arguments.out, suffix) for suffix in SUFFIXES]
    checkpoint = Checkpoint(named(arguments.out, ".checkpoint.pt"))
    refuse_taken(files, arguments.force or checkpoint.is_there)  # before anything is loaded
    backbone = vpbench.load_backbone(arguments.backbone, announce_device(arguments.device))
    changes = dict(read_change(text) for text in arguments.set)
    settings = vpbench.load_recipe(arguments.config, "visual_prompt", backbone.name, **changes)
    task = read_task(arguments, for_recipe(backbone.preprocessing, settings))
    checkpoint.tell(
        {
            "task": [task.name, list(task.class_names), task.template],
            "backbone": backbone.name,
            "settings": settings,
            "seed": arguments.seed,
            "hashes": hashes(task, backbone),
            "versions": versions(),
        }
    )
    obstacle = checkpoint.obstacle()
    if obstacle and not arguments.force:
        raise UserError(f"{obstacle}; choose another --out, or add --force to start anew")
    model = vpbench.fit(
        "visual_prompt", backbone, task, settings=settings, seed=arguments.seed,
        checkpoint=checkpoint,
    )  # fmt: skip
    path = model.save(arguments.out)
    export_prompt(model.prompt, arguments.out)
    checkpoint.remove()
    accuracy = ", ".join(f"{name} {value:.1f} %" for name, value in model.accuracy.items())
    print(f"{path}: {accuracy}")


def evaluate(arguments: Namespace) -> None:
    """Prints the metrics of a prompt."""
    import vpbench

    backbone = vpbench.load_backbone(arguments.backbone, announce_device(arguments.device))
    model = vpbench.load(arguments.prompt, backbone)
    task = read_task(arguments, model.preprocessing, to_fit=False)
    metrics = model.evaluate(task, arguments.split)
    about = {"split": arguments.split, "images": len(task.splits[arguments.split])}
    print(json.dumps(about | metrics, indent=1))


def export(arguments: Namespace) -> None:
    """Writes a prompt as npy and png."""
    from vpbench.models.backbone import load_backbone
    from vpbench.prompts.files import export_prompt, named, read_prompt

    refuse_taken([named(arguments.out, ending) for ending in (".npy", ".png")], arguments.force)
    backbone = load_backbone(arguments.backbone, check_device(arguments.device))
    print(*export_prompt(read_prompt(arguments.prompt, backbone).prompt, arguments.out))


def import_prompt(arguments: Namespace) -> None:
    """Writes a checkpoint of the official code as a prompt and its card."""
    from vpbench.data import load
    from vpbench.models.backbone import load_backbone
    from vpbench.prompts import official
    from vpbench.prompts.files import named, write_prompt
    from vpbench.spec.class_names import MANIFESTS

    files = [named(arguments.out, ending) for ending in (".safetensors", ".json")]
    refuse_taken(files, arguments.force)
    backbone = load_backbone(arguments.backbone, check_device(arguments.device))
    changes = dict(read_change(text) for text in arguments.set)
    if arguments.task in MANIFESTS:
        task = official.without_images(arguments.task)
    else:
        task = load.load_task(arguments.task, preprocessing=backbone.preprocessing)
    stored = official.load_checkpoint(arguments.checkpoint, backbone, task, **changes)
    if stored.card["imported"]["file"] != official.BEST:
        print(
            "vpbench: the accuracy in this file is left out, it may be of another epoch than the "
            f"prompt; take {official.BEST}, which holds the best",
            file=sys.stderr,
        )
    print(write_prompt(arguments.out, *stored))
