"""`classes.yaml` of a `folder` data set: what its mask files hold and, where they do not show it, how it lies.

    names: [background, road, sky]       # in id order; for task binary background first and one other
    colours: {road: [128, 64, 128]}      # name → colour or several, if masks are colour-coded; or
    values: {background: 0, road: 255}   # name → value or several; without both, value i is class i
    ignore: [[0, 0, 0]]                  # colours or values that count nowhere

and, each only if needed: `images`, `masks` (names or patterns of folders), `image_suffix`,
`mask_suffix` (of file names; a told `mask_suffix` goes before what a folder's name suggests),
`fractions` ({val: 0.1, test: 0.2}, by hash of the name), `exclude` (file names or patterns), `note` (a banner).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from seglib import names
from seglib.data.core import IGNORE_INDEX

FRACTIONS = {"val": 0.1, "test": 0.2}  # of all images, where neither folders nor lists say
KEYS = {
    "names": list, "colours": dict, "values": dict, "ignore": list, "images": str, "masks": str, "image_suffix": str,
    "mask_suffix": str, "fractions": dict, "exclude": list, "note": str,
}  # fmt: skip


@dataclass(frozen=True)
class Classes:
    """What a `classes.yaml` says."""

    file: Path
    names: tuple[str, ...]
    table: Mapping  # value or colour of a mask file → target value
    layout: Mapping = field(default_factory=dict)  # images, masks, image_suffix, mask_suffix, fractions, exclude, note


def read(file: Path, content: Mapping) -> Classes:
    """The classes of a YAML file's content.

    Raises: ValueError that names the file and the key.
    """
    for key, value in content.items():
        if key not in KEYS:
            raise ValueError(f"{file}: {names.unknown('key', key, KEYS)}")
        if not isinstance(value, KEYS[key]):
            raise ValueError(f"{file}: {key} is {value!r}, expected a {KEYS[key].__name__}")
    labels = content.get("names", [])
    if not all(isinstance(name, str) and name.strip() for name in labels):
        raise ValueError(f"{file}: names is {labels}, expected texts; quote what YAML reads as a number or as null")
    if len(labels) < 2 or len(set(labels)) < len(labels):
        raise ValueError(f"{file}: names is {labels}, expected two or more different names, background first if any")
    if any(label.lower() == "background" for label in labels) and labels[0] != "background":
        raise ValueError(f"{file}: names is {labels}, expected 'background', spelled so, as the first")
    if "colours" in content and "values" in content:
        raise ValueError(f"{file}: masks hold either colours or values; give one of them")
    told = content.get("colours") or content.get("values") or {name: i for i, name in enumerate(labels)}
    for name in told:
        if name not in labels:
            raise ValueError(f"{file}: {names.unknown('class', name, labels)}")
    if missing := [name for name in labels if name not in told]:
        raise ValueError(f"{file}: no colour or value for {', '.join(missing)}; every class needs one")
    entries = [(code, i) for i, name in enumerate(labels) for code in _several(told[name])]
    entries += [(code, IGNORE_INDEX) for code in content.get("ignore", [])]
    table: dict = {}
    for raw, target in entries:
        code = _code(file, raw, colours="colours" in content)
        if code in table:
            raise ValueError(f"{file}: {raw} stands for two things at once")
        table[code] = target
    if len(labels) == 2 and "values" not in content and 255 in table:
        raise ValueError(f"{file}: is 255 ignored, or is it {labels[1]}? say so with `values: {{{labels[0]}: 0, …}}`")
    if "fractions" in content:
        _check_fractions(file, content["fractions"])
    layout = {key: content[key] for key in list(KEYS)[4:] if key in content}
    return Classes(file, tuple(labels), table, layout)


def _several(codes: object) -> list:
    """One code or a list of codes as a list of codes."""
    is_list = isinstance(codes, list) and not (len(codes) == 3 and all(isinstance(c, int) for c in codes))
    return codes if is_list else [codes]


def _code(file: Path, code: object, colours: bool) -> int | tuple[int, int, int]:
    """A file value 0 to 255, or a colour: [r, g, b] or '#rrggbb'."""
    if colours and isinstance(code, str) and re.fullmatch("#[0-9a-fA-F]{6}", code):
        code = list(bytes.fromhex(code[1:]))
    parts = code if colours and isinstance(code, list) and len(code) == 3 else [code]
    if len(parts) != (3 if colours else 1) or not all(type(p) is int and 0 <= p <= 255 for p in parts):
        raise ValueError(f"{file}: {code!r}, expected {'[r, g, b] or #rrggbb' if colours else 'a value'} of 0 to 255")
    return tuple(parts) if colours else parts[0]


def _check_fractions(file: Path, fractions: Mapping) -> None:
    if "test" not in fractions:
        raise ValueError(f"{file}: fractions is {dict(fractions)}, without test; expected such as {FRACTIONS}")
    for part, fraction in fractions.items():
        if part not in FRACTIONS or not isinstance(fraction, int | float) or not 0 < fraction < 1:
            raise ValueError(f"{file}: fractions is {dict(fractions)}, expected such as {FRACTIONS}")
    if fractions and ("test" not in fractions or sum(fractions.values()) >= 1):
        raise ValueError(f"{file}: fractions is {dict(fractions)}, expected test (and val), together below 1")
