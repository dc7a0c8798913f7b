"""`make report`: a study's notebooks executed by papermill, rendered by nbconvert, and an index page over them."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from seglib import atomic, digest, params, paths, progress, render, runs
from seglib.params import Study
from seglib.terminal import Terminal

TEMPLATES = Path(__file__).parent / "templates"
STOP_SECONDS = 5  # that a stopped notebook gets to end its kernel by itself
INPUTS = "seglib_inputs"  # the executed notebook's metadata entry that says what it was made from


@dataclass
class Page:
    """One notebook of a report, as the index shows it."""

    title: str
    status: str = "not run"
    seconds: float | None = None
    html: str = ""
    notebook: str = ""
    error: str = ""


def make(study: Study) -> Path:
    """Runs a study and returns its index page; what is unchanged since the last time is kept.

    Raises: ValueError or FileNotFoundError before anything runs if data or parameters cannot work; RuntimeError if
        a notebook failed (its page and the index say where).
    """
    known = check(study)
    folder = paths.report(study.folder_name)
    folder.mkdir(parents=True, exist_ok=True)
    pages = {notebook: Page(notebook) for notebook in study.notebooks}
    terminal = Terminal(len(pages))
    inputs: dict[str, str] = {}
    for notebook, values in study.notebooks.items():
        # a notebook without data of its own shows what the earlier ones recorded, and what was reported
        depends = known.get(notebook) or [*inputs.values(), params.reported(study.name)]
        inputs[notebook] = digest.of_value([_code_digest(), _source_digest(notebook), values, depends])
        _make_page(pages[notebook], study, values, inputs[notebook], terminal)
        if pages[notebook].status == "failed":
            break
    complete = all(page.status == "done" for page in pages.values())
    render.write_report(folder, list(study.notebooks), _title_lines(study), complete)
    index = _write_index(study, pages, folder)
    if failed := [page for page in pages.values() if page.status == "failed"]:
        raise RuntimeError(
            f"{failed[0].title} failed: {failed[0].error}\n  see {folder / failed[0].notebook}\n  and {index}"
        )
    return index


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


def _make_page(page: Page, study: Study, values: dict, inputs: str, terminal: Terminal) -> None:
    folder = paths.report(study.folder_name)
    done = folder / f"{page.title}.ipynb"
    failed = folder / f"{page.title}.failed.ipynb"
    metadata = _metadata(done)
    if metadata.get(INPUTS) == inputs and runs.are_recorded(study.folder_name, page.title):
        page.status, page.seconds = "done", metadata["seconds"]
        terminal.unchanged(page.title)
    else:
        started = time.monotonic()
        with terminal.notebook(page.title) as events:
            page.error = _execute(page.title, failed, values, events)
        page.seconds = time.monotonic() - started
        page.status = "failed" if page.error else "done"
        if not page.error:
            _stamp(failed, {INPUTS: inputs, "seconds": page.seconds})
            os.replace(failed, done)
        terminal.finished(page.title, page.seconds, page.error)
    page.notebook = (failed if page.error else done).name
    render.write_page(folder / page.notebook, list(study.notebooks))
    page.html = Path(page.notebook).with_suffix(".html").name
    if not page.error:
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


def _write_index(study: Study, pages: dict[str, Page], folder: Path) -> Path:
    from jinja2 import Environment, FileSystemLoader

    from seglib import words

    template = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True).get_template("study.html.j2")
    result = _result(study) if all(page.status == "done" for page in pages.values()) else {"table": None}
    html = template.render(study=study, pages=pages.values(), environment=words.environment(), **result)
    atomic.write(folder / "index.html", html)
    return folder / "index.html"


def _result(study: Study) -> dict:
    """What the index says of the study as a whole, from the run store."""
    from seglib import tables, words

    if not runs.has_records(study.folder_name):  # a study without training
        return {"table": None}
    groups = runs.recorded(study.folder_name)
    table = tables.comparison(groups)
    first = next(iter(groups.values()))
    return {
        "table": tables.readable(table[["Dice", "IoU", "test loss", "seeds", "parameters", "trained"]]),
        "verdicts": [v.replace("**", "") for v in words.verdicts(groups)],
        "basis": words.basis(groups),
        "images": int(table["test images"].iloc[0]),
        "source": first[0].config.dataset,
        "note": first[0].meta["note"],
    }


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
