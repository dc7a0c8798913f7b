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
        use = module, name if _is_package(module) else ALL
        if use not in seen:
            seen.add(use)
            passed_on = _passed_on(*use)
            todo += passed_on or _made_from(*use)
            counted |= set() if passed_on else {use[0]}
    return sorted(counted)


@functools.lru_cache(maxsize=4096)
def _passed_on(module: str, name: str) -> list[Use]:
    """Where a name comes from that a package only passes on; nothing for one of its own, or of a plain module."""
    if name == ALL or not _is_package(module):
        return []
    for node in digest.bare_tree(module).body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return [_from(digest.origin(node, module), alias.name)]
    return [(f"{module}.{name}", ALL)] if digest.find(f"{module}.{name}") else []


@functools.lru_cache(maxsize=4096)
def _made_from(module: str, name: str) -> list[Use]:
    """What a module, or what it defines under a name, is made from: all that it imports but a registry's entries."""
    tree = digest.bare_tree(module)
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


def _is_package(module: str) -> bool:
    file = digest.find(module)
    return file is not None and file.name == "__init__.py"


def _mappings(tree: ast.Module) -> dict[str, set[str]]:
    """The mappings that a registry defines: name → the names among its values."""
    found = {}
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Dict):
            target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
            found[target.id] = {value.id for value in node.value.values if isinstance(value, ast.Name)}
    return found


def names(source: str, but: Collection[Use] = ()) -> set[Use]:
    """Every name of a module that Python text beside the notebooks comes to use, through whatever functions it calls.

    Args: but — functions that are not looked into.
    """
    tree = ast.parse(source)
    todo, seen = _named(tree, _aliases(tree, "")), set()
    while todo:
        use = todo.pop()
        if use not in seen | set(but):
            seen.add(use)
            todo += _passed_on(*use) or _definitions(use[0]).get(use[1], [])
    return seen


@functools.lru_cache(maxsize=512)
def _definitions(module: str) -> dict[str, list[Use]]:
    """What each function, class or variable of one of our modules names."""
    if not digest.is_followed(module, paths.NOTEBOOKS):
        return {}
    tree, found = digest.bare_tree(module), {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found[node.name] = node
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = [node.target] if isinstance(node, ast.AnnAssign) else node.targets
            found |= {target.id: node for target in targets if isinstance(target, ast.Name)}
    aliases = {name: (module, name) for name in found} | _aliases(tree, module)
    return {name: _named(node, aliases) for name, node in found.items()}


def _aliases(tree: ast.Module, module: str) -> dict[str, Use]:
    """What the imported names of a tree stand for."""
    found = {}
    for node in _nodes(tree):
        if isinstance(node, ast.ImportFrom):
            source = digest.origin(node, module)
            found |= {alias.asname or alias.name: _from(source, alias.name) for alias in node.names}
    return found


def _named(tree: ast.AST, aliases: Mapping[str, Use]) -> list[Use]:
    """Every name in a tree that stands for something of a module, with the attribute that is taken of a module."""
    nodes = list(ast.walk(tree))
    own = {node.arg for node in nodes if isinstance(node, ast.arg)}
    own |= {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    known, found = {name: use for name, use in aliases.items() if name not in own}, []
    for node in nodes:
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in known:
            module, name = known[node.value.id]
            found.append((module, node.attr) if name == ALL else (module, name))
        elif isinstance(node, ast.Name) and node.id in known:
            found.append(known[node.id])
    return found
