"""Notebooks are thin, without outputs and in order. Alone: pytest tests/test_notebooks.py"""

import ast
import re
import statistics

import nbformat
import pytest

from seglib import config, params, paths

NOTEBOOKS = sorted(paths.NOTEBOOKS.glob("*.ipynb"))
FORBIDDEN = (ast.FunctionDef, ast.ClassDef, ast.Try, ast.For, ast.While)


@pytest.fixture(params=NOTEBOOKS, ids=lambda p: p.stem)
def notebook(request):
    return nbformat.read(request.param, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tagged(notebook, tag):
    return [cell for cell in code_cells(notebook) if tag in cell.metadata.get("tags", [])]


def test_the_notebook_is_valid_and_carries_no_outputs(notebook):
    nbformat.validate(notebook)
    assert all(not cell.outputs and cell.execution_count is None for cell in code_cells(notebook))


def test_the_notebook_tells_and_computes_nothing_itself(notebook):
    cells = [c for c in code_cells(notebook) if c not in tagged(notebook, "parameters")]
    for cell in cells:
        nodes = list(ast.walk(ast.parse(cell.source)))
        assert not any(isinstance(node, FORBIDDEN) for node in nodes), cell.source
        assert not re.search(r"^%|sys\.path|\.\./|/\w+/", cell.source, re.M), cell.source
    lines = [len(cell.source.splitlines()) for cell in cells]
    assert max(lines) <= 10 and statistics.median(lines) <= 4
    assert sum(lines) <= 80


def test_the_notebook_opens_with_a_question_and_closes_with_what_the_numbers_say(notebook):
    first, last = notebook.cells[0], [c for c in notebook.cells if c.cell_type == "markdown"][-1]
    assert first.source.startswith("# ") and "?" in first.source
    assert last.source.startswith("## What the numbers say")


def test_the_parameters_cell_holds_what_papermill_can_set(notebook):
    (cell,) = tagged(notebook, "parameters")
    assert cell is code_cells(notebook)[0]
    for line in cell.source.splitlines():
        assert line.count("=") == 1, f"papermill loses a parameter with a second '=': {line}"
        assert re.match(r"\w+: [\w\[\]]+ = ", line), f"papermill cannot read this annotation: {line}"


def test_papermill_sees_every_parameter(notebook, request):
    import papermill

    path = paths.NOTEBOOKS / f"{request.node.callspec.id}.ipynb"
    assert papermill.inspect_notebook(str(path)).keys() == params.parameters_cell(path).keys()


def test_the_defaults_of_the_parameters_cell_are_a_valid_config(notebook, request):
    cell = params.parameters_cell(request.node.callspec.id)
    assert params.STUDY in cell
    config.from_mapping({name: value for name, (value, _) in cell.items() if name in config.FIELDS})


def test_no_variable_takes_the_name_of_a_parameter_so_that_any_cell_can_be_run_again(notebook, request):
    parameters = params.parameters_cell(request.node.callspec.id).keys()
    cells = [c for c in code_cells(notebook) if c not in tagged(notebook, "parameters")]
    nodes = [node for cell in cells for node in ast.walk(ast.parse(cell.source))]
    stored = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    imported = {alias.asname or alias.name for n in nodes if isinstance(n, ast.ImportFrom) for alias in n.names}
    assert not parameters & (stored | imported)
