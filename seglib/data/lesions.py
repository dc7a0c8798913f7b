"""`lesions`: generated dermoscopy-like images with one lesion each. No photograph and no patient is in them.

Skin of varying tone with uneven light, a lesion with an irregular border and blotchy pigment, hairs over it,
sometimes a freckle that is *not* lesion, a glare of the gel, and a dark vignette.
"""

import math

import torch
import torch.nn.functional as F

from seglib import digest
from seglib.data.core import SPLITS, Source
from seglib.randomness import generator

SIZES = {"train": 600, "val": 120, "test": 300}  # images, when none are asked for
FIRST_INDEX = {"train": 0, "val": 1_000_000, "test": 2_000_000}  # so that no two splits share an image
CANVAS = 128  # pixels; the side an image is drawn at, before it is resized


class Lesions(Source):
    """Binary: lesion against skin. Image i depends on (seed, i) alone."""

    generated = True

    def class_names(self):
        return ("lesion",)

    def parts(self):
        counts = {split: getattr(self.config, f"{split}_images") or SIZES[split] for split in SPLITS}
        return {
            split: [f"lesion_{FIRST_INDEX[split] + i:07d}" for i in range(count)] for split, count in counts.items()
        }

    def sample(self, split, name, size):
        image, mask = draw(self.config.data_seed, int(name.removeprefix("lesion_")))
        image = F.interpolate(image[None], size=(size, size), mode="bilinear", antialias=True)[0]
        mask = F.interpolate(mask[None, None].float(), size=(size, size), mode="nearest-exact")[0, 0]
        return (image.clamp(0, 1) * 255).round().byte(), mask.byte()

    def fingerprint(self):
        return digest.of_value([digest.of_code([__name__]), self.config.data_seed, {s: self.names(s) for s in SPLITS}])

    def note(self):
        return "Generated images (no photographs): figures say how the methods differ here, nothing about patients"


def draw(seed: int, index: int) -> tuple[torch.Tensor, torch.Tensor]:
    """One image (3, CANVAS, CANVAS) float in [0, 1] and its lesion mask (CANVAS, CANVAS) bool."""
    rng = generator(seed, index)
    line = (torch.arange(CANVAS) + 0.5) / CANVAS * 2 - 1
    y, x = torch.meshgrid(line, line, indexing="ij")

    tone = _uniform(rng, 0, 1)
    skin = torch.tensor([0.93, 0.76, 0.66]) * (1 - tone) + torch.tensor([0.62, 0.43, 0.33]) * tone
    light = 1 + 0.10 * _clouds(rng, 2) + 0.03 * _clouds(rng, 32)
    image = skin[:, None, None] * light

    lesion = _blob(rng, x, y, radius=_uniform(rng, 0.16, 0.62), spread=0.35)
    if _uniform(rng, 0, 1) < 0.4:  # a freckle or an old mole: pigment that is not the lesion
        other = _blob(rng, x, y, radius=_uniform(rng, 0.06, 0.14), spread=0.85)
        image = _pigment(rng, image, other, strength=_uniform(rng, 0.2, 0.5))
    image = _pigment(rng, image, lesion, strength=_uniform(rng, 0.22, 0.85))

    for _ in range(int(_uniform(rng, 0, 1) ** 2 * 15)):
        image = image * (1 - _hair(rng, x, y) * _uniform(rng, 0.4, 0.9))
    image = image + 0.25 * _blob(rng, x, y, radius=0.08, spread=0.8).sigmoid() * (_uniform(rng, 0, 1) < 0.3)
    corner = (x.square() + y.square()).sqrt()
    image = image * (1 - _uniform(rng, 0.2, 1.0) * torch.sigmoid((corner - _uniform(rng, 1.0, 1.3)) * 14))
    image = image + 0.02 * torch.randn(image.shape, generator=rng)
    return image.clamp(0, 1), lesion > 0


def _uniform(rng: torch.Generator, low: float, high: float) -> float:
    return low + (high - low) * torch.rand((), generator=rng).item()


def _clouds(rng: torch.Generator, cells: int) -> torch.Tensor:
    """Smooth noise (CANVAS, CANVAS), about in ±1, with that many bumps across."""
    coarse = torch.rand((1, 1, cells + 3, cells + 3), generator=rng) * 2 - 1
    return F.interpolate(coarse, size=(CANVAS, CANVAS), mode="bicubic", align_corners=True)[0, 0]


def _blob(rng: torch.Generator, x, y, radius: float, spread: float) -> torch.Tensor:
    """A signed field (CANVAS, CANVAS), > 0 inside an irregular closed shape, about -1 to 1 at one radius' distance."""
    cx, cy = _uniform(rng, -spread, spread), _uniform(rng, -spread, spread)
    turn, squeeze = _uniform(rng, 0, math.pi), _uniform(rng, 0.6, 1.0)
    u = (x - cx) * math.cos(turn) + (y - cy) * math.sin(turn)
    v = ((y - cy) * math.cos(turn) - (x - cx) * math.sin(turn)) / squeeze
    angle, border = torch.atan2(v, u), torch.ones_like(x)
    for k in range(2, 8):  # bumps around the border, smaller the finer they are
        border = border + _uniform(rng, 0, 0.45) / k * torch.cos(k * angle + _uniform(rng, 0, 2 * math.pi))
    return border + 0.12 * _clouds(rng, 12) - (u.square() + v.square()).sqrt() / radius


def _pigment(rng: torch.Generator, image: torch.Tensor, blob: torch.Tensor, strength: float) -> torch.Tensor:
    """Darkens and browns the image inside a blob; the edge fades, and the pigment is uneven."""
    edge = torch.sigmoid(blob * _uniform(rng, 8, 30))
    density = (edge * (1 + 0.5 * _clouds(rng, 3) + 0.25 * _clouds(rng, 10)) * strength).clamp(0, 1)
    red = _uniform(rng, 0.18, 0.50)
    green = red * _uniform(rng, 0.45, 0.68)
    brown = torch.tensor([red, green, green * _uniform(rng, 0.60, 1.05)])
    return image * (1 - density) + brown[:, None, None] * density


def _hair(rng: torch.Generator, x, y) -> torch.Tensor:
    """A thin curved line (CANVAS, CANVAS) in [0, 1]."""
    turn, bend, offset = _uniform(rng, 0, math.pi), _uniform(rng, -0.6, 0.6), _uniform(rng, -0.9, 0.9)
    along, across = x * math.cos(turn) + y * math.sin(turn), y * math.cos(turn) - x * math.sin(turn)
    distance = (across - offset - bend * along.square()).abs()
    ends = (along - _uniform(rng, -0.5, 0.5)).abs() < _uniform(rng, 0.3, 1.2)
    return torch.exp(-((distance / _uniform(rng, 0.008, 0.018)) ** 2)) * ends
