"""VP + FT: a prompt in the image and every weight of the image model, trained together."""

from torch import nn

from vpbench.methods.fine_tune import adamw, parameter_groups, tuned
from vpbench.methods.fit import fit_seeded
from vpbench.prompts.pixel import build_prompt


def fit(backbone, task, settings, seed, checkpoint=None):
    """Returns the `Fit` of AdamW on a prompt, added after normalisation, and on all weights.

    The prompt has a rate of its own, prompt_lr, and no weight decay; its state is `prompt`. From a
    `checkpoint` (checkpoints.Checkpoint) the training goes on where it was.
    """

    def build():
        prompt = build_prompt(
            settings["template"], backbone.image_size, settings["size"], init=settings["init"]
        ).to(backbone.device)
        model, logits = tuned(backbone, task, settings)
        groups = parameter_groups(model, settings["decay_gains_and_biases"])
        factor = settings["prompt_lr"] / settings["lr"]
        of_prompt = {"params": list(prompt.parameters()), "factor": factor, "weight_decay": 0.0}
        module = nn.ModuleDict({"prompt": prompt, "model": model})
        return module, lambda x: logits(prompt(x)), adamw([*groups, of_prompt], settings)

    return fit_seeded("prompted_fine_tune", build, backbone, task, settings, seed, checkpoint)
