"""A model of one's own: its outputs stay what they were, and it stays as it was itself."""

import copy

import open_clip
import pytest
import timm
import torch
import torchvision
from torch import nn
from torchvision.transforms import transforms as v1
from torchvision.transforms import v2
from torchvision.transforms._presets import ImageClassification

from tests.helpers.messages import holds
from tests.helpers.refused import refused
from vpbench.common.errors import UserError
from vpbench.lab.micro_backbones import build_classifier
from vpbench.models.state_hash import tensors_hash
from vpbench.models.vision_transformer import SelfAttention
from vpbench.models.wrapped import AsItIs, Classifier, wrap
from vpbench.spec.preprocessing import Preprocessing

HALF = Preprocessing(32, 32, "bilinear", (0.5,) * 3, (0.25,) * 3)


class Views(nn.Module):
    """A classifier whose `view` needs images that lie in memory as PyTorch's own."""

    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 8, 8), nn.Linear(64, 5)

    def forward(self, x):
        x = self.conv(x)
        return self.head(x.view(len(x), -1))


class Crossed(nn.Module):
    """A classifier that defines a batch norm behind the convolution that it comes before."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3), nn.Linear(3, 5)

    def forward(self, x):
        return self.head(self.conv(self.norm(x).relu()).mean((2, 3)))


class Tied(nn.Module):
    """A classifier whose forward reads the weights of its last layer."""

    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Conv2d(3, 6, 8, 8), nn.Linear(6, 5, bias=False)

    def forward(self, x):
        return self.head(self.body(x).mean((2, 3)) / self.head.weight.norm())


def plain():
    """Returns a small classifier as a beginner writes it."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
        nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 5),
    )  # fmt: skip


MODELS = {  # -> (model, transform)
    "convnext": lambda: (timm.create_model("test_convnext", num_classes=7), None),
    "vit": lambda: (timm.create_model("test_vit", num_classes=7), None),
    "resnet": lambda: (timm.create_model("test_resnet", num_classes=7), None),
    "repvit": lambda: (timm.create_model("repvit_m0_9", num_classes=7), HALF),  # folds wrongly
    "bit": lambda: (build_classifier("bit_m_micro", 7), HALF),
    "torchvision": lambda: (
        torchvision.models.resnet18(num_classes=7),
        ImageClassification(crop_size=64, resize_size=72),
    ),
    "new head": lambda: (with_new_head(), HALF),
    "plain": lambda: (plain(), HALF),
    "views": lambda: (Views(), HALF),
    "crossed": lambda: (Crossed(), HALF),
    "tied": lambda: (Tied(), HALF),
    "no linear": lambda: (nn.Sequential(nn.Conv2d(3, 5, 32), nn.Flatten()), HALF),
}
WITH_FEATURES = [name for name in MODELS if name not in ("no linear", "tied")]


def with_new_head():
    """Returns a model of timm with a head that timm does not know of."""
    model = timm.create_model("test_resnet", num_classes=7)
    model.fc = nn.Linear(model.num_features, 5)
    return model


def build(name):
    """Returns (model, transform), its batch norms not the identity, as those of a trained one."""
    torch.manual_seed(0)
    model, transform = MODELS[name]()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1, 0.1)
            nn.init.normal_(module.running_mean, 0, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 2)
    return model, transform


def near(found, expected):
    """Asserts that two tensors are equal but for rounding."""
    assert found.shape == expected.shape
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()


@pytest.mark.parametrize("name", MODELS)
def test_a_wrapped_model_gives_its_own_logits_and_gradients_and_stays_as_it_was(name):
    model, transform = build(name)
    before = {key: (value.clone(), value.stride()) for key, value in model.state_dict().items()}
    backbone = wrap(model, transform)
    assert all(module.training for module in model.modules())
    assert all(parameter.requires_grad for parameter in model.parameters())
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key][0]) and value.stride() == before[key][1]
    images = torch.randint(0, 256, (2, backbone.image_size, backbone.image_size, 3)).byte()
    ours = backbone.prepare(images).requires_grad_()
    own = ours.detach().clone(memory_format=torch.contiguous_format).requires_grad_()
    expected = model.double().eval()(own.double())  # where rounding hides no difference
    found = backbone.logits(ours)
    near(found.double(), expected)
    found.square().sum().backward()
    expected.square().sum().backward()
    torch.testing.assert_close(ours.grad, own.grad, rtol=1e-3, atol=1e-4 * own.grad.abs().max())
    assert backbone.source_count == found.shape[1] == (7 if expected.shape[1] == 7 else 5)


@pytest.mark.parametrize("name", WITH_FEATURES)
def test_the_features_of_a_wrapped_model_are_what_its_last_layer_reads(name):
    model, transform = build(name)
    backbone = wrap(model, transform)
    x, read = torch.randn(2, 3, backbone.image_size, backbone.image_size), []
    heads = [each for each in model.modules() if isinstance(each, nn.Linear)]
    head = heads[-1] if heads else model.get_classifier()  # of BiT, a convolution
    head.register_forward_pre_hook(lambda _, given: read.append(given[0].flatten(1)))
    with torch.no_grad():
        model.eval()(x)
        features = backbone.features(x)
    near(features, read[-1])
    assert backbone.feature_width == features.shape[1]
    tuned = backbone.with_head(3)
    assert tuned(x).shape == (2, 3) and backbone.logits(x).shape[1] == backbone.source_count


@pytest.mark.parametrize("name", ["no linear", "tied"])
def test_a_model_without_a_linear_layer_at_its_end_has_no_features_and_says_so(name):
    backbone = wrap(*build(name), name="Mine")
    x = torch.zeros(1, 3, 32, 32)
    for ask in (lambda: backbone.features(x), lambda: backbone.with_head(2)):
        holds(refused(UserError, ask), "Mine", "linear layer", "linear_probe", "fine_tune")


def test_what_is_folded_wrongly_is_not_folded_and_what_views_need_is_kept():
    assert isinstance(wrap(*build("views")).model.body, AsItIs)
    for name in ("crossed", "repvit"):
        backbone = wrap(*build(name))
        assert backbone.frozen is backbone.model
    for name in ("plain", "torchvision"):
        kinds = {type(module) for module in wrap(*build(name)).frozen.modules()}
        assert nn.BatchNorm2d not in kinds and AsItIs not in kinds


def test_a_wrapped_model_goes_by_its_class_and_its_weights_and_has_no_address():
    model = Views()
    backbone = wrap(model, HALF, class_names=tuple("abcde"))
    assert (backbone.name, backbone.address, backbone.modality) == ("Views", None, "vision")
    assert backbone.weights_hash == tensors_hash(model.state_dict())
    assert backbone.source_classes == tuple("abcde") and backbone.token_towers == ()
    assert backbone.preprocessing == Preprocessing(32, 32, "bilinear")
    assert backbone.mean.flatten().tolist() == [0.5] * 3
    assert backbone.std.flatten().tolist() == [0.25] * 3
    changed = copy.deepcopy(model)
    changed.head.bias.data[0] += 1
    assert wrap(changed, HALF, name="Other").weights_hash != backbone.weights_hash


def test_a_model_of_timm_keeps_its_interface_unless_it_was_changed():
    assert not isinstance(wrap(timm.create_model("test_resnet")).model, Classifier)
    assert isinstance(wrap(with_new_head(), HALF).model, Classifier)


def test_a_model_of_timm_without_classes_gives_features_and_no_logits_to_map():
    backbone = wrap(timm.create_model("test_resnet", num_classes=0))
    assert backbone.source_count == 0 and backbone.modality == "vision"
    assert backbone.with_head(3)(torch.zeros(1, 3, 160, 160)).shape == (1, 3)


def test_a_model_in_half_precision_is_computed_in_float32():
    assert wrap(plain().half(), HALF).logits(torch.zeros(1, 3, 32, 32)).dtype == torch.float32


class Says(nn.Module):
    """A module that gives what a function makes of images."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


BAD = {  # -> (module, options, words of the complaint)
    "text": ("resnet18", {}, "no torch.nn.Module"),
    "gray": (nn.Conv2d(1, 5, 32), {}, "fails on images"),
    "a map": (nn.Conv2d(3, 5, 3), {}, "gives [2, 5, 30, 30]"),
    "a tuple": (Says(lambda x: (x, x)), {}, "gives tuple"),
    "no gradient": (Says(lambda x: x.detach().mean((2, 3))), {}, "without a gradient"),
    "not finite": (Says(lambda x: x.mean((2, 3)) / 0), {}, "not finite"),
    "softmax": (Says(lambda x: x.mean((2, 3)).softmax(1)), {}, "without the softmax"),
    "noise": (Says(lambda x: x.mean((2, 3)) + torch.rand(1)), {}, "each time"),
    "lazy": (nn.Sequential(nn.Flatten(), nn.LazyLinear(2)), {}, "once on images"),
    "names": (Views(), {"class_names": ["a"]}, "5 source classes, but class_names 1"),
    "one word": (Views(), {"class_names": "abcde"}, "'abcde': expected a list of names"),
    "numbers": (Views(), {"class_names": [0, 1, 2, 3, 4]}, "expected a list of names"),
    "tokens": (Views(), {"tokenize": list}, "no visual and encode_text"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_a_backbone_is_refused_in_one_line(case):
    module, options, words = BAD[case]
    holds(refused(UserError, lambda: wrap(module, HALF, **options)), words)


RESIZE, CROP, FLOATS = v1.Resize(40), v1.CenterCrop(32), v1.ToTensor()
NORMALIZE = v1.Normalize([0.1, 0.2, 0.3], [0.4, 0.5, 0.6])
GOOD = {
    "torchvision": ([RESIZE, CROP, FLOATS, NORMALIZE], (40, 32, "bilinear")),
    "v2": (
        [
            v2.Resize(40, v2.InterpolationMode.BICUBIC), v2.CenterCrop(32), v2.RGB(), v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.1, 0.2, 0.3], [0.4, 0.5, 0.6]),
        ],
        (40, 32, "bicubic"),
    ),
    "v2's default": ([v2.Resize(40), v2.CenterCrop(32), FLOATS, NORMALIZE], (40, 32, "bilinear")),
    "Pillow's number": ([v2.Resize(40, 3), CROP, FLOATS, NORMALIZE], (40, 32, "bicubic")),
    "squashed": ([v1.Resize((32, 32)), FLOATS, NORMALIZE], (None, 32, "bilinear")),
    "nested": ([v1.Compose([RESIZE, CROP]), v1.Compose([FLOATS, NORMALIZE])], (40, 32, "bilinear")),
}  # fmt: skip


@pytest.mark.parametrize("case", GOOD)
def test_a_compose_is_read(case):
    steps, expected = GOOD[case]
    backbone = wrap(Views(), v1.Compose(steps))
    assert backbone.preprocessing == Preprocessing(*expected)
    torch.testing.assert_close(backbone.mean.flatten(), torch.tensor([0.1, 0.2, 0.3]))
    torch.testing.assert_close(backbone.std.flatten(), torch.tensor([0.4, 0.5, 0.6]))


FOREIGN = {
    "no end": ([RESIZE, CROP, FLOATS], "does not end in Normalize"),
    "no floats": ([RESIZE, CROP, NORMALIZE], "no ToTensor"),
    "bytes": (
        [RESIZE, CROP, v2.ToImage(), v2.ToDtype(torch.float32), NORMALIZE], "no ToTensor"
    ),
    "jitter": ([RESIZE, CROP, v1.ColorJitter(1), FLOATS, NORMALIZE], "ColorJitter"),
    "random": ([v1.RandomResizedCrop(32), FLOATS, NORMALIZE], "RandomResizedCrop"),
    "oblong": ([RESIZE, v1.CenterCrop((32, 24)), FLOATS, NORMALIZE], "no one square"),
    "uncut": ([RESIZE, FLOATS, NORMALIZE], "not square"),
    "padded": ([v1.Resize(16), CROP, FLOATS, NORMALIZE], "resized to 16 and cut to 32"),
    "nothing": ([FLOATS, NORMALIZE], "resizes by nothing"),
    "nearest": (
        [v1.Resize(40, v1.InterpolationMode.NEAREST), CROP, FLOATS, NORMALIZE], "'nearest'"
    ),
    "std": ([RESIZE, CROP, FLOATS, v1.Normalize([0.5] * 2, [0.5] * 2)], "not three numbers"),
}  # fmt: skip


@pytest.mark.parametrize("case", FOREIGN)
def test_any_other_transform_is_refused_with_the_reason(case):
    steps, words = FOREIGN[case]
    message = refused(UserError, wrap, Views(), v1.Compose(steps))
    holds(message, "Views", words, "a prompt acts between resize and normalisation")


@pytest.mark.parametrize(
    ("transform", "words"),
    [
        (None, "give transform="),
        (lambda image: image, "is not known"),
        (Preprocessing(32, 32), "mean None is not three numbers"),
        (HALF._replace(std=(0.5, 0, 0.5)), "not positive"),
        (HALF._replace(crop=40), "cut to 40"),
        (HALF._replace(mean=(124, 116, 104)), "divide by 255"),
    ],
)
def test_without_a_known_transform_nothing_is_wrapped(transform, words):
    holds(refused(UserError, wrap, Views(), transform), "Views", words)


def test_timm_models_of_other_images_are_refused():
    grey = timm.create_model("test_resnet", in_chans=1)
    holds(refused(UserError, wrap, grey), "ResNet", "1 channels")
    odd = timm.create_model("test_resnet")
    odd.pretrained_cfg = odd.pretrained_cfg | {"input_size": (3, 64, 32)}
    holds(refused(UserError, wrap, odd), "3 x 64 x 32")
    odd.pretrained_cfg = odd.pretrained_cfg | {"input_size": (3, 64, 64), "crop_mode": "border"}
    holds(refused(UserError, wrap, odd), "ResizeKeepRatio")


def clip(**vision):
    """Returns a small CLIP of open_clip's."""
    torch.manual_seed(0)
    tower = {"layers": 2, "width": 64, "head_width": 32, "patch_size": 16, "image_size": 32}
    words = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
    return open_clip.CLIP(16, vision_cfg=tower | vision, text_cfg=words)


@pytest.mark.parametrize(
    ("vision", "towers"),
    [
        ({}, ("text", "image")),
        ({"pool_type": "avg"}, ("text",)),
        ({"layers": (1, 1, 1, 1), "width": 16}, ("text",)),
        ({"qk_norm": True, "block_type": "custom"}, ("text", "image")),
    ],
)
def test_a_clip_of_open_clip_is_a_vision_language_backbone(vision, towers):
    model = clip(**vision)
    backbone = wrap(model, HALF)
    assert (backbone.modality, backbone.token_towers) == ("vision_language", towers)
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        near(backbone.features(x), model.eval().encode_image(x))
        texts = model.encode_text(open_clip.tokenize(["a cat", "a dog"]))
    near(backbone.text_features(["a cat", "a dog"]), nn.functional.normalize(texts, dim=1))
    assert backbone.with_head(3)(x).shape == (2, 3)
    assert not any(isinstance(module, SelfAttention) for module in model.modules())


def test_open_clip_says_itself_what_happens_to_images():
    model = clip()
    facts = {"size": 32, "mean": (0.1, 0.2, 0.3), "std": (0.4, 0.5, 0.6), "resize_mode": "squash"}
    open_clip.factory.set_model_preprocess_cfg(model, facts)
    backbone = wrap(model)
    assert backbone.preprocessing == Preprocessing(None, 32)
    torch.testing.assert_close(backbone.mean.flatten(), torch.tensor(facts["mean"]))


def test_a_clip_of_another_vocabulary_needs_its_tokenizer():
    model = clip()
    model.vocab_size = 100
    holds(refused(UserError, wrap, model, HALF), "CLIP", "tokenize=")
    assert wrap(model, HALF, tokenize=open_clip.tokenize).text_features(["a"]).shape == (1, 16)
    holds(
        refused(UserError, lambda: wrap(model, HALF, class_names=["a", "b"], tokenize=list)),
        "class_names are for a classifier",
    )
