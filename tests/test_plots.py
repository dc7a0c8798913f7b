"""Charts: colours, labels, and that numbers can be read. Alone: pytest tests/test_plots.py"""

import base64
import io
import itertools
import re
from types import SimpleNamespace

import matplotlib as mpl
import nbformat
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from PIL import Image

from seglib import paths, plots
from seglib.plots import style
from seglib.render import story
from seglib.stats import Estimate

CELL = Estimate(0.5, 0.4, 0.6)


@pytest.fixture(autouse=True)
def fresh():
    style.assign_colours([])
    yield
    plt.close("all")


def table(count, **columns):
    rows = {name: [CELL] * count for name in ("IoU", "Dice")} | {n: [0.5] * count for n in ("train loss", "val loss")}
    return pd.DataFrame(rows | columns, [f"net{i}, fine-tuned" for i in range(count)])


def history(*losses):
    epochs = range(1, len(losses) + 1)
    return pd.DataFrame({"epoch": epochs, "train_loss": losses, "val_loss": losses, "val_dice": 1 - np.array(losses)})


def test_a_label_keeps_its_colour_whatever_a_chart_shows_beside_it():
    style.assign_colours(["a, frozen", "b, frozen", "a, fine-tuned"])
    found = style.colours(["b, frozen", "new", "a, fine-tuned", "a, frozen"])
    assert found["a, frozen"] == style.PALETTE[0].lower() and found["b, frozen"] == style.PALETTE[1].lower()
    assert len(set(found.values())) == 4 and found == style.colours(list(found))
    assert style.dashes(["a, frozen", "a, fine-tuned"]) == {"a, frozen": "-", "a, fine-tuned": "--"}


def test_twelve_rows_of_one_network_have_twelve_colours():
    labels = [f"net (c=[8, 4]), row {i}" for i in range(12)]
    assert len(set(style.colours(labels).values())) == 12 and len(style._known) == 1


@pytest.mark.parametrize(
    ("label", "parts"),
    [
        ("net (c=[8, 4] d=1), augmented, frozen", ("net (c=[8, 4] d=1)", "augmented, frozen")),
        ("net (a=(1, 2)), frozen", ("net (a=(1, 2))", "frozen")),
        ("net", ("net", "")),
    ],
)
def test_a_label_comes_apart_at_the_comma_that_is_in_no_bracket(label, parts):
    assert style.network_and_row(label) == parts


def test_nine_models_under_two_regimes_have_different_colours():
    labels = [f"{name}, {regime}" for name in "abcdefghi" for regime in ("frozen", "fine-tuned")]
    assert len(set(style.colours(labels).values())) == 18


def test_more_networks_than_the_palette_has_colours_differ_in_shade_dash_and_hatch():
    labels = [f"loss {i}" for i in range(18)]
    assert len(set(style.colours(labels).values())) == 18
    assert style.dashes(labels)["loss 0"] != style.dashes(labels)["loss 10"]
    assert [style.hatches(labels)[f"loss {i}"] for i in (0, 9, 10, 17)] == ["", "", "///", "///"]
    assert len(set(style.class_colours([str(i) for i in range(25)]).values())) == 25


def test_text_in_a_model_s_colour_reads_on_white():
    for colour in style.colours([f"{name}, {row}" for name in range(10) for row in range(5)]).values():
        assert 1.05 / (style._luminance(np.array(mpl.colors.to_rgb(style.ink(colour)))) + 0.05) >= 4.5
    assert style.ink("#000000") == "#000000"


@pytest.mark.parametrize(
    ("wanted", "sizes", "expected"),
    [
        ([1, 5, 9], [2, 2, 2], [1, 5, 9]),  # nothing overlaps: nothing moves
        ([5, 5], [2, 2], [4, 6]),  # as far to either side
        ([5, 4.5], [2, 2], [5.75, 3.75]),  # the order is kept
        ([0, 0, 9], [2, 2, 2], [1, 3, 9]),  # within the axes
        ([10, 10], [2, 4], [5, 8]),
        ([5, 5, 5], [8, 8, 8], [5 / 3, 5, 25 / 3]),  # too many: squeezed evenly
    ],
)
def test_labels_move_as_little_as_they_must(wanted, sizes, expected):
    assert style.spread(wanted, sizes, 0, 10) == pytest.approx(expected)


def test_spread_labels_keep_order_and_distance_wherever_they_want_to_be():
    generator = np.random.default_rng(0)
    for count in range(1, 15):
        wanted, sizes = generator.random(count), generator.uniform(0.01, 0.9 / count, count)
        places = style.spread(wanted, sizes, 0, 1)
        order = np.argsort(wanted)
        gaps, least = np.diff(places[order]), (sizes[order][1:] + sizes[order][:-1]) / 2
        assert (gaps >= least - 1e-12).all()
        assert places.min() >= sizes[places.argmin()] / 2 - 1e-12
        assert places.max() <= 1 - sizes[places.argmax()] / 2 + 1e-12


def seeds_of(*histories):
    """Each history with its best epoch."""
    return [(each, int(each["val_loss"].idxmin()) + 1) for each in histories]


def test_every_line_is_named_at_its_end_and_no_two_names_overlap():
    flat = {f"net{i}, a rather long name": seeds_of(history(0.5, 0.4, 0.3 + i / 500)) for i in range(12)}
    figure = plots.curves_of_rows(flat)
    figure.draw_without_rendering()
    for axis in figure.axes:
        assert {text.get_text().replace("\n", " ") for text in axis.texts} == set(flat)
        boxes = [mpl.text.Text.get_window_extent(text) for text in axis.texts]
        assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))


def test_rows_of_one_network_are_named_without_it():
    figure = plots.curves_of_rows({f"net (c=[8, 4]), {row}": seeds_of(history(0.5, 0.4)) for row in ("a", "b")})
    assert figure.get_suptitle() == "net (c=[8, 4])"
    assert [text.get_text() for text in figure.axes[0].texts] == ["a", "b"]


def test_the_chosen_epoch_of_each_seed_is_ringed_on_its_curve():
    seeds = seeds_of(history(0.6, 0.2, 0.4), history(0.7, 0.5, 0.3))
    rows = {"a": seeds}
    figures = [plots.curves(*zip(*seeds, strict=True)), plots.curves_of_rows(rows), plots.curves_by_network(rows)]
    for figure in figures:
        rings = [line.get_xydata()[0].tolist() for line in figure.axes[-1].lines if line.get_marker() == "o"]
        assert rings == [[2, pytest.approx(0.8)], [3, pytest.approx(0.7)]]
        assert figure.axes[0].get_ylim()[0] == 0
        said = [text.get_text() for text in figure.legends[0].get_texts()]
        assert said == ["chosen epoch", "one seed", "mean over seeds"]


def test_seeds_that_stopped_at_different_epochs_are_averaged_over_those_they_share():
    figure = plots.curves_of_rows({"a": seeds_of(history(0.6, 0.2, 0.1), history(0.4, 0.4))})
    assert figure.axes[0].lines[0].get_xydata().tolist() == [[1, 0.5], [2, pytest.approx(0.3)]]


@pytest.mark.parametrize("count", [1, 4, 5, 9, 18])
def test_the_radar_has_small_multiples_beyond_four_with_the_mean_of_all_behind(count):
    figure = plots.radar(table(count))
    axes = [axis for axis in figure.axes if axis.get_visible()]
    assert len(axes) == (1 if count <= 4 else count)
    if count > 4:
        assert axes[0].lines[0].get_color() == style.GREY and len(axes[0].lines) == 2


@pytest.mark.parametrize("count", [1, 6, 7, 18])
def test_bars_start_at_zero_and_what_has_not_learned_is_marked(count):
    rows = table(count, learned=[False] + [True] * (count - 1))
    for figure in (plots.bars_per_model(rows), plots.side_by_side(rows)):
        patches = [patch for axis in figure.axes for patch in axis.patches]
        assert len(patches) == 4 * count
        assert all(0 in (axis.get_ylim()[0], axis.get_xlim()[0]) for axis in figure.axes if axis.patches)
        figure.draw_without_rendering()
        texts = [text.get_text() for text in figure.findobj(mpl.text.Text)]
        assert len({text for text in texts if "(not learned)" in text}) == 1


def test_losses_in_the_hundreds_leave_the_scores_their_own_axes():
    rows = table(2, **{"val loss": [800.0, 400.0]})
    assert len([patch for axis in plots.bars_per_model(rows).axes for patch in axis.patches]) == 4
    spokes = [label.get_text() for label in plots.radar(rows).axes[0].get_xticklabels()]
    assert spokes == ["IoU", "Dice", "exp(−train loss)", "exp(−val loss ÷ 800)"]


def test_names_of_several_lines_do_not_touch():
    network = "mobilenetv2_decoder (decoder_channels=[16, 8, 8, 8, 8])"
    labels = [f"{network}, from the frozen run {i}" for i in range(9)]
    figure = plots.intervals(pd.DataFrame({"Dice": dict.fromkeys(labels, CELL)}), ["Dice"], {})
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].get_yticklabels()]
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))


def test_a_floor_far_outside_is_written_and_does_not_press_the_models_together():
    cells = {"a": Estimate(5.0, 4.0, 6.0), "all background": Estimate(180.0, 180.0, 180.0)}
    axis = plots.intervals(pd.DataFrame({"HD95": cells}), ["HD95"], {}).axes[0]
    assert axis.get_xlim()[1] < 7 and [text.get_text() for text in axis.texts] == ["180 →"]


def test_a_chart_of_effects_is_around_no_difference_and_fills_what_is_shown():
    rows = pd.DataFrame({"name": ["a", "b"], "difference": [Estimate(0.1, 0.05, 0.15), Estimate(0.0, -0.1, 0.1)],
                         "shown": [True, False]}, ["a", "b"])  # fmt: skip
    axis = plots.effects(rows, "Dice").axes[0]
    assert axis.get_xlim()[0] == -axis.get_xlim()[1]
    faces = [line.get_markerfacecolor() for line in axis.lines if line.get_marker() == "o"]
    assert faces == [style.colours(["a"])["a"], "white"]


def test_a_figure_is_vector_the_same_text_each_time_its_images_in_their_own_pixels():
    texts = {style.as_svg(plots.side_by_side(table(3))) for _ in range(2)}
    assert len(texts) == 1 and "<svg" in (text := texts.pop()) and "<dc:date>" not in text and "<image" not in text
    images, masks = np.zeros((1, 3, 8, 8), np.uint8), np.zeros((1, 8, 8), np.uint8)
    shown = style.as_svg(plots.samples(images, masks, ["a"], {"x": 1}))
    addresses = re.findall(r'href="data:image/png;base64,([^"]+)"', shown)
    sizes = {Image.open(io.BytesIO(base64.b64decode(address))).size for address in addresses}
    assert sizes == {(8, 8)} and "pixelated" in shown
    square = pd.DataFrame([[None, CELL], [CELL, None]], list("ab"), list("ab"))
    pairs = pd.DataFrame({"model": ["b"], "baseline": ["a"], "verdict": ["better"]})
    assert style.as_svg(plots.differences(square, pairs, "Dice")) is not None


def test_a_gallery_tells_a_page_whose_it_is():
    images, masks = np.zeros((1, 3, 8, 8), np.uint8), np.zeros((1, 8, 8), np.uint8)
    name = 'net ("a" <b> & $c$), frozen'
    drawn = plots.gallery(images, masks, masks > 0, {"Dice": {"worst": [(0, "0.1")]}}, name)
    assert story._gallery_of(style.as_svg(drawn).encode()) == name


@pytest.mark.parametrize("name", ["01_dataset_exploration", "08_comparison"])
def test_every_cell_that_shows_something_has_a_caption(name):
    notebook = nbformat.read(paths.NOTEBOOKS / f"{name}.ipynb", as_version=4)
    shows = ("plots.", "tables.show", "families.show", "families.draw", "words.of_reported", "words.of_claims")
    cells = [c for c in notebook.cells if c.cell_type == "code" and "assign_colours" not in c.source]
    cells = [c for c in cells if any(call in c.source for call in shows)]
    assert len(cells) > 5
    for cell in cells:
        caption = cell.metadata.get("caption", "")
        assert caption.endswith(".") and caption[0].isupper() and not set("`*<>") & set(caption), cell.source


def test_a_spike_in_one_epoch_does_not_flatten_the_trials():
    curve = SimpleNamespace(history=history(316.0, 0.4, 0.3, 0.3, 0.2).assign(train_loss=0.5), chosen=3, diverged=None)
    axis = plots.trials({"a": [curve]}).axes[0]
    assert axis.get_ylim()[1] == pytest.approx(1.08 * 0.5) and axis.texts[0].get_text() == "cut off: goes up to 316"
