"""Which runs a notebook asks for: label → config, made from its parameters alone.

Notebooks train these rows, `make check` builds them before anything runs, and charts take their colours from them.
A parameter that a notebook does not have asks for nothing.
"""

from collections.abc import Mapping

from seglib import params
from seglib.rows.networks import Rows, bases, changed, control, encoder_rates, frozen, grid, models_of, toggles
from seglib.rows.reported import FAULT, corrected, faults
from seglib.rows.sums import SUM, coefficient_rates, losses, weighted
from seglib.rows.trials import momenta, overfitted, rates, reused

__all__ = [
    "FAULT", "SUM", "Rows", "bases", "changed", "coefficient_rates", "control", "corrected", "encoder_rates", "faults",
    "frozen", "grid", "labels", "losses", "models_of", "momenta", "of", "overfitted", "rates", "reused", "toggles",
    "weighted",
]  # fmt: skip


def of(values: Mapping) -> Rows:
    """Every row that a notebook's parameters ask for; what a sweep finds best is not known yet and not among them.

    Raises: ValueError for what no config can be.
    """
    if "dataset" not in values or not values.keys() & {"model", "architectures"}:
        return {}
    rows = frozen(values) | (models_of(values) if "losses" not in values else {})
    for part in (
        encoder_rates, losses, coefficient_rates, overfitted, rates, momenta, reused, toggles, faults, control
    ):  # fmt: skip
        rows |= part(values)
    return rows


def labels(study: str) -> list[str]:
    """All labels of a study, each once, in the order of its notebooks, rows with a fault last; none without params/."""
    name = study.partition("@")[0]
    if name not in params.studies():
        return []
    found = [label for values in params.read(name).notebooks.values() for label in of(values)]
    return sorted(dict.fromkeys(found), key=lambda label: FAULT in label)
