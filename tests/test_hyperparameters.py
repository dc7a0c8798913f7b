"""Sweeps: winners, divergence, changes on and off, the control. Alone: pytest tests/test_hyperparameters.py"""

import json

import pandas as pd
import pytest
import stored

from seglib import divergence, experiment, faults, hyperparameters, params, plots, reported, rows, runs, trials
from seglib.config import Config
from seglib.divergence import Diverged

SMALL = Config(
    image_size=32, train_images=8, val_images=4, test_images=6, epochs=2, batch_size=4, device="cpu", threads=1,
    model="six_class_net", model_options={"width": 0.25}, optimizer="sgd", lr=0.001,
)  # fmt: skip


def history(*losses):
    return [
        {"epoch": e, "train_loss": 0.1, "val_loss": x, "val_iou": 0.5, "val_dice": 0.5} for e, x in enumerate(losses, 1)
    ]


def trial(name, *losses, noise=0.2, **more):
    """A trial under two seeds, the second one's validation losses 0.1 higher."""
    masks = stored.discs()
    return [
        stored.model(
            f"{name} {seed}", noise, masks, seeds=(seed,), history=history(*(x + seed / 10 for x in losses)), **more
        )[0]
        for seed in (0, 1)
    ]


def gone(epoch=3, seed=1, **fields):
    return Diverged("0" * 16, Config(seed=seed, **fields), epoch, tuple(history(0.9, 40.0)))


def test_the_winner_is_the_lowest_mean_over_seeds_of_the_best_validation_loss():
    found = {"lr 0.1": trial("a", 0.9, 0.5, 0.7, lr=0.1), "lr 0.01": trial("b", 0.9, 0.8, 0.4, lr=0.01)}
    table = trials.table(found)
    assert table["best val loss"].to_list() == pytest.approx([0.55, 0.45])  # 0.5 and 0.6; 0.4 and 0.5
    assert table["its epoch"].to_list() == ["2, 2", "3, 3"]
    assert table["fluctuation"].to_list() == pytest.approx([0.2, 0.4])  # of the second half: epochs 2 and 3
    assert trials.winner(found, "lr") == {"lr": 0.01} and trials.winner({}, "lr") == {}


def test_a_trial_of_which_a_seed_diverged_cannot_win_and_says_where_it_did():
    best = trial("c", 0.2, 0.1, lr=1.0)
    found = {"lr 1": [best[0], gone(lr=1.0)], "lr 0.01": trial("d", 0.9, 0.4, lr=0.01)}
    assert trials.winner(found, "lr") == {"lr": 0.01} and list(divergence.finished(found)) == ["lr 0.01"]
    assert trials.table(found)["diverged"].to_list() == ["in epoch 3 (seed 1)", "no"]
    text = hyperparameters.of_winner(found, "lr", "").data
    assert "**lr 0.01** has the lowest best validation loss, 0.450 (mean over 2 seeds)" in text
    assert "Diverged: lr 1, in epoch 3 (seed 1)" in text and "end of the values tried: a better lr" in text
    with pytest.raises(ValueError, match="every trial of lr 1 diverged: lr 1, in epoch 3"):
        trials.winner({"lr 1": [gone(lr=1.0)]}, "lr")


def test_a_run_that_diverges_is_kept_remembered_and_stops_nothing(monkeypatch):
    sweep = {"calm": SMALL, "wild": SMALL.with_(lr=1e9)}
    sweep["after it"] = SMALL.with_(start_from={"lr": 1e9})
    found = divergence.try_rows(sweep, [0])
    calm, wild, after = (group[0] for group in found.values())
    assert runs.find(calm.key) and not runs.find(wild.key)
    assert (wild.epoch, list(wild.history.columns)) == (1, list(divergence.EPOCH_COLUMNS)) and after.epoch == 0
    monkeypatch.setattr(experiment, "run", lambda *_, **__: pytest.fail("it was trained again"))
    assert divergence.try_rows(sweep, [0]) == found
    (runs.folder(wild.key) / "events.jsonl").unlink()
    with pytest.raises(pytest.fail.Exception, match="trained again"):
        divergence.try_rows(sweep, [0])


def test_the_epoch_of_divergence_is_the_one_after_the_last_that_was_told():
    config = experiment.resolve(SMALL.with_(lr=0.7))
    key = runs.key_of(experiment.inputs(config))
    runs.folder(key).mkdir(parents=True)
    for epoch in (1, 2, 2):  # the second was told again when the run was gone on with
        runs.append_event(key, {"event": "epoch", "time": 0.0, "epoch": epoch, "train_loss": 9.0, "val_loss": 8.0})
    runs.append_event(key, {"event": "failed", "error": "RuntimeError: out of memory"})
    assert divergence.known(config) is None  # no divergence: it is tried again
    runs.append_event(key, {"event": "failed", "error": "FloatingPointError: the validation loss is not finite"})
    with open(runs.folder(key) / "events.jsonl", "a") as file:
        file.write("\n")
    found = divergence.known(config)
    assert found.epoch == 3 and found.history.to_dict("list") == {
        "epoch": [1, 2], "train_loss": [9.0, 9.0], "val_loss": [8.0, 8.0]
    }  # fmt: skip


def test_rows_without_those_that_diverged():
    sweep = {"calm": SMALL, "wild": SMALL.with_(lr=1e9)}
    groups = divergence.run_rows(sweep, [0])
    assert list(groups) == ["calm"]
    assert "under wild (1 of 1 seeds)." in divergence.of_missing(sweep, [0], groups).data
    with pytest.raises(FloatingPointError, match="every run of wild stopped being finite"):
        divergence.run_rows({"wild": sweep["wild"]}, [0])


def test_reusing_one_model_is_set_beside_fresh_weights_where_both_finished():
    fresh = {"lr 0.1": trial("e", 0.5, lr=0.1), "lr 0.2": trial("f", 0.4, lr=0.2), "lr 9": [gone(lr=9.0)]}
    again = {
        f"lr 0.2{rows.FAULT}model reused": trial("g", 0.6, lr=0.2),
        f"lr 9{rows.FAULT}model reused": trial("h", 0.2, lr=9.0),
    }
    pairs = trials.reused(fresh, again)
    assert list(pairs) == ["lr 0.2", f"lr 0.2{rows.FAULT}model reused"] and len(faults.table(pairs)) == 1
    text = hyperparameters.of_reused(fresh, again).data
    assert "With fresh weights **lr 0.2**" in text and f"with one model reused **lr 9{rows.FAULT}model reused**" in text
    same = {f"lr 0.2{rows.FAULT}model reused": trial("i", 0.45, lr=0.2)}
    assert "The choice is the same: **lr 0.2**" in hyperparameters.of_reused(fresh, same).data


def test_each_change_is_tested_against_the_row_it_changes_and_against_no_other():
    base, other = trial("base", 0.5, 0.5, 0.5, 0.5, noise=0.1), trial("other", 0.5, 0.5, 0.5, 0.5, noise=0.1)
    worse = trial("worse", 0.5, 0.5, 0.9, 0.3, noise=0.5)
    outcomes = {"net": base, "net2": other, "net, off": worse, "net2, off": other, "net, wild": [gone()]}
    bases = {"net, off": "net", "net, wild": "net", "net2, off": "net2"}
    found = trials.against(outcomes, bases)
    assert list(zip(found["model"], found["baseline"], strict=True)) == [("net, off", "net"), ("net2, off", "net2")]
    assert found["verdict"].to_list() == ["worse", "no difference shown"]
    assert found["fluctuation"].to_list() == pytest.approx([0.6, 0.0]) and found["without the change"].to_list() == [
        0,
        0,
    ]
    text = hyperparameters.of_toggles(outcomes, bases).data
    assert "**net, off** is worse than **net** by" in text and "**net, wild** diverged: in epoch 3 (seed 1)" in text
    assert "changes by 0.60 between epochs, without the change by 0.0" in text
    assert hyperparameters.of_toggles({}, {}).data == "Nothing is switched on or off here."


@pytest.mark.parametrize(
    ("noise", "seeds", "says"),
    [
        (0.2, (0, 1, 2), "That is as it should be"),
        (0.6, (0, 1, 2), "this difference is chance: a test at 5 % shows one in 20"),
        (0.6, (0,), "two trainings of one config are two models"),
    ],
)
def test_what_the_control_means_follows_from_its_verdict(noise, seeds, says):
    row = stored.model("row", 0.2, seeds=seeds)
    control = stored.model("again", noise, seeds=[seed + 10 for seed in seeds])
    text = hyperparameters.of_control({"net": row, "net, other seeds": control}).data
    assert says in text and ("no difference shown" in text) == (noise == 0.2)
    assert "No control" in hyperparameters.of_control({}).data


@pytest.mark.parametrize(("noise", "by_heart"), [(0.01, True), (0.5, False)])
def test_two_images_are_learned_by_heart_only_if_both_are(noise, by_heart):
    group = stored.model("two", noise, stored.discs(2), seeds=(0,), history=history(0.9, 0.1))
    text = hyperparameters.of_overfitted({"net, two images": group}).data
    assert ("They are learned by heart" in text) == by_heart and ("**not** by heart" in text) != by_heart
    assert "In 2 epochs on 2 images the training loss went from 0.100 to 0.100" in text
    assert "diverged: in epoch 3 (seed 1)" in hyperparameters.of_overfitted({"net, two images": [gone()]}).data


def test_a_seed_is_in_the_control_or_in_the_study_and_adam_has_no_momentum_to_try():
    values = {"dataset": "lesions", "model": "unet", "seeds": [0, 1], "momenta": [0.5], "trial_epochs": 2}
    with pytest.raises(ValueError, match=r"control_seeds is .*: 1 is given twice or among seeds"):
        rows.control(values | {"control_seeds": [1, 2]})
    assert rows.momenta(values | {"optimizer": "adam"}) == {} != rows.momenta(values | {"optimizer": "sgd"})


def test_a_change_belongs_to_its_own_network():
    values = {"dataset": "lesions", "model": "unet", "networks": {"six_class_net": {"lr": 0.5}}}
    values["toggles"] = {"no flips": {"horizontal_flip": False}, "narrow": {"model_options": {"width": 0.5}}}
    assert rows.bases(values) == {
        "unet, no flips": "unet, from scratch", "unet (width=0.5), narrow": "unet, from scratch",
        "six_class_net, no flips": "six_class_net, from scratch",
        "six_class_net (width=0.5), narrow": "six_class_net, from scratch",
    }  # fmt: skip
    assert rows.bases(values).keys() == rows.toggles(values).keys()


@pytest.mark.parametrize("study", ["six_class", "oxford_pet"])
def test_the_reported_labels_are_those_of_the_study_s_rows(study):
    content = params.reported(study)
    named = {name for claim in content["claims"] for pair in reported.pairs_of(claim) for name in pair}
    for figure in content["figures"]:
        named |= {figure["label"]} if isinstance(figure["label"], str) else set(figure["label"])
    assert named <= set(rows.labels(study))


def test_one_diverging_trial_does_not_squash_the_others():
    found = {"lr 0.1": trial("j", 0.9, 0.5), "lr 1": [gone()], "lr 0.01": trial("k", 1.0, 0.9)}
    figure = plots.trials(trials.curves(found))
    first, cut, _ = figure.axes[:3]
    assert first.get_ylim() == cut.get_ylim() == (0, pytest.approx(1.08 * 1.1))  # the highest of the others: 1.0 + 0.1
    assert cut.texts[0].get_text() == "diverged in epoch 3\ncut off: goes up to 40"
    assert first.texts[0].get_text() == "" and plots.trials({}) is None


def test_the_runs_of_the_page_are_recorded_without_those_that_diverged():
    row, wild = trial("l", 0.5), [gone()]
    hyperparameters.record("own", "06_x", {"net": row}, {"lr 1": wild, "lr 2": row}, {}, {}, {"net, other": row})
    assert {family: list(groups) for family, groups in runs.families("own").items()} == {
        runs.MODELS: ["net"], "trials": ["lr 2"], "control": ["net, other"],
    }  # fmt: skip
    assert isinstance(trials.curves({"a": wild})["a"][0].history, pd.DataFrame) and json.dumps(wild[0].told)
