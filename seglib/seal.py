"""Whether a finished run is as it was written: meta.json holds the size and digest of every file, and its own digest.

The files that pages are made of are read whole and compared; the weights, which are large, by their size alone until
something loads them.
"""

import functools
import json
from collections.abc import Mapping
from pathlib import Path

from seglib import atomic, digest

META = "meta.json"
WEIGHTS = "model.safetensors"
SIGNATURE = "sha256"  # key of a JSON file's own digest
GROWING = {"events.jsonl"}  # appended to after the end


def write(folder: Path, meta: Mapping) -> None:
    """Writes meta.json with the digests of all files beside it; it makes the run finished, so it comes last."""
    files = sorted(f for f in folder.iterdir() if f.is_file() and not f.name.startswith((".", "state")))
    known = {
        f.name: {"bytes": f.stat().st_size, "sha256": digest.of_file(f)}
        for f in files
        if f.name not in GROWING | {META}
    }
    content = {**meta, "files": known}
    atomic.write(folder / META, json.dumps(signed(content), indent=1, ensure_ascii=False) + "\n")


def damaged(folder: Path, weights: bool = False) -> list[str]:
    """The files of a finished run that are missing or not as they were written; `weights` reads these too."""
    try:
        content = json.loads((folder / META).read_text(encoding="utf-8"))
        told = content.pop(SIGNATURE)
        files = dict(content["files"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return [META]
    if told != digest.of_value(content):
        return [META]
    return [name for name, known in files.items() if not _is_as_written(folder / name, known, weights)]


def weights(folder: Path) -> dict:
    """The tensors of a finished run's model by name; the one way to load them, since it reads the file whole first.

    Raises: ValueError that says what to do, if any file of the run is not as it was written.
    """
    from safetensors.torch import load_file

    if names := damaged(folder, weights=True):
        raise ValueError(
            f"run {folder.name} is damaged ({', '.join(names)}); delete {folder}, so that it is trained again"
        )
    return load_file(folder / WEIGHTS)


def signed(content: Mapping) -> dict:
    """A mapping with its own digest beside what it holds, for a JSON file that no run's seal covers."""
    return {**content, SIGNATURE: digest.of_value(content)}


def read_signed(file: Path) -> dict:
    """The content of a JSON file written from `signed`, or by an older version that signed nothing.

    Raises: ValueError that names the file, if it is not as it was written.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        told = content.pop(SIGNATURE, None)
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{file} is damaged ({error}); delete it, it is made anew") from None
    if told not in (None, digest.of_value(content)):
        raise ValueError(f"{file} is damaged (it is not as it was written); delete it, it is made anew")
    return content


def signed_page(page: str) -> str:
    """An HTML page with its own digest at its end, for one that more than one study's report writes."""
    return f"{page}<!-- sha256 {digest.of_value(page)} -->\n"


def is_whole_page(file: Path) -> bool:
    """Whether a page is there as `signed_page` made it."""
    text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
    page, mark, _ = text.rpartition("<!-- ")
    return bool(mark) and text == signed_page(page)


def _is_as_written(file: Path, known: Mapping, weights: bool) -> bool:
    if not file.is_file() or file.stat().st_size != known["bytes"]:
        return False
    if file.name == WEIGHTS and not weights:
        return True
    return _digest(file, file.stat().st_ino, file.stat().st_mtime_ns, file.stat().st_ctime_ns) == known["sha256"]


@functools.lru_cache(maxsize=4096)
def _digest(file: Path, *state: int) -> str:
    """Of a file in this state, computed once per process."""
    return digest.of_file(file)
