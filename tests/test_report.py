"""The whole chain on the smoke study: notebooks, pages, index; a second time; and what is wrong before it runs.

Alone: pytest tests/test_report.py
"""

import json
import os
import re
import subprocess
import sys

import nbformat
import pytest

from seglib import check, cli, index, interruption, params, paths, report

TINY_DATA = "dataset: lesions\nimage_size: 32\ntrain_images: 4\nval_images: 2\ntest_images: 2\nexamples: 4\n"
NOTEBOOKS = [
    "01_dataset_exploration",
    "02_frozen_encoder",
    "03_fine_tuning",
    "04_architecture_comparison",
    "05_loss_coefficients",
    "06_hyperparameters",
    "08_comparison",
]


def seglib(*arguments, outputs, **environment):
    """Runs the command as a user would, in a process of its own."""
    variables = os.environ | {"SEGLIB_OUTPUTS": str(outputs), **environment}
    command = [sys.executable, "-m", "seglib.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=variables, cwd=paths.ROOT)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    outputs = tmp_path_factory.mktemp("outputs")
    done = seglib("report", "smoke", outputs=outputs, SEGLIB_CACHE=str(outputs / "cache"))
    assert done.returncode == 0, done.stderr
    return outputs, done


@pytest.fixture
def own_study(tmp_path, monkeypatch):
    """A folder of params/ beside the repository's notebooks, read by this process."""
    monkeypatch.setattr(paths, "PARAMS", tmp_path / "params")
    (tmp_path / "params" / "own").mkdir(parents=True)
    return tmp_path / "params" / "own"


def pages(folder):
    return {f.name: f.read_text() for f in folder.glob("*.html")}


def test_every_notebook_and_the_index_are_there_and_the_terminal_says_so(made):
    outputs, done = made
    assert set(pages(outputs / "smoke")) == {"index.html", *(f"{n}.html" for n in NOTEBOOKS)}
    for number, notebook in enumerate(NOTEBOOKS, start=1):
        assert re.search(rf"\[{number}/{len(NOTEBOOKS)}\] {notebook} +done in \d:\d\d", done.stderr)
    assert done.stdout.strip().endswith("smoke/index.html")


def test_pages_load_nothing_from_anywhere_and_hold_tables_and_figures(made):
    outputs, _ = made
    for name, html in pages(outputs / "smoke").items():
        assert not re.search(r"<script [^>]*src|(src|href)=[\"']?(https?:)?//|@import|url\((?!#|%23)", html), name
        if name != "index.html":
            assert "data:image/" in html and "<table" in html
    text = re.sub(r"base64,[^\"]*", "", pages(outputs / "smoke")["08_comparison.html"])  # a picture may spell it
    assert "NaN" not in text


def test_every_notebook_and_the_study_have_a_paper(made):
    assert {f.stem for f in (made[0] / "smoke").glob("*.pdf")} == {"smoke", *NOTEBOOKS}
    assert 'href="08_comparison.pdf"' in (made[0] / "smoke" / "08_comparison.html").read_text()


def test_every_table_of_a_page_lies_beside_it_as_numbers(made):
    import pandas as pd

    folder = made[0] / "smoke" / "tables"
    for part in ("scores", "pairs", "variance", "conventions", "boundaries", "calibration", "failures"):
        assert len(pd.read_csv(folder / f"08_{part}.csv")) >= 4, part
    saved = pd.read_csv(folder / "08_scores.csv", index_col="model")
    assert {"Dice", "Dice_low", "Dice_high"} <= set(saved.columns) and saved["Dice"]["all background"] == 0


def test_the_index_holds_scores_floors_status_and_what_the_data_are(made):
    html = pages(made[0] / "smoke")["index.html"]
    for text in (
        "random encoder frozen",
        "mean training mask",
        "all background",
        "Generated images",
        *NOTEBOOKS,
    ):
        assert text in html
    assert html.count('class="status done"') == len(NOTEBOOKS) + 1  # and the report's own


def test_saved_notebooks_hold_the_parameters_and_no_progress_lines(made):
    for notebook in NOTEBOOKS:
        saved = nbformat.read(made[0] / "smoke" / f"{notebook}.ipynb", as_version=4)
        text = json.dumps(saved.cells)
        assert "injected-parameters" in text and "epoch 1/2" not in text
        assert all(c.execution_count for c in saved.cells if c.cell_type == "code")


WITHOUT_TORCH = """
import sys
class Refused:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "torchvision", "numpy", "pandas", "matplotlib", "nbconvert", "papermill"):
            raise AssertionError(f"{name} is imported to know that nothing is to be done")
sys.meta_path.insert(0, Refused())
from seglib import cli
sys.exit(cli.main(sys.argv[1:]))
"""


def test_a_second_report_executes_trains_and_writes_nothing_and_does_without_torch(made):
    outputs, _ = made
    before = {f: f.stat().st_mtime_ns for f in outputs.glob("[!.]*/**/*") if f.is_file()}
    variables = os.environ | {"SEGLIB_OUTPUTS": str(outputs), "SEGLIB_CACHE": str(outputs / "cache")}
    report, why = (
        subprocess.run(
            [sys.executable, "-c", WITHOUT_TORCH, command, "smoke"], capture_output=True, text=True, env=variables,
            cwd=paths.ROOT,
        )
        for command in ("report", "why")
    )  # fmt: skip
    assert report.returncode == 0 and report.stderr.count("unchanged") == len(NOTEBOOKS), report.stderr
    assert why.stdout.startswith("study smoke: 0 of 7 notebooks would be executed"), why.stdout + why.stderr
    assert why.stdout.count(": unchanged") == len(NOTEBOOKS) + 1 and why.stdout.count("in the store") > 15
    assert {f: f.stat().st_mtime_ns for f in outputs.glob("[!.]*/**/*") if f.is_file()} == before


def test_a_plan_asks_for_exactly_the_runs_that_the_report_trained(made, monkeypatch):
    from seglib import asked

    monkeypatch.setenv("SEGLIB_OUTPUTS", str(made[0]))
    found = asked.distinct(asked.of_study(params.read("smoke")))
    assert all(one.settled for one in found.values())
    assert found.keys() == {folder.name for folder in (made[0] / "runs").glob("[!.]*")}


def test_a_page_whose_runs_left_the_store_does_not_count_as_done(made, monkeypatch):
    from seglib import runs

    monkeypatch.setenv("SEGLIB_OUTPUTS", str(made[0]))
    keys = [key for group in runs.recorded("smoke").values() for key in (run.key for run in group)]
    assert len(keys) == len(set(keys)) >= 4 and runs.are_recorded("smoke", "02_frozen_encoder")
    (runs.folder(keys[0]) / "meta.json").rename(runs.folder(keys[0]) / "meta.json.away")
    shown_by = [runs.are_recorded("smoke", notebook) for notebook in NOTEBOOKS[1:4]]
    assert shown_by == [False, False, True]  # notebook 03 shows notebook 02's run beside its own
    (runs.folder(keys[0]) / "meta.json.away").rename(runs.folder(keys[0]) / "meta.json")


@pytest.mark.parametrize("made", [False, True])
def test_of_all_studies_one_whose_data_were_never_here_is_no_failure_and_one_that_lost_them_is(
    own_study, monkeypatch, capsys, made
):
    (own_study / "01_dataset_exploration.yaml").write_text(TINY_DATA)
    if made:
        index.write(params.read("own"), {"01_dataset_exploration": index.Page("01_dataset_exploration")}, whole=False)

    def make(study, force):
        raise FileNotFoundError("no images")

    monkeypatch.setattr(report, "make", make)
    monkeypatch.setattr(interruption, "unwind_on_signals", lambda: None)
    assert cli.main(["report", "all"]) == made and "not made: own: no images" in capsys.readouterr().err


def test_an_overridden_report_goes_to_its_own_folder_and_says_what_was_overridden(own_study):
    (own_study / "01_dataset_exploration.yaml").write_text(TINY_DATA)
    index = report.make(params.read("own", "train_images=5 examples=2"))
    assert re.fullmatch(r"own@[0-9a-f]{8}", index.parent.name) and not paths.report("own").exists()
    html = index.read_text()
    assert "Overridden" in html and "train_images = 5" in html and "examples = 2" in html


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch: 2\n", "02_frozen_encoder.yaml: unknown parameter 'epoch'; did you mean 'epochs'"),
        ("dataset: isic2016\n", "02_frozen_encoder: ISIC 2016 not found in"),
        ("dataset: lesion\n", "02_frozen_encoder: unknown dataset 'lesion'; did you mean 'lesions'"),
        (
            "model: mobilenet_decoder\n",
            "unknown model 'mobilenet_decoder'; did you mean 'mobilenetv2_decoder'",
        ),
        ("image_size: 50\nweights: none\n", "use image_size=64"),
    ],
)
def test_wrong_input_is_answered_before_anything_runs(own_study, text, message):
    (own_study / "02_frozen_encoder.yaml").write_text(text)
    errors = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("builtins.print", lambda *a, **k: errors.append(a[0]))
        assert cli.main(["report", "own"]) == 1
    assert any(message in e for e in errors), errors
    assert not paths.report("own").exists() and not paths.runs().exists()


def test_an_architecture_that_cannot_work_is_found_before_the_notebooks_before_it_run(own_study):
    (own_study / "01_dataset_exploration.yaml").write_text(TINY_DATA)
    (own_study / "04_architecture_comparison.yaml").write_text(
        "image_size: 32\nweights: none\narchitectures: [unet, munett]\n"
    )
    with pytest.raises(ValueError, match="04_architecture_comparison: unknown model 'munett'; did you mean 'munet'"):
        report.make(params.read("own"))
    assert not paths.report("own").exists()


def test_a_mistake_of_any_kind_is_told_with_its_notebook(own_study, monkeypatch):
    from seglib import data

    (own_study / "01_dataset_exploration.yaml").write_text(TINY_DATA)
    monkeypatch.setattr(data, "load", lambda config: b"\xff".decode())
    with pytest.raises(ValueError, match="01_dataset_exploration: 'utf-8' codec can't decode"):
        check.study(params.read("own"))


def test_only_what_a_notebook_has_is_checked(own_study):
    (own_study / "01_dataset_exploration.yaml").write_text("dataset: shapes\ntask: multiclass\nimage_size: 36\n")
    (own_study / "04_architecture_comparison.yaml").write_text(
        "image_size: 40\nweights: none\narchitectures: [munet]\noptions: {munet: {width: 0.125, depth: 8}}\n"
    )
    assert check.study(params.read("own")).keys() == {"01_dataset_exploration", "04_architecture_comparison"}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("02_frozen_encoder.yml", "", "is neither <notebook>.yaml nor reported.yaml"),
        ("reported.yaml", "dataset: x\nfigures: [{lable: a}]\n", "unknown key 'lable'; did you mean 'label'"),
        ("reported.yaml", "dataset: x\nfigures: [{label: a}]\n", "lacks score, source, value"),
        ("02_frozen_encoder.yaml", "seeds: [0, 0]\n", "expected different numbers"),
        ("02_frozen_encoder.yaml", "examples: 0\n", "examples is 0, expected at least 1"),
    ],
)
def test_every_file_of_a_study_is_checked(own_study, name, text, message):
    (own_study / "01_dataset_exploration.yaml").write_text(TINY_DATA)
    (own_study / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        params.read("own")
