"""Everything random is a function of a seed and counters (epoch, image), never of what was drawn before."""

import hashlib
import math

import torch

_GOLDEN, _MIX_1, _MIX_2 = (
    -7046029254386353131,
    -4658895280553007687,
    -7723592293110705685,
)  # splitmix64, as int64


def generator(seed: int, counter: int) -> torch.Generator:
    """Random numbers that depend on (seed, counter) alone; no two counters of a seed share a stream.

    torch's CPU generator takes the lower 32 bits of what it is seeded with, so both go in there.
    """
    offset = int(hashlib.sha256(str(seed).encode()).hexdigest()[:8], 16)
    return torch.Generator().manual_seed((offset + counter) % 2**32)


def integer(*counters: int) -> int:
    """A number below 2^63 that depends on these integers alone."""
    return int.from_bytes(hashlib.sha256(repr(counters).encode()).digest()[:8], "big") >> 1


def uniforms(seed: int, epoch: int, indices: torch.Tensor, count: int) -> torch.Tensor:
    """`count` independent numbers in [0, 1) per index, from a counter-based generator.

    Shape: indices (N,) int64; returns (N, count) float32.
    Reference: Steele, Lea and Flood, Fast Splittable Pseudorandom Number Generators, 2014 (the finaliser).
    """
    bits = _mix(_states(seed, epoch, indices)[:, None] + torch.arange(count, device=indices.device))
    return ((bits >> 40) & 0xFFFFFF).float() / 2**24


def normals(seed: int, epoch: int, indices: torch.Tensor, count: int) -> torch.Tensor:
    """`count` independent standard normal numbers per index, none of them shared with `uniforms`.

    Two come from the halves of one hash: Box and Muller, A Note on the Generation of Random Normal Deviates, 1958.
    Shape: indices (N,) int64; returns (N, count) float32.
    """
    pairs = torch.arange((count + 1) // 2, device=indices.device) + 2**32  # counters that `uniforms` never reaches
    bits = _mix(_states(seed, epoch, indices)[:, None] + pairs)
    radius = (-2 * (((bits >> 40) & 0xFFFFFF).float() + 1).div(2**24).log()).sqrt()
    angle = ((bits >> 16) & 0xFFFFFF).float() * (2 * math.pi / 2**24)
    return torch.cat([radius * angle.cos(), radius * angle.sin()], dim=1)[:, :count]


def _states(seed: int, epoch: int, indices: torch.Tensor) -> torch.Tensor:
    """The start of each index' own sequence, (N,) int64."""
    start = int(_mix(_mix(torch.tensor(seed)) + epoch))  # on the CPU: a device would be waited for
    return _mix(indices + start)


def _mix(z: torch.Tensor) -> torch.Tensor:
    z = z + _GOLDEN
    z = (z ^ ((z >> 30) & (2**34 - 1))) * _MIX_1
    z = (z ^ ((z >> 27) & (2**37 - 1))) * _MIX_2
    return z ^ ((z >> 31) & (2**33 - 1))
