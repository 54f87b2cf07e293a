"""`vpbench evaluate`: how good what was learned is on a split of a task."""

import json
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vpbench.cli.outputs import refuse_taken, write_csv
from vpbench.cli.saved import open_task, saved_model
from vpbench.common.errors import UserError
from vpbench.common.intervals import wilson
from vpbench.common.messages import one_line
from vpbench.spec.tasks import TASKS

if TYPE_CHECKING:  # they load torch: see vpbench.cli
    from vpbench.data.task import AnyTask
    from vpbench.methods.comparison import Comparison
    from vpbench.methods.model import Examined, Model


def evaluate(arguments: Namespace) -> None:
    """Prints the metrics of what was learned, and writes what else is asked for."""
    if arguments.confusion:
        matrix = [Path(arguments.confusion + ending) for ending in (".csv", ".png")]
        refuse_taken(matrix, arguments.force, "--confusion")
    if arguments.predictions:
        refuse_taken([Path(arguments.predictions)], arguments.force, "--predictions")
    model = saved_model(arguments)
    arguments.task = arguments.task or of_card(model, arguments.prompt)
    task = open_task(arguments, to_fit=False)
    examined = model.examine(task, arguments.split)
    about = {
        "task": task.name,
        "split": arguments.split,
        "images": len(examined.images),
        "interval": wilson(examined.metrics["accuracy"], len(examined.images)),
    }
    gain = gained(model, task, arguments.split, examined) if arguments.without_prompt else {}
    if arguments.confusion:
        from vpbench.cli.confusion import write_confusion

        write_confusion(arguments.confusion, examined)
    if arguments.predictions:
        write_csv(arguments.predictions, predictions(examined))
    print(json.dumps(about | examined.metrics | gain, indent=1))


def of_card(model: "Model", path: str) -> str:
    """Returns the task that a model was made for, if it is here."""
    name = model.task.name
    if name not in TASKS and not Path(name).is_dir():
        raise UserError(
            f"{path} was made for {one_line(name)[:200]}, which is no task here; name one: "
            f"`vpbench evaluate {path} TASK`"
        )
    return name


def gained(model: "Model", task: "AnyTask", split: str, examined: "Examined") -> dict[str, Any]:
    """Returns what the same backbone does without a prompt, and how far the two differ."""
    from vpbench.methods.comparison import comparison
    from vpbench.methods.without_prompt import model_without

    without = model_without(model, task)
    pair = comparison(examined.right, without.examine(task, split).right)
    accuracy = {"method": without.method, "accuracy": pair.accuracy_b}
    interval = {"interval": wilson(pair.accuracy_b, pair.images)}
    return {"without_prompt": accuracy | interval, "gain": in_points(pair)}


def in_points(pair: "Comparison") -> dict[str, float]:
    """Returns the difference of two models in percentage points, with its interval."""
    return {key: getattr(pair, key) for key in ("difference", "low", "high", "p_value")}


def predictions(examined: "Examined") -> list[list[Any]]:
    """Returns the lines of a table: what each image is and what it is taken for."""
    answers, names = examined.evaluation.answers, examined.class_names
    columns = zip(
        examined.images.ids,
        examined.images.labels.tolist(),
        answers["prediction"].tolist(),
        answers["confidence"].tolist(),
        strict=True,
    )
    head = ["image", "class", "predicted", "probability", "right"]
    lines = [
        [image, names[label], names[said], confidence, int(label == said)]
        for image, label, said, confidence in columns
    ]
    return [head, *lines]
