import argparse
import json
import pickle
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

from vpbench.cli.main import main
from vpbench.methods.kept_models import load_model
from vpbench.prompts import official
from vpbench.prompts.files import write_prompt
from vpbench.spec import schema_check
from vpbench.spec.schema import settings_schema

SIDE = 56  # of the micro backbones; 224 of those that the official code prompts


def padding(size=7, side=SIDE):
    """Returns the tensors of the official padding prompter."""
    torch.manual_seed(0)
    flat, upright = (1, 3, size, side), (1, 3, side - 2 * size, size)
    return {
        "pad_up": torch.randn(flat),
        "pad_down": torch.randn(flat),
        "pad_left": torch.randn(upright),
        "pad_right": torch.randn(upright),
    }


def checkpoint(path, state, pickle_module=pickle, **more):
    """Returns `path` once it holds a checkpoint as the official code saves it after an epoch."""
    prompter = torch.nn.ParameterDict(state)
    optimiser = torch.optim.SGD(prompter.parameters(), lr=40.0, momentum=0.9)
    sum(value.square().sum() for value in prompter.values()).backward()
    optimiser.step()  # now it has buffers of momentum
    for group in optimiser.param_groups:  # as its schedule sets the rate after the warm-up
        group["lr"] = 0.5 * (1 + np.cos(np.pi * 300 / 1000)) * 40.0
        assert type(group["lr"]) is np.float64
    document = {
        "epoch": 37,
        "state_dict": state,
        "best_acc1": 75.25,
        "optimizer": optimiser.state_dict(),
    }
    torch.save(document | more, path, pickle_module=pickle_module)
    return path


class OldNumpy(ModuleType):
    """Pickles as a machine with numpy 1 does, whose numbers name another module."""

    class Pickler(pickle._Pickler):  # in Python, so that it looks for methods
        def save_global(self, obj, name=None):
            if getattr(obj, "__name__", None) == "scalar":
                self.write(b"cnumpy.core.multiarray\nscalar\n")
                self.memoize(obj)
            else:
                super().save_global(obj, name)

        dispatch = pickle._Pickler.dispatch | {type(pickle.dumps): save_global}


def complaint(*arguments, **changes):
    """Returns the one line with which a checkpoint is refused."""
    with pytest.raises(ValueError) as error:
        official.load_checkpoint(*arguments, **changes)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture
def file(tmp_path):
    """Returns where the checkpoint of the best epoch is."""
    return tmp_path / "model_best.pth.tar"


def test_a_padding_is_put_around_the_image(file, clip, task):
    state = padding()
    stored = official.load_checkpoint(checkpoint(file, state), clip, task)
    canvas = stored.prompt.canvas()[0]
    assert torch.equal(canvas[:, :7], state["pad_up"][0])
    assert torch.equal(canvas[:, -7:], state["pad_down"][0])
    assert torch.equal(canvas[:, 7:-7, :7], state["pad_left"][0])
    assert torch.equal(canvas[:, 7:-7, -7:], state["pad_right"][0])
    assert canvas[:, 7:-7, 7:-7].abs().max() == 0


def test_the_card_tells_the_official_recipe_and_where_the_prompt_comes_from(file, clip, task):
    card = official.load_checkpoint(checkpoint(file, padding()), clip, task).card
    settings = card["settings"]
    schema = settings_schema("visual_prompt", complete=True)
    assert schema_check.complaint(settings, schema, "settings") is None
    assert (settings["template"], settings["size"], settings["lr"]) == ("padding", 7, 40)
    assert (settings["label_map"], settings["batch_size"]) == ("text", 256)
    assert settings["prompt_space"] == "normalized"
    assert card["accuracy"] == {}  # nothing was measured here
    assert card["imported"]["file"] == "model_best.pth.tar"
    assert (card["imported"]["epoch"], card["imported"]["test"]) == (37, 75.25)
    assert card["weights"] == clip.weights_hash and len(card["imported"]["sha256"]) == 64


def test_the_last_epoch_is_not_said_to_have_the_accuracy_of_the_best(clip, task, tmp_path):
    last = checkpoint(tmp_path / "checkpoint.pth.tar", padding())
    card = official.load_checkpoint(last, clip, task).card
    assert (card["imported"]["epoch"], card["imported"]["test"]) == (37, None)


def test_a_rate_of_old_and_of_new_numpy_is_read_as_a_number(file, tmp_path):
    def rate(path):
        with torch.serialization.safe_globals(official.NUMPY):
            document = torch.load(path, weights_only=True)
        (group,) = document["optimizer"]["param_groups"]
        return group["lr"]

    expected = 20 * (1 + 0.5877852522924731)  # the cosine of 54 degrees
    new, old = checkpoint(file, padding()), tmp_path / "old.pth.tar"
    checkpoint(old, padding(), OldNumpy("old"))
    assert b"numpy._core.multiarray" in new.read_bytes()
    assert b"numpy.core.multiarray" in old.read_bytes()
    assert b"numpy._core" not in old.read_bytes()
    for path in (new, old):
        assert type(rate(path)) is float and rate(path) == pytest.approx(expected, rel=1e-12)


def test_a_checkpoint_of_numpy_1_is_the_same_prompt(file, clip, task):
    new = official.load_checkpoint(checkpoint(file, padding()), clip, task)
    old = official.load_checkpoint(checkpoint(file, padding(), OldNumpy("old")), clip, task)
    assert torch.equal(old.prompt.canvas(), new.prompt.canvas())


def test_a_prompt_of_a_vision_model_is_read_with_its_own_recipe(file, resnet, task):
    card = official.load_checkpoint(checkpoint(file, padding()), resnet, task).card
    assert card["settings"]["label_map"] == "hard_coded" and card["settings"]["batch_size"] == 128


def test_the_accuracy_may_be_a_tensor(file, clip, task):
    checkpoint(file, padding(), best_acc1=torch.tensor([60.5]))
    card = official.load_checkpoint(file, clip, task).card
    assert card["imported"]["test"] == 60.5


@pytest.mark.parametrize("template", ["fixed_patch", "random_patch"])
def test_a_patch_is_what_the_user_says_it_is(file, clip, task, template):
    patch = torch.randn(1, 3, 5, 5)
    checkpoint(file, {"patch": patch})
    assert "give template=fixed_patch or template=random_patch" in complaint(file, clip, task)
    prompt, _, card = official.load_checkpoint(file, clip, task, template=template)
    assert (card["template"], card["size"]) == (template, 5)
    assert torch.equal(prompt.patch, patch)


def test_a_recipe_that_differs_is_named(file, clip, task):
    checkpoint(file, padding())
    card = official.load_checkpoint(file, clip, task, epochs=100, lr=10).card
    assert (card["settings"]["epochs"], card["settings"]["lr"]) == (100, 10)
    assert "settings at lr" in complaint(file, clip, task, lr=-1)
    assert "unknown key 'depth'" in complaint(file, clip, task, depth=1)


def test_an_imported_prompt_is_saved_loaded_and_evaluated(file, clip, task, tmp_path):
    stored = official.load_checkpoint(checkpoint(file, padding()), clip, task)
    write_prompt(tmp_path / "prompt", *stored)
    loaded = load_model(tmp_path / "prompt", clip)
    assert loaded.card == stored.card and loaded.accuracy == {}
    assert torch.equal(loaded.prompt.canvas(), stored.prompt.canvas())
    assert 0 <= loaded.evaluate(task)["accuracy"] <= 100


@pytest.mark.parametrize(
    ("state", "problem"),
    [
        (padding(side=224), "takes images of 56 pixels: pad_up is [1, 3, 7, 224], expected"),
        (padding() | {"pad_left": torch.ones(1, 3, 42, 6)}, "pad_left is [1, 3, 42, 6], expected"),
        (padding() | {"pad_up": torch.ones(3)}, "pad_up is [3], expected"),
        ({"patch": torch.ones(1, 1, 5, 5)}, "patch is [1, 1, 5, 5], expected [1, 3, 5, 5]"),
        ({"weight": torch.ones(1)}, "holds no prompt of the official code: expected pad_up,"),
    ],
)
def test_a_prompt_of_another_shape_is_refused(file, clip, task, state, problem):
    torch.save({"state_dict": state}, file)
    changes = {"template": "fixed_patch"} if "patch" in state else {}
    assert problem in complaint(file, clip, task, **changes)


def test_a_patch_larger_than_the_image_is_refused(file, clip, task):
    torch.save({"state_dict": {"patch": torch.ones(1, 3, 99, 99)}}, file)
    assert "size 99 does not fit" in complaint(file, clip, task, template="fixed_patch")


def test_a_checkpoint_with_more_than_plain_values_is_refused(file, clip, task):
    checkpoint(file, padding(), args=argparse.Namespace(lr=40))
    message = complaint(file, clip, task)
    assert message.startswith(f"{file} is not opened: it is not a file of plain tensors")
    assert "argparse.Namespace" in message


class Program:
    """Runs a command wherever it is unpickled."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    ("best", "named"),
    [
        (Program(print, "owned"), "print"),
        (Program(np.fromstring, "1"), "fromstring"),
        (np.arange(3), "numpy._core.multiarray._reconstruct"),
        (np.float32(75.25), "f4"),
        (np.array(Program(print, "owned"), dtype=object)[()], "print"),
        (Program(np.dtype, "V8", False, True), "V8"),
    ],
)
def test_of_numpy_nothing_but_a_plain_number_is_read(file, clip, task, best, named, capsys):
    message = complaint(checkpoint(file, padding(), best_acc1=best), clip, task)
    assert message.startswith(f"{file} is not opened: it is not a file of plain tensors")
    assert named in message
    assert capsys.readouterr().out == ""


def test_what_is_no_checkpoint_is_refused(file, clip, task):
    assert "is missing" in complaint(file, clip, task)
    torch.save([1, 2], file)
    assert "it has no state_dict" in complaint(file, clip, task)
    torch.save({"state_dict": {"pad_up": 3}}, file)
    assert "it has no state_dict" in complaint(file, clip, task)


def test_the_command_line_imports_a_checkpoint(file, tmp_path, capsys):
    checkpoint(file, {"patch": torch.zeros(1, 3, 5, 5)})
    # Of a dataset only the words are wanted: its images are not on this machine.
    command = ["import", str(file), "--backbone", "clip_micro", "--task", "cifar10"]
    out = tmp_path / "prompt"
    assert main([*command, "--out", str(out)]) == 2
    assert "give template=" in capsys.readouterr().err
    assert main([*command, "--set", "template=fixed_patch", "--out", str(out)]) == 0
    said, warned = capsys.readouterr()
    assert said == f"{out}.safetensors\n" and warned == ""
    last = checkpoint(tmp_path / "checkpoint.pth.tar", padding())
    command[1] = str(last)
    assert main([*command, "--out", str(tmp_path / "last")]) == 0
    assert "the accuracy in this file is left out" in capsys.readouterr().err


def test_a_folder_of_images_lends_its_class_names(file, tmp_path, capsys):
    for label in ("cat", "dog"):
        (tmp_path / "pets" / label).mkdir(parents=True)
        for number in range(3):
            Image.new("RGB", (8, 8)).save(tmp_path / "pets" / label / f"{number}.png")
    checkpoint(file, padding())
    command = ["import", str(file), "--backbone", "rn50_micro", "--task", str(tmp_path / "pets")]
    assert main([*command, "--out", str(tmp_path / "prompt")]) == 0
    card = json.loads((tmp_path / "prompt.json").read_text())
    assert card["class_names"] == ["cat", "dog"] and card["settings"]["label_map"] == "hard_coded"
