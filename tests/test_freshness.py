"""What is done again and what is not, when comments, charts, losses, parameters, data or libraries change.

Alone: pytest tests/test_freshness.py
"""

import json
import os
import shutil
import subprocess
import sys
from importlib import metadata

import pytest
from PIL import Image

import seglib
from seglib import (
    atomic,
    check,
    digest,
    experiment,
    failure,
    freshness,
    index,
    params,
    paths,
    reach,
    report,
    rows,
    runs,
    stamp,
    why,
)

TINY = "dataset: lesions\nimage_size: 32\ntrain_images: 4\nval_images: 2\ntest_images: 2\nexamples: 4\n"
SUMS = (
    "dataset: lesions\ntask: binary\nimage_size: 32\ntrain_images: 4\nval_images: 2\ntest_images: 2\nmodel: unet\n"
    "model_options: {{width: 0.0625}}\nlosses: [bce]\nterms: [mse, dice]\ncoefficients: [20, {}]\nrates: []\n"
)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Edits a module of a copy of seglib, which digests then read; what runs is the original."""
    copy = shutil.copytree(paths.ROOT / "seglib", tmp_path / "seglib", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(seglib.__spec__, "submodule_search_locations", [str(copy)])

    def edit(name, old, new):
        file = copy / name
        text = file.read_text()
        assert old in text, f"{name} has no {old!r}"
        file.write_text(text.replace(old, new, 1))

    return edit


@pytest.fixture
def own_study(tmp_path, monkeypatch):
    """A folder of params/ beside the repository's notebooks."""
    monkeypatch.setattr(paths, "PARAMS", tmp_path / "params")
    (tmp_path / "params" / "own").mkdir(parents=True)
    return tmp_path / "params" / "own"


@pytest.fixture
def executed(monkeypatch):
    """Stands for papermill: the notebooks that were executed, in turn."""
    seen = []

    def start(notebook, target, values, events):
        seen.append(notebook)
        target.write_text(json.dumps({"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
        return report.execute.Outcome()

    monkeypatch.setattr(report.execute, "start", start)
    return seen


def rows_of_smoke():
    """Notebook → label → config, of the smoke study."""
    return {notebook: rows.of(values) for notebook, values in params.read("smoke").notebooks.items()}


def keys(found):
    """(Notebook, label) → run key."""
    return {
        (notebook, label): runs.key_of(experiment.inputs(experiment.resolve(row)))
        for notebook, group in found.items()
        for label, row in group.items()
    }


def stamps(study):
    """Notebook → stamp, of what needs no data: as if the check had found the modules alone."""
    found = {
        notebook: check.Found(modules=sorted({module for row in group.values() for module in check._modules(row)}))
        for notebook, group in {name: rows.of(values) for name, values in study.notebooks.items()}.items()
    }
    return {notebook: stamp.of(study, notebook, found) for notebook in study.notebooks}


def changed(before, now):
    return {notebook: stamp.differences(before[notebook], now[notebook]) for notebook in now}


def test_comments_docstrings_and_layout_change_nothing(package):
    study = params.read("smoke")
    before = stamps(study), keys(rows_of_smoke())
    package("train.py", "import torch\n", "import torch  # a comment\n")
    package("losses/dice.py", '"""', '"""Reworded. ')
    package("plots/curves.py", '    """', '    """Reworded. ')
    package("words.py", "\n\n\ndef ", "\n\n\n\n\ndef ")
    assert (stamps(study), keys(rows_of_smoke())) == before


def test_an_edit_of_a_chart_concerns_the_notebooks_that_draw_it_and_no_run(package):
    study = params.read("smoke")
    before, trained = stamps(study), keys(rows_of_smoke())
    package("plots/trials.py", "def trials(", "SIZE = 3\n\n\ndef trials(")
    found = changed(before, stamps(study))
    assert {notebook for notebook, lines in found.items() if lines} == {"06_hyperparameters"}
    assert found["06_hyperparameters"] == ["seglib.plots.trials changed"]
    assert keys(rows_of_smoke()) == trained


def test_an_edit_of_a_loss_concerns_exactly_the_runs_that_use_it(package):
    before = keys(rows_of_smoke())
    package("losses/dice.py", "def dice(", "EDITED = 1\n\n\ndef dice(")
    now = keys(rows_of_smoke())
    assert {key for key in now if now[key] != before[key]} == {key for key in now if "dice" in key[1].lower()}
    assert len({key for key in now if now[key] != before[key]}) == 5


def test_one_coefficient_in_one_yaml_trains_one_run(own_study):
    (own_study / "05_loss_coefficients.yaml").write_text(SUMS.format(60))
    (own_study / "01_dataset_exploration.yaml").write_text(TINY)
    before = {n: rows.of(v) for n, v in params.read("own").notebooks.items()}
    (own_study / "05_loss_coefficients.yaml").write_text(SUMS.format(70))
    now = {n: rows.of(v) for n, v in params.read("own").notebooks.items()}
    new = set(keys(now).values()) - set(keys(before).values())
    assert len(new) == 1 and new == {keys(now)["05_loss_coefficients", "mse + 70 dice"]}


def photographs(folder, count=10):
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    for i in range(count):
        Image.new("RGB", (40, 40), (20 * i, 10, 10)).save(folder / "images" / f"{i:02d}.bmp")
        mask = Image.new("L", (40, 40), 0)
        mask.paste(1, (5 + i, 5, 30, 30))
        mask.save(folder / "masks" / f"{i:02d}.png")
    (folder / "classes.yaml").write_text("names: [background, thing]\n")


@pytest.fixture
def on_photographs(own_study):
    """A study on files, checked once, and the folder that they lie in."""
    photographs(paths.data() / "mine")
    text = "dataset: folder\ndata_folder: mine\ntask: binary\nimage_size: 32\ntrain_images: 0\nval_images: 0\n"
    (own_study / "01_dataset_exploration.yaml").write_text(f"{text}test_images: 0\nexamples: 2\n")
    study = params.read("own")
    return study, paths.data() / "mine", check.study(study)


def test_while_no_file_was_touched_the_check_is_remembered(on_photographs):
    study, _, found = on_photographs
    assert check.remembered(study) == found and found["01_dataset_exploration"].data["folder"]


def test_a_touched_file_is_read_again_and_changes_nothing(on_photographs):
    study, folder, found = on_photographs
    os.utime(folder / "images" / "03.bmp", (1, 1))
    assert check.remembered(study) == {}
    assert check.study(study) == found
    assert check.remembered(study) == found


def test_a_report_on_files_executes_again_for_other_bytes_and_not_for_other_times(on_photographs, executed):
    study, folder, _ = on_photographs
    report.make(study)
    os.utime(folder / "images" / "03.bmp", (1, 1))
    report.make(study)
    assert len(executed) == 1
    Image.new("RGB", (40, 40)).save(folder / "images" / "03.bmp")
    report.make(study)
    assert len(executed) == 2


def test_other_bytes_of_the_same_size_under_the_old_time_are_noticed(on_photographs):
    study, folder, found = on_photographs
    file = folder / "images" / "03.bmp"
    content, status = file.read_bytes(), file.stat()
    Image.new("RGB", (40, 40), (20 * 3, 10, 11)).save(file)
    assert file.read_bytes() != content and file.stat().st_size == len(content)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert file.stat().st_ino == status.st_ino and file.stat().st_mtime_ns == status.st_mtime_ns
    assert check.remembered(study) == {}
    now = check.study(study)
    lines = stamp.differences(*(stamp.of(study, "01_dataset_exploration", each) for each in (found, now)))
    assert lines == ["the data of folder changed"]


def test_a_checkpoint_of_sam_that_came_since_is_noticed_and_nothing_else_of_its_folder_counts(own_study, tmp_path):
    folder = tmp_path / "tiny"
    folder.mkdir()
    for name in ("config.json", "preprocessor_config.json", "model.safetensors"):
        (folder / name).write_text("{}")
    (own_study / "07_sam_comparison.yaml").write_text(f"checkpoints: [{folder}]\n")
    study = params.read("own")
    first = check.study(study)
    assert check.remembered(study) == first and first["07_sam_comparison"].weights.keys() == {str(folder)}
    (folder / "notes.txt").write_text("x")
    assert check.remembered(study) == {} and check.study(study) == first
    (folder / "model.safetensors").write_text("[]")
    assert check.remembered(study) == {} and check.study(study) != first


@pytest.mark.parametrize("name", ["images/99.txt", "images/.hidden", "notes.md"])
def test_a_file_more_is_looked_at_and_counts_only_if_it_is_an_image(on_photographs, name):
    study, folder, found = on_photographs
    (folder / name).write_text("x")
    assert check.remembered(study) == {} and check.study(study) == found


def test_a_file_gone_is_an_error_and_nothing_remembered_hides_it(on_photographs):
    study, folder, _ = on_photographs
    (folder / "masks" / "03.png").unlink()
    with pytest.raises(ValueError, match=r"(?s)01_dataset_exploration: .*03.bmp has no mask"):
        freshness.look(study)


def test_the_key_of_a_run_knows_no_paths_and_no_times(on_photographs, tmp_path, monkeypatch):
    values = on_photographs[0].notebooks["01_dataset_exploration"] | {"model": "unet", "threads": 1, "device": "cpu"}
    config = experiment.resolve(params.to_config(values))
    before = experiment.inputs(config)
    shutil.copytree(paths.data(), tmp_path / "elsewhere", copy_function=shutil.copyfile)
    monkeypatch.setenv("SEGLIB_DATA", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("SEGLIB_CACHE", str(tmp_path / "another cache"))
    assert experiment.inputs(config) == before


def test_another_version_of_a_library_is_told_with_both_numbers(own_study, monkeypatch):
    (own_study / "01_dataset_exploration.yaml").write_text(TINY)
    study, real = params.read("own"), metadata.version
    before = stamps(study)
    monkeypatch.setattr(metadata, "version", lambda name: "0.1" if name == "pandas" else real(name))
    assert changed(before, stamps(study))["01_dataset_exploration"] == [f'pandas: "{real("pandas")}" → "0.1"']


def test_of_a_notebook_its_cells_count_and_not_their_outputs_and_ids(own_study, tmp_path, monkeypatch):
    (own_study / "01_dataset_exploration.yaml").write_text(TINY)
    monkeypatch.setattr(paths, "NOTEBOOKS", shutil.copytree(paths.NOTEBOOKS, tmp_path / "notebooks"))
    file, study = paths.NOTEBOOKS / "01_dataset_exploration.ipynb", params.read("own")

    def edited(change):
        content = json.loads(file.read_text())
        change(next(cell for cell in content["cells"] if "caption" in cell["metadata"]))
        file.write_text(json.dumps(content))
        return changed(before, stamps(study))["01_dataset_exploration"]

    before = stamps(study)
    assert edited(lambda cell: cell.update(id="other", outputs=[{"output_type": "stream"}], execution_count=3)) == []
    assert edited(lambda cell: cell["metadata"].update(caption="Reworded.")) == ["the notebook changed"]
    before = stamps(study)
    assert edited(lambda cell: cell.update(source=["1 + 1"])) == ["the notebook changed"]


def test_reach_follows_names_through_packages_and_not_what_a_registry_names():
    def reached(text):
        return {name.removeprefix("seglib.") for name in reach.modules(text)}

    charts = reached("from seglib import plots\nplots.curves(1)\n")
    assert "plots.curves" in charts and not {"plots", "plots.trials", "plots.verdicts"} & charts
    assert {"plots.trials", "plots.verdicts"} <= reached("from seglib import plots\nshow(plots)\n")
    loaded = reached("from seglib import data\ndata.load(1)\n")
    assert {"data", "data.store", "data.core"} <= loaded and not {"data.isic2016", "data.lesions"} & loaded
    assert "models.munet" not in reached("from seglib.models import build_model\n")
    assert "models.munet" in reached("from seglib.models import MODELS\n")
    assert {"explore", "explore.samples"} <= reached("from seglib import explore\nexplore.predictions(1, 2)\n")
    names = reach.names("from seglib import words as w\nw.of_claims(1)\n")
    assert ("seglib.params", "reported") in names and ("seglib.runs", "families") not in names


def test_what_notebooks_read_of_each_other_and_of_the_reports_is_known():
    study = params.read("smoke")
    read = {notebook: stamp.reads(study, notebook) for notebook in study.notebooks}
    earlier = [name for name in study.notebooks if name != "08_comparison"]
    assert {name for name in read if read[name]} == {"03_fine_tuning", "08_comparison"}
    assert read["08_comparison"] == earlier
    told = {name for name, found in stamps(study).items() if found["study"]}
    assert told == {"08_comparison"}


def test_a_second_report_executes_and_writes_nothing_and_force_executes(own_study, executed):
    (own_study / "01_dataset_exploration.yaml").write_text(TINY)
    index = report.make(params.read("own"))
    before = {file: file.stat().st_mtime_ns for file in paths.outputs().glob("[!.]*/**/*") if file.is_file()}
    assert report.make(params.read("own")) == index and executed == ["01_dataset_exploration"]
    assert {file: file.stat().st_mtime_ns for file in paths.outputs().glob("[!.]*/**/*") if file.is_file()} == before
    report.make(params.read("own"), force=True)
    assert executed == ["01_dataset_exploration"] * 2


def hurt(file):
    """Has one byte in the middle of a file say something else."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


DAMAGED = {  # what a rendering writes: name → its files
    "a page": "own/01_dataset_exploration.html", "a paper": "own/01_dataset_exploration.pdf", "the book": "own/own.pdf",
    "what it says of itself": "own/report.json", "all studies": "index.html", "the note itself": "own/rendered.json",
}  # fmt: skip


@pytest.mark.parametrize("part", ["template", "renderer", "index", "page", "note", *DAMAGED])
def test_pages_that_are_not_as_they_would_be_are_rendered_anew_and_nothing_is_executed(
    own_study, executed, package, monkeypatch, part
):
    (own_study / "01_dataset_exploration.yaml").write_text(TINY)
    index = report.make(params.read("own"))
    whole = index.read_text()
    {
        "template": lambda: monkeypatch.setattr(freshness.digest, "of_file", lambda file: str(file)),
        "renderer": lambda: package("render/page.py", "import", "EDITED = 1\nimport"),
        "index": lambda: index.write_text("running"),
        "page": lambda: index.with_name("01_dataset_exploration.html").unlink(),
        "note": lambda: index.with_name(freshness.RENDERED).write_text("{"),
        **{name: lambda file=file: hurt(paths.outputs() / file) for name, file in DAMAGED.items()},
    }[part]()
    assert freshness.rendering_changes(params.read("own"))
    report.make(params.read("own"))
    assert executed == ["01_dataset_exploration"] and not freshness.rendering_changes(params.read("own"))
    assert index.with_name("01_dataset_exploration.html").is_file() and len(index.read_text()) == len(whole)
    assert [state["status"] for state in freshness.index._states()] == ["done"]


def test_what_is_not_a_notebook_any_more_is_executed_again(own_study, executed):
    (own_study / "01_dataset_exploration.yaml").write_text(TINY)
    file = report.make(params.read("own")).with_name("01_dataset_exploration.ipynb")
    file.write_bytes(file.read_bytes()[:-30])
    report.make(params.read("own"))
    assert len(executed) == 2


def test_a_notebook_or_table_of_which_a_digit_flipped_is_made_again(own_study, executed):
    (own_study / "01_dataset_exploration.yaml").write_text(TINY)
    file = report.make(params.read("own")).with_name("01_dataset_exploration.ipynb")
    file.write_text(file.read_text().replace('"nbformat_minor": 5', '"nbformat_minor": 4'))
    assert freshness.look(params.read("own")).changes(file.stem) == [
        "it is not as it was written, or was executed by an older version"
    ]
    report.make(params.read("own"))
    table = file.parent / "tables" / "01_sizes.csv"
    table.parent.mkdir(exist_ok=True)
    table.write_text("1")
    assert freshness.look(params.read("own")).changes(file.stem) == ["not as it wrote them: 01_sizes.csv"]
    report.make(params.read("own"))
    hurt(table)
    report.make(params.read("own"))
    report.make(params.read("own"))
    assert len(executed) == 4


def test_a_damaged_record_is_no_error_but_has_its_notebook_executed_again(own_study, executed):
    (own_study / "02_frozen_encoder.yaml").write_text("dataset: lesions\nweights: none\n")
    study = params.read("own")
    runs.record("own", "02_frozen_encoder", {"models": {}})
    hurt(runs._record_file("own", "02_frozen_encoder"))
    with pytest.raises(ValueError, match="is damaged"):
        runs.families("own")
    assert stamp.recorded(study, "02_frozen_encoder") == ""


def test_a_flipped_byte_in_what_a_report_says_of_itself_stops_no_other_report(own_study, executed):
    (own_study / "01_dataset_exploration.yaml").write_text(TINY)
    file = report.make(params.read("own")).with_name("report.json")
    content, state = file.read_bytes(), json.loads(file.read_text())
    for place in range(len(content)):
        for bit in (1, 16):
            file.write_bytes(content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :])
            assert index.running() == [], place
            assert index.known("own").get("01_dataset_exploration", index.Page("")).status in ("done", "not run")
    file.write_bytes(content)
    assert index.known("own")["01_dataset_exploration"].finished == state["pages"][0]["finished"]


def test_a_report_killed_while_it_wrote_its_papers_says_that_and_calls_no_finished_notebook_failed(
    own_study, executed, monkeypatch
):
    (own_study / "01_dataset_exploration.yaml").write_text(TINY)
    seen = []

    def killed(*arguments):
        seen.append((index._state("own"), (paths.report("own") / "index.html").read_text()))
        raise Killed

    class Killed(BaseException):
        pass

    monkeypatch.setattr(report.render, "write_report", killed)
    monkeypatch.setattr(report.Report, "_release", lambda self: None)
    with pytest.raises(Killed):
        report.make(params.read("own"))
    state, text = seen[0]
    assert state["status"] == "running" and "its pages and PDFs are being written by process" in text
    atomic.write(paths.report("own") / "report.json", json.dumps(state))  # as a kill would have left it
    failure.put_right()
    state, text = index._state("own"), (paths.report("own") / "index.html").read_text()
    assert state["status"] == "failed" and "the report was killed while it wrote its pages and PDFs" in text
    assert index.known("own")["01_dataset_exploration"].status == "done"
    assert not list(paths.report("own").glob("*.failed.*")) and not index.running()


def test_why_tells_old_and_new_values_and_what_would_be_trained(own_study, executed):
    (own_study / "01_dataset_exploration.yaml").write_text(TINY)
    assert "  it was not executed yet" in list(why.lines(params.read("own")))
    report.make(params.read("own"))
    assert "\n01_dataset_exploration: unchanged" in list(why.lines(params.read("own")))
    (own_study / "01_dataset_exploration.yaml").write_text(TINY + "rotation: 5.0\n")
    assert "  rotation: 15.0 → 5.0" in list(why.lines(params.read("own")))


def test_why_names_the_stored_run_that_is_nearest_to_one_to_be_trained():
    import stored

    run = stored.model("net", 0.2, lr=0.1, seeds=(0,))[0]
    inputs = {"format": 2, "data": "d", "weights": "none", "start_from": "", "code": "c", "torch": "2"}
    before = {**inputs, "config": {"dataset": "lesions", "lr": 0.1, "epochs": 3}}
    (run.folder / "config.json").write_text(json.dumps(before))
    now = {**inputs, "code": "other", "config": {"dataset": "lesions", "lr": 0.2, "epochs": 3}}
    assert why._nearest(now, list(why._stored())).endswith(f"stored is {run.key}: lr: 0.1 → 0.2; the code changed")
    assert why._nearest({**now, "config": {"dataset": "shapes"}}, list(why._stored())) == ""


def test_digests_need_no_torch_and_are_the_same_whatever_python_leaves_empty():
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from seglib import digest\n"
        "print(digest.of_code(['seglib.train', 'seglib.data.lesions', 'seglib.models.unet']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=paths.ROOT)
    assert done.stdout.strip() == digest.of_code(["seglib.train", "seglib.data.lesions", "seglib.models.unet"]), (
        done.stderr
    )
    import ast

    plain = digest._plain(ast.parse("def f(a, *, b=None): ...\nx: int\nclass C: y = f(1, b=None)"))
    assert "null" not in json.dumps(plain) and "[]" not in json.dumps(plain)


def test_clean_removes_reports_and_no_run(tmp_path):
    for name in ("demo/index.html", "demo@1/x.ipynb", "runs/k/meta.json", "runs/.locks/k", "index.html", "README.md"):
        (tmp_path / "outputs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "outputs" / name).write_text("")
    subprocess.run(["make", "-f", paths.ROOT / "Makefile", "clean"], cwd=tmp_path, check=True, capture_output=True)
    left = {str(f.relative_to(tmp_path / "outputs")) for f in (tmp_path / "outputs").rglob("*") if f.is_file()}
    assert left == {"runs/k/meta.json", "runs/.locks/k", "README.md"}
