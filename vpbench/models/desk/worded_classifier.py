"""A vision-language backbone of two models that never met: a classifier and a sentence encoder.

A ridge regression goes from what the encoder makes of a text about an ImageNet class to the row of
that class in the classifier's last layer. Any text then has a row, and what the classifier computes
before its last layer is compared with the rows of a task's texts, as CLIP compares.

Everything was chosen on ImageNet alone: ten times the map was fitted to 900 of the 1,000 classes
and asked about the other 100. Chosen are the texts (TEXTS), rows of unit length about their mean,
RIDGE, and SCALE, which gives the smallest cross-entropy of one photograph of each held-out class.
Of the held-out classes 47 % have their own row as the nearest of the 100, and 26 % of their
photographs, at 128 pixels, are classified correctly among the 100. Nothing was learned from images
and texts together, so that it knows what ImageNet has and is near chance on much that it has not.

The fitted map is shipped, because reading ImageNet's texts takes a quarter of a minute:
`python -m vpbench.models.desk.worded_classifier` fits it anew.
"""

import hashlib
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from timm.data import ImageNetInfo
from torch import Tensor, nn

from vpbench.common.hashing import sha256
from vpbench.common.packaged_files import packaged_file
from vpbench.models.backbone import VisionLanguageBackbone
from vpbench.models.desk import efficientnets, sentences
from vpbench.models.hub_backbones import source_classes
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.preprocessing import Preprocessing
from vpbench.spec.text_prompts import text_prompts

CLASSIFIER = "efficientnet_lite0"
TEMPLATE = "This is a photo of a {}"  # the paper's; the map is asked about such texts
RIDGE = 1e-3  # times the number of texts
SCALE = 30.0  # of the cosines, CLIP's temperature
MAP = (
    "vpbench", "models/desk/worded_classifier.safetensors",
    "20e78b23e3bffd504d23523f04ec49c041f47eb2ca1d9e79a9aa1954a82a715f",
)  # fmt: skip


class Tower(nn.Module):
    """A timm classifier without its last layer: images [N, C, H, W] to features [N, D]."""

    def __init__(self, classifier: Any) -> None:
        super().__init__()
        self.trunk = classifier
        self.trunk.reset_classifier(0)
        self.output_dim = classifier.num_features

    def forward(self, x: Tensor) -> Tensor:
        """Returns the features [N, D] of normalised images."""
        features: Tensor = self.trunk(x)
        return features

    def forward_intermediates(self, x: Tensor) -> dict[str, list[Tensor]]:
        """Returns the activations after each stage, as open_clip's towers do."""
        return {"image_intermediates": self.trunk.forward_intermediates(x, intermediates_only=True)}


class WordedClassifier(nn.Module):
    """Both towers in the shape of open_clip's CLIP; texts stand for their own tokens."""

    centre: Tensor  # [E]
    rows: Tensor  # [E, D]

    def __init__(self, visual: Tower, encoder: Any, centre: Tensor, rows: Tensor) -> None:
        super().__init__()
        self.visual, self.encoder = visual, encoder
        self.register_buffer("centre", centre)
        self.register_buffer("rows", rows)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(SCALE)))

    def encode_image(self, x: Tensor) -> Tensor:
        """Returns the features [N, D] of normalised images."""
        features: Tensor = self.visual(x)
        return features

    def encode_text(self, embeddings: Tensor) -> Tensor:
        """Returns the rows [K, D] that the map gives to the embeddings [K, E] of texts."""
        return (embeddings - self.centre) @ self.rows


def load(name: str) -> VisionLanguageBackbone:
    """Returns the backbone; UserError if one of its packages is missing. Takes some seconds."""
    encoder, classifier = sentences.load(), efficientnets.load_model(CLASSIFIER)
    fitted = load_file(packaged_file(*MAP))
    model = WordedClassifier(Tower(classifier), encoder, fitted["centre"], fitted["rows"])
    files = efficientnets.WEIGHTS[CLASSIFIER].sha256, sentences.WEIGHTS[-1], MAP[-1]
    return VisionLanguageBackbone(
        name,
        model,
        tokenize=lambda texts: embed(encoder, texts),
        preprocessing=Preprocessing(*BACKBONES[name].preprocessing),
        mean=efficientnets.MEAN,
        std=efficientnets.STD,
        weights_hash=hashlib.sha256("".join(files).encode()).hexdigest(),
    )


@torch.no_grad()
def embed(encoder: Any, texts: Iterable[str]) -> Tensor:
    """Returns the embeddings [K, E] of texts, of unit length."""
    embeddings: Tensor = encoder.encode(
        list(texts), convert_to_tensor=True, show_progress_bar=False
    )
    return embeddings.clone()  # those of the encoder may not take part in what is trained


def prompted_names() -> list[str]:
    """Returns the paper's text prompt for each class of ImageNet."""
    return text_prompts(TEMPLATE, source_classes(1000))


def definitions() -> list[str]:
    """Returns for each class of ImageNet the words of its synset and WordNet's definition."""
    return list(ImageNetInfo("imagenet-1k").label_descriptions(detailed=True))


TEXTS = (prompted_names, definitions)  # what the map is fitted to


def class_texts() -> list[str]:
    """Returns the texts of all classes, kind by kind."""
    return [text for kind in TEXTS for text in kind()]


def unit_rows(weight: Tensor) -> Tensor:
    """Returns the rows of a last layer [S, D] about their mean, each of unit length.

    The mean is the same for all classes, and classes differ in the length of their rows for reasons
    that no text tells.
    """
    return F.normalize(weight - weight.mean(0), dim=1)


def fitted_map() -> tuple[Tensor, Tensor]:
    """Returns (centre [E], map [E, D]) fitted to ImageNet's classes; in a quarter of a minute."""
    weight = efficientnets.load_model(CLASSIFIER).get_classifier().weight.detach()
    return fit_rows(embed(sentences.load(), class_texts()), unit_rows(weight).repeat(len(TEXTS), 1))


def fit_rows(embeddings: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Returns (centre [E], map [E, D]) of the ridge regression of rows [T, D] on embeddings [T, E].

    The constant that it adds is left out, because it is the same for all classes.
    """
    x, y = embeddings.double(), rows.double()
    centre = x.mean(0)
    x = x - centre
    gram = x.t() @ x + RIDGE * len(x) * torch.eye(x.shape[1], dtype=x.dtype)
    return centre.float(), torch.linalg.solve(gram, x.t() @ (y - y.mean(0))).float()


if __name__ == "__main__":
    centre, rows = fitted_map()
    file = Path(__file__).with_suffix(".safetensors")
    save_file({"centre": centre, "rows": rows.contiguous()}, file)
    print(f"{file}: SHA-256 {sha256(file)}")
