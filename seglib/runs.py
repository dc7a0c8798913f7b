"""The run store: `outputs/runs/<key>/` holds all that a finished run left, and every report is made from it."""

import contextlib
import csv
import functools
import io
import json
import os
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from seglib import atomic, digest, locks, paths, progress, seal
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
        return json.loads((self.folder / "meta.json").read_text(encoding="utf-8"))

    @functools.cached_property
    def config(self) -> Config:
        return from_mapping(json.loads((self.folder / "config.json").read_text(encoding="utf-8"))["config"])

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
        dice, the mean over images there. Binary: of the foreground, else of each class against the rest."""
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
    regimes = {"frozen": ("random encoder frozen", "frozen"), "fine_tune": ("from scratch", "fine-tuned")}
    regime = regimes[config.encoder][config.weights != "none"]
    if isinstance(config.start_from, dict):
        changes = {name: value for name, value in config.start_from.items() if value is not None}
        regime += f" from {', '.join(v if name == 'encoder' else f'{name}={v}' for name, v in changes.items())}"
    elif config.start_from:
        regime += f" from run {config.start_from}"
    return f"{network(config)}, {regime}"


def network(config: Config) -> str:
    """What the network alone is called: architecture and options that are not the default."""
    options = " ".join(f"{name}={value}" for name, value in config.model_options.items())
    return f"{config.model.rpartition(':')[2]}{f' ({options})' if options else ''}"


def folder(key: str) -> Path:
    return paths.runs() / key


def find(key: str) -> Run | None:
    """The finished run of that key, if the store has it whole; of a damaged one it is said that it is damaged."""
    if not (folder(key) / seal.META).is_file():
        return None
    if names := seal.damaged(folder(key)):
        warnings.warn(f"run {key} is damaged ({', '.join(names)}) and does not count as finished", stacklevel=2)
        return None
    return Run(folder(key))


def finished() -> list[Run]:
    """All finished runs of the store."""
    return [run for meta in sorted(paths.runs().glob(f"*/{seal.META}")) if (run := find(meta.parent.name))]


@contextlib.contextmanager
def lock(key: str):
    """Holds a key for this process alone; waits while another has it, and says so where progress is shown."""
    tell = progress.Progress(key, 0).tell
    with locks.held(
        locks.of_run(key), lambda holder: tell(f"run {key} is being trained by {holder}" if holder else "")
    ):
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


MODELS = "models"  # the family of runs that a study is about; others answer a question of their own


def record(study: str, notebook: str, families: Mapping[str, Mapping[str, Iterable[Run]]]) -> None:
    """Notes which runs a notebook of a study shows: family → label → runs; the study's later notebooks read it."""
    content = {
        family: {label: [run.key for run in group] for label, group in groups.items()}
        for family, groups in families.items()
        if groups
    }
    atomic.write(_record_file(study, notebook), json.dumps(seal.signed(content), indent=1) + "\n")


def families(study: str, notebooks: Collection[str] | None = None) -> dict[str, dict[str, list[Run]]]:
    """Family → label → runs of all that the study's notebooks have recorded, in the order of the notebooks; the models
    first, if there are any.

    Where two notebooks use one label of a family for different runs, the later one's gets its notebook's number; where
    one has fewer seeds of the same runs, all seeds stand under the one label.
    Args: notebooks — those whose records count, else all.
    Raises: FileNotFoundError if nothing is recorded, or a recorded run is not in the store any more.
    """
    found: dict[str, dict[str, list[str]]] = {MODELS: {}}
    for file, content in _records(study, notebooks):
        for family, groups in content.items():
            known = found.setdefault(family, {})
            for name, keys in groups.items():
                before = set(known.get(name, keys))
                if not (before <= set(keys) or set(keys) <= before):  # other runs, and not fewer seeds of the same
                    name = f"{name} (notebook {file.name[:2]})"
                known[name] = max(keys, known.get(name, keys), key=len)
    if not any(found.values()):
        raise FileNotFoundError(
            f"study '{study}' has no recorded runs; run `make report STUDY={study.split('@')[0]}` first, "
            "or set study to one that was run"
        )
    everything = [key for groups in found.values() for keys in groups.values() for key in keys]
    if missing := [key for key in everything if find(key) is None]:
        raise FileNotFoundError(f"study '{study}': runs {', '.join(missing)} left the store; run its notebooks again")
    return {
        family: {name: [Run(folder(key)) for key in keys] for name, keys in groups.items()}
        for family, groups in found.items()
        if groups
    }


def recorded(study: str) -> dict[str, list[Run]]:
    """Label → runs of the study's models, or of its first family if it has none. Raises as `families`."""
    return next(iter(families(study).values()))


def are_recorded(study: str, notebook: str) -> bool:
    """Whether all runs that a notebook of a study shows are in the store, and what it recorded is whole."""
    try:
        return all(map(find, recorded_by(study, notebook)))
    except ValueError:
        return False


def recorded_by(study: str, notebook: str) -> dict[str, str]:
    """Key → label of all runs that a notebook of a study has recorded."""
    parts = (groups for _, content in _records(study, [notebook]) for groups in content.values())
    return {key: label for groups in parts for label, keys in groups.items() for key in keys}


def has_records(study: str, notebooks: Collection[str] | None = None) -> bool:
    """Whether any of these notebooks of the study, or any at all, has recorded runs."""
    return any(content for _, content in _records(study, notebooks))


def _records(study: str, notebooks: Collection[str] | None = None) -> Iterator[tuple[Path, dict]]:
    """File and content of what each notebook of a study recorded. Raises: ValueError for a damaged or older file."""
    for file in sorted(_record_file(study, "x").parent.glob("*.runs.json")):
        if notebooks is None or file.name.removesuffix(".runs.json") in notebooks:
            content = seal.read_signed(file)
            if not all(isinstance(groups, dict) for groups in content.values()):
                raise ValueError(f"{file} was written by an older version of seglib; delete it and run its notebook")
            yield file, content


def _record_file(study: str, notebook: str) -> Path:
    return paths.report(study) / "tables" / f"{notebook}.runs.json"


def append_event(key: str, event: Mapping) -> None:
    """Adds one line to the run's event log."""
    with open(folder(key) / "events.jsonl", "ab+") as file:
        file.seek(-min(file.tell(), 1), os.SEEK_END)
        torn = file.read() not in (b"", b"\n")  # by a process that was killed while it wrote its last line
        file.write(b"\n" * torn + json.dumps(event).encode() + b"\n")
