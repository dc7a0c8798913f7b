"""The explorers without a browser: what filters let through, what is drawn, live scores, the picture that pages have.

Alone: pytest tests/test_explore.py
"""

import io
import re

import matplotlib.image
import nbformat
import numpy as np
import pytest
import stored
import torch

from seglib import experiment, explore, paths, scores, seal
from seglib.config import Config
from seglib.data import load
from seglib.explore import probabilities
from seglib.explore.browsers import PredictionExplorer, SampleBrowser
from seglib.explore.predictions import DISAGREE, Predictions
from seglib.explore.samples import NONE, Samples

SIZE = 32
HOSTILE = '<img src=x onerror="alert(1)"> & $\\frac{a}{b}$'
TINY = {"model": "unet", "model_options": {"width": 0.0625}, "image_size": SIZE, "threads": 1, "device": "cpu"}
FEW = {"train_images": 4, "val_images": 2, "test_images": 34, "epochs": 1, "batch_size": 2}


@pytest.fixture
def splits():
    """Images whose masks are: nothing, class a in a quarter, class b in half, both in halves; three splits alike."""
    masks = torch.zeros((4, SIZE, SIZE), dtype=torch.uint8)
    masks[1, :16, :16] = 1
    masks[2, :16] = 2
    masks[3, :16], masks[3, 16:] = 1, 2
    return stored.dataset(masks, "multiclass", ("background", "a", HOSTILE))


@pytest.fixture
def compared():
    """Two models of two seeds on forty images."""
    masks = stored.discs(size=SIZE)
    return {
        name: stored.model(name, noise, masks, (0, 1), image_size=SIZE) for name, noise in {"a": 0.2, "b": 0.4}.items()
    }, (stored.dataset(masks))


def pixels(picture):
    return matplotlib.image.imread(io.BytesIO(bytes(picture)), format="png")


def test_filters_let_through_what_has_the_class_and_the_area(splits):
    browser = SampleBrowser(Samples(splits))
    assert len(browser.rows) == 12 and browser.place.max == 11
    browser.split.value = "val"
    assert [row for _, row in browser.rows] == [4, 5, 6, 7]
    browser.shown_class.value = 1
    assert [row for _, row in browser.rows] == [5, 7]
    browser.area.value = (25, 60)
    assert [row for _, row in browser.rows] == [5] and "image 001, 32×32 px" in browser.sentence.value
    browser.shown_class.value, browser.area.value, browser.split.value = NONE, (0, 100), ""
    assert [row for _, row in browser.rows] == [0, 4, 8]
    browser.area.value = (90, 100)
    assert not browser.rows and browser.picture.layout.display == "none" and "No image" in browser.sentence.value
    browser.shown_class.value = -1
    assert [row for _, row in browser.rows] == [3, 7, 11] and browser.picture.layout.display is None


def test_stepping_goes_round_and_slider_and_names_agree(splits):
    browser = SampleBrowser(Samples(splits))
    before = browser.picture.value
    browser.next.click()
    assert browser.place.value == browser.name.value == 1 and browser.picture.value != before
    browser.name.value = 3
    assert browser.place.value == 3 and browser.sentence.value.find("4 of 12") > 0
    browser.place.value = 0
    browser.previous.click()
    assert browser.place.value == 11 and browser.name.value == 11
    browser.split.value = "test"  # keeps the image shown
    assert browser.row == 11 and browser.place.value == 3


def test_at_opacity_nought_the_mask_is_not_seen_and_it_is_in_its_class_colour_at_one(splits):
    samples = Samples(splits)
    browser = SampleBrowser(samples)
    browser.place.value = 1
    browser.opacity.value = 1
    covered = pixels(browser.picture.value)
    orange = np.abs(covered[..., :3] - np.array([0xE6, 0x9F, 0x00]) / 255).max(-1) < 0.01
    browser.opacity.value = 0
    bare = pixels(browser.picture.value)
    assert orange.mean() > 0.02 and bare.shape == covered.shape
    quarter = orange & (bare[..., :3].max(-1) < 0.01)  # the images of these splits are black
    assert quarter.sum() == pytest.approx((bare[..., :3].max(-1) < 0.01).sum() / 8, rel=0.1)  # one of two pictures


def test_names_are_text_wherever_they_are_shown(splits):
    samples = Samples(splits)
    samples.table.loc[2, "image"] = HOSTILE
    browser = SampleBrowser(samples)
    browser.place.value = 2
    assert "<img" not in browser.sentence.value and "&lt;img src=x" in browser.sentence.value
    assert not any(getattr(w, "description_allow_html", False) for w in (browser.name, browser.shown_class))


def test_scores_shown_first_are_the_stored_ones_in_the_chosen_order(compared):
    groups, splits = compared
    explorer = PredictionExplorer(Predictions(groups, splits))
    dice = scores.per_image(groups["a"][0])["Dice"]
    assert explorer.row == dice.idxmin() and [row for _, row in explorer.rows] == list(
        dice.sort_values(kind="stable").index
    )
    shown = re.findall(r"Dice ([\d.]+), IoU [\d.]+ \(stored: ([\d.]+)", explorer.sentence.value)
    assert len(shown) == 2 and all(live == kept for live, kept in shown)
    explorer.order.value = "name"
    assert [row for _, row in explorer.rows] == list(range(40))
    explorer.order.value = DISAGREE
    gaps = (dice - scores.per_image(groups["b"][0])["Dice"]).abs()
    assert explorer.row == gaps.idxmax()
    explorer.order.value = "largest HD95 first"
    assert explorer.row == scores.per_image(groups["a"][0])["HD95"].idxmax()


def test_another_model_or_seed_keeps_the_image_and_shows_its_own_scores(compared):
    groups, splits = compared
    explorer = PredictionExplorer(Predictions(groups, splits))
    explorer.place.value = 7
    row, before = explorer.row, explorer.picture.value
    explorer.seed.value = groups["a"][1]
    assert explorer.row == row and explorer.picture.value != before
    assert f"a, seed 1: Dice {scores.per_image(groups['a'][1])['Dice'][row]:.3f}" in explorer.sentence.value
    explorer.model.value = "b"
    assert explorer.shown == [groups["b"][0]] and explorer.sentence.value.count("stored") == 1
    explorer.other.value = "a"
    assert explorer.shown == [groups["b"][0], groups["a"][0]] and explorer.row == row
    explorer.other.value = ""
    assert explorer.shown == [groups["b"][0]]


def test_live_scores_follow_probabilities_from_the_stored_weights_and_are_the_runs_own_at_one_half():
    run = experiment.run(Config(**TINY, **FEW))
    splits = load(run.config)
    for row in (0, 33):  # of two batches
        assert (probabilities.predicted(run, splits, row, 0.5) == run.predictions()[row]).all()
    explored = Predictions({"tiny": [run]}, splits)
    at_half = [explored.scored(probabilities.predicted(run, splits, row, 0.5), row) for row in range(34)]
    table = scores.per_image(run)
    assert np.allclose(at_half, table[["Dice", "IoU"]].to_numpy(), rtol=1e-6)
    # pooled over the test set, what is above a threshold is what the run counted there
    kept = run.thresholds.set_index("threshold")
    for threshold in (0.2, 0.5, 0.7):
        above = np.stack([probabilities.predicted(run, splits, row, threshold) for row in range(34)])
        assert above.sum() == kept.loc[threshold, ["tp", "fp"]].sum()


def test_probabilities_are_computed_once_when_asked_for_and_that_is_said(monkeypatch):
    run = experiment.run(Config(**TINY, **FEW, seed=2))  # not in the tests' common cache
    said, computed = [], []
    levels = probabilities._levels
    monkeypatch.setattr(probabilities, "_levels", lambda *a: computed.append(len(a[2])) or levels(*a))
    explorer = PredictionExplorer(Predictions({"tiny": [run]}, load(run.config)))
    explorer.sentence.observe(lambda change: said.append(change["new"]), "value")
    explorer.opacity.value = 0.2
    assert not computed, "stored masks need no model"
    explorer.threshold.value = 0.3
    assert computed == [32] and "computing the probabilities" in said[-2] and "Dice" in said[-1]
    explorer.threshold.value = 0.1
    assert computed == [32] and not any("computing" in text for text in said[-1:])
    again = probabilities.predicted(run, load(run.config), explorer.row, 0.1)
    assert again.sum() >= run.predictions()[explorer.row].sum() and computed == [32]
    assert list((paths.cache() / "probabilities").glob("*/*.npz")) and not list(run.folder.glob("*.npy"))


def test_what_has_no_probabilities_shows_its_stored_masks_and_says_why(compared):
    groups, splits = compared  # made without weights
    explorer = PredictionExplorer(Predictions(groups, splits))
    before = explorer.picture.value
    explorer.threshold.value = 0.3
    assert "stored masks are shown: run a0 has no model.safetensors" in explorer.sentence.value
    assert explorer.picture.value == before
    fault = stored.model("c", 0.2, stored.discs(size=SIZE), (0,), image_size=SIZE, test_in_eval_mode=False)
    with pytest.raises(ValueError, match="training mode"):
        probabilities.predicted(fault[0], splits, 0, 0.3)


def test_weights_that_do_not_give_the_stored_masks_are_refused():
    run = experiment.run(Config(**TINY, **FEW, seed=3))
    splits = load(run.config)
    other = experiment.run(Config(**TINY, **FEW, seed=1))
    (run.folder / "predictions.npz").write_bytes((other.folder / "predictions.npz").read_bytes())
    seal.write(run.folder, {name: value for name, value in run.meta.items() if name not in ("files", "sha256")})
    with pytest.raises(ValueError, match="do not give its stored masks"):
        probabilities.predicted(run, splits, 0, 0.3)


def test_multiclass_leaves_what_is_not_certain_enough_to_the_background(splits, monkeypatch):
    probs = torch.full((4, 3, SIZE, SIZE), 0.2)
    probs[:, 1] = 0.6  # class a everywhere, at 0.6
    run = stored.store("m", probs, splits, image_size=SIZE)
    levels = np.full((4, 1, SIZE, SIZE), 59, np.uint8)
    monkeypatch.setattr(probabilities, "_part", lambda *_: (levels, run.predictions()))
    explored = Predictions({"m": [run]}, splits)
    assert explored.masks(run, 0, 0.59)[1].all() and not explored.masks(run, 0, 0.6)[1].any()
    assert explored.masks(run, 0, 0.6)[0].all()
    explorer = PredictionExplorer(explored)
    assert explorer.threshold.value == 0 and "(stored: " in explorer.sentence.value
    explorer.colours.value = True
    explorer.threshold.value = 0.7
    assert scores.per_image(run)["Dice"][0] != explored.scored(explored.masks(run, 0, 0.7), 0)[0]


def test_runs_of_other_images_are_refused(compared):
    groups, _ = compared
    fewer = stored.dataset(stored.discs(count=5, size=SIZE))
    with pytest.raises(ValueError, match="a, seed 0 was not tested on these test images"):
        explore.predictions(groups, fewer)
    with pytest.raises(ValueError, match="tested at 32 px, these images have 24 px"):
        explore.predictions(groups, stored.dataset(stored.discs()))


def test_without_a_front_end_there_is_a_picture_and_no_widget(splits, compared):
    for shown in (explore.dataset(splits), explore.predictions(*compared)):
        bundle = shown._repr_mimebundle_()
        assert bundle.keys() == {"text/plain", "image/png"} and shown.controls is None
        assert pixels(shown.picture).std() > 0


CELL = """
from seglib import data, explore
from seglib.config import Config
splits = data.load(Config(dataset="lesions", image_size=32, train_images=4, val_images=2, test_images=2))
explore.dataset(splits)
"""


@pytest.mark.parametrize("front_end", [False, True])
def test_a_notebook_shows_the_picture_headless_and_in_its_page_and_the_widget_to_a_person(front_end):
    from nbclient import NotebookClient

    from seglib.render.page import PageExporter

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])

    class Client(NotebookClient):
        async def async_start_new_kernel_client(self):
            client = await super().async_start_new_kernel_client()
            client.allow_stdin = front_end  # what a front end with a person says
            return client

    Client(notebook, kernel_name="python3", store_widget_state=not front_end).execute()  # Lab stores none
    (output,) = [o for o in notebook.cells[0].outputs if o.output_type == "execute_result"]
    assert "image/png" in output.data and "widgets" not in notebook.metadata
    assert ("application/vnd.jupyter.widget-view+json" in output.data) == front_end
    page, _ = PageExporter().from_notebook_node(notebook)
    assert page.count("data:image/png;base64,") == 1 and "widget" not in page.partition("<body>")[2]
