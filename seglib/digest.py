"""Fingerprints: of values, of files, and of the part of seglib's code that a result really depends on."""

import ast
import functools
import hashlib
import json
import os
import sys
from collections.abc import Iterable
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

# Registries name everything; a run depends on the entry it uses, which is followed from there instead.
REGISTRIES = {"seglib", "seglib.data", "seglib.losses", "seglib.models"}
LEFT_OUT = REGISTRIES | {__name__}  # what is computed here is in the key by its value
# Source file → its text when this process began, and of modules of one's own when it first looked
_LOADED = {file: file.read_text(encoding="utf-8") for file in Path(__file__).parent.rglob("*.py")}


def of_value(value: object) -> str:
    """sha256 (hex) of a plain value: dicts by sorted key, numbers and strings as JSON writes them."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def of_file(path: Path) -> str:
    """sha256 (hex) of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def of_code(modules: Iterable[str]) -> str:
    """sha256 of the syntax trees of these modules and of all that they import, however deep, of seglib or of their own.

    Comments, docstrings and layout do not count. A module of one's own is followed to the modules beside and below
    it; libraries are not read: the versions that matter are in the key or recorded beside the run.
    """
    return of_value({name: of_module(name) for name in used_by(modules)})


def used_by(modules: Iterable[str]) -> list[str]:
    """These modules and all that they import, as `of_code` follows them, by name.

    Raises: ValueError for one that is not there.
    """
    todo, seen = sorted(set(modules)), set()
    while todo:
        name = todo.pop()
        if name not in seen | LEFT_OUT:
            seen.add(name)
            folder = source_of(name).parent
            todo += [other for other in _imports(_text(name), name) if is_followed(other, folder)]
    return sorted(seen)


def edited(modules: Iterable[str]) -> list[str]:
    """The source files of these modules, and of all that they import, that say something else than this process runs:
    it imported them, and their code has changed since. Comments, docstrings and layout do not count."""
    names = [name for name in used_by(modules) if _is_loaded(name)]
    files = {name: source_of(name) for name in names}
    return [str(file) for name, file in files.items() if of_module(name) != _of_tree(_LOADED.get(file, _text(name)))]


def of_module(name: str) -> str:
    """sha256 of a module's syntax tree, without docstrings."""
    return _of_tree(_text(name))


def bare_tree(name: str) -> ast.Module:
    """A module's syntax tree without docstrings; not to be changed."""
    return _bare_tree(_text(name))


def _text(name: str) -> str:
    file = source_of(name)
    text = file.read_text(encoding="utf-8")
    if _is_loaded(name):
        _LOADED.setdefault(file, text)
    return text


def _is_loaded(name: str) -> bool:
    """Whether this process has imported the module, from where its source is found now."""
    return getattr(sys.modules.get(name), "__file__", None) == str(source_of(name))


def source_of(name: str) -> Path:
    """The source file of a module.

    Raises: ValueError if there is none.
    """
    file = find(name)
    if file is None:
        raise ValueError(f"module '{name}' not found; run where it can be imported")
    return file


@functools.lru_cache(maxsize=512)
def _bare_tree(source: str) -> ast.Module:
    """The tree of this very text, parsed once per process."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        kinds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        if isinstance(node, kinds) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return tree


@functools.lru_cache(maxsize=512)
def _of_tree(source: str) -> str:
    return of_value(_plain(_bare_tree(source)))


def _plain(node: object) -> object:
    """A syntax tree as lists and texts, without what is empty, so that it is the same under every Python: 3.12 gave
    functions an (empty) field more, and since 3.13 `ast.dump` leaves out what is empty."""
    if isinstance(node, ast.AST):
        fields = [[name, _plain(value)] for name, value in ast.iter_fields(node) if value is not None and value != []]
        return [type(node).__name__, *fields]
    return [_plain(part) for part in node] if isinstance(node, list) else repr(node)


@functools.lru_cache(maxsize=512)
def _imports(source: str, name: str) -> list[str]:
    """What a module imports, also inside functions: modules, and names that may be modules."""
    found = set()
    for node in ast.walk(_bare_tree(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {origin(node, name), *(f"{origin(node, name)}.{alias.name}" for alias in node.names)}
    return sorted(found - {""})


def origin(node: ast.ImportFrom, name: str) -> str:
    """The module that an import in module `name` takes from."""
    outer = name.split(".")[: -node.level] if node.level else []
    return ".".join([*outer, *([node.module] if node.module else [])])


def is_followed(name: str, folder: Path) -> bool:
    """Whether a module is seglib's, or lies in the folder of the one that imports it or below."""
    file = find(name)
    return file is not None and (name.split(".")[0] == "seglib" or file.is_relative_to(folder))


def find(name: str) -> Path | None:
    """The source file of a module, looked for without importing anything; None if there is none in Python."""
    top, *rest = name.split(".")
    # not importlib.util.find_spec, which asks whatever import hooks there are
    spec = getattr(sys.modules.get(top), "__spec__", None) or _spec(top, tuple(sys.path))
    if spec is None:
        return None
    stems = [os.path.join(folder, *rest) for folder in spec.submodule_search_locations or ()]
    files = [os.path.join(stem, "__init__.py") for stem in stems] + [f"{stem}.py" for stem in stems]
    files = files if rest else [spec.origin]
    return next((Path(file) for file in files if file and file.endswith(".py") and os.path.isfile(file)), None)


@functools.lru_cache(maxsize=512)
def _spec(top: str, path: tuple[str, ...]) -> ModuleSpec | None:
    return PathFinder.find_spec(top, list(path))
