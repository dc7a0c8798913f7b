"""`make report`: a study's notebooks executed by papermill, rendered by nbconvert, and an index page over them."""

import contextlib
import os
import sys
import time
from pathlib import Path

from seglib import atomic, execute, failure, freshness, index, interruption, locks, paths, render, stamp
from seglib.execute import Outcome
from seglib.freshness import Freshness
from seglib.index import CLOCK, DONE, FAILED, NOT_RUN, RUNNING, STALE, Page
from seglib.params import Study
from seglib.stamp import Stamp
from seglib.terminal import Terminal, address

SPARE_BYTES = 2**23  # kept on the disk while notebooks run, so that on a full one can be written which of them failed


def make(study: Study, force: bool = False) -> Path:
    """Runs a study and returns its index page; what is unchanged since the last time is kept.

    Args: force — execute every notebook anew; runs come from the store as they are.
    A notebook that fails stops only those that show its runs. Of two reports of a study at once the second waits.
    Raises: ValueError or FileNotFoundError before anything runs if data or parameters cannot work; OSError if
        nothing can be written; RuntimeError if a notebook failed: it says which, where and why, and so do their pages.
    """
    failure.put_right()
    with locks.held(locks.of_report(study.folder_name), lambda holder: _tell_waiting(study, holder)):
        return Report(study, _looked_at(study, force)).make()


def _tell_waiting(study: Study, holder: str) -> None:
    if holder:
        print(f"{holder}, makes the report of {study.folder_name}; waiting for its end", file=sys.stderr, flush=True)


def _looked_at(study: Study, force: bool) -> Freshness:
    """What is known of the study before anything runs; where it cannot run, an index that is there says so."""
    try:
        return freshness.look(study, force)
    except Exception as error:
        if known := index.known(study.folder_name):
            _say_unable(study, known, str(error))
        raise


def _say_unable(study: Study, known: dict[str, Page], error: str) -> None:
    """Writes on the index that is there that the study cannot be run as it is now, and for which notebook's sake."""
    wrong = next((name for name in study.notebooks if error.startswith(f"{name}: ")), "")
    pages = {name: known.get(name, Page(name)) for name in study.notebooks}
    for name, page in pages.items():
        if page.status == DONE:
            page.older, page.older_why = page.html, "not known to be up to date"
        if name == wrong:
            failure.write(page, study, Outcome(execute.one_line(error)))
        else:
            _set_aside(page, f"not looked at: {wrong or 'the study'} cannot be run")
    with contextlib.suppress(OSError):  # what cannot be run is the error to be told
        index.write(study, pages, whole=False, problem="" if wrong else error)


def _set_aside(page: Page, reason: str) -> None:
    """Calls a page that is not made now stale or not run, whichever it is."""
    page.status, page.why = (STALE, f"{page.older_why}; {reason}") if page.older else (NOT_RUN, reason)


class Report:
    """One report in the making."""

    def __init__(self, study: Study, fresh: Freshness):
        self.study, self.fresh, self.folder, self.pages = study, fresh, paths.report(study.folder_name), fresh.pages()
        self.terminal, self.reserve = Terminal(len(self.pages)), self.folder / ".reserve"

    def make(self) -> Path:
        """Runs what is not up to date, and writes all pages."""
        made, waiting, problem = any(p.status != DONE for p in self.pages.values()), iter(self.study.notebooks), ""
        if not made and not freshness.rendering_changes(self.study):
            for notebook in waiting:
                self.terminal.unchanged(notebook)
            return self.folder / "index.html"
        self.folder.mkdir(parents=True, exist_ok=True)
        for left in [*self.folder.glob(".*.running.ipynb*"), *self.folder.rglob(".*-????????")]:  # by a killed process
            left.unlink()
        if made and (full := self._full()):
            raise OSError(f"{full}: {self.folder}; nothing was run")
        if made:
            from seglib import space  # torch, which a report that has nothing to do does without

            space.check_study(self.study)
        freshness.note_rendering(self.study, finished=False)
        try:
            for notebook in waiting:
                self._make(notebook)
            self._write_index(whole=False, doing=f"its pages and PDFs are being written by {locks.myself()}")
            problem = self._write_papers()
        except BaseException as raised:
            problem = f"the report was stopped by {interruption.name(raised) or _error(raised)}"
            if not isinstance(raised, KeyboardInterrupt):  # of which the command tells
                self.terminal.say(f"{problem}; what is finished is kept, the next call goes on from here")
            raise
        finally:
            self._release()
            for notebook in waiting:
                if self.pages[notebook].status != DONE:
                    _set_aside(self.pages[notebook], "the report was stopped before it")
            unwritten = self._write_index(problem=problem)
            if unwritten:
                self.terminal.say(unwritten)
        if problem or unwritten or any(page.status != DONE for page in self.pages.values()):
            raise RuntimeError(self._told(problem, unwritten))
        freshness.note_rendering(self.study, finished=True)
        return self.folder / "index.html"

    def _make(self, notebook: str) -> None:
        if self.pages[notebook].status == STALE:  # what it shows may have been recorded as it was
            self.pages[notebook] = self.fresh.page(notebook)
        page = self.pages[notebook]
        missing = [name for name in stamp.needs(self.study, notebook) if self.pages[name].status != DONE]
        if page.status == DONE:
            failure.forget(self.folder, page.notebook)  # of a report killed between two files
            self.terminal.unchanged(page.notebook)
        elif reason := f"it shows the runs of {', '.join(missing)}: not done" if missing else self._full():
            self.terminal.skipped(page.notebook, reason)
            _set_aside(page, f"skipped: {reason}")
        else:
            self._run(page)

    def _run(self, page: Page) -> None:
        """Executes a notebook and writes its page, or what says that it failed."""
        started, stop, made_from = time.monotonic(), None, self.fresh.made_from(page.notebook)
        now = time.strftime(CLOCK, time.gmtime())
        try:
            page.why = f"started {now} by {locks.myself()}, not finished when this page was written"
            page.status = RUNNING
            with self.terminal.notebook(page.notebook) as events:
                self._write_index(whole=False)
                running = failure.running_file(self.study, page.notebook)
                atomic.write(running, (paths.NOTEBOOKS / f"{page.notebook}.ipynb").read_bytes())
                outcome = execute.start(page.notebook, running, self.study.notebooks[page.notebook], events)
            if not outcome.error:
                self._keep(page, running, made_from, time.monotonic() - started)
        except BaseException as raised:
            outcome, stop = Outcome(_error(raised)), None if isinstance(raised, Exception) else raised
        if page.status == RUNNING:
            self._release()
            failure.write(page, self.study, outcome, time.monotonic() - started)
        page.seconds, page.finished = time.monotonic() - started, time.strftime(CLOCK, time.gmtime())
        self.terminal.finished(page.notebook, page.seconds, page.why)
        if stop:
            raise stop

    def _keep(self, page: Page, running: Path, made_from: Stamp, seconds: float) -> None:
        """Gives a notebook of which every cell ran its name, and writes its page."""
        now, file = time.strftime(CLOCK, time.gmtime()), self.folder / f"{page.notebook}.ipynb"
        self.fresh.note(running, made_from, page.notebook, seconds=seconds, finished=now)
        for old in (file.with_suffix(".html"), file.with_suffix(".pdf"), self.folder / f"{self.folder.name}.pdf"):
            old.unlink(missing_ok=True)  # so that none beside the new notebook looks like its own
        os.replace(running, file)
        page.status, page.why, page.older, page.older_why, page.saved = DONE, "", "", "", file.name
        failure.forget(self.folder, page.notebook)
        try:
            render.write_page(file, list(self.study.notebooks))
            page.html = file.with_suffix(".html").name
        except Exception as error:
            page.status, page.why = FAILED, f"every cell ran, but its page could not be written ({_error(error)})"
            page.html = ""

    def _write_papers(self) -> str:
        """Writes what is made of all notebooks together; what is wrong with that, or nothing."""
        names = list(self.study.notebooks)
        if full := self._full():
            return f"the papers could not be written: {full}"
        self._release()
        try:
            complete = all(page.status == DONE for page in self.pages.values())
            render.write_report(self.folder, names, _title_lines(self.study), complete)
        except Exception as error:
            return f"not all pages and papers could be written ({_error(error)})"
        return ""

    def _write_index(self, whole: bool = True, problem: str = "", doing: str = "") -> str:
        """Writes the index; why it could not be, or nothing."""
        try:
            index.write(self.study, self.pages, whole, problem, doing)
        except Exception as error:
            return f"{self.folder / 'index.html'} could not be written and says what was before ({_error(error)})"
        return ""

    def _full(self) -> str:
        """Keeps some of the disk free; why that cannot be, or nothing."""
        try:
            if not self.reserve.is_file():
                atomic.write(self.reserve, os.urandom(SPARE_BYTES))
        except OSError as error:
            return f"not even {SPARE_BYTES >> 20} MB can be written to the report's folder ({error.strerror})"
        return ""

    def _release(self) -> None:
        """Lets others have what was kept free."""
        with contextlib.suppress(OSError):  # where it cannot be removed, nothing can be written, which is told
            self.reserve.unlink(missing_ok=True)

    def _told(self, problem: str, unwritten: str) -> str:
        """What is wrong with a report that ended, a line for each."""
        pages = self.pages.values()
        lines = [
            f"{page.notebook} {'failed' if page.status == FAILED else 'not made'}: {page.why}"
            + (f"\n  see {address(self.folder / page.html)}" if page.status == FAILED and page.html else "")
            for page in pages
            if page.status != DONE
        ]
        count = f"{sum(page.status == DONE for page in pages)} of {len(pages)} notebooks are done"
        lines += [problem, unwritten or f"{count}; see {address(self.folder / 'index.html')}"]
        return "\n".join(filter(None, lines))


def _error(error: BaseException) -> str:
    """An exception in one line."""
    stopped = interruption.name(error)
    return f"stopped by {stopped}" if stopped else execute.one_line(f"{type(error).__name__}: {error}".rstrip(": "))


def _title_lines(study: Study) -> list[str]:
    """What the title page of the study's PDF says under its name."""
    from seglib import words

    changed = [f"Overridden: {name} = {value}" for name, value in study.overrides.items()]
    return ["Segmentation workbook", *changed, words.environment()]
