"""Throughput of the data path, beside torchvision v2 per sample, Kornia (if installed) and a plain DataLoader.

    python bench/data.py                      # generated files; --isic for the images under $SEGLIB_DATA/isic2016

Decoding: image files and masks to uint8 tensors of one size, images per second. Augmentation: flips, rotation, crop,
colour jitter and noise of image and mask, images per second, on one batch at a time. A plain DataLoader decodes,
resizes and augments every file in every epoch, as most tutorials do; ours decodes once. Every row is the median of
the repeats with their range; ratios are to ours.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from seglib import data, runtime
from seglib.batches import training_batch
from seglib.config import Config
from seglib.data import files, isic2016

AUGMENTATION = {"horizontal_flip": True, "vertical_flip": True, "rotation": 15.0, "crop": 0.7, "color_jitter": 0.2,
                "noise": 0.02}  # fmt: skip
MASK = isic2016.MASK_VALUES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--isic", action="store_true", help="the images of $SEGLIB_DATA/isic2016, not generated ones")
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    print(" · ".join(f"{name} {value}" for name, value in runtime.describe("cpu").items()))
    threads = torch.get_num_threads()
    print(
        f"{options.images} images, {options.size} px, batches of {options.batch}, {options.repeats} repeats, ", end=""
    )
    print(f"{threads} CPU thread{'s' * (threads > 1)}\n")
    with tempfile.TemporaryDirectory() as scratch:
        if not options.isic:
            write_files(Path(scratch), options.images)
            os.environ["SEGLIB_DATA"] = scratch
        config = Config(
            dataset="isic2016", image_size=options.size, train_images=options.images, batch_size=options.batch,
            **AUGMENTATION,
        )  # fmt: skip
        pairs = [data.open_source(config)._pair("train", name) for name in data.open_source(config).names("train")]
        table("decoding and resizing once", decoders(config, pairs), options)
        table("augmentation of decoded images", augmenters(config), options)
        table("a training epoch's data: decoding and augmentation", epochs(config, pairs), options)


def table(title: str, rows: dict[str, Callable[[], int]], options) -> None:
    """Measures each row and prints images per second, median (lowest to highest), and ours over it."""
    print(title)
    rates = {}
    for name, work in rows.items():
        work()  # warm: pages, caches, lazy imports
        rates[name] = sorted(timed(work) for _ in range(options.repeats))
    ours = statistics.median(next(iter(rates.values())))
    for name, rate in rates.items():
        middle = statistics.median(rate)
        ratios = f"ours is {ours / middle:.2f} times as fast" if middle != ours else ""
        print(f"  {name:<42} {middle:>9,.0f} images/s ({rate[0]:,.0f} to {rate[-1]:,.0f})  {ratios}")
    print()


def timed(work: Callable[[], int]) -> float:
    started = time.perf_counter()
    return work() / (time.perf_counter() - started)


def decoders(config: Config, pairs) -> dict[str, Callable[[], int]]:
    size = config.image_size

    def store() -> int:
        with tempfile.TemporaryDirectory() as cache:
            os.environ["SEGLIB_CACHE"] = cache
            dataset = data.load(config)
            return sum(len(split) for split in dataset.splits().values())

    def one_by_one() -> int:
        for pair in pairs:
            files.read_pair(*pair, size, MASK)
        return len(pairs)

    def torchvision() -> int:
        for image, mask in pairs:
            decoded(image, mask, size)
        return len(pairs)

    return {"ours: into the store, all cores": store, "ours: one by one": one_by_one,
            "torchvision: read, v2.resize, one by one": torchvision}  # fmt: skip


def decoded(image: Path, mask: Path, size: int):
    """An image and its mask as torchvision reads and resizes them."""
    from torchvision import tv_tensors
    from torchvision.io import ImageReadMode, decode_image
    from torchvision.transforms.v2 import InterpolationMode
    from torchvision.transforms.v2 import functional as tv

    pixels = tv.resize(decode_image(str(image), ImageReadMode.RGB), [size, size], antialias=True)
    target = tv.resize(decode_image(str(mask), ImageReadMode.GRAY), [size, size], InterpolationMode.NEAREST)
    return tv_tensors.Image(pixels), tv_tensors.Mask((target[0] > 127).byte())


def augmenters(config: Config) -> dict[str, Callable[[], int]]:
    train = data.load(config).train
    order = torch.arange(len(train)).split(config.batch_size)
    rows = {}

    def ours() -> int:
        for indices in order:
            training_batch(train.images[indices], train.masks[indices], indices, config, 0)
        return len(train)

    transform = per_sample(config)

    def torchvision() -> int:
        from torchvision import tv_tensors

        for indices in order:
            pairs = [transform(tv_tensors.Image(train.images[i]), tv_tensors.Mask(train.masks[i])) for i in indices]
            torch.stack([image for image, _ in pairs]), torch.stack([mask for _, mask in pairs])
        return len(train)

    rows |= {"ours: on the batch": ours, "torchvision v2: per sample": torchvision}
    try:
        rows["Kornia: on the batch"] = kornia(config, train, order)
    except ImportError:
        print("(Kornia is not installed: pip install kornia)")
    return rows


def per_sample(config: Config):
    """The nearest that torchvision v2 has to our augmentation, for one image and its mask."""
    from torchvision.transforms import v2

    s, size = config.color_jitter, config.image_size
    return v2.Compose([
        v2.RandomHorizontalFlip(), v2.RandomVerticalFlip(),
        v2.RandomRotation(config.rotation, v2.InterpolationMode.BILINEAR),
        v2.RandomResizedCrop(size, scale=(config.crop**2, 1), ratio=(1, 1), antialias=True),
        v2.ColorJitter(s, s, s, s / 4),
        v2.ToDtype(torch.float32, scale=True), v2.GaussianNoise(sigma=config.noise),
        v2.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ])  # fmt: skip


def kornia(config: Config, train, order) -> Callable[[], int]:
    from kornia import augmentation as k

    s, size = config.color_jitter, (config.image_size, config.image_size)
    transform = k.AugmentationSequential(
        k.ColorJitter(s, s, s, s / 4, p=1.0), k.RandomHorizontalFlip(), k.RandomVerticalFlip(),
        k.RandomRotation(config.rotation, p=1.0), k.RandomResizedCrop(size, (config.crop**2, 1), (1, 1)),
        k.RandomGaussianNoise(0.0, config.noise, p=1.0), data_keys=["input", "mask"],
    )  # fmt: skip

    def work() -> int:
        for indices in order:
            transform(train.images[indices].float() / 255, train.masks[indices][:, None].float())
        return len(train)

    return work


class PlainDataset(torch.utils.data.Dataset):
    """What most tutorials write: decode, resize and augment in __getitem__."""

    def __init__(self, pairs, config: Config):
        self.pairs, self.size, self.transform = pairs, config.image_size, per_sample(config)

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, i: int):
        return self.transform(*decoded(*self.pairs[i], self.size))


def epochs(config: Config, pairs) -> dict[str, Callable[[], int]]:
    train, order = data.load(config).train, torch.arange(len(pairs)).split(config.batch_size)
    plain = PlainDataset(pairs, config)

    def ours() -> int:
        for indices in order:
            training_batch(train.images[indices], train.masks[indices], indices, config, 0)
        return len(pairs)

    def loader(workers: int) -> Callable[[], int]:
        def work() -> int:
            batches = torch.utils.data.DataLoader(plain, config.batch_size, shuffle=True, num_workers=workers)
            return sum(len(images) for images, _ in batches)

        return work

    return {"ours: store, batch": ours, "plain DataLoader, no worker": loader(0),
            f"plain DataLoader, {runtime.cores()} workers": loader(runtime.cores())}  # fmt: skip


def write_files(root: Path, count: int) -> None:
    """An ISIC folder of generated lesions, 512×384 JPEG with PNG masks."""
    from PIL import Image

    from seglib.data import lesions

    for part, number in (("train", round(count / 0.9) + 2), ("test", 2)):
        for folder in (part, f"{part}_masks"):
            (root / "isic2016" / folder).mkdir(parents=True)
        for i in range(number):
            image, mask = lesions.draw(0, i + (10_000 if part == "test" else 0))
            name = f"ISIC_{part}_{i:07d}"
            picture = Image.fromarray((image * 255).byte().permute(1, 2, 0).numpy()).resize((512, 384))
            picture.save(root / "isic2016" / part / f"{name}.jpg", quality=90)
            truth = Image.fromarray(mask.byte().mul(255).numpy()).resize((512, 384), Image.Resampling.NEAREST)
            truth.save(root / "isic2016" / f"{part}_masks" / f"{name}_Segmentation.png")


if __name__ == "__main__":
    main()
