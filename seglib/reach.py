"""Which modules a notebook really reaches: from its cells' imports on, and name by name where a package has but names.

`from seglib import plots` with `plots.curves(…)` reaches `seglib.plots.curves` and not the other charts. What a
registry names is not reached through it, unless its mapping is taken as a whole: who knows which entries are used
names them.
"""

import ast
import functools
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from seglib import digest, paths

ALL = ""  # in the place of a name: the whole of the module
Use = tuple[str, str]  # module, and the name that is taken from it


def modules(source: str, entries: Iterable[str] = ()) -> list[str]:
    """The modules that Python text beside the notebooks reaches: seglib's, and one's own beside those that import them.

    Args: entries — modules that are used through a registry. Raises: ValueError for a module that is not there.
    """
    todo = [*_imports(ast.parse(source), "", paths.NOTEBOOKS), *((name, ALL) for name in entries)]
    seen, counted = set(), set()
    while todo:
        module, name = todo.pop()
        name = name if _is_package(module) else ALL
        if (module, name) not in seen:
            seen.add((module, name))
            tree = digest.bare_tree(module)
            passed_on = _origin(tree, module, name) if name else []
            todo += passed_on or _made_from(tree, module, name)
            counted |= set() if passed_on else {module}
    return sorted(counted)


def names(source: str, but: Collection[Use] = ()) -> set[Use]:
    """Every name of a module that Python text beside the notebooks comes to use, through whatever functions it calls.

    Args: but — functions that are not looked into.
    """
    tree, trees = ast.parse(source), {}
    todo, seen = _named(tree, _aliases(tree, "")), set()
    while todo:
        module, name = todo.pop()
        if (module, name) not in seen and (module, name) not in but:
            seen.add((module, name))
            if module not in trees:
                trees[module] = digest.bare_tree(module) if digest.is_followed(module, paths.NOTEBOOKS) else None
            if name and trees[module]:
                passed_on = _origin(trees[module], module, name) if _is_package(module) else []
                todo += passed_on or _named_by(trees[module], module, name)
    return seen


@functools.lru_cache(maxsize=4096)  # of a tree, which is another object once the file has changed
def _origin(tree: ast.Module, module: str, name: str) -> list[Use]:
    """Where a name comes from that a package only passes on; nothing for one of its own."""
    if name in _definitions(tree):
        return []
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return [_from(digest.origin(node, module), alias.name)]
    return [(f"{module}.{name}", ALL)] if digest.find(f"{module}.{name}") else []


@functools.lru_cache(maxsize=4096)
def _made_from(tree: ast.Module, module: str, name: str) -> list[Use]:
    """What a module, or what it defines under a name, is made from: all that it imports but a registry's entries."""
    mappings = _mappings(tree) if module in digest.REGISTRIES else {}
    entries = set() if name in mappings else set().union(*mappings.values())
    return _imports(tree, module, digest.source_of(module).parent, entries)


def _imports(tree: ast.Module, module: str, folder: Path, but: Collection[str] = ()) -> list[Use]:
    """All that a tree imports, wherever in it, as far as it is ours."""
    found = []
    for node in _nodes(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, ALL) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            origin = digest.origin(node, module)
            for alias in node.names:
                if alias.name not in but:
                    name, taken = _from(origin, alias.name)
                    whole = taken == ALL and _is_package(name)
                    found += [(name, a) for a in _taken(tree, alias.asname or alias.name)] if whole else [(name, taken)]
    return [use for use in found if digest.is_followed(use[0], folder)]


def _from(origin: str, name: str) -> Use:
    """What `from origin import name` stands for: a module, or a name of one."""
    if name == "*":
        return origin, ALL
    return (f"{origin}.{name}", ALL) if digest.find(f"{origin}.{name}") else (origin, name)


def _taken(tree: ast.Module, package: str) -> list[str]:
    """The attributes that a tree takes from a package; the whole of it where its name stands alone."""
    attributes = {id(node.value): node.attr for node in _nodes(tree) if isinstance(node, ast.Attribute)}
    uses = [id(node) for node in _nodes(tree) if isinstance(node, ast.Name) and node.id == package]
    return sorted({attributes.get(use, ALL) for use in uses}) or [ALL]


@functools.lru_cache(maxsize=512)
def _nodes(tree: ast.Module) -> list[ast.AST]:
    return list(ast.walk(tree))


@functools.cache
def _is_package(module: str) -> bool:
    file = digest.find(module)
    return file is not None and file.name == "__init__.py"


def _mappings(tree: ast.Module) -> dict[str, set[str]]:
    """The mappings that a registry defines: name → the names among its values."""
    values = {name: getattr(node, "value", None) for name, node in _definitions(tree).items()}
    return {
        name: {value.id for value in mapping.values if isinstance(value, ast.Name)}
        for name, mapping in values.items() if isinstance(mapping, ast.Dict)
    }  # fmt: skip


@functools.lru_cache(maxsize=512)
def _definitions(tree: ast.Module) -> dict[str, ast.AST]:
    """The functions, classes and variables that a module defines itself."""
    found = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found[node.name] = node
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = [node.target] if isinstance(node, ast.AnnAssign) else node.targets
            found |= {target.id: node for target in targets if isinstance(target, ast.Name)}
    return found


@functools.lru_cache(maxsize=512)
def _aliases(tree: ast.Module, module: str) -> dict[str, Use]:
    """What a module's own and imported names stand for."""
    found = {name: (module, name) for name in _definitions(tree)} if module else {}
    for node in _nodes(tree):
        if isinstance(node, ast.ImportFrom):
            source = digest.origin(node, module)
            found |= {alias.asname or alias.name: _from(source, alias.name) for alias in node.names}
    return found


@functools.lru_cache(maxsize=4096)
def _named_by(tree: ast.Module, module: str, name: str) -> list[Use]:
    """What the definition of a module's name makes use of."""
    node = _definitions(tree).get(name)
    return _named(node, _aliases(tree, module)) if node else []


def _named(tree: ast.AST, aliases: Mapping[str, Use]) -> list[Use]:
    """Every name in a tree that stands for something of a module, with the attribute that is taken of a module."""
    nodes = list(ast.walk(tree))
    own = {node.arg for node in nodes if isinstance(node, ast.arg)}
    own |= {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    found = []
    for node in nodes:
        inner = node.value if isinstance(node, ast.Attribute) else node
        if isinstance(inner, ast.Name) and inner.id in aliases and inner.id not in own:
            module, name = aliases[inner.id]
            found.append((module, node.attr) if name == ALL and isinstance(node, ast.Attribute) else (module, name))
    return found
