"""The paper's models and their relatives: architectures of open_clip and timm, public weights.

Building needs no network. Licences, files and transforms are in spec.backbones.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import timm
from timm.data import ImageNetInfo, infer_imagenet_subset
from torch import Tensor, nn

from vpbench.common import paths
from vpbench.common.errors import UserError
from vpbench.common.hashing import sha256
from vpbench.common.messages import first_line
from vpbench.models import weight_files
from vpbench.models.backbone import Backbone, VisionBackbone, VisionLanguageBackbone
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.preprocessing import Preprocessing

CLIPS = {  # -> the architecture's and the weights' name in open_clip
    "clip_vit_b32": ("ViT-B-32-quickgelu", "openai"),
    "clip_vit_b16": ("ViT-B-16-quickgelu", "openai"),
    "clip_rn50": ("RN50-quickgelu", "openai"),
    "clip_rn101": ("RN101-quickgelu", "openai"),
    "clip_vit_l14": ("ViT-L-14-quickgelu", "openai"),
    "siglip_vit_b16": ("ViT-B-16-SigLIP", "webli"),
}
CLASSIFIERS = {  # -> the name in timm
    "instagram_32x8d": "resnext101_32x8d.fb_wsl_ig1b_ft_in1k",
    "instagram_32x16d": "resnext101_32x16d.fb_wsl_ig1b_ft_in1k",
    "bit_m_r50x1": "resnetv2_50x1_bit.goog_in21k",
    "bit_m_r101x1": "resnetv2_101x1_bit.goog_in21k",
    "bit_m_r50x3": "resnetv2_50x3_bit.goog_in21k",
    "bit_m_r101x3": "resnetv2_101x3_bit.goog_in21k",
    "bit_m_r50x1_zero_head": "resnetv2_50x1_bit.goog_in21k",
    "rn18": "resnet18.tv_in1k",
    "rn50": "resnet50.tv_in1k",
    "rn101": "resnet101.tv_in1k",
    "rn152": "resnet152.tv_in1k",
}
# The official script builds BiT-M with a head of zeros in place of its own, and feeds it with
# ImageNet's normalisation. All its logits are 0, so the loss stays ln C and the prompt has no
# gradient: the published numbers cannot come from it. It is here to be shown, not to be used.
ZERO_HEAD = "bit_m_r50x1_zero_head"


def load(name: str) -> Backbone:
    """Returns the backbone `name` with its weights; without them UserError, in one line."""
    path = weight_files.find(weight_files.published(name))
    state = weight_files.read(path)  # before anything is built: it is what may be wrong
    model: Any = weight_files.fill(build(name), state, path)
    del state  # gigabytes
    if name == ZERO_HEAD:
        nn.init.zeros_(model.get_classifier().weight)
        nn.init.zeros_(model.get_classifier().bias)
    return backbone_of(name, model, sha256(path))


def backbone_of(name: str, model: Any, weights_hash: str) -> Backbone:
    """Returns `model`, as `build(name)` makes it, as the backbone `name`."""
    mean, std = normalization(name)
    facts: dict[str, Any] = {
        "preprocessing": Preprocessing(*BACKBONES[name].preprocessing),
        "mean": mean,
        "std": std,
        "weights_hash": weights_hash,
    }
    if name in CLIPS:
        return VisionLanguageBackbone(name, model, tokenize=tokenizer(name), **facts)
    return VisionBackbone(name, model, source_classes=source_classes(model.num_classes), **facts)


def build(name: str) -> nn.Module:
    """Returns the model of the backbone `name` with random weights."""
    if name in CLASSIFIERS:
        model: nn.Module = timm.create_model(CLASSIFIERS[name])
        return model
    import open_clip  # a second, and a run with a classifier has no need of it
    from open_clip.model import CLIP, CustomTextCLIP

    config = open_clip.get_model_config(CLIPS[name][0])
    clip: nn.Module = (CustomTextCLIP if config.pop("custom_text", False) else CLIP)(**config)
    return clip


def normalization(name: str) -> tuple[Sequence[float], Sequence[float]]:
    """Returns (mean, std) of the pixels 0..1 that the model was trained on."""
    if name in CLIPS:
        from open_clip import get_pretrained_cfg  # late as in `build`

        facts = get_pretrained_cfg(*CLIPS[name])
        return facts["mean"], facts["std"]
    entry: Any = timm.get_pretrained_cfg(CLASSIFIERS["rn50" if name == ZERO_HEAD else name])
    return entry.mean, entry.std


def tokenizer(name: str) -> Callable[[Sequence[str]], Tensor]:
    """Returns the function from a list of K texts to tokens [K, L]."""
    return tokenizer_of(CLIPS[name][0], name, name)


def tokenizer_of(architecture: str, name: str, stem: str) -> Callable[[Sequence[str]], Tensor]:
    """Returns the tokenizer of a model of open_clip, which is the backbone `name`.

    That of a SigLIP is not part of open_clip; it is fetched when the first text is read, unless it
    is in the folder `stem` of the weights folder.
    """
    import open_clip  # late as in `build`

    words = open_clip.get_model_config(architecture)["text_cfg"]
    if "hf_tokenizer_name" not in words:
        tokenize: Callable[[Sequence[str]], Tensor] = open_clip.get_tokenizer(architecture)
        return tokenize

    @cache
    def fetched() -> Callable[[Sequence[str]], Tensor]:
        folder, hub = paths.weights_dir() / stem, words["hf_tokenizer_name"]
        source = str(folder) if (folder / "tokenizer.json").is_file() else hub
        try:
            of_hub: Callable[[Sequence[str]], Tensor] = open_clip.tokenizer.HFTokenizer(
                source, words.get("context_length", 77), **words.get("tokenizer_kwargs", {})
            )
            return of_hub
        except (ImportError, OSError, ValueError) as error:
            reason = first_line(error)
            raise UserError(
                f"{name} cannot read text, its tokenizer is missing ({reason}); "
                "`pip install transformers sentencepiece`, and put the tokenizer files of "
                f"https://huggingface.co/{hub} in {folder}"
            ) from None

    return lambda texts: fetched()(texts)


@cache
def source_classes(count: int) -> tuple[str, ...]:
    """Returns the names of ImageNet's 1,000 classes, or those of one of its larger sets.

    A class goes by the first word of its synset, by all of them where others have the same, and
    with its WordNet number where these are the same too.
    """
    subset: Any = infer_imagenet_subset({"num_classes": count})  # they differ in size
    info = ImageNetInfo(subset)
    words, synsets = list(info.label_descriptions()), info.label_names()
    first = _unique([text.split(",")[0] for text in words], words)
    return tuple(_unique(first, [f"{w} ({s})" for w, s in zip(words, synsets, strict=True)]))


def _unique(names: Sequence[str], longer: Sequence[str]) -> list[str]:
    """Returns `names`, each that is there more than once replaced by its `longer` form."""
    seen = Counter(names)
    return [text if seen[name] > 1 else name for name, text in zip(names, longer, strict=True)]
