"""`vpbench data`: what there is of the real datasets."""

import json
from argparse import Namespace

from vpbench.cli.arguments import read_json
from vpbench.common import paths
from vpbench.data import preparation, status
from vpbench.data.datasets import coop_rule
from vpbench.spec import made_up, schema_check
from vpbench.spec.schema import data_schema


def data_status(arguments: Namespace) -> None:
    """Prints the status of the real datasets."""
    made_up.adopt(paths.data_dir())
    rows = status.status(arguments.names, arguments.verify)
    print(json.dumps(rows, indent=1) if arguments.json else status.table(rows))


def data_prepare(arguments: Namespace) -> None:
    """Fetches datasets that are missing and makes their caches."""
    data = read_json(arguments.data) if arguments.data else None
    if arguments.data:
        schema_check.check(data, data_schema(), "--data")
    made_up.adopt(paths.data_dir())
    sides, done = arguments.image_side, arguments.done
    preparation.prepare_all(arguments.names, arguments.backbones, data, sides, done)


def data_download(arguments: Namespace) -> None:
    """Fetches a dataset."""
    source = preparation.fetch(arguments.name)
    sizes = ", ".join(f"{name} {len(split):,}" for name, split in source.splits.items())
    print(f"{arguments.name}: {sizes}")


def data_split(arguments: Namespace) -> None:
    """Makes the split file of a dataset anew."""
    print(coop_rule.regenerate_split(arguments.name, paths.data_dir(), arguments.seed))
