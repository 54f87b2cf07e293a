"""`vpbench run`, `features`, `run-task`, `measure` and its photographs: what the workflow calls."""

from argparse import Namespace
from typing import TYPE_CHECKING

from vpbench.cli.arguments import read_checkpoint_options, read_json, read_specs
from vpbench.cli.device import announce_device
from vpbench.common import atomic_files
from vpbench.records.paths import manifest
from vpbench.spec import made_up, schema_check
from vpbench.spec.aliases import Spec
from vpbench.spec.fingerprints import check_reference
from vpbench.spec.preprocessing import preprocessing_of
from vpbench.spec.schema import measurement_schema

if TYPE_CHECKING:  # it loads torch: see vpbench.cli
    from vpbench.data.task import Task


def run(arguments: Namespace) -> int:
    """Returns the exit code of one run, in one process or, with --processes, in several."""
    from vpbench.compute import distributed
    from vpbench.experiment.run import check_spec, complete
    from vpbench.models.backbone import load_backbone

    spec, kept = read_json(arguments.spec), read_checkpoint_options(arguments)
    check_spec(spec)
    if arguments.features:
        return run_on_features(arguments, spec)
    if arguments.processes > 1 and not distributed.launched():
        return distributed.launch(arguments.processes, arguments.line)
    device = announce_device(arguments.device, [spec])
    made_up.use(spec)
    with distributed.group(device):
        backbone = load_backbone(spec["backbone"], device)
        complete(arguments.out, spec, task_of(spec), backbone, *kept)
    return 0


def run_on_features(arguments: Namespace, spec: Spec) -> int:
    """Returns the exit code of the second part of a run, on features that are made; on the CPU."""
    from vpbench.experiment.probe_parts import regress

    announce_device("cpu", [spec])
    made_up.use(spec)
    regress(arguments.out, spec, task_of(spec), arguments.features)
    return 0


def features(arguments: Namespace) -> None:
    """Writes the features that a run is fitted to, its first part."""
    from vpbench.experiment.probe_parts import check_parts, extract
    from vpbench.models.backbone import load_backbone

    spec = read_json(arguments.spec)
    check_parts(spec)
    device = announce_device(arguments.device, [spec])
    made_up.use(spec)
    extract(arguments.out, spec, task_of(spec), load_backbone(spec["backbone"], device))


def task_of(spec: Spec) -> "Task":
    """Returns the task of a spec, with the images that its run has."""
    from vpbench.data.load import load_task

    transform, folder = preprocessing_of(spec), spec.get("folder")
    return load_task(spec["task"], spec["data"], transform, folder, spec["seed"])


def run_task(arguments: Namespace) -> None:
    """Runs the specs that have no record yet, then writes the manifest."""
    from vpbench.experiment.run import check_spec, run_all

    specs, kept = read_specs(arguments.specs), read_checkpoint_options(arguments)
    for spec in specs:
        check_spec(spec)
    device = announce_device(arguments.device, specs)
    for _ in run_all(specs, arguments.runs, device, *kept):
        pass
    atomic_files.write(arguments.out, manifest(specs, arguments.runs))


def reference_photographs(arguments: Namespace) -> None:
    """Makes the statistics of the reference of a measurement's spec; writes what they are about."""
    from vpbench.experiment.measurements import frechet

    spec = read_json(arguments.spec)
    schema_check.check(spec, measurement_schema(), "spec")
    device = announce_device(arguments.device, [spec])
    made_up.use(spec)
    check_reference(spec)
    atomic_files.write(arguments.out, frechet.reference_of(spec["settings"], device).about)


def measure(arguments: Namespace) -> None:
    """Measures what has no record yet, then writes the manifest if one is wanted."""
    from vpbench.experiment.measure import measure_all

    specs = read_specs(arguments.specs)
    for spec in specs:
        schema_check.check(spec, measurement_schema(), "spec")
    device = announce_device(arguments.device, specs)
    for _ in measure_all(specs, arguments.runs, arguments.measurements, device):
        pass
    if arguments.out:
        atomic_files.write(arguments.out, manifest(specs, arguments.measurements))
