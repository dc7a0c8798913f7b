"""The index pages and the page that compares two models: what they say when all is well and when it is not.

Alone: pytest tests/test_index.py
"""

import html
import json
import re
from html.parser import HTMLParser
from urllib.parse import unquote

import numpy as np
import pytest
import stored
import torch

from seglib import (
    cli,
    data,
    digest,
    execute,
    headline,
    index,
    pairwise,
    params,
    paths,
    report,
    runs,
    scores,
    seal,
    stats,
    svg,
    thumbnails,
    versus,
)
from seglib.stats import Estimate

TINY = "dataset: lesions\nimage_size: 32\ntrain_images: 4\nval_images: 2\ntest_images: 2\nexamples: {}\n"
HOSTILE = '<img src=x onerror="alert(1)">'
META = {"device": "a CPU", "torch": "2.0", "commit": "abc", "seconds": 61.0}


class Elements(HTMLParser):
    """The elements of a page: (tag, attributes)."""

    def __init__(self, html):
        super().__init__()
        self.found = []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def links(self):
        return [unquote(a["href"]) for tag, a in self.found if tag == "a" and "href" in a]


def text_of(file):
    bare = re.sub(r"<[^>]+>", " ", re.sub(r"<style>.*?</style>", "", file.read_text(), flags=re.S))
    return words(html.unescape(bare))


def words(text):
    return " ".join(text.split())


def told(run):
    """A stored run with what its meta.json says of the machine."""
    seal.write(run.folder, {k: v for k, v in run.meta.items() if k not in ("files", "sha256")} | META)
    return runs.Run(run.folder)


def group(name, noise, **more):
    return [told(run) for run in stored.model(name, noise, **more)]


@pytest.fixture
def own_study(tmp_path, monkeypatch):
    """A folder of params/ of our own, with one notebook that trains nothing."""
    monkeypatch.setattr(paths, "PARAMS", tmp_path / "params")
    folder = tmp_path / "params" / "own"
    folder.mkdir(parents=True)
    (folder / "01_dataset_exploration.yaml").write_text(TINY.format(4))
    (folder / "about.yaml").write_text("title: Own & only\nquestion: What is asked?\n")
    return folder


@pytest.fixture
def executed(monkeypatch):
    """Stands for papermill: `error` is what each notebook ends with; `seen` the index as it then was."""

    class Executed:
        error, seen = "", []

        def __call__(self, notebook, target, values, events):
            self.seen.append(text_of(target.parent / "index.html"))
            if isinstance(self.error, BaseException):
                raise self.error
            empty = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
            target.write_text(json.dumps(empty))
            return execute.Outcome(self.error)

    stub = Executed()
    monkeypatch.setattr(execute, "start", stub)
    return stub


@pytest.fixture
def study(own_study, monkeypatch):
    """A study whose finished notebook recorded three models, one of which has learned nothing; its images are here."""
    masks = stored.discs()
    test = stored.dataset(masks)
    monkeypatch.setattr(data, "load", lambda config: test)
    groups = {"net, frozen": group("frozen", 0.4), f"net, {HOSTILE}": group("tuned", 0.2)}
    groups["noise"] = [told(stored.store("noise0", torch.zeros(len(masks), 1, 24, 24), test, lr=0.5))]
    found = params.Study("own", {"02_frozen_encoder": {}, "08_comparison": {}})
    runs.record("own", "02_frozen_encoder", {runs.MODELS: groups})
    folder = paths.report("own")
    for name in ("02_frozen_encoder", "08_comparison"):
        for kind in ("html", "ipynb", "pdf"):
            (folder / f"{name}.{kind}").write_text("")
    (folder / "tables" / "08_scores.csv").write_text("")
    pages = {
        name: index.Page(name, index.DONE, "", 65.0, "2026-01-01", f"{name}.html", f"{name}.ipynb")
        for name in found.notebooks
    }
    return found, pages


def test_a_whisker_lies_where_its_numbers_are():
    drawn = svg.whisker(Estimate(0.5, 0.25, 0.75), (0.0, 1.0))
    assert 'cx="84.0"' in drawn and 'x1="45.0" x2="123.0"' in drawn  # 6 + 156 · 0.5, and so on
    outside = svg.whisker(Estimate(0.0, 0.0, 0.0), (0.5, 1.0))
    assert "<circle" not in outside and 'd="M1 9.0L7' in outside
    assert svg.scale([Estimate(0.5, 0.4, 0.6)], include=[0.0], within=(0, 1)) == pytest.approx((0.0, 0.636))


def test_curves_start_at_epoch_one_and_break_at_what_is_not_finite():
    drawn = svg.curves([("a", [1, 2, 3, 4], [1.0, 0.5, float("nan"), 0.25])], "loss", "alt <text>", top=1.0)
    (path,) = re.findall(r'class="a" d="([^"]*)"', drawn)
    assert path.startswith("M44.0 10.0L") and path.count("M") == 2 and "alt &lt;text&gt;" in drawn


def test_an_outline_is_as_wide_as_it_says_and_the_edge_of_the_image_is_none():
    plane = np.zeros((9, 9), bool)
    plane[:, :6] = True
    line = thumbnails._outline(plane)
    assert line[4].tolist() == [False, False, False, False, True, True, False, False, False]


def test_the_sentences_name_the_best_the_contrast_and_what_has_not_learned(study):
    groups = runs.recorded("own")
    pairs = pairwise.table(groups)
    best, gain, short = headline.sentences(groups, pairs, "own", ["net, frozen", f"net, {HOSTILE}"])
    assert best.startswith(f"**net, {HOSTILE}** has the highest mean Dice, 0.") and "better than both others" in best
    assert gain.startswith(f"**net, frozen** is worse than **net, {HOSTILE}** by 0.")
    assert short == "Not learned, that is not shown to be above both floors: **noise**."
    other = headline.gain(groups, pairs, [f"net, {HOSTILE}", "net, frozen"])
    assert re.findall(r"95 % CI [^,]*", other) == re.findall(r"95 % CI [^,]*", gain) and "is better than" in other
    assert headline.gain(groups, pairs, ["net, frozen", "gone"]) == (
        "The study's contrast is not here: no runs of **gone**."
    )


def test_a_pair_turned_round_says_the_same():
    gap = Estimate(0.1, 0.05, 0.2)
    row = pairwise.pd.Series({
        "model": "a", "baseline": "b", "difference": gap, "d_z": 1.5, "wins": 0.7, "ties": 0.1, "seeds": 1,
        "baseline_seeds": 3, "verdict": pairwise.BETTER,
    })  # fmt: skip
    turned = headline.turned(row)
    assert (turned["model"], turned["difference"], turned["seeds"]) == ("b", Estimate(-0.1, -0.2, -0.05), 3)
    assert turned["wins"] == pytest.approx(0.2) and turned["verdict"] == pairwise.WORSE


def test_the_index_of_a_finished_study_shows_all_and_every_link_leads_somewhere(study):
    file = index.write(*study)
    text = text_of(file)
    for expected in (
        "Own & only",
        "What is asked?",
        "mean training mask",
        "a CPU, torch 2.0",
        "a note",
        "1:05",
        "7:07",
    ):
        assert expected in text, expected  # 7 runs of 61 s
    links = Elements(file.read_text()).links()
    assert {"08_comparison.pdf", "tables/08_scores.csv", "tables/leaderboard.csv"} <= set(links)
    assert sum(link.startswith("compare/") for link in links) == 3
    for page in [file, file.parent.parent / "index.html", *file.parent.glob("compare/*.html")]:
        for link in Elements(page.read_text()).links():
            target, _, place = link.partition("#")
            assert (page.parent / target).is_file() if target else f'id="{place}"' in page.read_text(), link
        assert page.stat().st_size < 3e6


def test_models_are_ranked_with_floors_among_them(study):
    text = text_of(index.write(*study))
    board = text[text.index("Leaderboard") : text.index("These numbers")]
    places = [board.rindex(f"{name} 0.") for name in ("net, frozen", "mean training mask", "all background")]
    assert board.index("onerror") < places[0] < places[1] < places[2]


def test_names_full_of_html_stay_text(study, own_study):
    (own_study / "about.yaml").write_text(f"title: '{HOSTILE}'\nquestion: '{HOSTILE}'\n")
    file = index.write(*study)
    for page in [file, file.parent.parent / "index.html", *file.parent.glob("compare/*.html")]:
        assert "onerror" in page.read_text() or "compare" in page.parts  # one of those is of the other two models
        for tag, attributes in Elements(page.read_text()).found:
            assert tag != "script" and "onerror" not in attributes
            assert tag != "img" or (attributes["src"].startswith("data:image/png") and attributes["alt"])


def test_what_is_not_comparable_is_not_ranked_and_the_page_says_so(study):
    other = group("other", 0.2, masks=stored.discs(count=30))
    runs.record("own", "08_comparison", {runs.MODELS: {"elsewhere": other}})
    text = text_of(index.write(*study))
    assert "elsewhere" not in text[: text.index("These numbers")] and "models on lesions binary 128 px (1 row)" in text


def test_runs_of_notebooks_that_are_not_done_do_not_count(study):
    found, pages = study
    pages["02_frozen_encoder"].status = index.STALE
    assert "Leaderboard" not in text_of(index.write(found, pages))


def test_a_study_without_training_and_its_notebook_while_it_runs(own_study, executed):
    text = text_of(report.make(params.read("own")))
    assert "… running" in executed.seen[0] and "not finished when this page was written" in executed.seen[0]
    assert "✓ done" in text and "Leaderboard" not in text and "01 Dataset exploration" in text
    assert "What is in the images that the models will see" in text


def test_beside_a_failed_notebook_its_last_finished_page_is_called_stale(own_study, executed):
    report.make(params.read("own"))
    (own_study / "01_dataset_exploration.yaml").write_text(TINY.format(3))
    executed.error = f"ValueError: {HOSTILE}"
    with pytest.raises(RuntimeError, match="01_dataset_exploration failed: ValueError"):
        report.make(params.read("own"))
    file = paths.report("own") / "index.html"
    text = text_of(file)
    assert "✕ failed ValueError: <img" in text and "✓" not in text
    assert "old page stale : made before a change: examples: 4 → 3" in text
    links = Elements(file.read_text()).links()
    assert "01_dataset_exploration.failed.html" in links and "01_dataset_exploration.ipynb" not in links
    executed.error = ""
    report.make(params.read("own"))
    assert "stale" not in text_of(file) and "failed" not in text_of(file)


def test_a_stopped_report_says_where(own_study, executed):
    (own_study / "08_comparison.yaml").write_text("examples: 1\n")
    executed.error = SystemExit(143)
    with pytest.raises(SystemExit):
        report.make(params.read("own"))
    text = text_of(paths.report("own") / "index.html")
    assert "✕ failed stopped by SIGTERM (before its first cell)" in text
    assert "– not run the report was stopped before it" in text


def test_a_page_by_older_code_is_stale_and_says_why(own_study, executed, monkeypatch):
    report.make(params.read("own"))
    monkeypatch.setattr(digest, "of_module", lambda name: "other")
    executed.error = SystemExit(143)
    with pytest.raises(SystemExit):
        report.make(params.read("own"))
    text = text_of(paths.report("own") / "index.html")
    assert "✕ failed stopped by SIGTERM" in text and re.search(
        r"stale : made before a change: seglib\.\w+ changed; ", text
    )


def test_a_study_that_cannot_run_any_more_says_so_on_the_index_that_is_there(own_study, executed):
    small = f"{TINY.format(1)}weights: none\nmodel: six_class_net\noverfit_epochs: 0\n"
    small += "encoder: fine_tune\nrates: []\ntoggles: {{}}\ncontrol_seeds: []\ndevice: {}\n"
    (own_study / "06_hyperparameters.yaml").write_text(small.format("cpu"))
    report.make(params.read("own"))
    (own_study / "06_hyperparameters.yaml").write_text(small.format("mps"))
    with pytest.raises(ValueError, match="06_hyperparameters: "):
        report.make(params.read("own"))
    text = text_of(paths.report("own") / "index.html")
    assert "✕ failed 06_hyperparameters: device: mps" in text and "✓" not in text
    assert "↻ stale not known to be up to date; not looked at: 06_hyperparameters cannot be run" in text
    (own_study / "06_hyperparameters.yaml").write_text(small.format("cpu"))
    report.make(params.read("own"))
    assert text_of(paths.report("own") / "index.html").count("✓ done") == 3  # two notebooks, and the report


def test_all_studies_are_listed_with_what_they_found_and_those_not_run_with_their_command(study, own_study, executed):
    index.write(*study)
    other = own_study.parent / "other"
    other.mkdir()
    (other / "01_dataset_exploration.yaml").write_text(TINY.format(4))
    older = paths.outputs() / "demo"
    older.mkdir()
    for name in ("index.html", "01_dataset_exploration.ipynb"):
        (older / name).write_text("")
    report.make(params.read("own", "examples=2"))
    text = text_of(paths.outputs() / "index.html")
    best = scores.estimate(runs.recorded("own")[f"net, {HOSTILE}"], "Dice")
    assert words(f"net, {HOSTILE} : Dice {best} on 40 test images of lesions") in text
    assert "overridden : examples = 2" in text and "made by an older version" in text
    assert "Not run yet other make report STUDY=other" in text


def test_what_differs_is_told_with_the_comment_of_config_py():
    base = {"seeds": (0, 1), "masks": stored.discs(count=20)}
    a, b = group("a", 0.2, lr=0.1, **base), group("b", 0.2, lr=0.2, start_from={"lr": 0.1}, **base)
    assert [(c["field"], c["a"], c["b"]) for c in versus.changes(a, b)] == [
        ("start_from", '""', '{"lr": 0.1}'), ("lr", "0.1", "0.2"),
    ]  # fmt: skip
    assert [c["what"] for c in versus.changes(a, b)] == [
        "another run whose best weights training starts from: its key, or what differs in its config "
        "({encoder: frozen})",
        "learning rate",
    ]
    assert all(versus.explanations().values())
    c = group("c", 0.2, lr=0.1, seeds=(0,), masks=stored.discs(count=20))
    assert [(d["field"], d["a"], d["b"]) for d in versus.changes(a, c)] == [("seed", "0, 1", "0")]


def test_the_page_of_two_runs_has_the_same_numbers_as_the_scores_and_is_not_made_twice(study, monkeypatch):
    groups = runs.recorded("own")
    a, b = groups["net, frozen"][0], groups["noise"][0]
    file = versus.of_keys(a.key, b.key)
    assert file == paths.outputs() / "compare" / f"{a.key}-{b.key}.html"
    text = text_of(file)
    gap = scores.compare([b], [a], "Dice").difference
    assert words(f"Dice {scores.estimate([a], 'Dice')} 0.000 {gap}") in text and "lr 0.001 0.5 learning rate" in text
    assert file.read_text().count("data:image/png") == 9  # three images in favour of one; none of the other
    monkeypatch.setattr(versus, "differences", lambda groups: pytest.fail("made again"))
    assert versus.of_keys(a.key, b.key) == file
    file.write_text(file.read_text().replace("0.000", "0.001", 1))  # a digit flipped
    with pytest.raises(pytest.fail.Exception, match="made again"):
        versus.of_keys(a.key, b.key)


def test_losses_of_runs_with_different_losses_are_not_compared(study):
    a = group("a", 0.2, seeds=(0,))
    b = group("b", 0.2, seeds=(0,), loss_options={"smooth": 1.0})
    assert "test loss" not in [row["score"] for row in versus.differences({"a": a, "b": b})]
    assert any("do not compare" in chart["title"] for chart in versus.curves({"a": a, "b": b}))


def test_p_values_of_a_page_are_corrected_over_its_scores():
    a, b = group("a", 0.5, seeds=(0,)), group("b", 0.4, seeds=(0,))
    rows = versus.differences({"a": a, "b": b})
    raw = [scores.compare(b, a, row["score"].removesuffix(" (px)")).p for row in rows]
    told = [stats.p_text(p).removeprefix("= ") for p in stats.holm(raw)]
    assert [row["p"] for row in rows] == told and len(rows) == 8


def test_images_that_are_not_here_are_said_to_be_missing(study, monkeypatch):
    def gone(config):
        raise FileNotFoundError("get them")

    monkeypatch.setattr(data, "load", gone)
    file = index.write(*study)
    assert "No pictures: get them" in text_of(file) and "<img" not in file.read_text()
    assert all("The images are not here: get them" in text_of(page) for page in file.parent.glob("compare/*.html"))


def test_wrong_keys_are_a_clear_error(study, capsys):
    group("other", 0.2, masks=stored.discs(count=30))
    for keys, message in {
        ("frozen0", "frozen9"): "unknown run 'frozen9'; did you mean 'frozen",
        ("frozen0", "frozen0"): "frozen0 is named twice",
        ("frozen0", "other0"): "only runs on the same test images can be compared",
    }.items():
        assert cli.main(["compare", *keys]) == 1
        assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("titel: a\nquestion: b\n", "about.yaml: unknown key 'titel'; did you mean 'title'"),
        ("title: a\n", "about.yaml lacks question"),
        ("question: 3\n", "about.yaml: question is 3"),
        ("question: a\ncontrast: [a]\n", r"contrast is \['a'\], expected two rows"),
        ("question: a\ncontrast: [a, a]\n", "expected two rows"),
    ],
)
def test_a_wrong_about_yaml_names_the_file_and_the_mistake(own_study, text, message):
    (own_study / "about.yaml").write_text(text)
    with pytest.raises(ValueError, match=message):
        params.read("own")


@pytest.mark.parametrize("name", params.studies())
def test_every_study_of_the_repository_says_what_it_asks_and_its_contrast_is_among_its_rows(name):
    from seglib import rows

    about = params.about(name)
    assert about["question"].endswith((".", "?")) and about["title"] != name
    assert set(about["contrast"]) <= set(rows.labels(name))


# The contrast of each text with the first opaque background under it, by WCAG 2's formula; large text is not excepted.
CONTRAST = """
(() => {
  const numbers = c => c.match(/[\\d.]+/g).map(Number);
  const light = c => { const [r, g, b] = numbers(c).slice(0, 3).map(v => v / 255)
    .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b; };
  const under = e => { while (e) { const c = getComputedStyle(e).backgroundColor;
    if ((numbers(c)[3] ?? 1) > 0) return c; e = e.parentElement; } return 'rgb(255, 255, 255)'; };
  const found = [];
  for (const e of document.body.querySelectorAll('*')) {
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())) continue;
    const style = getComputedStyle(e);
    const [a, b] = [light(e.closest('svg') ? style.fill : style.color), light(under(e))];
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < 4.5) found.push([e.tagName, e.className, e.textContent.trim().slice(0, 30), ratio]);
  }
  return found;
})()
"""


def test_the_pages_in_a_browser(study, browser):
    found, pages = study
    pages["08_comparison"] = index.Page(
        "08_comparison", index.FAILED, HOSTILE, 65.0, "", "08_comparison.html", "08_comparison.ipynb", "o.html", "code"
    )
    file = index.write(found, pages)
    for page in [file, file.parent.parent / "index.html", next(file.parent.glob("compare/*.html"))]:
        for width in (360, 800, 1400):
            for dark in (False, True):
                opened = browser.open(page.as_uri(), width=width, dark=dark, scripts=dark)
                assert not opened.errors and not opened.requests and opened.overflow() <= 0, (page, width)
                assert not (dark is True and opened.evaluate(CONTRAST)), (page, opened.evaluate(CONTRAST))
        assert not browser.open(page.as_uri()).evaluate(CONTRAST)
    opened = browser.open(file.as_uri())
    opened.click("details summary")
    assert opened.evaluate("document.querySelector('details').open") is True
    assert opened.evaluate("document.documentElement.lang") == "en"
    assert opened.evaluate("document.querySelectorAll('h1').length") == 1
