"""Which runs a study asks for, before anything is trained: every row under every seed, and the runs they start from."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from seglib import divergence, experiment, rows, runs, trials
from seglib.config import Config
from seglib.divergence import Diverged
from seglib.params import Study


@dataclass(frozen=True)
class Asked:
    """One run that a notebook asks for."""

    label: str  # of its row
    config: Config  # resolved, its seed in it
    key: str
    settled: bool  # finished in the store, or known to diverge: it would not be trained
    awaits: bool = False  # what a sweep will find best enters it: its learning rate or momentum, and so its key
    diverges: bool = False  # settled, and there is no run


Runs = dict[str, list[Asked]]  # notebook → its runs, those that others start from before these


def of_study(study: Study) -> Runs:
    """Every notebook's runs; a run that two notebooks ask for is in both.

    Raises: ValueError or FileNotFoundError, with the notebook's name, for parameters or data that cannot work.
    """
    found = {}
    for notebook, values in study.notebooks.items():
        try:
            found[notebook] = of(values)
        except FileNotFoundError as error:
            raise FileNotFoundError(f"{notebook}: {error}") from error
        except ValueError as error:
            raise ValueError(f"{notebook}: {error}") from error
    return found


def of(values: Mapping) -> list[Asked]:
    """The runs that a notebook's parameters ask for; a key stands once under each label that asks for it.

    Where its sweeps are settled in the store, what they found best is known and in the rows that await it.
    """
    best, known = _best(values)
    found: dict[tuple[str, str], Asked] = {}
    for part in rows.parts(values, **best):
        for label, config in part.rows.items():
            for seed in part.seeds:
                for one in _with_start(label, config.with_(seed=seed), part.awaits and not known):
                    found[one.key, one.label] = one
    return list(found.values())


def distinct(asked: Runs) -> dict[str, Asked]:
    """Key → run, of all notebooks together."""
    return {one.key: one for group in asked.values() for one in group}


def _best(values: Mapping) -> tuple[dict, bool]:
    """What the sweeps of a notebook chose, and whether all that they try is settled."""
    best = {}
    for field in ("lr", "momentum"):
        tried = rows.rates(values) if field == "lr" else rows.momenta(values, **best)
        settled = {
            label: [divergence.known(config.with_(seed=seed)) for seed in values["seeds"]]
            for label, config in tried.items()
        }
        if None in [outcome for group in settled.values() for outcome in group]:
            return best, False
        best |= trials.winner(settled, field)
    return best, True


def _with_start(label: str, config: Config, awaits: bool) -> Iterator[Asked]:
    """The run that a config starts from, if it names one by what differs in it; then its own."""
    config = experiment.resolve(config)
    before = experiment.start(config)
    if isinstance(before, Config):
        yield from _with_start(f"{label}: the run it starts from", before, awaits)
    key = runs.key_of(experiment.inputs(config))
    outcome = divergence.settled(config, key)
    yield Asked(label, config, key, outcome is not None, awaits, isinstance(outcome, Diverged))
