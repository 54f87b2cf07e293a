"""Help in groups, every option explained, examples that are legal, and what may have been meant."""

import argparse
import json
import shlex

import pytest

from tests.helpers.messages import holds
from tests.helpers.tiny import spec
from vpbench.cli.main import main
from vpbench.cli.parser import grouped, parser
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.methods import METHODS
from vpbench.spec.tasks import TASKS


def verbs_of(command):
    """Yields the parsers of all verbs, those of `data` as well."""
    actions = [each for each in command._actions if isinstance(each, argparse._SubParsersAction)]
    if not actions:
        yield command
    for action in actions:
        for one in action.choices.values():
            yield from verbs_of(one)


VERBS = {one.prog: one for one in verbs_of(parser())}


def refused(capsys, *arguments):
    """Returns the one line on stderr of a command line that is refused."""
    with pytest.raises(SystemExit) as error:
        main(list(arguments))
    assert error.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_the_verbs_are_listed_once_for_people_and_for_the_workflow():
    main_parser, groups = grouped()
    lines = main_parser.format_help().splitlines()
    people = [group.title for group in groups if group.title.startswith("for people")]
    assert [*people, "used by the workflow"] == [group.title for group in groups]
    listed = [name for group in groups for name in group.texts]
    assert sorted(listed) == sorted({prog.split()[1] for prog in VERBS})
    of_people = {name for group in groups[:-1] for name in group.texts}
    assert of_people >= {"fit", "evaluate", "export", "plan", "verify", "show", "list", "data"}
    assert set(groups[-1].texts) >= {"run", "run-task", "measure"}
    places = [lines.index(f"{group.title}:") for group in groups]
    assert places == sorted(places)
    for name in listed:
        assert sum(line.split()[:1] == [name] for line in lines) == 1


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_is_explained_with_its_default(verb):
    for action in VERBS[verb]._actions:
        assert action.help, f"{verb}: {action.dest} is not explained"
        shown = VERBS[verb]._get_formatter()._expand_help(action)
        if action.required and action.option_strings:
            assert shown.endswith("(required)")
        elif action.option_strings and action.nargs != 0:
            told = ("(default: ", "the default", "absent: ", "else ", "all if none", "none: ")
            several = action.default == [] and action.nargs == "*"  # --set: what differs
            assert several or any(words in shown for words in told), f"{verb}: {shown}"


def test_a_default_is_that_of_the_option():
    shown = VERBS["vpbench verify"].format_help()
    assert "(default: config/lab.yaml)" in shown
    assert "(default: 0)" in VERBS["vpbench fit"].format_help()


@pytest.mark.parametrize("verb", VERBS)
def test_every_example_in_a_help_is_a_legal_command(verb):
    of_people = {name for group in grouped()[1][:-1] for name in group.texts}
    lines = (VERBS[verb].epilog or "").splitlines()[1:]
    if verb.split()[1] in of_people:
        assert lines, f"{verb} has no example"
    for line in lines:
        program, *arguments = shlex.split(line)
        assert program == "vpbench" and line.split()[: len(verb.split())] == verb.split()
        assert parser().parse_args(arguments).function is VERBS[verb].get_default("function")


def test_unknown_names_are_told_the_nearest_ones_and_no_catalogue(capsys):
    assert refused(capsys, "evalute", "x") == (
        "vpbench: argument verb: 'evalute' is none; did you mean evaluate?; see vpbench --help"
    )
    holds(refused(capsys, "xyzzy"), "'xyzzy'", "`vpbench --help` lists them")
    holds(refused(capsys, "data", "stats"), "'stats'", "did you mean status?")
    holds(refused(capsys, "verify", "--depe"), "unknown --depe", "--deep")
    assert main(["sheet", "dtd_twinn", "--out", "x.png"]) == 2
    line = capsys.readouterr().err
    holds(line, "dtd_twinn", "did you mean dtd_twin")
    assert "cifar100" not in line


def test_list_prints_one_kind_or_the_settings_of_a_method(capsys):
    for kind, names in (("backbones", BACKBONES), ("tasks", TASKS), ("methods", METHODS)):
        assert main(["list", kind]) == 0
        assert capsys.readouterr().out.split() == list(names)
    assert main(["list", "configurations"]) == 0
    assert "config/lab.yaml" in capsys.readouterr().out.split()
    assert main(["list", "linear_probe"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [
        "C",
        "max_iter",
        "standardize",
    ]
    assert main(["list", "backbone"]) == 2
    holds(capsys.readouterr().err, "'backbone'", "did you mean backbones?")


WRONG = [
    ("a.yaml", "{}", ("a configuration", "`vpbench plan --configfile {path}`")),
    ("a.png", "", ("an image",)),
    ("a.csv", "", ("a table",)),
    ("a.safetensors", "", ("what was learned", "its card")),
    ("a.plain.safetensors", "", ("a prompt for plain PyTorch", "docs/using-a-prompt.md")),
    ("a.pt2", "", ("a model for torch.export.load",)),
    ("a.npz", "", ("arrays beside a record",)),
    ("spec.json", spec("text_prompt"), ("a spec", "`vpbench run {path}")),
    ("specs.json", [spec("text_prompt")], ("a list", "`vpbench run-task {path}`")),
    (
        "manifest.json",
        {"schema": 2, "digest": "", "records": [{"path": "a/seed0.json", "spec": {}}]},
        ("a manifest", "such as a/seed0.json"),
    ),
    (
        "card.json",
        dict.fromkeys(("weights", "image_size", "settings", "class_names", "sha256"))
        | {"backbone": "clip_micro"},
        ("the card", "clip_micro", "`vpbench evaluate {path}`"),
    ),
]


@pytest.mark.parametrize(("name", "content", "facts"), WRONG)
def test_show_says_which_kind_a_file_is_that_is_no_record(name, content, facts, tmp_path, capsys):
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    assert main(["show", str(path)]) == 2
    holds(capsys.readouterr().err, path, *(fact.format(path=path) for fact in facts))


def test_show_says_what_checks_a_folder(tmp_path, capsys):
    assert main(["show", str(tmp_path)]) == 2
    holds(capsys.readouterr().err, f"{tmp_path} is a folder", f"`vpbench verify {tmp_path}`")
