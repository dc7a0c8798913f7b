"""Fingerprints: of values, of files, and of the part of seglib's code that a result really depends on."""

import ast
import hashlib
import importlib.util
import json
from collections.abc import Iterable
from pathlib import Path

# Registries name everything; a run depends on the entry it uses, which is followed from there instead.
REGISTRIES = {"seglib", "seglib.data", "seglib.models"}


def of_value(value: object) -> str:
    """sha256 (hex) of a plain value: dicts by sorted key, numbers and strings as JSON writes them."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def of_file(path: Path) -> str:
    """sha256 (hex) of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def of_code(modules: Iterable[str]) -> str:
    """sha256 of the syntax trees of these modules and all of seglib they import, however deep.

    Comments, docstrings and layout do not count. Modules outside seglib are read themselves (a model of one's
    own) but not followed into libraries, whose versions are recorded beside the run.
    """
    todo, trees = sorted(set(modules)), {}
    while todo:
        name = todo.pop()
        if name in trees or name in REGISTRIES:
            continue
        tree = _bare_tree(name)
        trees[name] = ast.dump(tree)
        todo += sorted(_imports(tree, name) - trees.keys())
    return of_value(trees)


def _bare_tree(name: str) -> ast.Module:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.origin:
        raise ValueError(f"module '{name}' not found; run where it can be imported")
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return tree


def _imports(tree: ast.Module, name: str) -> set[str]:
    """The seglib modules that a tree imports, also inside functions."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: relative imports are not followed"
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {f for f in found if f.split(".")[0] == "seglib" and _is_module(f)}


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # seglib.paths.ROOT: its parent is not a package
        return False
