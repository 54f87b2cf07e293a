"""`vpbench lpips-weights` and `lab-weights`."""

from argparse import Namespace
from pathlib import Path

from vpbench.cli.outputs import refuse_taken
from vpbench.common.errors import UserError


def lpips_weights(arguments: Namespace) -> None:
    """Writes the network that LPIPS is measured with."""
    from vpbench.models import lpips_weights as weights

    refuse_taken([Path(arguments.out)], arguments.force)
    print(weights.convert(arguments.source, arguments.out, arguments.network))


def lab_weights(arguments: Namespace) -> None:
    """Pretrains every micro backbone into a folder."""
    from vpbench.lab.pretrain import STAGES, pretrain

    if not 0 < arguments.scale <= 1:
        raise UserError(f"--scale {arguments.scale}: choose a share above 0, at most 1")
    for name in STAGES:
        pretrain(name, arguments.out, arguments.scale)
    print(f"{arguments.out}: to ship them, copy *.safetensors, *.json, *.txt and *.jsonl from here"
          " to vpbench/lab/weights")  # fmt: skip
