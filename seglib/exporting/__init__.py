"""A finished run as files that need nothing of seglib: ONNX and torch.export, checked, with a card beside them.

from seglib import exporting
exporting.export("best:demo", "my_model")
"""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from seglib import atomic, card, chosen, names
from seglib.exporting.checking import Figures, check
from seglib.exporting.description import describe
from seglib.exporting.files import FORMATS
from seglib.exporting.network import Captured, capture
from seglib.restore import restored
from seglib.runs import Run

ALL = "all"


@dataclass(frozen=True)
class Export:
    """What an export left: each file and what its check found, the card, and which sizes they take."""

    run: Run
    files: dict[Path, Figures]
    card: Path
    captured: Captured

    @property
    def size(self) -> str:
        """The heights and widths that the files take, in words."""
        if self.captured.why_fixed:
            return f"images of {self.captured.least} x {self.captured.least} pixels alone ({self.captured.why_fixed})"
        return (
            f"any number of images, heights and widths multiples of {self.captured.multiple} from {self.captured.least}"
        )


def export(run: Run | str, to: Path | str, format: str = ALL) -> Export:
    """Writes a run's model into a folder, in one format or all, and its model card beside it.

    Each file is compared with the model on real test images before anything is written: if one fails, none is left.
    Args: run — or what names it, see `chosen.run`; to — the folder, made if it is not there; format — onnx, torch, all.
    Raises: ValueError for a format there is not, a folder that holds another run's export, a run that was tested in
        training mode (a graph is in evaluation), and a file that is not the model; FileNotFoundError if there is no
        such run or its data are not there; ImportError without the packages that ONNX needs.
    """
    if format != ALL and format not in FORMATS:
        raise ValueError(names.unknown("format", format, [*FORMATS, ALL]))
    kinds = list(FORMATS.values()) if format == ALL else [FORMATS[format]]
    _assert_installed([package for kind in kinds for package in kind.needs])
    run, folder = chosen.run(run) if isinstance(run, str) else run, Path(to)
    if not run.config.test_in_eval_mode:
        raise ValueError(
            f"run {run.key} was tested in training mode (report 5's fault); no file would be what was tested"
        )
    found = _there(run, folder)
    model = restored(run)
    captured = capture(model, run.config.image_size)
    description, contents = describe(run, captured), {}
    for kind in kinds:
        made = kind(captured.program)
        figures = check(run, model, kind.network(made.content(description)), captured, kind.file)
        contents[kind.file] = made.content({**description, "check": figures.plain()})
        found[kind.file] = figures
    text = card.text(
        run, {kind.file: f"({kind.what}) {found[kind.file]}" for kind in FORMATS.values() if kind.file in found}
    )
    for file, content in contents.items():
        atomic.write(folder / file, content)
    atomic.write(folder / card.NAME, text)
    written = {folder / file: found[file] for file in contents}
    return Export(run, written, folder / card.NAME, captured)


def _assert_installed(packages: Sequence[str]) -> None:
    if missing := [package for package in packages if importlib.util.find_spec(package) is None]:
        raise ImportError(
            f"{', '.join(missing)} not installed, which ONNX needs: pip install 'seglib[export]'; or use format torch"
        )


def _there(run: Run, folder: Path) -> dict[str, Figures]:
    """The files of the same run that a folder holds already, in any format. Raises ValueError if one is another's."""
    card.assert_free(run, folder)
    found = {}
    for kind in FORMATS.values():
        if (file := folder / kind.file).is_file():
            try:
                told = kind.description(file.read_bytes())
                key, found[kind.file] = told["run"], Figures(**told["check"])
            except Exception:  # whatever a reader raises for what is no export
                key = "unknown"
            if key != run.key:
                raise ValueError(
                    f"{file} is there already and not of run {run.key} (its run: {key}); give another folder"
                )
    return found
