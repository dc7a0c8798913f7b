"""Figures. Frames and arrays in, matplotlib figures out; one style and one palette for all of them."""

from seglib.plots.data import areas, class_balance, means, samples
from seglib.plots.pictures import models_on_images, predictions
from seglib.plots.scores import bars_per_model, curves, curves_by_model, radar, side_by_side

__all__ = [
    "areas",
    "bars_per_model",
    "class_balance",
    "curves",
    "curves_by_model",
    "means",
    "models_on_images",
    "predictions",
    "radar",
    "samples",
    "side_by_side",
]
