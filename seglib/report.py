"""`make report`: a study's notebooks executed by papermill, rendered by nbconvert, and an index page over them."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from seglib import atomic, digest, index, params, paths, progress, render, runs
from seglib.index import CLOCK, DONE, FAILED, NOT_RUN, RUNNING, STALE, Page
from seglib.params import Study
from seglib.terminal import Terminal

STOP_SECONDS = 5  # that a stopped notebook gets to end its kernel by itself
INPUTS = "seglib_inputs"  # the executed notebook's metadata entry that says what it was made from


def make(study: Study) -> Path:
    """Runs a study and returns its index page; what is unchanged since the last time is kept.

    Raises: ValueError or FileNotFoundError before anything runs if data or parameters cannot work; RuntimeError if
        a notebook failed (its page and the index say where).
    """
    inputs = _inputs(study, check(study))
    paths.report(study.folder_name).mkdir(parents=True, exist_ok=True)
    pages = {notebook: _kept(study, notebook, inputs[notebook]) for notebook in study.notebooks}
    made = any(page.status != DONE for page in pages.values())
    terminal = Terminal(len(pages))
    try:
        for notebook, page in pages.items():
            if page.status != DONE:
                page.status = RUNNING
                page.why = f"started {time.strftime(CLOCK, time.gmtime())}, not finished when this page was written"
                index.write(study, pages, whole=False)
            _make_page(page, study, inputs[notebook], terminal)
            if page.status == FAILED:
                break
    finally:
        written = _close(study, pages, made)
    if failed := [page for page in pages.values() if page.status == FAILED]:
        where = written.parent / failed[0].saved
        raise RuntimeError(f"{failed[0].notebook} failed: {failed[0].why}\n  see {where}\n  and {written}")
    return written


def _close(study: Study, pages: dict[str, Page], made: bool) -> Path:
    """Says of what did not run why it did not, and writes the index: of a report that ended, failed or was stopped.

    Args: made — whether anything was executed, so that pages and papers have to be written anew.
    """
    failed = next((page.notebook for page in pages.values() if page.status == FAILED), "")
    stopped = any(page.status == RUNNING for page in pages.values())
    for page in pages.values():
        if page.status in (RUNNING, STALE, NOT_RUN):
            reason = f"{failed}, which comes before it, failed" if failed else "the report was stopped before it"
            reason = "the report was stopped while it ran" if page.status == RUNNING else reason
            page.status, page.why = (STALE, f"{page.older_why}; {reason}") if page.older else (NOT_RUN, reason)
    if made or not render.is_written(paths.report(study.folder_name), list(study.notebooks)):
        complete = all(page.status == DONE for page in pages.values())
        render.write_report(paths.report(study.folder_name), list(study.notebooks), _title_lines(study), complete)
    return index.write(study, pages, whole=not stopped)


def check(study: Study) -> dict[str, list]:
    """Decodes each notebook's data and builds its models once, so that what is wrong is said before anything runs.

    Returns: notebook → what its results depend on, for the notebooks that have data of their own.
    """
    from seglib import data, experiment, rows

    depends, checked = {}, set()
    for notebook, values in study.notebooks.items():
        try:
            rows_of_notebook = list(rows.of(values).values())
            if not rows_of_notebook:
                depends |= {notebook: [data.load(params.to_config(values)).fingerprint]} if "dataset" in values else {}
                continue
            depends[notebook] = [experiment.inputs(experiment.resolve(row)) for row in rows_of_notebook]
            for row, inputs in zip(rows_of_notebook, depends[notebook], strict=True):
                if (key := digest.of_value(inputs)) not in checked:
                    experiment.check(row)
                    checked.add(key)
        except FileNotFoundError as error:
            raise FileNotFoundError(f"{notebook}: {error}") from error
        except ValueError as error:  # not its own kind: a UnicodeDecodeError, say, cannot be made from a text
            raise ValueError(f"{notebook}: {error}") from error
    return depends


def _inputs(study: Study, known: dict[str, list]) -> dict[str, dict[str, str]]:
    """Notebook → what it is made from, part by part, as digests."""
    found, code = {}, _code_digest()
    for notebook, values in study.notebooks.items():
        # a notebook without data of its own shows what the earlier ones recorded, and what was reported
        depends = known.get(notebook) or [*found.values(), params.reported(study.name)]
        found[notebook] = {
            "its parameters": digest.of_value(values), "the notebook": _source_digest(notebook),
            "seglib's code": code, "data, weights, torch or an earlier notebook": digest.of_value(depends),
        }  # fmt: skip
    return found


def _kept(study: Study, notebook: str, inputs: dict[str, str]) -> Page:
    """The page as an earlier report left it: done if all is as it was, stale if not, else not run."""
    page = Page(notebook, why="waits for its turn")
    file = paths.report(study.folder_name) / f"{notebook}.ipynb"
    if not file.is_file():
        return page
    stamp = _metadata(file)
    page.why = _why_stale(study, notebook, stamp.get(INPUTS), inputs)
    page.status, page.seconds, page.finished = DONE, stamp.get("seconds"), stamp.get("finished", "")
    page.saved, page.html = file.name, file.with_suffix(".html").name
    if page.why:
        page.status, page.older, page.older_why = STALE, page.html, page.why
    return page


def _why_stale(study: Study, notebook: str, before: object, now: dict[str, str]) -> str:
    """What has changed since a page was made; nothing if it is up to date."""
    if not isinstance(before, dict):
        return "made by an older version"
    if changed := [part for part, value in now.items() if before.get(part) != value]:
        return f"made before a change of {' and '.join(changed)}"
    return "" if runs.are_recorded(study.folder_name, notebook) else "its runs left the store"


def _make_page(page: Page, study: Study, inputs: dict[str, str], terminal: Terminal) -> None:
    folder = paths.report(study.folder_name)
    done, failed = folder / f"{page.notebook}.ipynb", folder / f"{page.notebook}.failed.ipynb"
    if page.status == DONE:
        return terminal.unchanged(page.notebook)
    started, error = time.monotonic(), ""
    with terminal.notebook(page.notebook) as events:
        error = _execute(page.notebook, failed, study.notebooks[page.notebook], events)
    page.seconds, page.finished = time.monotonic() - started, time.strftime(CLOCK, time.gmtime())
    if not error:
        _stamp(failed, {INPUTS: inputs, "seconds": page.seconds, "finished": page.finished})
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


def _execute(notebook: str, target: Path, values: dict, events: Path) -> str:
    """Executes a notebook into `target`, in a process that ends with this one; the error, or nothing."""
    command = [sys.executable, "-m", "seglib.execute", paths.NOTEBOOKS / f"{notebook}.ipynb", target]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    path = os.pathsep.join(os.path.abspath(p) for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p)
    variables = os.environ | {progress.VARIABLE: str(events), "PYTHONPATH": path}  # the kernel has another cwd
    with subprocess.Popen(command, env=variables, start_new_session=True, **pipes) as process:
        try:
            output, errors = process.communicate(json.dumps(values))
        except BaseException:  # stopped: the kernel ends with its parent
            process.terminate()
            try:
                process.wait(timeout=STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
            raise
    if process.returncode:
        return f"papermill ended with status {process.returncode}: {(errors.strip() or '?').splitlines()[-1]}"
    return json.loads(output.splitlines()[-1])


def _title_lines(study: Study) -> list[str]:
    """What the title page of the study's PDF says under its name."""
    from seglib import words

    changed = [f"Overridden: {name} = {value}" for name, value in study.overrides.items()]
    return ["Segmentation workbook", *changed, words.environment()]


def _code_digest() -> str:
    """Of all of seglib: a page may show anything of it."""
    folder = Path(__file__).parent
    files = sorted(p for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    return digest.of_value([[str(p.relative_to(folder)), digest.of_file(p)] for p in files])


def _source_digest(notebook: str) -> str:
    return digest.of_file(paths.NOTEBOOKS / f"{notebook}.ipynb")


def _metadata(notebook: Path) -> dict:
    return json.loads(notebook.read_text(encoding="utf-8"))["metadata"].get("seglib", {}) if notebook.is_file() else {}


def _stamp(notebook: Path, values: dict) -> None:
    content = json.loads(notebook.read_text(encoding="utf-8"))
    content["metadata"]["seglib"] = values
    atomic.write(notebook, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def end_on_sigterm() -> None:
    """Makes SIGTERM unwind like an exit, so that the running notebook is ended too."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
