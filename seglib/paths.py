"""Every folder the workbook reads or writes; nothing else in the project spells a path."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
PARAMS = ROOT / "params"


def _from_environment(variable: str, default: Path) -> Path:
    """A folder named by an environment variable; relative means relative to the repository, whatever the cwd."""
    return (ROOT / Path(os.environ[variable]).expanduser()).resolve() if os.environ.get(variable) else default


def outputs() -> Path:
    """Reports and runs: `outputs/`, or the folder SEGLIB_OUTPUTS names."""
    return _from_environment("SEGLIB_OUTPUTS", ROOT / "outputs")


def runs() -> Path:
    """The run store, one folder per run key."""
    return outputs() / "runs"


def report(study: str) -> Path:
    """The folder of one study's report."""
    return outputs() / study


def data() -> Path:
    """Root of the image sets on disk: `data/`, or the folder SEGLIB_DATA names."""
    return _from_environment("SEGLIB_DATA", ROOT / "data")


def cache() -> Path:
    """What can be had again (downloaded weights, decoded images): SEGLIB_CACHE, else the user's cache folder."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return _from_environment("SEGLIB_CACHE", home / "seglib")
