"""Trainings that may diverge: at a rate or under a loss that is tried to see where it fails, that is a result too."""

from collections.abc import Mapping, Sequence

from seglib import experiment, rows, words
from seglib.runs import Run


def run_rows(wanted: rows.Rows, seeds: Sequence[int]) -> dict[str, list[Run]]:
    """As `experiment.run_rows`: the runs whose loss stayed finite; a label without any is left out.

    Raises: FloatingPointError if no run at all is left.
    """
    configs = [(label, config.with_(seed=seed)) for label, config in wanted.items() for seed in seeds]
    found: dict[str, list[Run]] = {}
    for i, (label, config) in enumerate(configs, start=1):
        try:
            run = experiment.run(config, runs_after=len(configs) - i)
        except FloatingPointError:  # told by `of_missing`
            continue
        found.setdefault(label, []).append(run)
    if configs and not found:
        raise FloatingPointError(f"the loss of every run of {', '.join(wanted)} stopped being finite; use a lower lr")
    return found


def of_missing(wanted: rows.Rows, seeds: Sequence[int], groups: Mapping[str, Sequence[Run]]):
    """Which runs there are not because their loss stopped being finite; nothing if all are there."""
    lost = {label: len(seeds) - len(groups.get(label, [])) for label in wanted}
    named = [f"{label} ({count} of {len(seeds)} seeds)" for label, count in lost.items() if count]
    text = "**Diverged**: the loss stopped being finite, so that there is no run to score, under "
    return words.markdown(f"{text}{'; '.join(named)}." if named else "")
