"""Which notebooks of a study are as an earlier report left them, and what has changed since for the others."""

import json
from pathlib import Path

from seglib import atomic, digest, params, paths, runs
from seglib.index import DONE, STALE, Page
from seglib.params import Study
from seglib.sam import checkpoints

INPUTS = "seglib_inputs"  # the executed notebook's metadata entry that says what it was made from


def inputs(study: Study, known: dict[str, list]) -> dict[str, dict[str, str]]:
    """Notebook → what it is made from, part by part, as digests."""
    found, code = {}, _code_digest()
    for notebook, values in study.notebooks.items():
        # a notebook without data of its own shows what the earlier ones recorded, and what was reported
        depends = known.get(notebook) or [*found.values(), params.reported(study.name)]
        depends = [*depends, checkpoints.at_hand(values.get("checkpoints", []))]  # of SAM: fetched since, or gone
        found[notebook] = {
            "its parameters": digest.of_value(values), "the notebook": _source_digest(notebook),
            "seglib's code": code, "data, weights, torch or an earlier notebook": digest.of_value(depends),
        }  # fmt: skip
    return found


def kept(study: Study, notebook: str, inputs: dict[str, str]) -> Page:
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


def stamp(notebook: Path, values: dict) -> None:
    """Notes in an executed notebook what it was made from, and when."""
    content = json.loads(notebook.read_text(encoding="utf-8"))
    content["metadata"]["seglib"] = values
    atomic.write(notebook, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def _code_digest() -> str:
    """Of all of seglib: a page may show anything of it."""
    folder = Path(__file__).parent
    files = sorted(p for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    return digest.of_value([[str(p.relative_to(folder)), digest.of_file(p)] for p in files])


def _source_digest(notebook: str) -> str:
    return digest.of_file(paths.NOTEBOOKS / f"{notebook}.ipynb")


def _metadata(notebook: Path) -> dict:
    return json.loads(notebook.read_text(encoding="utf-8"))["metadata"].get("seglib", {}) if notebook.is_file() else {}
