"""Random changes of training images: on the device, for a whole batch at once, each image in its own way.

What happens to an image is a function of (seed, epoch, image index) and of nothing else, so that order, workers,
batch size and resuming do not change it. Each augmentation has its own draws: switching one on leaves the others'.
Colours change first, then the geometry, then noise is added. What turns in from outside is the normalisation's mean
(0 to the model) in the image, and ignore in the mask.
"""

import math

import torch
import torch.nn.functional as F

from seglib.config import Config
from seglib.data.core import IGNORE_INDEX
from seglib.memory import constant
from seglib.randomness import normals, uniforms

# The column of the draws that each decision reads; a new augmentation takes new columns, and these stay.
FLIP_X, FLIP_Y, ANGLE, SIDE, LEFT, TOP, BRIGHTNESS, CONTRAST, SATURATION, HUE = range(10)
COLUMNS = 16
GREY = (0.299, 0.587, 0.114)  # luma of red, green, blue (ITU-R BT.601)


def augment(
    images: torch.Tensor, masks: torch.Tensor, indices: torch.Tensor, epoch: int, config: Config, fill: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The images and masks as training sees them in this epoch.

    Args: indices — (N,) int64, of the images in their split; config — its seed and augmentation fields; fill — (3,),
        the colour of what turns in from outside.
    Shape: images (N, 3, H, W) float in [0, 1]; masks (N, H, W) or (N, C, H, W) uint8; returns the same.
    """
    draws = uniforms(config.seed, epoch, indices, 2 * COLUMNS)
    if config.color_jitter:
        images = jitter(images, draws, config.color_jitter)
    images = move(images, draws, config, fill.view(1, 3, 1, 1), "bilinear")
    masks = _move_masks(masks, draws if config.joint_transforms else draws[:, COLUMNS:], config)
    if config.noise:
        noise = normals(config.seed, epoch, indices, images[0].numel()).view(images.shape)
        images = (images + config.noise * noise).clamp(0, 1)
    return images, masks


def copies(
    images: torch.Tensor, masks: torch.Tensor, indices: torch.Tensor, number: int, config: Config, fill: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Augmented copy `number` (from 1) of these images, as they are stored: uint8 images and masks."""
    images, masks = augment(images.float() / 255, masks, indices, number, config, fill)
    return (images * 255).round().byte(), masks


def jitter(images: torch.Tensor, draws: torch.Tensor, strength: float) -> torch.Tensor:
    """Random brightness, contrast, saturation (factors uniform in 1 ± strength) and hue (turned by ± strength / 4 of
    the circle), in this order and in one affine map of the colours per image; then cut to [0, 1].

    The hue turns about the grey axis, as in Karras et al., 2020, arXiv:2006.06676, and not in HSV; the share of hue is
    that of Chen et al., SimCLR, 2020, arXiv:2002.05709.
    """
    matrix, offset = colour_maps(images, draws, strength)
    flat = torch.baddbmm(offset[:, :, None], matrix, images.flatten(2))
    return flat.view(images.shape).clamp(0, 1)


def colour_maps(images: torch.Tensor, draws: torch.Tensor, strength: float) -> tuple[torch.Tensor, torch.Tensor]:
    """The affine map of each image's colours: matrices (N, 3, 3) and offsets (N, 3)."""
    change = draws * 2 - 1
    brightness, contrast, saturation = (
        (1 + strength * change[:, column]).view(-1, 1, 1) for column in (BRIGHTNESS, CONTRAST, SATURATION)
    )
    grey = constant(GREY, images.device)
    one, to_grey = torch.eye(3, device=images.device), grey.expand(3, 3)
    mean = torch.einsum("nchw,c->n", images, grey) / images[0, 0].numel() * brightness.flatten()
    matrix = _turns(change[:, HUE] * strength / 4 * 2 * math.pi) @ (one * saturation + to_grey * (1 - saturation))
    offset = matrix @ (mean * (1 - contrast.flatten())).view(-1, 1, 1).expand(-1, 3, 1)
    return matrix * contrast * brightness, offset[:, :, 0]


def _turns(angles: torch.Tensor) -> torch.Tensor:
    """Rotations of colours about the grey axis, by radians (N,): (N, 3, 3)."""
    cos, sin = angles.cos().view(-1, 1, 1), angles.sin().view(-1, 1, 1)
    axis = torch.full((3, 3), 1 / 3, device=angles.device)
    cross = constant(((0, -1, 1), (1, 0, -1), (-1, 1, 0)), angles.device) / math.sqrt(3)
    return torch.eye(3, device=angles.device) * cos + axis * (1 - cos) + cross * sin


def move(tensor: torch.Tensor, draws: torch.Tensor, config: Config, outside, mode: str) -> torch.Tensor:
    """Flips, rotates and crops (N, C, H, W) of any type as the draws say; rotation and crop in one resampling."""
    if config.horizontal_flip:
        tensor = torch.where(draws[:, FLIP_X].view(-1, 1, 1, 1) < 0.5, tensor.flip(-1), tensor)
    if config.vertical_flip:
        tensor = torch.where(draws[:, FLIP_Y].view(-1, 1, 1, 1) < 0.5, tensor.flip(-2), tensor)
    if config.rotation or config.crop < 1:
        grid = F.affine_grid(_geometry(draws, config), [len(tensor), 1, *tensor.shape[2:]], align_corners=False)
        moved = F.grid_sample(tensor.float() - outside, grid, mode=mode, align_corners=False) + outside
        tensor = moved if tensor.is_floating_point() else moved.round().to(tensor.dtype)
    return tensor


def _geometry(draws: torch.Tensor, config: Config) -> torch.Tensor:
    """Where each pixel comes from, in coordinates of ±1: first rotated about the centre, then cropped; (N, 2, 3)."""
    angles = (draws[:, ANGLE] * 2 - 1) * math.radians(config.rotation)
    side = config.crop + (1 - config.crop) * draws[:, SIDE]
    x, y = ((1 - side) * (draws[:, column] * 2 - 1) for column in (LEFT, TOP))
    cos, sin = angles.cos(), angles.sin()
    rows = [side * cos, -side * sin, cos * x - sin * y, side * sin, side * cos, sin * x + cos * y]
    return torch.stack(rows, dim=1).view(-1, 2, 3)


def _move_masks(masks: torch.Tensor, draws: torch.Tensor, config: Config) -> torch.Tensor:
    """Masks by nearest neighbour: class ids cannot be blended."""
    moved = move(masks if masks.ndim == 4 else masks[:, None], draws, config, float(IGNORE_INDEX), "nearest")
    return moved if masks.ndim == 4 else moved[:, 0]
