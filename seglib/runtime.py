"""The machine a run is carried out on: device, threads, seeds, versions."""

import os
import platform
import resource
import subprocess
from pathlib import Path

import torch

from seglib import paths

KERNELS = (  # environment variables that choose the kernels of libraries
    "ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS", "MKL_CBWR",
)  # fmt: skip


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


def precision(name: str, kind: str) -> str:
    """`auto` as the precision a device of that kind is quick in; any other name as it is."""
    if name != "auto":
        return name
    return "bfloat16" if kind == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False) else "float32"


def prepare(threads: int, seed: int, deterministic: bool = True) -> None:
    """Sets what the whole process computes with, before a run."""
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS is not deterministic
    torch.use_deterministic_algorithms(deterministic)
    torch.utils.deterministic.fill_uninitialized_memory = False
    torch.backends.cudnn.benchmark = not deterministic
    torch.backends.cudnn.allow_tf32 = False  # float32 is float32; who wants speed takes bfloat16


def reset_peak_memory(kind: str) -> None:
    """Starts a new peak where the system can: CUDA's own, and Linux's of this process."""
    if kind == "cuda":
        torch.cuda.reset_peak_memory_stats()
    elif os.access("/proc/self/clear_refs", os.W_OK):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory_mb(kind: str) -> int:
    """Peak memory of the device since the reset, or of this process where the device is the CPU, in MB."""
    if kind == "cuda":
        return torch.cuda.max_memory_allocated() // 10**6
    if os.access("/proc/self/status", os.R_OK):
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 // 10**6 for line in lines if line.startswith("VmHWM"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 10**6  # of macOS, in bytes


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


def machine(kind: str) -> str:
    """What decides the last bits of a result beside its config: processor, kernels, version of torch."""
    if kind != "cpu":
        return f"{processor(kind)}, torch {torch.__version__}"
    limits = " ".join(f"{name}={os.environ[name]}" for name in KERNELS if name in os.environ)
    return f"{_model()}, {torch.backends.cpu.get_cpu_capability()} kernels, torch {torch.__version__} {limits}".strip()


def _model() -> str:
    """The processor's model, as Linux numbers and names it."""
    file = Path("/proc/cpuinfo")
    if not file.is_file():
        return platform.processor() or platform.machine()
    told = dict(line.split(":", 1) for line in file.read_text().split("\n\n")[0].splitlines() if ":" in line)
    facts = {name.strip(): value.strip() for name, value in told.items()}
    named = ", ".join(f"{name} {facts[name]}" for name in ("cpu family", "model", "stepping") if name in facts)
    return f"{facts.get('model name', platform.machine())} ({named})" if named else platform.machine()


def describe(kind: str | None = None) -> dict[str, str]:
    """Device (of that kind, else the one `auto` takes), commit and versions, as reports and meta.json show them."""
    return {
        "device": processor(kind or device().type),
        "commit": commit(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
