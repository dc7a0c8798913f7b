"""One notebook executed by papermill, in a process of its own: `python -m seglib.execute SOURCE TARGET < parameters`.

A report starts it so that it can end it: whatever happens to the report, to this process or to the kernel, none of
the others outlives it. The last line of its output is the error as JSON, empty if every cell ran to its end.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from seglib import paths, permitted, progress

STOP_SECONDS = 5  # that a stopped notebook gets to end its kernel by itself
FIGURES = [f"--InlineBackend.figure_formats={kind}" for kind in ("svg", "png")]  # for page and paper, and for a preview


def execute(source: Path, target: Path, parameters: dict) -> str:
    """Executes a notebook of the repository into `target`, cell by cell; the error in one line, or nothing.

    Raises: ValueError for a notebook from elsewhere, and for a study whose name leads out of the outputs.
    """
    import papermill
    from nbclient.exceptions import DeadKernelError
    from traitlets.config import Config

    permitted.check_notebook(source, parameters.get("study"))
    # sockets in a folder of this run alone: no ports that could clash or be listened to
    with tempfile.TemporaryDirectory(prefix="seglib-") as sockets:
        transport = {"transport": "ipc", "ip": f"{sockets}/ipc"}
        config = Config({"KernelManager": transport, "NotebookClient": {"extra_arguments": FIGURES}})
        try:
            executed = papermill.execute_notebook(
                permitted.literal(source), permitted.literal(target), parameters=parameters, cwd=paths.NOTEBOOKS,
                kernel_name="python3", progress_bar=False, config=config,
            )  # fmt: skip
        except papermill.PapermillExecutionError as error:
            return f"{error.ename}: {error.evalue}"
        except DeadKernelError as error:
            return f"the kernel died ({error})"
    # papermill can return normally although the kernel was killed: believe only cells that were counted
    unfinished = [c for c in executed.cells if c.cell_type == "code" and c.source and c.execution_count is None]
    return "a cell did not run to its end" if unfinished else ""


def start(notebook: str, target: Path, values: dict, events: Path) -> str:
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


def end_with_parent(poll_seconds: float = 1.0) -> None:
    """Ends this process soon after the one that started it is gone, however that one ended."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(poll_seconds)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    end_with_parent()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    outcome = execute(Path(sys.argv[1]), Path(sys.argv[2]), json.load(sys.stdin))
    print(json.dumps(outcome), flush=True)
