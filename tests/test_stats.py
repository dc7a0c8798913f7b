"""Intervals cover as often as they say, tests err as rarely, by simulation. Alone: pytest tests/test_stats.py"""

import itertools

import numpy as np
import pytest
from scipy import stats as reference

from seglib import stats, variance
from seglib.stats import Estimate, bootstrap_mean

IMAGES, REPEATS = 339, 1000
SHARES = [(0.0, 0.0), (0.0, 1.0), (0.1, 0.5), (0.5, 0.0), (1.0, 1.0), (5.0, 0.5), (100.0, 1.0)]


def skewed(rng, *shape):
    """Image effects of mean 0 and standard deviation 1, skewed as Dice is."""
    return (rng.beta(5, 2, shape) - 5 / 7) / np.sqrt(10 / (49 * 8))


def runs_of(rng, images, seeds, share, interaction, repeats=REPEATS):
    """Scores (repeats, seeds, n): seed variance of the mean is `share` times that of the images (whose sd is 1)."""
    seed = np.sqrt(share * seeds / IMAGES) * rng.standard_normal((repeats, seeds, 1))
    return seed + images + interaction * rng.standard_normal((repeats, seeds, IMAGES))


def test_the_bootstrap_interval_agrees_with_the_closed_form_of_a_normal_mean():
    values = np.random.default_rng(1).normal(0.7, 0.1, 400)
    found = bootstrap_mean(values)
    half = 1.96 * values.std() / np.sqrt(400)
    assert found.mean == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.05 * half)


def test_the_bootstrap_is_that_of_resampled_images():
    values = np.random.default_rng(1).beta(5, 2, 30)
    means = np.random.default_rng(7).choice(values, (40_000, 30)).mean(1)
    found = bootstrap_mean(values)
    low, high = np.quantile(means, [0.025, 0.975])
    expanded = np.sqrt(30 / 29) * reference.t.isf(0.025, 29) / 1.96  # to the width of Student's t
    assert found.high - found.low == pytest.approx(expanded * (high - low), rel=0.02)
    assert found.low < low and found.high > high


def test_the_interval_of_few_images_is_as_wide_as_student_s_t():
    values = reference.norm.ppf((np.arange(20) + 0.5) / 20)
    expected = reference.ttest_1samp(values, 0).confidence_interval()
    found = bootstrap_mean(values)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=0.03)


def test_with_one_seed_the_interval_covers_and_the_permutation_test_errs_as_they_say():
    rng = np.random.default_rng(2)
    scores = skewed(rng, IMAGES, REPEATS)
    low, high = np.quantile(stats.bootstrap(scores), [0.025, 0.975], axis=0)
    assert 0.93 <= np.mean((low <= 0) & (high >= 0)) <= 0.97
    a_against_a = skewed(rng, IMAGES, REPEATS) - skewed(rng, IMAGES, REPEATS)
    p = stats.sign_flip(a_against_a)
    assert reference.kstest(p, "uniform").pvalue > 0.01
    assert 0.03 <= np.mean(p < 0.05) <= 0.07


@pytest.mark.parametrize(("share", "interaction"), SHARES)
def test_with_three_seeds_the_interval_covers_seeds_and_images(share, interaction):
    rng = np.random.default_rng(3)
    covered = []
    for _ in range(4):
        scores = runs_of(rng, skewed(rng, REPEATS, 1, IMAGES), 3, share, interaction)
        covered.append(np.abs(scores.mean((1, 2))) <= stats.half_width(scores))
    assert 0.93 <= np.mean(covered) <= 0.97


@pytest.mark.parametrize(("share", "interaction"), SHARES)
def test_a_model_against_itself_gives_uniform_p_values_when_seeds_vary(share, interaction):
    rng = np.random.default_rng(4)
    hard = skewed(rng, REPEATS, 1, IMAGES)  # the images are the same for both
    first, second = (runs_of(rng, hard, s, share, interaction + 0.1) for s in (3, 3))
    half, p = stats.half_width(first, second), stats.p_value(first, second)
    assert reference.kstest(p, "uniform").pvalue > 0.001
    assert 0.025 <= np.mean(p < 0.05) <= 0.07
    assert ((np.abs((first.mean(1) - second.mean(1)).mean(1)) > half) == (p < 0.05)).all()  # one answer, not two


@pytest.mark.parametrize("seeds", [(2, 5), (3, 10), (2, 3)])
@pytest.mark.parametrize("share", [(0.0, 0.0), (50.0, 0.1), (0.1, 50.0), (5.0, 5.0)])
def test_with_unequal_seeds_errors_are_no_more_frequent_whichever_model_varies_more(share, seeds):
    rng = np.random.default_rng(13)
    hard = skewed(rng, REPEATS, 1, IMAGES)
    first, second = (runs_of(rng, hard, s, part, 0.3) for s, part in zip(seeds, share, strict=True))
    p = stats.p_value(first, second)
    assert np.mean(p < 0.05) <= 0.06 and np.mean(p < 0.01) <= 0.018


@pytest.mark.long
@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("interaction", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("share", [0.0, 0.05, 0.2, 0.5, 1.0, 2.0, 5.0, 20.0, 400.0])
def test_the_interval_covers_at_every_share_of_seed_variance(share, interaction, seeds):
    rng = np.random.default_rng(5)
    covered = []
    for _ in range(8):
        scores = runs_of(rng, skewed(rng, REPEATS, 1, IMAGES), seeds, share, interaction)
        covered.append(np.abs(scores.mean((1, 2))) <= stats.half_width(scores))
    assert 0.93 <= np.mean(covered) <= 0.97


def test_without_seed_variance_the_answer_is_that_of_a_paired_t_test():
    rng = np.random.default_rng(6)
    images = rng.normal(0.02, 0.1, IMAGES)
    both = np.tile(images, (3, 1)), np.zeros((3, IMAGES))
    half, p = stats.half_width(*both), stats.p_value(*both)
    expected = reference.ttest_1samp(images, 0)
    assert p == pytest.approx(expected.pvalue, rel=1e-6)
    assert images.mean() - half == pytest.approx(expected.confidence_interval().low)


def test_the_permutation_test_is_the_exact_one_of_few_images(monkeypatch):
    differences = np.array([0.3, 0.1, 0.4, -0.2, 0.5, 0.25, 0.1, 0.05])
    flips = np.array(list(itertools.product([-1, 1], repeat=8)))
    exact = np.mean(np.abs(flips @ differences) >= differences.sum() - 1e-12)
    assert stats.sign_flip(differences) == pytest.approx(exact, abs=0.01)
    assert stats.sign_flip(np.zeros(30)) == 1


def test_holm_s_correction_by_hand():
    assert stats.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert stats.holm([0.5, float("nan"), 0.6]) == pytest.approx([1, float("nan"), 1], nan_ok=True)
    assert len(stats.holm([])) == 0


def test_a_comparison_by_hand():
    second = np.linspace(0.2, 0.8, 40)
    first = second + np.where(np.arange(40) < 10, 0.0, np.where(np.arange(40) < 30, 0.2, -0.1))
    found = stats.compare(first, second)
    assert found.difference.mean == pytest.approx(0.075) and found.these_models and found.seeds == (1, 1)
    assert (found.wins, found.ties) == (0.5, 0.25)
    assert found.effect == pytest.approx(0.075 / (first - second).std(ddof=1))
    turned = stats.compare(second, first)
    assert turned.difference.mean == -found.difference.mean and turned.p == found.p


def test_undefined_images_are_left_out_seed_by_seed():
    scores = np.random.default_rng(8).normal(0.5, 0.1, (3, 60))
    alone = stats.estimate(scores)
    widened = np.column_stack([scores, np.full((3, 5), np.nan)])  # no seed defines them
    assert stats.estimate(widened) == alone
    widened[0, 60:] = 0.5  # one seed does
    assert stats.estimate(widened).mean == pytest.approx(np.nanmean(widened, axis=1).mean())
    assert bootstrap_mean(np.array([0.5, np.nan, 0.7])).mean == pytest.approx(0.6)


def test_too_few_images_give_a_mean_and_no_interval():
    found = stats.estimate(np.random.default_rng(0).random((3, stats.MIN_IMAGES - 1)))
    assert np.isnan(found.low) and 0 < found.mean < 1
    assert np.isnan(stats.compare(np.ones((3, 5)), np.zeros((3, 5))).p)


def test_the_variance_components_are_found_again():
    rng = np.random.default_rng(9)
    images = 0.2 * rng.standard_normal((1, 1, 2000))
    scores = 0.05 * rng.standard_normal((1, 60, 1)) + images + 0.1 * rng.standard_normal((1, 60, 2000))
    found = variance.components(scores[0])
    assert (found.seed, found.image, found.interaction) == pytest.approx((0.05, 0.2, 0.1), rel=0.2)
    alone = variance.components(scores[0, :1])
    assert np.isnan(alone.seed) and alone.image == pytest.approx(np.hypot(0.2, 0.1), rel=0.05)


def test_the_images_called_for_show_the_difference_in_four_of_five_repetitions():
    found = variance.Components(float("nan"), 0.3, float("nan"), 1, 100)
    images, seeds = variance.needed(found, 0.05, 0.05, 20)
    assert np.isnan(seeds) and images == pytest.approx((0.3 / 0.05 * 2.80) ** 2, rel=0.02)
    rng = np.random.default_rng(10)
    values = 0.05 + 0.3 * rng.standard_normal((2000, int(images)))
    assert np.mean(reference.ttest_1samp(values, 0, axis=1).pvalue < 0.05) == pytest.approx(0.8, abs=0.04)


def test_what_is_called_for_follows_the_page_s_own_rule():
    found = variance.Components(float("nan"), 0.3, float("nan"), 1, 100)
    images, _ = variance.needed(found, 0.05, 0.05 / 15, 20)  # 15 pairs: the strictest step of the correction
    values = 0.05 + 0.3 * np.random.default_rng(14).standard_normal((2000, int(images)))
    power = np.mean(reference.ttest_1samp(values, 0, axis=1).pvalue < 0.05 / 15)
    assert power == pytest.approx(0.8, abs=0.04)
    assert variance.needed(found, 5.0, 0.05, 20)[0] == 20  # of fewer, nothing would be tested
    few = variance.Components(0.1, 0.3, 0.1, 3, 19)
    assert np.isnan(variance.needed(few, 0.05, 0.05, 20)).all()


def test_what_no_number_of_images_could_show_is_infinite():
    found = variance.Components(0.1, 0.3, 0.1, 2, 100)
    images, seeds = variance.needed(found, 0.02, 0.05, 20)
    assert images == float("inf") and seeds == float("inf")
    images, seeds = variance.needed(variance.Components(0.1, 0.01, 0.01, 2, 100), 0.05, 0.05, 20)
    assert images == float("inf") and 25 < seeds < 80


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (0.71, 0.75, "0.730 (0.710 to 0.750)"),
        (0.55, 0.91, "0.73 (0.55 to 0.91)"),
        (0.721, 0.739, "0.730 (0.721 to 0.739)"),
        (0.7295, 0.7305, "0.7300 (0.7295 to 0.7305)"),
        (-12, 13, "1 (-12 to 13)"),
        (float("nan"), float("nan"), "0.73"),
        (0.73, 0.73 + 1e-15, "0.730"),  # exact, but for rounding
    ],
)
def test_no_more_digits_are_shown_than_the_interval_supports(low, high, text):
    assert str(Estimate(0.73, low, high)).replace("\u00a0", " ") == text


def test_every_figure_of_a_comparison_is_of_the_same_images():
    rng = np.random.default_rng(11)
    first = np.where(np.arange(100) < 60, 0.50, np.nan) + 0.02 * rng.standard_normal(100)
    second = np.where(np.arange(100) < 60, 0.52, 0.0)
    found = stats.compare(first, second)
    assert found == stats.compare(first[:60], second[:60])  # what first leaves out is in no part of it
    assert found.images == 60 and found.difference.mean == pytest.approx((first - second)[:60].mean())
    assert found.difference.high < 0 and found.p < 0.05 and found.effect < 0 and found.wins < 0.5
    seeds = np.stack([first, first + 0.01, first - 0.02])
    seeds[1, 5] = np.nan
    assert stats.compare(seeds, second).images == 59
    assert len(variance.paired(seeds, second[None])[0][0]) == 59


def test_rounding_is_neither_a_spread_nor_a_win():
    second = np.random.default_rng(12).random(50)
    first = second + 0.1
    constant = stats.compare(first, second)
    assert np.isnan(constant.effect) and constant.difference.mean == pytest.approx(0.1) and constant.wins == 1
    orders = [np.array([[0.1], [0.2], [0.3]])[list(order)] for order in ((0, 1, 2), (2, 1, 0))]
    alike = stats.compare(*(order + np.zeros(50) for order in orders))
    assert (alike.effect, alike.ties) == (0, 1) and alike.p == pytest.approx(1)
