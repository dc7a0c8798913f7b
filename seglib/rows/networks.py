"""The rows of notebooks 02 to 04: architectures under regimes, variants of one network, rates of its encoder."""

from collections.abc import Mapping

from seglib import models, names, params, runs
from seglib.config import Config

Rows = dict[str, Config]


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


def bases(values: Mapping, **best) -> dict[str, str]:
    """The label of each row of `toggles` → that of the row it is a change of."""
    config, changes = params.to_config(values).with_(**best), values.get("toggles", {})
    return {
        label: runs.label(network)
        for network in _networks(values, config)
        for label in changed(network, changes, "toggles")
    }


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


def control(values: Mapping, **best) -> Rows:
    """The notebook's first row again, to be trained under `control_seeds`.

    Raises: ValueError for a seed that is given twice, or that the row was trained under already.
    """
    others = values.get("control_seeds", [])
    if not others:
        return {}
    if twice := {seed for seed in others if [*values.get("seeds", []), *others].count(seed) > 1}:
        raise ValueError(f"control_seeds is {others}: {min(twice)} is given twice or among seeds; give other ones")
    label, config = next(iter(models_of(values, **best).items()))
    return {f"{label}, other seeds": config}
