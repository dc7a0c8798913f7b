"""Augmentation: aligned, and a function of (seed, epoch, image). Alone: pytest tests/test_augment.py"""

import pytest
import torch

from seglib.data.augment import augment
from seglib.data.core import IGNORE_INDEX
from seglib.randomness import uniforms

EVERYTHING = {"horizontal": True, "vertical": True, "rotation": 30.0}


def test_draws_do_not_depend_on_order_or_company():
    together = uniforms(3, 2, torch.arange(10), 4)
    assert torch.equal(uniforms(3, 2, torch.tensor([7]), 4)[0], together[7])
    assert torch.equal(uniforms(3, 2, torch.tensor([5, 1]), 4), together[[5, 1]])


def test_draws_change_with_seed_and_epoch_and_are_uniform():
    draws = uniforms(0, 0, torch.arange(20_000), 3)
    assert not torch.equal(draws, uniforms(1, 0, torch.arange(20_000), 3))
    assert not torch.equal(draws, uniforms(0, 1, torch.arange(20_000), 3))
    assert draws.min() >= 0 and draws.max() < 1
    assert (draws.mean(0) - 0.5).abs().max() < 0.01
    assert (torch.corrcoef(torch.cat([draws[:-1], draws[1:]], 1).T) - torch.eye(6)).abs().max() < 0.03


def test_mask_and_image_move_together():
    masks = torch.zeros((16, 64, 64), dtype=torch.uint8)
    masks[:, 10:30, 15:50] = 1
    images = masks[:, None].float().expand(-1, 3, -1, -1).contiguous()
    images, masks = augment(images, masks, uniforms(0, 0, torch.arange(16), 3), **EVERYTHING)
    inside = masks != IGNORE_INDEX
    agree = ((images[:, 0] > 0.5) == (masks == 1))[inside].float().mean()
    assert agree > 0.99


def test_what_turns_in_from_outside_is_ignored_and_ids_stay_ids():
    masks = torch.randint(0, 6, (8, 33, 33), generator=torch.Generator().manual_seed(0)).byte()
    _, turned = augment(torch.zeros(8, 3, 33, 33), masks, uniforms(0, 0, torch.arange(8), 3), **EVERYTHING)
    assert set(turned.unique().tolist()) <= {*range(6), IGNORE_INDEX}
    assert (turned == IGNORE_INDEX).any() and not (turned[:, 16, 16] == IGNORE_INDEX).any()


def test_a_flip_is_exact_and_happens_to_about_half():
    images = torch.rand(200, 3, 8, 8)
    masks = (images[:, 0] > 0.5).byte()
    draws = uniforms(0, 0, torch.arange(200), 3)
    flipped, flipped_masks = augment(images, masks, draws, horizontal=True, vertical=False, rotation=0)
    hit = draws[:, 0] < 0.5
    assert torch.equal(flipped[hit], images[hit].flip(-1)) and torch.equal(flipped[~hit], images[~hit])
    assert torch.equal(flipped_masks, (flipped[:, 0] > 0.5).byte())
    assert 0.35 < hit.float().mean() < 0.65


def test_planes_are_turned_like_index_masks():
    masks = torch.randint(0, 2, (4, 32, 32), generator=torch.Generator().manual_seed(0)).byte()
    images, draws = torch.zeros(4, 3, 32, 32), uniforms(0, 0, torch.arange(4), 3)
    index = augment(images, masks, draws, **EVERYTHING)[1]
    planes = augment(images, masks[:, None].expand(-1, 2, -1, -1), draws, **EVERYTHING)[1]
    assert torch.equal(planes, index[:, None].expand(-1, 2, -1, -1))


@pytest.mark.parametrize("degrees", [0.0, 15.0])
def test_the_angle_stays_within_its_bound(degrees):
    images = torch.zeros((64, 3, 65, 65))
    images[:, :, 32, 32:] = 1  # a line from the centre to the right
    turned, _ = augment(
        images, torch.zeros(64, 65, 65).byte(), uniforms(0, 0, torch.arange(64), 3),
        horizontal=False, vertical=False, rotation=degrees,
    )  # fmt: skip
    heights = (turned[:, 0, :, 60].argmax(1) - 32).abs()  # of the line, 28 pixels from the centre
    bound = 28 * torch.tan(torch.deg2rad(torch.tensor(degrees)))
    assert heights.max() <= bound + 1 and (degrees == 0 or heights.max() > bound / 2)
