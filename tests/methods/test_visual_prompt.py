import numpy as np
import pytest
import torch
from PIL import Image

from tests.helpers.tiny import PADDING, spec
from vpbench.cli.run import task_of
from vpbench.experiment import run, side_files
from vpbench.methods import visual_prompt
from vpbench.methods.kept_models import load_model
from vpbench.methods.prompted_classifier import PromptedClassifier, shrunk, untrained
from vpbench.prompts.build import build_prompt, part, prompt_of, restore_prompt

ONE = {"epochs": 1, "eval_epochs": []}
FORMS = {
    "whole": {"template": "fixed_patch", "size": 56},
    "low_rank": {"template": "low_rank", "size": 4},
    "conditional": {"template": "conditional", "size": 8, "init": "zeros"},
    "multiplied": {"operation": "multiply", "init": "zeros"},
    "tanh": {"bound": "tanh", "optimiser": "adam", "lr": 0.05},
    "ensemble": {"ensemble_size": 3},
    "shrunk": {"image_side": 42, "prompt_space": "pixel"},
    "evp": {"gradient": "unit_image", "image_side": 42, "momentum": 0.0},
    "learned": {"label_map": "learned_classifier", "map_lr": 0.01},
}


def seeded():
    """Returns a generator."""
    return torch.Generator().manual_seed(0)


def test_a_low_rank_prompt_of_rank_four_has_the_5376_parameters_of_lor_vp():
    prompt = build_prompt("low_rank", 224, 4, init="zeros", generator=seeded())
    assert prompt.trained == 5376 and prompt.canvas().abs().max() == 0


def test_a_low_rank_prompt_has_its_rank():
    prompt = build_prompt("low_rank", 20, 2, generator=seeded())
    ranks = torch.linalg.matrix_rank(prompt.canvas().detach(), rtol=1e-4)
    assert ranks.tolist() == [[2, 2, 2]]


def test_a_multiplied_prompt_leaves_black_black_and_doubles_where_it_is_one():
    prompt = build_prompt("fixed_patch", 4, 2, init="zeros", operation="multiply")
    prompt.patch.data.fill_(1.0)
    image = torch.full((1, 3, 4, 4), 0.25)
    image[..., 0, 0] = 0
    found = prompt(image)[0, 0]
    assert found[:2, :2].tolist() == [[0, 0.5], [0.5, 0.5]] and found[2:].unique().item() == 0.25


@pytest.mark.parametrize(("bound", "low", "high"), [("tanh", -1, 1), ("sigmoid", 0, 1)])
def test_a_bounded_prompt_keeps_to_its_range_and_is_zero_beside_its_border(bound, low, high):
    prompt = build_prompt("padding", 8, 2, bound=bound, generator=seeded())
    for parameter in prompt.parameters():
        parameter.data.mul_(100)
    canvas = prompt.canvas().detach()
    assert canvas.min() >= low and canvas.max() <= high and canvas.max() > 0.99
    assert canvas[..., 2:-2, 2:-2].abs().max() == 0


def test_a_mask_has_one_value_for_every_square_and_another_for_another_image():
    prompt = build_prompt("conditional", 16, 4, init="normal", generator=seeded()).eval()
    prompt.picture.data.fill_(1.0)
    images = torch.rand(2, 3, 16, 16, generator=seeded())
    masks = (prompt(images) - images).detach()
    squares = masks.unfold(2, 4, 4).unfold(3, 4, 4).flatten(4)
    torch.testing.assert_close(squares, squares[..., :1].expand_as(squares), atol=1e-6, rtol=0)
    assert (masks[0] - masks[1]).abs().max() > 1e-3


def test_an_ensemble_answers_with_the_mean_of_its_members(clip, task):
    settings = PADDING | {"ensemble_size": 2}
    classifier = untrained(clip, task, settings, 0, seeded())
    images, label_map = task.splits["test"].images[:4], classifier.label_map
    logits = [
        PromptedClassifier(member, label_map, clip, PADDING)(images)
        for member in classifier.prompt.members
    ]
    torch.testing.assert_close(classifier(images), (logits[0] + logits[1]) / 2)


def test_a_shrunk_image_is_in_the_middle_of_black():
    pixels = torch.full((1, 3, 8, 8), 0.5)
    found = shrunk(pixels, 4, 8)[0, 0]
    torch.testing.assert_close(found[2:6, 2:6], torch.full((4, 4), 0.5))
    assert found.sum().item() == pytest.approx(8.0)  # and nothing but black around them


def test_evp_reads_a_file_once_at_the_side_that_it_shows(tmp_path, resnet):
    for label in ("a", "b"):
        (tmp_path / "own" / label).mkdir(parents=True)
        for number in range(6):
            noise = np.random.default_rng(number).integers(0, 256, (90, 121, 3), np.uint8)
            Image.fromarray(noise).save(tmp_path / "own" / label / f"{number}.png")
    wanted = spec("evp", "rn50_micro", label_map="frequency")
    wanted |= {"task": "own", "folder": {"path": str(tmp_path / "own")}}
    wanted["data"] = {"train": None, "validation": None, "test": None, "resolution": "backbone"}
    test = task_of(wanted).splits["test"]
    file = Image.open(tmp_path / "own" / test.ids[0]).resize((56, 42), Image.Resampling.BICUBIC)
    expected = np.asarray(file.crop((7, 0, 49, 42)))
    assert np.array_equal(test.images[0], expected)
    classifier = untrained(resnet, task_of(wanted), wanted["settings"], 0, seeded())
    seen = classifier.prompted(test.images[:1])[0] * resnet.std[0] + resnet.mean[0]  # no prompt yet
    pixels = torch.from_numpy(expected.copy()).permute(2, 0, 1) / 255
    torch.testing.assert_close(seen[:, 7:-7, 7:-7], pixels, atol=1e-6, rtol=1e-5)
    assert seen[:, :7].abs().max() < 1e-6


def test_a_small_original_is_enlarged_straight_to_the_side_too():
    pixels = torch.rand(2, 3, 6, 6, generator=seeded())
    wanted = torch.nn.functional.interpolate(pixels, (8, 8), mode="bicubic", antialias=True)
    found = shrunk(pixels, 8, 12)
    torch.testing.assert_close(found[..., 2:-2, 2:-2], wanted.clamp(0, 1))
    assert found.shape == (2, 3, 12, 12)
    stored = torch.rand(1, 3, 8, 8, generator=seeded())
    assert torch.equal(shrunk(stored, 8, 12)[..., 2:-2, 2:-2], stored)


def test_an_image_is_never_enlarged():
    with pytest.raises(ValueError, match="image_side 9: the backbone's images have 8 pixels"):
        shrunk(torch.zeros(1, 3, 8, 8), 9, 8)


@pytest.mark.parametrize("size", [3, 64, 16])
def test_a_conditional_prompt_refuses_squares_that_do_not_fit(size):
    with pytest.raises(ValueError, match="choose a power of 2 up to 32 that divides the image"):
        build_prompt("conditional", 56, size)


@pytest.mark.parametrize("name", FORMS)
def test_every_form_learns_is_kept_and_gives_its_accuracy_again(name, clip, task, tmp_path):
    wanted = spec(**(ONE | FORMS[name]))
    record, arrays, fit = run.run(wanted, task, clip)
    path = side_files.write_run(tmp_path / "seed0.json", record, arrays, fit, task, clip)
    start = prompt_of(wanted["settings"], 56, seeded()).state_dict()
    learned = part(fit.selected("last").state, "prompt")
    assert any(not torch.equal(value, start[key]) for key, value in learned.items())
    loaded = load_model(path.with_suffix(".prompt.safetensors"), clip)
    again = loaded.evaluate(task)["accuracy"]
    assert again == record["selection"][record["rule"]]["test"]["accuracy"]
    assert record["trained_parameters"] >= loaded.prompt.trained


@pytest.mark.parametrize(
    "name", ["random", "frequency", "iterative", "bayesian", "bayesian_plus", "linear"]
)
def test_a_counted_or_learned_map_is_kept_with_the_prompt(name, resnet, task, tmp_path):
    changes = {"label_map": name, "map_lr": 0.01 if name == "linear" else None}
    wanted = spec(backbone="rn50_micro", **(ONE | changes))
    record, arrays, fit = run.run(wanted, task, resnet)
    path = side_files.write_run(tmp_path / "seed0.json", record, arrays, fit, task, resnet)
    loaded = load_model(path.with_suffix(".prompt.safetensors"), resnet)
    assert loaded.label_map.state_dict()
    again = loaded.evaluate(task)["accuracy"]
    assert again == record["selection"][record["rule"]]["test"]["accuracy"]


def test_a_map_is_counted_before_every_epoch_or_once(resnet, task, monkeypatch):
    counted = []
    original = PromptedClassifier.count_map
    monkeypatch.setattr(
        PromptedClassifier,
        "count_map",
        lambda self, images, *rest: counted.append(len(images)) or original(self, images, *rest),
    )
    for name, times in (("frequency", 1), ("iterative", 3), ("hard_coded", 0)):
        counted.clear()
        settings = PADDING | {"label_map": name, "epochs": 3, "eval_epochs": []}
        visual_prompt.fit(resnet, task, settings, 0)
        assert counted == [24] * times


def test_without_a_prompt_only_the_map_answers(resnet, task):
    settings = PADDING | {"template": "none", "label_map": "frequency"}
    fit = visual_prompt.fit(resnet, task, settings, 0)
    assert fit.trained_parameters == 0 and fit.history == []
    state = part(fit.selected("last").state, "label_map")
    x = resnet.prepare(task.splits["train"].images)
    counts = torch.zeros(resnet.model.num_classes, 10)
    for source, label in zip(resnet.logits(x).argmax(1), task.splits["train"].labels, strict=True):
        counts[source, label] += 1
    best = counts.flatten().argmax().item()
    assert state["numbers"][best % 10] == best // 10


def test_a_trained_map_needs_a_rate(resnet, task):
    with pytest.raises(ValueError, match="label_map linear is trained: it needs a map_lr"):
        visual_prompt.fit(resnet, task, PADDING | {"label_map": "linear"}, 0)


def test_a_restored_ensemble_has_all_its_members():
    settings = PADDING | {"ensemble_size": 2}
    prompt = prompt_of(settings, 56, seeded())
    again = restore_prompt(settings, 56, prompt.state_dict())
    assert torch.equal(again.canvas(), prompt.canvas())


@pytest.mark.parametrize("name", ["frequency", "bayesian"])
def test_the_map_of_an_ensemble_is_counted_once_per_image(name, resnet, task):
    settings = PADDING | ONE | {"label_map": name, "ensemble_size": 2}
    fit = visual_prompt.fit(resnet, task, settings, 0)
    assert fit.selection["last"][2]["test"].logits.shape == (24, 10)
