"""Runs killed at their k-th file operation and started again: `python tests/killed.py FOLDER [K…]`, all K if none.

One process imports torch and forks a child for every run. A child counts what it does to files (openings for writing,
renamings, removals, new folders, fsync, locks) and kills itself, as `kill -9` would, right before number K. One line of
JSON on each run tells what the store held before and after the run was started again; the first line, of the run that
nobody killed, how many operations there are.
"""

import json
import os
import shutil
import signal
import sys
from pathlib import Path

import torch

from seglib import digest, experiment, job, runs
from seglib.config import Config

TINY = Config(
    image_size=32, train_images=6, val_images=2, test_images=3, epochs=2, batch_size=4, device="cpu", threads=1,
    horizontal_flip=True, model="unet", model_options={"width": 0.0625},
)  # fmt: skip
NEIGHBOUR = TINY.with_(seed=7, epochs=1)  # a finished run beside it, which must not suffer
OPERATIONS = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "fcntl.flock"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
VARYING = {"meta.json", "events.jsonl"}  # hold times


class Killer:
    """Counts this process' file operations below a folder and ends it before number `last`; 0 never."""

    def __init__(self, folder: Path, last: int):
        self.folder, self.last, self.told = str(folder), last, []
        sys.addaudithook(self.hear)
        fsync = os.fsync
        os.fsync = lambda number: (self.count("os.fsync", self.folder), fsync(number))

    def hear(self, event: str, arguments: tuple) -> None:
        if event == "open":
            path, mode, flags = arguments
            if isinstance(path, str | os.PathLike) and ((mode and set(mode) & set("wax+")) or flags & WRITING):
                self.count(event, os.fspath(path))
        elif event in OPERATIONS:
            self.count(event, str(arguments[0]))

    def count(self, event: str, path: str) -> None:
        if path.startswith(self.folder) or event == "fcntl.flock":
            self.told.append(f"{event} {Path(path).name}")
            if len(self.told) == self.last:
                os.kill(os.getpid(), signal.SIGKILL)


def forked(folder: Path, last: int = 0) -> int:
    """Runs TINY in a child that is killed before its operation number `last`; its exit status."""
    if child := os.fork():
        return os.waitpid(child, 0)[1]
    status = 1
    try:
        killer = Killer(folder, last)
        experiment.run(TINY)
        (folder / "operations").write_text("\n".join(killer.told))
        status = 0
    finally:
        os._exit(status)


def use(folder: Path) -> None:
    os.environ |= {"SEGLIB_OUTPUTS": str(folder / "outputs"), "SEGLIB_CACHE": str(folder / "cache")}


def state(key: str) -> dict[str, str]:
    """File → digest of what a run holds, those of its files that hold times by their name alone."""
    files = sorted(runs.folder(key).iterdir()) if runs.folder(key).is_dir() else []
    return {file.name: "" if file.name in VARYING else digest.of_file(file) for file in files}


def tried(base: Path, folder: Path, points: list[int], key: str, other: str) -> dict:
    """What came of a run that was killed at each of these points in turn, and then left alone."""
    shutil.copytree(base, folder)
    use(folder)
    beside, row = state(other), {"points": points, "whole": [], "statuses": []}
    for point in points:
        row["statuses"].append(forked(folder, point))
        row["whole"].append(state(key) if runs.find(key) else None)
    row["files then"] = sorted(state(key))
    row["status"], row["after"] = forked(folder), state(key)
    row["finished"] = runs.find(key) is not None
    row["beside"] = state(other) == beside and runs.find(other) is not None
    shutil.rmtree(folder)
    return row


def main(folder: Path, chosen: list[str]) -> None:
    """Args: chosen — points, each a number or several with commas for a run that is killed that many times."""
    torch.set_num_threads(1)
    job.SAVE_SECONDS, job.SAVE_SHARE = 0.0, 1e9  # a state after every step
    base = folder / "base"
    use(base)
    key, other = (runs.key_of(experiment.inputs(experiment.resolve(config))) for config in (TINY, NEIGHBOUR))
    experiment.run(NEIGHBOUR)  # here and not in a child, so that all that it imports and measures is there for them
    shutil.rmtree(base / "cache")  # so that decoding is killed too
    reference = folder / "reference"
    shutil.copytree(base, reference)
    use(reference)
    assert forked(reference) == 0
    operations = (reference / "operations").read_text().splitlines()
    print(json.dumps({"operations": operations, "reference": state(key)}), flush=True)
    count = len(operations)
    wanted = [[int(k) for k in text.split(",")] for text in chosen] or [[k] for k in range(1, count + 1)]
    for points in wanted:
        points = [min(k, count) if k > 0 else count + k for k in points]  # 0 is the last, -1 the one before it
        print(json.dumps(tried(base, folder / "tried", points, key, other)), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
