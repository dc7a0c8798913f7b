"""Which runs a notebook asks for: label → config, made from its parameters alone.

Notebooks train these rows, `make check` builds them before anything runs, and charts take their colours from them.
A parameter that a notebook does not have asks for nothing.
"""

from collections.abc import Mapping

from seglib import models, names, params, runs
from seglib.config import Config

FAULT = ", as reported: "  # between the label of a row and the report's fault in it
SUM = " + "  # between the terms of a loss

Rows = dict[str, Config]


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


def models_of(values: Mapping, **best) -> Rows:
    """The rows that are compared as models: each architecture under each regime, or the one model and `networks`;
    then `variants`.

    Args: best — fields that an earlier sweep chose.
    """
    config = params.to_config(values).with_(**best)
    if "architectures" in values:
        found = grid(config, values["architectures"], values["regimes"], values["options"], values["recipes"])
    else:
        found = {runs.label(network): network for network in _networks(values, config)}
    return found | changed(config, values.get("variants", {}), "variants")


def toggles(values: Mapping, **best) -> Rows:
    """Each of `toggles` in each network: what one change does, all else equal."""
    found = {}
    for network in _networks(values, params.to_config(values).with_(**best)):
        found |= changed(network, values.get("toggles", {}), "toggles")
    return found


def _networks(values: Mapping, config: Config) -> list[Config]:
    """The config, and the same with each of `networks` in the place of its model."""
    others = values.get("networks", {})
    return [config, *(config.with_(**{"model": name, "model_options": {}, **other}) for name, other in others.items())]


def grid(
    config: Config,
    architectures: list[str],
    regimes: Mapping[str, dict],
    options: Mapping[str, dict] | None = None,
    recipes: Mapping[str, dict] | None = None,
) -> Rows:
    """Each architecture under each regime, all else equal.

    Args: regimes — name → what it changes in the config; an architecture without a pre-trained encoder has one row,
        from scratch; options — model_options by architecture; recipes — other fields by architecture.
    Raises: ValueError for an unknown architecture, and for options or a recipe of one that is not among them.
    """
    options, recipes, rows = options or {}, recipes or {}, {}
    for parameter, given in {"options": options, "recipes": recipes}.items():
        for name in given:
            if name not in architectures:
                raise ValueError(names.unknown(f"architecture in {parameter}", name, architectures))
    for name in architectures:
        alone = config.with_(model=name, model_options=options.get(name, {}), **recipes.get(name, {}))
        if models.has_encoder(name):
            random = ", random encoder" if config.weights == "none" else ""
            named = {f"{regime}{random}": change for regime, change in regimes.items()}
            rows |= changed(alone, named, "regimes")
        else:
            alone = alone.with_(encoder="fine_tune", weights="none")
            rows[runs.label(alone)] = alone
    return rows


def changed(config: Config, changes: Mapping[str, dict], where: str, of: str = "") -> Rows:
    """The config with each of these changes, under the label `network, name`.

    Args: where — the parameter that holds them; of — what the label starts with, else the changed config's network.
    Raises: ValueError that names the parameter and the change.
    """
    rows = {}
    for name, change in changes.items():
        if not isinstance(change, dict):
            raise ValueError(f"{where}: {name} is {change!r}, expected the fields that it changes, such as {{lr: 0.1}}")
        try:
            row = config.with_(**change)
        except ValueError as error:
            raise ValueError(f"{where}: {name}: {error}") from error
        rows[f"{of or runs.network(row) + ', '}{name}"] = row
    return rows


def frozen(values: Mapping) -> Rows:
    """What fine-tuning is measured against: the run that notebook 02 has with these parameters.

    Raises: ValueError if the encoder is frozen anyway.
    """
    if "encoder_rates" not in values:
        return {}
    config = params.to_config(values)
    if config.encoder == "frozen":
        raise ValueError("encoder is frozen, so nothing is fine-tuned; set encoder: fine_tune, or run notebook 02")
    before = config.with_(encoder="frozen", encoder_lr=None, decoder_lr=None, start_from="")
    return {runs.label(before): before}


def encoder_rates(values: Mapping) -> Rows:
    """One row per learning rate of the encoder, with what `sweep` changes for all of them; at 0 it is frozen."""
    config = params.to_config(values).with_(**values.get("sweep", {})) if values.get("encoder_rates") else None
    return {
        f"{runs.network(config)}, encoder_lr {rate:g}": config.with_(
            **({"encoder_lr": rate} if rate else {"encoder": "frozen", "encoder_lr": None})
        )
        for rate in values.get("encoder_rates", [])
    }


def losses(values: Mapping) -> Rows:
    """One row per loss, then one per coefficient λ of the sum of `terms`: first + λ · second."""
    if "losses" not in values:
        return {}
    config = params.to_config(values)
    return {spec: config.with_(loss=weighted(spec)) for spec in [*values["losses"], *_sums(values)]}


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
    """One trial per momentum, each from the same initial weights; `best` is what an earlier sweep chose."""
    return _trials(values, "momentum", values.get("momenta", []), **best)


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


def control(values: Mapping, **best) -> Rows:
    """The notebook's first row again, to be trained under `control_seeds`."""
    if not values.get("control_seeds"):
        return {}
    label, config = next(iter(models_of(values, **best).items()))
    return {f"{label}, other seeds": config}


def corrected(label: str) -> str:
    """The label of the row that a fault is in."""
    return label.partition(FAULT)[0]


def labels(study: str) -> list[str]:
    """All labels of a study, each once, in the order of its notebooks, rows with a fault last; none without params/."""
    name = study.partition("@")[0]
    if name not in params.studies():
        return []
    found = [label for values in params.read(name).notebooks.values() for label in of(values)]
    return sorted(dict.fromkeys(found), key=lambda label: FAULT in label)
