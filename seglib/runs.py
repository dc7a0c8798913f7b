"""The run store: `outputs/runs/<key>/` holds all that a finished run left, and every report is made from it."""

import contextlib
import csv
import fcntl
import functools
import io
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from seglib import atomic, digest, paths
from seglib.config import Config, from_mapping

KEY_LENGTH = 16  # hex digits
FORMAT = 2  # of a run's tables; it enters the run key, so raise it with whatever changes what they hold


def key_of(inputs: Mapping) -> str:
    """The run key: the digest of everything that changes the result."""
    return digest.of_value(inputs)[:KEY_LENGTH]


@dataclass(frozen=True)
class Run:
    """A finished run, read from its folder. Tables are pandas frames."""

    folder: Path

    @property
    def key(self) -> str:
        return self.folder.name

    @functools.cached_property
    def meta(self) -> dict:
        return json.loads((self.folder / "meta.json").read_text())

    @functools.cached_property
    def config(self) -> Config:
        return from_mapping(json.loads((self.folder / "config.json").read_text())["config"])

    @functools.cached_property
    def images(self):
        """Test images × classes under the border rule trained on; `seglib.images_table` documents the columns."""
        frame = self.images_by_border
        if frame["border"].nunique() > 1:
            frame = frame[frame["loss"].notna()]  # that rule's rows alone hold the loss
        return frame.reset_index(drop=True)

    @functools.cached_property
    def images_by_border(self):
        """As `images`, the rows of every border rule.

        Raises: ValueError for a run that an older version stored.
        """
        frame = self._table("images.csv")
        if "border" not in frame:
            raise ValueError(f"run {self.key} was stored by an older version; run its notebook again")
        return frame

    @functools.cached_property
    def history(self):
        """One row per epoch: epoch, train_loss (and its parts), val_loss, val_iou, val_dice."""
        return self._table("history.csv")

    @functools.cached_property
    def thresholds(self):
        """Test set, class × threshold: pooled tp, fp, fn of the pixels at or above it, their summed probability, and
        dice, the mean over images there. Binary thresholds are those of the foreground's probability; of several
        classes each is taken against the rest."""
        return self._table("thresholds.csv")

    def predictions(self):
        """Predicted channels of the test images, numpy bool (N, C, H, W), in the order of `images`."""
        import numpy as np

        with np.load(self.folder / "predictions.npz") as file:
            shape = tuple(file["shape"])
            return np.unpackbits(file["packed"], axis=-1, count=shape[-2] * shape[-1]).reshape(shape).astype(bool)

    def foreground(self):
        """Predicted foreground of the test images, whatever its class: numpy bool (N, H, W)."""
        return self.predictions()[:, 1 if self.config.task == "multiclass" else 0 :].any(axis=1)

    def _table(self, name: str):
        import pandas as pd

        texts = dict.fromkeys(("image", "class", "border"), str)  # 007 is a name, and so is nan
        return pd.read_csv(self.folder / name, keep_default_na=False, na_values=["nan"], converters=texts)


def label(config: Config) -> str:
    """What a config is called in tables and figures: architecture, options that are not the default, regime."""
    options = " ".join(f"{name}={value}" for name, value in config.model_options.items())
    regimes = {"frozen": ("random encoder frozen", "frozen"), "fine_tune": ("from scratch", "fine-tuned")}
    regime = regimes[config.encoder][config.weights != "none"]
    if isinstance(config.start_from, dict):
        changes = {name: value for name, value in config.start_from.items() if value is not None}
        regime += f" from {', '.join(v if name == 'encoder' else f'{name}={v}' for name, v in changes.items())}"
    elif config.start_from:
        regime += f" from run {config.start_from}"
    return f"{config.model.rpartition(':')[2]}{f' ({options})' if options else ''}, {regime}"


def folder(key: str) -> Path:
    return paths.runs() / key


def find(key: str) -> Run | None:
    """The finished run of that key, if the store has it."""
    return Run(folder(key)) if (folder(key) / "meta.json").is_file() else None


def finished() -> list[Run]:
    """All finished runs of the store."""
    return [Run(meta.parent) for meta in sorted(paths.runs().glob("*/meta.json"))]


@contextlib.contextmanager
def lock(key: str):
    """Holds a key for this process alone; waits while another has it. The system frees it if the holder dies."""
    file = paths.runs() / ".locks" / key
    file.parent.mkdir(parents=True, exist_ok=True)
    with open(file, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def write_table(path: Path, rows: Iterable[Mapping]) -> None:
    """Rows of the same columns as CSV."""
    rows = list(rows)
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, rows[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    atomic.write(path, buffer.getvalue())


def write_predictions(path: Path, pred) -> None:
    """Packs predicted channels, bool (N, C, H, W), eight pixels to a byte."""
    import numpy as np

    buffer = io.BytesIO()
    flat = pred.flatten(2).numpy()
    np.savez_compressed(buffer, packed=np.packbits(flat, axis=-1), shape=np.array(pred.shape))
    atomic.write(path, buffer.getvalue())


def record(study: str, notebook: str, groups: Mapping[str, Iterable[Run]]) -> None:
    """Notes which runs a notebook of a study shows, under which label; the study's later notebooks read it."""
    content = {label: [run.key for run in group] for label, group in groups.items()}
    atomic.write(_record_file(study, notebook), json.dumps(content, indent=1) + "\n")


def recorded(study: str) -> dict[str, list[Run]]:
    """Label → runs of all that the study's notebooks have recorded, in the order of the notebooks.

    Where two notebooks use one label for different runs, the later one's gets its notebook's number.
    Raises: FileNotFoundError if nothing is recorded, or a recorded run is not in the store any more.
    """
    groups: dict[str, list[str]] = {}
    for file in sorted(_record_file(study, "x").parent.glob("*.json")):
        for name, keys in json.loads(file.read_text()).items():
            groups[name if groups.get(name, keys) == keys else f"{name} (notebook {file.name[:2]})"] = keys
    if not groups:
        raise FileNotFoundError(
            f"study '{study}' has no recorded runs; run `make report STUDY={study.split('@')[0]}` first, "
            "or set study to one that was run"
        )
    if missing := [key for keys in groups.values() for key in keys if find(key) is None]:
        raise FileNotFoundError(f"study '{study}': runs {', '.join(missing)} left the store; run its notebooks again")
    return {name: [Run(folder(key)) for key in keys] for name, keys in groups.items()}


def are_recorded(study: str, notebook: str) -> bool:
    """Whether all runs that a notebook of a study shows are in the store (true for one that shows none)."""
    file = _record_file(study, notebook)
    keys = json.loads(file.read_text()).values() if file.is_file() else []
    return all(find(key) for group in keys for key in group)


def has_records(study: str) -> bool:
    """Whether any notebook of the study has recorded runs."""
    return any(_record_file(study, "x").parent.glob("*.json"))


def _record_file(study: str, notebook: str) -> Path:
    return paths.report(study) / "tables" / f"{notebook}.runs.json"


def append_event(key: str, event: Mapping) -> None:
    """Adds one line to the run's event log."""
    with open(folder(key) / "events.jsonl", "a", encoding="utf-8") as file:
        file.write(json.dumps(event) + os.linesep)
