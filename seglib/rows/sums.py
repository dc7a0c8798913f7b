"""The rows of notebook 05: losses, and sums of two with a coefficient."""

from collections.abc import Mapping

from seglib import params
from seglib.rows.networks import Rows, changed

SUM = " + "  # between the terms of a loss


def losses(values: Mapping) -> Rows:
    """One row per loss, then one per coefficient λ of the sum of `terms`: first + λ · second; then each of these under
    each of `variants`."""
    if "losses" not in values:
        return {}
    config = params.to_config(values)
    found = {spec: config.with_(loss=weighted(spec)) for spec in [*values["losses"], *_sums(values)]}
    for spec, row in list(found.items()):
        found |= changed(row, values.get("variants", {}), "variants", f"{spec}, ")
    return found


def coefficient_rates(values: Mapping) -> Rows:
    """Each coefficient at each learning rate."""
    if "coefficients" not in values:
        return {}
    config = params.to_config(values)
    return {
        f"{spec}, lr {rate:g}": config.with_(loss=weighted(spec), lr=rate)
        for spec in _sums(values)
        for rate in values["rates"]
    }


def _sums(values: Mapping) -> list[str]:
    if len(values["terms"]) != 2:
        raise ValueError(f"terms is {values['terms']}, expected two losses: the second one is multiplied by λ")
    first, second = values["terms"]
    return [f"{first}{SUM}{value:g} {second}" for value in values["coefficients"]]


def weighted(spec: str) -> str | dict[str, float]:
    """A loss as a label writes it → as `Config.loss` holds it: `mse + 60 dice` → {mse: 1, dice: 60}.

    Raises: ValueError for a term that is neither a name nor a weight and a name.
    """
    weights = {}
    for term in spec.split(SUM):
        weight, name = ["1", *term.split()][-2:]
        try:
            weights[name] = float(weight)
        except ValueError:
            raise ValueError(f"loss '{spec}': '{term}' is neither a name nor a weight and a name, as 60 dice") from None
    return spec if weights == {spec: 1.0} else weights
