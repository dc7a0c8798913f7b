"""What an executed notebook was made from, value by value, so that it can be told what has changed since.

The stamp lies in the notebook's own metadata. It holds contents, never times or paths: each parameter; the notebook's
source; the syntax tree of each module that it reaches; the versions of libraries; what the machine's device is; the
fingerprints of data and weights; what the reports gave; the colours of its rows; what earlier notebooks recorded.
"""

import functools
import json
from collections.abc import Mapping
from pathlib import Path

from seglib import atomic, digest, params, paths, reach, runs, seal, witness
from seglib.check import Found
from seglib.params import Study

ENTRY = "seglib"  # of the executed notebook's metadata
ALWAYS = ("seglib.notebook",)  # how every notebook is executed
SHORT = 16  # hex digits of a digest that is only compared
# What a notebook makes use of is read off the names that its cells come to
REPORTED, COLOURS = ("seglib.params", "reported"), ("seglib.rows", "labels")
RECORD = ("seglib.runs", "record")
RECORDS = {("seglib.runs", "families"), ("seglib.runs", "recorded_by")}
NOT_FOLLOWED = (("seglib.params", "read"),)  # checks all of a study's YAML, whatever is wanted of it
VALUES = ("parameters", "libraries", "machine")  # parts of which a reader is told the old and the new value
NAMES = {  # how a reader is told of what changed in the others
    "code": "{}", "notebook": "{}", "data": "the data of {}", "weights": "the weights {}", "study": "{}",
    "colours": "the colour of {}", "earlier notebooks": "what {} recorded",
}  # fmt: skip

Stamp = dict[str, dict]  # part → name → value


def of(study: Study, notebook: str, found: Mapping[str, Found]) -> Stamp:
    """The stamp that a notebook of a study would get now.

    Args: found — what the check found of each notebook that has data of its own.
    """
    own, code = found.get(notebook, Found()), _code(notebook)
    used, reached = _names(code), reach.modules(code, [*ALWAYS, *digest.used_by(own.modules)])
    return {
        "parameters": dict(study.notebooks[notebook]),
        "notebook": {"the notebook": _short(_cells(notebook))},
        "code": {name: _short(digest.of_module(name)) for name in reached},
        "libraries": witness.of_libraries(),
        "machine": dict(own.machine),
        "data": dict(own.data),
        "weights": dict(own.weights),
        "study": {"reported.yaml": _short(params.reported(study.name))} if REPORTED in used else {},
        "colours": _colours(study, notebook, found) if COLOURS in used else {},
        "earlier notebooks": {name: recorded(study, name) for name in reads(study, notebook)},
    }


def reads(study: Study, notebook: str) -> list[str]:
    """The earlier notebooks of a study whose records a notebook reads."""
    return [name for name in study.notebooks if name < notebook] if RECORDS & _names(_code(notebook)) else []


def needs(study: Study, notebook: str) -> list[str]:
    """The earlier notebooks whose runs a notebook shows instead of its own: that record runs, of one without data."""
    if "dataset" in study.notebooks[notebook]:
        return []
    return [name for name in reads(study, notebook) if RECORD in _names(_code(name))]


def recorded(study: Study, notebook: str) -> str:
    """Digest of the runs that a notebook recorded, under their labels and with their seals; empty if it recorded none,
    if one of them is not in the store, or if what it recorded is damaged."""
    try:
        families = runs.families(study.folder_name, [notebook])
    except (FileNotFoundError, ValueError):
        return ""
    return _short([
        [family, label, [[run.key, run.meta["sha256"]] for run in group]]
        for family, groups in families.items() for label, group in groups.items()
    ])  # fmt: skip


def differences(before: Stamp, now: Stamp) -> list[str]:
    """What has changed from one stamp of a notebook to another, a line each: `lr: 0.001 → 0.002`."""
    return [
        _line(part, name, before.get(part, {}).get(name), now[part].get(name))
        for part in now
        for name in dict.fromkeys([*before.get(part, {}), *now[part]])
        if before.get(part, {}).get(name) != now[part].get(name)
    ]


def _line(part: str, name: str, old: object, new: object) -> str:
    if part in VALUES:
        return f"{name}: {_text(old)} → {_text(new)}"
    what = "is used now" if old is None else "is not used any more" if new is None else "changed"
    return f"{NAMES[part].format(name)} {what}"


def _text(value: object) -> str:
    return "–" if value is None else json.dumps(value, ensure_ascii=False)


def read(notebook: Path) -> dict:
    """What an executed notebook notes of itself: `stamp`, `recorded`, `tables`, seconds, finished; {} of one that is
    not there, is not as it was written (its outputs too) or was made by an older version."""
    try:
        content = json.loads(notebook.read_text(encoding="utf-8"))
        noted = content["metadata"][ENTRY]
        told = noted.pop(seal.SIGNATURE)
        return noted if told == digest.of_value(content) else {}
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def write(notebook: Path, values: Mapping) -> None:
    """Notes in an executed notebook what it was made from, and when, and signs it with its own digest."""
    content = json.loads(notebook.read_text(encoding="utf-8"))
    content["metadata"][ENTRY] = dict(values)
    content["metadata"][ENTRY] = {**values, seal.SIGNATURE: digest.of_value(content)}
    atomic.write(notebook, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def tables(study: Study, notebook: str) -> dict[str, str]:
    """Name → digest of the tables that a notebook left beside its page."""
    folder = paths.report(study.folder_name) / "tables"
    return {file.name: _short(digest.of_file(file)) for file in sorted(folder.glob(f"{notebook.partition('_')[0]}_*"))}


def _colours(study: Study, notebook: str, found: Mapping[str, Found]) -> dict[str, list[int]]:
    """Label → its network's place in the study, and its own among that network's rows: with a row more before it, it
    may have another colour. Of the notebook's own rows, or of all where it has none."""
    rows = {label: row for name in study.notebooks for label, row in found.get(name, Found()).rows.items()}
    places: dict[str, list[str]] = {}
    for label, (network, _) in sorted(rows.items(), key=lambda item: item[1][1]):  # as `rows.labels`: faults last
        places.setdefault(network, []).append(label)
    order, own = list(places), found.get(notebook, Found()).rows or rows
    return {label: [order.index(rows[label][0]), places[rows[label][0]].index(label)] for label in own}


def _notebook(notebook: str) -> list[dict]:
    return json.loads((paths.NOTEBOOKS / f"{notebook}.ipynb").read_text(encoding="utf-8"))["cells"]


def _code(notebook: str) -> str:
    """The code cells of a notebook as one text, without lines that are IPython's alone."""
    cells = ("".join(cell["source"]) for cell in _notebook(notebook) if cell["cell_type"] == "code")
    return "\n".join(line for cell in cells for line in cell.splitlines() if not line.startswith(("%", "!")))


def _cells(notebook: str) -> list:
    """What a notebook says: kind, source, tags and caption of its cells; no outputs, counts and ids."""
    kept = ("tags", "caption")
    return [
        [cell["cell_type"], "".join(cell["source"]), {name: cell["metadata"].get(name) for name in kept}]
        for cell in _notebook(notebook)
    ]


@functools.lru_cache(maxsize=64)
def _names(code: str) -> frozenset[reach.Use]:
    return frozenset(reach.names(code, NOT_FOLLOWED))


def _short(value: object) -> str:
    return digest.of_value(value)[:SHORT]
