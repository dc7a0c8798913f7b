"""A run named by its key, a start of it, or as the best of a study. Alone: pytest tests/test_chosen.py"""

import pytest
from stored import dataset, discs, guess, store

from seglib import chosen, runs


def made(key, val_dice=0.5, noise=0.3, val_loss=0.5, **config):
    masks = discs(count=6)
    epochs = [{"epoch": 1, "train_loss": 0.5, "val_loss": val_loss, "val_iou": 0.4, "val_dice": val_dice}]
    epochs.append({"epoch": 2, "train_loss": 0.5, "val_loss": 0.0, "val_iou": 1.0, "val_dice": 1.0})  # not kept
    return store(key, guess(masks, noise, seed=1), dataset(masks), history=epochs, **config)


def study(**groups):
    runs.record("mine", "02_frozen_encoder", {runs.MODELS: groups})


def test_a_key_and_a_unique_start_of_it_name_a_run():
    made("aa11"), made("aa12"), made("bb11")
    assert chosen.run("aa11").key == "aa11" and chosen.run("b").key == "bb11"


def test_a_key_that_is_the_start_of_another_names_itself():
    made("aa1"), made("aa11")
    assert chosen.run("aa1").key == "aa1"


def test_a_run_that_is_not_finished_does_not_make_a_start_ambiguous():
    made("aa11")
    runs.folder("aa12").mkdir()
    assert chosen.run("aa").key == "aa11"
    with pytest.raises(FileNotFoundError, match="run aa12 is not finished"):
        chosen.run("aa12")


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("aa", ValueError, "'aa' is the start of 2 keys: aa11, aa12; give more of it"),
        ("c", FileNotFoundError, "no finished run has a key that starts with 'c'.*`seglib runs` lists"),
        ("", FileNotFoundError, "no finished run has a key that starts with ''"),
        ("../runs/aa11", FileNotFoundError, "no finished run"),
        ("best:nothing", FileNotFoundError, "study 'nothing' has no recorded runs"),
    ],
)
def test_what_names_no_run_is_an_error_that_says_what_to_do(text, kind, message):
    made("aa11"), made("aa12")
    with pytest.raises(kind, match=message):
        chosen.run(text)


def test_a_damaged_run_is_named_so():
    run = made("aa11")
    (run.folder / "images.csv").write_text("nothing")
    with pytest.raises(ValueError, match=r"run aa11 is damaged \(images.csv\)"):
        chosen.run("aa11")


def test_the_best_of_a_study_is_the_best_in_validation_at_the_kept_epoch_and_not_in_test():
    best_in_test = made("aa11", val_dice=0.6, noise=0.01)
    study(one=[best_in_test, made("aa12", val_dice=0.8, noise=0.9, seed=1)], other=[made("aa13", val_dice=0.7, seed=2)])
    assert chosen.run("best:mine").key == "aa12"


def test_of_equals_the_first_and_what_has_no_score_is_not_the_best():
    study(one=[made("aa11", float("nan")), made("aa12", 0.5, seed=1), made("aa13", 0.5, seed=2)])
    assert chosen.run("best:mine").key == "aa12"
    study(one=[made("aa11", float("nan"))])
    with pytest.raises(ValueError, match="no run of study 'mine' has a val_dice"):
        chosen.run("best:mine")


def test_a_validation_loss_ranks_runs_of_one_loss_alone():
    by_loss = {"select_by": "val_loss"}
    low = made("aa11", 0.2, val_loss=0.1, **by_loss)
    study(one=[made("aa12", 0.9, val_loss=0.3, **by_loss, seed=1), low])
    assert chosen.run("best:mine").key == "aa11"
    another = made("bb11", 0.3, val_loss=0.01, loss_options={"eps": 1e-3}, **by_loss)
    study(one=[made("aa12", 0.9, val_loss=0.3, **by_loss, seed=1), low, another])
    assert chosen.run("best:mine").key == "aa12"  # two losses: ranked by the validation Dice


def test_a_score_may_be_asked_for_and_why_a_run_was_chosen_is_told():
    study(one=[made("aa11", 0.9, val_loss=0.4), made("aa12", 0.8, val_loss=0.2, seed=1)])
    assert chosen.choose("best:mine") == (
        chosen.by_key("aa11"), "the best of mine by val_dice, 0.9000 at epoch 1, of 2 runs (validation, not test)",
    )  # fmt: skip
    assert chosen.choose("best:mine", "loss").run.key == "aa12" and chosen.choose("aa11", "IoU").why == ""
    with pytest.raises(ValueError, match="unknown validation score 'dice'; did you mean 'Dice'"):
        chosen.choose("best:mine", "dice")
    study(one=[made("aa11"), made("aa12", loss_options={"eps": 1e-3}, seed=1)])
    with pytest.raises(ValueError, match="have different losses, which rank nothing; choose by Dice or IoU"):
        chosen.choose("best:mine", "loss")


def test_a_run_whose_outputs_depend_on_its_batch_is_not_the_best():
    study(one=[made("aa11", 0.5), made("aa12", 0.9, seed=1, test_in_eval_mode=False)])
    assert chosen.run("best:mine").key == "aa11"


def test_runs_that_were_validated_on_different_images_are_not_ranked():
    study(one=[made("aa11"), made("aa12", folds=2, fold=1)])
    with pytest.raises(ValueError, match=r"validated on different images \(folds is 0, 2\).*name one by its key"):
        chosen.run("best:mine")


def test_the_few_that_were_validated_on_other_images_are_left_out_and_it_is_said():
    study(one=[made("aa11", 0.6), made("aa12", 0.7, seed=1)], other=[made("aa13", 0.9, val_images=40)])
    run, why = chosen.choose("best:mine")
    assert run.key == "aa12" and why.endswith(
        "of 2 runs (validation, not test); 1 validated on other images are not ranked"
    )
