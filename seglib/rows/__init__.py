"""Which runs a notebook asks for: label → config, made from its parameters alone.

Notebooks train these rows, `make check` builds them before anything runs, and charts take their colours from them.
A parameter that a notebook does not have asks for nothing.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from seglib import params
from seglib.rows.networks import Rows, bases, changed, control, encoder_rates, frozen, grid, models_of, toggles
from seglib.rows.reported import FAULT, corrected, faults
from seglib.rows.sums import SUM, coefficient_rates, losses, weighted
from seglib.rows.trials import momenta, overfitted, rates, reused

__all__ = [
    "FAULT", "SUM", "Part", "Rows", "bases", "changed", "coefficient_rates", "control", "corrected", "encoder_rates",
    "faults", "frozen", "grid", "labels", "losses", "models_of", "momenta", "of", "overfitted", "parts", "rates",
    "reused", "toggles", "weighted",
]  # fmt: skip


class Part(NamedTuple):
    """Rows that a notebook trains together."""

    rows: Rows
    seeds: Sequence[int]
    awaits: bool = False  # whether what a sweep finds best enters these rows


def parts(values: Mapping, **best) -> list[Part]:
    """Every row that a notebook's parameters ask for, with the seeds it is trained under.

    Args: best — fields that its sweeps chose, once they have; else rows that await them are as the parameters say.
    Raises: ValueError for what no config can be.
    """
    if "dataset" not in values or not values.keys() & {"model", "architectures"}:
        return []
    seeds, rated = values.get("seeds", [0]), bool(rates(values))
    swept = rated or bool(momenta(values))
    return [
        Part(frozen(values), seeds),
        Part(models_of(values, **best) if "losses" not in values else {}, seeds, swept),
        *(Part(part(values), seeds) for part in (encoder_rates, losses, coefficient_rates)),
        Part(overfitted(values), seeds[:1]),
        Part(rates(values), seeds),
        Part(momenta(values, **best), seeds, rated),
        Part(reused(values), seeds),
        *(Part(part(values, **best), seeds, swept) for part in (toggles, faults)),
        Part(control(values, **best), values.get("control_seeds", []), swept),
    ]


def of(values: Mapping) -> Rows:
    """Every row that a notebook's parameters ask for; what a sweep finds best is not known yet and not among them.

    Raises: ValueError for what no config can be.
    """
    return {label: config for part in parts(values) for label, config in part.rows.items()}


def labels(study: str) -> list[str]:
    """All labels of a study, each once, in the order of its notebooks, rows with a fault last; none without params/."""
    name = study.partition("@")[0]
    if name not in params.studies():
        return []
    found = [label for values in params.read(name).notebooks.values() for label in of(values)]
    return sorted(dict.fromkeys(found), key=lambda label: FAULT in label)
