"""The machine a run is carried out on: device, threads, seeds, versions."""

import os
import platform
import subprocess

import torch

from seglib import paths


def cores() -> int:
    """CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def device(name: str = "auto") -> torch.device:
    """The device to compute on; `auto` takes CUDA, then Apple's MPS, then the CPU.

    Raises: ValueError if a device is asked for by name and is not there.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(kind for kind, present in there.items() if present)
    if not there[name]:
        present = ", ".join(kind for kind, here in there.items() if here)
        raise ValueError(f"device: {name} was asked for and is not here; present: {present} (or use auto)")
    return torch.device(name)


def prepare(threads: int, seed: int) -> None:
    """Sets what the whole process computes with, before a run."""
    torch.set_num_threads(threads)
    torch.manual_seed(seed)


def commit() -> str:
    """The repository's commit, with `+` when tracked files differ from it; `unknown` outside a checkout."""
    git = ["git", "-C", str(paths.ROOT)]
    try:
        head = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True)
        dirty = subprocess.run([*git, "status", "--porcelain", "-uno"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.stdout.strip() + ("+" if dirty.stdout.strip() else "")


def processor(kind: str) -> str:
    """The name of the device of that kind (cpu, cuda, mps), as a reader would call it."""
    if kind == "cuda":
        return torch.cuda.get_device_name()
    return f"{platform.machine()} {platform.system()} {'GPU (MPS)' if kind == 'mps' else 'CPU'}, {cores()} cores"


def describe(kind: str | None = None) -> dict[str, str]:
    """Device (of that kind, else the one `auto` takes), commit and versions, as reports and meta.json show them."""
    return {
        "device": processor(kind or device().type),
        "commit": commit(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
