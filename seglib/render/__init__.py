"""Executed notebooks as pages (HTML) and papers (PDF), by nbconvert exporters of ours.

`jupyter nbconvert --to seglib_html` and `--to seglib_pdf` do the same with any notebook.
"""

from collections.abc import Sequence
from pathlib import Path

from seglib import atomic


def write_page(notebook: Path, names: Sequence[str]) -> None:
    """Writes a notebook's page beside it. Args: names — of the notebooks that pages lead to, in order."""
    from seglib.render.page import PageExporter

    html, _ = PageExporter().from_filename(str(notebook), resources={"notebooks": list(names)})
    atomic.write(notebook.with_suffix(".html"), html)


def is_written(folder: Path, names: Sequence[str]) -> bool:
    """Whether all that `write_report` writes of a complete report is there."""
    files = [folder / f"{name}{suffix}" for name in names for suffix in (".html", ".pdf")]
    return all(file.is_file() for file in [*files, folder / f"{folder.name}.pdf"])


def write_report(folder: Path, names: Sequence[str], lines: Sequence[str], complete: bool) -> None:
    """Writes the PDFs of a report's executed notebooks, their pages anew, which lead to them and to each other, and
    the PDF of the whole study.

    Args: names — of the study's notebooks, in order; lines — what the study's title page says under its name;
        complete — whether every notebook is there and up to date: else there is no PDF of the study.
    """
    from nbformat import read

    from seglib.render import paper, story

    files = [folder / f"{name}.ipynb" for name in names if (folder / f"{name}.ipynb").is_file()]
    stories = [story.read(read(file, as_version=4)) for file in files]
    for file, found in zip(files, stories, strict=True):
        atomic.write(file.with_suffix(".pdf"), paper.of_notebook(found))
        write_page(file, [file.stem for file in files])
    whole = folder / f"{folder.name}.pdf"
    if complete:
        atomic.write(whole, paper.of_study(stories, f"Study {folder.name}", lines))
    else:
        whole.unlink(missing_ok=True)
