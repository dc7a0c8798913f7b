"""`make report`: a study's notebooks executed by papermill, rendered by nbconvert, and an index page over them."""

import os
import signal
import sys
import time
from pathlib import Path

from seglib import execute, freshness, index, paths, render
from seglib.index import CLOCK, DONE, FAILED, NOT_RUN, RUNNING, STALE, Page
from seglib.params import Study
from seglib.terminal import Terminal


def make(study: Study, force: bool = False) -> Path:
    """Runs a study and returns its index page; what is unchanged since the last time is kept.

    Args: force — execute every notebook anew; runs come from the store as they are.
    Raises: ValueError or FileNotFoundError before anything runs if data or parameters cannot work; RuntimeError if
        a notebook failed (its page and the index say where).
    """
    fresh = freshness.look(study, force)
    pages = fresh.pages()
    made = any(page.status != DONE for page in pages.values())
    terminal = Terminal(len(pages))
    if not made and not freshness.rendering_changes(study):
        for notebook in pages:
            terminal.unchanged(notebook)
        return paths.report(study.folder_name) / "index.html"
    paths.report(study.folder_name).mkdir(parents=True, exist_ok=True)
    freshness.note_rendering(study, finished=False)
    try:
        for notebook, page in pages.items():
            if page.status == STALE:  # what it shows may have been recorded as it was
                page = pages[notebook] = fresh.page(notebook)
            if page.status != DONE:
                page.status = RUNNING
                page.why = f"started {time.strftime(CLOCK, time.gmtime())}, not finished when this page was written"
                index.write(study, pages, whole=False)
            _make_page(page, study, fresh, terminal)
            if page.status == FAILED:
                break
    finally:
        written = _close(study, pages)
    freshness.note_rendering(study, finished=all(page.status == DONE for page in pages.values()))
    if failed := [page for page in pages.values() if page.status == FAILED]:
        where = written.parent / failed[0].saved
        raise RuntimeError(f"{failed[0].notebook} failed: {failed[0].why}\n  see {where}\n  and {written}")
    return written


def _close(study: Study, pages: dict[str, Page]) -> Path:
    """Says of what did not run why it did not, and writes the index: of a report that ended, failed or was stopped."""
    failed = next((page.notebook for page in pages.values() if page.status == FAILED), "")
    stopped = any(page.status == RUNNING for page in pages.values())
    for page in pages.values():
        if page.status in (RUNNING, STALE, NOT_RUN):
            reason = f"{failed}, which comes before it, failed" if failed else "the report was stopped before it"
            reason = "the report was stopped while it ran" if page.status == RUNNING else reason
            page.status, page.why = (STALE, f"{page.older_why}; {reason}") if page.older else (NOT_RUN, reason)
    complete = all(page.status == DONE for page in pages.values())
    render.write_report(paths.report(study.folder_name), list(study.notebooks), _title_lines(study), complete)
    return index.write(study, pages, whole=not stopped)


def _make_page(page: Page, study: Study, fresh: freshness.Freshness, terminal: Terminal) -> None:
    folder = paths.report(study.folder_name)
    done, failed = folder / f"{page.notebook}.ipynb", folder / f"{page.notebook}.failed.ipynb"
    if page.status == DONE:
        return terminal.unchanged(page.notebook)
    started, made_from, error = time.monotonic(), fresh.made_from(page.notebook), ""
    with terminal.notebook(page.notebook) as events:
        error = execute.start(page.notebook, failed, study.notebooks[page.notebook], events)
    page.seconds, page.finished = time.monotonic() - started, time.strftime(CLOCK, time.gmtime())
    if not error:
        fresh.note(failed, made_from, page.notebook, seconds=page.seconds, finished=page.finished)
        os.replace(failed, done)
    page.status, page.why = (FAILED, error) if error else (DONE, "")
    terminal.finished(page.notebook, page.seconds, error)
    page.saved = (failed if error else done).name
    page.html = Path(page.saved).with_suffix(".html").name
    render.write_page(folder / page.saved, list(study.notebooks))
    if not error:
        page.older = page.older_why = ""
        for leftover in (failed, failed.with_suffix(".html")):
            leftover.unlink(missing_ok=True)


def _title_lines(study: Study) -> list[str]:
    """What the title page of the study's PDF says under its name."""
    from seglib import words

    changed = [f"Overridden: {name} = {value}" for name, value in study.overrides.items()]
    return ["Segmentation workbook", *changed, words.environment()]


def end_on_sigterm() -> None:
    """Makes SIGTERM unwind like an exit, so that the running notebook is ended too."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
