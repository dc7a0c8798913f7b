"""The studies: which notebooks each runs, with which parameters; checked before anything runs."""

import ast
import json
import re
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from seglib import config, digest, names, paths, permitted
from seglib.plain_yaml import load as load_yaml
from seglib.plain_yaml import read as read_yaml
from seglib.plain_yaml import short as _short

DIGEST_LENGTH = 8  # hex digits, in the folder name of an overridden report
REPORTED = {  # in reported.yaml: the keys an entry must have, and those it may have
    "figures": ({"label", "score", "value", "source"}, {"ours", "also_said"}),
    "claims": ({"text", "source", "better", "worse", "metric"}, {"note", "alike"}),
}
ABOUT = {"title": str, "question": str, "contrast": list[str]}  # of about.yaml; all but the question may be left out
MAY_BE_EMPTY = {  # lists of what is tried, or not
    "encoder_rates", "scored_faults", "rates", "momenta", "coefficients", "control_seeds", "checkpoints", "jitters",
}  # fmt: skip
STUDY = "study"  # every notebook's parameter for the study it belongs to; set by the report, never by a YAML


@dataclass(frozen=True)
class Study:
    """A folder of params/: which of the notebooks to run, and the parameters of each."""

    name: str
    notebooks: dict[str, dict]  # notebook → its parameters as injected, overrides in
    overrides: dict = field(default_factory=dict)  # what SET changed

    @property
    def folder_name(self) -> str:
        """The report's folder: the study's name, with a digest where parameters were overridden."""
        return f"{self.name}@{digest.of_value(self.overrides)[:DIGEST_LENGTH]}" if self.overrides else self.name


def studies() -> list[str]:
    """The names of all studies."""
    return sorted(folder.name for folder in paths.PARAMS.iterdir() if any(folder.glob("[0-9][0-9]_*.yaml")))


def read(study: str, overrides: str = "") -> Study:
    """A study with its parameters, every one of them checked against its notebook and against `Config`.

    Args: overrides — `name=value` pairs separated by blanks, values as YAML writes them: `epochs=2 seeds=[0]`.
    Raises: ValueError that names the file and the parameter.
    """
    if study not in studies():
        raise ValueError(names.unknown("study", study, studies()))
    permitted.check_study(study)
    changes = parse_overrides(overrides)
    for file in (paths.PARAMS / study).iterdir():
        if not re.fullmatch(r"(\d\d_\w+|about|reported|classes)\.yaml", file.name):
            raise ValueError(
                f"{_short(file)} is neither <notebook>.yaml nor reported.yaml nor about.yaml nor classes.yaml; "
                "rename or remove it"
            )
    reported(study)
    about(study)
    notebooks = {}
    for file in sorted((paths.PARAMS / study).glob("[0-9][0-9]_*.yaml")):
        defaults = parameters_cell(file)
        values = read_yaml(file)
        for name in values:
            if name not in defaults or name == STUDY:
                raise ValueError(f"{_short(file)}: {names.unknown('parameter', name, defaults.keys() - {STUDY})}")
        applied = {name: value for name, value in changes.items() if name in defaults}
        notebooks[file.stem] = _checked(file, defaults, {**values, **applied})
    known = {name for file in notebooks for name in parameters_cell(paths.PARAMS / study / file)} - {STUDY}
    for name in changes:
        if name not in known:
            raise ValueError(f"SET: {names.unknown('parameter', name, known)}")
    result = Study(study, notebooks, changes)
    for values in notebooks.values():
        values[STUDY] = result.folder_name
    return result


def reported(study: str) -> dict:
    """What the reports gave for a study: dataset, differs (report → why its recipe is not ours), figures, claims.

    Figures: label, score, value, source, and where given ours, also_said. Claims: text, source, better, worse,
    metric, and where given note, alike; `seglib.reported` says what they mean. Without a file both lists are empty.
    Raises: ValueError that names the file, for a key that is missing or unknown.
    """
    file = paths.PARAMS / study / "reported.yaml"
    content = {"dataset": None, "differs": {}, "figures": [], "claims": []}
    if not file.is_file():
        return content
    for name, value in read_yaml(file).items():
        if name not in content:
            raise ValueError(f"{_short(file)}: {names.unknown('key', name, content)}")
        content[name] = value
    for part, (always, optional) in REPORTED.items():
        if not isinstance(content[part], list) or not all(isinstance(entry, dict) for entry in content[part]):
            raise ValueError(f"{_short(file)}: {part} is {content[part]!r}, expected a list of mappings")
        for entry in content[part]:
            for name in entry:
                if name not in always | optional:
                    raise ValueError(f"{_short(file)}: {names.unknown('key', name, always | optional)}")
            if missing := always - entry.keys():
                raise ValueError(f"{_short(file)}: {entry} lacks {', '.join(sorted(missing))}")
    if content["dataset"] is None:
        raise ValueError(f"{_short(file)} lacks dataset: the source that its figures are for")
    return content


def about(study: str) -> dict:
    """What a study is about, for its index page: title, question, contrast ([model, baseline], or empty).

    Without a file the title is the study's name and the question is empty.
    Raises: ValueError that names the file, for a key that is missing or unknown and for a wrong value.
    """
    file = paths.PARAMS / study / "about.yaml"
    content = {"title": study, "question": "", "contrast": []}
    if not file.is_file():
        return content
    for name, value in read_yaml(file).items():
        if name not in ABOUT:
            raise ValueError(f"{_short(file)}: {names.unknown('key', name, ABOUT)}")
        try:
            content[name] = _as(name, value, ABOUT[name])
        except ValueError as error:
            raise ValueError(f"{_short(file)}: {error}") from None
    if len(set(content["contrast"])) not in (0, 2):
        raise ValueError(f"{_short(file)}: contrast is {content['contrast']}, expected two rows, [model, baseline]")
    if not content["question"].strip():
        raise ValueError(f"{_short(file)} lacks question: what the study asks, in a sentence or two")
    return content


def to_config(namespace: Mapping) -> config.Config:
    """The config that a notebook's parameters describe: its fields, taken from the notebook's `globals()`."""
    return config.from_mapping({name: namespace[name] for name in config.FIELDS if name in namespace})


def parse_overrides(text: str) -> dict:
    """`epochs=2 seeds=[0, 1]` → {"epochs": 2, "seeds": [0, 1]}."""
    changes = {}
    for pair in re.split(r"\s+(?=[^\s=]+=)", text.strip()) if text.strip() else ():  # values may have blanks in them
        name, equals, value = pair.partition("=")
        if not equals or not name.isidentifier():
            raise ValueError(f"SET: '{pair}' is not of the form name=value; example: SET=\"epochs=2\"")
        changes[name] = load_yaml(value, f"SET: {name}")
    return changes


def parameters_cell(notebook: Path | str) -> dict:
    """The defaults of a notebook's parameters cell: name → (value, annotation's name)."""
    return dict(_parameters_cell(Path(notebook).stem))


@cache
def _parameters_cell(stem: str) -> dict:
    file = paths.NOTEBOOKS / f"{stem}.ipynb"
    if not file.is_file():
        raise ValueError(names.unknown("notebook", stem, (f.stem for f in paths.NOTEBOOKS.glob("*.ipynb"))))
    cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
    source = ["".join(c["source"]) for c in cells if "parameters" in c["metadata"].get("tags", [])]
    assert len(source) == 1, f"{file.name} has {len(source)} parameters cells, expected one"
    return {
        node.target.id: (ast.literal_eval(node.value), ast.unparse(node.annotation))
        for node in ast.parse(source[0]).body
    }


# What a parameter may be: as Config declares its field, else as the cell annotates it (papermill reads no unions).
_KINDS = {
    "int": int, "float": float, "bool": bool, "str": str, "dict": dict,
    "list[int]": list[int], "list[float]": list[float], "list[str]": list[str],
}  # fmt: skip


def _checked(file: Path, defaults: Mapping, values: dict) -> dict:
    """The values as their declared kinds; the config they make, with the notebook's defaults, must be a valid one."""
    checked = {}
    for name, value in values.items():
        try:
            checked[name] = _as(name, value, config.KINDS.get(name) or _KINDS[defaults[name][1]])
        except ValueError as error:
            raise ValueError(f"{_short(file)}: {error}") from None
    seeds = checked.get("seeds", [])
    if len(set(seeds)) < len(seeds) or any(seed < 0 for seed in seeds):
        raise ValueError(f"{_short(file)}: seeds is {seeds}, expected different numbers of at least 0")
    if checked.get("examples", 1) < 1:
        raise ValueError(f"{_short(file)}: examples is {checked['examples']}, expected at least 1")
    together = {name: value for name, (value, _) in defaults.items()} | checked
    try:
        config.from_mapping({name: value for name, value in together.items() if name in config.FIELDS})
    except ValueError as error:
        raise ValueError(f"{_short(file)}: {error}") from None
    return together


def _as(name: str, value: object, kind: object) -> object:
    if typing.get_origin(kind) is list:
        if not isinstance(value, list) or not (value or name in MAY_BE_EMPTY):
            raise ValueError(
                f"{name} is {value!r}, expected a list of {typing.get_args(kind)[0].__name__} such as [0, 1]"
            )
        return [config.checked(f"{name}[{i}]", item, typing.get_args(kind)[0]) for i, item in enumerate(value)]
    return config.checked(name, value, kind)
