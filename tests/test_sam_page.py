"""Notebook 07 from a checkpoint's folder to its page, and without any. Alone: pytest tests/test_sam_page.py"""

import json
import shutil

import executed
import nbformat
import pandas as pd
import pytest
import tiny_sam

from seglib import data, experiment, params, paths, runs
from seglib.config import Config
from seglib.render.page import PageExporter
from seglib.sam import comparison, network, outputs, prompts

SMALL = Config(
    dataset="shapes", task="planes", image_size=32, train_images=8, val_images=4, test_images=20, epochs=1,
    batch_size=4, model="unet", model_options={"width": 0.0625}, device="cpu", threads=1,
)  # fmt: skip
OTHER = {"model_options": {"width": 0.03125}}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder of outputs with a study of two models, each trained for an epoch."""
    outputs_folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEGLIB_OUTPUTS", str(outputs_folder))
        groups = experiment.run_rows({"ours": SMALL, "narrow": SMALL.with_(**OTHER)}, [0])
        runs.record("own", "04_architecture_comparison", {runs.MODELS: groups})
    return outputs_folder


@pytest.fixture
def study(trained, tmp_path, monkeypatch):
    """The same study in folders of this test; no checkpoint of the user's is seen."""
    shutil.copytree(trained, paths.outputs())
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("SEGLIB_CACHE", str(tmp_path / "cache"))
    return {name: value for name, (value, _) in params.parameters_cell("07_sam_comparison").items()} | {
        "study": "own", "images": 20, "points": 2, "jitters": [0.0, 0.2], "device": "cpu",
    }  # fmt: skip


@pytest.fixture
def tiny(tmp_path):
    pytest.importorskip("transformers")
    return [str(make(tmp_path / f"tiny-{make.__name__}")) for make in (tiny_sam.sam, tiny_sam.sam2)]


def page_of(values):
    """The notebook's cells run here, one after another, and its page."""
    import ast

    from matplotlib import pyplot as plt

    notebook = nbformat.read(paths.NOTEBOOKS / "07_sam_comparison.ipynb", as_version=4)
    cells, names = [], {}
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cells.append(cell)
            continue
        tags = cell.metadata.get("tags", [])
        tree = ast.parse(cell.source)
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, cell.id, "exec"), names)
        names |= values if "parameters" in tags else {}
        shown = eval(compile(ast.Expression(last.value), cell.id, "eval"), names) if last else None
        shown = shown[0] if isinstance(shown, list) and shown else shown
        cells.append(executed.cell(cell.source, *_output(shown), caption=cell.metadata.get("caption", ""), tags=tags))
        plt.close("all")
    html, _ = PageExporter().from_notebook_node(nbformat.v4.new_notebook(cells=cells))
    return html


def _output(shown):
    if hasattr(shown, "to_html"):
        yield nbformat.v4.new_output("execute_result", {"text/html": shown.to_html()}, execution_count=1)
    elif hasattr(shown, "savefig"):
        from seglib.plots import style

        yield nbformat.v4.new_output("display_data", {"image/svg+xml": style.as_svg(shown)})
    elif hasattr(shown, "data"):
        yield executed.tells(shown.data)


def table(name):
    return pd.read_csv(paths.report("own") / "tables" / f"07_{name}.csv", index_col=0)


def test_without_checkpoints_the_page_says_so_and_invents_nothing(study):
    html = page_of(study)
    assert "Segment Anything: not run." in html and "seglib weights sam-vit-base" in html
    assert "the images of 32 × 32 pixels that our models see" in html and "intervals are too narrow" in html
    assert "not answered" in html and html.count("<svg") + html.count("data:image/svg") >= 5
    rows = list(table("scores").index)
    assert sorted(rows[:2]) == ["narrow", "ours"]
    assert rows[2:] == ["filled box, box around the truth (oracle)", "filled box, box around ours"]
    assert table("scores")["recall"].iloc[2] == 1  # the true box holds all of the object
    assert set(table("observations")["answer"]) == {"not run"} and table("observations")["SAM"].isna().all()
    assert set(table("checkpoints")["state"]) == {"not run: not here"} and len(table("checkpoints")) == 4
    assert len(table("costs")) == 2 and (table("costs")["seconds per image"] > 0).all()


def test_with_checkpoints_every_row_names_its_source_and_nothing_is_asked_twice(study, tiny, monkeypatch):
    html = page_of(study | {"checkpoints": [*tiny, "sam-vit-base"]})
    sources = [prompts.named(source) for source in prompts.SOURCES]
    rows = list(table("scores").index)
    assert rows[2:4] == [f"{name}, {sources[0]}" for name in ("tiny-sam", "tiny-sam2")]
    assert len(rows) == 2 + 2 * len(sources) + 2 and all(row.endswith(tuple(sources)) for row in rows[2:])
    assert sum("(oracle)" in row for row in rows) == 2 * 3 + 1
    assert "Segment Anything was run here: <strong>tiny-sam</strong>" in html and "not run: not here" in html
    assert list(table("observations").index.unique()) == ["recall", "boundary IoU", "precision"]
    assert len(table("observations")) == 3 * 2 * 4 and table("observations")["p_holm"].notna().all()
    assert set(table("observations")["answer"]) <= {"held", "contradicted", "not shown"}
    pairs = table("pairs").reset_index()
    beside_box = pairs[pairs["model"].str.startswith("tiny") & pairs["baseline"].str.startswith("filled")]
    assert len(pairs) == 2 + 2 * 4 + len(beside_box) and len(beside_box) == 2 * 2
    sources_of = beside_box[["model", "baseline"]].map(lambda label: label.partition(", ")[2])
    assert (sources_of["model"] == sources_of["baseline"]).all()  # no pair is of two sources
    assert len(runs.finished()) == 2  # SAM's answers are no runs

    asked = []
    encode = network.Sam.encode
    monkeypatch.setattr(network.Sam, "encode", lambda self, image: asked.append(1) or encode(self, image))
    comparison.asked(comparison.prepare(study | {"checkpoints": tiny}))
    assert not asked
    comparison.asked(comparison.prepare(study | {"checkpoints": tiny[:1], "jitters": [0.0, 0.1]}))
    assert len(asked) == 20  # each image once, for the one question that is new


def test_what_was_kept_is_asked_again_only_if_it_is_damaged_or_other(study, tiny):
    values = study | {"checkpoints": tiny[:1], "images": 3}
    found = comparison.asked(comparison.prepare(values))["tiny-sam"]
    keys = {question: run.key for question, run in found.items()}
    ours = next(question for question in keys if question.source == prompts.OUR_BOX)
    file = outputs.place(keys[ours]) / "images.csv"
    content = file.read_bytes()
    file.write_bytes(content.replace(b"shapes", b"Shapes"))
    assert not outputs.is_whole(keys[ours])
    again = comparison.asked(comparison.prepare(values))["tiny-sam"]
    assert {question: run.key for question, run in again.items()} == keys and file.read_bytes() == content
    config = json.loads((outputs.place(keys[ours]) / "config.json").read_text())
    assert config["run"] and config["question"]["source"] == "box around ours"
    others = comparison.asked(comparison.prepare(values | {"images": 4}))["tiny-sam"]
    assert not {run.key for run in others.values()} & set(keys.values())


def test_our_models_are_ranked_by_validation_and_scored_on_the_chosen_images_alone(study):
    compared = comparison.prepare(study | {"images": 5, "models": 1})
    validation = {label: group[0].history["val_iou"].iloc[0] for label, group in runs.recorded("own").items()}
    assert list(compared.groups) == [max(validation, key=validation.get)] == [compared.ranking.index[0]]
    (run,), whole = compared.groups[compared.best], runs.recorded("own")[compared.best][0]
    names = list(compared.dataset.test.names)
    assert len(names) == 5 and list(run.images["image"].unique()) == names
    places = [data.load(SMALL).test.names.index(name) for name in names]
    assert (run.predictions() == whole.predictions()[places]).all()
    assert run.images.equals(whole.images[whole.images["image"].isin(names)].reset_index(drop=True))
