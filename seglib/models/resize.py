"""Bilinear resizing whose gradient is the same bytes each time, on a GPU too.

torch's own CUDA backward adds with atomics, in an order that differs from call to call; its deterministic
stand-in is an indexed sum, many times slower. Bilinear resizing is linear and separable, out = A · x · Bᵀ, so its
gradient is Aᵀ · grad · B: two matrix products, which are deterministic.
"""

import functools

import torch
import torch.nn.functional as F
from torch import nn


def resize_bilinear(x: torch.Tensor, size: tuple[int, int], align_corners: bool = False) -> torch.Tensor:
    """Resizes (N, C, H, W) to (N, C, *size), as `F.interpolate(mode="bilinear")` does, without antialiasing."""
    size = tuple(size)
    if tuple(x.shape[-2:]) == size:
        return x
    if x.is_cuda and torch.are_deterministic_algorithms_enabled():
        return BilinearResize.apply(x, size, align_corners)
    return F.interpolate(x, size=size, mode="bilinear", align_corners=align_corners)


class Upsample(nn.Module):
    """Bilinear, to twice the height and width."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return resize_bilinear(x, (2 * x.shape[-2], 2 * x.shape[-1]))


class BilinearResize(torch.autograd.Function):
    """torch's forward, with a backward of two matrix products."""

    @staticmethod
    def forward(ctx, x, size, align_corners):
        ctx.sizes, ctx.align_corners = (tuple(x.shape[-2:]), size), align_corners
        return F.interpolate(x, size=size, mode="bilinear", align_corners=align_corners)

    @staticmethod
    def backward(ctx, grad):
        (h, w), (out_h, out_w) = ctx.sizes
        n, c = grad.shape[:2]
        rows = _matrix(h, out_h, ctx.align_corners, grad.dtype, grad.device).T  # (H, out H)
        columns = _matrix(w, out_w, ctx.align_corners, grad.dtype, grad.device)  # (out W, W)
        if grad.is_contiguous(memory_format=torch.channels_last):  # products that need no copy in either format
            inner = rows @ grad.permute(0, 2, 3, 1).reshape(n, out_h, out_w * c)
            inner = columns.T @ inner.view(n * h, out_w, c)
            return inner.view(n, h, w, c).permute(0, 3, 1, 2), None, None
        inner = rows @ grad.reshape(n * c, out_h, out_w) @ columns
        return inner.view(n, c, h, w), None, None


@functools.lru_cache(maxsize=64)
def _matrix(size: int, out: int, align_corners: bool, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """The (out, size) matrix that resizes one dimension."""
    with torch.inference_mode(False), torch.no_grad():
        identity = torch.eye(size).view(1, 1, size, size)
        matrix = F.interpolate(identity, size=(out, size), mode="bilinear", align_corners=align_corners)
        return matrix[0, 0].to(device, dtype)
