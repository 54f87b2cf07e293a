"""How a run is computed: precision, compilation, images per pass. Not what is computed."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import torch
from torch import Tensor, nn

from vpbench.common.errors import UserError
from vpbench.common.messages import first_line, out_of_memory

Result = TypeVar("Result")
Function = Callable[[Tensor], Tensor]
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Engine:
    """The `engine` of a spec; as it is made here, everything is plain float32."""

    precision: str = "fp32"  # of the forward and backward passes of the model
    compile: bool = False  # torch.compile
    micro_batch: int | None = None  # images per pass; None: the whole batch
    compiled: dict[Function, Function] = field(default_factory=dict, compare=False, repr=False)

    def forward(self, function: Function, x: Tensor) -> Tensor:
        """Returns the float32 tensor function(x); inside, the precision of this engine is used."""
        if self.compile:
            if function not in self.compiled:
                self.compiled[function] = torch.compile(function)
            function = self.compiled[function]
        if self.precision == "fp32":
            return function(x)
        with torch.autocast(x.device.type, DTYPES[self.precision]):
            return function(x).float()


class Computing(Protocol):
    """What has an engine: a backbone."""

    engine: Engine
    frozen: nn.Module  # what is computed

    @property
    def device(self) -> torch.device: ...


def check_precision(precision: str, device: torch.device) -> None:
    """Raises UserError unless `device` can compute in `precision`."""
    usable = ["fp32"]
    if device.type == "cuda":
        usable.append("fp16")
    if device.type == "cpu" or (
        device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    ):
        usable.append("bf16")
    if precision not in usable:
        raise UserError(
            f"engine: the precision {precision} is not for the device {device.type} of this "
            f"machine; choose one of: {', '.join(usable)}"
        )


@contextmanager
def computing(backbone: Computing, engine: Engine) -> Iterator[None]:
    """Gives `engine`, and weights in its precision, to the backbone for the time of a block."""
    check_precision(engine.precision, backbone.device)
    before = backbone.engine, backbone.frozen
    backbone.engine = engine
    if engine.precision != "fp32":
        backbone.frozen = cast(backbone.frozen, DTYPES[engine.precision])
    try:
        yield
    finally:
        backbone.engine, backbone.frozen = before


def until_it_fits(attempt: Callable[[int], Result], size: int) -> tuple[Result, int]:
    """Returns (attempt(size), size), the size halved as often as there is too little memory.

    `attempt` must start from the beginning each time. Raises UserError if not even 1 fits.
    """
    while True:
        try:
            return attempt(size), size
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            if size == 1:
                raise UserError(
                    "the memory of the device is too small for one image at a time "
                    f"({first_line(error)}); choose a smaller backbone, the precision bf16, or "
                    "another device"
                ) from None
        size //= 2  # not inside `except`, which keeps the tensors of the failed attempt
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()


def cast(model: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Returns a copy of a frozen model whose products have weights of `dtype`.

    Autocast would cast them again at every step. Modules of ours that multiply by their weights say
    so (`multiplies`). Other weights stay as they are, so that autocast computes the same numbers as
    with `model` itself.
    """
    model = copy.deepcopy(model)
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d) or getattr(module, "multiplies", False):
            for name, weight in module.named_parameters(recurse=False):
                if name.endswith("weight"):
                    weight.data = weight.data.to(dtype)
    return model
