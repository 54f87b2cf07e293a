"""Commands as they are typed, and what is said of a mistake in one."""

from tests.helpers.checkout import ROOT
from vpbench.cli.main import main

CONFIG = str(ROOT / "config" / "smoke.yaml")
FIT = ("--config", CONFIG, "--set", "epochs=1", "eval_epochs=[]", "batch_size=32")


def mistake(capsys, *arguments):
    """Returns the one complaint on stderr, device and bars aside, of a command that ends with 2."""
    capsys.readouterr()
    assert main([str(argument) for argument in arguments]) == 2
    lines = capsys.readouterr().err.splitlines()
    lines = [line for line in lines if line and "it/s]" not in line]
    lines = [line for line in lines if not line.startswith("device: cpu")]
    assert len(lines) == 1 and lines[0].startswith("vpbench: ")
    return lines[0].removeprefix("vpbench: ")


def fit(task, out, *options):
    """Returns the arguments of a fit on the micro-CLIP."""
    return ("fit", task, "--backbone", "clip_micro", "--out", out, *options)
