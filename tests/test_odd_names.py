"""Files, folders, classes and studies with odd names, from a data set to a page.

Alone: pytest tests/test_odd_names.py
"""

import unicodedata

import numpy as np
import pytest
from PIL import Image

from seglib import data, experiment, params, paths, report, runs, scores, tables
from seglib.config import Config

NAMES = [
    "it's \"quoted\"", "two  blanks", " blank first", "line\nbreak", "tab\tin it", "carriage\rreturn", "both\r\nends",
    "caf\u00e9", "cafe\u0301", "תמונה", "\u202eturned round", "<img src=x onerror=alert(1)>", "&amp; & ]]>", "$x_1^2$",
    "*bold* _it_ `code`", "{braces} %s {0}", "a,b;c|d", "007", "nan", "NA", "=1+1", "-dash", "#hash", "back\\slash",
    "🙂", "x" * 200, "[link](javascript:alert(1))",
]  # fmt: skip
CLASSES = ["background", '<b onclick="x">it\'s</b>', "$n\\acute{e}$, _o_ | *p*\nq & né\u0301"]
FOLDER = 'my "own" <i>data</i> é\u0301'
MARKS = ("<img src=x", "<b onclick", "<i>data")


def write_images(root, names=NAMES):
    generator = np.random.default_rng(0)
    for kind in ("images", "masks"):
        (root / kind).mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.fromarray(generator.integers(0, 256, (32, 32, 3)).astype(np.uint8)).save(root / "images" / f"{name}.png")
        mask = np.zeros((32, 32), np.uint8)
        mask[4:20, 4:20], mask[20:30, 8:28] = 1, 2
        Image.fromarray(mask).save(root / "masks" / f"{name}.png")


@pytest.fixture
def odd():
    root = paths.data() / FOLDER
    write_images(root)
    listed = "".join(f"  - {quoted(name)}\n" for name in CLASSES)
    (root / "classes.yaml").write_text(f"names:\n{listed}note: {quoted(NAMES[11])}\n", encoding="utf-8")
    return {"dataset": "folder", "data_folder": FOLDER, "task": "multiclass", "image_size": 32}


def quoted(text):
    """A text as YAML writes it in one line, for which JSON will do."""
    import json

    return json.dumps(text)


def test_odd_names_come_through_the_store_as_they_are(odd):
    options = {"model": "unet", "model_options": {"width": 0.0625}, "loss": "cross_entropy", "threads": 1}
    run = experiment.run(Config(**odd, **options, epochs=1, device="cpu", batch_size=8))
    dataset = data.load(run.config)
    assert sorted(name for split in dataset.splits().values() for name in split.names) == sorted(NAMES)
    found = runs.find(run.key)
    assert list(found.images["image"].unique()) == list(dataset.test.names)
    assert list(found.images["class"].unique()) == CLASSES == list(found.meta["class_names"])
    assert found.config.data_folder == FOLDER and list(found.thresholds["class"].unique()) == CLASSES
    assert list(scores.per_image(found)["image"]) == list(dataset.test.names)
    runs.record("own", "02_frozen_encoder", {runs.MODELS: {NAMES[11]: [found]}})
    assert list(runs.recorded("own")) == [NAMES[11]]
    html = tables.show(tables.comparison(runs.recorded("own")), "own", "02_scores").to_html()
    assert not [mark for mark in MARKS if mark in html] and "&lt;img src=x" in html


def test_a_file_name_that_is_no_text_is_named_before_anything_is_trained(odd):
    for kind in ("images", "masks"):
        file = paths.data() / FOLDER / kind / "007.png"
        file.rename(file.with_name(b"bad \xff.png".decode(errors="surrogateescape")))
    with pytest.raises(ValueError, match=r"bad .*xff.*png.* is not UTF-8"):
        data.open_source(Config(**odd))


def test_names_that_look_alike_and_are_not_are_told_apart_or_paired(tmp_path):
    """macOS writes é as two characters, most others as one."""
    root = paths.data() / "mac"
    write_images(root, ["é1", "é2", "é3", "é4", "é5"])
    for mask in list((root / "masks").iterdir()):
        mask.rename(mask.with_name(unicodedata.normalize("NFD", mask.name)))
    (root / "classes.yaml").write_text("names: [a, b, c]\n")
    dataset = data.load(Config(dataset="folder", data_folder="mac", task="multiclass", image_size=32))
    assert sum(len(split) for split in dataset.splits().values()) == 5


@pytest.mark.long
def test_odd_names_are_text_on_every_page_of_a_report(odd, tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "PARAMS", tmp_path / "params {with} braces")
    folder = paths.PARAMS / "étude 1"
    folder.mkdir(parents=True)
    common = "".join(f"{name}: {quoted(value)}\n" for name, value in odd.items())
    common += "train_images: 0\nval_images: 0\ntest_images: 0\n"
    (folder / "01_dataset_exploration.yaml").write_text(common)
    model = (
        "model: unet\nmodel_options: {width: 0.0625}\nweights: none\nloss: cross_entropy\nepochs: 1\nseeds: [0, 1]\n"
    )
    (folder / "02_frozen_encoder.yaml").write_text(common + model + "encoder: fine_tune\n")
    (folder / "08_comparison.yaml").write_text("")
    (folder / "about.yaml").write_text(f"title: {quoted(NAMES[11])}\nquestion: {quoted(CLASSES[2])}\n")
    monkeypatch.setenv("SEGLIB_OUTPUTS", str(tmp_path / "outputs {study} 'é'"))
    report.make(params.read("étude 1"))
    pages = {f.name: f.read_text(encoding="utf-8") for f in paths.report("étude 1").glob("*.html")}
    assert {"index.html", "01_dataset_exploration.html", "02_frozen_encoder.html", "08_comparison.html"} <= set(pages)
    for name, page in pages.items():
        assert not [mark for mark in MARKS if mark in page] and "Warning" not in page, name
    assert "&lt;img src=x" in pages["index.html"]
