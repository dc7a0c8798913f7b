"""How well a run used its machine: its rate beside the peaks of the same process, whichever of the two binds.

Operations are counted by torch (convolutions and matrix products, forward and backward; a multiply-add is two),
bytes as what every operation reads and writes, as if nothing stayed in a cache. Both are counted on the meta
device. The peaks are measured once per process: a large matrix product, and a large copy.
"""

import copy
import functools
import math
import time

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten
from torch.utils.flop_counter import FlopCounterMode

from seglib import memory
from seglib.models.base import SegmentationModel

PROBE_SECONDS = 0.05  # of each repetition; the best of REPETITIONS counts
REPETITIONS = 3
MATRIX = {"cpu": 1024, "cuda": 8192, "mps": 2048}  # side of the product
COPY_BYTES = {"cpu": 2**27, "cuda": 2**30, "mps": 2**27}


def shares(work: tuple[float, float], images_per_second: float, config) -> dict:
    """Shares of the machine's measured peaks and what binds, as meta.json holds them.

    Args: work — operations and bytes of one image, see `work_per_image`; config — device, precision and threads.
    """
    operations, moved = work
    matrix_rate, bandwidth = peaks(config.device, config.precision, config.threads)
    found = {
        "matrix rate": operations * images_per_second / matrix_rate,
        "memory bandwidth": moved * images_per_second / bandwidth,
    }
    binding = max(found, key=found.get)
    return {
        "gflops_per_image": round(operations / 1e9, 3),
        "peak_gflops": round(matrix_rate / 1e9),
        "peak_gbytes_per_second": round(bandwidth / 1e9, 1),
        "share_of_matrix_rate": round(found["matrix rate"], 3),
        "share_of_bandwidth": round(found["memory bandwidth"], 3),
        "bound_by": binding,
    }


def work_per_image(model: SegmentationModel, size: int, decoder_only: bool = False, batch: int = 8) -> tuple:
    """Operations and bytes that one image costs in a training step.

    Args: decoder_only — the features were there already.
    """
    meta = copy.deepcopy(model).to("meta").train()
    images = torch.empty(batch, 3, size, size, device="meta")
    with torch.no_grad():
        features = meta.encode(images) if decoder_only else None
    counted = {torch.ops.aten.convolution_backward: _convolution_backward}
    with FlopCounterMode(display=False, custom_mapping=counted) as operations, _Traffic() as traffic:
        logits = meta.decode(features, (size, size)) if decoder_only else meta(images)
        logits.sum().backward()
    return operations.get_total_flops() / batch, traffic.bytes / batch


@functools.cache
def peaks(device: str, precision: str, threads: int) -> tuple[float, float]:
    """The best of some matrix products, in operations per second, and of some copies, in bytes read and written."""
    side, dtype = MATRIX[device], torch.bfloat16 if precision == "bfloat16" else torch.float32
    a, b = (torch.ones(side, side, dtype=dtype, device=device) for _ in range(2))
    source = torch.ones(COPY_BYTES[device] // 4, device=device)
    target = torch.empty_like(source)
    product, copied = _best(lambda: torch.mm(a, b), device), _best(lambda: target.copy_(source), device)
    return 2 * side**3 / product, 2 * memory.of(source) / copied


def _best(function, device: str) -> float:
    """Seconds of one call, the least of several repetitions."""
    function()
    wait(device)
    times = []
    for _ in range(REPETITIONS):
        calls, started = 0, time.perf_counter()
        while time.perf_counter() - started < PROBE_SECONDS:
            function()
            calls += 1
            wait(device)
        times.append((time.perf_counter() - started) / calls)
    return min(times)


def wait(device: str) -> None:
    """Returns when all that the device was given to do is done."""
    if device != "cpu":
        getattr(torch, device).synchronize()


def _convolution_backward(
    grad, x, weight, bias, stride, padding, dilation, transposed, output_padding, groups, wanted, out_shape=None
) -> int:
    """Operations from shapes; torch's own count takes a depthwise convolution's backward for a dense one's."""
    places = x if transposed else grad
    return sum(wanted[:2]) * 2 * places[0] * math.prod(places[2:]) * math.prod(weight)


class _Traffic(TorchDispatchMode):
    """Adds up the bytes of all tensors that operations read and write; views move nothing."""

    def __init__(self):
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        if not function.is_view:
            leaves = tree_flatten((args, kwargs, out))[0]
            self.bytes += memory.of(*(leaf for leaf in leaves if isinstance(leaf, torch.Tensor)))
        return out
