"""`shapes`: up to five flat-coloured shapes on black, after the rules of Purdue's PurdueShapes5MultiObject.

Each image holds one to five objects out of rectangle, triangle, disk, oval and star, each of random size, place,
orientation and colour; a later one covers an earlier one in the image. `multiclass` masks say which shape is seen
at a pixel; in `planes` each shape has a plane of its own, so that covered parts still count.

Reference: Avinash Kak, DLStudio 2.5, Purdue University (the data set's description; drawn here from scratch).
"""

import math

import torch
import torch.nn.functional as F

from seglib import digest
from seglib.data.core import SPLITS, Source
from seglib.randomness import generator

SHAPES = ("rectangle", "triangle", "disk", "oval", "star")
SIZES = {"train": 9_000, "val": 1_000, "test": 1_000}  # Purdue's 10,000 (a tenth held out) and 1,000
FIRST_INDEX = {"train": 0, "val": 1_000_000, "test": 2_000_000}  # so that no two splits share an image
CANVAS = 64  # pixels


class Shapes(Source):
    """Multiclass (background and five shapes) or five planes. Image i depends on (seed, i) alone."""

    tasks = ("multiclass", "planes")
    generated = True

    def class_names(self):
        return SHAPES if self.task == "planes" else ("background", *SHAPES)

    def parts(self):
        counts = {split: getattr(self.config, f"{split}_images") or SIZES[split] for split in SPLITS}
        return {
            split: [f"shapes_{FIRST_INDEX[split] + i:07d}" for i in range(count)] for split, count in counts.items()
        }

    def sample(self, split, name, size):
        image, planes = draw(self.config.data_seed, int(name.removeprefix("shapes_")))
        image = F.interpolate(image[None].float(), size=(size, size), mode="bilinear", antialias=True)[0]
        planes = F.interpolate(planes[None].float(), size=(size, size), mode="nearest-exact")[0].byte()
        image = image.round().clamp(0, 255).byte()
        return (image, (planes > 0).byte()) if self.task == "planes" else (image, _on_top(planes))

    def fingerprint(self):
        return digest.of_value([digest.of_code([__name__]), self.config.data_seed, {s: self.names(s) for s in SPLITS}])

    def note(self):
        return "Generated images (flat shapes on black)"


def draw(seed: int, index: int) -> tuple[torch.Tensor, torch.Tensor]:
    """One image (3, CANVAS, CANVAS) uint8 and its planes (5, CANVAS, CANVAS) uint8.

    A plane holds 0 where its shape is not, else the shape's place in the order of drawing (1 = first), so that
    both the planes and what is seen on top follow from it.
    """
    rng = generator(seed, index)
    line = torch.arange(CANVAS) + 0.5
    y, x = torch.meshgrid(line, line, indexing="ij")
    image = torch.zeros((3, CANVAS, CANVAS), dtype=torch.uint8)
    planes = torch.zeros((len(SHAPES), CANVAS, CANVAS), dtype=torch.uint8)
    count = int(torch.randint(1, 6, (), generator=rng))
    for order, kind in enumerate(torch.randint(len(SHAPES), (count,), generator=rng).tolist(), start=1):
        size, cx, cy, turn, ratio = torch.rand(5, generator=rng).tolist()
        radius = 6 + 12 * size  # pixels
        cx, cy = (radius / 2 + c * (CANVAS - radius) for c in (cx, cy))
        angle = turn * 2 * math.pi
        u = (x - cx) * math.cos(angle) + (y - cy) * math.sin(angle)
        v = (y - cy) * math.cos(angle) - (x - cx) * math.sin(angle)
        inside = _inside(SHAPES[kind], u / radius, v / radius, 0.4 + 0.35 * ratio)
        colour = torch.randint(50, 256, (3, 1), generator=rng, dtype=torch.uint8)
        image[:, inside] = colour
        planes[kind][inside] = order
    return image, planes


def _inside(shape: str, u: torch.Tensor, v: torch.Tensor, ratio: float) -> torch.Tensor:
    """Which points (in radii from the centre) a shape covers; `ratio` is its shorter side over its longer one."""
    if shape == "disk":
        return u.square() + v.square() < 0.8
    if shape == "oval":
        return u.square() + (v / ratio).square() < 1
    if shape == "rectangle":
        return (u.abs() < 1) & (v.abs() < ratio)
    if shape == "triangle":
        return (v < 0.5) & (v > 1.732 * u.abs() - 1)
    # A five-pointed star: in the folded sector, all that is on the centre's side of the edge from tip to notch.
    sector = 2 * math.pi / 5
    bearing = (torch.atan2(v, u).remainder(sector) - sector / 2).abs()
    distance = (u.square() + v.square()).sqrt()
    tip, notch = (math.cos(sector / 2), math.sin(sector / 2)), (0.4, 0.0)
    px, py = distance * bearing.cos(), distance * bearing.sin()
    return (tip[0] - notch[0]) * (py - notch[1]) - (tip[1] - notch[1]) * (px - notch[0]) > 0


def _on_top(planes: torch.Tensor) -> torch.Tensor:
    """The class id seen at each pixel: 0 where no shape is, else 1 + the plane drawn last."""
    order, plane = planes.max(0)
    return torch.where(order > 0, plane + 1, 0).byte()
