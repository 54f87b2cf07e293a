import hashlib
import json
from math import comb

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import vpbench as vp
from tests.helpers.messages import complains
from tests.helpers.tiny import SIZES
from vpbench.common.hashing import sha256
from vpbench.methods import text_prompt
from vpbench.methods.fit import Adapted, Fit
from vpbench.training.checkpoint import Checkpoint
from vpbench.training.evaluate import evaluate_splits
from vpbench.training.selection import unselected

QUICK = {"epochs": 1, "eval_epochs": []}
SHORT = {  # a little of each method, for a backbone with text and one without
    "clip": {
        "text_prompt": {},
        "linear_probe": {"C": [0.1], "standardize": True},
        "evp": QUICK,
        "fine_tune": QUICK,
        "prompted_fine_tune": QUICK,
        "coop": QUICK,
        "cocoop": QUICK,
        "vpt": QUICK,
        "upt": QUICK,
    },
    "resnet": {"linear_probe": {"C": [0.1]}, "visual_prompt": QUICK, "fine_tune": QUICK},
}
CASES = [(fixture, method) for fixture in SHORT for method in SHORT[fixture]]


class Shift(nn.Module):
    """A prompt of one's own: a colour that is added to every pixel."""

    def __init__(self):
        super().__init__()
        self.colour = nn.Parameter(torch.zeros(1, 3, 1, 1))

    def forward(self, x):
        return x + self.colour


class Reading(nn.Module):
    """A label map of one's own: the first source classes, with a scale that is learned."""

    def __init__(self, backbone, classes):
        super().__init__()
        self.__dict__["backbone"] = backbone
        self.classes, self.scale = classes, nn.Parameter(torch.ones(()))

    def forward(self, x):
        return self.scale * self.backbone.logits(x)[:, : self.classes]


@pytest.fixture(scope="module")
def source():
    return vp.load_task("eurosat_twin", SIZES)


@pytest.fixture(scope="module")
def shifted(clip, source):
    return vp.fit("visual_prompt", clip, source, prompt=Shift(), **QUICK | {"lr": 0.5})


@pytest.mark.parametrize(("fixture", "method"), CASES)
def test_what_any_method_learned_is_saved_and_says_the_same_again(
    fixture, method, source, tmp_path, request
):
    backbone = request.getfixturevalue(fixture)
    model = vp.fit(method, backbone, source, **SHORT[fixture][method])
    again = vp.load(model.save(tmp_path / "kept"))  # the backbone by the address in the card
    images = source.load(backbone.preprocessing).splits["test"].images
    assert torch.equal(model.logits(images), again.logits(images))
    assert again.evaluate(source.test)["accuracy"] == pytest.approx(model.accuracy["test"])
    assert again.card == model.card and again.card["method"] == method


def test_a_linear_probe_says_what_sklearn_says_also_of_two_classes(clip):
    task = vp.load_task("camelyon17_twin", SIZES)
    for standardize in (False, True):
        probe = vp.fit("linear_probe", clip, task, C=[1.0], standardize=standardize)
        answers = probe.examine(task.test).evaluation
        assert answers.metrics["accuracy"] == probe.accuracy["test"]
        assert set(probe.classifier.state_dict()) == {"head.weight", "head.bias"}
        assert probe.classifier.head.weight[0].abs().max() == 0  # sklearn has one logit of two


def test_a_module_of_ones_own_is_a_prompt_and_a_copy_of_it_is_trained(clip, source):
    mine = Shift()
    model = vp.fit("visual_prompt", clip, source, prompt=mine, **QUICK)
    assert mine.colour.abs().max() == 0
    assert model.prompt.module.colour.abs().max() > 0
    assert "template" not in model.settings and "size" not in model.settings
    told = model.card["own"]["prompt"]
    assert told["name"].endswith("test_model.Shift") and told["file_sha256"] == sha256(__file__)
    whole = b"colour [1, 3, 1, 1]" + bytes(4 * 3)  # three zeros
    assert told["state_sha256"] == hashlib.sha256(whole).hexdigest()


def test_a_prompt_of_ones_own_is_given_again_at_loading_and_nothing_else_is(
    shifted, tmp_path, capsys
):
    path = shifted.save(tmp_path / "kept")
    assert load_file(path).keys() == {"module.colour"}
    with complains(ValueError, str(path), "a prompt of one's own", "test_model.Shift", "give it"):
        vp.load(path)
    with complains(ValueError, "its prompt is", "test_model.Shift, not torch.nn"):
        vp.load(path, prompt=nn.Identity())
    again = vp.load(path, prompt=Shift())
    assert torch.equal(again.prompt.module.colour, shifted.prompt.module.colour)
    assert capsys.readouterr().err == ""
    card = json.loads(path.with_suffix(".json").read_text())
    card["own"]["prompt"]["file_sha256"] = "0" * 64
    path.with_suffix(".json").write_text(json.dumps(card))
    vp.load(path, prompt=Shift())
    assert "the file of" in capsys.readouterr().err


def test_a_label_map_of_ones_own_is_trained_with_a_rate_of_its_own(resnet, source, tmp_path):
    mine = Reading(resnet, 10)
    with complains(ValueError, "label_map of one's own is trained", "map_lr"):
        vp.fit("visual_prompt", resnet, source, label_map=mine, map_lr=None, **QUICK)
    model = vp.fit("visual_prompt", resnet, source, label_map=mine, map_lr=0.1, **QUICK)
    assert model.label_map.module.scale != 1
    again = vp.load(model.save(tmp_path / "kept"), label_map=Reading(resnet, 10))
    assert again.label_map.module.scale == model.label_map.module.scale


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"prompt": nn.Flatten()}, ("prompt Flatten makes [2, 9408]", "images of the same shape")),
        ({"prompt": nn.Linear(3, 3)}, ("prompt Linear fails on images [2, 3, 56, 56]",)),
        ({"prompt": "padding"}, ("prompt 'padding'", "expected a torch.nn.Module")),
        ({"label_map": nn.Identity()}, ("label_map Identity makes", "logits of 10 classes")),
        ({"prompt": Shift(), "size": 3}, ("size is of the suite's own", "leave it out")),
    ],
)
def test_what_is_no_prompt_and_no_label_map_is_one_line(clip, source, given, words):
    with complains(ValueError, *words):
        vp.fit("visual_prompt", clip, source, **QUICK | given)


def test_only_methods_of_prompts_take_one(clip, source):
    with complains(ValueError, "linear_probe takes no prompt", "visual_prompt"):
        vp.fit("linear_probe", clip, source, prompt=Shift())


def test_a_method_that_does_not_fit_a_backbone_is_refused_as_in_a_configuration(resnet, source):
    with complains(ValueError, "coop does not work on rn50_micro: it has no text"):
        vp.fit("coop", resnet, source, **QUICK)
    with complains(ValueError, "unknown method 'visual_promt'", "did you mean visual_prompt"):
        vp.fit("visual_promt", resnet, source)
    with complains(ValueError, "method 7", "fit(backbone, task, settings, seed)"):
        vp.fit(7, resnet, source)


def test_a_method_of_ones_own_is_what_has_fit_and_learner(clip, source, tmp_path):
    model = vp.fit(text_prompt, clip, source)
    assert model.card["own"]["method"]["name"] == "vpbench.methods.text_prompt"
    path = model.save(tmp_path / "kept")
    with complains(ValueError, "a method of one's own", "give it: method="):
        vp.load(path)
    again = vp.load(path, method=text_prompt)
    assert again.evaluate(source.test) == model.evaluate(source.test)


def test_the_recipe_is_that_of_the_backbone_and_single_settings_change_it(clip, source):
    model = vp.fit("visual_prompt", clip, source, **QUICK)
    recipe = vp.load_recipe("config/lab.yaml", "visual_prompt", "clip_micro", **QUICK)
    assert model.settings == recipe
    with complains(ValueError, "visual_prompt on clip_micro", "unknown key 'epoch'", "epochs"):
        vp.fit("visual_prompt", clip, source, epoch=1)


def test_two_models_are_compared_image_by_image(clip, resnet, source):
    a = vp.fit("text_prompt", clip, source)
    b = vp.fit("linear_probe", resnet, source, C=[0.1])  # another backbone
    found = vp.compare(a, b, source.test)
    right = [
        (model.examine(source.test).evaluation.answers["prediction"].numpy())
        == source.load(clip.preprocessing).splits["test"].labels.numpy()
        for model in (a, b)
    ]
    expected = 100 * (right[0].mean() - right[1].mean())
    assert found.difference == pytest.approx(expected) and found.images == 24
    assert found.low <= found.difference <= found.high
    only = [int(np.sum(x & ~y)) for x, y in (right, right[::-1])]
    n, k = sum(only), min(only)
    p = min(1.0, 2 * sum(comb(n, i) for i in range(k + 1)) / 2**n)  # the binomial's two tails
    assert found.p_value == pytest.approx(p)
    assert f"{found.difference:+.1f} points" in str(found) and "24 images" in str(found)
    with complains(ValueError, "7 is no model"):
        vp.compare(a, 7, source.test)


def test_pictures_without_labels_are_classified_in_order_of_probability(shifted, source):
    images = source.load(shifted.preprocessing).splits["test"].images[:3]
    table = shifted.predict(images, top=2)
    assert list(table) == ["file", "class", "probability", "class_2", "probability_2"]
    probabilities = shifted.logits(images).double().softmax(1)
    values, labels = probabilities.topk(2)
    assert list(table["class"]) == [shifted.class_names[i] for i in labels[:, 0]]
    np.testing.assert_allclose(table["probability_2"], values[:, 1].numpy())
    with complains(ValueError, "top 0", "1 or more"):
        shifted.predict(images, top=0)


def test_a_card_of_an_unknown_method_or_of_broken_settings_is_one_line(clip, source, tmp_path):
    path = vp.fit("linear_probe", clip, source, C=[0.1]).save(tmp_path / "kept")
    card_file = path.with_suffix(".json")
    card = json.loads(card_file.read_text())
    card_file.write_text(json.dumps(card | {"method": "ncm"}))
    with complains(ValueError, "the method ncm", "not here"):
        vp.load(path)
    card_file.write_text(json.dumps(card | {"settings": {"C": [0.1]}}))
    with complains(ValueError, "kept.json at settings", "it lacks"):
        vp.load(path)


class Thrown(Shift):
    """A prompt that drops colours while it is trained, drawn from torch's own generator."""

    def forward(self, x):
        return x + nn.functional.dropout(self.colour, 0.5, self.training)


def test_what_a_prompt_of_ones_own_draws_starts_from_the_seed_and_draws_nothing_outside(
    clip, source
):
    before = torch.get_rng_state()
    first, again, other = (
        vp.fit("visual_prompt", clip, source, prompt=Thrown(), seed=seed, **QUICK)
        for seed in (0, 0, 1)
    )
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first.prompt.module.colour, again.prompt.module.colour)
    assert not torch.equal(first.prompt.module.colour, other.prompt.module.colour)


def test_two_models_loaded_with_one_module_are_two(shifted, clip, source, tmp_path):
    other = vp.fit("visual_prompt", clip, source, prompt=Shift(), **QUICK | {"lr": 0.01})
    mine = Shift()
    first, second = (
        vp.load(model.save(tmp_path / name), prompt=mine)
        for name, model in (("first", shifted), ("second", other))
    )
    assert mine.colour.abs().max() == 0
    assert torch.equal(first.prompt.module.colour, shifted.prompt.module.colour)
    assert torch.equal(second.prompt.module.colour, other.prompt.module.colour)


class Shut(Shift):
    def forward(self, x):
        return x + self.colour.detach()


class Blind(Reading):
    def forward(self, x):
        with torch.no_grad():
            logits = self.backbone.logits(x)
        return self.scale * logits[:, : self.classes]


def test_a_part_that_no_gradient_comes_to_is_refused_before_the_training(resnet, source):
    with complains(ValueError, "the prompt Shut would learn nothing", "detach"):
        vp.fit("visual_prompt", resnet, source, prompt=Shut(), **QUICK)
    # Of a label map that shuts out the prompt before it, the one would learn, the other not.
    with complains(ValueError, "the prompt Padding would learn nothing", "behind it"):
        vp.fit("visual_prompt", resnet, source, label_map=Blind(resnet, 10), map_lr=1, **QUICK)
    alone = {"label_map": Blind(resnet, 10), "prompt": nn.Identity(), "map_lr": 1}
    model = vp.fit("visual_prompt", resnet, source, **alone, **QUICK)
    assert model.label_map.module.scale != 1


def test_a_prompt_of_frozen_values_is_used_as_it_is(clip, source):
    fixed = Shift().requires_grad_(False)
    fixed.colour += 0.25
    model = vp.fit("visual_prompt", clip, source, prompt=fixed, **QUICK)
    assert torch.equal(model.prompt.canvas(), torch.full((1, 3, 56, 56), 0.25))


def test_layers_that_share_their_weights_are_saved_and_say_the_same_again(clip, source, tmp_path):
    layer = nn.Conv2d(3, 3, 1)
    twice = nn.Sequential(layer, layer)
    model = vp.fit("visual_prompt", clip, source, prompt=twice, **QUICK)
    images = source.load(clip.preprocessing).splits["test"].images[:4]
    again = vp.load(model.save(tmp_path / "twice"), prompt=twice)
    assert torch.equal(again.logits(images), model.logits(images))


class Holding(Shift):
    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone


class Pairs(Shift):
    def forward(self, x):
        return x.unflatten(0, (-1, 2)).flatten(0, 1)


class Noted(Shift):
    def get_extra_state(self):
        return {"seen": 3}


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        (Holding, ("has a backbone as a part", "self.held = (backbone,)")),
        (lambda _: Noted(), ("_extra_state in its state", "no tensor")),
        (lambda _: nn.LazyConv2d(3, 1), ("without a shape yet",)),
        (lambda _: Shift().double(), ("makes float64 [2, 3, 56, 56]", "float32")),
        (lambda _: Pairs(), ("fails on images [1, 3, 56, 56]",)),
    ],
)
def test_a_part_that_could_not_be_trained_or_saved_is_refused_before(clip, source, prompt, words):
    with complains(ValueError, *words):
        vp.fit("visual_prompt", clip, source, prompt=prompt(clip), **QUICK)


def test_a_label_map_of_the_suite_goes_by_its_name(resnet, source):
    model = vp.fit("visual_prompt", resnet, source, label_map="linear", map_lr=0.1, **QUICK)
    assert model.settings["label_map"] == "linear" and model.label_map.weights.shape[1] == 10
    with complains(ValueError, "label map 'text' does not fit rn50_micro"):
        vp.fit("visual_prompt", resnet, source, label_map="text", **QUICK)


def test_a_prompt_that_was_trained_with_its_model_is_exported_as_a_picture_alone(
    clip, source, tmp_path, capsys
):
    model = vp.fit("prompted_fine_tune", clip, source, **QUICK)
    names = [path.name for path in model.export(tmp_path / "both")]
    assert names == ["both.npy", "both.png", "both.README.md"]
    assert "goes with a model that was trained with it" in capsys.readouterr().err
    with complains(ValueError, "prompted_fine_tune has no label map"):
        model.label_map


def test_a_probe_of_one_class_is_one_line(clip):
    images = [(np.full((9, 9, 3), value, np.uint8), 0) for value in (10, 90)]
    task = vp.from_datasets(images, class_names=["forest", "river"], name="dark")
    with complains(ValueError, "dark has training images of one class"):
        vp.fit("linear_probe", clip, task, C=[1.0])


def flat(crop=8, mean=0.5):
    """Returns a wrapped linear classifier with the weights of always."""
    module = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, 10))
    for parameter in module.parameters():
        nn.init.constant_(parameter, 0.1)
    transform = vp.Preprocessing(crop, 8, mean=(mean,) * 3, std=(0.25,) * 3)
    return vp.wrap(module, transform, name="flat")


def test_what_was_learned_through_another_transform_is_refused(source, tmp_path):
    path = vp.fit("visual_prompt", flat(), source, size=2, **QUICK).save(tmp_path / "kept")
    assert vp.load(path, flat()).method == "visual_prompt"
    with complains(ValueError, "made for mean [0.5, 0.5, 0.5]", "flat has [0.25, 0.25, 0.25]"):
        vp.load(path, flat(mean=0.25))
    with complains(ValueError, "made for resize 8", "flat has 12"):
        vp.load(path, flat(crop=12))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"seed": -1}, ("seed -1", "0 or more")),
        ({"seed": 2**40}, ("below 2**32",)),
        ({"seed": "a"}, ("seed 'a'",)),
        ({"settings": "config/lab.yaml"}, ("'config/lab.yaml' is no dict", "load_recipe")),
        ({"checkpoint": "run.pt"}, ("'run.pt' is no Checkpoint",)),
        ({"image_side": 10**9}, ("image_side 1000000000", "have 56 pixels")),
        ({"label_map": "semantic"}, ("semantic needs a text_encoder", "as clip_vit_b32")),
    ],
)
def test_what_a_fit_cannot_use_is_one_line(resnet, source, options, words):
    with complains(ValueError, *words):
        vp.fit("visual_prompt", resnet, source, **QUICK | options)


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (torch.zeros(2, 8, 8, 4, dtype=torch.uint8), "uint8 [2, 8, 8, 4]"),
        (torch.zeros(0, 8, 8, 3, dtype=torch.uint8), "uint8 [0, 8, 8, 3]"),
        (torch.zeros(2, 8, 8, 3), "float32 [2, 8, 8, 3]"),
        ([1], "[1]"),
    ],
)
def test_logits_are_of_colour_pictures_alone(shifted, images, words):
    with complains(ValueError, words, "expected squares of uint8 [N, H, H, 3]"):
        shifted.logits(images)


def test_a_card_is_a_copy_and_a_path_is_one(shifted):
    shifted.card["settings"]["epochs"] = 99
    assert shifted.card["settings"]["epochs"] == 1
    for use in (shifted.save, vp.load, shifted.export):
        with complains(ValueError, "None is no path of a file"):
            use(None)
    with complains(ValueError, "device 'gpu'", "not usable here"):
        shifted.to("gpu")


class Drawn(Adapted):
    """A linear layer on features that stays as it was drawn."""

    def __init__(self, backbone, classes):
        super().__init__(backbone)
        self.head = nn.Linear(backbone.feature_width, classes)

    def logits(self, x):
        return self.head(self.backbone.features(x))


class Drawing:
    """A method of one's own as an object: it keeps what torch's own generator draws."""

    def learner(self, backbone, task, settings, seed):
        return Drawn(backbone, len(task.class_names))

    def fit(self, backbone, task, settings, seed):
        drawn = self.learner(backbone, task, settings, seed).eval()
        state = None if settings.get("forgets") else drawn.state_dict()
        return Fit(unselected(evaluate_splits(drawn, task), state), 0)


def test_an_object_is_a_method_and_draws_from_the_seed(clip, source, tmp_path):
    before = torch.get_rng_state()
    first, again = (vp.fit(Drawing(), clip, source, seed=7) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first.classifier.head.weight, again.classifier.head.weight)
    assert first.method.endswith("test_model.Drawing")
    kept = vp.load(first.save(tmp_path / "drawn"), method=Drawing())
    assert torch.equal(kept.classifier.head.weight, first.classifier.head.weight)
    with complains(ValueError, "test_model.Drawing", "none of its learner"):
        vp.fit(Drawing(), clip, source, forgets=True)
    nothing = Drawing()
    nothing.fit = lambda *_: None
    with complains(ValueError, "its fit returns None", "vpbench.methods.fit.Fit"):
        vp.fit(nothing, clip, source)


def test_a_class_in_place_of_its_object_is_one_line(clip, source):
    class Mine:
        def fit(self, backbone, task, settings, seed): ...
        def learner(self, backbone, task, settings, seed): ...

    with complains(ValueError, "method Mine is a class; give an object: Mine()"):
        vp.fit(Mine, clip, source)


def test_a_checkpoint_of_other_settings_is_put_aside(clip, source, tmp_path, capsys):
    path = tmp_path / "run.pt"
    options = {"epochs": 2, "eval_epochs": [], "size": 2}
    vp.fit("visual_prompt", clip, source, lr=1, checkpoint=Checkpoint(path, steps=1), **options)
    model = vp.fit(
        "visual_prompt", clip, source, lr=2, checkpoint=Checkpoint(path, steps=1), **options
    )
    assert (
        "not used, its settings" in capsys.readouterr().err
        and path.with_name("run.pt.aside").exists()
    )
    fresh = vp.fit("visual_prompt", clip, source, lr=2, **options)
    assert torch.equal(model.prompt.pad_up, fresh.prompt.pad_up)


def test_a_fit_inside_no_grad_is_one_line(clip, source):
    with torch.no_grad(), complains(ValueError, "fit trains", "outside of no_grad"):
        vp.fit("visual_prompt", clip, source)
