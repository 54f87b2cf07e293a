"""What is written beside a record: predictions, the prompt, examples to look at."""

from pathlib import Path

import numpy as np
import torch

from vpbench.common import atomic_files
from vpbench.methods.visual_prompt import prompted
from vpbench.prompts.files import prompt_card, save_prompt
from vpbench.prompts.pixel import part, restore_prompt
from vpbench.spec.methods import METHODS

EXAMPLES = 4  # test images kept with every prompt, for people to look at


def predictions(evaluation, split):
    """Returns per-image arrays: id, label, prediction, confidence, log_probability, group."""
    log_probability = evaluation.logits.log_softmax(1)
    confidence, prediction = log_probability.max(1)
    return {
        "id": list(split.ids),
        "label": split.labels.numpy(),
        "prediction": prediction.numpy(),
        "confidence": confidence.exp().numpy(),
        "log_probability": log_probability.gather(1, split.labels[:, None])[:, 0].numpy(),
        "group": list(split.groups or [""] * len(split)),
    }


@torch.no_grad()
def examples(prompt, backbone, task, settings):
    """Returns arrays for people to look at: a few test images, plain and prompted, and the prompt.

    images and prompted are uint8 [n, S, S, 3], of different classes as far as there are any; a
    prompted one is what a file of it would show, clamped to 0..255. canvas [3, S, S] is the prompt
    alone, 1 being the full range of a pixel. labels are those of the images.
    """
    split = task.splits["test"]
    _, first = np.unique(split.labels.numpy(), return_index=True)
    index = torch.from_numpy(np.sort(first)[:EXAMPLES])
    prompt_space = settings["prompt_space"]
    canvas = prompt.canvas()
    if prompt_space == "normalized":
        canvas = canvas * backbone.std
    # Of an ensemble, the images of its first member.
    classifier = prompted(prompt, backbone, lambda x: x, prompt_space, settings["image_side"])
    pixels = classifier(split.images[index])[: len(index)] * backbone.std + backbone.mean
    seen = pixels.clamp(0, 1).mul(255).round().byte()
    return {
        "images": backbone.pictures(split.images[index]).cpu().numpy(),
        "prompted": seen.permute(0, 2, 3, 1).cpu().numpy(),
        "canvas": canvas[0].cpu().numpy(),
        "labels": split.labels[index].numpy(),
    }


def write_run(path, record, predictions, fit, task, backbone):
    """Returns `path` once the record and its side files are there; the record comes last."""
    path, spec = Path(path), record["spec"]
    atomic_files.write_arrays(path.with_suffix(".predictions.npz"), predictions)
    if METHODS[spec["method"]].keeps_prompt:
        settings = spec["settings"]
        _, state, evaluations = fit.selection[record["rule"]]
        own = part(state, "prompt")
        prompt = restore_prompt(settings, backbone.image_size, own).to(backbone.device)
        accuracy = {name: e.metrics["accuracy"] for name, e in evaluations.items()}
        card = prompt_card(settings, backbone, task, accuracy)
        card["label_map"] = part(state, "label_map")
        save_prompt(path.with_suffix(".prompt.safetensors"), prompt, card)
        shown = examples(prompt, backbone, task, settings)
        atomic_files.write_arrays(path.with_suffix(".examples.npz"), shown)
    return atomic_files.write(path, record)
