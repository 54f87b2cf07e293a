"""The share of the machine's limit that a step reaches: its own matrix products, and nothing else.

The products are those of one real step, forward and backward, as PyTorch dispatched them, each with
its own operands; they are computed again without whatever is between them.
"""

from typing import NamedTuple

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from benchmarks import report
from benchmarks.our_step import (
    BATCHES,
    OurStep,
    in_turn,
    official_recipe,
    parts_of,
    random_backbone,
    random_task,
    split_precisions,
)
from benchmarks.timing import interleaved, ratios, spread
from vpbench.compute.engine import Engine, computing

aten = torch.ops.aten
ATTENTION = aten._scaled_dot_product_flash_attention_for_cpu
ATTENTION_BACKWARD = aten._scaled_dot_product_flash_attention_for_cpu_backward
KINDS = {  # operator -> what the product belongs to; other operators that have FLOPs: "other"
    aten.mm: "linear layers",
    aten.addmm: "linear layers",
    aten.bmm: "attention",
    aten.baddbmm: "attention",
    aten.convolution: "convolutions",
    aten.convolution_backward: "convolutions",
}
CASES = {"clip_vit_b32": (32, 100), "rn50": (16, 100)}  # -> images of a batch, classes
GOAL = ("clip_vit_b32", "fp32", 0.9)
ROUNDS, WARM_UP = 15, 2
SIDE = 2048  # of the square product that says what the processor can do


class Product(NamedTuple):
    """A matrix product, or a convolution, with its operands."""

    kind: str
    operator: object
    operands: tuple
    options: dict = {}

    def __call__(self):
        return self.operator(*self.operands, **self.options)


class Products(TorchDispatchMode):
    """Collects the matrix products that are computed inside it, in their order.

    The fused attention of CPUs, which also computes a softmax, stands for its plain products: two
    forward, four backward.
    """

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, operator, types, operands=(), options=None):
        options = options or {}
        result = operator(*operands, **options)
        packet = operator.overloadpacket
        if packet == ATTENTION:
            self.found += attention_products(*operands[:3])
        elif packet == ATTENTION_BACKWARD:
            self.found += attention_backward_products(*operands[:4])
        elif packet in flop_registry:
            kind = KINDS.get(packet, "other")
            self.found.append(Product(kind, operator, operands, options))
        return result


def attention_products(query, key, value):
    """Returns the products of an attention over [N, heads, L, D]."""
    query, key, value = (stacked(each) for each in (query, key, value))
    weights = torch.softmax(query @ key.mT, dim=-1)
    pairs = [(query, key.mT), (weights, value)]
    return [Product("attention", aten.bmm.default, pair) for pair in pairs]


def attention_backward_products(gradient, query, key, value):
    """Returns the products that take `gradient` back to query, key and value."""
    gradient, query, key, value = (stacked(each) for each in (gradient, query, key, value))
    weights = torch.softmax(query @ key.mT, dim=-1)
    pairs = [(weights.mT, gradient), (gradient, value.mT), (weights, key), (weights.mT, query)]
    return [Product("attention", aten.bmm.default, pair) for pair in pairs]


def stacked(heads):
    """Returns [N, heads, L, D] as [N * heads, L, D], in memory of its own."""
    return heads.flatten(0, 1).contiguous()


@torch.no_grad()
def compute(products):
    """Computes the products, one after another."""
    for product in products:
        product()


def gigaflops(products):
    """Returns 1e9 operations, a multiply-add counted as two, of all `products`."""
    with FlopCounterMode(display=False) as counter:
        compute(products)
    return counter.get_total_flops() / 1e9


def collect(step):
    """Returns the products of one call of `step`."""
    with Products() as products:
        step()
    return products.found


def measure(quick, threads):
    """Returns the time of steps and of their products alone."""
    rounds, warm_up = (2, 1) if quick else (ROUNDS, WARM_UP)
    precisions, slower = split_precisions(torch.device("cpu"))
    rows, seconds, goals = [], {}, []
    for name, (batch, classes) in CASES.items():
        if quick:
            batch, classes = 4, 10
        for precision in precisions:
            row, taken = share(name, precision, batch, classes, rounds, warm_up)
            rows.append(row)
            seconds[f"{name} {precision}"] = taken
            if (name, precision) == GOAL[:2]:
                text = f"{name}, {precision}, share of the limit"
                goals.append(report.goal(text, row["share"]["median"], GOAL[2]))
    return {
        "title": "Against the limit",
        "done": (
            "The limit is the time of a step's own matrix products alone: those that PyTorch "
            "dispatched in one real step, forward and down to the prompt, computed again each "
            "with its own operands and in its own precision, into memory that is allocated anew as "
            "in the step, without anything between them. "
            f"Steps and products took turns, {rounds} rounds after {warm_up} to warm up. The share "
            "is the products' time over the step's, round by round. A fused attention counts as "
            f"its products without the softmax. The square product, of {SIDE} by {SIDE}, says what "
            "the processor can do at best."
        ),
        "rows": rows,
        "rounds": seconds,
        "left_out": slower,
        "goals": goals,
    }


def share(name, precision, batch, classes, rounds, warm_up):
    """Returns (row, function -> seconds of each round) of one backbone in one precision."""
    backbone = random_backbone(name)
    task = random_task(backbone.image_size, BATCHES * batch, classes)
    train = task.splits["train"]
    parts = parts_of(train, batch)
    with computing(backbone, Engine(precision=precision)):
        step = in_turn(OurStep(backbone, task, official_recipe(name)), parts)
        products = collect(step)
        kinds = {
            kind: [product for product in products if product.kind == kind]
            for kind in dict.fromkeys(product.kind for product in products)
        }
        dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        square = [Product("square", aten.mm.default, (torch.randn(SIDE, SIDE).to(dtype),) * 2)]
        groups = {"products": products, "square": square} | kinds
        functions = {key: lambda group=group: compute(group) for key, group in groups.items()}
        seconds = interleaved({"step": step} | functions, rounds, warm_up)
    work = {key: gigaflops(group) for key, group in groups.items()}
    work["step"] = work["products"]
    row = {
        "backbone": name,
        "precision": precision,
        "batch": batch,
        "classes": classes,
        "images_per_second": spread([batch / taken for taken in seconds["step"]]),
        "share": spread(ratios(seconds["products"], seconds["step"])),
        "parts": [
            {
                "part": key,
                "products": len(groups.get(key, products)),
                "gflop": work[key],
                "seconds": spread(taken),
                "gflops_per_second": spread([work[key] / each for each in taken]),
            }
            for key, taken in seconds.items()
        ],
    }
    return row, seconds


def render(result):
    """Returns the result as Markdown."""
    shares = report.table(
        ["step", "batch", "classes", "images/s", "share of the limit, %"],
        [
            [
                f"{row['backbone']}, {row['precision']}", row["batch"], row["classes"],
                report.ranged(row["images_per_second"], 1), report.ranged(row["share"], 1, 100),
            ]
            for row in result["rows"]
        ],
    )  # fmt: skip
    parts = report.table(
        ["part", "products", "GFLOP", "ms", "GFLOP/s"],
        [
            [
                f"{row['backbone']}, {row['precision']}: {part['part']}", part["products"],
                f"{part['gflop']:.1f}", report.ranged(part["seconds"], 0, 1000),
                report.ranged(part["gflops_per_second"], 0),
            ]
            for row in result["rows"] for part in row["parts"]
        ],
    )  # fmt: skip
    texts = [result["done"], report.goals(result["goals"]), shares, *report.left_out(result)]
    return "\n\n".join([*texts, parts])
