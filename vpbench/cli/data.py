"""`vpbench data`: what there is of the real datasets."""

import json

from vpbench.cli.arguments import read_json
from vpbench.common import paths
from vpbench.common.errors import UserError


def data_status(arguments):
    """Returns None; prints the status of the real datasets."""
    from vpbench.data import status

    rows = status.status(arguments.names, arguments.verify)
    print(json.dumps(rows, indent=1) if arguments.json else status.table(rows))


def data_prepare(arguments):
    """Returns None; fetches datasets that are missing and makes their caches."""
    from vpbench.data.preparation import prepare_all
    from vpbench.spec import schema_check
    from vpbench.spec.schema import data_schema

    data = read_json(arguments.data) if arguments.data else None
    complaint = data and schema_check.complaint(data, data_schema(), "--data")
    if complaint:
        raise UserError(complaint)
    prepare_all(arguments.names, arguments.backbones, data)


def data_download(arguments):
    """Returns None; fetches a dataset."""
    from vpbench.data.preparation import fetch

    source = fetch(arguments.name)
    sizes = ", ".join(f"{name} {len(split):,}" for name, split in source.splits.items())
    print(f"{arguments.name}: {sizes}")


def data_split(arguments):
    """Returns None; makes the split file of a dataset anew."""
    from vpbench.data.datasets.coop_rule import regenerate_split

    print(regenerate_split(arguments.name, paths.data_dir(), arguments.seed))
