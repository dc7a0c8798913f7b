"""Images on their way from files to logits: read ahead by threads, a batch at a time through the model."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import torch

from seglib import digest, runtime
from seglib.prediction import photo
from seglib.prediction.photo import Photo
from seglib.prediction.predictor import Predictor, Way
from seglib.prediction.sources import Image

READERS, FINISHERS = 8, 4  # threads at most; each holds one image at its own size
AHEAD = 2  # batches read before they are asked for

Item, Result = TypeVar("Item"), TypeVar("Result")


class Read(NamedTuple):
    """What came of reading an image: a photo, an error, or neither where it is done already."""

    image: Image
    sha256: str = ""  # of the file
    photo: Photo | None = None
    error: str = ""


class Workers:
    """Threads that work beside the model: some read images, some finish masks. What fails ends all of them.

    Args: way, batch_size — how the model takes images: a batch of them at a time, or the tiles of one. So many are
        read ahead, and so many may wait to be finished: of a batch all, or the model would wait for its last images.
    """

    def __init__(self, way: Way, batch_size: int):
        self.ahead = AHEAD * (1 if way.tile else batch_size)
        self.behind = FINISHERS if way.tile else batch_size

    def __enter__(self) -> "Workers":
        self.readers = ThreadPoolExecutor(min(READERS, runtime.cores()), "read")
        self.finishers = ThreadPoolExecutor(min(FINISHERS, runtime.cores()), "finish")
        return self

    def __exit__(self, *_) -> None:
        for pool in (self.readers, self.finishers):
            pool.shutdown(wait=True, cancel_futures=True)

    def read(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """The results of reading items, in their order."""
        return _in_order((self.readers.submit(work, item) for item in items), self.ahead)

    def finish(self, work: Callable[..., Result], items: Iterable[tuple]) -> Iterator[Result]:
        """The results of finishing items, in their order; the next ones are made meanwhile."""
        return _in_order((self.finishers.submit(work, *item) for item in items), self.behind)


def _in_order(futures: Iterator[Future], ahead: int) -> Iterator:
    waiting: deque[Future] = deque()
    for future in futures:
        waiting.append(future)
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def read(image: Image, side: int, way: Way, is_done: Callable[[Image, str], bool]) -> Read:
    """An image read from its file, unless it is done already; what cannot be read is told and raises nothing."""
    try:
        sha256 = digest.of_file(image.path)
        if is_done(image, sha256):
            return Read(image, sha256)
        return Read(image, sha256, photo.read(image.path, side, way.tile, way.overlap))
    except (OSError, ValueError) as error:
        return Read(image, error=str(error))


def forwarded(
    reads: Iterable[Read], predictor: Predictor, way: Way, batch_size: int
) -> Iterator[tuple[Read, Sequence[torch.Tensor] | None]]:
    """Each read image with its logits, (T, V, C, S, S); None for one without a photo, which comes at once."""
    waiting: list[Read] = []
    for each in reads:
        if each.photo is None:
            yield each, None
            continue
        waiting.append(each)
        if sum(len(one.photo.inputs) for one in waiting) >= batch_size:
            yield from _forward(waiting, predictor, way, batch_size)
            waiting = []
    if waiting:
        yield from _forward(waiting, predictor, way, batch_size)


def _forward(waiting: Sequence[Read], predictor: Predictor, way: Way, batch_size: int):
    inputs = torch.cat([each.photo.inputs for each in waiting])
    logits = torch.cat([predictor.logits(part, way.flips) for part in inputs.split(batch_size)])
    return zip(waiting, logits.split([len(each.photo.inputs) for each in waiting]), strict=True)
