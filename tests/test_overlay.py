"""Overlays of several classes. Alone: pytest tests/test_overlay.py"""

import matplotlib as mpl
import numpy as np
import torch
from matplotlib import pyplot as plt

from seglib import plots
from seglib.plots import overlay

TINTS = {"a": "#ff0000", "b": "#0000ff"}


def test_an_overlay_is_transparent_where_no_class_is_and_has_each_class_colour():
    found = overlay.rgba(np.array([[0, 1], [2, 255]]), {"a": 1, "b": 2}, TINTS, 0.5)
    assert found[0, 0].tolist() == [0, 0, 0, 0]
    assert found[0, 1].tolist() == [1, 0, 0, 0.5] and found[1, 0].tolist() == [0, 0, 1, 0.5]
    assert found[1, 1].tolist() == [*mpl.colors.to_rgb(overlay.GREY), 0.5]


def test_where_channels_overlap_the_colours_are_mixed():
    channels = np.array([[[1, 1, 0]], [[0, 1, 0]]], dtype=bool)  # background has no channel here
    found = overlay.rgba(channels, {"a": 0, "b": 1}, TINTS, 0.5)
    assert found[0].tolist() == [[1, 0, 0, 0.5], [0.5, 0, 0.5, 0.5], [0, 0, 0, 0]]


def test_every_column_and_class_is_named():
    images = torch.zeros((2, 3, 8, 8), dtype=torch.uint8)
    masks = torch.zeros((2, 8, 8), dtype=torch.uint8)
    masks[:, 2:5, 2:5] = 2
    figure = plots.overlays(images, {"truth": masks, "mine": masks}, {"a": 1, "b": 2}, ["first", "second"])
    assert [axis.get_title() for axis in figure.axes[:3]] == ["image", "truth", "mine"]
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["a", "b"]
    assert len({patch.get_edgecolor() for patch in figure.legends[0].get_patches()}) == 2
    plt.close(figure)
