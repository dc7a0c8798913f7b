"""Masks of one's own images: as the run made them, at any size, of any file, once.

Alone: pytest tests/test_predict.py
"""

import csv
import io
import os

import numpy as np
import pixelwise
import pytest
import torch
from PIL import Image

from seglib import data, experiment
from seglib.cli import main
from seglib.config import Config
from seglib.predict import predict
from seglib.prediction import encoding, photo, predictor, stream
from seglib.prediction.predictor import Predictor

TINY = Config(
    image_size=32, train_images=4, val_images=2, test_images=34, epochs=1, batch_size=4, device="cpu", threads=1,
    model="unet", model_options={"width": 0.0625},
)  # fmt: skip


@pytest.fixture(autouse=True)
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    return folder


def picture(width=64, height=48, red=(0, 1)):
    """Black, but red in these parts of its width."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, round(red[0] * width) : round(red[1] * width), 0] = 255
    return Image.fromarray(pixels)


def mask(folder, name, kind="masks"):
    with Image.open(folder / kind / name) as image:
        return np.asarray(image)


def rows(file):
    with open(file, newline="", encoding="utf-8") as opened:
        return list(csv.DictReader(opened))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"dataset": "shapes", "task": "multiclass", "loss": "cross_entropy"},
        {
            "dataset": "shapes",
            "task": "planes",
            "loss": "mse",
            "loss_options": {"target_scale": "values"},
            "lr": 0.3,
            "epochs": 3,
        },
        {"model": "mobilenetv2_unet", "model_options": {"width": 0.25}, "encoder": "frozen", "normalisation": "half"},
    ],
    ids=["binary", "multiclass", "planes in grey values", "frozen"],
)
def test_a_test_image_at_its_own_size_gets_the_mask_that_the_run_stored(changes, photos, tmp_path):
    run = experiment.run(TINY.with_(**changes))
    test = data.load(run.config).test
    for name, image in zip(test.names, test.images, strict=True):
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(photos / f"{name}.png")
    predict(run, photos, tmp_path / "out")
    for name, stored in zip(test.names, run.predictions(), strict=True):
        if run.config.task == "planes":
            found = np.stack([mask(tmp_path / "out", f"{label}/{name}.png.png") for label in run.meta["class_names"]])
            assert set(np.unique(found)) <= {0, 255} and np.array_equal(found == 255, stored)
        else:
            found = mask(tmp_path / "out", f"{name}.png.png")
            ids = stored.argmax(0) if run.config.task == "multiclass" else stored[0] * 255
            assert np.array_equal(found, ids)
    assert run.predictions().any()


def test_a_file_is_read_as_training_reads_it(tmp_path):
    root = tmp_path / "data" / "mine"
    (root / "images").mkdir(parents=True), (root / "masks").mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (12, 9, 13, 3), dtype=np.uint8)
    exif = Image.Exif()
    for i, pixels in enumerate(noise):
        image = Image.fromarray(pixels).resize((390, 270), Image.Resampling.BICUBIC)
        exif[0x0112] = 1 + i % 8
        image.convert("CMYK" if i == 3 else "RGB").save(root / "images" / f"{i}.jpg", exif=exif, quality=90)
        turned = (270, 390) if exif[0x0112] > 4 else (390, 270)
        Image.new("L", turned).save(root / "masks" / f"{i}.png")
    (root / "classes.yaml").write_text("names: [background, thing]\n")
    test = data.load(Config(dataset="folder", data_folder="mine", image_size=32)).test
    for name, image in zip(test.names, test.images, strict=True):
        assert torch.equal(photo.read(root / "images" / f"{name}.jpg", 32).inputs[0], image)


def test_a_mask_has_the_size_of_its_image_and_its_edge_where_the_logits_cross(photos, tmp_path):
    picture(200, 90, (0.5, 1)).save(photos / "large.png")
    picture(20, 12, (0.5, 1)).save(photos / "small.png")
    predict(pixelwise.store(), photos, tmp_path / "out", probabilities=True)
    for name, (width, height) in {"large": (200, 90), "small": (20, 12)}.items():
        found = mask(tmp_path / "out", f"{name}.png.png")
        assert found.shape == (height, width) and found.dtype == np.uint8
        assert Image.open(tmp_path / "out" / "masks" / f"{name}.png.png").mode == "L"
        assert (found[:, width // 2 :] == 255).all() and (found[:, : width // 2] == 0).all()
        probs = mask(tmp_path / "out", f"{name}.png.png", "probabilities")
        assert probs.dtype == np.uint16 and np.array_equal(probs > 32767, found > 0) and probs.max() > 65000
    areas = {row["image"]: (int(row["pixels"]), float(row["share"])) for row in rows(tmp_path / "out" / "areas.csv")}
    assert areas == {"large.png": (9000, 0.5), "small.png": (120, 0.5)}


def test_logits_are_resized_bilinearly_and_then_made_probabilities(photos, tmp_path):
    picture(64, 40).save(photos / "a.png")
    predict(pixelwise.store(model="Leftish"), photos, tmp_path / "out", probabilities=True)
    place = ((np.arange(64) + 0.5) / 2 - 0.5).clip(0, 31)  # of each column among the model's 32
    expected = 1 / (1 + np.exp(-(2 - 3 * place / 31)))
    assert np.abs(mask(tmp_path / "out", "a.png.png", "probabilities") / 65535 - expected).max() < 1e-4


def test_a_probability_map_is_above_its_middle_exactly_where_the_mask_is_on():
    half = np.float32(0.5)
    probs = np.array([[[0, np.nextafter(half, 0, dtype=np.float32), half, np.nextafter(half, 1, dtype=np.float32), 1]]])
    stored = Image.open(io.BytesIO(encoding.probabilities(probs, ("a",))[""]))
    assert np.asarray(stored).tolist() == [[0, 32767, 32767, 32768, 65535]]


def test_every_usual_kind_of_file_is_predicted_as_a_viewer_shows_it(photos, tmp_path):
    image = picture(64, 48, (0, 0.5))
    exif = Image.Exif()
    exif[0x0112] = 6  # a viewer turns it: what is left comes to be on top
    image.save(photos / "turned.jpg", exif=exif, quality=95)
    image.convert("CMYK").save(photos / "cmyk.jpg", quality=95)
    image.convert("P").save(photos / "palette.gif")
    image.convert("RGBA").save(photos / "rgba.png")
    Image.fromarray(np.full((48, 64), 65535, np.uint16)).save(photos / "sixteen.png")
    Image.new("L", (64, 48), 255).save(photos / "grey.png")
    Image.fromarray(np.full((48, 64), 65535, np.uint16)).save(photos / "refused.tif")
    found = predict(pixelwise.store(), photos, tmp_path / "out", overlays=True)
    out = tmp_path / "out"
    assert (mask(out, "turned.jpg.png")[:30] == 255).all() and (mask(out, "turned.jpg.png")[34:] == 0).all()
    assert mask(out, "turned.jpg.png").shape == (64, 48) == mask(out, "turned.jpg.jpg", "overlays").shape[:2]
    for name in ("cmyk.jpg", "palette.gif", "rgba.png"):
        assert (mask(out, f"{name}.png")[:, :30] == 255).all() and (mask(out, f"{name}.png")[:, 34:] == 0).all()
    assert (mask(out, "sixteen.png.png") == 255).all() and (mask(out, "grey.png.png") == 255).all()
    assert list(found.unreadable) == ["refused.tif"] and found.done == 6


def odd_names(photos):
    good = ["a.jpg", "a.png", "with space.png", "grün ß 猫.png", "new\nline.png", "sub/a.jpg", "sub/sub/A.JPG",
            "q'uo\"te<b>.png", f"{'x' * 240}.png", f"{'x' * 241}.png"]  # fmt: skip
    for name in good:
        (photos / name).parent.mkdir(parents=True, exist_ok=True)
        picture().save(photos / name)
    (photos / "empty.png").touch()
    (photos / "text.jpg").write_text("no image")
    (photos / "cut.png").write_bytes((photos / "a.png").read_bytes()[:60])
    (photos / "nowhere.png").symlink_to(photos / "not there.png")
    (photos / "folder.png").mkdir()
    (photos / "notes.txt").write_text("left alone")
    (photos / ".hidden.png").write_text("left alone")
    return good


def test_names_never_collide_and_broken_files_stop_nothing(photos, tmp_path, capsys):
    good = odd_names(photos)
    run = pixelwise.store()
    status = main(["predict", run.key, str(photos), "--recursive", "--to", str(tmp_path / "out")])
    told = capsys.readouterr().out
    assert status == 1 and "images: 10 predicted" in told and "not read: 4" in told
    masks = [p for p in (tmp_path / "out" / "masks").rglob("*") if p.is_file()]
    assert len(masks) == len(good) and all((mask(p.parent, p.name, "") == 255).all() for p in masks)
    assert {str(p.relative_to(tmp_path / "out" / "masks")) for p in masks} >= {f"{name}.png" for name in good[:8]}
    assert {row["image"] for row in rows(tmp_path / "out" / "areas.csv")} == set(good)
    listed = {row["image"]: row["why"] for row in rows(tmp_path / "out" / "unreadable.csv")}
    assert listed.keys() == {"empty.png", "text.jpg", "cut.png", "nowhere.png"} and "empty" in listed["empty.png"]
    for name in listed:
        (photos / name).unlink()
    before = {p: p.stat().st_mtime_ns for p in masks}
    assert main(["predict", run.key[:3], str(photos), "--recursive", "--to", str(tmp_path / "out")]) == 0
    assert "images: 0 predicted, 10 were there already" in capsys.readouterr().out
    assert before == {p: p.stat().st_mtime_ns for p in masks}


def test_only_what_is_not_there_or_has_changed_is_done_again(photos, tmp_path):
    run, out = pixelwise.store(), tmp_path / "out"
    for name in "abcd":
        picture().save(photos / f"{name}.png")
    assert predict(run, photos, out).done == 4
    (out / "masks" / "a.png.png").unlink()
    picture(red=(0, 0.5)).save(photos / "b.png")
    journal = out / "images.jsonl"
    journal.write_text(journal.read_text()[:-20])  # the end of a line is lost in a crash
    found = predict(run, photos, out)
    assert (found.done, found.kept) == (3, 1) and mask(out, "b.png.png").mean() == 255 / 2
    found = predict(run, photos, out, overlays=True)  # asked for now
    assert found.done == 4 and len(list((out / "overlays").iterdir())) == 4


def test_what_was_stopped_goes_on_and_ends_the_same(photos, tmp_path, monkeypatch):
    run = pixelwise.store()
    for i in range(12):
        picture(red=(0, i / 12)).save(photos / f"{i:02d}.png")
    predict(run, photos, tmp_path / "whole")
    calls = []

    def once(self, *arguments):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return logits(self, *arguments)

    logits = Predictor.logits
    with monkeypatch.context() as patched:
        patched.setattr(Predictor, "logits", once)
        with pytest.raises(KeyboardInterrupt):
            predict(run, photos, tmp_path / "out", batch_size=3)
    left = tmp_path / "out" / "masks" / ".11.png.png-q4nve2sj"
    left.write_bytes(b"half a mask of a process that was killed")
    found = predict(run, photos, tmp_path / "out", batch_size=3)
    assert found.done + found.kept == 12 and found.done < 12 and not left.exists()
    for file in ("masks", "areas.csv"):
        both = [tmp_path / folder / file for folder in ("whole", "out")]
        files = [sorted(f.iterdir()) if f.is_dir() else [f] for f in both]
        assert [f.read_bytes() for f in files[0]] == [f.read_bytes() for f in files[1]]


def test_masks_of_another_run_other_settings_or_another_image_are_never_mixed_in(photos, tmp_path):
    run, out = pixelwise.store(), tmp_path / "out"
    picture().save(photos / "a.png")
    predict(run, photos, out)
    with pytest.raises(ValueError, match="holds masks with run aa11, and bb22 is asked for"):
        predict(pixelwise.store("bb22"), photos, out)
    with pytest.raises(ValueError, match=r"settings flips none.*flips both"):
        predict(run, photos, out, flips="both")
    (tmp_path / "others").mkdir()
    picture(red=(0, 0.5)).save(tmp_path / "others" / "a.png")
    with pytest.raises(ValueError, match=r"others/a.png has the same name in it; choose another folder"):
        predict(run, tmp_path / "others", out)
    assert (mask(out, "a.png.png") == 255).all()
    with pytest.raises(ValueError, match=r"is not empty and has no manifest.json"):
        predict(run, photos, tmp_path / "others")
    assert [file.name for file in (tmp_path / "others").iterdir()] == ["a.png"]  # as it was
    with pytest.raises(ValueError, match=r"a\.png is a file, expected a folder"):
        predict(run, photos, tmp_path / "others" / "a.png")
    with pytest.raises(ValueError, match=r"lies in .*photos, where masks are to go"):
        predict(run, photos, photos)


def test_a_folder_is_written_by_one_process_at_a_time(photos, tmp_path):
    from seglib.prediction.target import alone

    picture().save(photos / "a.png")
    with alone(tmp_path / "out"), pytest.raises(BlockingIOError, match="another process predicts into"):
        predict(pixelwise.store(), photos, tmp_path / "out")


def test_files_folders_and_patterns_name_images_once(photos, tmp_path):
    run = pixelwise.store()
    for name in ("one/a.jpg", "one/b.png", "two/a.jpg", "two/deep/c.webp"):
        (photos / name).parent.mkdir(parents=True, exist_ok=True)
        picture().save(photos / name)

    def names(*wanted, **options):
        folder = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
        predict(run, [photos / w if isinstance(w, str) else w for w in wanted], folder, **options)
        return sorted({row["image"] for row in rows(folder / "areas.csv")})

    assert names("one") == ["a.jpg", "b.png"] and names("one/a.jpg") == ["a.jpg"]
    assert names("one", "two", "one/a.jpg") == ["one/a.jpg", "one/b.png", "two/a.jpg"]
    assert names("*/a.jpg") == ["one/a.jpg", "two/a.jpg"] and len(names("**/*")) == 4
    assert names("two", recursive=True) == ["a.jpg", "deep/c.webp"]
    inside = photos / "masked"
    for kept in (0, 4):  # the masks of the first call are no images of the second
        found = predict(run, photos, inside, recursive=True)
        assert (found.done, found.kept) == (4 - kept, kept)
    for wrong in ("three", "*.bmp", "two/deep/*.jpg"):
        with pytest.raises(FileNotFoundError, match=r"is not there|no images in"):
            names(wrong)
    with pytest.raises(FileNotFoundError, match=r"recursive \(recursive=True\) looks into folders"):
        os.remove(photos / "two" / "a.jpg")
        names("two")


def test_images_are_read_a_few_ahead_and_never_all(photos):
    begun = []
    with stream.Workers(predictor.Way(), batch_size=3) as workers:
        for done, _ in enumerate(workers.read(begun.append, range(200)), start=1):
            assert len(begun) <= done + 3 * stream.AHEAD + 1
    assert len(begun) == 200


def test_what_fails_while_a_mask_is_written_stops_the_call(photos, tmp_path, monkeypatch):
    picture().save(photos / "a.png")
    monkeypatch.setattr(predictor.Predictor, "mask", lambda *_: (_ for _ in ()).throw(OSError("No space left")))
    with pytest.raises(OSError, match="No space left"):
        predict(pixelwise.store(), photos, tmp_path / "out")
    assert not (tmp_path / "out" / "areas.csv").exists()


def test_a_run_that_cannot_predict_single_images_is_refused(photos, tmp_path):
    picture().save(photos / "a.png")
    with pytest.raises(ValueError, match="depends on the others in its batch"):
        predict(pixelwise.store(test_in_eval_mode=False), photos, tmp_path / "out")
    run = pixelwise.store("cc33")
    file = run.folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\1")
    with pytest.raises(ValueError, match=r"run cc33 is damaged \(model.safetensors\)"):
        predict(run, photos, tmp_path / "out")
