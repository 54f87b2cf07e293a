"""What was learned and its model as one file, for programs that do not know this suite.

The file maps pixels 0..1 [N, 3, S, S], float32, any number of images that were resized and cropped,
to logits [N, K]. It is compared with the classifier before it gets its name.
"""

import copy
import io
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from vpbench.common import atomic_files
from vpbench.common.errors import UserError
from vpbench.common.messages import first_line, not_written
from vpbench.models.backbone import Backbone
from vpbench.prompts.files import named
from vpbench.spec.preprocessing import for_recipe
from vpbench.spec.settings import Settings

OPSET = 18  # of ONNX; what torch's exporter writes without converting
ENDINGS = (".plain.safetensors", ".onnx", ".pt2", ".README.md")  # of what is exported
TOLERANCE = 1e-4  # of the range of the logits
IMAGES = 8  # that the two are compared on,
BATCHES = (8, 5, 1)  # of them at a time
FACTS = "facts.json"  # in a .pt2


class Deployed(nn.Module):
    """A copy of a classifier on the CPU, from pixels on.

    The backbone is not part of it, so that of its weights only those that are used are exported.
    """

    def __init__(self, classifier: Any):
        super().__init__()
        self.classifier = copy.deepcopy(classifier).cpu().eval()
        for module in (self.classifier, self.classifier.backbone.cpu()):
            for tensor in (*module.requires_grad_(False).parameters(), *module.buffers()):
                tensor.data = tensor.data.contiguous().clone()  # torch.export.save wants no views

    def forward(self, pixels: Tensor) -> Tensor:
        return self.classifier.from_pixels(pixels)


def export_onnx(
    classifier: Any, settings: Settings, class_names: Sequence[str], path: str | Path
) -> Path:
    """Returns the path `path`.onnx, which onnxruntime was seen to compute the same logits with.

    `classifier` is a learner with from_pixels and a backbone. What an image goes through before,
    and the names of the classes, are the file's metadata, as JSON. Weights of more than 2 GB, which
    ONNX cannot hold, lie beside it as .onnx.data. Raises UserError where it cannot be exported.
    """
    ort = onnxruntime()
    path = beside(path, ".onnx")
    facts = facts_of(classifier.backbone, settings, class_names)
    program = traced(classifier, facts["crop"])
    try:
        onnx = torch.onnx.export(
            program, (), dynamo=True, input_names=["pixels"], output_names=["logits"],
            dynamic_shapes=({0: "batch"},), opset_version=OPSET, verbose=False,
        )  # fmt: skip
    except Exception as error:  # of the exporter: an operation that ONNX has not, for one
        raise not_exported(classifier, error) from None
    assert onnx is not None  # the old exporter's answer
    onnx.model.metadata_props.update({key: json.dumps(facts[key]) for key in facts})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".export", dir=path.parent) as folder:
            onnx.save(Path(folder) / path.name)
            session = ort.InferenceSession(
                Path(folder) / path.name, providers=["CPUExecutionProvider"]
            )

            def logits(pixels: Tensor) -> Tensor:
                return torch.from_numpy(session.run(None, {"pixels": pixels.numpy()})[0])

            check_logits(logits, classifier, facts["crop"], path)
            for file in sorted(os.listdir(folder), reverse=True):  # the weights before the graph
                os.replace(Path(folder) / file, path.with_name(file))
    except OSError as error:
        raise UserError(f"{path}: not written, {not_written(error)}") from None
    return path


def export_program(
    classifier: Any, settings: Settings, class_names: Sequence[str], path: str | Path
) -> Path:
    """Returns the path `path`.pt2, which torch.export.load reads; see `export_onnx`.

    The metadata is its extra file facts.json.
    """
    path = beside(path, ".pt2")
    facts = facts_of(classifier.backbone, settings, class_names)
    buffer = io.BytesIO()
    program = traced(classifier, facts["crop"])
    torch.export.save(program, buffer, extra_files={FACTS: json.dumps(facts)})
    written = torch.export.load(io.BytesIO(buffer.getvalue())).module()
    check_logits(written, classifier, facts["crop"], path)
    return atomic_files.write_bytes(path, buffer.getvalue())


def traced(classifier: Any, side: int) -> ExportedProgram:
    """Returns the graph from pixels [N, 3, side, side] to logits of a classifier."""
    check_repeats(classifier, side)
    pixels = images(side).permute(0, 3, 1, 2).float().div(255)
    try:
        with torch.no_grad():
            shapes = ({0: Dim("batch")},)
            return torch.export.export(Deployed(classifier), (pixels,), dynamic_shapes=shapes)
    except Exception as error:  # torch's own kinds, and what modules of one's own raise
        raise not_exported(classifier, error) from None


def not_exported(classifier: Any, error: Exception) -> UserError:
    """Returns the complaint that a classifier cannot be exported."""
    return UserError(
        f"{kind(classifier)} cannot be exported, it is no one graph ({first_line(error)}); save it "
        "and use it in Python"
    )


def check_repeats(classifier: Any, side: int) -> None:
    """Raises UserError, by name, if what a classifier says of an image is partly drawn."""
    for member in members(classifier):
        if getattr(member, "test_position", None) == "random":
            raise UserError(
                f"the prompt {type(member).__name__} draws its place again at test time "
                "(test_position: random), and a file has one place; fit with test_position: centre"
            )
    first, again = (answers(classifier, side) for _ in range(2))
    if not torch.equal(first, again):
        raise UserError(
            f"{kind(classifier)} says another thing of the same images each time, and a file "
            "cannot; leave out what it draws when it does not train (self.training)"
        )


def check_logits(
    exported: Callable[[Tensor], Tensor], classifier: Any, side: int, path: Path
) -> None:
    """Raises UserError unless what was exported gives the logits of the classifier."""
    expected = answers(classifier, side)
    pixels = images(side).permute(0, 3, 1, 2).float().div(255)
    allowed = TOLERANCE * float(expected.max() - expected.min())
    for batch in BATCHES:
        with torch.no_grad():
            found = exported(pixels[:batch].contiguous())
        if found.shape != expected[:batch].shape:
            raise UserError(f"{path}: not written, it gives {list(found.shape)} for {batch} images")
        difference = float((found - expected[:batch]).abs().max())
        if not difference <= allowed:
            raise UserError(
                f"{path}: not written, its logits differ by {difference:.2g} from those of "
                f"{kind(classifier)}, more than the {allowed:.2g} that rounding explains"
            )


@torch.no_grad()
def answers(classifier: Any, side: int) -> Tensor:
    """Returns the logits [8, K], on the CPU, of the images that exports are compared on."""
    logits: Tensor = classifier.eval()(images(side).to(classifier.backbone.device))
    return logits.cpu()


def images(side: int) -> Tensor:
    """Returns uint8 images [8, side, side, 3] of noise, always the same."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(256, (IMAGES, side, side, 3), generator=generator, dtype=torch.uint8)


def members(classifier: Any) -> Sequence[nn.Module]:
    """Returns the prompts in the image that a classifier has, if any."""
    prompt = getattr(classifier, "prompt", None)
    return () if prompt is None else list(prompt.members)


def kind(classifier: Any) -> str:
    """Returns what a classifier is called in a complaint: its class, with that of its prompt."""
    prompts = {type(getattr(each, "module", each)).__name__ for each in members(classifier)}
    return f"{type(classifier).__name__}" + (f" ({', '.join(sorted(prompts))})" if prompts else "")


def facts_of(backbone: Backbone, settings: Settings, class_names: Sequence[str]) -> dict[str, Any]:
    """Returns what must happen to an image before, and what the logits mean, as JSON.

    Its shorter side is resized to `resize` (null: it is squashed to the square), the middle of
    `crop` pixels is cut out, and pixels are divided by 255.
    """
    resize, crop, interpolation, *_ = for_recipe(backbone.preprocessing, settings)
    return {
        "backbone": backbone.address or backbone.name,
        "weights": backbone.weights_hash,
        "resize": resize,
        "crop": crop,
        "interpolation": interpolation,
        "class_names": list(class_names),
    }


def beside(path: str | Path, ending: str) -> Path:
    """Returns `path` with the ending of an export instead of another one of ours."""
    text = os.fspath(path)
    mine = next((each for each in ENDINGS if text.endswith(each)), "")
    return named(text.removesuffix(mine), ending)


def onnxruntime() -> Any:
    """Returns the module onnxruntime; a UserError says what to install."""
    try:
        import onnx  # noqa: F401  # what torch.onnx needs
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"ONNX needs more packages ({first_line(error)}): pip install 'vpbench[export]'"
        ) from None
    return onnxruntime
