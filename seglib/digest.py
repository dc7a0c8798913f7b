"""Fingerprints: of values, of files, and of the part of seglib's code that a result really depends on."""

import ast
import hashlib
import importlib.util
import json
from collections.abc import Iterable
from pathlib import Path

# Registries name everything; a run depends on the entry it uses, which is followed from there instead.
REGISTRIES = {"seglib", "seglib.data", "seglib.losses", "seglib.models"}


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
    todo, trees = sorted(set(modules)), {}
    while todo:
        name = todo.pop()
        if name in trees or name in REGISTRIES:
            continue
        file = _file(name)
        if file is None:
            raise ValueError(f"module '{name}' not found; run where it can be imported")
        tree = _bare_tree(file)
        trees[name] = ast.dump(tree)
        todo += sorted(i for i in _imports(tree, name) if _is_followed(i, file.parent))
    return of_value(trees)


def _bare_tree(file: Path) -> ast.Module:
    """A file's syntax tree without docstrings."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return tree


def _imports(tree: ast.Module, name: str) -> set[str]:
    """What a tree imports, also inside functions: modules, and names that may be modules."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parent = ".".join([*name.split(".")[: -node.level], node.module or ""]) if node.level else node.module
            found |= {parent.strip("."), *(f"{parent}.{alias.name}".strip(".") for alias in node.names)}
    return found - {""}


def _is_followed(name: str, folder: Path) -> bool:
    """Whether a module is seglib's, or lies in the folder of the one that imports it or below."""
    file = _file(name)
    return file is not None and (name.split(".")[0] == "seglib" or file.is_relative_to(folder))


def _file(name: str) -> Path | None:
    """The source file of a module; None if there is no such module, or none in Python."""
    try:
        spec = importlib.util.find_spec(name)
    except (ModuleNotFoundError, ValueError):  # seglib.paths.ROOT: its parent is not a package
        return None
    return Path(spec.origin) if spec and spec.origin and spec.origin.endswith(".py") else None
