from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from tests.helpers.tiny import DATA, MICRO, PADDING, PROBE, READING, TUNE
from vpbench.data import load
from vpbench.data.task import Split
from vpbench.methods import fine_tune, linear_probe, text_prompt, visual_prompt
from vpbench.methods.kept_models import fitted
from vpbench.methods.prompted_classifier import untrained
from vpbench.models.backbone import VisionLanguageBackbone, load_backbone
from vpbench.prompts.build import build_prompt
from vpbench.prompts.label_maps import label_map

VISION = {"label_map": "hard_coded", "lr": 5.0}


@pytest.fixture(scope="module")
def balanced():
    """Returns a twin with enough pictures for a linear probe."""
    return load.load_task("eurosat_twin", {"train": 60, "validation": 40, "test": 40})


def counted(monkeypatch):
    """Returns a list that grows whenever text features are computed."""
    calls, original = [], VisionLanguageBackbone.class_features

    def class_features(self, texts):
        calls.append(texts)
        return original(self, texts)

    monkeypatch.setattr(VisionLanguageBackbone, "class_features", class_features)
    return calls


def map_of(backbone, task, name="text"):
    """Returns the label map `name`."""
    return label_map(backbone, task, PADDING | {"label_map": name})


def patch(fit):
    """Returns the patch that a fit ends with."""
    return fit.selected("last").state["prompt.patch"]


def state_of(model):
    """Returns a copy of all weights and statistics of a model."""
    return {name: value.clone() for name, value in model.state_dict().items()}


def features(backbone, split):
    """Returns the image features of a split as float64."""
    with torch.no_grad():
        x = backbone.prepare(split.images)
        return backbone.features(x).double().numpy()


# Text prompt


def test_zero_shot_takes_the_most_similar_class_prompt_and_learns_nothing(clip, task):
    fit = text_prompt.fit(clip, task, READING, 0)
    assert fit.trained_parameters == 0 and fit.history == []
    assert {entry[0] for entry in fit.selection.values()} == {None}
    split = task.splits["test"]
    cosines = map_of(clip, task)(clip.prepare(split.images))
    expected = 100 * (cosines.argmax(1) == split.labels).float().mean().item()
    assert fit.selection["last"][2]["test"].metrics["accuracy"] == pytest.approx(expected)


# Visual prompt


@pytest.mark.parametrize("name", MICRO)
def test_a_prompt_learns_through_a_frozen_backbone_that_gets_no_gradient(name, task):
    backbone = load_backbone(name)
    before = state_of(backbone)
    changes = {} if backbone.modality == "vision_language" else VISION
    fit = visual_prompt.fit(backbone, task, PADDING | changes, 0)
    assert all(parameter.grad is None for parameter in backbone.parameters())
    assert all(torch.equal(value, before[key]) for key, value in backbone.state_dict().items())
    assert not any(module.training for module in backbone.model.modules())
    start = build_prompt("padding", 56, 7, generator=torch.Generator().manual_seed(0))
    for key, value in start.state_dict().items():
        assert not torch.equal(fit.selection["last"][1]["prompt." + key], value)


@pytest.mark.parametrize("name", MICRO)
def test_every_pixel_of_the_prompt_gets_a_gradient(name, task):
    backbone = load_backbone(name)
    kind = "text" if backbone.modality == "vision_language" else "hard_coded"
    settings = PADDING | {"label_map": kind}
    classifier = untrained(backbone, task, settings, 0, torch.Generator().manual_seed(0))
    split = task.splits["train"]
    torch.nn.functional.cross_entropy(classifier(split.images), split.labels).backward()
    for parameter in classifier.prompt.parameters():
        assert (parameter.grad != 0).float().mean() > 0.99


def test_text_features_are_computed_exactly_once_for_a_whole_training(clip, task, monkeypatch):
    calls = counted(monkeypatch)
    visual_prompt.fit(clip, task, PADDING, 0)
    assert len(calls) == 1 and len(calls[0]) == 10


def test_a_prompt_has_the_parameters_of_the_paper_and_all_epochs_in_its_history(clip, task):
    fit = visual_prompt.fit(clip, task, PADDING | {"eval_epochs": [1]}, 0)
    assert fit.trained_parameters == 2 * 3 * 7 * (56 + 56 - 14)
    assert [line["epoch"] for line in fit.history] == [1, 2]
    assert fit.images == 2 * 24
    assert fit.selection["last"][0] == 2


@pytest.mark.parametrize("prompt_space", ["normalized", "pixel"])
def test_the_prompt_is_added_after_or_before_the_normalisation(clip, task, prompt_space):
    settings = PADDING | {"prompt_space": prompt_space}
    classifier = untrained(clip, task, settings, 0, torch.Generator().manual_seed(0))
    images, prompt = task.splits["test"].images[:3], classifier.prompt
    seen = classifier.prompted(images)
    shares = images.permute(0, 3, 1, 2).double() / 255
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(1, 3, 1, 1)
    deviation = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(1, 3, 1, 1)
    if prompt_space == "normalized":
        expected = (shares - mean) / deviation + prompt.canvas()
    else:
        expected = (shares + prompt.canvas() - mean) / deviation
    torch.testing.assert_close(seen.double(), expected.double(), atol=1e-5, rtol=1e-5)


def test_a_prompt_of_zeros_changes_nothing(clip, task):
    settings = PADDING | {"init": "zeros", "lr": 1e-30, "epochs": 1}
    fit = visual_prompt.fit(clip, task, settings, 0)
    plain = text_prompt.fit(clip, task, READING, 0).selection["last"][2]["test"]
    torch.testing.assert_close(fit.selection["last"][2]["test"].logits, plain.logits)


def test_the_seed_decides_the_prompt(clip, task):
    one, same, other = (
        visual_prompt.fit(clip, task, PADDING | {"template": "random_patch"}, seed)
        for seed in (0, 0, 1)
    )
    assert torch.equal(patch(one), patch(same))
    assert one.history == same.history
    assert not torch.equal(patch(one), patch(other))


@pytest.mark.parametrize("position_range", ["official", "full"])
def test_the_state_of_a_random_patch_gives_its_accuracy_again(clip, task, position_range):
    changes = {"template": "random_patch", "size": 17, "position_range": position_range}
    settings = PADDING | changes | {"lr": 20.0}
    fit = visual_prompt.fit(clip, task, settings, 0)
    selected = fit.selected("best_validation")
    model = fitted("visual_prompt", visual_prompt, clip, task, settings, selected)
    logits = model.logits(task.splits["test"].images)
    torch.testing.assert_close(logits, selected.evaluations["test"].logits)


def test_a_learning_rate_that_breaks_the_prompt_is_one_line(clip, task):
    with pytest.raises(ValueError) as error:
        visual_prompt.fit(clip, task, PADDING | {"lr": 1e30}, 0)
    message = str(error.value)
    assert message.startswith("eurosat_twin clip_micro prompt seed 0: the training loss is ")
    assert message.endswith("; choose a smaller lr") and "\n" not in message


def test_a_prompt_broken_by_its_last_step_is_refused_as_well(clip, task):
    settings = PADDING | {"lr": 1e30, "epochs": 1, "batch_size": 24}
    with pytest.raises(ValueError, match="the validation loss is .* after 1 of 1 steps; choose a"):
        visual_prompt.fit(clip, task, settings, 0)


# Linear probe


@pytest.mark.parametrize("fixture", ["clip", "resnet"])
def test_a_linear_probe_is_the_logistic_regression_of_sklearn(fixture, balanced, request):
    backbone = request.getfixturevalue(fixture)
    fit = linear_probe.fit(backbone, balanced, PROBE, 0)
    train, test = balanced.splits["train"], balanced.splits["test"]
    probe = LogisticRegression(C=1.0, max_iter=20_000, random_state=0)
    probe.fit(features(backbone, train), train.labels.numpy())
    x = features(backbone, test)
    evaluation = fit.selection["last"][2]["test"]
    assert np.array_equal(evaluation.logits.argmax(1).numpy(), probe.predict(x))
    expected = torch.from_numpy(probe.predict_log_proba(x)).float()
    torch.testing.assert_close(evaluation.logits, expected, atol=1e-3, rtol=1e-3)
    score = probe.score(x, test.labels.numpy())
    assert evaluation.metrics["accuracy"] == pytest.approx(100 * score)
    assert fit.chosen == {"C": 1.0, "converged": True}
    assert fit.trained_parameters == (x.shape[1] + 1) * 10


def test_c_is_chosen_by_validation_accuracy_alone(clip, balanced):
    grid = [100.0, 1e-4, 1.0]
    train, validation = balanced.splits["train"], balanced.splits["validation"]
    scores = {}
    for c in grid:
        probe = LogisticRegression(C=c, max_iter=20_000, random_state=0)
        probe.fit(features(clip, train), train.labels.numpy())
        scores[c] = probe.score(features(clip, validation), validation.labels.numpy())
    expected = min(c for c in grid if scores[c] == max(scores.values()))
    chosen = linear_probe.fit(clip, balanced, PROBE | {"C": grid}, 0)
    assert chosen.chosen["C"] == expected
    # A test split with every label wrong does not change the choice.
    test = balanced.splits["test"]
    wrong = balanced.splits | {"test": replace(test, labels=(test.labels + 1) % 10)}
    again = linear_probe.fit(clip, replace(balanced, splits=wrong), PROBE | {"C": grid}, 0)
    assert again.chosen["C"] == expected


def test_c_follows_the_validation_split(clip, balanced):
    # Labels at random can only be learned by heart, which needs a weak penalty; where every answer
    # learned by heart is wrong, the strong one is at least as good.
    train = balanced.splits["train"]
    order = torch.randperm(60, generator=torch.Generator().manual_seed(0))
    train = replace(train, labels=train.labels[order])
    wrong = replace(train, labels=(train.labels + 1) % 10)
    settings = PROBE | {"C": [1e-6, 1e4], "standardize": True}
    for validation, expected in ((train, 1e4), (wrong, 1e-6)):
        splits = balanced.splits | {"train": train, "validation": validation}
        fit = linear_probe.fit(clip, replace(balanced, splits=splits), settings, 0)
        assert fit.chosen["C"] == expected


def test_of_equally_good_values_the_smallest_c_is_taken(clip, balanced):
    fit = linear_probe.fit(clip, balanced, PROBE | {"C": [1.00002, 1.0, 1.00001]}, 0)
    assert fit.chosen["C"] == 1.0


def test_without_a_validation_split_c_must_be_a_single_value(clip, balanced):
    splits = {name: balanced.splits[name] for name in ("train", "test")}
    bare = replace(balanced, splits=splits)
    with pytest.raises(ValueError, match="has no validation split to choose C on: give a single C"):
        linear_probe.fit(clip, bare, PROBE | {"C": [0.1, 1.0]}, 0)
    fit = linear_probe.fit(clip, bare, PROBE | {"C": [0.316]}, 0)
    assert fit.chosen["C"] == 0.316 and set(fit.selection["last"][2]) == {"test"}


def test_a_probe_that_did_not_converge_says_so_without_a_warning(clip, balanced):
    settings = PROBE | {"max_iter": 1, "standardize": True}
    assert not linear_probe.fit(clip, balanced, settings, 0).chosen["converged"]


def test_a_class_without_training_images_is_never_predicted(clip, balanced):
    train = balanced.splits["train"]
    keep = train.labels != 4
    few = Split(train.images[keep], train.labels[keep], tuple(map(str, range(int(keep.sum())))))
    task = replace(balanced, splits=balanced.splits | {"train": few})
    evaluation = linear_probe.fit(clip, task, PROBE, 0).selection["last"][2]["test"]
    assert evaluation.logits.shape == (40, 10)
    assert 4 not in evaluation.logits.argmax(1)
    assert evaluation.metrics["per_class"][4] == 0


def test_two_classes_have_two_logits(clip):
    task = load.load_task("camelyon17_twin", DATA)
    evaluation = linear_probe.fit(clip, task, PROBE, 0).selection["last"][2]["test"]
    torch.testing.assert_close(evaluation.logits.exp().sum(1), torch.ones(24))
    assert evaluation.metrics["worst_group"] == evaluation.metrics["accuracy"]  # one hospital


# Fine-tuning


def test_fine_tuning_of_clip_starts_exactly_at_zero_shot(clip, task):
    model = fine_tune.TextHeadClassifier(clip, task).eval()
    x = clip.prepare(task.splits["test"].images)
    with torch.no_grad():
        logits, expected = model.logits(x), map_of(clip, task)(x)
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)
    assert torch.equal(logits.argmax(1), expected.argmax(1))


def test_fine_tuning_that_does_not_move_ends_at_zero_shot(clip, task):
    settings = TUNE | {"lr": 1e-12, "weight_decay": 0, "epochs": 1}
    tuned = fine_tune.fit(clip, task, settings, 0).selection["last"][2]["test"]
    plain = text_prompt.fit(clip, task, READING, 0).selection["last"][2]["test"]
    torch.testing.assert_close(tuned.logits, plain.logits, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize(
    ("name", "head", "shared", "trained"),
    [
        ("clip", "text", "model.visual.", "tower."),
        ("clip", "new", "model.visual.", "model.0."),
        ("resnet", "new", "model.layer1.", "model.layer1."),
    ],
)
def test_fine_tuning_changes_a_copy_and_leaves_the_shared_backbone_as_it_was(
    name, head, shared, trained, task, request
):
    backbone = request.getfixturevalue(name)
    before = state_of(backbone)
    fit = fine_tune.fit(backbone, task, TUNE | {"head": head}, 0)
    assert all(torch.equal(value, before[key]) for key, value in backbone.state_dict().items())
    assert not any(parameter.requires_grad for parameter in backbone.parameters())
    assert not any(module.training for module in backbone.model.modules())
    after = fit.selection["last"][1]
    names = [key.removeprefix(shared) for key in before if key.startswith(shared)]
    moved = [key for key in names if not torch.equal(after[trained + key], before[shared + key])]
    assert len(moved) > 0.9 * len(names) > 5
    assert fit.images == 48


def test_fine_tuning_trains_the_tower_and_the_head_and_nothing_else(clip, resnet, task):
    settings = TUNE | {"epochs": 1}
    tower = sum(parameter.numel() for parameter in clip.image_tower().parameters())
    assert fine_tune.fit(clip, task, settings, 0).trained_parameters == tower + 10 * 64
    body = sum(parameter.numel() for parameter in resnet.model.parameters())
    old = sum(parameter.numel() for parameter in resnet.model.fc.parameters())
    new = (resnet.model.num_features + 1) * 10
    fit = fine_tune.fit(resnet, task, settings | {"head": "new"}, 0)
    assert fit.trained_parameters == body - old + new


@pytest.mark.parametrize(("everything", "vectors"), [(True, 0.95), (False, 1)])
def test_gains_and_biases_decay_only_if_they_are_asked_to(clip, task, everything, vectors):
    one_step = {"epochs": 1, "batch_size": len(task.splits["train"]), "lr": 0.1}
    # eps stops all of AdamW but the decay, which takes lr x weight_decay = 5 % in this step.
    settings = {"weight_decay": 0.5, "eps": 1e30, "decay_gains_and_biases": everything}
    after = fine_tune.fit(clip, task, TUNE | one_step | settings, 0).selection["last"][1]
    kept = {1: vectors, 2: 0.95}
    for name, before in clip.image_tower().named_parameters():
        torch.testing.assert_close(after["tower." + name], before * kept[min(before.ndim, 2)])


def test_the_text_features_are_computed_once_for_the_head(clip, task, monkeypatch):
    calls = counted(monkeypatch)
    fine_tune.fit(clip, task, TUNE | {"epochs": 1}, 0)
    assert len(calls) == 1


def test_a_head_from_text_needs_a_text_tower(resnet, task):
    with pytest.raises(ValueError, match="rn50_micro has no text features: use head: new"):
        fine_tune.fit(resnet, task, TUNE, 0)


def test_the_seed_decides_a_new_head_and_leaves_the_global_generator_alone(resnet, task):
    settings = TUNE | {"head": "new", "epochs": 1}
    before = torch.get_rng_state()
    one, same, other = (
        fine_tune.fit(resnet, task, settings, seed).selection["last"][2]["test"].logits
        for seed in (0, 0, 1)
    )
    assert torch.equal(one, same) and not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), before)
