"""Checkpoints of Segment Anything: which there are, whether they are here, and how to get them; none comes unasked.

A checkpoint is a folder as transformers saves it: config.json, preprocessor_config.json (or processor_config.json) and
weights as safetensors; no other file is read. It is looked for in the cache, where `seglib weights NAME` puts it, then
in Hugging Face's own cache.
"""

import importlib.util
import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from seglib import atomic, digest, names, paths

CONFIG, ORIGIN = "config.json", "origin.json"
PROCESSORS = ("preprocessor_config.json", "processor_config.json")
WEIGHTS = "*.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """Where a checkpoint is published, under which commit (None: the newest when it is fetched), and its size."""

    repo: str
    revision: str | None
    megabytes: int  # about
    what: str


CHECKPOINTS = {
    "slimsam-77": Checkpoint("Zigeng/SlimSAM-uniform-77", None, 39, "SAM pruned by 77 %, the small one"),
    "sam-vit-base": Checkpoint(
        "facebook/sam-vit-base", "70c1a07f894ebb5b307fd9eaaee97b9dfc16068f", 375, "SAM with ViT-B, the base one"
    ),
    "sam2.1-hiera-tiny": Checkpoint("facebook/sam2.1-hiera-tiny", None, 156, "SAM 2.1, tiny"),
    "sam2.1-hiera-small": Checkpoint(
        "facebook/sam2.1-hiera-small", "ee5bba1d82bb8749febdf90f45e84b687142ba03", 184, "SAM 2.1, small"
    ),
}


def check(wanted: Iterable[str]) -> None:
    """Raises ValueError for what is neither the name of a checkpoint nor a folder that holds one."""
    for name in wanted:
        if name not in CHECKPOINTS and not is_whole(_folder(name)):
            raise ValueError(
                names.unknown("checkpoint", name, CHECKPOINTS)
                + f", or a folder with {CONFIG}, {PROCESSORS[0]} and {WEIGHTS} (this is none)"
            )


def find(name: str) -> Path | None:
    """The folder of a checkpoint, if it is here; nothing is fetched. Raises: as `check`."""
    check([name])
    return next(filter(is_whole, places(name)), None)


def places(name: str) -> list[Path]:
    """The folders in which a checkpoint is looked for, in turn."""
    return [_cached(name), *_hub_snapshots(CHECKPOINTS[name])] if name in CHECKPOINTS else [_folder(name)]


def title(name: str) -> str:
    """What a checkpoint is called on a page: its name, or the last part of its folder."""
    return name if name in CHECKPOINTS else _folder(name).name


def is_whole(folder: Path) -> bool:
    """Whether a folder holds all that a checkpoint needs."""
    has_processor = any((folder / name).is_file() for name in PROCESSORS)
    return (folder / CONFIG).is_file() and has_processor and any(folder.glob(WEIGHTS))


def files(folder: Path) -> list[Path]:
    """What of a folder is read."""
    named = [folder / name for name in (CONFIG, *PROCESSORS) if (folder / name).is_file()]
    return [*named, *sorted(folder.glob(WEIGHTS))]


def identity(folder: Path) -> str:
    """What tells this checkpoint from others: the digest of all of its files."""
    from seglib.data import fingerprint

    found = fingerprint.of_files(files(folder), folder)
    return digest.of_value({file.name: value for file, value in found.items()})


def at_hand(wanted: Iterable[str]) -> dict[str, str]:
    """Checkpoint → identity, of those that can be run now: what a page depends on besides its runs."""
    if not transformers_installed():
        return {}
    return {name: identity(folder) for name in wanted if (folder := find(name))}


def transformers_installed() -> bool:
    return importlib.util.find_spec("transformers") is not None


def origin(name: str, folder: Path) -> str:
    """Repository, commit and the digest of a checkpoint's files, as a page names them."""
    return f"{_published(name, folder)}; digest {identity(folder)[:12]}"


def _published(name: str, folder: Path) -> str:
    if (folder / ORIGIN).is_file():
        told = json.loads((folder / ORIGIN).read_text(encoding="utf-8"))
        return f"{told['repo']}, commit {told['revision'][:12]}"
    if folder.parent.name == "snapshots":
        return f"{CHECKPOINTS[name].repo}, commit {folder.name[:12]}, from Hugging Face's cache"
    return f"the folder {folder.name}" if name not in CHECKPOINTS else "put into the cache by hand"


def fetch(name: str) -> Path:
    """Downloads a checkpoint into the cache, weights as safetensors alone; its folder. What is here already stays.

    Raises: ValueError for an unknown name, or a repository without such weights; FileNotFoundError if it cannot be
        fetched, with what to put where by hand; ModuleNotFoundError without huggingface_hub.
    """
    if name not in CHECKPOINTS:
        raise ValueError(names.unknown("checkpoint", name, CHECKPOINTS))
    if found := find(name):
        return found
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # it is read at the import
    try:
        from httpx import HTTPError
        from huggingface_hub import HfApi, snapshot_download
        from huggingface_hub.errors import HfHubHTTPError
    except ImportError as error:
        raise ModuleNotFoundError(f"fetching {name} needs huggingface_hub ({error}); pip install -e '.[sam]'") from None
    known, part = CHECKPOINTS[name], _cached(f"{name}.part")
    try:
        revision = known.revision or HfApi().model_info(known.repo).sha
        patterns = [CONFIG, *PROCESSORS, WEIGHTS]
        snapshot_download(known.repo, revision=revision, allow_patterns=patterns, local_dir=part)
    except (OSError, HTTPError, HfHubHTTPError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise FileNotFoundError(
            f"{name} could not be fetched ({reason}); by hand: put {CONFIG}, {PROCESSORS[0]} and model.safetensors of "
            f"huggingface.co/{known.repo} into {_cached(name)}, or name their folder in `checkpoints`"
        ) from None
    if not is_whole(part):
        raise ValueError(f"{known.repo} at {revision} does not hold {CONFIG}, {PROCESSORS[0]} and {WEIGHTS}")
    atomic.write(part / ORIGIN, json.dumps({"repo": known.repo, "revision": revision}) + "\n")
    shutil.rmtree(_cached(name), ignore_errors=True)  # of a folder that was not whole
    return part.replace(_cached(name))


def _folder(name: str) -> Path:
    return paths.ROOT / Path(name).expanduser()  # a notebook does not run in the root


def _cached(name: str) -> Path:
    return paths.cache() / "sam" / name


def _hub_snapshots(known: Checkpoint) -> list[Path]:
    """The folders that Hugging Face's cache may have it in, without importing their library: that takes a second."""
    home = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")
    repo = Path(os.environ.get("HF_HUB_CACHE") or home / "hub") / f"models--{known.repo.replace('/', '--')}"
    newest = repo / "refs" / "main"
    revision = known.revision or (newest.read_text(encoding="utf-8").strip() if newest.is_file() else "none")
    return [repo / "snapshots" / revision]
