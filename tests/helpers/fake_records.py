"""Records that no run made: accuracies one can compute with by hand."""

import hashlib

from tests.helpers.tiny import MICRO, TWINS
from vpbench.common import atomic_files
from vpbench.records.paths import MANIFEST, manifest, record_path
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.methods import METHODS, PAPER_METHODS, selection_rule
from vpbench.spec.result_files import RECORD
from vpbench.spec.schema import SCHEMA
from vpbench.spec.tasks import TASKS

SIZES = {"train": 500, "validation": 300, "test": 1000}


def spec(task, backbone, method, seed=0, variant="default", **settings):
    """Returns the spec of a run."""
    cell = {"task": task, "backbone": backbone, "method": method, "variant": variant}
    engine = {"precision": "fp32", "compile": False, "micro_batch": None}
    how = {"data": SIZES | {"resolution": "backbone"}, "engine": engine, "settings": settings}
    return {"scale": "lab", "kind": "twins"} | cell | {"seed": seed} | how


def sha256(text):
    """Returns the SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def record(task, backbone, method, accuracy, seed=0, best=None, last=None, **changes):
    """Returns a record whose accuracy after the best validation is `accuracy`.

    `best` and `last` are those of the best test epoch and of the last epoch.
    """
    facts, model = TASKS[task], BACKBONES[backbone]
    trained = method in ("visual_prompt", "fine_tune")

    def pick(epoch, value):
        measured = {"accuracy": value, "per_class": [value], "macro_f1": value}
        measured |= {"worst_group": None, "nll": 1.0, "ece": 5.0}
        epoch = epoch if trained else None
        return {"epoch": epoch, "validation": measured, "test": measured}

    return {
        "schema": SCHEMA,
        "spec": spec(task, backbone, method, seed) | changes,
        "task": {
            "display": facts.display,
            "published": facts.published,
            "classes": 10,
            "class_names": [str(number) for number in range(10)],
            "template": facts.template,
            "sizes": dict(SIZES),
            "chance": 10.0,
            "metric": facts.metric,
            "shift": facts.shift,
            "paper_validation": facts.paper_validation,
        },
        "backbone": {
            "role": model.role,
            "modality": model.modality,
            "architecture": model.architecture,
            "parameters": 594657,
        },
        "rule": selection_rule(method, facts.paper_validation, facts.shift),
        "selection": {
            "last": pick(8, accuracy if last is None else last),
            "best_validation": pick(6, accuracy),
            "best_test": pick(5, accuracy if best is None else best),
        },
        "history": [],
        "trained_parameters": 4116,
        "chosen": {},
        "hashes": {"weights": sha256(backbone), "data": sha256(task), "world": None},
        "versions": {"vpbench": "0.1.0"},
        "device": "cpu",
        "measured": {"seconds": 1.0},
    }


def grid(accuracy, **changes):
    """Returns records of all the paper compares; `accuracy(task, backbone, method)`."""
    return [
        record(task, backbone, method, accuracy(task, backbone, method), **changes)
        for task in TWINS
        for backbone in MICRO
        for method in PAPER_METHODS
        if BACKBONES[backbone].modality in METHODS[method].modalities
    ]


def by_method(task, backbone, method):
    """Returns an accuracy that depends on the method only: TP 20, VP 60, LP 50, FT 80."""
    return dict(zip(PAPER_METHODS, (20.0, 60.0, 50.0, 80.0)))[method]


def write_jobs(wanted, folder, accuracy=by_method, leave_out=()):
    """Returns the paths of the records of a `Grid`, but for those that are left out, and of no job
    that lacks one the manifest; all below `folder`."""
    written = []
    for file, specs in wanted.jobs.items():
        for spec in specs:
            path = record_path(spec, folder / "results/runs")
            cell = spec["task"], spec["backbone"], spec["method"]
            one = record(*cell, accuracy(*cell)) | {"spec": spec}
            if path.relative_to(folder).as_posix() not in leave_out:
                written.append(atomic_files.write(path, one))
        if file.endswith(MANIFEST) and all(
            RECORD.format(**spec) not in leave_out for spec in specs
        ):
            atomic_files.write(folder / file, manifest(specs))
    return written


def write_all(made, runs):
    """Returns the paths of the manifests under the folder `runs` once the records are there."""
    groups = {}
    for one in made:
        atomic_files.write(record_path(one["spec"], runs), one)
        folder = runs / one["spec"]["scale"] / one["spec"]["task"]
        path = folder / f"{one['backbone']['modality']}.main.manifest.json"
        groups.setdefault(path, []).append(one["spec"])
    return [atomic_files.write(path, manifest(specs, runs)) for path, specs in groups.items()]
