"""What can be known to be wrong with a study before anything of it runs, and what its results depend on.

A check needs torch and reads all data. What it found is kept in the cache with signs of all that it looked at: while
they hold it need not look again.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from seglib import atomic, digest, paths, witness
from seglib.params import Study

MACHINE = ("device", "threads", "precision", "accumulate")  # fields that `experiment.resolve` fills in


@dataclass(frozen=True)
class Found:
    """What a notebook's results depend on and its parameters do not say. Values are sorted lists without doubles."""

    data: dict[str, list[str]] = field(default_factory=dict)  # data set → fingerprints
    weights: dict[str, list[str]] = field(default_factory=dict)  # as parameters call them → sha256 of their file
    machine: dict[str, list] = field(default_factory=dict)  # fields of MACHINE → what `auto` and 0 stand for here
    modules: list[str] = field(default_factory=list)  # whose code its runs use
    rows: dict[str, list] = field(default_factory=dict)  # label → [its network, whether it has a report's fault]


def study(wanted: Study, notebooks: Collection[str] | None = None) -> dict[str, Found]:
    """Decodes each notebook's data and builds its models once, so that what is wrong is said before anything runs.

    Args: notebooks — those that are checked, else all.
    Returns: notebook → what its results depend on, for the notebooks that have data or checkpoints of their own.
    """
    found, checked = {}, set()
    for notebook in concerned(wanted) if notebooks is None else notebooks:
        try:
            found[notebook] = _notebook(wanted.notebooks[notebook], checked)
        except FileNotFoundError as error:
            raise FileNotFoundError(f"{notebook}: {error}") from error
        except ValueError as error:  # not its own kind: a UnicodeDecodeError, say, cannot be made from a text
            raise ValueError(f"{notebook}: {error}") from error
    return found


def concerned(wanted: Study) -> list[str]:
    """The notebooks with data or checkpoints of their own; the others show what these recorded."""
    return [notebook for notebook, values in wanted.notebooks.items() if {"dataset", "checkpoints"} & values.keys()]


def remembered(wanted: Study) -> dict[str, Found]:
    """What earlier checks found, for the notebooks for which every sign of it holds; without torch."""
    known = {notebook: _remembered(wanted.notebooks[notebook]) for notebook in concerned(wanted)}
    return {notebook: found for notebook, found in known.items() if found is not None}


def _notebook(values: Mapping, checked: set[str]) -> Found:
    """Args: checked — digests of the runs that need no second check; these are added."""
    from seglib import params, rows

    configs = rows.of(values)
    own = "dataset" in values
    files = _files(list(configs.values()) or [params.to_config(values)]) if own else _folders(values["checkpoints"])
    signs = witness.of_files(files)  # before all is read
    found = _of_runs(configs, checked) if configs else _of_data(values) if own else _of_checkpoints(values)
    content = {"files": signs, "places": _places(signs), "code": _code(found), "found": asdict(found)}
    atomic.write(_memory(values), json.dumps(content, indent=1) + "\n")
    return found


def _of_runs(configs: Mapping, checked: set[str]) -> Found:
    from seglib import experiment, rows
    from seglib.plots import style

    def several(pairs) -> dict[str, list]:
        pairs = list(pairs)
        return {name: sorted({value for other, value in pairs if other == name}) for name, _ in pairs}

    inputs = {label: experiment.inputs(experiment.resolve(row)) for label, row in configs.items()}
    for label, row in configs.items():
        if (key := digest.of_value(inputs[label])) not in checked:
            experiment.check(row)
            checked.add(key)
    return Found(
        several((row.dataset, inputs[label]["data"]) for label, row in configs.items()),
        several((row.weights, inputs[label]["weights"]) for label, row in configs.items() if row.weights != "none"),
        several((name, each["config"][name]) for each in inputs.values() for name in MACHINE),
        sorted({module for row in configs.values() for module in _modules(row)}),
        {label: [style.network_and_row(label)[0], rows.FAULT in label] for label in configs},
    )


def _of_data(values: Mapping) -> Found:
    from seglib import data, params

    config = params.to_config(values)
    return Found({config.dataset: [data.load(config).fingerprint]}, modules=[data.kind(config).__module__])


def _of_checkpoints(values: Mapping) -> Found:
    from seglib import runtime
    from seglib.sam import checkpoints, comparison

    comparison.check(values)
    here = checkpoints.at_hand(values["checkpoints"])
    machine = {"device": [runtime.device(values["device"]).type]} if here else {}
    return Found(weights={name: [identity] for name, identity in here.items()}, machine=machine)


def _modules(config) -> set[str]:
    """The modules whose code a run uses, and the run that it starts from."""
    from seglib import experiment

    before = experiment.start(config)
    return {*experiment.modules(config), *(() if not before or isinstance(before, str) else _modules(before))}


def _files(configs: Collection) -> set[Path]:
    """The files and folders that the data and weights of these configs are read from."""
    from seglib import data
    from seglib.models import weights

    found = {weights.locate(config.weights) for config in configs if config.weights != "none"}
    for config in {(config.dataset, config.data_folder): config for config in configs}.values():
        source = data.open_source(config)
        if not source.generated:  # one that does not say where it lies is somewhere below the root
            found |= {getattr(source, "root", paths.data()), paths.PARAMS / config.data_folder / "classes.yaml"}
    return found


def _folders(wanted: Collection[str]) -> set[Path]:
    """Where these checkpoints of SAM are looked for; in Hugging Face's cache with what names the newest commit."""
    from seglib.sam import checkpoints

    places = [place for name in wanted for place in checkpoints.places(name)]
    return {place.parents[1] if place.parent.name == "snapshots" else place for place in places}


def _memory(values: Mapping) -> Path:
    """Where it is kept what a check with these parameters found on a machine like this one."""
    name = digest.of_value([values, witness.of_machine(), witness.of_libraries()])
    return paths.cache() / "checked" / f"{name[:24]}.json"


def _places(files: Mapping) -> list[str]:
    """Where files are looked for, if there are any: elsewhere there may be others of the same names."""
    return [str(folder) for folder in (paths.ROOT, paths.PARAMS, paths.data())] if files else []


def _remembered(values: Mapping) -> Found | None:
    file = _memory(values)
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        found = Found(**content["found"])
        files = content["files"]
        if content["places"] == _places(files) and files == witness.of_files(map(Path, files)):
            return found if content["code"] == _code(found) else None
    except (FileNotFoundError, ValueError, KeyError, TypeError):  # never checked, or by an older version
        pass
    return None


def _code(found: Found) -> str:
    """Digest of the code that the check itself and the runs use."""
    return digest.of_code([__name__, *found.modules])
