"""JupyterLab as `make lab` opens it: its start page, notebook 01 run by a person. Alone: pytest tests/test_lab.py"""

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import urllib.request

import nbformat
import pytest

from seglib import params, paths, rows

START = paths.NOTEBOOKS / "README.md"
NAMES = sorted(file.name for file in paths.NOTEBOOKS.glob("*.ipynb"))
SMALL = {"image_size": 32, "train_images": 8, "val_images": 4, "test_images": 6, "examples": 4}
SECONDS = 120  # to wait for anything of JupyterLab
VIEW = "application/vnd.jupyter.widget-view+json"


def command(root, *more):
    """What `make lab` runs in a folder, with this Python's JupyterLab."""
    make = ["make", "-s", "-n", "-o", ".venv/.ready", "-f", str(paths.ROOT / "Makefile"), "-C", str(root), "lab", *more]
    recipe = subprocess.run(make, capture_output=True, text=True, check=True).stdout
    assert ".venv/bin/jupyter lab" in recipe
    return recipe.strip().replace(".venv/bin/jupyter lab", f"{shlex.quote(sys.executable)} -m jupyterlab")


def test_the_start_page_leads_through_the_notebooks_in_their_order():
    text = START.read_text()
    listed = re.findall(r"^\| \[(\d\d) [^]]+\]\(([\w.]+)\) \| [^|]+\? \| (\w+) \|$", text, re.M)
    assert [name for _, name, _ in listed] == NAMES and all(name.startswith(number) for number, name, _ in listed)
    for _, name, trained in listed:
        defaults = {k: value for k, (value, _) in params.parameters_cell(name.removesuffix(".ipynb")).items()}
        assert trained == str(len(rows.of(defaults)) or "none"), name
    assert all((paths.NOTEBOOKS / link).exists() for link in re.findall(r"\]\(([^)#:]+)\)", text))


def test_the_way_to_a_study_of_ones_own_is_the_readmes():
    (block,) = re.findall(r"```sh\n(.*?)```", START.read_text(), re.S)
    assert block in (paths.ROOT / "README.md").read_text()


def test_make_lab_keeps_the_token_and_takes_another_port(tmp_path):
    plain, moved = (set(re.findall(r" --(\S+?)[=\s]", f"{command(tmp_path, *more)} ")) for more in ((), ("PORT=9123",)))
    assert plain - {"allow-root"} == {"ServerApp.root_dir", "LabApp.default_url"}  # no token, no address: the defaults
    assert moved - plain == {"ServerApp.port"} and ("allow-root" in plain) == (os.geteuid() == 0)


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """JupyterLab as `make lab` starts it, on a copy of notebook 01 and the start page; (address, token)."""
    root = tmp_path / "a workbook"
    shutil.copytree(paths.ROOT / ".jupyter", root / ".jupyter")
    (root / "notebooks").mkdir()
    shutil.copy(START, root / "notebooks")
    notebook = nbformat.read(paths.NOTEBOOKS / "01_dataset_exploration.ipynb", as_version=4)
    small = nbformat.v4.new_code_cell("\n".join(f"{name} = {value}" for name, value in SMALL.items()))
    notebook.cells.insert(2, small)
    nbformat.write(notebook, root / "notebooks" / "01_dataset_exploration.ipynb")
    for kind in ("CONFIG", "RUNTIME", "DATA"):
        monkeypatch.setenv(f"JUPYTER_{kind}_DIR", str(tmp_path / kind))
    monkeypatch.setenv("JUPYTERLAB_WORKSPACES_DIR", str(tmp_path / "workspaces"))
    monkeypatch.setenv("JUPYTERLAB_SETTINGS_DIR", str(tmp_path / "settings"))
    monkeypatch.setenv("PYTHONPATH", str(paths.ROOT))
    flags = "--no-browser --LabApp.expose_app_in_browser=True"
    with open(tmp_path / "log", "w") as log:
        streams = {"stdout": log, "stderr": log, "start_new_session": True}
        process = subprocess.Popen(["sh", "-c", f"{command(root, 'PORT=0')} {flags}"], cwd=root, **streams)
    try:
        yield told(tmp_path, process)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(SECONDS)


def told(folder, process):
    """What the server tells of itself once it answers: its address and token among others."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        for file in (folder / "RUNTIME").glob("jpserver-*.json"):
            with contextlib.suppress(OSError, ValueError):  # not whole yet, or not listening yet
                server = json.loads(file.read_text())
                urllib.request.urlopen(f"{server['url']}api?token={server['token']}", timeout=5).close()
                return server
        time.sleep(0.2)
    raise TimeoutError((folder / "log").read_text())


CELLS = "jupyterapp.shell.currentWidget.content.model.sharedModel.toJSON().cells"
CODE = f"{CELLS}.filter(cell => cell.cell_type == 'code')"
PICTURE = ".jp-OutputArea-output img.widget-image"
SLIDERS = "[...document.querySelectorAll('.jp-OutputArea-output .widget-slider')]"
SENTENCES = "[...document.querySelectorAll('.jp-OutputArea-output [role=status]')]"


@pytest.mark.long
def test_a_person_opens_the_start_page_runs_notebook_01_and_moves_a_slider(lab, browser):
    assert lab["hostname"] in ("localhost", "127.0.0.1") and len(lab["token"]) > 20
    page = browser.open(f"{lab['url']}?token={lab['token']}", width=1400, height=1000)
    page.wait_for("document.querySelector('.jp-MarkdownViewer h1')?.textContent.startsWith('Start here')", SECONDS)
    links = page.evaluate("[...document.querySelectorAll('.jp-MarkdownViewer table a')].map(a => a.textContent)")
    assert len(links) == len(NAMES)
    page.click(".jp-MarkdownViewer table a")
    page.wait_for("window.jupyterapp?.shell.currentWidget?.content?.model?.sharedModel?.cells?.length > 10", SECONDS)
    page.wait_for("jupyterapp.shell.currentWidget.sessionContext.session?.kernel?.status == 'idle'", SECONDS)
    page.evaluate("void jupyterapp.commands.execute('notebook:run-all-cells')")
    page.wait_for(f"{CODE}.every(cell => cell.execution_count)", SECONDS)
    page.wait_for("jupyterapp.shell.currentWidget.sessionContext.session.kernel.status == 'idle'", SECONDS)
    outputs = page.evaluate(f"{CODE}.flatMap(cell => cell.outputs)")
    assert not [o for o in outputs if o["output_type"] == "error"]
    (shown,) = [o for o in outputs if VIEW in o.get("data", {})]
    assert "image/png" in shown["data"]
    place = f"{CELLS}.findIndex(cell => cell.outputs?.some(o => o.data?.['{VIEW}']))"
    page.evaluate(f"jupyterapp.shell.currentWidget.content.scrollToItem({place}, 'start')")
    page.wait_for(f"document.querySelector('{PICTURE}')?.naturalWidth > 300", SECONDS)
    beside = f"document.querySelector('{PICTURE}').closest('.jp-OutputArea').querySelectorAll('img').length"
    assert page.evaluate(beside) == 1, "the widget is shown and the PNG of its output too"
    before = page.evaluate(f"document.querySelector('{PICTURE}').src")
    page.evaluate(f"{SLIDERS}.find(slider => slider.innerText.includes('image')).querySelector('.noUi-handle').focus()")
    page.press("ArrowRight")
    page.wait_for(f"document.querySelector('{PICTURE}').src != {json.dumps(before)}", SECONDS)
    page.wait_for(f"{SENTENCES}.some(e => e.textContent.startsWith('2 of 18. train: lesion_'))", SECONDS)
    assert not page.errors
    assert not [r for r in page.requests if not r.removeprefix("blob:").startswith((lab["url"], own_socket(lab)))]


def own_socket(lab):
    return lab["url"].replace("http", "ws", 1)
