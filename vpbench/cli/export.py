"""`vpbench export` and `import`: from and to the files of other programs."""

import sys
from argparse import Namespace
from pathlib import Path

from vpbench.cli.arguments import read_change
from vpbench.cli.device import check_device
from vpbench.cli.outputs import refuse_taken
from vpbench.cli.saved import saved_model


def export(arguments: Namespace) -> None:
    """Writes what was learned in the form that the ending of --out names, with a model card."""
    from vpbench.methods.exporting import beside
    from vpbench.methods.model_card import is_model_card
    from vpbench.prompts.files import named

    out = arguments.out or str(named(arguments.prompt, "_exported"))
    whole = Path(out).suffix in (".onnx", ".pt2")
    alone = [named(out, ".npy"), named(out, ".png"), beside(out, ".plain.safetensors")]
    written = [Path(out)] if whole else alone
    card = beside(out, ".README.md")
    if not is_model_card(card):  # one of ours lists the other forms, and is written anew
        written.append(card)
    refuse_taken(written, arguments.force)
    print(*saved_model(arguments).export(out))


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
