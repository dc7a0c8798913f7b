"""What a finished run leaves in the store: the test split read once, and every file written from it."""

import json
import time

from seglib import atomic, metrics, runs, runtime
from seglib.config import Config
from seglib.data.core import Dataset
from seglib.evaluation import Evaluation, Pulse, evaluate
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
    runs.write_table(folder / "images.csv", _image_rows(test, dataset))
    runs.write_table(folder / "thresholds.csv", _threshold_rows(test, dataset))
    runs.write_predictions(folder / "predictions.npz", test.pred)
    weights_now = {name: tensor.cpu().contiguous() for name, tensor in model.state_dict().items()}
    atomic.write(folder / "model.safetensors", save(weights_now))
    meta = {
        "status": "finished",
        "best_epoch": training.best_epoch,
        "class_names": list(dataset.class_names),
        "images": {name: len(split) for name, split in dataset.splits().items()},
        "note": dataset.note,
        "weights": weights.describe(config.weights),
        "parameters": _parameters(model),
        **cost,
        **runtime.describe(config.device),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    atomic.write(folder / "meta.json", json.dumps(meta, indent=1, ensure_ascii=False) + "\n")


def _image_rows(test: Evaluation, dataset: Dataset):
    """The per-image table, with the counts of the floor *mean mask* beside the model's."""
    floor = metrics.mean_mask_counts(dataset)
    for i, image in enumerate(dataset.test.names):
        for c, name in enumerate(dataset.class_names):
            model_counts = dict(zip(("tp", "fp", "fn", "pixels"), test.counts[i, c].tolist(), strict=True))
            floor_counts = dict(zip(("tp", "fp", "fn"), floor[i, c, :3].tolist(), strict=True))
            yield {
                "image": image, "class": name, **model_counts, "loss": float(test.loss[i]),
                **{f"mean_mask_{k}": v for k, v in floor_counts.items()},
            }  # fmt: skip


def _threshold_rows(test: Evaluation, dataset: Dataset):
    truth_pixels = test.counts[..., [0, 2]].sum((0, 2))
    for c, name in enumerate(dataset.class_names):
        for i, (tp, fp, confidence) in enumerate(test.thresholds[c].tolist()):
            yield {
                "class": name, "threshold": i / metrics.BINS, "tp": int(tp), "fp": int(fp),
                "fn": int(truth_pixels[c]) - int(tp), "probability": confidence,
            }  # fmt: skip


def _parameters(model) -> dict[str, int]:
    def count(parameters):
        return sum(p.numel() for p in parameters)

    return {
        "total": count(model.parameters()),
        "trainable": count(p for p in model.parameters() if p.requires_grad),
        "decoder": count(model.decoder_parameters()),
    }
