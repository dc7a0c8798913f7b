"""Runs as TensorBoard shows them: a folder per run below one log folder."""

import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from seglib import digest
from seglib.track import Log

MARK = "seglib.digest"  # in the folder of a run: of all that was written there


def write(logs: Iterable[Log], folder: Path) -> dict[str, bool]:
    """Writes each run's curves, test scores and config below the folder; key → whether it was (or else is unchanged).

    A run that has grown is written anew as a whole, in place of what was there, so that no point is there twice.
    Raises: ImportError if tensorboard is not installed; FileExistsError for a run's folder that something else wrote.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ImportError(f"tensorboard is not installed ({error}); `pip install tensorboard`") from None
    folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for log in logs:
        content, place = digest.of_value(asdict(log)), folder / log.key
        if place.exists() and not (place / MARK).is_file():
            raise FileExistsError(f"{place} was not written by `seglib track`; choose another folder")
        written[log.key] = not place.exists() or (place / MARK).read_text() != content
        if written[log.key]:
            scratch = Path(tempfile.mkdtemp(prefix=f".{log.key}-", dir=folder))
            try:
                with SummaryWriter(str(scratch)) as writer:
                    _fill(writer, log)
                (scratch / MARK).write_text(content)
                scratch.chmod(0o755)  # a scratch folder is its maker's alone
                shutil.rmtree(place, ignore_errors=True)
                scratch.rename(place)
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
    return written


def _fill(writer, log: Log) -> None:
    from torch.utils.tensorboard.summary import hparams

    for epoch, row in sorted(log.epochs.items()):
        for name, value in row.items():
            part, _, score = name.partition("_")
            writer.add_scalar(f"{score}/{part}", value, epoch, walltime=log.times[epoch])
    last = max(log.epochs, default=0)
    for name, value in log.test.items():
        writer.add_scalar(f"test/{name}", value, last, walltime=log.ended)
    lines = [f"**{log.label}**: {log.status}", "", "| field | value |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in {**log.config, **log.facts}.items()]
    writer.add_text("config", "\n".join(lines), last, walltime=log.ended or log.started)
    plain = bool | int | float | str
    fields = {name: value if isinstance(value, plain) else str(value) for name, value in log.config.items()}
    for summary in hparams(fields, {f"test/{name}": 0.0 for name in log.test}):
        writer.file_writer.add_summary(summary)
