"""How much memory a run takes, of the machine and of its GPU, worked out from facts; no torch here.

It is a sum of what is held at the worst moment. tests/models/test_memory_costs.py counts again
what is said here of architectures. Held against processes on a CPU, with random weights in
float32, it is 1.1 to 1.2 times the peak: fine-tunes of ResNet-50 (batch 32) and CLIP ViT-B/32
(16), a prompt of CLIP (32), a linear probe of ResNet-50.
"""

from typing import NamedTuple

from vpbench.spec.aliases import Spec
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.costs import BATCH, classes_of, images_of
from vpbench.spec.label_maps import LABEL_MAPS
from vpbench.spec.methods import METHODS
from vpbench.spec.prompt_forms import PROMPT_FORMS


class Sizes(NamedTuple):
    """What an image takes on its way through a backbone, in values: all of float32 or bfloat16."""

    features: int  # of a probe
    prompt: float  # million values an image that a step of a prompt keeps for its way back ...
    fine_tune: float  # ... and one of all weights
    tower: int | None = None  # parameters of the image tower; None: those of the whole model


SIZES = {  # counted by autograd's hooks on what a step saves, per image
    "clip_vit_b32": Sizes(512, 5.47, 9.14, 87_849_216),
    "clip_vit_b16": Sizes(512, 21.02, 39.34, 86_192_640),
    "clip_rn50": Sizes(1024, 12.40, 25.08, 38_316_896),
    "clip_rn101": Sizes(512, 17.52, 35.34, 56_259_936),
    "clip_vit_l14": Sizes(768, 80.17, 146.88, 303_966_208),
    "siglip_vit_b16": Sizes(768, 22.26, 35.21, 92_884_224),
    "instagram_32x8d": Sizes(2048, 30.46, 61.77),
    "instagram_32x16d": Sizes(2048, 50.43, 101.77),
    "bit_m_r50x1": Sizes(2048, 19.40, 31.16),
    "bit_m_r101x1": Sizes(2048, 29.64, 50.89),
    "bit_m_r50x3": Sizes(6144, 57.90, 163.50),
    "bit_m_r101x3": Sizes(6144, 88.61, 279.52),
    "bit_m_r50x1_zero_head": Sizes(2048, 19.40, 31.16),
    "rn18": Sizes(512, 3.06, 5.55),
    "rn50": Sizes(2048, 10.36, 21.50),
    "rn101": Sizes(2048, 15.48, 31.77),
    "rn152": Sizes(2048, 21.80, 44.43),
}
SMALL = Sizes(128, 1.0, 2.0)  # more than any backbone for CPUs has
MOST = (2.4, 3.8)  # million values to a GFLOP, of a step of a prompt and of all weights: BiT-M
WIDEST = 6144  # features of those that were counted
GIGA = 1e9
FLOAT, DOUBLE, HALF = 4, 8, 2  # bytes
# Bytes of Python, torch, timm, open_clip and scikit-learn, 0.9e9 when they are loaded, and of what
# the allocators keep
LIBRARIES = 1.1e9
CUDA = 2.5e9  # and of CUDA's libraries and context, of which half is on the GPU as well
TEXT = 1.5  # million values that a text of 20 tokens keeps on the way back
TEXTS_AT_ONCE = 512  # that go through a text tower together: a source has up to 21,843 classes
ENCODED = 0.75  # and that one of 77 tokens takes, where nothing goes back: 0.5 to 0.75 by process
SPARE = 1.2  # of what is planned, a job asks for
SPREAD = 1.15  # of the values: gradients on their way, what the allocator cannot use
FORWARD = 0.25  # of a step's values: the largest that are there at once where nothing goes back
LOOK = {True: 256, False: 64}  # images of a batch that is only looked at: on a GPU, on a CPU
IMAGE_FACTS = 300  # bytes of the label and the id of an image, while they are read
KEPT = 5  # logits of the held-out images: of up to three epochs, and two copies on their way


class Memory(NamedTuple):
    """Gigabytes of the machine and of its GPU at a run's worst moment."""

    host: float
    gpu: float


def memory(spec: Spec, on_gpu: bool = True) -> Memory:
    """Returns the `Memory` of a run; without a GPU, all of it is the machine's."""
    weights = FLOAT * (BACKBONES[spec["backbone"]].parameters or 0)
    frozen, learned = frozen_bytes(spec), learned_bytes(spec)
    step = max(step_bytes(spec, on_gpu), text_bytes(spec))
    # A fine-tune that goes on holds the weights and the two moments of AdamW that it reads.
    read = max(2 * weights, 0.75 * learned)
    held = LIBRARIES + held_bytes(spec)
    if on_gpu:
        return Memory((CUDA + held + read) / GIGA, (CUDA / 2 + frozen + learned + step) / GIGA)
    working = frozen + learned + max(step, 0.75 * learned)
    return Memory((held + max(2 * weights, working)) / GIGA, 0)


def host_mb(spec: Spec, on_gpu: bool = True) -> int:
    """Returns the megabytes of the machine's memory that a run asks for."""
    return asked_mb(memory(spec, on_gpu).host)


def asked_mb(planned: float) -> int:
    """Returns the megabytes to ask for where gigabytes are planned: a fifth to spare, in 500s."""
    return 500 * (1 + int(SPARE * planned * 1000 / 500))


def sizes(spec: Spec) -> Sizes:
    """Returns the `Sizes` of a run's backbone.

    Of one that was not counted they are those that no small one exceeds, or, if more, as many
    values to a FLOP as the most of those that were counted.
    """
    entry = BACKBONES[spec["backbone"]]
    if spec["backbone"] in SIZES or entry.gflops is None:
        return SIZES.get(spec["backbone"], SMALL)
    prompt, fine_tune = (most * entry.gflops for most in MOST)
    features = SMALL.features if prompt <= SMALL.prompt else WIDEST
    return Sizes(features, max(SMALL.prompt, prompt), max(SMALL.fine_tune, fine_tune))


def tower_bytes(spec: Spec) -> int:
    """Returns what the weights of the image tower take in float32."""
    return FLOAT * (sizes(spec).tower or BACKBONES[spec["backbone"]].parameters or 0)


def half(spec: Spec) -> bool:
    """Returns whether the steps of a run may be computed in 16 bits."""
    return spec["engine"]["precision"] != "fp32"


def value_bytes(spec: Spec, on_gpu: bool) -> int:
    """Returns what a value of a step takes; `auto` is 16 bits on a GPU, on a CPU 32 as well."""
    wide = spec["engine"]["precision"] in (("fp32",) if on_gpu else ("fp32", "auto"))
    return FLOAT if wide else HALF


def frozen_bytes(spec: Spec) -> float:
    """Returns what a frozen backbone takes: as loaded, folded, and in the precision of the run."""
    weights = FLOAT * (BACKBONES[spec["backbone"]].parameters or 0)
    return weights + tower_bytes(spec) * (1 + (HALF / FLOAT if half(spec) else 0))


def learned_bytes(spec: Spec) -> float:
    """Returns what a fine-tune takes: the weights, their gradients, two moments of AdamW."""
    return 4 * tower_bytes(spec) if tunes_all(spec) else 0


def tunes_all(spec: Spec) -> bool:
    """Returns whether a run trains all weights of the image tower."""
    return METHODS[spec["method"]].passes == 3


def step_bytes(spec: Spec, on_gpu: bool) -> float:
    """Returns what a step, or a look at the test images, keeps of its batch."""
    settings, taken = spec["settings"], sizes(spec)
    value = value_bytes(spec, on_gpu) * 1e6 * SPREAD
    look = LOOK[on_gpu] * FORWARD * taken.prompt * settings.get("ensemble_size", 1)
    if "epochs" not in settings or not goes_back(spec):
        return look * value
    batch = settings.get("batch_size", BATCH)
    batch = min(batch, spec["engine"]["micro_batch"] or batch)
    per_image = taken.fine_tune if tunes_all(spec) else taken.prompt
    texts = METHODS[spec["method"]].texts
    sent = classes_of(spec) * (batch if texts == "image" else 1 if texts else 0)
    images = batch * per_image * settings.get("ensemble_size", 1)
    return max(look, images + sent * TEXT) * value


def text_bytes(spec: Spec) -> float:
    """Returns what the texts of the classes take, which are encoded before the first step.

    So is what another backbone takes that reads them, and the names of all source classes, for a
    semantic label map. In float32, on a GPU as well.
    """
    adapted, texts, other = BACKBONES[spec["backbone"]], classes_of(spec), 0
    reader = spec["settings"].get("text_encoder")
    if reader is not None:
        other = FLOAT * (BACKBONES[reader].parameters or 0)
        texts = max(texts, adapted.source_classes or 0)
    elif adapted.modality != "vision_language":
        return 0
    return other + ENCODED * 1e6 * min(texts, TEXTS_AT_ONCE) * FLOAT


def goes_back(spec: Spec) -> bool:
    """Returns whether a run has anything to learn."""
    form = PROMPT_FORMS.get(str(spec["settings"].get("template")))
    label_map = LABEL_MAPS.get(str(spec["settings"].get("label_map")))
    return form is None or form.learns or bool(label_map and label_map.trained)


def held_bytes(spec: Spec) -> float:
    """Returns what the machine holds beside the model, which grows with images and classes.

    The images of a dataset are mapped from its cache: the system takes that memory back.
    """
    images = images_of(spec)
    if images is None:  # a folder: its images are read into memory, how many only it can tell
        return 0
    classes, side = classes_of(spec), BACKBONES[spec["backbone"]].preprocessing[1]
    held_out = sum(images.values()) - images["train"]
    held: float = sum(images.values()) * IMAGE_FACTS + KEPT * held_out * classes * FLOAT
    if "shots" in spec["data"]:
        held += images["train"] * side**2 * 3
    label_map = LABEL_MAPS.get(str(spec["settings"].get("label_map")))
    if label_map and label_map.refresh:
        source = BACKBONES[spec["backbone"]].source_classes or 0
        held += 3 * source * classes * DOUBLE
    if METHODS[spec["method"]].on_features:
        held += probe_bytes(spec, images, classes)
    return held


def probe_bytes(spec: Spec, images: dict[str, int], classes: int) -> float:
    """Returns what a linear probe holds: its features, and scikit-learn's work on them."""
    copies = 1 + spec["settings"].get("standardize", True)
    train = images["train"] * (copies * sizes(spec).features + 3 * classes) * DOUBLE
    held_out = (sum(images.values()) - images["train"]) * sizes(spec).features * DOUBLE
    return train + held_out + images["train"] * sizes(spec).features * FLOAT
