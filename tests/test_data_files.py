"""Odd, broken and hostile image files: handled, or refused with their name. Alone: pytest tests/test_data_files.py"""

import random
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from seglib.data.files import MAX_PIXELS, read_image, read_pair

SIZE = 32
LEFT = {0: 0, 255: 1}


@pytest.fixture
def pair(tmp_path):
    """Writes an image (red left half, blue right half, 64×48) and its mask (left half), with changes."""

    def write(image=None, mask=None, name="a.png", mask_name="m.png", **save):
        if image is None:
            image = Image.new("RGB", (64, 48), "blue")
            image.paste("red", (0, 0, 32, 48))
        if mask is None:
            mask = Image.new("L", image.size)
            mask.paste(255, (0, 0, image.width // 2, image.height))
        image.save(tmp_path / name, **save)
        mask.save(tmp_path / mask_name)
        return tmp_path / name, tmp_path / mask_name

    return write


def is_red(image):
    return (image[0] > 128) & (image[2] < 128)


def test_a_mask_keeps_its_values_when_it_is_resized(pair):
    rng = np.random.default_rng(0)
    mask = Image.fromarray(rng.choice(np.array([0, 1, 5], dtype=np.uint8), (97, 61)))
    image, mask = pair(Image.new("RGB", (61, 97)), mask)
    target = read_pair(image, mask, SIZE, {0: 0, 1: 1, 5: 2})[1]
    assert target.unique().tolist() == [0, 1, 2]


@pytest.mark.parametrize("mode", ["RGB", "CMYK", "P", "RGBA", "L", "LA"])
def test_any_usual_kind_of_image_becomes_rgb(pair, mode):
    image = Image.new("RGB", (64, 48), (204, 204, 204)).convert(mode)
    suffix = "jpg" if mode == "CMYK" else "png"
    pixels, _, file = read_pair(*pair(image, name=f"a.{suffix}"), SIZE, LEFT)
    assert pixels.shape == (3, SIZE, SIZE) and (pixels.int() - 204).abs().max() <= 4
    assert file[:2] == (64, 48) and file.remark == ("converted from CMYK" if mode == "CMYK" else "")


def test_sixteen_bits_of_a_png_are_scaled_and_of_a_tiff_refused(pair, tmp_path):
    image = Image.fromarray(np.full((48, 64), 200 * 257, dtype=np.uint16))
    pixels, _, file = read_pair(*pair(image, mask=Image.new("L", (64, 48))), SIZE, LEFT)
    assert (pixels.int() - 200).abs().max() <= 1 and file.remark == "16 bits per channel, scaled to 8"
    image.save(tmp_path / "a.tif")
    with pytest.raises(ValueError, match=r"a.tif has I;16 pixels \(TIFF\), whose white is not known"):
        read_image(tmp_path / "a.tif", SIZE)


def test_what_is_transparent_is_black_and_said(pair):
    image = Image.new("RGBA", (64, 48), (255, 255, 255, 0))
    pixels, _, file = read_pair(*pair(image), SIZE, LEFT)
    assert pixels.max() == 0 and file.remark == "transparent pixels laid on black"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_orientation_is_applied_where_the_mask_was_drawn_on_the_turned_image(pair, orientation):
    upright = Image.new("RGB", (64, 48), "blue")
    upright.paste("red", (0, 0, 32, 48))
    mask = Image.new("L", (64, 48))
    mask.paste(255, (0, 0, 32, 48))
    back = {2: 0, 3: 1, 4: 1, 5: 0, 6: 0, 7: 0, 8: 0}
    undo = {2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE", 6: "ROTATE_90",
            7: "TRANSVERSE", 8: "ROTATE_270"}  # fmt: skip
    stored = upright.transpose(Image.Transpose[undo[orientation]]) if orientation in back else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    files = pair(stored, mask, name="a.jpg", exif=exif, quality=95)
    image, target, file = read_pair(*files, SIZE, LEFT)
    assert (is_red(image) == target.bool()).float().mean() > 0.95
    assert file[:2] == (64, 48) and bool(file.remark) == (orientation > 1)


def test_an_orientation_is_left_where_the_mask_has_the_size_of_the_stored_pixels(pair):
    exif = Image.Exif()
    exif[0x0112] = 6
    image, target, file = read_pair(*pair(name="a.jpg", exif=exif, quality=95), SIZE, LEFT)
    assert (is_red(image) == target.bool()).float().mean() > 0.95 and "not applied" in file.remark


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "I;16", "LA"])
def test_a_mask_may_come_in_any_plain_kind(pair, mode):
    grey = np.zeros((48, 64), dtype=np.uint8)
    grey[:, :32] = 255
    mask = Image.fromarray(grey.astype(np.uint16)) if mode == "I;16" else Image.fromarray(grey).convert(mode)
    assert read_pair(*pair(mask=mask), SIZE, LEFT)[1].sum() == SIZE * SIZE // 2


def test_a_gif_mask_of_two_greys_is_read_by_what_a_viewer_shows(pair):
    mask = Image.new("P", (64, 48))
    mask.putpalette([255, 255, 255, 0, 0, 0])  # index 0 is white
    mask.paste(1, (32, 0, 64, 48))
    target = read_pair(*pair(mask=mask, mask_name="m.gif"), SIZE, LEFT)[1]
    assert target[:, :16].eq(1).all() and target[:, 16:].eq(0).all()


def test_a_palette_mask_is_read_by_its_indices(pair):
    mask = Image.new("P", (64, 48))
    mask.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    mask.paste(2, (0, 0, 32, 48))
    assert read_pair(*pair(mask=mask), SIZE, {0: 0, 1: 1, 2: 2})[1].unique().tolist() == [0, 2]


def png_of(width, height):
    """A PNG that claims a size and holds nothing."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "a.png cannot be read as an image .the file is empty."),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "a.png cannot be read as an image"),
        (png_of(60_000, 60_000), "a.png"),
        (png_of(10_000, 8_001), f"a.png has 10000×8001 pixels, more than {MAX_PIXELS:,}"),
        (png_of(64, 48), "a.png cannot be read as an image"),
    ],
)
def test_a_file_that_is_no_image_or_too_large_is_named(tmp_path, content, message):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_image(tmp_path / "a.png", SIZE)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.gif", "a.bmp", "a.webp"])
def test_whatever_bytes_are_broken_the_error_names_the_file(pair, tmp_path, name):
    whole = pair(name=name)[0].read_bytes()
    rng = random.Random(0)
    for cut in range(10):
        broken = bytearray(whole[: rng.randrange(1, len(whole))] if cut % 2 else whole)
        for _ in range(8):
            broken[rng.randrange(len(broken))] = rng.randrange(256)
        (tmp_path / name).write_bytes(broken)
        try:
            assert read_image(tmp_path / name, SIZE)[0].shape == (3, SIZE, SIZE)  # a broken pixel may go unseen
        except ValueError as error:
            assert name in str(error)


def test_a_mask_of_another_size_is_refused(pair):
    with pytest.raises(ValueError, match=r"mask m.png has 10×10 pixels, its image .*a.png 64×48"):
        read_pair(*pair(mask=Image.new("L", (10, 10))), SIZE, LEFT)


def test_a_large_jpeg_is_reduced_as_a_full_decode_would(tmp_path):
    rng = torch.Generator().manual_seed(0)
    coarse = torch.rand((1, 3, 8, 8), generator=rng)
    smooth = torch.nn.functional.interpolate(coarse, size=(1024, 1024), mode="bicubic").clamp(0, 1)[0]
    image = Image.fromarray((smooth.permute(1, 2, 0) * 255).byte().numpy())
    image.save(tmp_path / "a.jpg", quality=98)
    image.save(tmp_path / "a.png")
    reduced, full = (read_image(tmp_path / name, SIZE)[0].int() for name in ("a.jpg", "a.png"))
    assert (reduced - full).abs().float().mean() < 1.5
