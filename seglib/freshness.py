"""Which notebooks and pages of a report are as an earlier one left them, and what has changed since for the others.

A notebook is fresh while its stamp is what it would get now and its runs are in the store; pages and index are while
what they were rendered from is. Nothing of this needs torch, unless data, weights or the machine may have changed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from seglib import atomic, check, digest, index, params, paths, reach, render, seal, stamp, witness
from seglib.check import Found
from seglib.index import DONE, STALE, Page
from seglib.params import Study

RENDERED = "rendered.json"  # beside the pages: what they were rendered from
RENDERER = "from seglib import index\nfrom seglib.render import page, paper, story\n"  # what writes pages
RENDERING = ("beautifulsoup4", "jinja2", "nbconvert", "nbformat", "pygments", "pypandoc-binary", "typst")
PAGES = ("*.html", "*.pdf", "compare/*.html", "tables/leaderboard.csv", index.STATE)  # what rendering writes
TOLD = 4  # changes that a page names; of more it gives the number
FORCED = "every notebook is executed anew (FORCE=1)"


@dataclass(frozen=True)
class Freshness:
    """What is known of a study before anything of it runs."""

    study: Study
    found: Mapping[str, Found]  # notebook → what the check found of its data, weights and device
    force: bool = False  # execute every notebook anew

    def pages(self) -> dict[str, Page]:
        """Each notebook's page as an earlier report left it; stale also where an earlier notebook may record other runs
        than those it shows."""
        found: dict[str, Page] = {}
        for notebook in self.study.notebooks:
            page = found[notebook] = self.page(notebook)
            waits = [name for name in stamp.reads(self.study, notebook) if found[name].status != DONE]
            if waits and page.status == DONE:
                _make_stale(page, f"it shows what {waits[0]} records, which is done anew")
        return found

    def page(self, notebook: str) -> Page:
        """A page as an earlier report left it: done if all is as it was, stale if not, else not run."""
        page, file = Page(notebook, why="waits for its turn"), self._file(notebook)
        if file.is_file():
            noted = stamp.read(file)
            page.status, page.seconds, page.finished = DONE, noted.get("seconds"), noted.get("finished", "")
            page.saved, page.html, page.why = file.name, file.with_suffix(".html").name, ""
            if changes := self.changes(notebook):
                more = f" and {len(changes) - TOLD} more changes" if len(changes) > TOLD else ""
                _make_stale(page, "; ".join(changes[:TOLD]) + more)
        return page

    def changes(self, notebook: str) -> list[str]:
        """Why a notebook would be executed, a line each; nothing for one that is as it would be."""
        if self.force:
            return [FORCED]
        noted = stamp.read(self._file(notebook))
        if not self._file(notebook).is_file():
            return ["it was not executed yet"]
        if not noted:
            return ["it is not as it was written, or was executed by an older version"]
        changes = stamp.differences(noted["stamp"], self.made_from(notebook))
        if (now := stamp.recorded(self.study, notebook)) != noted.get("recorded"):
            changes.append("its runs were trained anew" if now else "its runs left the store, or are damaged")
        elif (now := stamp.tables(self.study, notebook)) != noted.get("tables"):
            changed = sorted(dict(now.items() ^ noted.get("tables", {}).items()))
            changes.append(f"not as it wrote them: {', '.join(changed)}")
        return changes

    def made_from(self, notebook: str) -> stamp.Stamp:
        """What the notebook would be made from now."""
        return stamp.of(self.study, notebook, self.found)

    def note(self, executed: Path, made_from: stamp.Stamp, notebook: str, **more) -> None:
        """Notes in a notebook that was just executed what it was made from, and what it recorded."""
        left = {"recorded": stamp.recorded(self.study, notebook), "tables": stamp.tables(self.study, notebook)}
        stamp.write(executed, {"stamp": made_from, **left, **more})

    def _file(self, notebook: str) -> Path:
        return paths.report(self.study.folder_name) / f"{notebook}.ipynb"


def look(study: Study, force: bool = False) -> Freshness:
    """Looks at all that a study is made from; checks what may have changed of data, weights and device.

    Raises: ValueError or FileNotFoundError for what cannot work.
    """
    found = check.remembered(study)
    unknown = [name for name in check.concerned(study) if name not in found]
    return Freshness(study, found | (check.study(study, unknown) if unknown else {}), force)


def rendering_changes(study: Study) -> list[str]:
    """Why pages and index would be rendered anew, a line each; nothing if they are as they would be."""
    folder = paths.report(study.folder_name)
    if not seal.is_whole_page(paths.outputs() / "index.html") or not render.is_written(folder, list(study.notebooks)):
        return ["some were not written yet, are damaged, or were removed"]
    try:
        before, now = seal.read_signed(folder / RENDERED), _rendered_from(study)
    except (FileNotFoundError, ValueError):
        return ["they were not finished"]
    return [
        f"{name} changed" for part in now for name in sorted(before.get(part, {}).keys() | now[part])
        if before.get(part, {}).get(name) != now[part].get(name)
    ]  # fmt: skip


def note_rendering(study: Study, finished: bool) -> None:
    """Notes beside the pages what they were rendered from, if all of them are there."""
    file = paths.report(study.folder_name) / RENDERED
    if finished:
        atomic.write(file, json.dumps(seal.signed(_rendered_from(study)), indent=1) + "\n")
    else:
        file.unlink(missing_ok=True)


def _rendered_from(study: Study) -> dict[str, dict[str, str]]:
    """Part → name → digest of what the pages and the index of a study are rendered from, and of what was written."""
    folder, templates = paths.report(study.folder_name), Path(render.__file__).parents[1] / "templates"
    files = [file for file in sorted(templates.rglob("*")) if file.is_file()]
    return {
        "code": {name: digest.of_module(name) for name in reach.modules(RENDERER)},
        "templates": {str(file.relative_to(templates.parent)): digest.of_file(file) for file in files},
        "libraries": witness.of_libraries(RENDERING),
        "study": {"about.yaml": digest.of_value(params.about(study.name)),
                  "reported.yaml": digest.of_value(params.reported(study.name))},
        "notebooks": {name: digest.of_file(folder / f"{name}.ipynb") for name in study.notebooks},
        "pages": {str(file.relative_to(folder)): digest.of_file(file) for kind in PAGES for file in folder.glob(kind)},
    }  # fmt: skip


def _make_stale(page: Page, why: str) -> None:
    page.status, page.why = STALE, why
    page.older, page.older_why = page.html, f"made before a change: {why}"
