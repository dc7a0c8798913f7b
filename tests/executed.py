"""Executed notebooks made by hand, without a kernel: what the tests of pages and papers are rendered from."""

import nbformat
import pandas as pd
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from seglib import paths, plots, tables
from seglib.stats import Estimate

HOSTILE = """<img src=x onerror="alert(1)"> & </script><script>alert('2')</script> #panic("3") $\\evil$ \\end"""
END = "2026-11-21T05:00:22.601603+00:00"
MODELS = {"unet, frozen": 0.9, HOSTILE: 0.5, "munet, fine-tuned": 0.7}


def scores(models=MODELS, columns=("Dice",)) -> pd.DataFrame:
    """One row per model; an `Estimate` half a tenth wide either way, and a count."""
    row = {m: {**dict.fromkeys(columns, Estimate(v, v - 0.1, v + 0.1)), "seeds": 3} for m, v in models.items()}
    return pd.DataFrame.from_dict(row, orient="index")


def shows(table: pd.DataFrame, name: str = "08_scores", study: str = "sample", **how):
    """The output of a cell that ends in `tables.show`."""
    html = tables.show(table, study, name, **how).to_html()
    return new_output("execute_result", {"text/html": html, "text/plain": "<Styler>"}, execution_count=1)


def draws(label: str = ""):
    """The output of a cell that draws one figure; of a model's gallery, with its label."""
    import io

    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(plots.style.WIDTH, 3))
    axes.plot([0, 1])
    figure.set_gid(f"gallery: {label}" if label else None)
    file = io.StringIO()
    figure.savefig(file, format="svg")
    plt.close(figure)
    return new_output("display_data", {"image/svg+xml": file.getvalue(), "image/png": "", "text/plain": "<Figure>"})


def cell(source: str, *outputs, caption: str = "", tags=()):
    """A code cell."""
    metadata = {"tags": list(tags)} | ({"caption": caption} if caption else {})
    return new_code_cell(source, outputs=list(outputs), metadata=metadata, execution_count=1)


def tells(markdown: str):
    """The output of a cell that ends in `words.markdown`."""
    return new_output("execute_result", {"text/markdown": markdown, "text/plain": "<Markdown>"}, execution_count=1)


def comparison() -> list:
    """Cells as of a comparison: every kind of block, names full of HTML."""
    return [
        new_markdown_cell("# Comparison\n\nWhich is better? $E = mc^2$ and\n\n$$\\frac{a}{b}$$"),
        cell('study: str = "demo"  # whose runs\nexamples: int = 2  # images', tags=["parameters"]),
        cell(f"# Parameters\nstudy = {HOSTILE!r}\n", tags=["injected-parameters"]),
        cell("print(1)", new_output("stream", name="stdout", text=f"device {HOSTILE}\n"), tags=["remove-input"]),
        new_markdown_cell("## 1. All models\n\nRead [the guide](javascript:alert(1)) or [this](#verdicts)."),
        cell("table = 1 < 2", shows(scores(), best={"Dice": [HOSTILE]}), caption="Dice of every model."),
        cell("draw()", draws(), caption=f"Dice against {HOSTILE}.", tags=["remove-input"]),
        new_markdown_cell("#### Verdicts\n\nPaired."),
        cell("verdicts", tells(f"- **{HOSTILE}** is better than <b>bold</b>"), tags=["remove-input"]),
        cell("galleries", *map(draws, MODELS), caption="Best and worst images.", tags=["remove-input"]),
        new_markdown_cell("## What the numbers say"),
        cell("words", tells("**unet** leads."), tags=["remove-input"]),
    ]


def save(cells: list, name: str = "08_comparison", study: str = "sample"):
    """Saves cells as an executed notebook of a report; its path."""
    metadata = {"papermill": {"end_time": END, "duration": 4.4}}
    file = paths.report(study) / f"{name}.ipynb"
    file.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=cells, metadata=metadata), file)
    return file
