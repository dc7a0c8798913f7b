"""Where the variance of a mean, or of a difference of means, is: in the seeds, in the images, or in both together.

The model is two-way and random: score of seed s on image i = mean + seed_s + image_i + interaction_si. Other seeds and
other images would be drawn another time, so both count. In a difference of two models the images are the same and
their seeds are independent of each other (a seed does not mean the same to two networks).
Reference: Searle, Casella and McCulloch, Variance Components, 1992, ch. 4.
"""

from dataclasses import dataclass

import numpy as np

POWER = 0.8
MOST = 100_000  # seeds or images beyond which "more than" is said


@dataclass(frozen=True)
class Components:
    """Standard deviations, of one model's score or of the difference of two: √ of the unbiased variances, ≥ 0.

    seed: of a model's mean over all images, from seed to seed (of both models together); image: of what images have by
    themselves; interaction: of what is left in one seed on one image. Seeds: those of the model with fewest. Without
    several seeds per model, seed and interaction are NaN, and image holds the interaction too.
    """

    seed: float
    image: float
    interaction: float
    seeds: int
    images: int


def mean_squares(*models: np.ndarray) -> tuple[np.ndarray, ...]:
    """Variances of the mean of one model, or of the difference of two, as they are seen: (seeds, df, images, rest).

    Shape: a model (…, S, n), S ≥ 2 seeds × n images; returns arrays (…). seeds: Σ var_s(mean over images) / S, with
        S − 1 df, of two models Satterthwaite's, and where they differ in S the lesser S − 1, which errs on the
        safe side whichever varies more; images: var_i(mean over seeds) / n, with n − 1; rest: that of
        the interaction, which is in both.
    """
    by_seed, rest, df_parts = 0.0, 0.0, 0.0
    for scores in models:
        seeds, images = scores.shape[-2:]
        of_seed, of_image = scores.mean(-1, keepdims=True), scores.mean(-2, keepdims=True)
        left = scores - of_seed - of_image + scores.mean((-2, -1), keepdims=True)
        part = of_seed[..., 0].var(-1, ddof=1) / seeds
        by_seed, df_parts = by_seed + part, df_parts + part**2 / (seeds - 1)
        rest = rest + (left**2).sum((-2, -1)) / ((seeds - 1) * (images - 1)) / (seeds * images)
    df = np.divide(by_seed**2, df_parts, out=np.full_like(by_seed, seeds - 1.0), where=df_parts > 0)
    counts = {scores.shape[-2] for scores in models}
    df = df if len(counts) == 1 else np.full_like(df, min(counts) - 1.0)
    by_image = over_images(*models).var(-1, ddof=1) / images
    return by_seed, df, by_image, rest


def over_images(*models: np.ndarray) -> np.ndarray:
    """One model's mean over seeds per image, or the difference of two models': (…, n)."""
    first, *others = (scores.mean(-2) for scores in models)
    return first - others[0] if others else first


def components(*models: np.ndarray) -> Components:
    """The components of one model's scores (S, n), or of the difference of two models'; none is below 0.

    Of fewer than two images they are NaN.
    """
    images, seeds = models[0].shape[-1], min(len(scores) for scores in models)
    if images < 2:
        return Components(*[float("nan")] * 3, seeds, images)
    if seeds < 2:
        return Components(float("nan"), float(over_images(*models).std(ddof=1)), float("nan"), seeds, images)
    by_seed, by_image, rest = 0.0, over_images(*models).var(ddof=1), 0.0
    for scores in models:
        part, _, _, left = mean_squares(scores)
        by_seed += max(0.0, (part - left) * len(scores))
        by_image -= left * images  # the interaction's share of what is seen per image
        rest += left * len(scores) * images
    return Components(*(float(np.sqrt(max(0.0, v))) for v in (by_seed, by_image, rest)), seeds, images)


def needed(found: Components, difference: float, alpha: float, fewest: int) -> tuple[float, float]:
    """(images, seeds) that would show a difference of this size in POWER of all repetitions, two-sided at alpha.

    Images: at the seeds there are (as they are trained, where there is one); seeds per model: at the images there are,
    NaN if there is one seed. inf where no number would do. The quantiles are Student's t, with the degrees of
    freedom that the numbers would give. The difference is taken as true; where it is the one observed, and was looked
    at because it was large, the numbers are too low.
    Args: fewest — images of which a test is made at all: none is asked of fewer, and both are NaN if found has fewer.
    """
    if found.images < fewest or not np.isfinite(difference):
        return float("nan"), float("nan")
    if not abs(difference) > 0:
        return float("inf"), float("inf")
    seeds = 1 if np.isnan(found.seed) else found.seeds
    counts = np.unique(np.round(np.geomspace(2, MOST, 2000)).astype(int))
    enough = np.unique(np.maximum(counts, fewest))
    images = _first(found, difference, alpha, np.full_like(enough, seeds), enough)
    if np.isnan(found.seed):
        return images, float("nan")
    return images, _first(found, difference, alpha, counts, np.full_like(counts, found.images))


def _first(found: Components, difference: float, alpha: float, seeds: np.ndarray, images: np.ndarray) -> float:
    from scipy import stats

    seed, interaction = np.nan_to_num([found.seed, found.interaction]) ** 2
    by_seed = (seed + interaction / images) / seeds
    by_image = found.image**2 / images
    variance = by_seed + by_image
    parts = by_seed**2 / np.maximum(2 * (seeds - 1), 1) + by_image**2 / (images - 1)
    df = np.divide(variance**2, parts, out=np.full(len(parts), images.max() - 1.0), where=(seeds > 1) & (parts > 0))
    df = np.where(seeds > 1, df, images - 1)
    wanted = stats.t.isf(alpha / 2, df) + stats.t.ppf(POWER, df)
    enough = np.abs(difference) >= wanted * np.sqrt(variance)
    varied = images if images[0] != images[-1] else seeds
    return float(varied[np.argmax(enough)]) if enough.any() else float("inf")


def complete(scores: np.ndarray) -> np.ndarray:
    """Scores (S, n) with NaN where an image has none → the same without NaN, for the same means and their variance.

    A mean over the defined images is a ratio of sums; linearised, an undefined image counts as the mean and a defined
    one's deviation as n / (number defined) times itself. A seed without any defined image stays NaN.
    """
    defined = ~np.isnan(scores)
    if defined.all():
        return scores
    count = defined.sum(-1, keepdims=True)
    means = np.divide(np.where(defined, scores, 0).sum(-1, keepdims=True), count, where=count > 0,
                      out=np.full(count.shape, np.nan))  # fmt: skip
    return means + np.where(defined, scores - means, 0) * scores.shape[-1] / np.maximum(count, 1)


def counted(scores: np.ndarray) -> np.ndarray:
    """One model's scores (S, n) on the images that any of its seeds defines, completed."""
    return complete(np.asarray(scores, dtype=float)[:, ~np.isnan(scores).all(0)])


def paired(*models: np.ndarray) -> list[np.ndarray]:
    """The models' scores (S, n) on the images that every seed of every one of them defines; nothing is filled in."""
    kept = ~np.logical_or.reduce([np.isnan(scores).any(0) for scores in models])
    return [np.asarray(scores, dtype=float)[:, kept] for scores in models]
