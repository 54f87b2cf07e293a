"""Images of a split on their way to the device that computes."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor

from vpbench.data.task import Task, take

Index = TypeVar("Index")
Result = TypeVar("Result")
FREE_SHARE = 0.5  # of a GPU's free memory: what the images of a split may take, to stay there
AHEAD = 2  # batches that are read and pinned while the GPU is busy with another


def place(task: Task, device: torch.device) -> Task:
    """Returns `task` with the images of each split on the GPU, as far as they fit there.

    On other devices, and where they do not fit, they stay where they are.
    """
    if device.type != "cuda":
        return task
    splits = {}
    for name, split in task.splits.items():
        free, _ = torch.cuda.mem_get_info(device)
        fits = split.images.nbytes <= FREE_SHARE * free
        splits[name] = replace(split, images=split.images.to(device)) if fits else split
    return replace(task, splits=splits)


def batches(
    images: Tensor, indices: Iterable[Tensor | slice], device: torch.device
) -> Iterator[Tensor]:
    """Yields images[index] for each of `indices` (tensors or slices), on `device` if it is a GPU.

    Images that are not on the GPU, which may be a file mapped into memory, are read ahead for it. A
    step on the CPU reads its own: it waits for less than a hundredth of its time.
    """
    if device.type != "cuda" or images.is_cuda:
        for index in indices:
            yield take(images, index)
    else:
        for batch in read_ahead(lambda index: take(images, index).pin_memory(), indices):
            yield batch.to(device, non_blocking=True)


def read_ahead(read: Callable[[Index], Result], indices: Iterable[Index]) -> Iterator[Result]:
    """Yields read(index) for each of `indices`, in order; a thread reads the next ones already."""
    with ThreadPoolExecutor(1) as thread:
        waiting: deque[Future[Result]] = deque()
        for index in indices:
            waiting.append(thread.submit(read, index))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
