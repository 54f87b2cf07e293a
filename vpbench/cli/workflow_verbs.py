"""The verbs that the jobs of the workflow call."""

from vpbench.cli.options import Verbs, add_checkpoint_options, add_verb
from vpbench.cli.run import features, measure, reference_photographs, run, run_task

SPEC = "the spec: a JSON text, or a file of it (@FILE is the same as FILE)"
SPECS = "a JSON list of specs, or a file of it (@FILE is the same as FILE)"


def add_workflow_verbs(verbs: Verbs) -> None:
    """Adds what the jobs of the workflow call."""
    add_run(verbs)

    text = "write the features that the probe of one spec is fitted to"
    command = add_verb(verbs, "features", features, text)
    command.add_argument("spec", help=SPEC)
    command.add_argument("--out", required=True, metavar="FILE", help="the features")

    text = "run the specs of a job, write a manifest"
    command = add_verb(verbs, "run-task", run_task, text)
    command.add_argument("specs", help=SPECS)
    command.add_argument("--runs", default="results/runs", metavar="FOLDER", help="of the records")
    command.add_argument("--out", required=True, metavar="FILE", help="the manifest")
    add_checkpoint_options(command)

    text = "make the statistics of the photographs that a measurement's spec compares with"
    command = add_verb(verbs, "reference-photographs", reference_photographs, text)
    command.add_argument("spec", help=SPEC)
    text = "what they are about, as JSON"
    command.add_argument("--out", required=True, metavar="FILE", help=text)

    command = add_verb(verbs, "measure", measure, "measure what specs ask for")
    command.add_argument("specs", help=SPECS)
    text = "where the records of the runs are"
    command.add_argument("--runs", default="results/runs", metavar="FOLDER", help=text)
    text = "of the records"
    command.add_argument(
        "--measurements", default="results/measurements", metavar="FOLDER", help=text
    )
    text = "manifest of the records; absent: none is written"
    command.add_argument("--out", metavar="FILE", help=text)


def add_run(verbs: Verbs) -> None:
    """Adds the verb of one run."""
    examples = ("results/requests/runs/lab/eurosat_twin.json --out seed0.json",)
    command = add_verb(verbs, "run", run, "run one spec and write its record", examples=examples)
    command.add_argument("spec", help=SPEC)
    command.add_argument("--out", required=True, metavar="FILE", help="the record")
    text = "share the run: so many processes, one per GPU"
    command.add_argument("--processes", type=int, default=1, metavar="N", help=text)
    text = (
        "what `vpbench features` has made: the regression on it alone, on the CPU; absent: the "
        "whole run"
    )
    command.add_argument("--features", metavar="FILE", help=text)
    add_checkpoint_options(command)
