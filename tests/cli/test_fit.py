"""`vpbench fit`: its recipe, how long it takes, what it gains, and rates that are tried."""

import json
import signal
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import vpbench as vp
from tests.cli.test_outputs import files
from tests.helpers.command_line import CONFIG, FIT, fit, mistake
from tests.helpers.messages import complains, holds
from tests.helpers.tiny import PADDING, PROBE
from vpbench.cli import fit as command
from vpbench.cli import fit_time
from vpbench.cli.fit_time import Pace
from vpbench.cli.fits import Fits
from vpbench.cli.main import main
from vpbench.cli.tries import Tries, read_tries, sureness
from vpbench.common.errors import UserError
from vpbench.data.task import AnyTask
from vpbench.spec.preprocessing import Preprocessing
from vpbench.spec.recipes import recipe_for

ENDINGS = ("json", "npy", "png", "safetensors")
SHORT = ("--config", CONFIG, "--set", "epochs=1", "eval_epochs=1", "batch_size=4")


def arguments(**changes):
    """Returns the arguments of a fit as far as its recipe is concerned."""
    return SimpleNamespace(**{"method": "visual_prompt", "config": None, "set": []} | changes)


def backbone_called(name, modality, side, towers=()):
    """Returns what the recipe asks of a backbone."""
    return SimpleNamespace(
        name=name, address=name, modality=modality, image_size=side, token_towers=towers
    )


def test_the_recipe_is_that_of_the_backbone_and_no_other_configuration_is_asked_for():
    micro = backbone_called("clip_micro", "vision_language", 56)
    settings, where = command.recipe_of(arguments(set=["epochs=3"]), micro)
    assert where == "config/lab.yaml" and (settings["lr"], settings["epochs"]) == (10, 3)
    outside = backbone_called("timm:resnet18.a1_in1k", "vision", 224)
    settings, where = command.recipe_of(arguments(), outside)
    assert where == "config/desk.yaml"
    assert settings == recipe_for("visual_prompt", outside.name, "vision", 224).settings
    with complains(UserError, "coop", outside.name, "it has no text"):
        command.recipe_of(arguments(method="coop"), outside)
    with complains(UserError, "unknown method 'visual_promt'", "did you mean visual_prompt"):
        command.recipe_of(arguments(method="visual_promt"), micro)


def test_a_fit_says_its_recipe_and_its_time_and_ends_with_what_it_gains(pets, tmp_path, capsys):
    assert main([*fit(pets, f"{tmp_path}/a", *FIT)]) == 0
    out, err = capsys.readouterr()
    assert f"recipe: {CONFIG}" in err.splitlines()
    (said,) = (line for line in err.splitlines() if line.startswith("time: about "))
    assert ": 3 fits, 1 steps of " in said  # of 10 training images, 32 in a batch
    head, *table = out.splitlines()[1:]
    assert head.split() == ["on", "the", "test", "images", "accuracy", "95", "%", "interval", "n"]
    rows = {line.partition("  ")[0]: line for line in table[:3]}
    assert list(rows) == ["without prompt (text prompt)", "with prompt", "linear probe"]
    backbone, task = vp.load_backbone("clip_micro"), vp.from_folder(pets)
    methods = {"without prompt (text prompt)": "text_prompt", "linear probe": "linear_probe"}
    for name, method in methods.items():
        accuracy = vp.fit(method, backbone, task).accuracy["test"]
        assert f"  {accuracy:.1f} %  [" in rows[name] and rows[name].endswith(" 3")
    card = json.loads((tmp_path / "a.json").read_text())
    assert f"  {card['accuracy']['test']:.1f} %  [" in rows["with prompt"]
    assert [line.partition(":")[0] for line in table[3:]] == [
        "with prompt - without prompt (text prompt)",
        "with prompt - linear probe",
    ]


def test_a_vision_model_is_compared_with_its_label_map_behind_no_prompt(pets, tmp_path, capsys):
    options = ("--config", CONFIG, "--set", "epochs=1", "label_map=frequency")
    arguments = ("fit", pets, "--backbone", "rn50_micro", *options, "--out", f"{tmp_path}/a")
    assert main(list(arguments)) == 0
    start = "without prompt (label map frequency)  "
    (line,) = (each for each in capsys.readouterr().out.splitlines() if each.startswith(start))
    settings = json.loads((tmp_path / "a.json").read_text())["settings"] | {"template": "none"}
    backbone = vp.load_backbone("rn50_micro")
    alone = vp.fit("visual_prompt", backbone, vp.from_folder(pets), settings=settings)
    assert f"  {alone.accuracy['test']:.1f} %" in line


def test_the_prompt_is_that_of_the_api_to_the_bit_whatever_was_timed_before(pets, tmp_path):
    assert main([*fit(pets, f"{tmp_path}/a", *FIT), "--seed", "3"]) == 0
    settings = json.loads((tmp_path / "a.json").read_text())["settings"]
    task, backbone = vp.from_folder(pets), vp.load_backbone("clip_micro")
    vp.fit("visual_prompt", backbone, task, settings=settings, seed=3).save(tmp_path / "b")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    assert (tmp_path / "a.json").read_text() == (tmp_path / "b.json").read_text()


def test_another_method_is_learned_and_compared_as_well(pets, tmp_path, capsys):
    assert main([*fit(pets, f"{tmp_path}/a"), "--method", "linear_probe"]) == 0
    rows = [line.partition("  ")[0] for line in capsys.readouterr().out.splitlines()[2:]]
    assert rows[:2] == ["without prompt (text prompt)", "linear probe"]
    assert sorted(files(tmp_path)) == ["a.json", "a.safetensors"]
    assert vp.load(tmp_path / "a").method == "linear_probe"


def test_without_out_the_files_are_called_like_task_and_backbone():
    called = {"out": None, "task": "../my photos/", "backbone": "open_clip:ViT-B-32/laion2b_e16"}
    assert command.named_out(SimpleNamespace(**called)) == "my_photos-ViT-B-32_laion2b_e16"
    called |= {"task": "dtd_twin", "backbone": "clip_micro"}
    assert command.named_out(SimpleNamespace(**called)) == "dtd_twin-clip_micro"


def test_the_table_has_wilsons_interval_and_that_of_the_paired_difference():
    right = np.arange(1000) < 500
    others = {"linear probe": np.ones(1000, bool), "without prompt": right}
    lines = list(command.table("with prompt", right, others))
    assert lines == [
        "on the test images  accuracy  95 % interval       n",
        "without prompt        50.0 %  [46.9, 53.1]    1,000",
        "with prompt           50.0 %  [46.9, 53.1]    1,000",
        "linear probe         100.0 %  [99.6, 100.0]   1,000",
        lines[4],
        "with prompt - without prompt: +0.0 points [+0.0, +0.0]",
    ]
    assert lines[4].startswith("with prompt - linear probe: -50.0 points [-53.")


def test_the_time_counts_steps_and_looks():
    sizes, pace = {"train": 100, "validation": 10, "test": 30}, Pace(trained=0.1, looked=0.01)
    # 2 epochs of 13 batches of 8, looks after each and at the end
    assert fit_time.seconds_of(PADDING, sizes, pace) == pytest.approx(0.1 * 208 + 0.01 * 40 * 3)
    once = PADDING | {"eval_epochs": []}
    assert fit_time.seconds_of(once, sizes, pace) == pytest.approx(0.1 * 208 + 0.01 * 40 * 2)
    assert fit_time.seconds_of(PROBE, sizes, pace) == pytest.approx(0.01 * 180)
    nothing = PADDING | {"template": "none"}
    assert fit_time.seconds_of(nothing, sizes, pace) == pytest.approx(0.01 * 180)
    said = [fit_time.in_words(seconds) for seconds in (0.2, 89, 90, 5399, 5400)]
    assert said == ["1 s", "89 s", "2 min", "90 min", "1.5 h"]


@pytest.mark.parametrize(("times", "expected"), [((0, 2.5), 2.5), ((0, 0.5, 1, 4), 1.0)])
def test_a_step_is_timed_after_the_first_unless_that_was_long_enough(times, expected):
    clock, acts = iter(times), []
    assert fit_time.mean_time(lambda: acts.append(1), lambda: next(clock)) == expected
    assert len(acts) == (1 if len(times) == 2 else 4)


def test_of_rates_that_are_tried_the_best_on_validation_is_kept(pets, tmp_path, capsys):
    assert main([*fit(pets, f"{tmp_path}/a", *SHORT), "--try", "lr=1e-9,40,40"]) == 0
    lines = capsys.readouterr().out.splitlines()
    accuracies = [line.split()[1] for line in lines[:2]]
    assert [line.split(":")[0] for line in lines[:2]] == ["lr=1e-09", "lr=40"]
    best = "lr=1e-09" if float(accuracies[0]) >= float(accuracies[1]) else "lr=40"
    assert lines[2].startswith(f"{best} is chosen, ")
    names = sorted(files(tmp_path))
    assert names == ["a.json", "a.npy", "a.png", "a.safetensors"]  # nothing of the others is left
    assert main([*fit(pets, f"{tmp_path}/b", *SHORT, best)]) == 0
    for ending in ("safetensors", "json", "npy"):
        assert (tmp_path / f"a.{ending}").read_bytes() == (tmp_path / f"b.{ending}").read_bytes()


def test_a_command_that_is_stopped_in_a_try_goes_on_with_it(pets, stop_after, tmp_path, capsys):
    tried = ("--try", "lr=40,1e-9,20")
    assert main([*fit(pets, f"{tmp_path}/whole", *SHORT), *tried]) == 0
    printed, steps = capsys.readouterr().out.splitlines(), 3  # of 10 images
    stop_after(2, signal.SIGTERM)  # of the first
    command = [*fit(pets, f"{tmp_path}/a", *SHORT), *tried]
    with pytest.raises(SystemExit):
        main(command)
    kept = json.loads((tmp_path / "a.fits.json").read_text())["done"]
    assert [(each["about"]["method"], each["split"]) for each in kept] == [
        ("text_prompt", "test"), ("linear_probe", "test"),
    ]  # fmt: skip
    stop_after(1, signal.SIGINT)  # of the second: the first goes on at its own step
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main(command)
    assert f"| 2/{steps} [" in capsys.readouterr().err
    done = json.loads((tmp_path / "a.fits.json").read_text())["done"]
    assert done[:2] == kept and len(done) == 3
    about = done[2]["about"]
    assert (about["settings"]["lr"], done[2]["split"]) == (40, "validation")
    assert main(command) == 0
    out, err = capsys.readouterr()
    assert f"| 1/{steps} [" in err and f"| 2/{steps} [" not in err
    assert out.splitlines()[:4] == printed[:4] and out.splitlines()[5:] == printed[5:]
    assert sorted(files(tmp_path)) == sorted(
        f"{n}.{end}" for n in ("a", "whole") for end in ENDINGS
    )
    for ending in ENDINGS:
        assert (tmp_path / f"a.{ending}").read_bytes() == (
            tmp_path / f"whole.{ending}"
        ).read_bytes()


class Told(Fits):
    """Fits that are counted instead of done: all images but the first are right."""

    def model(self, method, settings):
        self.fitted = [*getattr(self, "fitted", []), (method, settings["lr"])]
        right = np.arange(len(self.read(settings).splits["test"])) > 0
        return SimpleNamespace(examine=lambda task, split: SimpleNamespace(right=right))


def test_what_is_done_is_kept_with_its_settings_images_and_seed(clip, task, tmp_path):
    paths = tmp_path / "a.checkpoint.pt", tmp_path / "a.fits.json"
    asked = [("visual_prompt", PADDING | {"lr": rate}) for rate in (1.0, 3)]

    def fits(task=task, seed=0):
        told = Told(clip, task, seed, *paths)
        return told, told.ask(asked)

    first, same = fits()
    assert not same and not first.is_done(*asked[0], "test")
    right, model = first.right(*asked[0], "test")
    assert right.tolist() == [False] + 23 * [True] and model is not None
    again, same = fits()
    assert same and again.is_done(*asked[0], "test")
    known, model = again.right(*asked[0], "test")
    assert known.tolist() == right.tolist() and model is None and not hasattr(again, "fitted")
    assert not again.is_done(*asked[0], "validation") and not again.is_done(*asked[1], "test")
    again.right(*asked[1], "test")
    assert again.fitted == [("visual_prompt", 3)]
    images = replace(task.splits["train"], images=255 - task.splits["train"].images)
    other = replace(task, splits=task.splits | {"train": images})
    for changed, _ in (fits(seed=1), fits(other)):
        assert not changed.is_done(*asked[0], "test")
    again.end()
    assert list(tmp_path.iterdir()) == []
    paths[1].write_text("[]")
    with complains(UserError, paths[1], "no fits", "remove it"):
        fits()


def test_what_another_command_left_allows_no_file_to_be_replaced(pets, tmp_path, capsys):
    assert main([*fit(pets, f"{tmp_path}/a", *FIT)]) == 0
    before = files(tmp_path)
    (tmp_path / "a.fits.json").write_text(json.dumps({"asked": [{"seed": 5}], "done": []}))
    capsys.readouterr()
    assert main([*fit(pets, f"{tmp_path}/a", *FIT)]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    holds(last, f"{tmp_path}/a.safetensors is there already", "--force")
    assert files(tmp_path) | before == files(tmp_path)


def test_how_sure_a_choice_is_comes_from_the_paired_interval_on_validation():
    rights = [np.arange(100) < count for count in (60, 90, 88)]
    line = sureness(Tries("lr", [1, 3, 10]), rights)
    assert line.startswith("lr=3 is chosen, +2.0 points [")
    assert line.endswith("] against lr=10, not sure: on other images the second may be the best")
    line = sureness(Tries("lr", [1, 3, 10]), [rights[0], rights[0], rights[1]])
    assert line.startswith("lr=10 is chosen, +30.0 points [")
    assert line.endswith(
        "] against lr=1, sure; it is the largest that was tried, try larger ones as well"
    )
    line = sureness(Tries("lr", [1, 3]), [rights[0], rights[0]])  # a tie: the first
    assert line.startswith("lr=1 is chosen, +0.0 points [+0.0, +0.0] against lr=3, not sure")
    assert line.endswith("the smallest that was tried, try smaller ones as well")
    words = sureness(Tries("init", ["zeros", "normal"]), rights[:2])
    assert words.endswith("] against init=zeros, sure")


def test_what_is_tried_is_a_setting_and_values_each_once():
    assert read_tries("lr=1,3,10.5") == ("lr", [1, 3, 10.5])
    assert read_tries("init=zeros,normal,zeros") == ("init", ["zeros", "normal"])


@pytest.mark.parametrize(
    ("tried", "facts"),
    [
        ("lr", ("--try lr", "NAME=VALUE", "lr=1,3,10,30")),
        ("lr=1", ("--try lr=1", "expected")),
        ("lr=1,", ("--try lr=1,", "expected")),
        ("lr=1,-1", ("visual_prompt on clip_micro", "lr", "-1")),
        ("szie=1,2", ("unknown", "'szie'", "did you mean size?")),
        ("size=3,29", ("size 29", "56 pixels")),
        ("image_side=28,42", ("--try image_side", "read anew", "--set")),
    ],
)
def test_a_mistake_in_what_is_tried_is_one_line_before_anything_is_learned(
    tried, facts, pets, tmp_path, capsys
):
    holds(mistake(capsys, *fit(pets, tmp_path / "a", *SHORT), "--try", tried), *facts)
    assert list(tmp_path.iterdir()) == []


def test_without_validation_images_nothing_is_tried_and_the_probe_has_its_middle_c(
    pets, tmp_path, capsys
):
    for split, names in (("train", "0123"), ("test", "45")):
        for name in ("cat", "dog"):
            (tmp_path / "zoo" / split / name).mkdir(parents=True)
            for number in names:
                picture = Path(pets, name, f"{number}.png").read_bytes()
                (tmp_path / "zoo" / split / name / f"{number}.png").write_bytes(picture)
    line = mistake(capsys, *fit(tmp_path / "zoo", tmp_path / "a", *SHORT), "--try", "lr=1,2")
    holds(line, "--try", "validation", f"{tmp_path}/zoo", "has none")
    backbone, task = (
        backbone_called("clip_micro", "vision_language", 56),
        vp.from_folder(tmp_path / "zoo"),
    )
    compared = command.compared(("visual_prompt", PADDING), task, backbone)
    assert compared["linear probe"][1]["C"] == [0.1]  # of 0.01, 0.1 and 1
    assert main([str(each) for each in fit(tmp_path / "zoo", tmp_path / "a", *SHORT)]) == 0
    assert "linear probe " in capsys.readouterr().out


class Source(AnyTask):
    """A task that notes which images it is asked for."""

    def __init__(self, task):
        self.task, self.asked = task, set()
        self.name, self.splits = task.name, list(task.splits)
        self.class_names, self.template = task.class_names, task.template

    def load(self, preprocessing):
        self.asked.add(preprocessing)
        return replace(self.task, preprocessing=preprocessing)


def test_images_that_a_recipe_shrinks_go_straight_to_their_side_and_the_others_do_not(
    task, tmp_path, monkeypatch, capsys
):
    sources = [Source(task), Source(task), Source(task)]
    waiting = iter(sources)
    for module in ("fit", "evaluate"):
        monkeypatch.setattr(f"vpbench.cli.{module}.open_task", lambda *_, **__: next(waiting))
    shrunk = ("--set", "epochs=1", "eval_epochs=[]", "image_side=42", "--config", CONFIG)
    arguments = ("fit", "eurosat_twin", "--backbone", "rn50_micro", "--out", f"{tmp_path}/a")
    assert main([*arguments, *shrunk]) == 0
    assert main(["evaluate", f"{tmp_path}/a"]) == 0
    assert main(["evaluate", f"{tmp_path}/a", "--without-prompt"]) == 0
    small, whole = Preprocessing(42, 42), Preprocessing(56, 56)
    assert [source.asked for source in sources] == [{small, whole}, {small}, {small, whole}]
