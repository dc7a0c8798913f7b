"""Losses and λ: magnitudes, best and worst, report 5's claims, charts. Alone: pytest tests/test_coefficients.py"""

import numpy as np
import pandas as pd
import pytest
import stored
from matplotlib import pyplot as plt

from seglib import coefficients, divergence, experiment, plots, reported
from seglib.config import Config

TERMS = ["mse", "dice"]
NAN = float("nan")


def at_last_epoch(group, loss, **options):
    """Runs as if they had been trained under this loss, with the last epoch chosen."""
    for run in group:
        run.meta["best_epoch"] = len(run.history)
        vars(run)["config"] = run.config.with_(loss=loss, loss_options=options)
    return group


def sum_of(weight, noise=0.4, mse=(10.0, 4.0), dice=(0.5, 0.25), ious=(0.3, 0.6), seeds=(0, 1, 2), name="s"):
    """Runs of mse + λ dice whose history holds these terms."""
    history = [
        {"epoch": i, "train_loss": m + weight * d, "train_mse": m, "train_dice": d, "val_loss": 1.0, "val_iou": v}
        for i, (m, d, v) in enumerate(zip(mse, dice, ious, strict=True), start=1)
    ]
    return at_last_epoch(
        stored.model(f"{name}{weight}x", noise, seeds=seeds, history=history), {"mse": 1.0, "dice": weight}
    )


def single(name, noise=0.4, ious=(0.2, 0.4), seeds=(0, 1, 2)):
    history = [{"epoch": i, "train_loss": 1 / i, "val_loss": 1.0, "val_iou": v} for i, v in enumerate(ious, start=1)]
    return at_last_epoch(stored.model(name, noise, seeds=seeds, history=history), name)


def test_the_ratio_is_of_the_terms_with_their_weights():
    (run,) = sum_of(20, seeds=[0])
    assert list(coefficients.ratio(run, TERMS)) == [20 * 0.5 / 10, 20 * 0.25 / 4]
    assert list(coefficients.ratio(run, TERMS[::-1])) == [1, 1 / 1.25]  # the same sum, as dice + 0.05 mse
    course = coefficients.course(run)
    assert list(course["20 · dice"]) == [10, 5] and list(course["mse"]) == [10, 4] and list(course["chosen"]) == [0, 1]
    assert list(coefficients.course(single("bce")[0])["bce"]) == [1, 0.5]


def test_a_term_that_is_not_above_0_has_no_ratio():
    (run,) = sum_of(20, dice=(-0.5, 0.25), seeds=[0])
    found = coefficients.ratio(run, TERMS)
    assert np.isnan(found[0]) and found[1] == 1.25


def test_seeds_on_either_side_of_equal_are_apart_all_the_same():
    half, double = sum_of(20, dice=(1, 0.1), seeds=[0], name="a"), sum_of(20, dice=(1, 0.4), seeds=[1], name="b")
    row = coefficients.magnitudes({"mse + 20 dice": half + double}, TERMS).loc["mse + 20 dice"]
    assert row["ratio, chosen epoch"] == pytest.approx(1) and row["apart"] == pytest.approx(2)
    assert row["λ · dice"] == pytest.approx(20 * 0.25) and row["mse"] == 4 and row["target scale"] == "unit"


def test_nearest_to_the_same_magnitude_is_by_factor_from_either_side():
    groups = {f"mse + {w} dice": sum_of(w, seeds=[0]) for w in (4, 20, 60)}  # ratios 0.25, 1.25, 3.75
    groups["dice"] = single("dice", seeds=[0])
    found = coefficients.magnitudes(groups, TERMS)
    assert list(found["apart"].round(6)) == [4, 1.25, 3.75] and coefficients.nearest(found) == "mse + 20 dice"
    text = coefficients.of_balance(groups, TERMS).data
    assert "is λ = 20: mse and λ · dice are a factor of 1.2 apart" in text and "one seed" in text
    assert "at every λ tried" not in text
    above = {label: groups[label] for label in ("mse + 20 dice", "mse + 60 dice")}
    assert "λ · dice is the larger term at every λ tried" in coefficients.of_balance(above, TERMS).data


def test_best_and_worst_are_by_the_best_validation_iou():
    groups = {
        "early": single("a", ious=(0.9, 0.1)),
        "late": single("b", ious=(0.2, 0.5)),
        "none": single("c", ious=(NAN,)),
    }
    groups["middle"] = single("d", ious=(0.6, 0.6))
    assert coefficients.best_and_worst(groups) == ["early", "late"]
    assert "the best is **early** (0.900), the worst is **late** (0.500)" in coefficients.of_extremes(groups).data
    assert coefficients.best_and_worst({"late": groups["late"]}) == ["late"]
    assert coefficients.best_and_worst({"none": groups["none"]}) == []


@pytest.mark.parametrize(
    ("noises", "nearest_is_best", "middle_is_worst"),
    [
        ({20: 0.2, 40: 0.6, 60: 0.4}, "held", "held"),
        ({20: 0.6, 40: 0.2, 60: 0.4}, "contradicted", "contradicted"),
        ({20: 0.4, 40: 0.4, 60: 0.4}, "not shown", "not shown"),
        ({20: 0.2, 40: 0.4, 60: 0.6}, "held", "contradicted"),
    ],
)
def test_a_claim_is_held_not_shown_or_contradicted(noises, nearest_is_best, middle_is_worst):
    groups = {f"mse + {w} dice": sum_of(w, noise) for w, noise in noises.items()}  # λ = 20 is nearest
    asked = coefficients.claims(groups, TERMS)
    assert [claim["text"].split(" is the ")[0] for claim in asked] == [
        "λ = 20, which brings both terms nearest to the same magnitude,",
        "λ = 40, the middle one,",
    ]
    assert list(reported.answered(asked, groups)["answer"]) == [nearest_is_best, middle_is_worst]


def test_the_sum_is_compared_with_its_terms_alone_and_of_an_even_number_none_is_in_the_middle():
    groups = {"mse": single("mse", 0.4), "dice": single("dice", 0.6)}
    groups |= {f"mse + {w} dice": sum_of(w, 0.2, seeds=[0]) for w in (20, 60)}
    found = reported.answered(coefficients.claims(groups, TERMS), groups)
    assert not found["claim"].str.contains("middle").any()
    assert list(found["answer"])[1:] == ["held", "held"]
    assert "these trained models" in found["evidence"][1] and "these trained models" not in found["evidence"][2]
    assert coefficients.claims({"mse": groups["mse"]}, TERMS) == []


def test_variants_are_asked_apart():
    groups = {f"mse + {w} dice": sum_of(w) for w in (20, 60)}
    groups |= {f"mse + {w} dice, unit scale": sum_of(w, name="u") for w in (20, 60)}
    groups["mse, unit scale"] = single("mse")
    asked = coefficients.claims(groups, TERMS)
    assert [claim["text"].endswith("(unit scale)") for claim in asked] == [False, True, True]
    assert asked[1]["better"] == "mse + 20 dice, unit scale" and asked[2]["worse"] == "mse, unit scale"


def cells():
    """λ = 20 and 60 at two rates; one pair has no run."""
    groups = {"a": sum_of(20, ious=(0.5, 0.1)), "b": sum_of(20), "c": sum_of(60)}
    places = {"a": (20, 0.1), "b": (20, 0.01), "c": (60, 0.1), "d": (60, 0.01)}
    wanted = {x: Config(loss={"mse": 1, "dice": weight}, lr=lr) for x, (weight, lr) in places.items()}
    return coefficients.cells(wanted, groups, TERMS)


def test_a_cell_without_a_run_has_no_value():
    found = cells().set_index(["λ", "lr"])
    assert found["val IoU"].round(6).tolist()[:3] == [0.5, 0.6, 0.6] and np.isnan(found["val IoU"][60, 0.01])
    assert found["sd"][20, 0.1] == pytest.approx(0) and found["seeds"][60, 0.01] == 0
    text = coefficients.of_cells(cells()).data
    assert "another at another learning rate: λ = 20 at lr = 0.01, λ = 60 at lr = 0.1" in text


def test_a_run_that_diverges_is_left_out_and_named(monkeypatch):
    def run(config, runs_after):
        if config.lr > 1 or config.seed == 1:
            raise FloatingPointError
        return config

    monkeypatch.setattr(experiment, "run", run)
    wanted = {"slow": Config(), "fast": Config(lr=10.0)}
    groups = divergence.run_rows(wanted, [0, 1])
    assert {label: [run.seed for run in group] for label, group in groups.items()} == {"slow": [0]}
    text = divergence.of_missing(wanted, [0, 1], groups).data
    assert "slow (1 of 2 seeds); fast (2 of 2 seeds)." in text
    assert divergence.of_missing(wanted, [0], {"slow": [0], "fast": [0]}).data == ""
    with pytest.raises(FloatingPointError, match="every run of fast stopped being finite"):
        divergence.run_rows({"fast": wanted["fast"]}, [0])


def course(ious, ratio=(1.0, 2.0), terms=("mse",)):
    return pd.DataFrame({
        "epoch": [1, 2], "chosen": [False, True], "val_iou": ious, "total": [1.0, 0.5], "val_total": [1.0, 0.8],
        "ratio": ratio, **{term: [0.5, 0.2] for term in terms},
    })  # fmt: skip


@pytest.mark.parametrize(
    "courses",
    [
        {"mse": [course([0.1, 0.2])]},
        {"mse": [course([NAN, NAN], (NAN, NAN))], "sum": [course([0, 0.3], (NAN, 3), ("mse", "60 · dice"))] * 3},
        {f"loss {i}": [course([0.1, 0.1 * i], terms=("a", "b"))] for i in range(9)},
    ],
)  # fmt: skip
def test_charts_bear_one_seed_one_loss_and_what_is_not_there(courses):
    for figure in (plots.validation_curves(courses), plots.term_curves(courses), plots.ratios(courses, TERMS)):
        figure.canvas.draw()
        plt.close(figure)


def test_charts_of_nothing_say_so(capsys):
    assert plots.term_curves({}) is None and plots.ratios({"mse": [course([0, 1], (NAN, NAN))]}, TERMS) is None
    assert plots.heat_map(cells().iloc[:0]) is None
    assert capsys.readouterr().out.count("\n") == 3


def test_the_heat_map_says_which_cell_has_no_value():
    figure = plots.heat_map(cells())
    figure.canvas.draw()
    texts = {tuple(map(int, text.get_position())): text.get_text() for text in figure.axes[0].texts}
    assert texts[0, 0] == "no value" and texts[1, 0] == "0.600\nsd 0.000"  # λ = 60 is on top, lr = 0.01 on the left
    nothing = plots.heat_map(cells().assign(**{"val IoU": NAN}))
    assert [text.get_text() for text in nothing.axes[0].texts] == ["no value"] * 4


@pytest.mark.parametrize(("task", "panels"), [("binary", 2), ("planes", 6)])
def test_an_image_has_a_panel_per_loss_and_plane(task, panels):
    mask = np.zeros((3, 8, 8) if task == "planes" else (8, 8), dtype=np.uint8)
    mask[..., :4] = 1
    channels = np.zeros((3 if task == "planes" else 1, 8, 8), dtype=bool)
    classes = {"a": 0, "b": 1, "c": 2} if task == "planes" else {"lesion": 1}
    image = np.zeros((3, 8, 8), dtype=np.uint8)
    figure = plots.planes(image, mask, {"mse": channels, "dice": ~channels}, classes, "title")
    assert sum(axis.get_visible() for axis in figure.axes) == panels
    assert all(len(axis.collections) == 1 for axis in figure.axes)  # the truth; what is all or nothing has no outline
