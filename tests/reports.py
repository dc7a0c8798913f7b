"""Reports of a tiny study of our own notebooks, made by the command as a process of its own."""

import os
import signal
import subprocess
import sys
import time

import nbformat
import psutil
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from seglib import paths

STUDY = 'study: str = "lab"  # whose list of runs\n'
DATA = "".join(f"{name}: int = {n}  # tiny\n" for name, n in {
    "image_size": 32, "train_images": 2, "val_images": 2, "test_images": 2,
}.items())  # fmt: skip
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
HERE = "import os, pathlib, time\nhere = pathlib.Path(os.environ['SEGLIB_OUTPUTS']).parent\n"
# a cell that says which process its kernel is, and runs until there is a file `go`, or three minutes
WAITS = f"""{HERE}(here / 'pid').write_text(str(os.getpid()))
for _ in range(3600):
    time.sleep(0 if (here / 'go').exists() else 0.05)
assert (here / 'go').exists()"""


class Reports:
    """A folder with a study `own`, and its outputs. Args: cells — notebook → sources of its cells; of one whose name
    ends in `_all`, which has no data of its own, too."""

    def __init__(self, folder, **cells):
        self.folder, self.outputs = folder, folder / "outputs"
        self.report = self.outputs / "own"
        (folder / "params" / "own").mkdir(parents=True)
        (folder / "notebooks").mkdir()
        for name, sources in cells.items():
            self.write(name, sources)
        code = f"from pathlib import Path\nfrom seglib import paths\nfolder = Path({str(folder)!r})\n"
        code += "paths.NOTEBOOKS, paths.PARAMS = folder / 'notebooks', folder / 'params'\n"
        (folder / "sitecustomize.py").write_text(code)  # of every process, kernels included
        path = os.pathsep.join([str(folder), str(paths.ROOT)])
        self.variables = os.environ | {"SEGLIB_OUTPUTS": str(self.outputs), "PYTHONPATH": path}

    def write(self, name, sources):
        source = STUDY if name.endswith("_all") else STUDY + 'dataset: str = "lesions"  # made\n' + DATA
        cells = [new_markdown_cell(f"# Notebook {name}\n\nWhat is it?"), new_markdown_cell("## 1. Work")]
        cells.insert(1, new_code_cell(source, metadata={"tags": ["parameters"]}))
        cells += [new_code_cell(text) for text in sources]
        metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
        nbformat.write(new_notebook(cells=cells, metadata=metadata), self.folder / "notebooks" / f"{name}.ipynb")
        (self.folder / "params" / "own" / f"{name}.yaml").write_text("# the notebook's defaults\n")

    def start(self, *command, **options):
        """Starts the report, or another command, in a process group of its own."""
        command = command or (sys.executable, "-m", "seglib.cli", "report", "own")
        return subprocess.Popen(
            command, env=self.variables, cwd=paths.ROOT, text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a job in the background ignores it
        )  # fmt: skip

    def make(self):
        """Makes the report; (exit status, what it told)."""
        process = self.start()
        _, errors = process.communicate(timeout=300)
        return process.returncode, errors

    def kernel(self):
        """The process of a cell that `WAITS`, once it runs."""
        wait_until(lambda: (self.folder / "pid").is_file() and (self.folder / "pid").read_text(), 120)
        return int((self.folder / "pid").read_text())

    def left(self):
        """The processes of these reports that are still there."""
        return [p for p in psutil.process_iter() if _outputs(p) == str(self.outputs)]

    def files(self, kind):
        return {file.name for file in self.report.glob(f"[!.]*.{kind}")}

    def hidden(self):
        return [file.name for file in self.report.glob(".*")]


def _outputs(process):
    try:
        return process.environ().get("SEGLIB_OUTPUTS") if process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.Error:
        return None


def wait_until(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found
