"""Intervals and tests: how far a mean score, or a difference of two, would move with other images and other seeds.

One seed per model: percentile bootstrap over test images and sign-flip permutation test; both hold for *these trained
models*. Several seeds of each: a two-way random-effects interval and the test that goes with it, for other seeds and
other images at once (see `half_width`). Means only; a median has no interval here.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from seglib import variance

RESAMPLES = 10_000
CONFIDENCE = 0.95
MIN_IMAGES = 20  # of fewer, an interval is far too narrow, and none is given
NARROW = 60  # of fewer, an interval of a skewed score is still too narrow, as `bootstrap_mean` says
NEGLIGIBLE = 1e-9  # a difference or a spread below this is rounding
CHUNK = 1000  # resamples held as floats at a time
UNKNOWN = float("nan")
ANY = (-float("inf"), float("inf"))


@dataclass(frozen=True)
class Estimate:
    """A mean and its interval; NaN for its ends where there are too few images for one."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        digits = self.digits
        mean, low, high = (round(v, digits) + 0.0 for v in (self.mean, self.low, self.high))  # no -0.00
        if not self._has_width:  # a single figure, or too few images
            return f"{mean:.{digits}f}"
        # no-break spaces: where a table is narrow, the line breaks before the bracket
        return f"{mean:.{digits}f} ({low:.{digits}f}\u00a0to\u00a0{high:.{digits}f})"

    @property
    def _has_width(self) -> bool:
        return self.high - self.low > NEGLIGIBLE * max(1, abs(self.mean))  # less is rounding

    @property
    def digits(self) -> int:
        """Decimals that the interval supports: two digits of its half-width if they are 10 to 35, else one.

        Without an interval two digits of the mean, at most two decimals; of an exact figure three decimals.
        """
        half = (self.high - self.low) / 2
        if np.isnan(half):
            size = np.floor(np.log10(abs(self.mean))) if self.mean and np.isfinite(self.mean) else 0
            return int(np.clip(1 - size, 0, 2)) if self.mean else 2
        if not self._has_width:
            return 3
        exponent = np.floor(np.log10(half))
        return int(np.clip((1 if half / 10**exponent < 3.55 else 0) - exponent, 0, 4))


@dataclass(frozen=True)
class Comparison:
    """The paired difference of two models' means, first minus second, its test and its size.

    All of it is of the same images, those on which every seed of both models has a score; images: how many. p:
    two-sided, not yet corrected, NaN of fewer than MIN_IMAGES. effect: Cohen's d_z, the mean over the standard
    deviation of the images' differences (each the mean over seeds), NaN where all images differ alike. wins, ties: the
    shares of images on which the first's mean over seeds is higher, and equal. seeds: of each; these_models: whether
    one has a single seed, so that seeds are not covered.
    """

    difference: Estimate
    p: float
    effect: float
    wins: float
    ties: float
    images: int
    seeds: tuple[int, int]
    these_models: bool


def estimate(scores: np.ndarray, within: tuple[float, float] = ANY) -> Estimate:
    """The mean of scores (S seeds, n images) and its 95 % interval; NaN means not defined on that image.

    One row: bootstrap over images. More: `half_width`, over seeds and images.
    Args: within — the values that such a score can have; an interval is cut there, and covers as often as before.
    """
    return _estimate([variance.counted(np.atleast_2d(scores))], within)


def bootstrap_mean(values: np.ndarray, confidence: float = CONFIDENCE) -> Estimate:
    """The mean over images and its expanded percentile bootstrap interval; images are what is resampled.

    Expanded to the width of Student's t. By simulation of scores skewed as Dice is, 6 % of them failures near 0 (4,000
    repetitions each), the 95 % interval of a mean covers in 84 % at 20 images, 88 % at 30, 92 % at 40, 93 % at 60,
    94 % at 100 and 95 % at 339: few images may hold no failure. Of a difference of two: 92, 93, 94, 94, 95, 95 %.

    Args: values — one score per image; NaN means not defined there and is left out; of fewer than MIN_IMAGES there
        is no interval. The same values give the same interval: the resampling is seeded.
    Reference: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, § 13.3; the expansion: Hesterberg, 2015,
        doi:10.1080/00031305.2015.1089789.
    """
    values = np.asarray(values, dtype=float)
    values = values[~np.isnan(values)]
    mean = float(values.mean()) if len(values) else UNKNOWN
    if len(values) < MIN_IMAGES:
        return Estimate(mean, UNKNOWN, UNKNOWN)
    from scipy.stats import norm, t

    count = len(values)
    tail = norm.sf(np.sqrt(count / (count - 1)) * t.isf((1 - confidence) / 2, count - 1))
    low, high = np.quantile(bootstrap(values), [tail, 1 - tail])
    return Estimate(mean, float(low), float(high))


def bootstrap(values: np.ndarray) -> np.ndarray:
    """Means of RESAMPLES resamples of the rows of values (n,) or (n, K): (RESAMPLES,) or (RESAMPLES, K)."""
    weights = _resamples(len(values))
    chunks = [weights[i : i + CHUNK].astype(float) @ values for i in range(0, len(weights), CHUNK)]
    return np.concatenate(chunks) / len(values)


def half_width(*models: np.ndarray) -> np.ndarray:
    """Half of the 95 % interval of one model's mean, or of the difference of two, over seeds and images.

    The variance is that of the seeds' means plus what the images have beyond the interaction already in it. Seeds are
    few, so the quantile lies between Student's t for the seeds and for the images, geometrically by their shares of
    the variance: Cochran's approximate t test (1964), a little less conservative. By simulation, 3 seeds × 339
    images, whatever the shares: coverage 94 to 97 %; with 2 seeds 91 to 97 % for one model, 95 to 98 % for two.
    With seeds in unequal numbers (2 and 3, 2 and 5, 3 and 5, 3 and 10) 95 to 100 %: too wide rather than too narrow.

    Shape: models (…, S ≥ 2, n) without NaN; returns (…).
    """
    error, quantile = _two_way(*models)
    return quantile(1 - CONFIDENCE) * error


def p_value(*models: np.ndarray) -> np.ndarray:
    """The two-sided p-value of one model's mean being 0, or of two models being equal; below 0.05 exactly where
    `half_width` leaves out 0. Shape as there.

    By simulation of equal models, 339 images, one of which varies by seeds and the other hardly: p < 0.01 in 1.4 % with
    2 seeds of each and 2 % with 3, p < 0.001 in 0.35 %; so few seeds do not carry so small a p.
    """
    error, quantile = _two_way(*models)
    mean = np.abs(variance.over_images(*models).mean(-1))
    ratio = np.divide(mean, error, out=np.where(mean > NEGLIGIBLE, np.inf, 0.0), where=error > NEGLIGIBLE)
    low, high = np.full_like(error, 1e-15), np.ones_like(error)
    for _ in range(60):  # halving in p: quantile(p) falls as p grows
        middle = np.sqrt(low * high)
        above = quantile(middle) > ratio
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return high


def _two_way(*models: np.ndarray):
    """The standard error of the mean, and its multiple that is exceeded, on either side, with probability p."""
    from scipy.stats import t

    by_seed, seed_df, by_image, rest = variance.mean_squares(*models)
    total = by_seed + np.maximum(by_image - rest, 0)
    share = np.divide(by_seed, total, out=np.zeros_like(total), where=total > 0)
    image_df = models[0].shape[-1] - 1
    return np.sqrt(total), lambda p: t.isf(p / 2, seed_df) ** share * t.isf(p / 2, image_df) ** (1 - share)


def compare(first: np.ndarray, second: np.ndarray, within: tuple[float, float] = ANY) -> Comparison:
    """Two models' scores on the same images, (S, n) and (S', n), seeds in any number; see the module for the method.

    NaN means not defined: an image on which any seed of either has no score is in no part of the comparison, so the
    difference need not be that of the two models' own means. If either has one seed, seeds are averaged and the answer
    is for these trained models.
    Args: within — the values that such a score can have, as in `estimate`.
    """
    models = variance.paired(np.atleast_2d(first), np.atleast_2d(second))
    gaps = variance.over_images(*models)
    gaps = np.where(np.abs(gaps) > NEGLIGIBLE, gaps, 0.0)
    seeds, images = (len(models[0]), len(models[1])), len(gaps)
    these_models = min(seeds) < 2
    p = UNKNOWN
    if images >= MIN_IMAGES and np.isfinite(gaps).all():  # what is compared with NaN is never as large
        p = sign_flip(gaps) if these_models else float(p_value(*models))
    return Comparison(
        difference=_estimate(models, (within[0] - within[1], within[1] - within[0])), p=p, effect=_effect(gaps),
        wins=float((gaps > 0).mean()) if images else UNKNOWN, ties=float((gaps == 0).mean()) if images else UNKNOWN,
        images=images, seeds=seeds, these_models=these_models,
    )  # fmt: skip


def _effect(gaps: np.ndarray) -> float:
    if len(gaps) < 2:
        return UNKNOWN
    spread = gaps.std(ddof=1)
    return float(gaps.mean() / spread) if spread > NEGLIGIBLE else UNKNOWN if gaps.any() else 0.0


def sign_flip(differences: np.ndarray) -> float:
    """Two-sided p-value of a mean paired difference of 0: how often flipped signs give as large a mean. In (0, 1].

    Shape: (n,), one finite difference per image. RESAMPLES flips, seeded; the flips seen count too, so p ≥ 1 / 10,001.
    Reference: Phipson and Smyth, 2010, doi:10.2202/1544-6115.1585.
    """
    signs = _signs(len(differences))
    flipped = [signs[i : i + CHUNK].astype(float) @ differences for i in range(0, len(signs), CHUNK)]
    if not np.isfinite(differences).all():
        raise ValueError("a difference is NaN or infinite; leave out the images on which a model has no score")
    seen = np.abs(differences.sum(0))
    return (1 + (np.abs(np.concatenate(flipped)) >= seen - 1e-12).sum(0)) / (1 + len(signs))


def p_text(p: float) -> str:
    """A p-value after the letter p: `= 0.04`, two digits or three places, and nothing finer than `< 0.001`."""
    return "< 0.001" if p < 0.001 else f"= {p:.3f}" if p < 0.1 else f"= {p:.2f}"


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Holm's corrected p-values of a family of tests; NaN stays, and is not of the family. Holm, 1979."""
    p = np.asarray(p_values, dtype=float)
    corrected = np.full(p.shape, np.nan)
    tests = np.flatnonzero(~np.isnan(p))
    order = tests[np.argsort(p[tests], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(1, np.maximum.accumulate(factors * p[order])) if len(order) else []
    return corrected


def _estimate(models: Sequence[np.ndarray], within: tuple[float, float]) -> Estimate:
    over_images = variance.over_images(*models)
    if len(over_images) < MIN_IMAGES or min(map(len, models)) < 2:
        found = bootstrap_mean(over_images)
    else:
        mean, half = float(over_images.mean()), float(half_width(*models))
        found = Estimate(mean, mean - half, mean + half)
    return Estimate(found.mean, *(float(np.clip(end, *within)) for end in (found.low, found.high)))


@functools.lru_cache(maxsize=2)
def _resamples(images: int) -> np.ndarray:
    """How often each image is drawn in each resample: (RESAMPLES, images) uint8."""
    drawn = np.random.default_rng(0).integers(images, size=(RESAMPLES, images), dtype=np.int32)
    return np.stack([np.bincount(row, minlength=images) for row in drawn]).astype(np.uint8)


@functools.lru_cache(maxsize=2)
def _signs(images: int) -> np.ndarray:
    return np.random.default_rng(1).choice(np.array([-1, 1], dtype=np.int8), size=(RESAMPLES, images))
