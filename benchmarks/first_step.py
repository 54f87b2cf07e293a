"""A run that ends after its first step and prints how long each stage of its start-up took.

`python -m benchmarks.first_step BEGUN SPEC FOLDER`, BEGUN being the time.monotonic() at which the
process was asked for. It imports what `vpbench run` imports and little else, libraries first,
so that each has a stage of its own.
"""

import json
import sys
import time
from importlib import import_module

ENTERED = time.monotonic()


class FirstStep(BaseException):
    """The first step is done; nothing else of the run is wanted."""


def main(begun: str, spec: str, folder: str) -> None:
    """Prints stage -> seconds as JSON. What the run writes goes to `folder`."""
    seconds, last = {"python": ENTERED - float(begun)}, ENTERED

    def over(stage):
        nonlocal last
        last, before = time.monotonic(), last
        seconds[stage] = seconds.get(stage, 0.0) + last - before

    import torch

    over("torch")
    from vpbench.spec.backbones import BACKBONES
    from vpbench.spec.methods import METHODS  # light, and it knows which library is wanted

    wanted = json.loads(spec)
    reads_text = BACKBONES[wanted["backbone"]].modality == "vision_language"
    import_module("open_clip" if reads_text else "timm")
    over("library")
    from vpbench.cli import main as main_module
    from vpbench.data import load
    from vpbench.models import backbone
    from vpbench.training import evaluate, trainer

    import_module(METHODS[wanted["method"]].module)
    over("vpbench")

    def watch(owner, name, stage, end=False):
        function = getattr(owner, name)

        def watched(*arguments, **options):
            over("rest")
            result = function(*arguments, **options)
            over(stage)
            if end:
                raise FirstStep
            return result

        setattr(owner, name, watched)

    watch(backbone, "load_backbone", "weights")
    watch(load, "load_task", "data")
    watch(backbone.VisionLanguageBackbone, "class_features", "text")
    watch(trainer.Trainer, "train_step", "step", end=True)
    watch(evaluate, "in_parts", "step", end=True)
    kept = "--checkpoints", f"{folder}/checkpoints", "--out", f"{folder}/record.json"
    try:
        main_module.main(
            ["run", spec, "--device", "cpu", "--threads", str(torch.get_num_threads()), *kept]
        )
    except FirstStep:
        print(json.dumps(seconds))


if __name__ == "__main__":
    main(*sys.argv[1:])
