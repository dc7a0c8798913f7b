"""Flips, tiles, true masks and the command's help. Alone: pytest tests/test_predict_ways.py"""

import itertools
import re
import shlex

import numpy as np
import pixelwise
import pytest
import torch
from PIL import Image
from test_predict import TINY, mask, picture, rows

from seglib import experiment
from seglib.cli import _parser, main
from seglib.cli.examples import EXAMPLES
from seglib.config import Config
from seglib.data.core import IGNORE_INDEX
from seglib.predict import predict
from seglib.prediction import tiles, truth
from seglib.prediction.predictor import Way


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    return folder


def noise(width, height, cells=9):
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
    return coarse.resize((width, height), Image.Resampling.BICUBIC)


def bytes_of(folder):
    return {
        p.relative_to(folder): p.read_bytes() for k in ("masks", "probabilities") for p in (folder / k).rglob("*.png")
    }


@pytest.mark.parametrize("flips", ["horizontal", "vertical", "both"])
def test_flips_of_a_model_that_flips_with_its_image_change_nothing(flips, photos, tmp_path):
    noise(70, 50).save(photos / "a.png")
    for name, options in {"plain": {}, "flipped": {"flips": flips}}.items():
        predict(pixelwise.store(), photos, tmp_path / name, probabilities=True, **options)
    assert bytes_of(tmp_path / "plain") == bytes_of(tmp_path / "flipped")


def test_flips_are_the_mean_of_probabilities(photos, tmp_path):
    noise(32, 32).save(photos / "a.png")
    run = pixelwise.store(model="Leftish")
    predict(run, photos, tmp_path / "out", flips="horizontal", probabilities=True)
    line = torch.linspace(2, -1, 32).sigmoid()
    found = mask(tmp_path / "out", "a.png.png", "probabilities") / 65535
    assert np.allclose(found, ((line + line.flip(0)) / 2).expand(32, 32), atol=1e-5)


@pytest.mark.parametrize(("length", "tile", "overlap"), [
    (100, 32, 0.25), (33, 32, 0.0), (32, 32, 0.5), (10, 32, 0.25), (1001, 64, 0.9), (640, 64, 0.0), (65, 64, 0.5),
])  # fmt: skip
def test_tiles_cover_a_side_with_their_overlap_and_weights_that_add_up_to_one(length, tile, overlap):
    starts, weights = tiles.starts(length, tile, overlap), tiles.weights(length, tile, overlap)
    side = min(tile, length)
    total = torch.zeros(length)
    for start, weight in zip(starts, weights, strict=True):
        total[start : start + side] += weight
    assert starts[0] == 0 and starts[-1] == length - side and torch.allclose(total, torch.ones(length), atol=1e-6)
    assert all(b - a <= side * (1 - overlap) + 1 for a, b in itertools.pairwise(starts))
    assert weights.min() >= 0 and (overlap == 0 or length <= tile or weights.max() <= 1)


def test_one_tile_is_the_plain_prediction(photos, tmp_path):
    noise(390, 270).save(photos / "a.jpg", quality=95)  # a JPEG so large that plain reads it reduced
    run = pixelwise.store()
    predict(run, photos, tmp_path / "plain", probabilities=True)
    predict(run, photos, tmp_path / "tiled", probabilities=True, tile=390)
    assert bytes_of(tmp_path / "plain") == bytes_of(tmp_path / "tiled")
    predict(run, photos, tmp_path / "small", probabilities=True, tile=100)
    assert bytes_of(tmp_path / "plain") != bytes_of(tmp_path / "small")


@pytest.mark.parametrize(("tile", "overlap"), [(32, 0.25), (32, 0.0), (48, 0.6)])
def test_a_constant_model_has_no_seams(tile, overlap, photos, tmp_path):
    noise(150, 101).save(photos / "a.png")
    predict(pixelwise.store(model="Constant"), photos, tmp_path / "out", probabilities=True, tile=tile, overlap=overlap)
    probs = mask(tmp_path / "out", "a.png.png", "probabilities").astype(int)
    assert np.ptp(probs) <= 1 and abs(probs[0, 0] / 65535 - torch.tensor(0.3).sigmoid()) < 1e-4
    assert (mask(tmp_path / "out", "a.png.png") == 255).all()


@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.7])
def test_tiles_of_the_models_own_size_put_each_pixel_in_its_place(overlap, photos, tmp_path):
    image = noise(117, 83)
    image.save(photos / "a.png")
    run = pixelwise.store(task="planes", classes=("r", "g", "b"))
    predict(run, photos, tmp_path / "out", probabilities=True, tile=32, overlap=overlap)
    expected = (20 * (torch.from_numpy(np.array(image)).double() / 255 - 0.5)).sigmoid().numpy()
    for i, name in enumerate("rgb"):
        found = mask(tmp_path / "out", f"{name}/a.png.png", "probabilities") / 65535
        assert np.abs(found - expected[..., i]).max() < 1e-4


def test_a_tile_or_overlap_that_cannot_be_is_refused():
    for wrong in ({"tile": 8}, {"tile": -1}, {"tile": 64, "overlap": 0.95}, {"overlap": -0.1}, {"flips": "diagonal"}):
        with pytest.raises(ValueError, match=r"expected|available"):
            Way(**wrong)


def test_scores_are_those_of_the_mask_at_the_images_own_size(photos, tmp_path, monkeypatch):
    masks = tmp_path / "masks"
    (masks / "sub").mkdir(parents=True), (photos / "sub").mkdir()
    for name in ("a.jpg.png", "b.png", "sub/c_segmentation.png", "wrong.png"):
        half = np.zeros((10, 10) if name == "wrong.png" else (48, 64), np.uint8)
        half[:, :32] = 255
        Image.fromarray(half).save(masks / name)
    for name, red in {"a.png": 1, "b.png": 0.5, "sub/c.png": 0.25, "wrong.png": 1, "none.png": 1}.items():
        picture(red=(0, red)).save(photos / name)
    (masks / "a.jpg.png").rename(masks / "a.png.png")
    run, out = pixelwise.store(), tmp_path / "out"
    predict(run, photos, out, recursive=True)
    monkeypatch.setattr("seglib.prediction.predictor.Predictor.logits", None)  # what is there is scored as it is
    found = predict(run, photos, out, recursive=True, masks=masks)
    expected = {"a.png": (2 / 3, 1 / 2), "b.png": (1, 1), "sub/c.png": (2 / 3, 1 / 2)}
    assert {n: pytest.approx(s) for n, s in found.scores.items()} == expected and found.kept == 5
    assert {row["image"]: float(row["Dice"]) for row in rows(out / "scores.csv")} == {
        name: pytest.approx(dice) for name, (dice, _) in expected.items()
    }
    assert list(found.unreadable) == ["wrong.png (its mask)"] and "10×10" in found.unreadable["wrong.png (its mask)"]
    Image.new("L", (64, 48)).save(masks / "b.png")  # another truth
    assert predict(run, photos, out, recursive=True, masks=masks).scores["b.png"] == (0, 0)
    with pytest.raises(FileNotFoundError, match=r"has none of any image; expected, for example, c\.png\.png"):
        predict(run, photos / "sub", tmp_path / "out2", masks=masks)


def test_planes_and_classes_are_scored_one_by_one_and_ignored_pixels_count_nowhere(photos, tmp_path):
    image = np.zeros((32, 32, 3), np.uint8)
    image[:, :16, 0] = image[:, :, 1] = 255  # plane r on the left, g everywhere, b nowhere
    Image.fromarray(image).save(photos / "a.png")
    whole, left = np.full((32, 32), 255, np.uint8), np.zeros((32, 32), np.uint8)
    left[:, :8] = 255
    for name, plane in {"r": left, "g": whole, "b": 0 * whole}.items():
        (tmp_path / "masks" / name).mkdir(parents=True)
        Image.fromarray(plane).save(tmp_path / "masks" / name / "a.png")
    run = pixelwise.store(task="planes", classes=("r", "g", "b"))
    predict(run, photos, tmp_path / "out", masks=tmp_path / "masks")
    (row,) = rows(tmp_path / "out" / "scores.csv")
    assert [float(row[name]) for name in ("Dice r", "Dice g", "Dice")] == pytest.approx([2 / 3, 1, 5 / 6])
    assert row["Dice b"] == "nan"  # absent from truth and prediction
    ids = np.where(left > 0, 1, 0).astype(np.uint8)
    ids[:, 20:] = IGNORE_INDEX
    (tmp_path / "ids").mkdir()
    Image.fromarray(ids).save(tmp_path / "ids" / "a.png")
    run = pixelwise.store("bb22", task="multiclass", classes=("background", "g", "b"))
    found = predict(run, photos, tmp_path / "out2", masks=tmp_path / "ids")  # background where red is as much as green
    assert mask(tmp_path / "out2", "a.png.png")[0, [0, 15, 16]].tolist() == [0, 0, 1]
    # of 20 columns that count g has the first 8 and is predicted in the last 4; background is right in 8 of 20; no b
    assert found.scores["a.png"] == pytest.approx((2 * 8 / (12 + 16) / 2, 8 / 20 / 2))


def test_mask_files_mean_what_they_mean_in_the_runs_source():
    pets = {rule: truth.values(Config(dataset="oxford_pet", border=rule), 1)[3] for rule in ("foreground", "ignore")}
    assert pets == {"foreground": 1, "ignore": IGNORE_INDEX}
    assert truth.values(Config(dataset="isic2016"), 1) == truth.values(Config(dataset="coco3", task="planes"), 3)


def test_the_command_compares_plain_flips_and_tiles_on_the_same_images(photos, tmp_path, capsys):
    masks = tmp_path / "masks"
    masks.mkdir()
    for i in range(22):
        picture(96, 96, (0, (i + 1) / 23)).save(photos / f"{i}.png")
        Image.fromarray(np.uint8(255) * (np.arange(96) < 48)[None].repeat(96, 0)).save(masks / f"{i}.png")
    run = pixelwise.store(model="Leftish")
    call = ["predict", run.key, str(photos), "--to", str(tmp_path / "out"), "--masks", str(masks), "--compare"]
    assert main([*call, "--flips", "both", "--tile", "48", "--overlap", "0"]) == 0
    table = capsys.readouterr().out
    for way in ("plain", "flips both", "tiles of 48 px", "flips both, tiles of 48 px"):
        assert re.search(rf"^{way} +[\d.]", table, re.M)
    found = rows(tmp_path / "out" / "compare.csv")
    means = {w: np.mean([float(r["IoU"]) for r in found if r["way"] == w]) for w in {r["way"] for r in found}}
    assert len(found) == 88 and means["plain"] == pytest.approx(48 / 63)  # on where 2 - 3x > 0
    assert means["tiles of 48 px"] == pytest.approx(32 / 80) and means["flips both"] == pytest.approx(0.5)
    assert main(call) == 1 and "nothing to compare with plain" in capsys.readouterr().err
    for file in masks.iterdir():
        Image.new("L", (5, 5)).save(file)
    call[4] = str(tmp_path / "other")
    assert main([*call, "--flips", "both"]) == 1 and "of 22 images with a mask" in capsys.readouterr().err


def test_every_command_has_examples_that_it_understands(capsys):
    parser = _parser()
    commands = next(action for action in parser._actions if hasattr(action, "choices") and action.choices).choices
    assert EXAMPLES.keys() == commands.keys(), "examples are in seglib/cli/examples.py, one at least for each command"
    for name, examples in EXAMPLES.items():
        for call, _ in examples:
            program, *words = shlex.split(call)
            assert program == "seglib" and words[0] == name and parser.parse_args(words).command
    for name in ("", *commands):
        with pytest.raises(SystemExit):
            main([*filter(None, [name]), "--help"])
        assert ("examples:" if name else "A first session") in capsys.readouterr().out


@pytest.mark.long
def test_a_thousand_real_sized_images_with_broken_ones_among_them(photos, tmp_path):
    for i in range(1000):
        (photos / f"{i % 10}").mkdir(exist_ok=True)
        if i % 97 == 0:
            (photos / f"{i % 10}" / f"{i}.jpg").write_bytes(b"\xff\xd8 broken")
        else:
            noise(64 + i % 50, 64).save(photos / f"{i % 10}" / f"{i}.jpg")
    found = predict(experiment.run(TINY), photos, tmp_path / "out", recursive=True)
    assert found.done == 1000 - 11 and len(found.unreadable) == 11
    assert predict(found.run, photos, tmp_path / "out", recursive=True).kept == 989
