"""Losses: values by hand, oracles, range, reduction, class weights, faults of the reports, one's own losses.

Alone: pytest tests/test_losses.py
"""

import sys

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from seglib.losses import LOSSES, TASKS, build_loss, modules_of
from seglib.losses.check import CLASSES, check_loss, value_and_gradient
from seglib.losses.outputs import probabilities
from seglib.metrics import one_hot

PAIRS = [(loss, task) for task, losses in TASKS.items() for loss in losses]
VALUES = {"target_scale": "values"}
SURE = 1e4  # a logit whose sigmoid is exactly 0 or 1 in float32


def value(spec, logits, target, task="binary", **options):
    """The loss per image, (N,)."""
    return build_loss(spec, task=task, num_classes=logits.shape[1], **options)(logits, target)[0]


def four_pixels(probs, truth):
    """One binary image of four pixels: logits (1, 1, 2, 2) and target (1, 2, 2)."""
    return torch.tensor(probs).logit().view(1, 1, 2, 2), torch.tensor(truth).view(1, 2, 2)


def batch(task, n=4, size=6, seed=0, num_classes=None):
    """Random logits and a target in which every class occurs."""
    rng, classes = torch.Generator().manual_seed(seed), num_classes or CLASSES[task]
    shape = (n, classes, size, size) if task == "planes" else (n, size, size)
    return (
        torch.randn(n, classes, size, size, generator=rng),
        torch.randint(classes if task == "multiclass" else 2, shape, generator=rng),
    )


# --- by hand --------------------------------------------------------------------------------------

HALF = ([0.5, 0.5, 0.5, 0.5], [1, 1, 0, 0])  # Σp·g = 1, Σp² = 1, Σp = 2, Σg = 2
HARD = ([1.0, 0.0, 1.0, 0.0], [1, 1, 0, 0])  # one of two found, one false alarm


@pytest.mark.parametrize(
    "loss, pixels, options, expected",
    [
        ("bce", HALF, {}, 0.693147),  # log 2
        ("mse", HALF, {}, 0.25),
        ("mse", HARD, {}, 0.5),
        ("dice", HALF, {}, 1 - 2 / 3),
        ("dice", HALF, {"squared_denominator": False}, 1 - 2 / 4),
        ("dice", HARD, {}, 0.5),
        ("iou", HALF, {}, 1 - 1 / 2),
        ("iou", HALF, {"squared_denominator": False}, 1 - 1 / 3),
        ("iou", HARD, {}, 1 - 1 / 3),
        ("dice", HALF, {"eps": 1.0}, 1 - 3 / 4),
    ],
)
def test_four_pixels_give_the_value_worked_out_by_hand(loss, pixels, options, expected):
    assert value(loss, *four_pixels(*pixels), **options).item() == pytest.approx(expected, abs=1e-6)


def test_dice_of_several_classes_is_the_mean_over_those_present():
    target = torch.tensor([[[0, 0], [1, 1]]])  # class 2 is absent
    logits = SURE * F.one_hot(torch.tensor([[[0, 2], [1, 1]]]), 3).movedim(-1, 1).float()
    background = 1 - 2 / 3  # one of two pixels found
    assert value("dice", logits, target, "multiclass").item() == pytest.approx(background / 2)
    assert value("dice", logits, target, "multiclass", include_background=False).item() == 0


def test_an_image_of_background_alone_still_punishes_foreground_where_background_does_not_count():
    target, logits = torch.zeros(1, 2, 2, dtype=torch.int64), torch.zeros(1, 3, 2, 2)
    assert value("dice", logits, target, "multiclass", include_background=False).item() > 0.9


def test_empty_truth_costs_nothing_if_predicted_and_nearly_one_if_not():
    target = torch.zeros(2, 2, 2, dtype=torch.uint8)
    logits = torch.tensor([-SURE, 0.0]).view(2, 1, 1, 1).expand(2, 1, 2, 2)
    for loss in ("dice", "iou"):
        assert value(loss, logits, target).tolist() == pytest.approx([0, 1], abs=1e-5)


# --- oracles --------------------------------------------------------------------------------------


def with_ignored(target):
    """The target with three tenths of its pixels ignored."""
    ignored = torch.rand(target.shape, generator=torch.Generator().manual_seed(9)) < 0.3
    return target.masked_fill(ignored, 255)


@pytest.mark.parametrize("task", ["binary", "planes"])
def test_bce_is_torch_s_over_the_valid_pixels_of_each_image(task):
    logits, target = batch(task)
    target = with_ignored(target)
    same = logits if task == "planes" else logits[:, 0]
    for i, loss in enumerate(value("bce", logits, target, task)):
        kept = target[i] != 255
        expected = F.binary_cross_entropy_with_logits(same[i][kept], target[i][kept].float())
        torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize("weights", [None, [1.0, 0.2, 5.0]])
def test_cross_entropy_is_torch_s_per_image_and_per_batch(weights):
    logits, target = batch("multiclass")
    target = with_ignored(target)
    weight = weights and torch.tensor(weights)
    for i, loss in enumerate(value("cross_entropy", logits, target, "multiclass", class_weights=weights)):
        expected = F.cross_entropy(logits[i : i + 1], target[i : i + 1], weight, ignore_index=255)
        torch.testing.assert_close(loss, expected)
    pooled = value("cross_entropy", logits, target, "multiclass", class_weights=weights, reduction="batch")
    torch.testing.assert_close(pooled.mean(), F.cross_entropy(logits, target, weight, ignore_index=255))


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30))
def test_dice_and_iou_of_hard_predictions_are_those_of_sets(pixels):
    pred = {i for i, (p, _) in enumerate(pixels) if p}
    true = {i for i, (_, t) in enumerate(pixels) if t}
    logits = torch.tensor([SURE if p else -SURE for p, _ in pixels]).view(1, 1, 1, -1)
    target = torch.tensor([t for _, t in pixels]).view(1, 1, -1)
    dice = 2 * len(pred & true) / (len(pred) + len(true)) if pred | true else 1
    iou = len(pred & true) / len(pred | true) if pred | true else 1
    for squared in (True, False):
        options = {"squared_denominator": squared}
        assert value("dice", logits, target, **options).item() == pytest.approx(1 - dice, abs=1e-5)
        assert value("iou", logits, target, **options).item() == pytest.approx(1 - iou, abs=1e-5)


@pytest.mark.parametrize("squared", [True, False])
def test_dice_is_two_iou_over_one_plus_iou(squared):
    logits, target = batch("binary")
    options = {"squared_denominator": squared, "eps": 0.5}
    dice, iou = (1 - value(loss, logits, target, **options) for loss in ("dice", "iou"))
    torch.testing.assert_close(dice, 2 * iou / (1 + iou))


def report_5_dice_loss(outputs, truth):
    """Report 5's listing with the factor 2 put back: the sum over a batch and its planes."""
    overlap = (outputs * truth).sum((2, 3))
    return (1 - 2 * overlap / ((outputs**2).sum((2, 3)) + (truth**2).sum((2, 3)) + 1e-6)).sum()


def test_mse_plus_60_dice_in_values_is_report_5_s_loss_of_a_batch_of_four():
    logits, target = batch("planes", num_classes=5)
    outputs = 100 * logits
    truth = target * torch.tensor([50.0, 100, 150, 200, 250]).view(-1, 1, 1)
    criterion = build_loss({"mse": 1.0, "dice": 60.0}, task="planes", num_classes=5, **VALUES)
    loss, parts = criterion(outputs, target)
    dice = report_5_dice_loss(outputs.clamp(min=0), truth)
    torch.testing.assert_close(parts["mse"].mean(), F.mse_loss(outputs, truth))
    torch.testing.assert_close(parts["dice"].mean(), dice)
    torch.testing.assert_close(loss.mean(), F.mse_loss(outputs, truth) + 60 * dice)


def test_lambda_does_not_depend_on_the_batch_size():
    logits, target = batch("planes")
    criterion = build_loss({"mse": 1.0, "dice": 60.0}, task="planes", num_classes=2, **VALUES)
    twice, _ = criterion(torch.cat([logits] * 2), torch.cat([target] * 2))
    torch.testing.assert_close(twice.mean(), criterion(logits, target)[0].mean())


def test_a_plane_that_is_empty_in_the_truth_costs_as_in_report_5_and_passes_no_gradient():
    criterion = build_loss("dice", task="planes", num_classes=1, **VALUES)
    outputs, target = torch.full((1, 1, 4, 4), 0.5), torch.zeros(1, 1, 4, 4)
    loss, gradient = value_and_gradient(criterion, outputs, target)
    assert loss.item() == pytest.approx(4, rel=1e-2)  # 1 per plane, in a batch of 4
    assert (gradient == 0).all()
    assert criterion(torch.zeros_like(outputs), target)[0].item() == 0


# --- probabilities --------------------------------------------------------------------------------


def test_probabilities_are_sigmoid_softmax_or_the_output_over_the_plane_s_value():
    logits = torch.randn(2, 3, 2, 2)
    assert torch.equal(probabilities(logits, "binary"), logits.sigmoid())
    assert torch.equal(probabilities(logits, "multiclass"), logits.softmax(1))
    outputs = torch.tensor([-10.0, 26, 49]).view(1, 1, 1, 3).expand(1, 2, 1, 3)
    decoded = probabilities(outputs, "planes", "values")
    torch.testing.assert_close(decoded, torch.tensor([[[[0, 0.52, 0.98]], [[0, 0.26, 0.49]]]]))


@given(st.floats(-100, 400), st.integers(0, 4))
def test_in_values_a_pixel_is_on_when_its_output_is_nearer_to_the_plane_s_value_than_to_0(output, plane):
    logits = torch.full((1, 5, 1, 1), output)
    on = probabilities(logits, "planes", "values")[0, plane].item() > 0.5
    distance = abs(output - 50 * (plane + 1)) - abs(output)
    assert on == (distance < 0) or abs(distance) < 1e-4


# --- every loss -----------------------------------------------------------------------------------


@pytest.mark.parametrize("reduction", ["image", "batch"])
@pytest.mark.parametrize("loss, task", PAIRS)
def test_every_loss_passes_the_registry_s_tests(loss, task, reduction):
    check_loss(loss, task, reduction=reduction)


@pytest.mark.parametrize("loss", ["mse", "dice", "iou", {"mse": 1.0, "dice": 60.0}])
def test_every_loss_of_values_passes_the_registry_s_tests(loss):
    check_loss(loss, "planes", **VALUES)


@pytest.mark.parametrize("squared", [True, False])
@pytest.mark.parametrize("loss", ["dice", "iou"])
def test_dice_and_iou_pass_the_registry_s_tests_with_either_denominator(loss, squared):
    check_loss(loss, "binary", squared_denominator=squared)


def test_every_registered_loss_goes_with_some_task():
    assert {loss for loss, _ in PAIRS} == set(LOSSES)


odd_logits = st.floats(-1e4, 1e4, width=32) | st.sampled_from([0.0, 1e-30, 8.0, 17.0, -17.0, 88.0, -104.0])


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_dice_iou_and_mse_of_probabilities_stay_within_0_and_1(data):
    task = data.draw(st.sampled_from(sorted(TASKS)))
    classes, size = CLASSES[task], data.draw(st.integers(1, 5))
    truths = [0, 1, 255] if task != "multiclass" else [0, 1, 2, 255]
    pixels = classes * size if task == "planes" else size
    logits = torch.tensor(data.draw(st.lists(odd_logits, min_size=classes * size, max_size=classes * size)))
    target = torch.tensor(data.draw(st.lists(st.sampled_from(truths), min_size=pixels, max_size=pixels)))
    target = target.view(1, classes, 1, size) if task == "planes" else target.view(1, 1, size)
    for loss in ("dice", "iou", "mse"):
        options = {"squared_denominator": data.draw(st.booleans())}
        criterion = build_loss(loss, task=task, num_classes=classes, **options)
        result, gradient = value_and_gradient(criterion, logits.view(1, classes, 1, size), target)
        assert 0 <= result.item() <= 1
        assert gradient.isfinite().all()


@pytest.mark.parametrize("loss", ["dice", "iou"])
@pytest.mark.parametrize("task", TASKS)
def test_a_nearly_perfect_prediction_is_never_below_0(loss, task):
    _, target = batch(task, size=32)
    truth, _ = one_hot(target, task, CLASSES[task])
    for scale in torch.linspace(3, 30, 60):
        assert (value(loss, scale * (2.0 * truth - 1), target, task) >= 0).all()


def test_a_perfect_prediction_costs_exactly_0():
    _, target = batch("planes")
    for loss in ("dice", "iou", "mse"):
        assert (value(loss, SURE * (2.0 * target - 1), target, "planes") == 0).all()
        outputs = target * torch.tensor([50.0, 100]).view(-1, 1, 1)
        assert (value(loss, outputs, target, "planes", **VALUES) == 0).all()


def test_half_precision_is_computed_in_float32():
    logits, target = batch("binary")
    for dtype in (torch.bfloat16, torch.float16):
        low = logits.to(dtype)
        loss = value({"bce": 1.0, "dice": 1.0}, low, target)
        assert loss.dtype == torch.float32
        assert torch.equal(loss, value({"bce": 1.0, "dice": 1.0}, low.float(), target))


def test_targets_of_uint8_and_int64_give_the_same():
    for task in TASKS:
        logits, target = batch(task)
        same = value("dice", logits, target.byte(), task)
        assert torch.equal(same, value("dice", logits, target, task))


@pytest.mark.parametrize("loss, task", PAIRS)
def test_not_even_nan_under_ignored_pixels_counts(loss, task):
    logits, target = batch(task)
    target = with_ignored(target)
    _, valid = one_hot(target, task, CLASSES[task])
    expected, _ = value_and_gradient(build_loss(loss, task=task, num_classes=CLASSES[task]), logits, target)
    assert torch.equal(value(loss, logits.masked_fill(~valid, float("nan")), target, task), expected)


# --- reduction and sums ---------------------------------------------------------------------------


@pytest.mark.parametrize("loss, task", PAIRS)
def test_reduction_batch_gives_every_image_the_value_of_all_pixels_at_once(loss, task):
    logits, target = batch(task)
    pooled = value(loss, logits, target, task, reduction="batch")
    wide = (torch.cat(list(x), -1)[None] for x in (logits, target))  # the batch side by side, as one image
    torch.testing.assert_close(pooled, value(loss, *wide, task).expand(4))


def test_a_sum_returns_its_parts_before_their_weights():
    logits, target = batch("binary")
    criterion = build_loss({"bce": 0.5, "dice": 3, "iou": 1.0}, task="binary", num_classes=1)
    loss, parts = criterion(logits, target)
    assert list(parts) == ["bce", "dice", "iou"]
    for name, part in parts.items():
        assert torch.equal(part, value(name, logits, target))
    torch.testing.assert_close(loss, 0.5 * parts["bce"] + 3 * parts["dice"] + parts["iou"])


# --- class weights --------------------------------------------------------------------------------


@pytest.mark.parametrize("loss, task", [("bce", "planes"), ("mse", "planes"), ("dice", "multiclass")])
def test_class_weights_make_a_weighted_mean_over_channels(loss, task):
    logits, target = batch(task)
    count = CLASSES[task]
    rows = []
    for k in range(count):  # nearly all weight on one class
        weights = [1.0 if c == k else 1e-9 for c in range(count)]
        rows.append(value(loss, logits, target, task, class_weights=weights))
    assert not torch.allclose(rows[0], rows[1], rtol=1e-3)
    torch.testing.assert_close(value(loss, logits, target, task), torch.stack(rows).mean(0))
    weighted = value(loss, logits, target, task, class_weights=list(range(1, count + 1)))
    expected = sum((k + 1) * row for k, row in enumerate(rows)) / sum(range(1, count + 1))
    torch.testing.assert_close(weighted, expected)


def test_class_weights_of_a_binary_task_are_those_of_background_and_foreground_pixels():
    logits, target = four_pixels([0.5, 0.5, 0.9, 0.9], [1, 0, 1, 0])
    foreground, background = -(torch.tensor([0.5, 0.9]).log().sum()), -(torch.tensor([0.5, 0.1]).log().sum())
    weighted = value("bce", logits, target, class_weights=[1.0, 3.0]).item()
    assert weighted == pytest.approx(((background + 3 * foreground) / 8).item(), rel=1e-5)


# --- faults of the reports ------------------------------------------------------------------------


def test_without_the_factor_2_a_perfect_prediction_costs_a_half():
    _, target = batch("binary")
    perfect = SURE * (2.0 * target[:, None] - 1)
    assert value("dice", perfect, target, dice_factor_2=False).tolist() == pytest.approx([0.5] * 4)


def test_on_raw_logits_dice_and_iou_leave_0_to_1():
    logits = torch.tensor([3.0, 3.0, -3.0, -3.0]).view(1, 1, 2, 2)
    target = torch.tensor([1, 1, 0, 0]).view(1, 2, 2)  # Σp·g = 6, Σp = 0, Σg = 2
    assert value("dice", logits, target, on_logits=True).item() == pytest.approx(1 - 12 / 2, abs=1e-4)
    assert value("iou", logits, target, on_logits=True).item() == pytest.approx(1 - 6 / (2 - 6), abs=1e-4)


# --- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spec, given, message",
    [
        ("dise", {}, "unknown loss 'dise'; did you mean 'dice'"),
        ({"mse": 1.0, "dicee": 1.0}, {}, "unknown loss 'dicee'"),
        ({}, {}, "expected a name or weights"),
        (["dice"], {}, "expected a name or weights"),
        ({"dice": -1.0}, {}, "the weight of dice is -1.0, expected a positive number"),
        ({"dice": "1e1"}, {}, "the weight of dice is '1e1', expected a positive number"),
        ({"dice": float("nan")}, {}, "the weight of dice is nan"),
        ({"dice": True}, {}, "the weight of dice is True"),
        ("cross_entropy", {}, "cross_entropy does not go with task binary; what goes: bce, dice, iou, mse"),
        ("bce", {"task": "multiclass", "num_classes": 3}, "what goes: cross_entropy"),
        ("bce", {"task": "binari"}, "unknown task 'binari'; did you mean 'binary'"),
        ("bce", {"num_classes": 2}, "num_classes is 2, expected 1"),
        ("dice", {"task": "multiclass"}, "num_classes is 1, expected at least 2"),
        ("dice", {"epz": 1.0}, "unknown loss option 'epz'; did you mean 'eps'"),
        ("dice", {"eps": 0.0}, "eps is 0.0, expected a positive number"),
        ("dice", {"reduction": "images"}, "unknown reduction 'images'; did you mean 'image'"),
        ("dice", {"dice_factor_2": 2}, "dice_factor_2 is 2, expected true or false"),
        ("dice", {"target_scale": "values"}, "target_scale: values is for task planes, not binary"),
        ("dice", {"task": "planes", "squared_denominator": False, **VALUES}, "squared_denominator: true"),
        ("bce", {"class_weights": [1.0]}, r"expected a list of 2 \(background, foreground\)"),
        ("bce", {"class_weights": [1.0, 0.0]}, "a class weight is 0.0"),
        ("dice", {"class_weights": [1.0, 2.0]}, "class_weights weigh nothing in a binary dice"),
        ("no_such_module:loss", {}, "no module 'no_such_module'"),
        ("math:no_such_loss", {}, "module 'math' has no function 'no_such_loss'"),
    ],
)
def test_what_cannot_be_is_an_error_that_names_it(spec, given, message):
    with pytest.raises(ValueError, match=message):
        build_loss(spec, **{"task": "binary", "num_classes": 1, **given})


@pytest.mark.parametrize(
    "logits, target, message",
    [
        ((2, 1, 4, 4), (2, 1, 4, 4), r"target have shape \(2, 1, 4, 4\), expected \(2, 4, 4\)"),
        ((2, 1, 4, 4), (2, 4, 5), r"target have shape \(2, 4, 5\), expected \(2, 4, 4\)"),
        ((2, 3, 4, 4), (2, 4, 4), r"logits have shape \(2, 3, 4, 4\), expected \(2, 1, 4, 4\)"),
    ],
)
def test_shapes_that_do_not_fit_are_an_error_when_called(logits, target, message):
    with pytest.raises(ValueError, match=message):
        build_loss("bce", task="binary", num_classes=1)(torch.zeros(logits), torch.zeros(target))


# --- a loss of one's own --------------------------------------------------------------------------

OWN = """
def absolute(logits, target):
    valid = target != 255
    errors = (logits[:, 0].sigmoid() - (target == 1).float()).abs() * valid
    return errors.sum((1, 2)) / valid.sum((1, 2)).clamp(min=1)


def careless(logits, target):
    return (logits[:, 0].sigmoid() - (target == 1).float()).abs().mean((1, 2))


def scalar(logits, target):
    return absolute(logits, target).mean()
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "own_losses.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    yield "own_losses"
    sys.modules.pop("own_losses", None)


def test_a_loss_of_one_s_own_enters_by_module_and_name_alone_and_in_sums(own):
    logits, target = batch("binary")
    expected = (logits[:, 0].sigmoid() - target).abs().mean((1, 2))
    torch.testing.assert_close(value(f"{own}:absolute", logits, target), expected)
    spec = {"bce": 1.0, f"{own}:absolute": 2.0}
    loss, parts = build_loss(spec, task="binary", num_classes=1)(logits, target)
    assert list(parts) == list(spec)
    torch.testing.assert_close(loss, parts["bce"] + 2 * expected)


def test_the_registry_s_tests_run_on_a_loss_of_one_s_own_and_say_what_is_wrong(own):
    check_loss(f"{own}:absolute", "binary")
    check_loss(sys.modules[own].absolute, "binary")
    with pytest.raises(AssertionError, match="an all ignored image has a loss"):
        check_loss(f"{own}:careless", "binary")


def test_a_loss_of_one_s_own_that_is_not_per_image_is_an_error(own):
    with pytest.raises(ValueError, match=r"has shape \(\), expected \(4,\): one per image"):
        value(f"{own}:scalar", *batch("binary"))


def test_a_module_that_fails_on_its_own_imports_is_not_called_missing(tmp_path, monkeypatch):
    (tmp_path / "half_a_loss.py").write_text("import no_such_module\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match="half_a_loss imports no_such_module, which is not installed"):
        build_loss("half_a_loss:loss", task="binary", num_classes=1)


def test_the_modules_of_a_spec_are_this_library_s_and_those_that_define_one_s_own(tmp_path, monkeypatch):
    (tmp_path / "mine_a.py").write_text("def g(logits, target): return logits.mean((1, 2, 3))\n")
    (tmp_path / "mine_b.py").write_text("from mine_a import g\ndef f(logits, target): return g(logits, target)\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert modules_of("bce") == ["seglib.losses.weighted_sum", "seglib.losses.bce"]
    assert modules_of({"dice": 1.0, "mine_b:f": 1.0}) == ["seglib.losses.weighted_sum", "mine_b", "seglib.losses.dice"]
    assert modules_of("mine_b:g") == ["seglib.losses.weighted_sum", "mine_a"]


def test_one_s_own_loss_gets_the_target_as_int64(tmp_path, monkeypatch):
    (tmp_path / "mine_c.py").write_text("def f(logits, target): return (2 * target - 1).float().mean((1, 2))\n")
    monkeypatch.syspath_prepend(tmp_path)
    criterion = build_loss("mine_c:f", task="binary", num_classes=1)
    assert criterion(torch.zeros(1, 1, 2, 2), torch.zeros(1, 2, 2, dtype=torch.uint8))[0].item() == -1
