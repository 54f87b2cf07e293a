"""The verbs and options for one prompt: how it is learned, used and passed on."""

from vpbench.cli.evaluate import evaluate
from vpbench.cli.export import export, import_prompt
from vpbench.cli.fit import fit
from vpbench.cli.options import (
    IS_TASK,
    ArgumentParser,
    Verbs,
    add_folder_options,
    add_settings,
    add_verb,
    seed,
)
from vpbench.cli.outputs import add_force, add_out
from vpbench.cli.predict import predict

IS_BACKBONE = (
    "name of the catalogue (`vpbench list backbones`), timm:NAME, or open_clip:ARCHITECTURE/WEIGHTS"
)
IS_PROMPT = "what `vpbench fit` saved: its path, with or without ending"
ITS_OWN = "the backbone, where its card does not name one; absent: that of the card"


def add_prompt_verbs(verbs: Verbs) -> None:
    """Adds what is done with one prompt."""
    add_fit(verbs)
    add_predict(verbs)
    add_evaluate(verbs)
    add_export(verbs)
    add_import(verbs)


def add_fit(verbs: Verbs) -> None:
    """Adds the verb that learns."""
    text = "learn a prompt, and say what it gains; writes safetensors, card, npy and png"
    examples: tuple[str, ...] = (
        "eurosat_twin --backbone clip_micro --out my_prompt",
        "photos/ --backbone timm:convnext_tiny.fb_in1k --try lr=1,3,10,30",
        "photos/ --backbone lite0_minilm --set epochs=4 lr=30 --out my_prompt",
    )
    command = add_verb(verbs, "fit", fit, text, examples=examples)
    command.add_argument("task", metavar="TASK", help=IS_TASK)
    command.add_argument("--backbone", required=True, metavar="NAME", help=IS_BACKBONE)
    text = "what is learned; `vpbench list methods` prints the names"
    command.add_argument("--method", default="visual_prompt", metavar="NAME", help=text)
    text = "a configuration that has the recipe; absent: the shipped one for the backbone"
    command.add_argument("--config", metavar="FILE", help=text)
    text = "of the prompt's first values and the order of the images"
    command.add_argument("--seed", type=seed, default=0, metavar="N", help=text)
    text = "settings that differ from the recipe; `vpbench list visual_prompt` explains them"
    add_settings(command, text)
    text = (
        "values of a setting, as lr=1,3,10,30: a full training each, of which the validation "
        "images choose; absent: the recipe's"
    )
    command.add_argument("--try", dest="tries", metavar="NAME=VALUES", help=text)
    text = "path of the files, without ending; absent: TASK-BACKBONE"
    add_out(command, required=False, metavar="PATH", help=text)
    add_folder_options(command)


def add_predict(verbs: Verbs) -> None:
    """Adds the verb for images without labels."""
    text = "say which classes images without labels are, by a saved prompt"
    examples: tuple[str, ...] = (
        "my_prompt photos/ new.jpg --top 3",
        "my_prompt photos/ --csv a.csv",
    )
    command = add_verb(verbs, "predict", predict, text, examples=examples)
    add_saved(command)
    text = "image files, and folders, of which all images are read at any depth"
    command.add_argument("images", nargs="+", metavar="FILE", help=text)
    text = "how many of the likeliest classes"
    command.add_argument("--top", type=int, default=5, metavar="N", help=text)
    text = "write a table: file, class, probability, class_2, ...; absent: print a line per image"
    command.add_argument("--csv", metavar="FILE", help=text)
    add_force(command, "--csv")


def add_evaluate(verbs: Verbs) -> None:
    """Adds the verb for images with labels."""
    text = "print the metrics of a saved prompt as JSON"
    examples: tuple[str, ...] = (
        "my_prompt --without-prompt",
        "my_prompt new_photos/ --confusion confusion --predictions predictions.csv",
    )
    command = add_verb(verbs, "evaluate", evaluate, text, examples=examples)
    add_saved(command)
    text = f"{IS_TASK}; absent: what the prompt was learned on"
    command.add_argument("task", nargs="?", metavar="TASK", help=text)
    text = "train, validation or test, of the task"
    command.add_argument("--split", default="test", help=text)
    text = "write the confusion matrix as NAME.csv and NAME.png; absent: none is written"
    command.add_argument("--confusion", metavar="NAME", help=text)
    text = "write a table of what each image is taken for; absent: none is written"
    command.add_argument("--predictions", metavar="FILE", help=text)
    text = "also evaluate the backbone without a prompt, and how far the two differ"
    command.add_argument("--without-prompt", action="store_true", help=text)
    add_force(command, "--confusion or --predictions")
    add_folder_options(command)


def add_export(verbs: Verbs) -> None:
    """Adds the verb that writes files for other programs."""
    text = "write a saved prompt for other programs, with a model card"
    examples: tuple[str, ...] = ("my_prompt --out my_prompt.onnx", "my_prompt --out shown")
    command = add_verb(verbs, "export", export, text, examples=examples)
    add_saved(command)
    text = (
        "NAME.onnx or NAME.pt2 with the model in it, or NAME for npy, png and plain.safetensors; "
        "absent: PROMPT_exported"
    )
    add_out(command, required=False, metavar="NAME", help=text)


def add_saved(command: ArgumentParser) -> None:
    """Adds what says which saved prompt is used."""
    command.add_argument("prompt", metavar="PROMPT", help=IS_PROMPT)
    command.add_argument("--backbone", metavar="NAME", help=ITS_OWN)


def add_import(verbs: Verbs) -> None:
    """Adds the verb that reads the official code's checkpoints."""
    text = "read a model_best.pth.tar of the official code"
    examples: tuple[str, ...] = (
        "model_best.pth.tar --backbone clip_vit_b32 --task eurosat --out official",
    )
    command = add_verb(verbs, "import", import_prompt, text, examples=examples)
    command.add_argument("checkpoint", help="model_best.pth.tar")
    command.add_argument("--backbone", required=True, metavar="NAME", help=IS_BACKBONE)
    text = "what it was trained on: a task by name, or a folder of images"
    command.add_argument("--task", required=True, help=text)
    text = "of its recipe, where it differs from the official defaults; for a patch its template"
    add_settings(command, text)
    add_out(command, metavar="PATH", help="path of the files, without ending")
