"""The rows with a report's fault in them, beside the rows that they are in."""

from collections.abc import Mapping

from seglib import names
from seglib.rows.networks import Rows, changed, models_of
from seglib.rows.sums import losses

FAULT = ", as reported: "  # between the label of a row and the report's fault in it


def faults(values: Mapping, **best) -> Rows:
    """The reports' faults: each is a row with the changes it names; `row` names the row it is in, else the first.

    Raises: ValueError for a row that the notebook does not have, and for what no config can be.
    """
    if not values.get("faults"):
        return {}
    rows, found = losses(values) or models_of(values, **best), {}
    for name, change in values["faults"].items():
        fields = dict(change) if isinstance(change, dict) else change
        label = fields.pop("row", next(iter(rows))) if isinstance(change, dict) else next(iter(rows))
        if label not in rows:
            raise ValueError(f"faults: {name}: {names.unknown('row', label, rows)}")
        found |= changed(rows[label], {name: fields}, "faults", f"{label}{FAULT}")
    return found


def corrected(label: str) -> str:
    """The label of the row that a fault is in."""
    return label.partition(FAULT)[0]
