"""seglib's imports form a DAG, and its training core needs torch alone. Alone: pytest tests/test_structure.py"""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter

from seglib import paths

PACKAGE = paths.ROOT / "seglib"


def module_name(file):
    return ".".join(file.relative_to(paths.ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_name(file): file for file in PACKAGE.rglob("*.py")}


def imports(file):
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in MODULES else node.module for name in inner)


GRAPH = {name: {i for i in imports(file) if i in MODULES and i != "seglib"} for name, file in MODULES.items()}


def reached(name):
    todo, seen = [name], set()
    while todo:
        current = todo.pop()
        if current not in seen:
            seen.add(current)
            todo += GRAPH[current]
    return seen


def test_imports_form_a_dag():
    TopologicalSorter(GRAPH).prepare()  # raises CycleError


def test_training_knows_nothing_of_pages():
    for core in ("seglib.train", "seglib.experiment"):
        assert reached(core).isdisjoint(
            {"seglib.plots", "seglib.tables", "seglib.words", "seglib.report", "seglib.cli"}
        )


def test_the_training_core_imports_with_torch_alone():
    others = (
        "PIL torchvision pandas scipy matplotlib safetensors ruamel jinja2 nbformat nbconvert papermill torchinfo "
        "IPython"
    )
    others += " pooch pycocotools"
    code = f"""
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {set(others.split())}: raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Missing())
import torch
before = set(sys.modules)
import seglib.experiment, seglib.train, seglib.models, seglib.losses, seglib.data
assert "numpy" in before or "numpy" not in sys.modules, "numpy is imported by seglib itself"
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=paths.ROOT)
    assert done.returncode == 0, done.stderr


def test_files_and_functions_stay_small():
    for name, file in MODULES.items():
        text = file.read_text()
        assert len(text.splitlines()) <= 250, f"{name} has {len(text.splitlines())} lines"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno < 45, f"{name}.{node.name} is too long"


def test_the_digest_follows_code_and_not_comments(tmp_path, monkeypatch):
    from seglib import digest

    monkeypatch.syspath_prepend(tmp_path)
    helper, own = tmp_path / "own_helper.py", tmp_path / "own_net.py"
    helper.write_text("SIZE = 3\n")
    own.write_text('"""Mine."""\nimport own_helper\nimport json\n')
    first = digest.of_code(["own_net"])
    own.write_text('"""Mine, reworded."""\nimport own_helper  # sizes\nimport json\n')
    assert digest.of_code(["own_net"]) == first
    helper.write_text("SIZE = 4\n")
    assert digest.of_code(["own_net"]) != first


def test_a_run_does_not_depend_on_models_or_pages_it_does_not_use():
    from seglib import digest

    followed = reached("seglib.train") | reached("seglib.models.unet")
    assert "seglib.models.munet" not in followed and "seglib.words" not in followed
    assert digest.of_code(["seglib.train", "seglib.models.unet"]) != digest.of_code(["seglib.train"])
