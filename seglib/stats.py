"""Intervals over test images: how far a mean score would move had other images of the same kind been the test set."""

from dataclasses import dataclass

import numpy as np

RESAMPLES = 10_000
CONFIDENCE = 0.95
MIN_IMAGES = 20  # of fewer, a percentile interval is far too narrow, and none is given


@dataclass(frozen=True)
class Estimate:
    """A mean and its interval; NaN for its ends where there are too few images for one."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        digits = self.digits
        if not self.low < self.high:  # a single figure, or too few images
            return f"{self.mean:.{digits}f}"
        # no-break spaces: where a table is narrow, the line breaks before the bracket
        return f"{self.mean:.{digits}f} ({self.low:.{digits}f}\u00a0to\u00a0{self.high:.{digits}f})"

    @property
    def digits(self) -> int:
        """Decimals that the interval supports: two digits of its half-width if they are 10 to 35, else one."""
        half = (self.high - self.low) / 2
        if not half > 0:
            return 3
        exponent = np.floor(np.log10(half))
        return int(np.clip((1 if half / 10**exponent < 3.55 else 0) - exponent, 1, 4))


def bootstrap_mean(values: np.ndarray, resamples: int = RESAMPLES, confidence: float = CONFIDENCE) -> Estimate:
    """The mean over images and its percentile bootstrap interval; images are what is resampled.

    Args: values — one score per image; NaN means not defined there and is left out; of fewer than MIN_IMAGES there
        is no interval. The same values give the same interval: the resampling is seeded.
    Reference: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, § 13.3.
    """
    values = np.asarray(values, dtype=float)
    values = values[~np.isnan(values)]
    if len(values) < MIN_IMAGES:
        mean = float(values.mean()) if len(values) else float("nan")
        return Estimate(mean, float("nan"), float("nan"))
    rng = np.random.default_rng(0)
    drawn = rng.integers(len(values), size=(resamples, len(values)), dtype=np.int32)
    tail = (1 - confidence) / 2
    low, high = np.quantile(values[drawn].mean(axis=1), [tail, 1 - tail])
    return Estimate(float(values.mean()), float(low), float(high))
