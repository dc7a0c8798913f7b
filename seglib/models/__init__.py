"""The architectures by name, and `build_model`."""

import importlib
import inspect
import typing

from seglib import names
from seglib.models.base import SegmentationModel
from seglib.models.mobilenetv2_decoder import MobileNetV2Decoder
from seglib.models.mobilenetv2_unet import MobileNetV2UNet
from seglib.models.munet import MUNet, MUNetASPP
from seglib.models.resnet34_unet import ResNet34UNet
from seglib.models.segnet_attention import SegNetAttention, SegNetAttentionAtrous
from seglib.models.six_class_net import SixClassNet
from seglib.models.unet import UNet

MODELS: dict[str, type[SegmentationModel]] = {
    "mobilenetv2_decoder": MobileNetV2Decoder,
    "mobilenetv2_unet": MobileNetV2UNet,
    "segnet_attention": SegNetAttention,
    "segnet_attention_atrous": SegNetAttentionAtrous,
    "unet": UNet,
    "resnet34_unet": ResNet34UNet,
    "six_class_net": SixClassNet,
    "munet": MUNet,
    "munet_aspp": MUNetASPP,
}


def build_model(name: str, *, num_classes: int, weights: str = "none", **options) -> SegmentationModel:
    """A model by name, with random weights but for a pre-trained encoder.

    Args: name — in MODELS, or `module:Name` for a SegmentationModel of one's own; num_classes — channels of
        the logits; weights — of the encoder (`none` where there is no encoder); options — keywords of that
        model's constructor, whose docstring says what they do. Lists, as YAML has them, stand for tuples.
    Raises: ValueError for an unknown name or option, an option of the wrong type or out of range, or for
        weights where the model has no place for them.
    """
    constructor = model_class(name)
    kinds = _options(constructor)
    _typed("num_classes", num_classes, int)
    if num_classes < 1:
        raise ValueError(f"num_classes is {num_classes}, expected at least 1 (1 is binary foreground)")
    if "weights" in kinds:
        options["weights"] = weights
    elif weights != "none":
        raise ValueError(f"{name} has no pre-trained encoder; use weights: none (got {weights})")
    for option in options:
        if option not in kinds:
            raise ValueError(names.unknown(f"option of {name}", option, kinds.keys() - {"weights"}))
    return constructor(num_classes=num_classes, **{o: _typed(o, v, kinds[o]) for o, v in options.items()})


def model_class(name: str) -> type[SegmentationModel]:
    """The class behind a name in MODELS or behind `module:Name`.

    Raises: ValueError if there is none, or if it is not a SegmentationModel that takes num_classes.
    """
    if ":" not in name:
        if name not in MODELS:
            raise ValueError(names.unknown("model", name, MODELS) + "; or module:Name for one of your own")
        return MODELS[name]
    module, _, attribute = name.partition(":")
    if not names.OWN.fullmatch(name):
        raise ValueError(f"model '{name}' is not of the form module:Name")
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except ModuleNotFoundError as error:
        if error.name and not f"{module}.".startswith(f"{error.name}."):
            raise ValueError(f"model '{name}': {module} imports {error.name}, which is not installed") from error
        raise ValueError(f"model '{name}': there is no module '{module}'; put its folder on PYTHONPATH") from error
    if not (inspect.isclass(found) and issubclass(found, SegmentationModel)):
        raise ValueError(
            f"model '{name}': expected a class '{attribute}' in {module} that subclasses "
            f"seglib.models.base.SegmentationModel, found {found!r}"
        )
    if "num_classes" not in inspect.signature(found).parameters:
        raise ValueError(f"model '{name}': its constructor must take the keyword num_classes")
    return found


def has_encoder(name: str) -> bool:
    """Whether a model has an encoder with weights learned elsewhere, that can be frozen or fine-tuned."""
    return "weights" in _options(model_class(name))


def module_of(name: str) -> str:
    """The module whose code a model depends on: it enters the run key by `seglib.digest.of_code`."""
    return model_class(name).__module__


def _options(constructor: type[SegmentationModel]) -> dict[str, object]:
    """The constructor's keywords but for num_classes, with what each is annotated as."""
    kinds = typing.get_type_hints(constructor.__init__)
    return {o: kinds.get(o) for o in inspect.signature(constructor).parameters if o != "num_classes"}


def _typed(option: str, value: object, kind: object) -> object:
    """The value as its option is annotated (a plain type or tuple[int, ...]; other annotations admit any)."""
    if kind == tuple[int, ...]:
        if isinstance(value, list | tuple) and all(isinstance(v, int) and not isinstance(v, bool) for v in value):
            return tuple(value)
        raise ValueError(f"{option} is {value!r}, expected a list of integers")
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind in (int, float, bool, str) and (
        not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)
    ):
        raise ValueError(f"{option} is {value!r} ({type(value).__name__}), expected {kind.__name__}")
    return value
