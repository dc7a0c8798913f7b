"""Signs that something is as it was, seen without reading it and without torch: of files, of the machine, of libraries.

While every sign holds, what was found out before holds too. If one does not, nothing is concluded from it: the content
is looked at again. A file's signs are its inode, size and both its times: other bytes of the same size under the old
modification time are noticed by the time of change, which no program can set. Not noticed are bytes that changed on
the disk behind the system's back, and files on a system that keeps no such times.
"""

import os
import platform
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from seglib import digest

LIBRARIES = (  # that compute what pages show
    "ipykernel", "ipywidgets", "matplotlib", "numpy", "pandas", "papermill", "pillow", "pycocotools", "safetensors",
    "scipy", "torch", "torchinfo", "torchvision", "transformers",
)  # fmt: skip
LIMITS = (  # files that say which driver there is, and how much memory
    "/proc/driver/nvidia/version", "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes",
)  # fmt: skip
DEVICES = ("nvidia[0-9]*", "dxg", "kfd")  # of /dev: NVIDIA's, those of Windows' Linux, AMD's
VARIABLES = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES")


def of_files(paths: Iterable[Path]) -> dict[str, str]:
    """Path → digest of the signs of that file, or of every file in that folder; `absent` where there is none."""
    return {str(path): _of_path(path) for path in sorted(set(paths))}


def _of_path(path: Path) -> str:
    if not path.exists():
        return "absent"
    files = [path] if path.is_file() else (
        Path(folder, name) for folder, _, names in os.walk(path, followlinks=True) for name in names
    )  # fmt: skip
    return digest.of_value(sorted([str(file.relative_to(path)), _signs(file)] for file in files))


def _signs(file: Path) -> list[int]:
    try:
        status = file.stat()
    except FileNotFoundError:  # a link that leads nowhere
        return []
    return [status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def of_machine() -> dict[str, object]:
    """What the device, its cores and its memory follow from; torch alone says what it makes of them."""
    return {
        "system": [platform.system(), platform.machine()],
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "devices": sorted(str(file) for pattern in DEVICES for file in Path("/dev").glob(pattern)),
        "cards": sorted(map(_text, Path("/proc/driver/nvidia/gpus").glob("*/information"))),
        "limits": [_text(Path(file)) for file in LIMITS],
        "variables": [os.environ.get(name) for name in VARIABLES],
    }


def _text(file: Path) -> str:
    return file.read_text() if os.access(file, os.R_OK) else ""


def of_libraries(names: Iterable[str] = LIBRARIES) -> dict[str, str]:
    """Library → installed version; `absent` where it is not installed."""
    return {name: _version(name) for name in names}


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "absent"
