"""What all losses may be told besides logits and target, checked."""

import math
from dataclasses import dataclass

from seglib import names

SMALLEST_EPS = 1e-12
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
