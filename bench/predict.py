"""Speed of `seglib predict`: all of it, beside decoding alone and the forward pass alone, in one process, in turn.

    python -m bench.predict [--images 200] [--side 1024] [--size 128] [--rounds 5]

Decoding: reading, digest and resizing of every file, by as many threads as `predict` has. Forward: the model on
inputs that are in memory already, in the same batches. Predict: all of it, with loading the model, masks resized, cut
and written. The ratio is of predict to the slower of the other two, median of the rounds with least and greatest: 1
would be perfect overlap. Decoding, forward pass and writing share the CPU's cores where the model runs there too, so
that with few cores, or busy ones, it is rather the ratio of the CPU seconds, which stand beside.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import torch

from bench import images
from seglib import experiment, runtime
from seglib.config import Config
from seglib.evaluation import EVAL_BATCH
from seglib.predict import predict
from seglib.prediction import sources, stream
from seglib.prediction.predictor import Predictor, Way
from seglib.runs import Run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=200, help="image files (200)")
    parser.add_argument("--side", type=int, default=1024, help="pixels of their sides (1024)")
    parser.add_argument("--size", type=int, default=128, help="pixels that the model takes (128)")
    parser.add_argument("--model", default="mobilenetv2_unet", help="mobilenetv2_unet")
    parser.add_argument("--threads", type=int, default=1, help="of the forward pass on a CPU (1)")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured (5)")
    options = parser.parse_args()
    print(" · ".join(f"{name} {value}" for name, value in runtime.describe().items()))
    with tempfile.TemporaryDirectory() as scratch:
        what = images.write(Path(scratch), options.images, options.side)
        os.environ["SEGLIB_OUTPUTS"] = f"{scratch}/outputs"
        run = trained(options)
        print(
            f"{options.images} JPEG of {what} at {options.side} px; {run.config.model} at {options.size} px, ", end=""
        )
        print(f"{run.config.device}, {options.threads} thread; {options.rounds} rounds, in turn; per image:")
        tell(measured(run, Path(scratch), options), options.images)


def trained(options) -> Run:
    """A run to predict with; its masks mean nothing."""
    return experiment.run(
        Config(
            model=options.model, image_size=options.size, train_images=16, val_images=4, test_images=4, epochs=1,
            threads=options.threads,
        )
    )  # fmt: skip


def measured(run: Run, scratch: Path, options) -> dict[str, list[tuple[float, float]]]:
    """Seconds of each part in each round, by the clock and of CPU.

    A round that is not measured comes first and warms caches and kernels.
    """
    folder = scratch / "isic2016" / "train"
    files = sources.find([folder], scratch / "out")
    predictor = Predictor(run)
    decoded = torch.cat([each.photo.inputs for each in _decoded(files, predictor.side)])
    seconds: dict[str, list] = {"decoding": [], "forward": [], "predict": []}
    for turn in range(options.rounds + 1):
        parts = {
            "decoding": lambda: [None for _ in _decoded(files, predictor.side)],
            "forward": lambda: [predictor.logits(part) for part in decoded.split(EVAL_BATCH)],
            "predict": lambda turn=turn: predict(run, folder, scratch / f"out{turn}"),
        }
        for name, work in parts.items():
            started, busy = time.perf_counter(), time.process_time()
            work()
            if predictor.device.type == "cuda":
                torch.cuda.synchronize()
            if turn:
                seconds[name].append((time.perf_counter() - started, time.process_time() - busy))
    return seconds


def _decoded(files, side: int):
    with stream.Workers(Way(), EVAL_BATCH) as workers:
        yield from workers.read(lambda image: stream.read(image, side, Way(), lambda *_: False), files)


def tell(seconds: dict[str, list[tuple[float, float]]], count: int) -> None:
    clock = {name: [wall for wall, _ in values] for name, values in seconds.items()}
    for name, values in clock.items():
        middle, low, high = (1000 * v / count for v in (statistics.median(values), min(values), max(values)))
        busy = 1000 * statistics.median(cpu for _, cpu in seconds[name]) / count
        print(f"  {name:<9} {middle:7.2f} ms ({low:.2f} to {high:.2f}), CPU {busy:.2f} ms")
    ratios = sorted(
        whole / max(parts) for whole, *parts in zip(clock["predict"], clock["decoding"], clock["forward"], strict=True)
    )
    middle = statistics.median(ratios)
    print(f"predict / the slower of the two = {middle:.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}); wanted: at most 1.10")


if __name__ == "__main__":
    main()
