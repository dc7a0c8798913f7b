"""How much a device holds, and how much a training step needs: what is resident, streamed or divided is decided here.

Only what changes no result follows the memory that is there; into how many passes a batch is divided does change
it, so that is decided from the device's whole memory, the same at every start, and enters the run key.
"""

import functools
import math
import os
from pathlib import Path

import torch
from torch import nn

RESIDENT_SHARE = 0.3  # of the device's memory that images, masks and cached features may take together
STEP_SHARE = 0.6  # of the device's memory that one training step may take
LOSS_COPIES = 12  # tensors as large as the logits, in float32, that the losses may keep at once
TRANSIENT = 1.25  # peak over what autograd keeps: 0.96 to 1.22 for five architectures on a CPU at 128 pixels


def total(device: torch.device) -> int:
    """Bytes of memory of the device; of the CPU: the machine's, or what its control group may use if that is less."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([physical, *_cgroup_limits()])


@functools.cache
def constant(values: tuple, device: torch.device) -> torch.Tensor:
    """A small constant as float32 on the device, copied there once: each copy would make a GPU wait."""
    with torch.inference_mode(False):
        return torch.tensor(values, dtype=torch.float32, device=device)


class Budget:
    """What is left of the share that resident data may take, on each device."""

    def __init__(self, share: float = RESIDENT_SHARE):
        self.share, self.left = share, {}

    def takes(self, size: int, device: torch.device) -> bool:
        """Whether so many bytes still fit on the device; if so, they are taken."""
        left = self.left.setdefault(device.type, int(self.share * total(device)))
        if size > left:
            return False
        self.left[device.type] = left - size
        return True


def of(*tensors: torch.Tensor) -> int:
    """Bytes that these tensors take."""
    return sum(t.numel() * t.element_size() for t in tensors)


def step_bytes(model: nn.Module, size: int, num_classes: int, precision: str = "float32") -> tuple[int, int]:
    """Estimated bytes at the peak of a training step: of each image of the batch, and of the model whatever the batch.

    The tensors that autograd keeps are counted on the meta device, where nothing is computed and nothing
    allocated; the model must be there already.
    """
    saved: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        saved[tensor.untyped_storage()._cdata] = tensor
        return tensor

    images = torch.empty(2, 3, size, size, device="meta")
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model.train()(images)
    weights = {p.untyped_storage()._cdata for p in model.parameters()}
    activations = sum(of(t) for storage, t in saved.items() if storage not in weights) // len(images)
    trained = sum(of(p) for p in model.parameters() if p.requires_grad)
    activations *= 0.5 if precision == "bfloat16" else 1
    per_image = activations + of(images) // 2 + LOSS_COPIES * 4 * num_classes * size * size
    return round(TRANSIENT * per_image), of(*model.parameters()) + 3 * trained  # gradients and two moments


def passes(batch: int, per_image: int, fixed: int, device: torch.device) -> int:
    """Into how many passes a batch is divided so that each fits the device; 1 if all of it does.

    Raises: ValueError if not even one image fits.
    """
    room = STEP_SHARE * total(device)
    if fixed + per_image > room:
        raise ValueError(
            f"one image of a training step needs about {(fixed + per_image) / 1e9:.1f} GB; {STEP_SHARE:.0%} of the "
            f"device's memory are {room / 1e9:.1f} GB; use a smaller image_size or width"
        )
    return math.ceil(batch / ((room - fixed) // per_image))


def _cgroup_limits() -> list[int]:
    """The memory limits of this process's control groups, version 2 or 1; none outside of any."""
    limits = []
    for file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        text = Path(file).read_text().strip() if os.access(file, os.R_OK) else ""
        limits += [int(text)] if text.isdigit() else []
    return limits
