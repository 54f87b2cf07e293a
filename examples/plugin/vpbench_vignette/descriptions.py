"""The descriptions of what this package brings: read before anything runs, hence without torch."""

from vpbench.spec.analyses import Analysis
from vpbench.spec.backbones import Backbone
from vpbench.spec.methods import Method
from vpbench.spec.prompt_forms import PromptForm
from vpbench.spec.settings import Setting

VIGNETTE = PromptForm("vpbench_vignette.vignette:Vignette")
CLASS_MEANS = Method(
    "vpbench_vignette.class_means", "NCM",
    {"sharpness": Setting({"type": "number", "exclusiveMinimum": 0}, 1.0, "factor of distances")},
    passes=1, colour="#cc78bc", marker="X",
)  # fmt: skip
TINY_RESNET = Backbone(
    "vpbench_vignette.tiny_resnet", "tiny_resnet", "vision", "timm's test_resnet", "nothing",
    "none", "Apache-2.0", (64, 64, "bicubic"), parameters=469_688, source_classes=1000,
    stand_in=False,
)  # fmt: skip
ABOVE_CHANCE = Analysis("vpbench_vignette.above_chance", "csv")
