"""What every loss here must do, as one call: for the registry's tests, and for a loss of one's own."""

from collections.abc import Callable

import torch

from seglib.data.core import IGNORE_INDEX
from seglib.losses import Loss, build_loss
from seglib.losses.outputs import plane_values
from seglib.losses.settings import Settings
from seglib.metrics import one_hot

CLASSES = {"binary": 1, "multiclass": 3, "planes": 2}


def check_loss(loss: str | dict | Callable, task: str, **options) -> None:
    """Puts a loss through the registry's tests on small tensors.

    Args: loss — a spec as for `build_loss`, or a function (logits, target) → (N,); options — of `build_loss`.
    Raises: AssertionError that says in words what does not hold.
    """
    criterion = _criterion(loss, task, options)
    target = _target(task)
    logits = torch.randn(len(target), CLASSES[task], 8, 8, generator=torch.Generator().manual_seed(1))
    _check_values(criterion, logits, target)
    _check_order(criterion, target)
    _check_ignored(criterion, logits, target)
    _check_extremes(criterion, logits, target)


def value_and_gradient(criterion: Loss, logits: torch.Tensor, target: torch.Tensor):
    """The loss (N,) and the gradient of its mean with respect to the logits."""
    logits = logits.detach().clone().requires_grad_()
    loss, _ = criterion(logits, target)
    loss.mean().backward()
    return loss.detach(), logits.grad


def prediction(criterion: Loss, target: torch.Tensor, quality: float) -> torch.Tensor:
    """Logits for a target: quality 1 is right everywhere, 0 undecided, −1 wrong everywhere."""
    truth, _ = one_hot(target, criterion.settings.task, criterion.settings.num_classes)
    signed = quality * (2.0 * truth - 1)
    if criterion.settings.target_scale == "values":
        return plane_values(signed) * (1 + signed) / 2
    return 8 * signed


def _criterion(loss: str | dict | Callable, task: str, options: dict) -> Loss:
    if not callable(loss):
        return build_loss(loss, task=task, num_classes=CLASSES[task], **options)
    settings = Settings(task=task, num_classes=CLASSES[task], **options)
    name = f"{loss.__module__}:{loss.__name__}"
    return Loss({name: 1.0}, {name: loss}, settings)


def _target(task: str) -> torch.Tensor:
    """Three images in which every class occurs, the top row ignored."""
    shape = (3, CLASSES[task], 8, 8) if task == "planes" else (3, 8, 8)
    target = torch.randint(max(2, CLASSES[task]), shape, generator=torch.Generator().manual_seed(0))
    target[..., 0, :] = IGNORE_INDEX
    return target


def _check_values(criterion: Loss, logits: torch.Tensor, target: torch.Tensor) -> None:
    loss, gradient = value_and_gradient(criterion, logits, target)
    again, _ = value_and_gradient(criterion, logits, target)
    assert loss.isfinite().all(), f"the loss of ordinary logits is not finite: {loss.tolist()}"
    assert torch.equal(loss, again), "the same input gives another loss the second time"
    assert gradient.isfinite().all(), "the gradient of ordinary logits is not finite"
    assert (gradient.abs().sum((1, 2, 3)) > 0).all(), "an image of the batch gets no gradient"
    if criterion.settings.reduction == "image":
        alone = torch.cat([criterion(logits[i : i + 1], target[i : i + 1])[0] for i in range(len(target))])
        assert torch.allclose(loss, alone, rtol=1e-5), "an image's loss depends on the rest of its batch"


def _check_order(criterion: Loss, target: torch.Tensor) -> None:
    right, undecided, wrong = (criterion(prediction(criterion, target, q), target)[0] for q in (1, 0, -1))
    assert (right < undecided).all(), f"right costs {right.tolist()}, undecided only {undecided.tolist()}"
    assert (undecided < wrong).all(), f"undecided costs {undecided.tolist()}, wrong only {wrong.tolist()}"


def _check_ignored(criterion: Loss, logits: torch.Tensor, target: torch.Tensor) -> None:
    loss, gradient = value_and_gradient(criterion, logits, target)
    _, valid = one_hot(target, criterion.settings.task, criterion.settings.num_classes)
    changed, _ = value_and_gradient(criterion, logits.masked_fill(~valid, 100.0), target)
    assert torch.equal(loss, changed), "logits under ignored pixels change the loss"
    assert (gradient[~valid] == 0).all(), "ignored pixels get a gradient"
    loss, gradient = value_and_gradient(criterion, logits, torch.full_like(target, IGNORE_INDEX))
    assert (loss == 0).all() and (gradient == 0).all(), "an all ignored image has a loss or a gradient"


def _check_extremes(criterion: Loss, logits: torch.Tensor, target: torch.Tensor) -> None:
    saturated = 1e4 * logits.sign()
    for what, extreme in (("ordinary", logits), ("zero", 0 * logits), ("saturated", saturated)):
        for where, truth in (("", target), (" on empty truth", torch.zeros_like(target))):
            for dtype in (torch.float32, torch.bfloat16, torch.float16):
                loss, gradient = value_and_gradient(criterion, extreme.to(dtype), truth)
                finite = loss.isfinite().all() and gradient.isfinite().all()
                assert finite, f"{what} logits in {dtype}{where}: the loss or its gradient is not finite"
