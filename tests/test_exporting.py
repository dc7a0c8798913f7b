"""Exported files are the model: by onnxruntime and torch.export, by what their metadata say, or there are none.

Alone: pytest tests/test_exporting.py (with `-m long` each of the nine architectures)
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import trained
from PIL import Image
from small import SMALL

from seglib import cli, data, exporting, paths
from seglib.card.usage import PROGRAM
from seglib.exporting import checking, network
from seglib.exporting.files import Onnx, TorchExport
from seglib.models import MODELS, build_model
from seglib.models.base import SegmentationModel
from seglib.predict import predict
from seglib.restore import restored

REAL = paths.data()  # the user's, before the tests have their own
home, one_store = trained.home, trained.one_store


@pytest.fixture(scope="module")
def done(home):
    """A binary run exported in both formats."""
    with trained.store(home):
        return exporting.export(trained.run(trained.BINARY), home / "binary")


@pytest.fixture(scope="module")
def several(home):
    """A multiclass run as ONNX."""
    with trained.store(home):
        return exporting.export(trained.run(trained.MULTICLASS), home / "several", "onnx")


def png(run, i, folder):
    """Test image i of a run as a file, at the size that the run saw it."""
    pixels = data.load(run.config).test.images[i].permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save(folder / "image.png")


def masks_by_the_card(export, folder, images=(0, 1, 2)):
    """What the program of the card makes of test images, in a process without seglib: one array per image."""
    folder.mkdir()
    (folder / "model.onnx").write_bytes((export.card.parent / "model.onnx").read_bytes())
    for i in images:
        png(export.run, i, folder)
        subprocess.run([sys.executable, "-I", "-c", PROGRAM], cwd=folder, check=True)
        yield np.load(folder / "mask.npy")


def test_a_program_that_knows_the_metadata_alone_makes_the_mask_that_the_run_stored(done, tmp_path):
    stored = done.run.predictions()
    assert stored[:3].any(), "an empty mask would be easy to make"
    for i, mask in enumerate(masks_by_the_card(done, tmp_path / "elsewhere")):
        assert (mask == stored[i]).all()


def test_so_it_does_for_several_classes(several, tmp_path):
    stored = several.run.predictions()
    assert stored[:3].any((0, 2, 3)).sum() > 1, "one class everywhere would be easy"
    for i, mask in enumerate(masks_by_the_card(several, tmp_path / "elsewhere")):
        assert (mask == stored[i].argmax(0)).all()
    assert several.card.read_text().count(PROGRAM) == 1


@pytest.mark.parametrize("name", ["done", "several"])
def test_the_program_makes_the_mask_that_predict_makes_of_a_photograph_at_its_own_size(name, request, tmp_path):
    export, made = request.getfixturevalue(name), tmp_path / "made"
    made.mkdir()
    mixed = next(i for i, mask in enumerate(export.run.predictions()) if 0 < mask[-1].mean() < 1)
    png(export.run, mixed, made)
    photograph = Image.open(made / "image.png").resize((131, 94), Image.Resampling.BICUBIC).convert("RGBA")
    photograph.paste((255, 255, 255, 128), (0, 0, 9, 20))  # half transparent
    photograph.save(made / "image.png")
    predict(export.run, made / "image.png", tmp_path / "out")
    (made / "model.onnx").write_bytes((export.card.parent / "model.onnx").read_bytes())
    subprocess.run([sys.executable, "-I", "-c", PROGRAM], cwd=made, check=True)
    mask = np.load(made / "mask.npy").squeeze()
    with Image.open(tmp_path / "out" / "masks" / "image.png.png") as image:
        predicted = np.asarray(image) / (255 if name == "done" else 1)
    assert mask.shape == (94, 131) and len(np.unique(mask)) > 1
    assert (mask != predicted).mean() < 1e-3  # but for a tie


def test_the_pt2_file_alone_makes_the_same_masks(done):
    files = {"description.json": ""}
    module = torch.export.load(done.card.parent / "model.pt2", extra_files=files).module()
    told = json.loads(files["description.json"])
    mean, std = (torch.tensor(told["preprocessing"][name]).view(3, 1, 1) for name in ("subtract_mean", "divide_by_std"))
    images = data.load(done.run.config).test.images
    masks = module((images / told["preprocessing"]["divide_by"] - mean) / std) > told["postprocessing"]["cut"][0]
    assert (masks.numpy() == done.run.predictions()).all()


def test_the_files_say_what_they_are_and_what_was_checked(done):
    for kind in (Onnx, TorchExport):
        path = done.card.parent / kind.file
        told = kind.description(path.read_bytes())
        assert told["run"] == done.run.key and told["class_names"] == ["lesion"] and told["task"] == "binary"
        assert told["check"] == done.files[path].plain() and told["check"]["largest_difference"] <= 1e-4
        assert len(told["check"]["shapes"]) == 5 and told["check"]["as_stored"] == 1
        assert told["input"]["size"]["multiple_of"] == 4 and told["input"]["size"]["least"] == 32
        assert told["preprocessing"]["resize"]["width"] == 32 and told["data"]["licence"].startswith("MIT")
    proto = onnx.load(done.card.parent / "model.onnx")
    assert [(o.domain, o.version) for o in proto.opset_import if not o.domain] == [("", 18)]
    height, width = proto.graph.input[0].type.tensor_type.shape.dim[2:]
    assert height.dim_param and width.dim_param and height.dim_param != width.dim_param


def test_no_file_names_a_place_of_this_machine(done):
    places = [str(paths.ROOT), str(Path.home()), str(Path(torch.__file__).parent), str(done.card.parent), sys.prefix]
    for file in done.card.parent.iterdir():
        content = file.read_bytes()
        assert not [place for place in places if place.encode() in content], file
        assert not re.search(rb"/\w[\w.-]+/[\w./-]+\.py\b", content), file


def test_the_command_exports_into_the_same_folder_again_and_a_format_alone_keeps_the_other(done, capsys):
    folder = done.card.parent
    assert cli.main(["export", done.run.key[:6], "--to", str(folder), "--format", "torch"]) == 0
    said = capsys.readouterr().out
    assert "model.pt2: largest difference" in said and "model.onnx" not in said and "multiples of 4 from 32" in said
    assert {"model.onnx", "model.pt2", "MODEL_CARD.md"} == {file.name for file in folder.iterdir()}
    assert "**model.onnx**" in done.card.read_text() and "**model.pt2**" in done.card.read_text()


def wrong(by, where=(0, 0, 0, 0)):
    """A reader of files that adds something to one output."""
    right = TorchExport.network

    def read(content):
        def run(images):
            outputs = network_of_file(images).copy()
            outputs[where] += by
            return outputs

        network_of_file = right(content)
        return run

    return staticmethod(read)


@pytest.mark.parametrize(("by", "said"), [(2e-4, "2.00e-04"), (float("nan"), "inf")])
def test_a_file_that_is_not_the_model_is_not_written_and_it_is_said_by_how_much(by, said, done, monkeypatch, tmp_path):
    monkeypatch.setattr(TorchExport, "network", wrong(by))
    with pytest.raises(ValueError, match=rf"model.pt2 is not the model of run .* by up to {said} \(allowed 1e-04; "):
        exporting.export(done.run, tmp_path / "new", "torch")
    assert not (tmp_path / "new").exists()


def test_a_difference_within_the_tolerance_is_told_and_no_error(done, monkeypatch, tmp_path):
    monkeypatch.setattr(TorchExport, "network", wrong(5e-5))
    (figures,) = exporting.export(done.run, tmp_path / "new", "torch").files.values()
    assert figures.largest_difference == pytest.approx(5e-5, rel=0.1)


class Made:
    """A run of which a check asks for nothing but this."""

    def __init__(self, **config):
        self.config = trained.BINARY.with_(**config)


@pytest.mark.parametrize(
    ("config", "outputs", "margins"),
    [
        ({}, [-0.25], [0.25]),
        ({"dataset": "shapes", "task": "multiclass", "loss": "cross_entropy"}, [1.0, 4.0, 3.5], [0.5]),
        ({"dataset": "shapes", "task": "planes"}, [-2.0, 0.125], [2.0, 0.125]),
        # report 5's grey values: plane 0 is cut at 25 and plane 1 at 50, in shares of 50 and 100
        ({"dataset": "shapes", "task": "planes", "loss": "mse", "loss_options": {"target_scale": "values"}},
         [30.0, 50.0], [0.1, 0.0]),
    ],
)  # fmt: skip
def test_how_far_a_pixel_is_from_another_mask(config, outputs, margins):
    found = checking._margin(torch.tensor(outputs).view(1, -1, 1, 1), Made(**config))
    assert found.flatten().tolist() == pytest.approx(margins)


def test_weights_that_do_not_give_the_stored_masks_are_not_exported(done):
    model = restored(done.run)
    images = checking._images(done.run)
    assert checking._as_stored(done.run, model, images) == 1
    model.head.bias.add_(100)  # everything is lesion
    with pytest.raises(ValueError, match="its weights no longer give the masks that it stored"):
        checking._as_stored(done.run, model, images)


def test_what_cannot_be_exported_is_said_before_anything_is_written(done, several, tmp_path):
    with pytest.raises(ValueError, match="unknown format 'onx'; did you mean 'onnx'"):
        exporting.export(done.run, tmp_path / "new", "onx")
    with pytest.raises(ValueError, match=rf"not the card of run {several.run.key}"):
        exporting.export(several.run, done.card.parent)
    faulty = trained.run(trained.BINARY.with_(test_in_eval_mode=False, epochs=1))
    with pytest.raises(ValueError, match="was tested in training mode"):
        exporting.export(faulty, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_package_that_is_missing_is_named_with_the_way_to_get_it(done, monkeypatch, tmp_path):
    monkeypatch.setattr(Onnx, "needs", ("onnx", "no_such_package"))
    with pytest.raises(ImportError, match=r"no_such_package not installed, .* pip install 'seglib\[export\]'"):
        exporting.export(done.run, tmp_path / "new")
    exporting.export(done.run, tmp_path / "new", "torch")
    assert {file.name for file in (tmp_path / "new").iterdir()} == {"model.pt2", "MODEL_CARD.md"}


def test_a_file_of_another_kind_in_the_folder_is_left_alone(done, tmp_path):
    (tmp_path / "model.onnx").write_text("mine")
    with pytest.raises(ValueError, match=r"model\.onnx is there already"):
        exporting.export(done.run, tmp_path, "torch")
    assert (tmp_path / "model.onnx").read_text() == "mine" and len(list(tmp_path.iterdir())) == 1
    with pytest.raises(ValueError, match=r"model\.onnx is a file, expected a folder"):
        exporting.export(done.run, tmp_path / "model.onnx", "torch")


class Placed(SegmentationModel):
    """Has a weight for each place of a 32-pixel image."""

    multiple = 8

    def __init__(self):
        super().__init__()
        self.places = torch.nn.Parameter(torch.arange(1024.0).view(1, 1, 32, 32), requires_grad=False)

    def encode(self, images):
        return [images]

    def decode(self, features, size):
        return features[0].mean(1, keepdim=True) + self.places


class Deciding(Placed):
    """Takes another way for bright images."""

    def decode(self, features, size):
        return features[0][:, :1] if features[0].mean() > 0 else features[0][:, 1:2]


def test_a_model_that_depends_on_the_size_is_captured_for_its_own_and_it_is_said_why():
    captured = network.capture(Placed().eval(), 32)
    assert captured.least == 32 and captured.why_fixed
    images = torch.rand(3, 3, 32, 32)
    torch.testing.assert_close(captured.program.module()(images), Placed().eval()(images))


def test_a_model_that_is_no_graph_is_an_error():
    with pytest.raises(ValueError, match="Deciding cannot be captured as a graph: "):
        network.capture(Deciding().eval(), 32)


def test_an_architecture_with_a_layer_of_our_own_is_captured_for_any_batch_and_size():
    model = build_model("munet", num_classes=2, **SMALL["munet"]).eval().requires_grad_(False)
    captured = network.capture(model, 64)
    assert not captured.why_fixed and captured.least <= 64
    module = captured.program.module()
    for shape in ((1, 3, 64, 64), (3, 3, 64 + model.multiple, 64)):
        images = torch.randn(shape)
        torch.testing.assert_close(module(images), model(images), rtol=0, atol=1e-5)


@pytest.mark.long
@pytest.mark.parametrize("name", MODELS)
def test_every_architecture_is_exported_and_checked(name, tmp_path):
    config = trained.BINARY.with_(model=name, model_options=SMALL[name], image_size=64, epochs=1, test_images=8)
    export = exporting.export(trained.run(config), tmp_path / name)
    assert len(export.files) == 2 and not export.captured.why_fixed
    assert all(figures.largest_difference <= 1e-4 and figures.as_stored == 1 for figures in export.files.values())


@pytest.mark.long
def test_grey_values_are_checked_in_shares_and_cut_plane_by_plane(tmp_path):
    export = exporting.export(trained.run(trained.VALUES), tmp_path / "new")
    told = Onnx.description((tmp_path / "new" / "model.onnx").read_bytes())
    assert told["postprocessing"]["cut"] == [25, 50, 75, 100, 125]
    stored = export.run.predictions()
    for i, mask in enumerate(masks_by_the_card(export, tmp_path / "elsewhere")):
        assert (mask == stored[i]).all()


@pytest.mark.long
def test_a_photograph_of_a_real_set_gives_the_mask_of_predict_from_its_own_file(tmp_path, monkeypatch):
    if not (REAL / "isic2016").is_dir():
        pytest.skip("no ISIC 2016 here; SEGLIB_DATA may name the folder above it")
    monkeypatch.setenv("SEGLIB_DATA", str(REAL))
    config = trained.BINARY.with_(dataset="isic2016", image_size=64, epochs=6, test_images=8, train_images=32)
    export = exporting.export(trained.run(config), tmp_path / "new", "onnx")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "model.onnx").write_bytes((tmp_path / "new" / "model.onnx").read_bytes())
    photographs = [data.open_source(config)._pair("test", name)[0] for name in export.run.images["image"][:3]]
    predict(export.run, photographs, tmp_path / "out")
    for photograph in photographs:
        (tmp_path / "elsewhere" / "image.png").write_bytes(photograph.read_bytes())  # Pillow goes by the content
        subprocess.run([sys.executable, "-I", "-c", PROGRAM], cwd=tmp_path / "elsewhere", check=True)
        with Image.open(tmp_path / "out" / "masks" / f"{photograph.name}.png") as image:
            predicted = np.asarray(image) > 0
        assert predicted.any() and (np.load(tmp_path / "elsewhere" / "mask.npy")[0] != predicted).mean() < 1e-3
