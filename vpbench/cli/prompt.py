"""`vpbench fit`, `evaluate`, `export` and `import`."""

import json

from vpbench.cli.arguments import read_change, read_task
from vpbench.cli.device import check_device


def fit(arguments):
    """Returns None; learns a prompt and writes it in all its forms."""
    import vpbench

    backbone = vpbench.load_backbone(arguments.backbone, check_device(arguments.device))
    changes = dict(read_change(text) for text in arguments.set)
    settings = vpbench.load_recipe(arguments.config, "visual_prompt", backbone.name, **changes)
    task = read_task(arguments, backbone)
    prompt, card = vpbench.fit_prompt(backbone, task, settings, seed=arguments.seed)
    path = vpbench.save_prompt(arguments.out, prompt, card)
    vpbench.export_prompt(prompt, arguments.out)
    accuracy = ", ".join(f"{name} {value:.1f} %" for name, value in card["accuracy"].items())
    print(f"{path}: {accuracy}")


def evaluate(arguments):
    """Returns None; prints the metrics of a prompt."""
    import vpbench

    backbone = vpbench.load_backbone(arguments.backbone, check_device(arguments.device))
    prompt, card = vpbench.load_prompt(arguments.prompt, backbone)
    task = read_task(arguments, backbone)
    metrics = vpbench.evaluate_prompt(backbone, task, prompt, card, split=arguments.split)
    print(json.dumps(metrics, indent=1))


def export(arguments):
    """Returns None; writes a prompt as npy and png."""
    import vpbench

    backbone = vpbench.load_backbone(arguments.backbone, check_device(arguments.device))
    prompt, _ = vpbench.load_prompt(arguments.prompt, backbone)
    print(*vpbench.export_prompt(prompt, arguments.out))


def import_prompt(arguments):
    """Returns None; writes a checkpoint of the official code as a prompt and its card."""
    import vpbench
    from vpbench.data import load
    from vpbench.prompts import official
    from vpbench.spec.class_names import MANIFESTS

    backbone = vpbench.load_backbone(arguments.backbone, check_device(arguments.device))
    changes = dict(read_change(text) for text in arguments.set)
    if arguments.task in MANIFESTS:
        task = official.without_images(arguments.task)
    else:
        task = load.load_task(arguments.task, preprocessing=backbone.preprocessing)
    prompt, card = official.load_checkpoint(arguments.checkpoint, backbone, task, **changes)
    print(vpbench.save_prompt(arguments.out, prompt, card))
