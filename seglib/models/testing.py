"""The tests that every architecture here passes, as plain asserts, for a model of one's own too.

`check_model("my_module:MyNet", width=0.25)` or `check_model(MyNet)` says in words what is wrong; nothing is
said when all is well. `check_overfits` trains for some seconds: a network that cannot learn four images
learns nothing.
"""

import functools
from collections.abc import Callable

import torch
import torch.nn.functional as F

from seglib.models import build_model
from seglib.models.base import SMALLEST, SegmentationModel

Builder = Callable[..., SegmentationModel]  # takes the keyword num_classes


def check_model(model: str | Builder, **options) -> None:
    """Runs all CHECKS on a model. Names are best tried at a small `width`: each check builds the model anew.

    Args: model — a name as `build_model` takes it (`module:Name` too), or a class; options — its keywords.
    Raises: AssertionError that says what does not hold.
    """
    for check in CHECKS:
        check(model, **options)


def check_overfits(
    model: str | Builder, *, image_size: int = 64, lr: float = 1e-2, steps: int = 100, **options
) -> None:
    """Learns four images by heart: Dice ≥ 0.95 in evaluation, with Adam and BCE, the rate falling to 0.

    Args: model, options — as `check_model`; image_size — side of the images; lr — where the rate starts;
        steps — at most so many.
    """
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = _builder(model, options)(num_classes=1)
        images, target = _discs(image_size)
        optimizer = torch.optim.Adam(net.parameters(), lr=lr)
        schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1, 0, steps)
        for step in range(1, steps + 1):
            loss = F.binary_cross_entropy_with_logits(net.train()(images)[:, 0], target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            if step % 10 == 0 and (dice := _dice(net, images, target)) >= 0.95:
                return
    raise AssertionError(f"four images are not learned after {steps} steps: Dice {dice:.3f}, expected 0.95")


def _discs(side: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Four noisy images, each with one brighter disc of another size and place, and where the discs are."""
    y, x = torch.meshgrid(torch.arange(side) / side, torch.arange(side) / side, indexing="ij")
    discs = ((0.31, 0.37, 0.22), (0.62, 0.56, 0.31), (0.5, 0.65, 0.27), (0.65, 0.31, 0.28))
    target = torch.stack([((x - a) ** 2 + (y - b) ** 2 < r * r).float() for a, b, r in discs])
    return 0.3 * torch.randn(4, 3, side, side) + 2 * target[:, None] - 1, target


@torch.no_grad()
def _dice(net: SegmentationModel, images: torch.Tensor, target: torch.Tensor) -> float:
    pred = (net.eval()(images)[:, 0] > 0).float()
    return (2 * (pred * target).sum((1, 2)) / (pred + target).sum((1, 2))).mean().item()


def check_logits(model: str | Builder, **options) -> None:
    """Finite logits at input size for one class and for six, in evaluation, for any size and a batch of
    one."""
    for num_classes in (1, 6):
        net = _built(model, num_classes, options).eval()
        for height, width in ((SMALLEST, SMALLEST), (45, 77), (_side(net), _side(net))):
            with torch.no_grad():
                logits = net(_images(1, height, width))
            expected = (1, num_classes, height, width)
            assert logits.shape == expected, f"logits have shape {tuple(logits.shape)}, expected {expected}"
            assert logits.isfinite().all(), f"logits of a {height}×{width} image are not finite"


@torch.no_grad()
def check_split(model: str | Builder, **options) -> None:
    """`decode(encode(images))` is `forward`, decode leaves the features as they are, images do not mix."""
    net = _built(model, 2, options).eval()
    images = _images(2, _side(net), 2 * _side(net))
    features = net.encode(images)
    kept = [feature.clone() for feature in features]
    logits = net.decode(features, images.shape[-2:])
    assert all(map(torch.equal, features, kept)), "decode changes the features, which may be cached"
    assert torch.allclose(net(images), logits, atol=1e-5), "forward is not encode, then decode"
    assert torch.allclose(net(images[:1]), logits[:1], atol=1e-4), "logits depend on the rest of the batch"


@torch.no_grad()
def check_padding(model: str | Builder, **options) -> None:
    """In evaluation an odd size is padded by its edge and cropped back; nothing else happens."""
    net = _built(model, 1, options).eval()
    images = _images(2, 45, 77)
    padded = F.pad(images, (0, -77 % net.multiple, 0, -45 % net.multiple), mode="replicate")
    assert torch.allclose(net(images), net(padded)[..., :45, :77], atol=1e-5), "padding changes the logits"


def check_gradients(model: str | Builder, **options) -> None:
    """Every parameter takes part: it gets a finite gradient."""
    net = _built(model, 2, options).train()
    net(_images(2, _side(net), _side(net))).square().mean().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, f"{name} takes no part in the forward pass"
        assert parameter.grad.isfinite().all(), f"the gradient of {name} is not finite"


@torch.no_grad()
def check_round_trip(model: str | Builder, **options) -> None:
    """state_dict holds all there is: a second model given the first one's gives the same logits."""
    first, second = (_built(model, 1, options, seed).eval() for seed in (0, 1))
    second.load_state_dict(first.state_dict())
    images = _images(1, _side(first), _side(first))
    assert torch.equal(first(images), second(images)), "state_dict does not hold all of the model"


def check_freezing(model: str | Builder, **options) -> None:
    """A frozen encoder stays as it is and evaluates, whatever the mode; without one, freezing is an error."""
    net = _built(model, 1, options)
    if net.encoder is None:
        _refused(net.freeze_encoder, "freezing", "pre-trained encoder")
        return
    net.freeze_encoder().train()
    before = {name: tensor.clone() for name, tensor in net.encoder.state_dict().items()}
    images = _images(2, _side(net), _side(net))
    features = net.encode(images)
    assert not any(f.requires_grad for f in features), "encode holds parameters that freezing leaves trainable"
    assert all(map(torch.equal, features, net.eval().encode(images))), "frozen features depend on the mode"
    net.train()(images).mean().backward()
    torch.optim.SGD((p for p in net.parameters() if p.requires_grad), lr=0.1).step()
    assert not any(module.training for module in net.encoder.modules()), "train() wakes the frozen encoder"
    for name, tensor in net.encoder.state_dict().items():
        assert torch.equal(tensor, before[name]), f"{name} of the frozen encoder moved in training"


def check_refusals(model: str | Builder, **options) -> None:
    """Images that are too small, not RGB or, in training, no multiple of `multiple` are errors that say
    so."""
    net = _built(model, 1, options)
    _refused(lambda: net.eval()(_images(1, SMALLEST - 1, 64)), "a 31×64 image", "too small")
    _refused(lambda: net.eval()(_images(1, 64, 64)[:, :2]), "an image of two channels", "expected (N, 3, H, W)")
    if net.multiple > 1:
        odd = _side(net) + 1
        _refused(lambda: net.train()(_images(2, odd, odd)), f"training at {odd}×{odd}", "not multiples of")


CHECKS = (
    check_logits,
    check_split,
    check_padding,
    check_gradients,
    check_round_trip,
    check_freezing,
    check_refusals,
)


def _builder(model: str | Builder, options: dict) -> Builder:
    build = functools.partial(build_model, model) if isinstance(model, str) else model
    return functools.partial(build, **options)


def _built(model: str | Builder, num_classes: int, options: dict, seed: int = 0) -> SegmentationModel:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return _builder(model, options)(num_classes=num_classes)


def _images(*shape: int) -> torch.Tensor:
    batch, height, width = shape
    return torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(height + width))


def _side(net: SegmentationModel) -> int:
    """A size the network takes without padding, 64 or more."""
    return 64 + -64 % net.multiple


def _refused(call: Callable[[], object], what: str, words: str) -> None:
    try:
        call()
    except ValueError as error:
        assert words in str(error), f"{what} is an error that does not say '{words}': {error}"
    else:
        raise AssertionError(f"{what} is expected to be a ValueError")
