"""`vpbench fit`: learns a prompt, or what another method learns, and says what it gains."""

import re
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vpbench.cli.arguments import read_change
from vpbench.cli.device import announce_device
from vpbench.cli.fits import Asked, Fits
from vpbench.cli.outputs import refuse_taken
from vpbench.cli.saved import open_task
from vpbench.cli.tries import Chosen, Tries, choose, read_tries
from vpbench.common.errors import UserError
from vpbench.common.intervals import wilson
from vpbench.common.locks import hold
from vpbench.common.messages import brief, instead
from vpbench.spec import schema_check
from vpbench.spec.grid_checks import refuse
from vpbench.spec.methods import METHODS, misfit_of
from vpbench.spec.preprocessing import for_recipe
from vpbench.spec.recipes import Recipe, load_recipe, recipe_for
from vpbench.spec.schema import settings_schema
from vpbench.spec.settings import Settings

if TYPE_CHECKING:  # they load torch: see vpbench.cli
    from vpbench.data.task import AnyTask
    from vpbench.methods.model import Model
    from vpbench.models.backbone import Backbone

PROBE = "linear_probe"
Rows = dict[str, np.ndarray]  # what was compared -> whether each test image is right


def fit(arguments: Namespace) -> None:
    """Learns a prompt and writes it in all its forms; stopped, the same command goes on."""
    from vpbench.prompts.files import named

    arguments.out = named_out(arguments)
    lock = named(arguments.out, ".lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    with hold(lock):  # where it cannot be written, neither could what takes hours to learn
        learn(arguments)


def named_out(arguments: Namespace) -> str:
    """Returns the path of the files: that of --out, else the names of task and backbone."""
    if arguments.out is not None:
        return str(arguments.out)
    of_task, of_backbone = Path(arguments.task).resolve().name, arguments.backbone.split(":")[-1]
    return re.sub(r"[^\w.-]+", "_", f"{of_task}-{of_backbone}")


def learn(arguments: Namespace) -> None:
    """Learns a prompt and writes it; no other process does so under its name."""
    import vpbench
    from vpbench.cli.fit_time import announced
    from vpbench.prompts.files import SUFFIXES, named
    from vpbench.training.checkpoint import Checkpoint

    checkpoint, finished = (named(arguments.out, end) for end in (".checkpoint.pt", ".fits.json"))
    going_on = Checkpoint(checkpoint).is_there or finished.exists()
    files = [named(arguments.out, suffix) for suffix in SUFFIXES]
    refuse_taken(files, arguments.force or going_on)  # before anything is loaded
    tries = read_tries(arguments.tries) if arguments.tries else None
    backbone = vpbench.load_backbone(arguments.backbone, announce_device(arguments.device))
    recipe = recipe_of(arguments, backbone)
    task = open_task(arguments)
    trials = trials_of(arguments.method, recipe.settings, tries, task, backbone)
    against = compared(trials[0], task, backbone)
    fits = Fits(backbone, task, arguments.seed, checkpoint, finished)
    same = fits.ask(trials)
    if not arguments.force:
        fits.refuse_others([*trials, *against.values()])
        refuse_taken(files, same or Checkpoint(checkpoint).is_there)
    waiting = [each for each in against.values() if not fits.is_done(*each, "test")]
    waiting += [each for each in trials if not (tries and fits.is_done(*each, "validation"))]
    print(
        f"recipe: {recipe.config}\n{announced(fits, trials, waiting)}", file=sys.stderr, flush=True
    )
    others = looked_at(fits, against)
    try:
        chosen = choose(fits, trials, tries) if tries else Chosen(recipe.settings, None)
        model = chosen.model or fits.model(arguments.method, chosen.settings)
    except UserError:
        if tries is None:  # the same command would end here again: nothing is kept for it
            finished.unlink(missing_ok=True)
        raise
    main, right = called(arguments.method), model.examine(task).right
    path = write(model, arguments.out)
    fits.end()
    accuracy = ", ".join(f"{name} {value:.1f} %" for name, value in model.accuracy.items())
    print(f"{path}: {accuracy}", *table(main, right, others), sep="\n")


def recipe_of(arguments: Namespace, backbone: "Backbone") -> Recipe:
    """Returns the recipe that belongs to a backbone, or that of --config, with what --set changes.

    Raises UserError if the method does not work on the backbone.
    """
    method, config = arguments.method, arguments.config
    if method not in METHODS:
        raise UserError(f"unknown method {brief(method)}; {instead(method, METHODS)}")
    facts = backbone.name, backbone.modality
    refuse(misfit_of(method, *facts, backbone.token_towers))
    changes = dict(read_change(text) for text in arguments.set)
    if config is not None:
        given = load_recipe(config, method, backbone.address or backbone.name, **changes)
        return Recipe(given, config)
    settings, where = recipe_for(method, *facts, backbone.image_size)
    settings = settings | changes
    check_settings(method, settings, backbone)
    return Recipe(settings, where)


def check_settings(method: str, settings: Settings, backbone: "Backbone") -> None:
    """Raises UserError unless the settings are a complete and legal recipe."""
    legal = settings_schema(method, complete=True)
    schema_check.check(settings, legal, f"{method} on {backbone.name}")


def trials_of(
    method: str, settings: Settings, tries: Tries | None, task: "AnyTask", backbone: "Backbone"
) -> list[Asked]:
    """Returns the fits of a method that are asked for: one, or one for each value to try."""
    if tries is None:
        return [(method, settings)]
    if "validation" not in task.splits:
        raise UserError(f"--try chooses on validation images, and {task.name} has none")
    trials = [settings | {tries.name: value} for value in tries.values]
    for each in trials:
        check_settings(method, each, backbone)
    if len({for_recipe(backbone.preprocessing, each) for each in trials}) > 1:
        raise UserError(f"--try {tries.name}: images would be read anew for each; use --set")
    return [(method, each) for each in trials]


def compared(main: Asked, task: "AnyTask", backbone: "Backbone") -> dict[str, Asked]:
    """Returns what a method is compared with: name -> the same without a prompt, a linear probe.

    A probe has one C, the middle one, where there are no validation images to choose it on.
    """
    from vpbench.methods.without_prompt import settings_without

    method, settings = settings_without(*main, backbone)
    behind = "text prompt" if method == "text_prompt" else f"label map {settings['label_map']}"
    probe = recipe_for(PROBE, backbone.name, backbone.modality, backbone.image_size).settings
    if "validation" not in task.splits:
        probe = probe | {"C": [sorted(probe["C"])[len(probe["C"]) // 2]]}
    asked = {f"without prompt ({behind})": (method, settings), called(PROBE): (PROBE, probe)}
    return {name: each for name, each in asked.items() if called(main[0]) != name and each != main}


def called(method: str) -> str:
    """Returns what a method is called in the table."""
    if method == PROBE:
        return "linear probe"
    return "with prompt" if METHODS[method].keeps_prompt else METHODS[method].display


def looked_at(fits: Fits, against: dict[str, Asked]) -> Rows:
    """Returns which test images are right by what a prompt is compared with.

    Says so where a backbone cannot be compared, as a linear probe where it has no features.
    """
    rows: Rows = {}
    for name, asked in against.items():
        if not fits.is_done(*asked, "test"):
            print(f"first: {name}", file=sys.stderr, flush=True)
        try:
            rows[name], _ = fits.right(*asked, "test")
        except UserError as reason:
            print(f"no {name}: {reason}", file=sys.stderr)
    return rows


def write(model: "Model", out: str) -> Path:
    """Returns the path of what was learned, once it is written; of a prompt in all its forms."""
    from vpbench.prompts.files import export_prompt

    path = model.save(out)
    if METHODS[model.method].keeps_prompt:
        export_prompt(model.prompt, out)
    return path


def table(main: str, right: np.ndarray, others: Rows) -> Iterator[str]:
    """Yields lines: accuracies on the test images, and how far `main` is from each of the others.

    The interval of an accuracy is Wilson's, that of a difference from a bootstrap over the images.
    """
    from vpbench.methods.comparison import comparison

    probe = {name: others[name] for name in others if name == called(PROBE)}
    rows = {name: others[name] for name in others if name not in probe} | {main: right} | probe
    head = "on the test images"
    width = max(map(len, [head, *rows]))
    yield f"{head:{width}}  accuracy  95 % interval       n"
    for name, row in rows.items():
        accuracy = 100 * float(row.mean())
        low, high = wilson(accuracy, len(row))
        interval = f"[{low:.1f}, {high:.1f}]"
        yield f"{name:{width}}  {accuracy:6.1f} %  {interval:13}  {len(row):6,}"
    for name, row in others.items():
        pair = comparison(right, row)
        interval = f"[{pair.low:+.1f}, {pair.high:+.1f}]"
        yield f"{main} - {name}: {pair.difference:+.1f} points {interval}"
