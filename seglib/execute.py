"""A report's side of a notebook's execution: starts the process that runs it, and ends it and its kernel."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

from seglib import paths, progress

STOP_SECONDS = 8  # that a stopped notebook gets: `notebook.SAVE_SECONDS` for its kernel, the rest to end
GONE_SECONDS = 5  # for a kernel to notice that the process that started it was killed
ERROR_LENGTH = 300  # characters of an error where it is one line; its traceback is on the page


@dataclass(frozen=True)
class Outcome:
    """How an execution ended: the error in one line, or nothing; and what the process told on its way out."""

    error: str = ""
    told: str = ""


def start(notebook: str, target: Path, values: dict, events: Path) -> Outcome:
    """Executes a notebook into `target`, in a process that ends with this one."""
    source = paths.NOTEBOOKS / f"{notebook}.ipynb"
    command = [sys.executable, "-m", "seglib.notebook", source, target, str(os.getpid())]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    path = os.pathsep.join(os.path.abspath(p) for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p)
    variables = os.environ | {progress.VARIABLE: str(events), "PYTHONPATH": path}  # the kernel has another cwd
    with subprocess.Popen(command, env=variables, start_new_session=True, errors="replace", **pipes) as process:
        try:
            output, told = process.communicate(json.dumps(values))
        except BaseException:
            _end(process)
            raise
    if process.returncode:
        last = told.strip().rpartition("\n")[2]
        raised = last if 0 < process.returncode < 128 else ""  # of an exception, the last line says what it was
        return Outcome(one_line(raised or f"the process that runs the notebook {ended(process.returncode)}"), told)
    return Outcome(json.loads(output.splitlines()[-1]), told)


def _end(process: subprocess.Popen) -> None:
    """Ends the process and its kernel: both hold the pipe, so that its end is theirs."""
    process.terminate()
    try:
        process.communicate(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=GONE_SECONDS)


def ended(status: int) -> str:
    """How a process ended, by its exit status as `subprocess` gives it."""
    if status > 128:
        return f"was stopped by {signal.Signals(status - 128).name}"
    if status >= 0:
        return f"ended with status {status}"
    memory = ", as the system does where memory runs out" if status == -signal.SIGKILL else ""
    return f"was killed by {signal.Signals(-status).name}{memory}"


def one_line(error: str) -> str:
    """An error as it is told beside its notebook's name."""
    return textwrap.shorten(error, ERROR_LENGTH, placeholder=" …")
