"""A model of one's own as a backbone: any module that gives logits, or one of open_clip's kind.

What makes our backbones fast knows how timm and open_clip build their models. Of any other module
it is kept only where the outputs stay what they were.
"""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from vpbench.common.errors import UserError
from vpbench.common.messages import brief, first_line, one_line
from vpbench.models.backbone import Backbone, VisionBackbone, VisionLanguageBackbone
from vpbench.models.state_hash import tensors_hash
from vpbench.models.transforms import transform_of

Tokenize = Callable[[Sequence[str]], Tensor]
TOLERANCE = 1e-4  # of the largest output: farther than rounding in another order carries it


def wrap(
    module: nn.Module,
    transform: Any = None,
    *,
    name: str | None = None,
    class_names: Sequence[str] = (),
    tokenize: Tokenize | None = None,
) -> Backbone:
    """Returns a frozen copy of `module` as a backbone; `module` itself stays as it is.

    It maps normalised images [N, 3, S, S] to source logits, which `class_names` names, or it is a
    CLIP of open_clip's kind, whose texts `tokenize` turns to tokens [K, L]. `transform` is what
    happens to an image before it: None is what timm or open_clip say of their own models, else a
    torchvision Compose that ends in ToTensor and Normalize, or a Preprocessing with mean and std.
    `name` stands in messages and cards; None is the name of the class. Its features are what its
    last linear layer reads. Raises UserError, in one line, for anything else.
    """
    if isinstance(module, Backbone) or not isinstance(module, nn.Module):
        raise UserError(f"{brief(module)} is no torch.nn.Module of one's own; wrap takes a module")
    name = one_line(name or type(module).__name__)
    check_class_names(name, class_names)
    model = frozen_copy(module, name)
    weights_hash = tensors_hash(
        {key: value for key, value in module.state_dict().items() if isinstance(value, Tensor)}
    )
    return backbone_of(name, model, transform, weights_hash, class_names, tokenize)


def check_class_names(name: str, class_names: Any) -> None:
    """Raises UserError unless these are texts in a list; two source classes may have one name."""
    listed = isinstance(class_names, Sequence) and not isinstance(class_names, str)
    if not listed or not all(isinstance(each, str) for each in class_names):
        raise UserError(
            f"{name}: class_names {brief(class_names)}: expected a list of names, by source class"
        )


def frozen_copy(module: nn.Module, name: str) -> nn.Module:
    """Returns a copy of a module in evaluation mode, in float32, that nothing trains."""
    if any(map(is_lazy, [*module.parameters(), *module.buffers()])):
        raise UserError(f"{name} has layers without a shape yet; call it once on images first")
    try:
        made = copy.deepcopy(module)
    except Exception as error:  # of anybody's code
        raise UserError(f"{name} cannot be copied ({first_line(error)})") from None
    return made.float().eval().requires_grad_(False)


def backbone_of(
    name: str,
    model: nn.Module,
    transform: Any,
    weights_hash: str,
    class_names: Sequence[str] = (),
    tokenize: Tokenize | None = None,
) -> Backbone:
    """Returns a frozen model, which it may change, as the backbone `name`; see `wrap`."""
    given = transform_of(transform, model, name)
    facts: dict[str, Any] = {
        "preprocessing": given.geometry,
        "mean": given.mean,
        "std": given.std,
        "weights_hash": weights_hash,
    }
    device = next((each.device for each in model.parameters()), torch.device("cpu"))
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, given.crop, given.crop, generator=generator).to(device)
    if hasattr(model, "visual") and hasattr(model, "encode_text"):
        if class_names:
            raise UserError(f"{name}: class_names are for a classifier; this model reads texts")
        tokens = tokenize or tokenizer_of(model, name)
        backbone: Backbone = vision_language(name, model, tokens, facts, x)
    else:
        if tokenize is not None:
            raise UserError(f"{name} has no visual and encode_text: tokenize is not for it")
        backbone = classifier(name, model, tuple(class_names), facts, x)
    return backbone.to(device)


def tokenizer_of(model: Any, name: str) -> Tokenize:
    """Returns the tokenizer of a CLIP of open_clip whose vocabulary tells that it is CLIP's own."""
    import open_clip  # late: a run with a classifier has no need of it

    own = open_clip.SimpleTokenizer(context_length=getattr(model, "context_length", None) or 77)
    if isinstance(model, open_clip.CLIP) and model.vocab_size == own.vocab_size:
        tokens: Tokenize = own
        return tokens
    raise UserError(f"{name} reads texts; give tokenize=, e.g. open_clip.get_tokenizer(its name)")


def vision_language(
    name: str, model: Any, tokenize: Tokenize, facts: dict[str, Any], x: Tensor
) -> VisionLanguageBackbone:
    """Returns a CLIP of open_clip's kind as a backbone with the image features that it has."""
    expected = outputs(model.encode_image, x, name, "features")
    backbone = VisionLanguageBackbone(name, model, tokenize=tokenize, **facts)
    if not settled(backbone, backbone.features, "visual", x, expected):
        raise UserError(f"{name}: its `visual` alone does not give what its encode_image gives")
    return backbone


def classifier(
    name: str, model: Any, class_names: tuple[str, ...], facts: dict[str, Any], x: Tensor
) -> VisionBackbone:
    """Returns a module that gives logits as a backbone with exactly these logits."""
    expected, last = ends_in(model, x, name)
    count = expected.shape[1]
    if class_names and len(class_names) != count:
        raise UserError(f"{name} has {count} source classes, but class_names {len(class_names)}")
    facts = facts | {"source_classes": class_names}
    if type(model).__module__.startswith("timm.") and model.num_classes in (0, count):
        backbone = VisionBackbone(name, model, **facts)
        if settled(backbone, backbone.logits, None, x, expected):
            return backbone
        model.to(memory_format=torch.contiguous_format)
    backbone = VisionBackbone(name, Classifier(model, last, count, name), **facts)
    if not settled(backbone, backbone.logits, "body", x, expected):
        # What follows the last linear layer, or reads its weights, is no business of ours.
        whole = backbone.model.whole()
        backbone = VisionBackbone(name, Classifier(whole, None, count, name), **facts)
        if not settled(backbone, backbone.logits, "body", x, expected):
            raise UserError(f"{name} gives other logits for the same images, each time it is asked")
    return backbone


def ends_in(model: nn.Module, x: Tensor, name: str) -> tuple[Tensor, str | None]:
    """Returns (logits, name of the linear layer that gives them, None if none does)."""
    called: list[tuple[str, Any]] = []
    hooks = [
        layer.register_forward_hook(lambda _, __, made, path=path: called.append((path, made)))
        for path, layer in model.named_modules()
        if isinstance(layer, nn.Linear) and path
    ]
    try:
        logits = outputs(model, x, name, "logits")
    finally:
        for hook in hooks:
            hook.remove()
    path, made = called[-1] if called else ("", None)
    alone = [each for each, _ in called].count(path) == 1
    return logits, path if alone and same(made, logits) else None


def outputs(function: Callable[[Tensor], Any], x: Tensor, name: str, what: str) -> Tensor:
    """Returns what a model gives for normalised images; raises UserError if a prompt cannot use it.

    It must be a finite number per image and column, with a gradient to the images.
    """
    try:
        found = function(x.clone().requires_grad_())
    except Exception as error:  # of anybody's code
        raise UserError(
            f"{name} fails on images {list(x.shape)}: {first_line(error)}; it must take squares of "
            "the size that its transform makes"
        ) from None
    wanted = f"expected {what} [N, K] of images [N, 3, S, S]"
    if not isinstance(found, Tensor):
        raise UserError(f"{name} gives {type(found).__name__}, not a tensor: {wanted}")
    if found.ndim != 2 or len(found) != len(x) or not found.is_floating_point():
        raise UserError(f"{name} gives {list(found.shape)} for {list(x.shape)}: {wanted}")
    if not found.requires_grad:
        raise UserError(f"{name} gives {what} without a gradient to the images: a no_grad inside?")
    found = found.detach()
    if not found.isfinite().all():
        raise UserError(f"{name} gives {what} that are not finite; are its weights whole?")
    if what == "logits" and found.min() >= 0 and same(found.sum(1), torch.ones_like(found[:, 0])):
        raise UserError(f"{name} gives probabilities: {wanted}, without the softmax at its end")
    return found


def same(found: Any, expected: Tensor) -> bool:
    """Returns whether a tensor is another but for rounding."""
    if not isinstance(found, Tensor) or found.shape != expected.shape:
        return False
    return bool((found - expected).abs().max() <= TOLERANCE * expected.abs().max())


def settled(
    backbone: Backbone,
    says: Callable[[Tensor], Tensor],
    inside: str | None,
    x: Tensor,
    expected: Tensor,
) -> bool:
    """Returns whether a backbone says what its model says, as fast as it can be while that is so.

    First all is laid out and folded for speed. Then nothing is folded. Last, where `inside` names
    the part of the model that sees images, nothing is laid out otherwise than it was.
    """
    if agrees(says, x, expected):
        return True
    backbone.frozen = backbone.image_tower()
    if inside is None or agrees(says, x, expected):
        return agrees(says, x, expected)
    backbone.model.to(memory_format=torch.contiguous_format)
    setattr(backbone.model, inside, AsItIs(getattr(backbone.model, inside)))
    backbone.frozen = backbone.image_tower()
    return agrees(says, x, expected)


@torch.no_grad()
def agrees(says: Callable[[Tensor], Tensor], x: Tensor, expected: Tensor) -> bool:
    """Returns whether images, laid out as a backbone gives them, have the expected outputs."""
    try:
        return same(says(x.to(memory_format=torch.channels_last)), expected)
    except Exception:  # of anybody's code, that images in this layout are not for
        return False


class AsItIs(nn.Module):
    """A module whose images lie in memory as PyTorch's own do, which its views may need."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Any:
        return self.module(x.contiguous())


class Classifier(nn.Module):
    """Any classifier behind the interface of timm's.

    `body` maps images to what the linear layer `last`, by name, reads; that layer is the `head`.
    Where there is none, `body` gives the logits.
    """

    def __init__(self, body: nn.Module, last: str | None, classes: int, name: str) -> None:
        super().__init__()
        self.body, self.last, self.num_classes, self.name = body, last, classes, name
        self.head: nn.Module | None = None
        if last is not None:
            self.head = body.get_submodule(last)
            put(body, last, nn.Identity())

    def whole(self) -> nn.Module:
        """Returns the module as it was, with its head in its place."""
        body = self.body.module if isinstance(self.body, AsItIs) else self.body
        if self.last is not None and self.head is not None:
            put(body, self.last, self.head)
        return body

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(x))

    def forward_features(self, x: Tensor) -> Tensor:
        """Returns the features [N, D] of normalised images, or the logits if there is no head."""
        features: Tensor = self.body(x)
        return features

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Returns the logits of features, or these as they are."""
        if pre_logits:
            self.own_head()
            return x
        return x if self.head is None else self.head(x)

    def reset_classifier(self, classes: int) -> None:
        """Puts a new head in the place of the old one."""
        self.head, self.num_classes = nn.Linear(self.own_head().in_features, classes), classes

    def own_head(self) -> nn.Linear:
        """Returns the linear layer that the model ends in; UserError if it does not."""
        if not isinstance(self.head, nn.Linear):
            raise UserError(
                f"{self.name} does not end in a linear layer: it has no features for linear_probe "
                "and no head that fine_tune could replace; learn a prompt, or wrap it without what "
                "follows its last layer"
            )
        return self.head


def put(module: nn.Module, path: str, part: nn.Module) -> None:
    """Puts `part` in the place of a module inside another."""
    parent, _, name = path.rpartition(".")
    setattr(module.get_submodule(parent), name, part)
