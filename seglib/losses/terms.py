"""The losses one by one: each a formula over (logits, truth, valid) that gives one value per image.

Shape: everywhere logits (N, C, H, W) float, 0 where not valid; truth and valid (N, C, H, W) bool as
    `metrics.one_hot` makes them (truth only where valid); returns (N,). Pixels that are not valid count
    nowhere, and an image without valid pixels has loss 0.
Reduction: `image` is over the pixels of each image, so that no value depends on the rest of the batch;
    `batch` is over the pixels of the batch, and every image carries the batch's value. Dice and IoU are
    taken per class (or plane), then averaged over classes.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from seglib import names

PLANE_STEP = 50.0  # report 5: where plane k is on, a target in `values` holds (k + 1) · 50
SMALLEST_EPS = 1e-12
NOMINAL_BATCH = 4  # report 5 sums Dice over a batch of 4; a fixed 4 keeps λ free of the batch size
CHOICES = {"target_scale": ("unit", "values"), "reduction": ("image", "batch")}
SWITCHES = ("include_background", "squared_denominator", "dice_factor_2", "on_logits")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a loss needs besides logits and target; all but the first two are options of `build_loss`.

    An option that a loss has no use for changes nothing in it.

    Raises: ValueError for a value that cannot be, or a pair that cannot go together.
    """

    task: str  # binary, multiclass or planes
    num_classes: int  # channels of the logits
    target_scale: str = "unit"  # unit: probabilities, {0, 1}; values: outputs, 0 or (k + 1) · 50
    reduction: str = "image"  # image, or batch: pooled over the batch
    class_weights: list[float] | None = None  # one per class; binary: [background, foreground] of a pixel
    include_background: bool = True  # multiclass: class 0 counts in dice and iou
    squared_denominator: bool = True  # dice and iou: Σp² + Σg² (V-Net, report 5); false: Σp + Σg
    eps: float = 1e-6  # dice and iou; near 1 a false alarm on an empty mask costs by its size
    # faults of the reports, to show what they do
    dice_factor_2: bool = True  # false: report 5's Dice lacks the factor 2; perfect costs 0.5
    on_logits: bool = False  # true: report 3's likely dice and iou of raw logits, Σp + Σg below

    def __post_init__(self):
        for name, allowed in CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ValueError(names.unknown(name, getattr(self, name), allowed))
        for name in SWITCHES:
            if type(getattr(self, name)) is not bool:
                raise ValueError(f"{name} is {getattr(self, name)!r}, expected true or false")
        check_positive("eps", self.eps)
        if self.eps < SMALLEST_EPS:
            raise ValueError(f"eps is {self.eps}, expected at least {SMALLEST_EPS}: less is lost in float32")
        if self.class_weights is not None:
            self._check_class_weights()
        if self.target_scale == "values":
            self._check_values()

    def _check_class_weights(self) -> None:
        count = 2 if self.task == "binary" else self.num_classes
        if not isinstance(self.class_weights, (list, tuple)) or len(self.class_weights) != count:
            each = "background, foreground" if self.task == "binary" else "one per class"
            raise ValueError(f"class_weights is {self.class_weights!r}, expected a list of {count} ({each})")
        for weight in self.class_weights:
            check_positive("a class weight", weight)

    def _check_values(self) -> None:
        if self.task != "planes":
            raise ValueError(f"target_scale: values is for task planes, not {self.task}; use unit")
        if self.on_logits or not self.squared_denominator:
            raise ValueError(
                "target_scale: values goes with on_logits: false and squared_denominator: true; "
                "outputs are not probabilities, and with plain sums their Dice could exceed 1"
            )


def check_positive(what: str, value: object) -> None:
    """Raises ValueError unless the value is a finite number above 0."""
    if type(value) not in (int, float) or not 0 < value < math.inf:
        raise ValueError(f"{what} is {value!r}, expected a positive number such as 1.0e-3")


def plane_values(logits: torch.Tensor) -> torch.Tensor:
    """What plane k holds where it is on, (k + 1) · 50: (C, 1, 1)."""
    return PLANE_STEP * torch.arange(1, logits.shape[1] + 1, device=logits.device).view(-1, 1, 1)


def probabilities(logits: torch.Tensor, task: str, target_scale: str = "unit") -> torch.Tensor:
    """Logits → probabilities in [0, 1], (N, C, H, W): the one place where this is done.

    Softmax over classes for multiclass, else sigmoid. With target_scale `values` the output over (k + 1) ·
    50, clamped: above 0.5 it is nearer to (k + 1) · 50 than to 0.
    """
    if target_scale == "values":
        return (logits / plane_values(logits)).clamp(0, 1)
    return logits.softmax(1) if task == "multiclass" else logits.sigmoid()


def bce(logits, truth, valid, settings: Settings) -> torch.Tensor:
    """Binary cross-entropy −g·log p − (1 − g)·log(1 − p): mean over pixels and planes, in [0, ∞).

    Computed from logits; report 1's sigmoid followed by BCELoss is the same function.
    """
    losses = F.binary_cross_entropy_with_logits(logits, truth.to(logits.dtype), reduction="none")
    return _mean(losses, _weights(logits, truth, settings) * valid, settings)


def cross_entropy(logits, truth, valid, settings: Settings) -> torch.Tensor:
    """Cross-entropy −log p of the true class: mean over pixels, in [0, ∞).

    Class weights make it a weighted mean, each pixel weighing as its true class does. Written out, because
    torch's own over images (nll_loss2d) has no deterministic form on CUDA.
    """
    return _mean(-logits.log_softmax(1), _weights(logits, truth, settings) * truth, settings)


def mse(logits, truth, valid, settings: Settings) -> torch.Tensor:
    """Squared error: mean over pixels and channels.

    `unit`: probabilities against {0, 1}, in [0, 1]. `values` (report 5): outputs as they are against 0 or
    (k + 1) · 50, in [0, ∞).
    """
    if settings.target_scale == "values":
        errors = logits - plane_values(logits) * truth
    else:
        errors = probabilities(logits, settings.task) - truth.to(logits.dtype)
    return _mean(errors.square(), _weights(logits, truth, settings) * valid, settings)


def dice(logits, truth, valid, settings: Settings) -> torch.Tensor:
    """Soft Dice loss 1 − (2·Σp·g + eps) / (Σp² + Σg² + eps) per class, averaged by `_over_classes`.

    Range [0, 1], 0 for a perfect prediction. Truth and prediction both empty: 0. Truth empty, prediction not:
    close to 1 once Σp² is well above eps.
    Reference: Milletari et al., V-Net, 2016, arXiv:1606.04797 (here with eps, and several classes). Report
    5 has eps in the denominator alone and lacks the 2.
    """
    overlap, total = _class_sums(logits, truth, valid, settings)
    factor = 2 if settings.dice_factor_2 else 1
    score = (factor * overlap + settings.eps) / (total + settings.eps)
    return _over_classes(1 - score, truth, settings)


def iou(logits, truth, valid, settings: Settings) -> torch.Tensor:
    """Soft IoU loss 1 − (Σp·g + eps/2) / (Σp² + Σg² − Σp·g + eps/2) per class, in all else as `dice`.

    Half of eps, so that per class Dice = 2·IoU / (1 + IoU) holds exactly.
    Reference: Rahman and Wang, Optimizing Intersection-over-Union in Deep Neural Networks for Image
    Segmentation, ISVC 2016 (theirs is binary, without eps, with squared_denominator: false).
    """
    overlap, total = _class_sums(logits, truth, valid, settings)
    score = (overlap + settings.eps / 2) / (total - overlap + settings.eps / 2)
    return _over_classes(1 - score, truth, settings)


def _class_sums(logits, truth, valid, settings: Settings) -> tuple[torch.Tensor, torch.Tensor]:
    """Σp·g and Σp² + Σg² (or Σp + Σg) over pixels, each (N, C)."""
    p, g = _predicted(logits, truth, settings) * valid, truth.to(logits.dtype)
    squared = settings.squared_denominator and not settings.on_logits
    return _pool(p * g, settings), _pool(p.square() + g if squared else p + g, settings)  # g² = g


def _predicted(logits, truth, settings: Settings) -> torch.Tensor:
    """The p of Dice and IoU: probabilities; with `values` outputs clamped at 0, in units of (k + 1) · 50.

    Those units cancel, and give eps one meaning for all planes. A plane that is empty in the truth then
    passes no gradient: its score is a constant in report 5; here it falls from 1 to 0 within a sliver above
    0, with a slope that would outweigh all other planes.
    """
    if settings.on_logits:
        return logits
    if settings.target_scale == "unit":
        return probabilities(logits, settings.task)
    outputs = (logits / plane_values(logits)).clamp(min=0)
    return torch.where(_pool(truth, settings)[..., None, None] > 0, outputs, outputs.detach())


def _over_classes(losses, truth, settings: Settings) -> torch.Tensor:
    """Losses (N, C) → (N,): the mean over the classes that count, weighted by the class weights.

    Multiclass: those present in the truth of the image, or all where none is. Planes: all, empty or not; with
    target_scale `values` the mean becomes report 5's sum over planes and over a nominal batch of 4.
    """
    weights = torch.ones_like(losses)
    if settings.class_weights and settings.task != "binary":
        weights = weights * losses.new_tensor(settings.class_weights)
    if settings.task == "multiclass":
        if not settings.include_background:
            weights = weights * (torch.arange(losses.shape[1], device=losses.device) > 0)
        present = weights * (_pool(truth, settings) > 0)
        weights = torch.where(present.any(1, keepdim=True), present, weights)
    mean = (weights * losses).sum(1) / weights.sum(1)
    return NOMINAL_BATCH * losses.shape[1] * mean if settings.target_scale == "values" else mean


def _weights(logits, truth, settings: Settings) -> torch.Tensor:
    """The class weights, broadcastable to (N, C, H, W): of the channel; for binary of the true class."""
    if settings.class_weights is None:
        return logits.new_ones(())
    weights = logits.new_tensor(settings.class_weights)
    return torch.where(truth, weights[1], weights[0]) if settings.task == "binary" else weights.view(-1, 1, 1)


def _mean(values, weights, settings: Settings) -> torch.Tensor:
    """Σ weight · value / Σ weight over pixels and channels, (N,); 0 where nothing weighs."""
    total, weight = _pool(weights * values, settings).sum(1), _pool(weights, settings).sum(1)
    return total / torch.where(weight > 0, weight, 1)


def _pool(values, settings: Settings) -> torch.Tensor:
    """Sums over the pixels of each image, or of the whole batch: (N, C, H, W) → (N, C)."""
    sums = values.sum((2, 3))
    return sums.sum(0, keepdim=True).expand_as(sums) if settings.reduction == "batch" else sums
