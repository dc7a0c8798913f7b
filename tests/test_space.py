"""Disk space is counted before a study starts, and a shortage said at once. Alone: pytest tests/test_space.py"""

import shutil
import subprocess
from collections import namedtuple

import numpy as np
import pytest
import torch

from seglib import asked, checkpoint, experiment, paths, runs, space
from seglib.asked import Asked
from seglib.config import Config
from seglib.space import Need
from seglib.train import Training

TINY = Config(
    image_size=32, train_images=8, val_images=4, test_images=5, epochs=2, batch_size=4, device="cpu", threads=1,
    precision="float32", accumulate=1, model="segnet_attention", model_options={"width": 0.125},
)  # fmt: skip
PLANES = TINY.with_(dataset="shapes", task="planes", model="munet", model_options={"width": 0.125, "depth": 8})
Usage = namedtuple("Usage", "total used free")


def once(config):
    return Asked("a row", config, "k" * 16, settled=False)


@pytest.mark.parametrize("config", [TINY, TINY.with_(encoder="frozen", noise=0.1), PLANES], ids=["fine", "frozen", "5"])
def test_a_run_takes_no_more_than_was_counted_and_not_much_less(config):
    counted = space.of_run(config)
    states = space.of_states(config)
    decoded = space.decoded([once(config)])
    folder = experiment.run(config).folder
    taken = sum(file.stat().st_size for file in folder.iterdir())
    assert taken <= counted < 1.05 * taken + 40_000
    assert sum(f.stat().st_size for place in decoded for f in place.glob("*.npy")) == pytest.approx(
        sum(decoded.values()), abs=128 * 6
    )  # npy headers
    assert not space.decoded([once(config)])
    dataset, model = experiment.build(config)
    training = Training(model, dataset, config, torch.device("cpu"))
    training.run()
    checkpoint.save(training.state(), folder)
    assert 0.8 * states < 3 * (folder / "state.pt").stat().st_size <= states


def test_features_that_are_kept_are_counted_as_training_keeps_them():
    config = TINY.with_(encoder="frozen", rotation=5.0, feature_views=2, epochs=2)
    dataset, model = experiment.build(config)
    training = Training(model, dataset, config, torch.device("cpu"))
    training.run()
    kept = sum(t.numel() * t.element_size() for part in (training.train, training.val) for t in part.kept)
    assert space.features(config) == kept > 0 == space.features(config.with_(feature_views=0))


def test_what_is_settled_needs_no_space():
    wanted = {"02": [once(TINY)], "03": [once(TINY)]}
    needs = {need.purpose: need.size for need in space.needed(wanted)}
    assert needs["1 run"] == space.of_run(TINY) and needs["pages"] == 2 * space.PAGE
    done = {"02": [Asked("a row", TINY, "k" * 16, settled=True)]}
    assert [need.purpose for need in space.needed(done)] == ["pages"]


def test_a_shortage_is_an_error_that_says_how_much_where_and_what_to_do(monkeypatch):
    needs = [Need(paths.outputs(), 3 * 10**9, "9 runs"), Need(paths.cache(), 10**9, "decoded images")]
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(10**10, 0, 4 * 10**9))
    space.check(needs)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(10**10, 0, 4 * 10**9 - 1))
    with pytest.raises(OSError) as error:
        space.check(needs)
    for part in ("4.0 GB are needed", "3.0 GB for 9 runs in", str(paths.outputs()), "SEGLIB_OUTPUTS", "--unused"):
        assert part in str(error.value)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of one megabyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no right to mount a tmpfs")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_study_that_does_not_fit_a_real_disk_does_not_start(small_disk, monkeypatch):
    wanted = {"02": [once(TINY)]}
    space.check(space.needed(wanted))
    monkeypatch.setenv("SEGLIB_OUTPUTS", str(small_disk / "outputs"))
    monkeypatch.setattr(asked, "of_study", lambda study: wanted)
    with pytest.raises(OSError, match=r"not enough disk space: .* and 1.0 MB are free .*1 run in .*small/outputs"):
        space.check_study(None)
    assert not list(small_disk.iterdir())


def test_the_decoded_arrays_are_uint8_as_counted(tmp_path, monkeypatch):
    monkeypatch.setenv("SEGLIB_CACHE", str(tmp_path / "cache"))  # no other test's arrays in it
    experiment.build(PLANES)
    (folder,) = (paths.cache() / "decoded").glob("shapes-32-*")
    images, masks = (np.load(folder / f"train_{kind}.npy") for kind in ("images", "masks"))
    assert images.nbytes + masks.nbytes == 8 * (3 + 5) * 32 * 32 and not list(runs.finished())
