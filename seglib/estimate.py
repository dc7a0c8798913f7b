"""The pace of each kind of run that is asked for: from the store, from a probe, or from the work of what was measured.

Measured beats probed, and probed beats extrapolated. The time for probes goes to the kinds with most work in them.
"""

import gc
import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from time import monotonic

from seglib import data, efficiency, kinds, memory, pace, probe, runs, space
from seglib.config import Config
from seglib.features import can_be_kept
from seglib.pace import Pace
from seglib.runs import network


@dataclass(frozen=True)
class Kind:
    """Runs that cost the same per image."""

    config: Config  # of the one that does most, resolved
    train: int  # its training images
    steps: int  # images that all of them train on, over all epochs

    @property
    def name(self) -> str:
        return kinds.name(self.config, self.train)

    @cached_property
    def operations(self) -> float:
        """Of one image in a training step, forward and backward; a multiply-add is two."""
        model, kept = space.network(self.config), can_be_kept(self.config)
        operations, _ = efficiency.work_per_image(model, self.config.image_size, decoder_only=kept)
        return max(operations, 1.0)  # a model of one's own may have none that are counted

    @cached_property
    def memory(self) -> int:
        """Estimated bytes of a training step."""
        config, classes = self.config, len(data.open_source(self.config).class_names())
        per_image, fixed = memory.step_bytes(space.network(config), config.image_size, classes, config.precision)
        return fixed + per_image * math.ceil(kinds.batch(self.config, self.train) / self.config.accumulate)

    @property
    def step(self) -> float:
        """Operations of one step."""
        return self.operations * kinds.batch(self.config, self.train)

    @property
    def probe(self) -> float:
        """Operations of the shortest probe: two steps, and images that are evaluated, which cost a third."""
        return 2 * self.step + self.operations * probe.EVALUATED / 3


def paces(asked: Mapping[str, Kind], seconds: float) -> dict[str, Pace]:
    """Kind's key → its pace. At least one kind is measured, however long that takes; then `seconds` are kept to."""
    stored = pace.of_stored(runs.finished(), asked)
    left = {key: kind for key, kind in asked.items() if key not in stored}
    found = stored | _probed(left, [_rate(stored[key], asked[key]) for key in stored], seconds)
    return {key: found.get(key) or _extrapolated(kind, asked, found) for key, kind in asked.items()}


def _probed(left: Mapping[str, Kind], rates: list[float], seconds: float) -> dict[str, Pace]:
    """The paces of those for whose probe there is time.

    Args: rates — seconds per operation of the kinds that the store knows.
    """
    found, deadline = {}, monotonic() + seconds
    waiting = sorted(left, key=lambda key: -left[key].operations * left[key].steps)
    if waiting and not rates:  # the cheapest first: it tells what the others' probes will take
        waiting.sort(key=lambda key: left[key].step != min(kind.step for kind in left.values()))
    while waiting:
        kind, remaining = left[key := waiting.pop(0)], deadline - monotonic()
        if rates and statistics.median(rates) * kind.probe > remaining:
            continue
        found[key] = probe.measure(kind.config, kind.train, remaining / (len(waiting) + 1))
        rates.append(_rate(found[key], kind))
        gc.collect()
    return found


def _rate(known: Pace, kind: Kind) -> float:
    """Seconds per operation."""
    return known.step.middle / kind.operations


def _extrapolated(kind: Kind, asked: Mapping[str, Kind], found: Mapping[str, Pace]) -> Pace:
    """From the measured kind that is most like it: the same network if there is one, else the nearest in work."""

    def distance(key: str) -> tuple:
        other = asked[key]
        return (
            other.config.model != kind.config.model,
            other.config.encoder != kind.config.encoder,
            abs(other.operations - kind.operations),
        )

    nearest = min(found, key=distance)
    factor = kind.operations / asked[nearest].operations
    peak = found[nearest].memory + (kind.memory - asked[nearest].memory) // 10**6
    how = f"extrapolated by multiply-adds: {factor:.2g} times those of {network(asked[nearest].config)}"
    return found[nearest].scaled(factor, max(peak, 0), how)
