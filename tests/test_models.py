"""Every architecture of the registry, at a small width: shapes, gradients, freezing, options, errors.

Run alone: pytest tests/test_models.py (the slowest case is marked long: add -m "long or not long")
"""

import subprocess
import sys

import pytest
import torch
from small import SMALL

from seglib import digest
from seglib.models import MODELS, build_model, module_of, testing
from seglib.models.layers import PointwiseConv2d, PointwiseConvTranspose2d

PRETRAINED = ("mobilenetv2_decoder", "mobilenetv2_unet", "segnet_attention", "segnet_attention_atrous")
FROM_SCRATCH = tuple(name for name in MODELS if name not in PRETRAINED)

OWN_MODEL = '''
"""A model of one's own."""
import torch
from torch import nn
from seglib.models.base import SegmentationModel

class Tiny(SegmentationModel):
    multiple = 4
    def __init__(self, *, num_classes: int, channels: int = 4):
        super().__init__()
        self.conv = nn.Conv2d(3, channels, 3, padding=1)
        self.head = nn.Conv2d(channels, num_classes, 1)
    def encode(self, images):
        return [self.conv(images).relu()]
    def decode(self, features, size):
        return self.head(features[0])

class Forgetful(Tiny):
    def __init__(self, *, num_classes: int):
        super().__init__(num_classes=num_classes)
        self.unused = nn.Linear(2, 2)

class Plain(nn.Module):
    pass

class NoClasses(Tiny):
    def __init__(self):
        super().__init__(num_classes=1)
'''


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_model", raising=False)
    file = tmp_path / "own_model.py"
    file.write_text(OWN_MODEL)
    yield file
    sys.modules.pop("own_model", None)


@pytest.mark.parametrize("check", testing.CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", MODELS)
def test_every_architecture_passes_every_check(name, check):
    check(name, **SMALL[name])


@pytest.mark.parametrize(
    ("name", "training"),
    [
        pytest.param(
            "mobilenetv2_decoder",
            {"width": 0.25, "dropout": 0.0, "lr": 3e-3, "image_size": 128, "steps": 160},
            marks=pytest.mark.long,
        ),
        ("mobilenetv2_unet", {"width": 0.25, "lr": 3e-3}),
        ("segnet_attention", {}),
        ("segnet_attention_atrous", {}),
        ("unet", {}),
        ("resnet34_unet", {}),
        ("six_class_net", {}),
        ("munet", {"head_dilation": 1}),  # with the original's 2 three quarters of the pixels cannot be learned
        ("munet_aspp", {"head_dilation": 1}),
    ],
)
def test_every_architecture_learns_four_images_by_heart(name, training):
    testing.check_overfits(name, **SMALL[name] | training)


@pytest.mark.parametrize(
    ("name", "num_classes", "parameters", "decoder"),
    [
        ("mobilenetv2_decoder", 1, 9_474_913, 7_251_041),
        ("mobilenetv2_unet", 1, 7_413_985, 7_413_985 - 2_223_872),
        ("segnet_attention", 1, 6_145_118, 6_145_118 - 2_223_872),
        ("segnet_attention_atrous", 1, 39_138_902, 39_138_902 - 2_223_872),
        ("unet", 1, 31_037_633, 31_037_633),
        ("resnet34_unet", 1, 23_613_313, 23_613_313),
        ("six_class_net", 6, 282_486, 282_486),
        ("munet", 5, 5_076_997, 5_076_997),
        ("munet_aspp", 5, 5_076_997 + 524_928, 5_076_997 + 524_928),
    ],
)
def test_parameters_are_as_many_as_the_report_says(name, num_classes, parameters, decoder):
    with torch.device("meta"):
        model = build_model(name, num_classes=num_classes)
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert sum(p.numel() for p in model.decoder_parameters()) == decoder


def test_the_encoder_of_resnet34_unet_has_as_many_parameters_as_resnet34_without_its_classifier():
    with torch.device("meta"):
        model = build_model("resnet34_unet", num_classes=1)
    assert sum(p.numel() for p in model.resnet.parameters()) == 21_284_672


@pytest.mark.parametrize("name", PRETRAINED)
def test_exactly_the_encoder_is_frozen(name):
    model = build_model(name, num_classes=1, **SMALL[name]).freeze_encoder()
    trainable = {n for n, p in model.named_parameters() if p.requires_grad}
    assert trainable == {n for n, _ in model.named_parameters() if not n.startswith("encoder.")}


@pytest.mark.parametrize("name", FROM_SCRATCH)
def test_weights_are_refused_where_nothing_is_pretrained(name):
    with pytest.raises(ValueError, match=f"{name} has no pre-trained encoder; use weights: none"):
        build_model(name, num_classes=1, weights="imagenet-pypi")


@pytest.mark.parametrize("name", ["mobilenetv2_decoder", "segnet_attention", "resnet34_unet"])
def test_a_training_batch_that_batchnorm_cannot_take_is_an_error_that_says_so(name):
    model = build_model(name, num_classes=1, **SMALL[name])
    with pytest.raises(ValueError, match=r"one value per channel.*use a batch_size that leaves at least 2 images"):
        model(torch.randn(1, 3, 32, 32))
    model(torch.randn(2, 3, 32, 32))
    model(torch.randn(1, 3, 64, 64))


def test_a_frozen_encoder_takes_a_training_batch_of_one():
    build_model("mobilenetv2_unet", num_classes=1, width=0.125).freeze_encoder()(torch.randn(1, 3, 32, 32))


def test_an_error_inside_a_model_is_not_mistaken_for_batchnorms():
    class Broken(MODELS["six_class_net"]):
        def encode(self, images):
            raise ValueError("something else")

    with pytest.raises(ValueError, match=r"^something else$"):
        Broken(num_classes=1)(torch.randn(1, 3, 32, 32))


def test_the_suggested_training_size_is_the_next_multiple():
    with pytest.raises(ValueError, match="100×100 are not multiples of 16, as UNet needs; use image_size=112"):
        build_model("unet", num_classes=1, width=0.0625)(torch.randn(2, 3, 100, 100))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("unett", {}, "unknown model 'unett'; did you mean 'unet'?"),
        ("unet", {"widht": 0.5}, "unknown option of unet 'widht'; did you mean 'width'?"),
        ("unet", {"num_classes": 0}, "num_classes is 0, expected at least 1"),
        ("unet", {"num_classes": 2.0}, r"num_classes is 2.0 \(float\), expected int"),
        ("unet", {"width": 0}, "width is 0.0, expected a number above 0"),
        ("unet", {"width": -1.0}, "width is -1.0, expected a number above 0"),
        ("unet", {"width": float("nan")}, "width is nan, expected a number above 0"),
        ("unet", {"width": "half"}, r"width is 'half' \(str\), expected float"),
        ("unet", {"width": True}, r"width is True \(bool\), expected float"),
        ("unet", {"dropout": 1.0}, "dropout is 1.0, expected a share of at least 0 and below 1"),
        ("unet", {"channels": [64]}, "channels are .*, expected two to six numbers"),
        ("resnet34_unet", {"stem_pool": 1}, r"stem_pool is 1 \(int\), expected bool"),
        ("munet", {"depth": 12}, "depth is 12, expected 8, 16, 24 or another multiple of 8"),
        ("munet", {"depth": 0}, "depth is 0, expected"),
        ("munet", {"head_dilation": 3}, "head_dilation is 3, expected 2 .* or 1"),
        ("munet_aspp", {"dilations": ["2", "4"]}, r"dilations is \['2', '4'\], expected a list of integers"),
        ("munet_aspp", {"dilations": 2}, "dilations is 2, expected a list of integers"),
        ("munet_aspp", {"dilations": [True, 2]}, "dilations is .*, expected a list of integers"),
        ("munet_aspp", {"dilations": [0, 2]}, "dilations are .*, expected one or more integers of at least 1"),
        ("segnet_attention_atrous", {"dilations": []}, "dilations are .*, expected one or more integers"),
        ("segnet_attention", {"skip_strides": [3]}, "skip_strides are .*, expected any of 2, 4, 8, 16"),
        ("mobilenetv2_decoder", {"decoder_channels": [8, 8]}, "decoder_channels are .*, expected 5 numbers"),
        ("mobilenetv2_unet", {"decoder_channels": [8, 8, 8, 8, 0]}, "decoder_channels are .* of at least 1"),
        ("mobilenetv2_unet", {"weights": 3}, r"weights is 3 \(int\), expected str"),
    ],
)
def test_an_option_that_cannot_be_is_an_error_that_names_it(name, options, message):
    with pytest.raises(ValueError, match=message):
        build_model(name, **{"num_classes": 1} | options)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("unet", {"channels": [8, 16, 32], "dropout": 0.3}),
        ("resnet34_unet", {"width": 0.0625, "stem_pool": False, "dropout": 0.3}),
        ("munet_aspp", {"width": 0.0625, "depth": 8, "dilations": [3], "head_dilation": 1}),
        ("mobilenetv2_decoder", {"decoder_channels": [8, 8, 8, 8, 8]}),
        ("mobilenetv2_unet", {"skip_strides": [], "width": 0.0625, "dropout": 0.3}),
        ("segnet_attention", {"skip_strides": [16, 4], "width": 0.0625, "dropout": 0.3}),
        ("segnet_attention_atrous", {"dilations": [1, 2, 4], "skip_strides": [2], "width": 0.0625}),
        ("six_class_net", {"width": 0.01}),  # one channel each
    ],
)
def test_options_change_the_network_and_it_still_passes_every_check(name, options):
    testing.check_model(name, **options)


def test_dropout_is_random_in_training_and_absent_in_evaluation():
    model = build_model("unet", num_classes=1, width=0.0625, dropout=0.5)
    images = torch.randn(2, 3, 32, 32)
    assert not torch.equal(model(images), model(images))
    model.eval()
    assert torch.equal(model(images), model(images))


def test_a_model_of_ones_own_is_built_by_module_and_name(own_module):
    model = build_model("own_model:Tiny", num_classes=3, channels=8)
    assert model.conv.out_channels == 8
    testing.check_model("own_model:Tiny", channels=8)
    testing.check_model(type(model))
    testing.check_overfits(type(model))


def test_the_module_of_a_model_is_what_its_digest_is_made_of(own_module):
    assert module_of("munet_aspp") == "seglib.models.munet"
    assert module_of("own_model:Tiny") == "own_model"
    before = digest.of_code([module_of("own_model:Tiny")])
    own_module.write_text(OWN_MODEL.replace("relu", "tanh"))
    assert digest.of_code([module_of("own_model:Tiny")]) != before


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_module:Net", "there is no module 'no_such_module'; put its folder on PYTHONPATH"),
        ("own_model:Tinny", "expected a class 'Tinny' in own_model .*found None"),
        ("own_model:Plain", "expected a class 'Plain' in own_model that subclasses .*SegmentationModel"),
        ("own_model:NoClasses", "its constructor must take the keyword num_classes"),
    ],
)
def test_a_model_of_ones_own_that_is_none_is_an_error_that_says_why(own_module, name, message):
    with pytest.raises(ValueError, match=message):
        build_model(name, num_classes=1)


def test_what_is_wrong_with_a_model_of_ones_own_is_said_in_words(own_module):
    with pytest.raises(AssertionError, match=r"unused\.weight takes no part in the forward pass"):
        testing.check_model("own_model:Forgetful")
    with pytest.raises(AssertionError, match="four images are not learned after 10 steps: Dice"):
        testing.check_overfits("own_model:Tiny", lr=1e-9, steps=10)


def test_importing_the_models_needs_nothing_but_torch():
    code = "import sys, seglib.models; print(*{'torchvision', 'pandas', 'torchinfo'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("channels", [8, 32])
def test_strided_pointwise_convolutions_are_those_of_torch(channels):
    ours = PointwiseConv2d(channels, 5, stride=2), PointwiseConvTranspose2d(channels, 5)
    torchs = torch.nn.Conv2d(channels, 5, 1, 2), torch.nn.ConvTranspose2d(channels, 5, 1, 2, output_padding=1)
    x = torch.randn(2, channels, 8, 6)
    for mine, theirs in zip(ours, torchs, strict=True):
        theirs.load_state_dict(mine.state_dict())
        for layout in (torch.contiguous_format, torch.channels_last):
            torch.testing.assert_close(mine(x.contiguous(memory_format=layout)), theirs(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_no_architecture_has_a_strided_pointwise_convolution_of_torchs_own(name):
    # torch 2.15 on the CPU corrupts its memory in their backward pass: channels_last, fewer than 16 channels
    for module in build_model(name, num_classes=1, **SMALL[name]).modules():
        if type(module) in (torch.nn.Conv2d, torch.nn.ConvTranspose2d):
            assert module.kernel_size != (1, 1) or module.stride == (1, 1), module
