"""The index pages: of one study, what it asks, found and holds; and of all studies."""

import functools
import json
import re
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from seglib import atomic, locks, params, paths, runs, seal
from seglib.locks import CLOCK
from seglib.params import Study

DONE, FAILED, STALE, RUNNING, NOT_RUN = "done", "failed", "stale", "running", "not run"
STATE = "report.json"  # what outputs/index.html knows of a study
FORMAT = 2  # of that; raise it with whatever changes its keys


@dataclass
class Page:
    """One notebook of a report: its status (done, failed, stale, running, not run) and why it is not done."""

    notebook: str
    status: str = NOT_RUN
    why: str = ""
    seconds: float | None = None
    finished: str = ""
    html: str = ""  # file names beside the index; of a stale notebook those of the old page
    saved: str = ""
    older: str = ""  # the last finished page where that is stale, and why it is
    older_why: str = ""
    links: dict[str, str] = field(default_factory=dict)  # text → file: PDF and tables

    @property
    def title(self) -> str:
        return _heading(self.notebook)[0]

    @property
    def question(self) -> str:
        return _heading(self.notebook)[1]


def write(study: Study, pages: Mapping[str, Page], whole: bool = True, problem: str = "", doing: str = "") -> Path:
    """Writes a study's index, and that of all studies, from the pages as they are now.

    Args: whole — write the pages that compare two models, too: the report is at its end; problem — why the report
        failed although no notebook did; doing — what it still does although no notebook runs.
    """
    from seglib import runtime, site  # torch and jinja2, which a look at what is unchanged does without

    folder = paths.report(study.folder_name)
    for page in pages.values():
        page.links = _links(folder, page)
    about, found = params.about(study.name), result(study, pages, whole)
    status = FAILED if problem else RUNNING if doing else _status(pages)
    if found:
        content = found["leaderboard"].to_csv(index_label="model", lineterminator="\n")
        atomic.write(folder / "tables" / "leaderboard.csv", content)
    state = {
        "format": FORMAT, "title": about["title"], "question": about["question"], "study": study.name,
        "folder": study.folder_name, "overrides": study.overrides, "status": status,
        "problem": problem or doing,
        "pages": [asdict(page) for page in pages.values()],
        "done": sum(p.status == DONE for p in pages.values()), "notebooks": len(pages),
        "seconds": sum(p.seconds or 0 for p in pages.values()),
        "written": time.strftime(CLOCK, time.gmtime()), "best": found.get("best", ""), "score": found.get("score", ""),
        "images": found.get("images", 0), "source": found.get("source", ""), "note": found.get("note", ""),
    }  # fmt: skip
    page = site.render(
        "study.html.j2", state=state, pages=list(pages.values()), result=found, machine=runtime.describe(),
        whole=_whole_pdf(folder) if status == DONE else "", command=_command(study.name, study.overrides),
    )  # fmt: skip
    atomic.write(folder / "index.html", page)
    atomic.write(folder / STATE, json.dumps(seal.signed(state), indent=1, ensure_ascii=False) + "\n")
    write_all()
    return folder / "index.html"


def known(folder: str) -> dict[str, Page]:
    """The pages of a report as its index last showed them; none if there is no report, or one of an older version."""
    state = _state(folder)
    return {page["notebook"]: Page(**page) for page in state["pages"]} if state.get("format") == FORMAT else {}


def _state(folder: str) -> dict:
    """What a report says of itself; {} where there is none, or it is not as it was written."""
    try:
        return seal.read_signed(paths.report(folder) / STATE)
    except (FileNotFoundError, ValueError):
        return {}


def running() -> list[Study]:
    """The studies whose reports say that they are being made, which is true of those whose lock is held."""
    states = [_state(file.parent.name) for file in sorted(paths.outputs().glob(f"*/{STATE}"))]
    states = [state for state in states if state.get("format") == FORMAT and state["status"] == RUNNING]
    return [Study(s["study"], {page["notebook"]: {} for page in s["pages"]}, s["overrides"]) for s in states]


def write_all() -> Path:
    """Writes outputs/index.html: every report there is, and the studies that have none."""
    from seglib import runtime, site

    file = paths.outputs() / "index.html"
    with locks.held(paths.outputs() / ".locks" / "index"):  # two reports may end at once
        states = sorted(_states(), key=lambda state: (bool(state["overrides"]), state["folder"]))
        made = {state["folder"] for state in states}
        missing = [
            {"name": name, **params.about(name), "command": _command(name, {})}
            for name in params.studies() if name not in made
        ]  # fmt: skip
        page = site.render("studies.html.j2", states=states, missing=missing, machine=runtime.describe())
        for left in file.parent.glob(f".{file.name}-????????"):  # by a process that was killed while it wrote
            left.unlink()
        atomic.write(file, seal.signed_page(page))
    return file


def _states() -> list[dict]:
    """What each report of outputs/ says of itself; of one by an older version, that it does not."""
    found = []
    for page in paths.outputs().glob("*/index.html"):
        folder, state = page.parent.name, _state(page.parent.name)
        if state.get("format") == FORMAT:
            found.append(state)
        elif state or list(page.parent.glob("[0-9][0-9]_*.ipynb")):
            found.append({
                "title": folder, "study": folder.partition("@")[0], "folder": folder, "status": "older",
                "overrides": {"of an older version": "not known"} if "@" in folder else {},
            })  # fmt: skip
    return found


def result(study: Study, pages: Mapping[str, Page], whole: bool = True) -> dict:
    """What the finished notebooks' runs say of the study as a whole, for its page; {} where none recorded a run."""
    from seglib import leaderboard  # it needs pandas and matplotlib, which the other commands do without

    done = tuple(page.notebook for page in pages.values() if page.status == DONE)
    if not runs.has_records(study.folder_name, done):
        return {}
    families = runs.families(study.folder_name, done)
    keys = json.dumps({f: {label: [r.key for r in g] for label, g in groups.items()} for f, groups in families.items()})
    about = params.about(study.name)
    found = _measured(paths.outputs(), study.name, study.folder_name, done, tuple(about["contrast"]), keys)
    return found | leaderboard.compared(found, paths.report(study.folder_name), whole)


@functools.lru_cache(maxsize=1)
def _measured(outputs: Path, name: str, folder: str, notebooks: tuple[str, ...], contrast: tuple, keys: str) -> dict:
    """Computed once for the same runs: `outputs` and `keys` only tell them apart."""
    from seglib import leaderboard

    return leaderboard.of_families(runs.families(folder, notebooks), name, contrast)


def _status(pages: Mapping[str, Page]) -> str:
    """Of a report as a whole: the worst of its notebooks'."""
    found = {page.status for page in pages.values()}
    return next((status for status in (RUNNING, FAILED, STALE, NOT_RUN) if status in found), DONE)


def _links(folder: Path, page: Page) -> dict[str, str]:
    """PDF and tables that lie beside a finished page, or beside an old one."""
    if page.status not in (DONE, STALE):
        return {}
    found = {"PDF": f"{page.notebook}.pdf"} if (folder / f"{page.notebook}.pdf").is_file() else {}
    number = page.notebook.partition("_")[0]
    tables = sorted((folder / "tables").glob(f"{number}_*.csv"))
    return found | {file.stem.removeprefix(f"{number}_").replace("_", " "): f"tables/{file.name}" for file in tables}


def _whole_pdf(folder: Path) -> str:
    """The PDF of the whole study, if there is one."""
    return next((f.name for f in sorted(folder.glob("*.pdf")) if not re.match(r"\d\d_", f.name)), "")


def _command(name: str, overrides: Mapping) -> str:
    pairs = " ".join(f"{key}={json.dumps(value)}" for key, value in overrides.items())
    return f"make report STUDY={name}" + (f" SET='{pairs}'" if pairs else "")


@functools.cache
def _heading(notebook: str) -> tuple[str, str]:
    """Title and question of a notebook: the heading of its first cell and what follows to a question mark, as text."""
    cells = json.loads((paths.NOTEBOOKS / f"{notebook}.ipynb").read_text(encoding="utf-8"))["cells"]
    lines = "".join(cells[0]["source"]).splitlines()
    paragraph = next(iter("\n".join(lines[1:]).strip().split("\n\n")), "")
    plain = re.sub(r"\[([^]]*)\]\([^)]*\)|[*`$]", r"\1", " ".join(paragraph.split()))
    return lines[0].removeprefix("# ").strip(), plain.partition("?")[0] + "?" if "?" in plain else ""
