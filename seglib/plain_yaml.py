"""YAML of plain data: the 1.2 core schema by a safe loader, and nothing that another reader would take otherwise.

Texts, numbers, true, false, null, lists and mappings; aliases, and `<<` to take over a mapping's entries. Other tags,
dates, 1.1's numbers (1_000, 0b11) and files that call themselves 1.1 are refused with their line, since what they would
become is not what they look like; so are numbers beyond 64 bits and documents that aliases blow up.
"""

import io
import re
from pathlib import Path

from seglib import paths

CORE = {  # tag → what a scalar of it may look like
    "str": re.compile(r".*", re.S),
    "int": re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"),
    "float": re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"),
    "bool": re.compile(r"true|True|TRUE|false|False|FALSE"),
    "null": re.compile(r"null|Null|NULL|~|"),
}
MAX_NODES = 100_000  # scalars, lists and mappings, each as often as aliases repeat it; the largest study has 300
MAX_DIGITS = 18  # of a whole number, so that 64 bits hold it
PREFIX = "tag:yaml.org,2002:"


def read(file: Path) -> dict:
    """A YAML file's mapping of names to values; {} for an empty file.

    Raises: ValueError that names the file and, where it is known, the line.
    """
    try:
        values = load(file.read_text(encoding="utf-8-sig"), short(file))
    except UnicodeDecodeError as error:
        raise ValueError(f"{short(file)} is not UTF-8 text ({error})") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ValueError(f"{short(file)} holds a {type(values).__name__}, expected `name: value` lines")
    for name in values:
        if not isinstance(name, str):
            raise ValueError(
                f"{short(file)}: {name!r} ({type(name).__name__}) stands for a name; if it is one, quote it"
            )
    return values


def load(text: str, where: str) -> object:
    """The value of a YAML document.

    Args: where — the file or parameter that errors name.
    Raises: ValueError that says what is wrong, and in which line where that is known.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    if version := re.search(r"^%YAML(?! +1\.2\s).*", text, re.M):
        raise ValueError(f"{where}: {version[0].strip()}, expected YAML 1.2; remove that line")
    try:
        reader = YAML(typ="safe", pure=True)
        node = reader.compose(text)
        _expanded(node, where, {})
        return None if node is None else reader.constructor.construct_document(node)
    except MarkedYAMLError as error:
        told = " ".join(part for part in (error.context, error.problem) if part)
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ValueError(f"{where}{line}: not readable as YAML: {told}") from None
    except YAMLError as error:
        raise ValueError(f"{where}: not readable as YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise ValueError(f"{where}: not readable as YAML: too many lists or mappings in each other") from None


def dump(value: object) -> str:
    """A plain value as YAML, one entry a line, in its order."""
    from ruamel.yaml import YAML

    writer, stream = YAML(typ="safe", pure=True), io.StringIO()
    writer.default_flow_style = writer.sort_base_mapping_type_on_output = False
    writer.dump(value, stream)
    return stream.getvalue()


def _expanded(node, where: str, known: dict[int, int | None]) -> int:
    """How many nodes a node is once every alias is written out; raises for what is no plain data."""
    if node is None:  # an empty document
        return 0
    here = f"{where}, line {node.start_mark.line + 1}"
    if id(node) in known:
        if known[id(node)] is None:
            raise ValueError(f"{here}: &{node.anchor} holds itself")
        return known[id(node)]
    known[id(node)] = None
    tag = str(node.tag).removeprefix(PREFIX)
    if isinstance(node.value, str):
        _check_scalar(node, tag, here)
        count = 1
    elif tag in ("seq", "map"):
        pairs = [] if tag == "seq" else [pair if not _is_merge(pair[0]) else pair[1:] for pair in node.value]
        parts = node.value if tag == "seq" else [part for pair in pairs for part in pair]
        if tag == "map" and any(not isinstance(key.value, str) for key, _ in node.value):
            raise ValueError(f"{here}: a list or a mapping stands for a name")
        count = 1 + sum(_expanded(part, where, known) for part in parts)
    else:
        raise ValueError(f"{here}: {node.tag} is not plain data; remove the tag")
    if count > MAX_NODES:
        raise ValueError(f"{here}: more than {MAX_NODES:,} values once aliases are written out; refused")
    known[id(node)] = count
    return count


def _is_merge(key) -> bool:
    return str(key.tag) == f"{PREFIX}merge" and key.value == "<<"


def _check_scalar(node, tag: str, here: str) -> None:
    text = node.value if len(node.value) < 40 else f"{node.value[:40]}…"
    if tag not in CORE or not CORE[tag].fullmatch(node.value):
        raise ValueError(
            f"{here}: {text!r} would be read as {tag}, which is no plain value of YAML 1.2; if it is a text, quote it, "
            "if a number, write it plainly"
        )
    if any("\ud800" <= sign <= "\udfff" for sign in node.value):
        raise ValueError(f"{here}: {text!r} holds half a character; no file could hold it")
    digits = node.value.lstrip("+-")
    if tag == "int" and (len(digits) > MAX_DIGITS or int(digits, 0 if digits[1:2] in ("o", "x") else 10) >= 1 << 63):
        raise ValueError(f"{here}: {text} is too large; expected a number of at most {MAX_DIGITS} digits")


def short(file: Path) -> str:
    """A file as errors name it: relative where it lies in the repository."""
    return str(file.relative_to(paths.ROOT)) if file.is_relative_to(paths.ROOT) else str(file)
