"""A notebook that failed: where and why, and its notebook and page that say so, however it ended."""

import json
import re
import sys
from pathlib import Path

from seglib import atomic, index, locks, paths, render
from seglib.execute import Outcome
from seglib.index import FAILED, RUNNING, Page
from seglib.params import Study

TOLD_LINES = 40  # of what a process told on its way out, at most, on the page
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
MARKER = "papermill-error-cell-tag"  # of the cells by which papermill points to an error


def running_file(study: Study, notebook: str) -> Path:
    """What a notebook is executed into: hidden, since it is neither done nor failed."""
    return paths.report(study.folder_name) / f".{notebook}.running.ipynb"


def write(page: Page, study: Study, outcome: Outcome, seconds: float | None = None) -> None:
    """Calls a notebook failed: its page says where and why, and so do its executed notebook and HTML page.

    What cannot be written, as on a full disk, is said instead.
    """
    page.status, page.why, page.saved, page.html = FAILED, outcome.error, "", ""
    running, saved = running_file(study, page.notebook), f"{page.notebook}.failed.ipynb"
    notebook = _read(running) or _read(paths.NOTEBOOKS / f"{page.notebook}.ipynb")
    if notebook is None:
        return
    notebook, place = _told(notebook, outcome, seconds)
    page.why = f"{outcome.error} ({place})"
    try:
        for left in running.parent.glob(f"{running.name}*"):  # first, for the space; one may be half written
            left.unlink()
        file = paths.report(study.folder_name) / saved
        atomic.write(file, json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")
        page.saved = saved
        render.write_page(file, list(study.notebooks))
        page.html = file.with_suffix(".html").name
    except Exception as error:  # of whatever kind: it must not hide why the notebook failed
        page.why += f"; its page could not be written ({type(error).__name__}: {error})"


def forget(folder: Path, notebook: str) -> None:
    """Removes what an earlier failure of a notebook left."""
    for kind in ("ipynb", "html"):
        (folder / f"{notebook}.failed.{kind}").unlink(missing_ok=True)


def put_right() -> None:
    """Says of every report that was killed while it ran that it was: until then its index calls it running."""
    for study in index.running():
        lock = locks.of_report(study.folder_name)
        if locks.holder(lock):
            continue
        try:
            with locks.held(lock):
                _put_right(study)
        except Exception as error:  # of a report that is not the one asked for
            print(f"the index of {study.folder_name} still says that it runs ({error})", file=sys.stderr)


def _put_right(study: Study) -> None:
    pages = index.known(study.folder_name)
    cut_off = [page for page in pages.values() if page.status == RUNNING]
    for page in cut_off:
        if running_file(study, page.notebook).is_file():
            write(page, study, Outcome(f"the report was killed; it had {page.why.partition(',')[0]}"))
        else:  # it was given its name
            page.status, page.why = FAILED, "every cell ran, but the report was killed before its page was written"
    problem = "" if cut_off else "the report was killed while it wrote its pages and PDFs"
    index.write(study, pages, whole=False, problem=problem)


def _read(file: Path) -> dict | None:
    """A notebook's content, if it is there whole."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _told(notebook: dict, outcome: Outcome, seconds: float | None) -> tuple[dict, str]:
    """The notebook with a cell at its top that says that it failed, and the place in words."""
    cells = [cell for cell in notebook["cells"] if MARKER not in cell["metadata"].get("tags", [])]
    place, found = _place(cells)
    if found is not None and not any(output["output_type"] == "error" for output in cells[found]["outputs"]):
        told = [outcome.error, *outcome.told.strip().splitlines()[-TOLD_LINES:]]
        error = {"output_type": "error", "ename": "Failed", "evalue": outcome.error, "traceback": told}
        cells[found] = {**cells[found], "outputs": [*cells[found]["outputs"], error]}
    text = f"**This notebook failed**, {place}; what comes after did not run.\n\n    {outcome.error}"
    title = next((i for i, cell in enumerate(cells) if cell["cell_type"] == "markdown"), -1)
    cells.insert(title + 1, {"cell_type": "markdown", "id": "failed", "metadata": {}, "source": text})
    metadata = {**notebook["metadata"], "seglib": {"failed": outcome.error, "place": place, "seconds": seconds}}
    return {**notebook, "cells": cells, "metadata": metadata}, place


def _place(cells: list[dict]) -> tuple[str, int | None]:
    """Where a notebook failed, in words, and the position of that code cell, if there is one."""
    code = [i for i, cell in enumerate(cells) if cell["cell_type"] == "code" and _source(cell).strip()]
    states = [cell["metadata"].get("papermill", {}).get("status") for cell in cells]
    failed = next((i for i, state in enumerate(states) if state in ("failed", "running")), None)
    counted = [i for i in code if cells[i].get("execution_count")]
    if failed is None and not counted:
        return "before its first cell", code[0] if code else None
    if failed is None and len(counted) == len(code):
        return "after its last cell", code[-1]
    found = next((i for i in code if failed is not None and i >= failed), counted[-1] if counted else code[-1])
    number = code.index(found) + 1
    headings = [_source(cell) for cell in cells[:found] if cell["cell_type"] == "markdown"]
    titles = [title for text in headings for title in re.findall(r"^#+ +(.+?)\s*$", text, re.M)]
    section = f" of “{titles[-1]}”" if titles else ""
    return f"in cell [{number}]{section}{_line(cells[found], number)}", found


def _line(cell: dict, number: int) -> str:
    """`, line 3`, where a traceback tells it."""
    lines = [COLOURS.sub("", "\n".join(o["traceback"])) for o in cell["outputs"] if o["output_type"] == "error"]
    found = re.search(rf"\bIn\[{number}\], line (\d+)", "\n".join(lines))
    return f", line {found[1]}" if found else ""


def _source(cell: dict) -> str:
    return "".join(cell["source"])


if __name__ == "__main__":
    put_right()
