"""Pretraining of the micro backbones from a seed; resumable, checkpointed, logged.

`snakemake lab_weights` runs it; `all` never does. CLIP learns captions contrastively, the
Instagram stand-in hashtags and then labels, BiT-M's fine labels, RN50's labels.
"""

import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save
from torch import Tensor, nn
from tqdm import tqdm

from vpbench.common import atomic_files
from vpbench.common.errors import UserError
from vpbench.lab import micro_backbones
from vpbench.lab.tokenizer import Tokenizer, collect_words
from vpbench.twins import world
from vpbench.twins.world_pictures import paint_world

Loss = Callable[[Any, Tensor, Tensor], Tensor]  # of a model, images and targets
STAGES = {  # name -> stages of (target, version of the world, pictures, images seen, peak lr)
    "clip_micro": [
        ("captions", "captioned", 120_000, 900_000, 2e-3),
        ("captions", "fine_print", 40_000, 120_000, 1e-3),
    ],
    "instagram_micro": [
        ("hashtags", "captioned", 60_000, 160_000, 2e-3),
        ("labels", "labelled", 60_000, 100_000, 1e-3),
    ],
    "bit_m_micro": [("fine_labels", "captioned", 70_000, 260_000, 2e-3)],
    "rn50_micro": [("labels", "labelled", 60_000, 260_000, 2e-3)],
}
BATCH = 128
LOGGED = 500  # steps between two lines of the log, and two checkpoints


def world_hash(count: int = 256) -> str:
    """Returns the SHA-256 of the first pictures and captions of every version of the world."""
    digest = hashlib.sha256()
    for version in world.VERSIONS:
        images, samples = paint_world(count, version)
        digest.update(images.tobytes())
        digest.update("\n".join(sample.caption for sample in samples).encode())
    return digest.hexdigest()


def targets(kind: str, samples: Sequence[world.Sample]) -> tuple[Tensor, int]:
    """Returns the training targets of `samples`, and the number K of classes.

    They are class ids [N], or shares of hashtags [N, K].
    """
    if kind == "labels":
        index = {label: i for i, label in enumerate(world.LABELS)}
        return torch.tensor([index[sample.label] for sample in samples]), len(index)
    if kind == "fine_labels":
        index = {label: i for i, label in enumerate(world.FINE_LABELS)}
        return torch.tensor([index[sample.fine_label] for sample in samples]), len(index)
    tags = sorted({tag for sample in samples for tag in sample.hashtags})
    index, shares = {tag: i for i, tag in enumerate(tags)}, torch.zeros(len(samples), len(tags))
    for row, sample in zip(shares, samples, strict=True):
        for tag in set(sample.hashtags):
            row[index[tag]] = 1 / len(set(sample.hashtags))
    return shares, len(tags)


def _augment(x: Tensor, generator: torch.Generator, flip: bool) -> Tensor:
    if torch.rand(1, generator=generator) < 0.5 and flip:
        x = x.flip(3)
    shift = torch.randint(-4, 5, (2,), generator=generator).tolist()
    return torch.roll(x, shift, (2, 3))


def contrastive_loss(model: Any, x: Tensor, tokens: Tensor) -> Tensor:
    """Returns the CLIP loss of a batch in which equal captions are joint positives."""
    image = model.encode_image(x, normalize=True)
    unique, inverse = torch.unique(tokens, dim=0, return_inverse=True)
    text = model.encode_text(unique, normalize=True)[inverse]
    logits = model.logit_scale.exp() * image @ text.t()
    same = (inverse[:, None] == inverse[None]).float()
    share = same / same.sum(1, keepdim=True)
    return (F.cross_entropy(logits, share) + F.cross_entropy(logits.t(), share)) / 2


def _optimiser(model: nn.Module, lr: float) -> torch.optim.AdamW:
    decay = [p for n, p in model.named_parameters() if p.ndim >= 2 and "embed" not in n]
    rest = [p for n, p in model.named_parameters() if p.ndim < 2 or "embed" in n]
    groups = [{"params": decay, "weight_decay": 0.05}, {"params": rest, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.98))


def train(
    model: nn.Module,
    images: np.ndarray,
    y: Tensor,
    loss: Loss,
    *,
    normalization: tuple[Sequence[float], Sequence[float]],
    seen: int,
    lr: float,
    checkpoint: Path,
    log: Path,
    flip: bool = True,
    on_progress: Callable[[nn.Module, float], None] | None = None,
) -> nn.Module:
    """Returns `model` trained on `seen` images, continued from `checkpoint` if that is there."""
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in normalization)
    optimiser, steps = _optimiser(model, lr), math.ceil(seen / BATCH)
    first = _resume(checkpoint, model, optimiser, steps)
    running: float | None = None
    per_epoch, started = len(images) // BATCH, time.time()
    model.to(memory_format=torch.channels_last).train()  # twice as fast for the ResNets
    for step in tqdm(
        range(first, steps), initial=first, total=steps, desc=log.stem, mininterval=10
    ):
        if on_progress is not None:
            on_progress(model, step / steps)
        generator = torch.Generator().manual_seed(step)
        order = np.random.default_rng(step // per_epoch).permutation(len(images))
        index = order[(step % per_epoch) * BATCH :][:BATCH]
        x = torch.from_numpy(images[index]).permute(0, 3, 1, 2).float().div_(255)  # channels last
        value = loss(model, _augment((x - mean) / std, generator, flip), y[torch.from_numpy(index)])
        if not torch.isfinite(value):
            raise UserError(f"the loss of {log.stem} is {value.item()} at step {step}")
        rate = lr * min(1, (step + 1) / 200) * 0.5 * (1 + math.cos(math.pi * step / steps))
        _descend(model, optimiser, value, rate)
        running = value.item() if running is None else 0.98 * running + 0.02 * value.item()
        if (step + 1) % LOGGED == 0 or step + 1 == steps:
            _keep(checkpoint, model, optimiser, steps, step + 1)
            seconds = round(time.time() - started)
            line = {"step": step + 1, "loss": round(running, 4), "seconds": seconds}
            with log.open("a") as file:
                file.write(json.dumps(line) + "\n")
    return model.eval()


def _resume(
    checkpoint: Path, model: nn.Module, optimiser: torch.optim.Optimizer, steps: int
) -> int:
    """Returns the step to go on with; model and optimiser are as after the one before it."""
    if not checkpoint.is_file():
        return 0
    saved = torch.load(checkpoint, weights_only=True)
    if saved["steps"] != steps:
        raise UserError(
            f"{checkpoint} is of a training of {saved['steps']} steps, this one has {steps}; "
            "remove it, or choose another --out"
        )
    model.load_state_dict(saved["model"])
    optimiser.load_state_dict(saved["optimiser"])
    torch.set_rng_state(saved["random"])  # patch dropout draws from it
    return int(saved["step"])


def _keep(
    checkpoint: Path, model: nn.Module, optimiser: torch.optim.Optimizer, steps: int, step: int
) -> None:
    """Writes the state after so many of the steps, whole or not at all."""
    state = {
        "model": model.state_dict(),
        "optimiser": optimiser.state_dict(),
        "steps": steps,
        "random": torch.get_rng_state(),
        "step": step,
    }
    torch.save(state, checkpoint.with_suffix(".part"))
    os.replace(checkpoint.with_suffix(".part"), checkpoint)


def _descend(model: Any, optimiser: torch.optim.Optimizer, loss: Tensor, rate: float) -> None:
    """Takes a step down the gradient of `loss`, its norm at most 1, with learning rate `rate`."""
    for group in optimiser.param_groups:
        group["lr"] = rate
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()
    if hasattr(model, "logit_scale"):
        model.logit_scale.data.clamp_(0, math.log(100))


def _full_tokens_late(model: Any, share: float) -> None:
    # Half of the patches are dropped for speed until the last 25 % of the training.
    model.visual.patch_dropout.prob = 0.5 if share < 0.75 else 0.0


def _full_tokens(model: Any, share: float) -> None:
    model.visual.patch_dropout.prob = 0.0


def pretrain(name: str, out: str | Path, scale: float = 1.0) -> dict[str, Any]:
    """Returns the card of the micro backbone `name`, trained and written into the folder `out`.

    `scale` shrinks the number of pictures and images seen, for tests.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    log = out / f"{name}.log.jsonl"
    model: Any = None
    for stage, (kind, version, pictures, seen, lr) in enumerate(STAGES[name]):
        pictures, seen = max(BATCH, int(pictures * scale)), max(BATCH, int(seen * scale))
        settings: dict[str, Any] = {
            "normalization": micro_backbones.NORMALIZATION[name],
            "seen": seen,
            "lr": lr,
            "checkpoint": out / f"{name}.stage{stage}.pt",
            "log": log,
            "flip": version != "fine_print",  # digits have a left and a right
        }
        images, samples = paint_world(pictures, version)
        if kind == "captions":
            words = collect_words()
            atomic_files.write_bytes(out / "clip_micro.words.txt", "\n".join(words).encode())
            tokenizer = Tokenizer(words)
            y = tokenizer([sample.caption for sample in samples])
            if model is None:
                model = micro_backbones.build_clip(tokenizer.size, patch_dropout=0.5)
            tokens = _full_tokens_late if stage == 0 else _full_tokens
            train(model, images, y, contrastive_loss, on_progress=tokens, **settings)
            continue
        if kind == "fine_labels":
            keep = [i for i, sample in enumerate(samples) if sample.fine_label is not None]
            images, samples = images[keep], [samples[i] for i in keep]
        y, classes = targets(kind, samples)
        if model is None:
            model = micro_backbones.build_classifier(name, classes)
        else:  # the second stage keeps the body and gets the new label set's head
            model.reset_classifier(classes)
        train(model, images, y, _classification_loss, **settings)
    return _ship(name, model, out)


def _classification_loss(model: Any, x: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(model(x), y, label_smoothing=0.05)


def _ship(name: str, model: nn.Module, out: Path) -> dict[str, Any]:
    state = {
        key: value.half().contiguous() if value.is_floating_point() else value.contiguous()
        for key, value in model.state_dict().items()
    }
    data = save(state)
    atomic_files.write_bytes(out / f"{name}.safetensors", data)
    card = {
        "name": name,
        "sha256": hashlib.sha256(data).hexdigest(),
        "world_sha256": world_hash(),
        "parameters": sum(p.numel() for p in model.parameters()),
        "stages": [
            dict(zip(("target", "world", "pictures", "images_seen", "lr"), stage, strict=True))
            for stage in STAGES[name]
        ],
        "world": "objects, animals, cat and dog breeds, flowers, food, ground-level scenes, "
        "actions, shapes, colours, textures, counts of flat shapes, number signs",
        "labels": len(world.LABELS),
        "fine_labels": len(world.FINE_LABELS),
        "storage": "fp16 safetensors, computed in fp32",
        "torch": torch.__version__,
    }
    atomic_files.write_bytes(out / f"{name}.json", (json.dumps(card, indent=1) + "\n").encode())
    return card
