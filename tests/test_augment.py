"""Augmentation: aligned, and a function of (seed, epoch, image). Alone: pytest tests/test_augment.py"""

import pytest
import torch
from torchvision.transforms.v2 import functional as tv

from seglib import data
from seglib.batches import normalise, training_batch
from seglib.config import Config
from seglib.data import augment as augmentation
from seglib.data.augment import COLUMNS, augment
from seglib.data.core import IGNORE_INDEX, NORMALISATION, Split
from seglib.randomness import normals, uniforms

GEOMETRY = {"horizontal_flip": True, "vertical_flip": True, "rotation": 30.0, "crop": 0.6}
EVERYTHING = {**GEOMETRY, "color_jitter": 0.4, "noise": 0.05}
FILL = torch.tensor([0.2, 0.4, 0.6])


def augmented(images, masks, epoch=0, indices=None, fill=FILL, **fields):
    indices = torch.arange(len(images)) if indices is None else indices
    return augment(images, masks, indices, epoch, Config(**fields), fill)


def batch_of(split, config, epoch):
    return training_batch(split.images, split.masks, torch.arange(len(split)), config, epoch)


def random_batch(count=8, side=32, classes=6):
    rng = torch.Generator().manual_seed(0)
    images = torch.rand((count, 3, side, side), generator=rng)
    return images, torch.randint(0, classes, (count, side, side), generator=rng).byte()


def test_draws_do_not_depend_on_order_or_company():
    for draw in (uniforms, normals):
        together = draw(3, 2, torch.arange(10), 4)
        assert torch.equal(draw(3, 2, torch.tensor([7]), 4)[0], together[7])
        assert torch.equal(draw(3, 2, torch.tensor([5, 1]), 4), together[[5, 1]])


def test_draws_change_with_seed_and_epoch_and_are_uniform():
    draws = uniforms(0, 0, torch.arange(20_000), 3)
    assert not torch.equal(draws, uniforms(1, 0, torch.arange(20_000), 3))
    assert not torch.equal(draws, uniforms(0, 1, torch.arange(20_000), 3))
    assert draws.min() >= 0 and draws.max() < 1
    assert (draws.mean(0) - 0.5).abs().max() < 0.01
    assert (torch.corrcoef(torch.cat([draws[:-1], draws[1:]], 1).T) - torch.eye(6)).abs().max() < 0.03


def test_normal_draws_are_normal_and_independent():
    draws = normals(0, 0, torch.arange(20_000), 5)
    assert draws.mean(0).abs().max() < 0.03 and (draws.std(0) - 1).abs().max() < 0.02
    quantiles = torch.quantile(draws.flatten(), torch.tensor([0.025, 0.16, 0.84, 0.975]))
    assert torch.allclose(quantiles, torch.tensor([-1.96, -0.994, 0.994, 1.96]), atol=0.03)
    assert (torch.corrcoef(draws.T) - torch.eye(5)).abs().max() < 0.03


def test_the_same_image_changes_alike_in_any_batch_and_otherwise_in_another_epoch():
    images, masks = random_batch()
    together = augmented(images, masks, **EVERYTHING)
    for chosen in ([3], [6, 1, 4]):
        alone = augmented(images[chosen], masks[chosen], indices=torch.tensor(chosen), **EVERYTHING)
        assert torch.allclose(alone[0], together[0][chosen], atol=1e-6) and torch.equal(alone[1], together[1][chosen])
    for other in (augmented(images, masks, epoch=1, **EVERYTHING), augmented(images, masks, seed=1, **EVERYTHING)):
        assert all(not torch.equal(a, b) for a, b in zip(other[1], together[1], strict=True))


@pytest.mark.parametrize("added", [{"color_jitter": 0.3}, {"noise": 0.1}, {"joint_transforms": True}])
def test_one_more_augmentation_leaves_the_draws_of_the_others(added):
    images, masks = random_batch()
    before = augmented(images, masks, **GEOMETRY)[1]
    assert torch.equal(augmented(images, masks, **{**GEOMETRY, **added})[1], before)


def test_mask_and_image_move_together():
    masks = torch.zeros((16, 64, 64), dtype=torch.uint8)
    masks[:, 10:30, 15:50] = 1
    images = masks[:, None].float().expand(-1, 3, -1, -1).contiguous()
    images, masks = augmented(images, masks, **GEOMETRY)
    inside = masks != IGNORE_INDEX
    agree = ((images[:, 0] > 0.5) == (masks == 1))[inside].float().mean()
    assert agree > 0.99


def test_separate_transforms_tear_mask_and_image_apart_and_leave_the_image_as_it_was():
    images, masks = random_batch(count=64)
    joint = augmented(images, masks, **GEOMETRY)
    torn = augmented(images, masks, joint_transforms=False, **GEOMETRY)
    assert torch.equal(torn[0], joint[0])
    assert sum(torch.equal(a, b) for a, b in zip(torn[1], joint[1], strict=True)) <= 2


def test_what_turns_in_from_outside_is_ignored_in_the_mask_and_the_fill_colour_in_the_image():
    images, masks = random_batch(side=33)
    turned_images, turned = augmented(images, masks, horizontal_flip=True, rotation=30)
    assert set(turned.unique().tolist()) <= {*range(6), IGNORE_INDEX}
    assert (turned == IGNORE_INDEX).any() and not (turned[:, 16, 16] == IGNORE_INDEX).any()
    corners = turned_images[:, :, 0, 0][turned[:, 0, 0] == IGNORE_INDEX]
    assert ((corners - FILL).abs().amax(1) < 1e-6).any()


def test_a_flip_is_exact_and_happens_to_about_half():
    images, masks = random_batch(count=200, side=8)
    hit = uniforms(0, 0, torch.arange(200), COLUMNS)[:, augmentation.FLIP_X] < 0.5
    flipped, flipped_masks = augmented(images, masks, horizontal_flip=True)
    for before, after in ((images, flipped), (masks, flipped_masks)):
        assert torch.equal(after[hit], before[hit].flip(-1)) and torch.equal(after[~hit], before[~hit])
    assert 0.35 < hit.float().mean() < 0.65


def test_a_crop_shows_a_part_of_the_image_and_nothing_from_outside():
    line = (torch.arange(64) + 0.5) / 64
    images = torch.stack([line.expand(64, 64), line[:, None].expand(64, 64), torch.ones(64, 64)]).expand(100, 3, 64, 64)
    cropped, masks = augmented(images, torch.ones(100, 64, 64).byte(), crop=0.5)
    assert (masks == 1).all()
    width = (cropped[:, 0].amax((1, 2)) - cropped[:, 0].amin((1, 2))) * 64 / 63  # of the part shown, of 1
    assert 0.48 < width.min() < 0.55 and 0.95 < width.max() < 1.02
    assert cropped[:, 0].amin() < 0.1 and cropped[:, 0].amax() > 0.9 and cropped[:, 1].amin() < 0.1


def test_planes_are_turned_like_index_masks():
    images, masks = random_batch(classes=2)
    index = augmented(images, masks, **GEOMETRY)[1]
    planes = augmented(images, masks[:, None].expand(-1, 2, -1, -1), **GEOMETRY)[1]
    assert torch.equal(planes, index[:, None].expand(-1, 2, -1, -1))


@pytest.mark.parametrize("degrees", [0.0, 15.0])
def test_the_angle_stays_within_its_bound(degrees):
    images = torch.zeros((64, 3, 65, 65))
    images[:, :, 32, 32:] = 1  # a line from the centre to the right
    turned, _ = augmented(images, torch.zeros(64, 65, 65).byte(), fill=torch.zeros(3), rotation=degrees)
    heights = (turned[:, 0, :, 60].argmax(1) - 32).abs()  # of the line, 28 pixels from the centre
    bound = 28 * torch.tan(torch.deg2rad(torch.tensor(degrees)))
    assert heights.max() <= bound + 1 and (degrees == 0 or heights.max() > bound / 2)


@pytest.mark.parametrize(
    ("column", "function"),
    [
        (augmentation.BRIGHTNESS, tv.adjust_brightness),
        (augmentation.CONTRAST, tv.adjust_contrast),
        (augmentation.SATURATION, tv.adjust_saturation),
    ],
)
def test_one_change_of_colour_is_torchvision_s(column, function):
    images = random_batch(count=2)[0] * 0.6 + 0.2  # nothing is cut
    draws = torch.full((2, COLUMNS), 0.5)
    draws[:, column] = torch.tensor([0.2, 0.9])
    for image, changed, draw in zip(images, augmentation.jitter(images, draws, 0.3), draws[:, column], strict=True):
        assert torch.allclose(changed, function(image, 1 + 0.3 * (2 * draw.item() - 1)), atol=2e-4)


def test_hue_turns_red_to_green_to_blue_and_leaves_grey():
    pixels = torch.tensor([[1.0, 0, 0], [0.5, 0.5, 0.5]]).T.reshape(1, 3, 1, 2)
    draws = torch.full((1, COLUMNS), 0.5)
    draws[:, augmentation.HUE] = 5 / 6  # a strength of 2 would turn by a third of the circle
    red, grey = augmentation.jitter(pixels, draws, 2.0)[0, :, 0].T
    assert torch.allclose(red, torch.tensor([0.0, 1, 0]), atol=1e-5)
    assert torch.allclose(grey, torch.full((3,), 0.5), atol=1e-5)


def test_noise_has_its_standard_deviation_and_stays_in_range():
    images = torch.full((4, 3, 64, 64), 0.5)
    noisy, _ = augmented(images, torch.zeros(4, 64, 64).byte(), noise=0.1)
    assert abs((noisy - images).std() - 0.1) < 0.003
    white, _ = augmented(torch.ones(1, 3, 8, 8), torch.zeros(1, 8, 8).byte(), noise=0.5)
    assert white.max() == 1 and white.min() >= 0


def test_without_augmentation_a_batch_is_the_normalised_images_bit_for_bit():
    images, masks = random_batch()
    split = Split(tuple("abcdefgh"), (images * 255).byte(), masks)
    batch, target = batch_of(split, Config(), 0)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in NORMALISATION["imagenet"])
    assert torch.equal(batch, (split.images.float() / 255 - mean) / std) and torch.equal(target, masks)


def test_padding_is_zero_to_the_model():
    split = Split(("a",), torch.full((1, 3, 32, 32), 255, dtype=torch.uint8), torch.ones(1, 32, 32).byte())
    batches = [batch_of(split, Config(rotation=45.0), epoch) for epoch in range(8)]
    corners = torch.stack([images[0, :, 0, 0] for images, target in batches if target[0, 0, 0] == IGNORE_INDEX])
    assert len(corners) and corners.abs().min(0).values.max() < 1e-5
    assert normalise(torch.ones(1, 3, 2, 2), Config()).min() > 2


COPIES = {"train_images": 5, "val_images": 3, "test_images": 3, "image_size": 32, **EVERYTHING}


def test_fixed_copies_double_the_training_part_alone_and_are_not_changed_again():
    plain = data.load(Config(**COPIES))
    twice = data.load(Config(**COPIES, augmented_copies=1))
    assert len(twice.train) == 10 and twice.train.names == (*plain.train.names, *(f"{n}~1" for n in plain.train.names))
    assert torch.equal(twice.train.images[:5], plain.train.images) and torch.equal(twice.val.images, plain.val.images)
    assert twice.test.names == plain.test.names and twice.fingerprint == plain.fingerprint
    assert all(not torch.equal(a, b) for a, b in zip(twice.train.images[5:], plain.train.images, strict=True))
    config = Config(**COPIES, augmented_copies=1)
    first, later = (batch_of(twice.train, config, epoch) for epoch in (0, 7))
    assert torch.equal(first[0], later[0]) and torch.equal(first[1], twice.train.masks)


def test_a_copy_is_a_function_of_seed_number_and_image():
    one, three = (data.load(Config(**COPIES, augmented_copies=k)).train for k in (1, 3))
    assert torch.equal(three.images[:10], one.images) and torch.equal(three.masks[:10], one.masks)
    assert len(three) == 20 and not torch.equal(three.images[10:15], one.images[5:10])
    other = data.load(Config(**COPIES, augmented_copies=1, seed=1)).train
    assert not torch.equal(other.images[5:], one.images[5:])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"crop": 1.5}, "crop is 1.5, expected a share of the side from 0.1 to 1"),
        ({"color_jitter": -0.1}, "color_jitter is -0.1, expected a number of at least 0"),
        ({"color_jitter": 2}, "color_jitter is 2.0, expected a strength from 0 to 1"),
        ({"noise": 5}, "noise is 5.0, expected a share"),
        ({"augmented_copies": 1}, "augmented_copies without an augmentation"),
        ({"folds": 1}, "fold 0 of folds 1; expected folds of at least 2"),
        ({"folds": 5, "fold": 5}, "fold 5 of folds 5"),
        ({"fold": 2}, "fold 2 of folds 0"),
        ({"border": "forground"}, "unknown border 'forground'; did you mean 'foreground'"),
    ],
)
def test_what_makes_no_sense_is_refused(values, message):
    with pytest.raises(ValueError, match=message):
        Config(**values)
