"""The training that all methods of learned tokens share."""

import torch

from vpbench.methods.fit import fit_seeded
from vpbench.spec.text_prompts import worded


def fit(method, build, backbone, task, settings, seed, checkpoint):
    """Returns the `Fit` of SGD on the parameters of the module build(backbone, task, settings).

    It maps normalised images to logits, and is given the task in the words of `settings`.
    """

    def built():
        said = worded(task, {"text_prompt": None} | settings)
        module = build(backbone, said, settings).to(backbone.device)
        optimiser = torch.optim.SGD(
            module.parameters(),
            lr=settings["lr"],
            momentum=settings["momentum"],
            weight_decay=settings["weight_decay"],
        )
        return module, module, optimiser

    return fit_seeded(method, built, backbone, task, settings, seed, checkpoint)
