"""How verbs and options are declared, and those that several verbs have."""

import argparse
from argparse import SUPPRESS, ArgumentError, ArgumentTypeError, Namespace
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, NoReturn

from vpbench.common import paths, strict_json
from vpbench.common.messages import instead, one_line

DEBUG = "show the whole traceback of an error"
DATA_DIR = "datasets and their caches; else VPBENCH_DATA, or data/"
DEVICE = (
    "auto (cuda if there is one, else cpu), cpu, cuda, cuda:1, mps; auto and cuda wait for a GPU "
    "that no other vpbench uses; else VPBENCH_DEVICE, or auto"
)
IS_TASK = "a task by name, or a folder of images with a sub-folder for each class"
LEVEL = "  "  # before an example, and before a verb in a list


class Formatter(argparse.RawDescriptionHelpFormatter):
    """The one of argparse, which says of each option that it is required, or its default."""

    def _get_help_string(self, action: argparse.Action) -> str:
        text = action.help or ""
        if action.required and action.option_strings:
            return f"{text} (required)"
        silent = action.default in (None, SUPPRESS, []) or isinstance(action.default, bool)
        if silent or not action.option_strings or "default" in text:
            return text
        many = isinstance(action.default, list)
        default = " ".join(map(str, action.default)) if many else action.default
        return f"{text} (default: {str(default).replace('%', '%%')})"


class ArgumentParser(argparse.ArgumentParser):
    """The one of argparse, which says a mistake in one line, with what may have been meant."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options | {"formatter_class": Formatter})

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {one_line(message)}; see {self.prog} --help\n")

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        arguments, unknown = self.parse_known_args(args, namespace)
        if unknown:
            legal = options_of(self, arguments)
            near = instead(unknown[0], legal, "it is no option nor argument here")
            self.error(f"unknown {' '.join(unknown)}; {near}")
        return arguments

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            raise ArgumentError(action, f"{value!r} is none; {instead(value, action.choices, ALL)}")


ALL = "`vpbench --help` lists them"


def options_of(command: argparse.ArgumentParser, arguments: Namespace) -> list[str]:
    """Returns the options of a parser and of the verbs in it that were named."""
    names = list(command._option_string_actions)
    for action in command._actions:
        if isinstance(action, argparse._SubParsersAction):
            names += options_of(action.choices[getattr(arguments, action.dest)], arguments)
    return names


class Verbs(NamedTuple):
    """A group of verbs: its title, what verbs are added to, and name -> text of those there are."""

    title: str
    added_to: "argparse._SubParsersAction[ArgumentParser]"
    texts: dict[str, str]

    def listed(self) -> str:
        """Returns the lines of the group in a help."""
        width = max(map(len, self.texts))
        lines = [f"{LEVEL}{name:{width}}  {text}" for name, text in self.texts.items()]
        return "\n".join([f"{self.title}:", *lines])


def add_verb(
    verbs: Verbs,
    name: str,
    function: Callable[[Namespace], int | None],
    text: str,
    device: bool = True,
    examples: Iterable[str] = (),
) -> ArgumentParser:
    """Returns the parser of a new verb, with the options of one that computes if it does."""
    command = add_parser(verbs, name, text)
    command.set_defaults(function=function)
    if examples:
        lines = "".join(f"\n{LEVEL}{command.prog} {each}" for each in examples)
        command.epilog = f"examples:{lines}"
    # Also behind the verb, where it does not undo what was said before it.
    command.add_argument("--debug", action="store_true", default=SUPPRESS, help=DEBUG)
    if device:
        command.add_argument("--device", default=paths.device(), help=DEVICE)
        text = "CPU threads of torch; absent: one a core"
        command.add_argument("--threads", type=int, metavar="N", help=text)
        command.add_argument("--data-dir", metavar="FOLDER", help=DATA_DIR)
        text = "weight files; else VPBENCH_WEIGHTS, or weights/"
        command.add_argument("--weights-dir", metavar="FOLDER", help=text)
    return command


def add_parser(verbs: Verbs, name: str, text: str) -> ArgumentParser:
    """Returns the parser of a new verb of a group."""
    verbs.texts[name] = text
    return verbs.added_to.add_parser(name, description=f"{text[0].upper()}{text[1:]}.")


def add_checkpoint_options(command: ArgumentParser) -> None:
    """Adds the options that say how a run is kept while it goes on."""
    text = "where the state of a run is kept while it goes on"
    command.add_argument(
        "--checkpoints", default="results/checkpoints", metavar="FOLDER", help=text
    )
    text = "how often it is written; 0: at every step"
    command.add_argument(
        "--checkpoint-every", type=float, default=300, metavar="SECONDS", help=text
    )
    text = "also after each N steps; absent: only by time"
    command.add_argument("--checkpoint-steps", type=int, metavar="N", help=text)


def add_folder_options(command: ArgumentParser) -> None:
    """Adds the options that say how a folder of images is read."""
    text = "of a folder: JSON of train, val, test lists; absent: its sub-folders, or a cut"
    command.add_argument("--split-file", metavar="FILE", help=text)
    text = (
        "of a folder: file with a line folder<TAB>name per class, JSON, or a name per line; "
        "absent: names of its sub-folders"
    )
    command.add_argument("--class-names", metavar="FILE", help=text)
    text = "of a folder: order of its classes, 10 before 2 (text, the default), or after (counting)"
    command.add_argument("--class-order", choices=("text", "counting"), help=text)
    text = "of a folder: text prompt with {} for the class name; absent: This is a photo of a {}"
    command.add_argument("--template", metavar="TEXT", help=text)


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
