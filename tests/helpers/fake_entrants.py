"""Runs of methods around the paper, on all of its datasets, that nobody made."""

from tests.helpers.fake_records import record
from tests.helpers.tiny import TWINS
from vpbench.spec.methods import METHODS
from vpbench.spec.tasks import TASKS

PUBLISHED = [name for name in TWINS if TASKS[name].published]
PLAIN = [name for name in PUBLISHED if not TASKS[name].shift]


def run(method, accuracy, task="svhn_twin", variant="default", seed=0, **changes):
    """Returns a run of a method, of 2 epochs if it has any; `changes` are of what it took."""
    backbone, device = changes.get("backbone", "clip_micro"), changes.get("device", "cpu")
    made = record(task, backbone, method, accuracy, seed=seed, variant=variant)
    seconds, images = changes.get("seconds", 2.0), changes.get("images", 4000)
    made["measured"] = {"seconds": seconds, "images_per_second": images and images / seconds}
    made["measured"]["peak_memory_mb"] = changes.get("memory", 300.0)
    if "epochs" in METHODS[method].settings:
        made["spec"]["settings"] = {"epochs": 2, "batch_size": 10, "eval_epochs": []}
        made["spec"]["settings"] |= {"ensemble_size": changes.get("ensemble_size", 1)}
    made["trained_parameters"] = changes.get("parameters", 100)
    return made | {"device": device, "file": f"{method}_{variant}_{task}_{seed}.json"}


def everywhere(method, accuracy, tasks=PUBLISHED, **changes):
    """Returns runs of a method on `tasks`, a point better on each than on the one before."""
    return [run(method, accuracy + place, task, **changes) for place, task in enumerate(tasks)]
