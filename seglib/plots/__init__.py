"""Figures. Frames and arrays in, matplotlib figures out; one style and one palette for all of them."""

from seglib.plots.calibration import reliability, thresholds
from seglib.plots.cost import against_cost, against_rate
from seglib.plots.curves import curves, curves_by_network, curves_of_rows
from seglib.plots.data import areas, augmentations, class_balance, means, odd, pairs, samples
from seglib.plots.losses import heat_map, planes, ratios, term_curves, validation_curves
from seglib.plots.overlay import overlays
from seglib.plots.pictures import gallery, models_on_images, predictions
from seglib.plots.sam import checkpoint_tints, jitter, prompts
from seglib.plots.scores import bars_per_model, radar, side_by_side
from seglib.plots.sheets import sheets_of_models
from seglib.plots.style import assign_colours
from seglib.plots.trials import trials
from seglib.plots.verdicts import differences, effects, intervals

__all__ = [
    "against_cost",
    "against_rate",
    "areas",
    "assign_colours",
    "augmentations",
    "bars_per_model",
    "checkpoint_tints",
    "class_balance",
    "curves",
    "curves_by_network",
    "curves_of_rows",
    "differences",
    "effects",
    "gallery",
    "heat_map",
    "intervals",
    "jitter",
    "means",
    "models_on_images",
    "odd",
    "overlays",
    "pairs",
    "planes",
    "predictions",
    "prompts",
    "radar",
    "ratios",
    "reliability",
    "samples",
    "sheets_of_models",
    "side_by_side",
    "term_curves",
    "thresholds",
    "trials",
    "validation_curves",
]
