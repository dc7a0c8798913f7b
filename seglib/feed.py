"""A split's images and masks on the device, batch by batch: resident there when they fit, streamed when not."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import torch

from seglib import memory
from seglib.data.core import Split
from seglib.memory import Budget

AHEAD = 2  # batches read before they are asked for
Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor]  # indices (N,), images and masks as `Split` holds them


class Feed:
    """Hands out a split's samples by index; in which way changes the speed and no byte.

    Resident: both tensors lie on the device (on the CPU: in the pages of the memory-mapped store). Streamed: a
    thread reads the next batches from the store while the device computes, so that memory holds some batches.
    """

    def __init__(self, split: Split, device: torch.device, budget: Budget):
        self.device, self.size = device, len(split)
        self.resident = budget.takes(memory.of(split.images, split.masks), device)
        self.images, self.masks = split.images, split.masks
        if self.resident:
            self.images, self.masks = split.images.to(device), split.masks.to(device)

    def batches(self, parts: Iterable[torch.Tensor]) -> Iterator[Batch]:
        """The samples of each part, a tensor of indices on the CPU, in the order given; tensors on the device."""
        return map(self._take, parts) if self.resident else self._streamed(iter(parts))

    def _take(self, indices: torch.Tensor) -> Batch:
        indices = indices.to(self.device, non_blocking=True)
        return indices, self.images[indices], self.masks[indices]

    def _streamed(self, parts: Iterator[torch.Tensor]) -> Iterator[Batch]:
        with ThreadPoolExecutor(1) as reader:
            waiting = deque()
            for part in parts:
                waiting.append((part, reader.submit(self._read, part)))
                if len(waiting) > AHEAD:
                    yield self._moved(*waiting.popleft())
            while waiting:
                yield self._moved(*waiting.popleft())

    def _read(self, indices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        read = self.images[indices], self.masks[indices]
        return tuple(t.pin_memory() for t in read) if self.device.type == "cuda" else read

    def _moved(self, indices: torch.Tensor, reading) -> Batch:
        images, masks = reading.result()
        return tuple(t.to(self.device, non_blocking=True) for t in (indices, images, masks))
