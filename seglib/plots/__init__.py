"""Figures. Frames and arrays in, matplotlib figures out; one style and one palette for all of them."""

from seglib.plots.data import areas, augmentations, class_balance, means, odd, pairs, samples
from seglib.plots.pictures import models_on_images, predictions
from seglib.plots.scores import bars_per_model, curves, curves_by_model, radar, side_by_side

__all__ = [
    "areas",
    "augmentations",
    "bars_per_model",
    "class_balance",
    "curves",
    "curves_by_model",
    "means",
    "models_on_images",
    "odd",
    "pairs",
    "predictions",
    "radar",
    "samples",
    "side_by_side",
]
