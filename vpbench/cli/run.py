"""`vpbench run`, `run-task` and `measure`, which the workflow calls."""

from argparse import Namespace

from vpbench.cli.arguments import read_checkpoint_options, read_json, read_specs
from vpbench.cli.device import check_device
from vpbench.common import atomic_files
from vpbench.records.paths import manifest


def run(arguments: Namespace) -> int:
    """Returns the exit code of one run, in one process or, with --processes, in several."""
    from vpbench.compute import distributed
    from vpbench.data import load
    from vpbench.data.task import few_shot
    from vpbench.experiment.run import check_spec, complete
    from vpbench.models.backbone import load_backbone

    spec, kept = read_json(arguments.spec), read_checkpoint_options(arguments)
    check_spec(spec)
    if arguments.processes > 1 and not distributed.launched():
        return distributed.launch(arguments.processes, arguments.line)
    device = check_device(arguments.device)
    with distributed.group(device):
        backbone = load_backbone(spec["backbone"], device)
        task = load.load_task(
            spec["task"], spec["data"], backbone.preprocessing, spec.get("folder")
        )
        task = few_shot(task, spec["data"].get("shots"), spec["seed"])
        complete(arguments.out, spec, task, backbone, *kept)
    return 0


def run_task(arguments: Namespace) -> None:
    """Runs the specs that have no record yet, then writes the manifest."""
    from vpbench.experiment.run import run_all

    specs, kept = read_specs(arguments.specs), read_checkpoint_options(arguments)
    device = check_device(arguments.device)
    for _ in run_all(specs, arguments.runs, device, *kept):
        pass
    atomic_files.write(arguments.out, manifest(specs, arguments.runs))


def measure(arguments: Namespace) -> None:
    """Measures what has no record yet, then writes the manifest if one is wanted."""
    from vpbench.experiment.measure import measure_all

    specs, device = read_specs(arguments.specs), check_device(arguments.device)
    for _ in measure_all(specs, arguments.runs, arguments.measurements, device):
        pass
    if arguments.out:
        atomic_files.write(arguments.out, manifest(specs, arguments.measurements))
