"""Which image files are meant: files, folders and patterns, each image once and under a name of its own."""

import glob
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from seglib.data.files import SUFFIXES

MAGIC = set("*?[")


class Image(NamedTuple):
    """An image file, and its name: its path below the folder that all sources share, suffix and all."""

    name: str
    path: Path


def find(sources: Sequence[str | Path], target: str | Path, recursive: bool = False) -> list[Image]:
    """The images of files, folders and glob patterns, sorted, each once.

    A file is taken whatever its suffix; of a folder or pattern the files with an image's suffix that are not hidden.
    Args: target — where masks go, of which none is an image; recursive — folders with all that is below them.
    Raises: FileNotFoundError for a source that is not there, matches nothing or holds no images; ValueError for one in
        the target.
    """
    if not sources:
        raise ValueError("no source was given; name an image, a folder of images or a pattern such as 'photos/*.jpg'")
    target, found = _absolute(Path(target)), {}
    bases = []
    for source in sources:
        base, paths = _one(Path(source).expanduser(), recursive)
        if _absolute(base).is_relative_to(target):
            raise ValueError(f"{source} lies in {target}, where masks are to go; choose another folder for them")
        kept = [path for path in map(_absolute, paths) if not path.is_relative_to(target)]
        if not kept:
            hint = "" if recursive else "; --recursive (recursive=True) looks into folders, too"
            raise FileNotFoundError(f"no images in {source}, expected {', '.join(sorted(SUFFIXES))}{hint}")
        found |= dict.fromkeys(kept)
        bases.append(_absolute(base))
    root = Path(os.path.commonpath(bases))
    return sorted(Image(path.relative_to(root).as_posix(), path) for path in found)


def _one(source: Path, recursive: bool) -> tuple[Path, list[Path]]:
    """The folder that names start from, and the files."""
    if source.is_dir():
        return source, _below(source, recursive)
    if os.path.lexists(source):  # also a link to nowhere, which is told of as what cannot be read
        return source.parent, [source]
    if not MAGIC & set(str(source)):
        raise FileNotFoundError(f"{source} is not there; expected an image, a folder of images or a pattern")
    fixed = []
    for part in source.parts[:-1]:
        if MAGIC & set(part):
            break
        fixed.append(part)
    matches = map(Path, glob.glob(str(source), recursive=True))
    return Path(*fixed), [path for path in matches if not path.is_dir() and _is_image(path)]


def _below(folder: Path, recursive: bool) -> list[Path]:
    found = []
    for here, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if recursive and not name.startswith(".")]
        found += [Path(here, name) for name in files if _is_image(Path(name))]
    return found


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def _absolute(path: Path) -> Path:
    """Without `..` but with links as they are named: a link to an image is an image of its own."""
    return Path(os.path.abspath(path))
