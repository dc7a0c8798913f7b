"""One notebook executed by papermill, as a process of its own: `python -m seglib.notebook SOURCE TARGET PARENT`.

It reads the parameters from standard input, as JSON, and ends with PARENT, the process that started it. The last line
of its output is the error as JSON, empty if every cell ran to its end; whatever happens, TARGET says which cell was
the last to run.
"""

import contextlib
import json
import os
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path

import papermill
from nbclient.exceptions import DeadKernelError
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import Engine, papermill_engines
from papermill.iorw import LocalHandler, papermill_io
from papermill.log import logger
from traitlets.config import Config

from seglib import interruption, paths, permitted
from seglib.execute import ended, one_line

SAVE_SECONDS = 4  # that a stopped kernel gets: a training saves its state at the end of a step
KERNEL = [
    *(f"--InlineBackend.figure_formats={kind}" for kind in ("svg", "png")),  # for page and paper, and for a preview
    # ipykernel, too, ends with its parent, but not one whose parent went while it was starting
    f"--IPKernelApp.exec_lines=__import__('seglib.interruption').interruption.end_with({os.getpid()})",
]


class Client(PapermillNotebookClient):
    """papermill's client, which would call a cell completed that was running when its kernel ended or was stopped."""

    running = 0  # position of the cell

    def execute(self, **options):
        """Executes the notebook in a kernel that ends with this call, also where that was only starting."""
        try:
            return super().execute(**options)
        finally:
            if process := getattr(getattr(self.km, "provisioner", None), "process", None):
                process.kill()

    def papermill_execute_cells(self) -> None:
        """Executes all cells. Raises: DeadKernelError that says how the kernel ended."""
        self.on_cell_start = lambda cell, cell_index: setattr(self, "running", cell_index)
        try:
            super().papermill_execute_cells()
        except DeadKernelError:
            error = f"the kernel {ended(self.km.provisioner.process.wait())}"
            self.nb_man.cell_exception(self.nb.cells[self.running])
            raise DeadKernelError(error) from None
        except (KeyboardInterrupt, SystemExit):
            self.nb_man.cell_exception(self.nb.cells[self.running])
            self.km.provisioner.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.km.provisioner.process.wait(SAVE_SECONDS)
            raise


class ClientEngine(Engine):
    """papermill's engine with our client."""

    @classmethod
    def execute_managed_notebook(cls, nb_man, kernel_name, start_timeout, config, **options) -> None:
        """Executes all cells of the managed notebook."""
        Client(
            nb_man, kernel_name=kernel_name, startup_timeout=start_timeout, timeout=None, config=config, log=logger
        ).execute()


class WholeFiles(LocalHandler):
    """papermill's way to write notebooks, which would leave half a file of a process that ends meanwhile."""

    def write(self, buf: str, path: str) -> None:
        """Writes a notebook in one step."""
        super().write(buf, f"{path}~")
        os.replace(f"{path}~", path)


def execute(source: Path, target: Path, parameters: dict) -> str:
    """Executes a notebook of the repository into `target`, cell by cell; the error in one line, or nothing.

    Raises: ValueError for a notebook from elsewhere, and for a study whose name leads out of the outputs.
    """
    permitted.check_notebook(source, parameters.get("study"))
    papermill_engines.register("seglib", ClientEngine)
    papermill_io.register(str(target), WholeFiles())
    # sockets in a folder of this run alone: no ports that could clash or be listened to
    with tempfile.TemporaryDirectory(prefix="seglib-") as sockets:
        transport = {"transport": "ipc", "ip": f"{sockets}/ipc"}
        config = Config({
            "KernelManager": transport, "NotebookClient": {"extra_arguments": KERNEL, "shutdown_kernel": "immediate"},
        })  # fmt: skip
        try:
            executed = papermill.execute_notebook(
                permitted.literal(source), permitted.literal(target), parameters=parameters, cwd=paths.NOTEBOOKS,
                kernel_name="python3", progress_bar=False, engine_name="seglib", config=config,
            )  # fmt: skip
        except papermill.PapermillExecutionError as error:
            return one_line(f"{error.ename}: {error.evalue}".rstrip(": "))
        except DeadKernelError as error:
            return str(error)
    # papermill takes `exit()` in a cell for success: believe only cells that were counted
    unfinished = [c for c in executed.cells if c.cell_type == "code" and c.source and c.execution_count is None]
    return "a cell did not run to its end" if unfinished else ""


def main(source: Path, target: Path, parent: int) -> None:
    """Executes a notebook for a report, the process `parent`; where that was killed, says so in its place."""
    interruption.end_with(parent)
    interruption.unwind_on_signals()
    try:
        error = execute(source, target, json.load(sys.stdin))
        print(json.dumps(error), flush=True)
    finally:
        if os.getppid() != parent:
            runpy.run_module("seglib.failure", run_name="__main__")  # not imported: no page depends on it


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
