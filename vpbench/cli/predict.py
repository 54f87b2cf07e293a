"""`vpbench predict`: the classes of images without labels."""

from argparse import Namespace
from pathlib import Path
from typing import Any

from vpbench.cli.outputs import refuse_taken
from vpbench.cli.saved import saved_model
from vpbench.common import atomic_files


def predict(arguments: Namespace) -> None:
    """Prints the likeliest classes of images, or writes them as a table."""
    from vpbench.data.unlabelled import named_images

    refuse_taken([Path(arguments.csv)] if arguments.csv else [], arguments.force, "--csv")
    files = [path for path, _ in named_images(arguments.images)]  # before a model is loaded
    table = saved_model(arguments).predict(files, arguments.top)
    if arguments.csv:
        print(atomic_files.write_bytes(arguments.csv, table.to_csv(index=False).encode()))
        return
    for file, *likely in table.itertuples(index=False):
        print(f"{file}: {in_words(likely)}")


def in_words(likely: list[Any]) -> str:
    """Returns class, probability, class, probability, ... for people."""
    pairs = zip(likely[::2], likely[1::2], strict=True)
    return ", ".join(f"{name} {100 * probability:.1f} %" for name, probability in pairs)
