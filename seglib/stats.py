"""Intervals over test images: how far a mean score would move had other images of the same kind been the test set."""

from dataclasses import dataclass

import numpy as np

RESAMPLES = 10_000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean and its interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        digits = self.digits
        if self.low == self.high:  # a single figure
            return f"{self.mean:.{digits}f}"
        # no-break spaces: where a table is narrow, the line breaks before the bracket
        return f"{self.mean:.{digits}f} ({self.low:.{digits}f}\u00a0to\u00a0{self.high:.{digits}f})"

    @property
    def digits(self) -> int:
        """Decimals that the interval supports: its half-width is known to two of its own digits at most."""
        half = (self.high - self.low) / 2
        return 3 if not half > 0 else int(np.clip(1 - np.floor(np.log10(half)), 1, 4))


def bootstrap_mean(values: np.ndarray, resamples: int = RESAMPLES, confidence: float = CONFIDENCE) -> Estimate:
    """The mean over images and its percentile bootstrap interval; images are what is resampled.

    Args: values — one score per image; NaN means not defined there and is left out. The same values give the same
        interval: the resampling is seeded.
    Reference: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, § 13.3.
    """
    values = np.asarray(values, dtype=float)
    values = values[~np.isnan(values)]
    if not len(values):
        return Estimate(float("nan"), float("nan"), float("nan"))
    rng = np.random.default_rng(0)
    drawn = rng.integers(len(values), size=(resamples, len(values)), dtype=np.int32)
    tail = (1 - confidence) / 2
    low, high = np.quantile(values[drawn].mean(axis=1), [tail, 1 - tail])
    return Estimate(float(values.mean()), float(low), float(high))
