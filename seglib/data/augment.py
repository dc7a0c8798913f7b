"""Random changes of a training batch: on the device, for all its images at once, the same for image and mask.

What happens to an image is a function of (seed, epoch, image index) and of nothing else, so that order, batch
size and resuming do not change it.
"""

import math

import torch
import torch.nn.functional as F

from seglib.data.core import IGNORE_INDEX


def augment(
    images: torch.Tensor,
    masks: torch.Tensor,
    draws: torch.Tensor,
    *,
    horizontal: bool,
    vertical: bool,
    rotation: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Flips and rotates each image with its mask; what turns in from outside is 0 in the image, ignore in the mask.

    Args: draws — (N, 3) uniform in [0, 1), from `randomness.uniforms`; rotation — degrees, the angle is uniform in ±.
    Shape: images (N, 3, H, W) float, normalised; masks (N, H, W) or (N, C, H, W) uint8; returns the same.
    """
    if horizontal:
        images, masks = (_where(draws[:, 0] < 0.5, t.flip(-1), t) for t in (images, masks))
    if vertical:
        images, masks = (_where(draws[:, 1] < 0.5, t.flip(-2), t) for t in (images, masks))
    if rotation:
        images, masks = _rotate(images, masks, (draws[:, 2] * 2 - 1) * math.radians(rotation))
    return images, masks


def _where(choose: torch.Tensor, yes: torch.Tensor, no: torch.Tensor) -> torch.Tensor:
    return torch.where(choose.view(-1, *[1] * (no.ndim - 1)), yes, no)


def _rotate(images: torch.Tensor, masks: torch.Tensor, angles: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Turns about the centre, by radians (N,): images bilinear, masks nearest (class ids cannot be blended)."""
    cos, sin, zero = angles.cos(), angles.sin(), torch.zeros_like(angles)
    theta = torch.stack([cos, -sin, zero, sin, cos, zero], dim=1).view(-1, 2, 3)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    planes = masks if masks.ndim == 4 else masks[:, None]
    outside = float(IGNORE_INDEX)
    turned = F.grid_sample(planes.float() - outside, grid, mode="nearest", align_corners=False) + outside
    turned = turned.round().to(masks.dtype)
    return F.grid_sample(images, grid, align_corners=False), turned if masks.ndim == 4 else turned[:, 0]
