"""What a finished run leaves in the store: the test split read once, and every file written from it."""

import time
from collections.abc import Iterable, Iterator

from seglib import atomic, images_table, metrics, runs, runtime, seal
from seglib.batches import Pulse
from seglib.config import Config
from seglib.data.core import Dataset
from seglib.evaluation import Evaluation, evaluate
from seglib.models import weights
from seglib.models.base import SegmentationModel
from seglib.train import Training


def finish(
    config: Config, key: str, dataset: Dataset, model: SegmentationModel, training: Training, cost: dict, pulse: Pulse
) -> None:
    """Reads the test split, once, and writes the run's files; meta.json is last and makes the run finished.

    Args: cost — what training took, as meta.json holds it; pulse — called after each batch.
    """
    from safetensors.torch import save

    folder = runs.folder(key)
    test = evaluate(model, dataset.test, config, keep=True, pulse=pulse)
    runs.write_table(folder / "history.csv", training.history)
    runs.write_table(folder / "images.csv", watched(images_table.rows(test, dataset, config.border), pulse))
    runs.write_table(folder / "thresholds.csv", _threshold_rows(test, dataset))
    runs.write_predictions(folder / "predictions.npz", test.pred)
    weights_now = {name: tensor.cpu().contiguous() for name, tensor in model.state_dict().items()}
    atomic.write(folder / "model.safetensors", save(weights_now))
    meta = {
        "status": "finished",
        "format": runs.FORMAT,
        "best_epoch": training.best_epoch,
        "class_names": list(dataset.class_names),
        "images": {name: len(split) for name, split in dataset.splits().items()},
        "note": dataset.note,
        "weights": weights.describe(config.weights),
        "parameters": _parameters(model),
        **cost,
        **runtime.describe(config.device),
        "machine": runtime.machine(config.device),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    seal.write(folder, meta)


def watched(rows: Iterable, pulse: Pulse) -> Iterator:
    """The rows, with a pulse after each: those of many images take a while."""
    for row in rows:
        yield row
        pulse()


def _threshold_rows(test: Evaluation, dataset: Dataset):
    """Class × threshold: pooled pixels at or above it, their summed probability, and the per-image mean Dice there."""
    truth = test.counts[..., [0, 2]].sum(-1)  # (N, C) pixels
    tp, fp, confidence = test.thresholds.unbind(-1)
    dice = metrics.dice(tp, fp, truth[..., None] - tp, empty=metrics.empty_score(dataset.task)).nanmean(0)
    for c, name in enumerate(dataset.class_names):
        for i in range(metrics.BINS):
            found = int(tp[:, c, i].sum())
            yield {
                "class": name, "threshold": i / metrics.BINS, "tp": found, "fp": int(fp[:, c, i].sum()),
                "fn": int(truth[:, c].sum()) - found, "probability": float(confidence[:, c, i].sum()),
                "dice": float(dice[c, i]),
            }  # fmt: skip


def _parameters(model) -> dict[str, int]:
    def count(parameters):
        return sum(p.numel() for p in parameters)

    return {
        "total": count(model.parameters()),
        "trainable": count(p for p in model.parameters() if p.requires_grad),
        "decoder": count(model.decoder_parameters()),
    }
