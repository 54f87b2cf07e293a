"""`vpbench plan` and `vpbench verify`."""

from argparse import Namespace

from vpbench.cli.device import check_device
from vpbench.common import atomic_files, paths
from vpbench.experiment import plan as plans
from vpbench.spec import recipes
from vpbench.spec.grid import expand


def plan(arguments: Namespace) -> None:
    """Prints what a configuration asks for and costs."""
    config, where = recipes.read_configs(arguments.configfile)
    for lines in plans.sections(config, where, arguments.stated):
        print(*lines, "", sep="\n", flush=True)


def verify(arguments: Namespace) -> int:
    """Returns the exit code: 1 if anything is wrong or missing; prints a line for each."""
    from vpbench.verify import verification

    config, where = recipes.read_configs(arguments.configfile)
    wanted = expand(config, where)
    paths.use(
        arguments.data_dir or config.get("data_dir"),
        arguments.weights_dir or config.get("weights_dir"),
    )
    device = check_device(arguments.device)
    report = verification.verify(arguments.results, wanted, where, arguments.deep, device)
    print(*verification.lines(report, arguments.results, where), sep="\n")
    if arguments.json:
        document = verification.document(report, arguments.results, where)
        atomic_files.write(arguments.json, document)
    return 1 if report.problems else 0
