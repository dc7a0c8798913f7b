"""The digests of data files: by content, and not computed again while a file is as it was.

A file is as it was while its inode, size and both its times are; so a fingerprint of ten thousand files takes
milliseconds the second time.
"""

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from seglib import atomic, digest, paths, runtime


def of_files(files: Iterable[Path], root: Path) -> dict[Path, str]:
    """File → sha256 (hex) of its content. `root` names the cache: the folder that all of them lie in.

    Raises: FileNotFoundError that names a file which is not there.
    """
    files = list(files)
    memory = paths.cache() / "digests" / f"{digest.of_value(str(root))[:24]}.json"
    known = _remembered(memory)
    states = {file: _state(file) for file in files}
    stale = [file for file in files if known.get(str(file), [None])[0] != states[file]]
    if stale:
        with ThreadPoolExecutor(runtime.cores()) as pool:
            fresh = dict(zip(stale, pool.map(digest.of_file, stale), strict=True))
        known |= {str(file): [states[file], value] for file, value in fresh.items()}
        atomic.write(memory, json.dumps({"files": known, "sha256": digest.of_value(known)}))
    return {file: known[str(file)][1] for file in files}


def _remembered(memory: Path) -> dict:
    """What was computed before; nothing, if that file is not as it was written."""
    try:
        content = json.loads(memory.read_text(encoding="utf-8"))
        return content["files"] if content["sha256"] == digest.of_value(content["files"]) else {}
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return {}


def _state(file: Path) -> str:
    status = file.stat()
    return f"{status.st_ino} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"
