"""The rows of notebook 06: what is tried before a network is trained in full."""

from collections.abc import Mapping

from seglib import params, runs
from seglib.rows.networks import Rows
from seglib.rows.reported import FAULT


def overfitted(values: Mapping) -> Rows:
    """The sanity check: two training images, as they are, learned by heart."""
    if not values.get("overfit_epochs"):
        return {}
    config = params.to_config(values).with_(**values["overfit_changes"])
    return {f"{runs.network(config)}, two images": config.with_(overfit=2, epochs=values["overfit_epochs"])}


def rates(values: Mapping) -> Rows:
    """One trial per learning rate, each from the same initial weights."""
    return _trials(values, "lr", values.get("rates", []))


def momenta(values: Mapping, **best) -> Rows:
    """One trial per momentum, each from the same initial weights; `best` is what an earlier sweep chose. Adam has no
    momentum to try."""
    return _trials(values, "momentum", values.get("momenta", []) if values.get("optimizer") == "sgd" else [], **best)


def reused(values: Mapping) -> Rows:
    """Report 2's fault: the trials of `rates` again, each going on with the model as the one before it left it."""
    if not values.get("reuse_model"):
        return {}
    found, before = {}, ""
    for label, config in rates(values).items():
        if before:
            found[f"{label}{FAULT}model reused"] = config.with_(start_from=before)
        before = {"lr": config.lr, "select_by": "last", "patience": 0, "start_from": before}
    return found


def _trials(values: Mapping, field: str, tried: list[float], **best) -> Rows:
    if "trial_epochs" not in values:
        return {}
    config = params.to_config(values).with_(epochs=values["trial_epochs"], **best)
    return {f"{field} {value:g}": config.with_(**{field: value}) for value in tried}
