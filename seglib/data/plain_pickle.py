"""Pickles of plain data, read without running what is in them.

A pickle is a program that may call anything; the unpickler here knows containers, numbers, texts and arrays of whole
numbers, and refuses all else. Not even numpy's own functions are called: arrays are kept as what they are made of.
"""

import contextlib
import gzip
import pickle
import zlib
from collections.abc import Iterator
from pathlib import Path

import torch

MAX_BYTES = 8_000_000_000  # unpacked; Purdue's 10,000 images take about 2
BROKEN = (
    ValueError, TypeError, KeyError, IndexError, AttributeError, OSError, EOFError, OverflowError, MemoryError,
    zlib.error, pickle.UnpicklingError,
)  # fmt: skip


def load_gzip(path: Path) -> object:
    """The content of a gzip-compressed pickle.

    Raises: ValueError that names the file, if it is broken or holds anything but plain data; nothing of it is run.
    """
    try:
        with gzip.open(path) as file, _little_memory():
            return _PlainUnpickler(_Limited(file), encoding="latin1").load()
    except BROKEN as error:
        told = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{path} is broken, or no pickle of plain data: {told}") from None


def numbers(value: object) -> torch.Tensor:
    """A list or a pickled array of whole numbers as int64.

    Raises: ValueError or TypeError for anything else.
    """
    return value.tensor() if isinstance(value, _Array) else torch.tensor(value, dtype=torch.int64)


@contextlib.contextmanager
def _little_memory() -> Iterator[None]:
    """Lets this process have MAX_BYTES more than it has, where Linux can tell: a few bytes may ask for all there is."""
    import resource

    statistics = Path("/proc/self/statm")
    before, most = resource.getrlimit(resource.RLIMIT_AS)
    if statistics.is_file():
        limit = int(statistics.read_text().split()[0]) * resource.getpagesize() + MAX_BYTES
        told = [value for value in (limit, before, most) if value != resource.RLIM_INFINITY]
        resource.setrlimit(resource.RLIMIT_AS, (min(told), most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (before, most))


class _Limited:
    """A file that ends its reader's patience at MAX_BYTES."""

    def __init__(self, file):
        self.file, self.left = file, MAX_BYTES

    def read(self, size: int) -> bytes:
        return self._counted(self.file.read(min(size, self.left + 1)))

    def readline(self) -> bytes:
        return self._counted(self.file.readline(self.left + 1))

    def _counted(self, piece: bytes) -> bytes:
        self.left -= len(piece)
        if self.left < 0:
            raise ValueError(f"more than {MAX_BYTES:,} bytes unpacked")
        return piece


class _Array:
    """Stands in for numpy.ndarray: keeps what a pickled array is made of, and is one only when asked."""

    def __init__(self, *arguments):
        self.state = None

    def __setstate__(self, state):
        _, self.shape, kind, self.fortran, self.bytes = state
        self.kind = getattr(kind, "kind", None)

    def tensor(self) -> torch.Tensor:
        import numpy as np

        if self.kind not in ("u1", "i1", "i2", "i4", "i8", "u2", "u4", "b1") or not isinstance(self.bytes, bytes | str):
            raise ValueError(f"an array of {self.kind}, expected whole numbers")
        raw = self.bytes.encode("latin1") if isinstance(self.bytes, str) else self.bytes
        flat = np.frombuffer(raw, np.dtype(self.kind).newbyteorder("<"))
        return torch.from_numpy(flat.reshape(self.shape, order="F" if self.fortran else "C").astype(np.int64))


class _Kind:
    """Stands in for numpy.dtype."""

    def __init__(self, kind="", *arguments):
        self.kind = str(kind)

    def __setstate__(self, state):
        if state[1] == ">":
            raise ValueError("a big-endian array")


def _encode(text: str, encoding: str) -> bytes:
    """How Python 3 writes bytes into an old pickle protocol."""
    if encoding != "latin1":
        raise ValueError(f"bytes as {encoding}")
    return text.encode("latin1")


def _scalar(kind: "_Kind", raw: bytes) -> tuple:
    """A number of numpy's own kind, as in the boxes; nobody reads it."""
    return kind.kind, raw


def _from_buffer(buffer: bytes, kind: "_Kind", shape: tuple, order: str) -> _Array:
    """How protocol 5 writes an array."""
    array = _Array()
    array.__setstate__((1, shape, kind, order == "F", bytes(buffer)))
    return array


PLAIN = {
    **{(f"numpy.{core}.numeric", "_frombuffer"): _from_buffer for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "_reconstruct"): lambda *arguments: _Array() for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _scalar for core in ("core", "_core")},
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Kind,
    ("_codecs", "encode"): _encode,
}


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str):
        if (module, name) not in PLAIN:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, and plain data need none of it; not run")
        return PLAIN[module, name]
