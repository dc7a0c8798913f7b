"""Each architecture equals a literal transcription of its recipe, written here in functional torch.

The transcriptions use nothing of the models but their weights, by name. Run alone: pytest tests/test_models_exact.py
"""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from seglib.models import build_model
from seglib.models.summary import summarise

MODES = pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])


class Weights:
    """A model's weights, applied by name."""

    def __init__(self, model):
        self.state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        self.training = model.training

    def conv(self, x, name, **how):
        return F.conv2d(x, self.state[f"{name}.weight"], self.state.get(f"{name}.bias"), **how)

    def up(self, x, name, **how):
        return F.conv_transpose2d(x, self.state[f"{name}.weight"], self.state.get(f"{name}.bias"), **how)

    def norm(self, x, name):
        mean, var, weight, bias = (
            self.state[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
        )
        return F.batch_norm(x, mean, var, weight, bias, training=self.training)

    def conv3_norm_relu(self, x, conv, norm):
        return self.norm(self.conv(x, conv, padding=1), norm).relu()


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def built(name, *, training=False, num_classes=2, **options):
    """A model whose BatchNorms are all different, so that mixing any two up shows."""
    torch.manual_seed(0)
    model = build_model(name, num_classes=num_classes, **options)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return model.train(training)


def same(logits, expected):
    assert logits.std() > 1e-3
    return logits.shape == expected.shape and (logits - expected).abs().max() <= 1e-4  # logits are of order 1


def munet(w, x, depth, dilations=()):
    """DLStudio's forward pass in the order of EXPERIMENTS, study 5."""
    d = depth // 2

    def skip_block_dn(x, name, halve=False):
        identity, out = x, w.conv3_norm_relu(x, f"{name}.path.0", f"{name}.path.1")
        same_channels = out.shape[1] == x.shape[1]
        if same_channels:
            out = w.conv3_norm_relu(out, f"{name}.path.3", f"{name}.path.4")
        if halve:
            out, identity = (w.conv(t, f"{name}.resample", stride=2) for t in (out, identity))
        return out + (identity if same_channels else torch.cat((identity, identity), dim=1))

    def skip_block_up(x, name, double=False):
        identity, out = x, w.norm(w.up(x, f"{name}.path.0", padding=1), f"{name}.path.1").relu()
        same_channels = out.shape[1] == x.shape[1]
        if same_channels:
            out = w.norm(w.up(out, f"{name}.path.3", padding=1), f"{name}.path.4").relu()
        if double:
            how = {"stride": 2, "dilation": 2, "output_padding": 1}
            out, identity = (w.up(t, f"{name}.resample", **how) for t in (out, identity))
        return out + (identity if same_channels else identity[:, out.shape[1] :])

    def half(x):
        return x[:, : x.shape[1] // 2].clone()

    x = F.max_pool2d(w.conv(x, "stem", padding=1).relu(), 2)
    for i in range(d // 4):
        x = skip_block_dn(x, f"down1.{i}")
    save1 = half(x)
    x = skip_block_dn(x, "down2.0", halve=True)
    for i in range(d - d // 4):
        x = skip_block_dn(x, f"down2.1.{i}")
    x = w.norm(x, "down2.2")
    save2 = half(x)
    x = skip_block_dn(x, "down3.0")
    for i in range(d // 4):
        x = skip_block_dn(x, f"down3.1.{i}")
    x = w.norm(x, "down3.2")
    save3 = half(x)
    for i in range(d - d // 4):
        x = skip_block_dn(x, f"bridge.0.{i}")
    x = skip_block_dn(x, "bridge.1", halve=True)
    if dilations:
        branches = [w.conv(x, "aspp.branches.0")]
        for i, rate in enumerate(dilations, start=1):
            branches.append(w.conv(x, f"aspp.branches.{i}", padding=rate, dilation=rate))
        x = w.conv(torch.cat(branches, dim=1), "aspp.fuse")
    x = skip_block_up(x, "up4", double=True)
    for i in range(d // 4):
        x = skip_block_up(x, f"up3.{i}")
    x[:, : save3.shape[1]] = save3
    x = w.norm(x, "norm3")
    for i in range(d // 4):  # the same blocks again
        x = skip_block_up(x, f"up3.{i}")
    x = skip_block_up(x, "up2.0")
    for i in range(d - d // 4):
        x = skip_block_up(x, f"up2.1.{i}")
    x[:, : save2.shape[1]] = save2
    x = w.norm(x, "norm2")
    x = skip_block_up(x, "up1.0", double=True)
    for i in range(d // 4):
        x = skip_block_up(x, f"up1.1.{i}")
    x[:, : save1.shape[1]] = save1
    return w.up(x, "head", stride=2, dilation=2, padding=2, output_padding=1)


@MODES
@pytest.mark.parametrize("depth", [8, 16])
@torch.no_grad()
def test_munet_is_dlstudios(training, depth):
    model, images = built("munet", training=training, num_classes=5, depth=depth), torch.randn(2, 3, 64, 48)
    assert same(munet(Weights(model), images, depth), model(images))


@MODES
@torch.no_grad()
def test_munet_aspp_is_munet_with_the_pyramid_at_the_end_of_its_encoder(training):
    model, images = built("munet_aspp", training=training, num_classes=3), torch.randn(2, 3, 64, 64)
    assert same(munet(Weights(model), images, 16, dilations=(2, 4, 6)), model(images))


@pytest.mark.parametrize("name", ["munet", "munet_aspp"])
@torch.no_grad()
def test_the_last_layer_of_the_original_leaves_three_of_four_logits_to_its_bias(name):
    images = torch.randn(1, 3, 64, 64)
    for head_dilation, holes in ((2, True), (1, False)):
        model = built(name, width=0.25, depth=8, head_dilation=head_dilation)
        offset = (model(images) - model.head.bias[:, None, None]).abs()
        assert (offset[:, :, ::2, ::2] > 0).all()
        for y, x in ((0, 1), (1, 0), (1, 1)):
            assert (offset[:, :, y::2, x::2].max() == 0) == holes


@MODES
@torch.no_grad()
def test_unet_is_the_reports_listing(training):
    def double_conv(x, name):
        x = w.conv3_norm_relu(x, f"{name}.0", f"{name}.1")
        return w.conv3_norm_relu(x, f"{name}.3", f"{name}.4")

    model, images = built("unet", training=training, width=0.25), torch.randn(2, 3, 64, 48)
    w = Weights(model)
    x1 = double_conv(images, "down.0")
    x2 = double_conv(F.max_pool2d(x1, 2, 2), "down.1")
    x3 = double_conv(F.max_pool2d(x2, 2, 2), "down.2")
    x4 = double_conv(F.max_pool2d(x3, 2, 2), "down.3")
    x5 = double_conv(F.max_pool2d(x4, 2, 2), "down.4")
    x = x5
    for i, skip in enumerate((x4, x3, x2, x1)):
        x = torch.cat([w.up(x, f"up.{i}.up", stride=2), skip], dim=1)
        x = double_conv(x, f"up.{i}.conv")
    assert [t.shape[1] for t in (x1, x2, x3, x4, x5)] == [16, 32, 64, 128, 256]
    assert same(w.conv(x, "head"), model(images))


def resnet34_encoder(w, x, stem_pool):
    def basic_block(x, name, stride):
        identity = x
        if f"{name}.downsample.0.weight" in w.state:
            identity = w.norm(w.conv(x, f"{name}.downsample.0", stride=stride), f"{name}.downsample.1")
        x = w.norm(w.conv(x, f"{name}.conv1", stride=stride, padding=1), f"{name}.bn1").relu()
        return (w.norm(w.conv(x, f"{name}.conv2", padding=1), f"{name}.bn2") + identity).relu()

    features = [w.norm(w.conv(x, "resnet.stem.0", stride=2, padding=3), "resnet.stem.1").relu()]
    x = F.max_pool2d(features[0], 3, 2, 1) if stem_pool else features[0]
    for stage, blocks in enumerate((3, 4, 6, 3)):
        for block in range(blocks):
            x = basic_block(x, f"resnet.stages.{stage}.{block}", 2 if stage > 0 and block == 0 else 1)
        features.append(x)
    return features


@MODES
@pytest.mark.parametrize("stem_pool", [True, False])
@torch.no_grad()
def test_resnet34_unet_is_the_reports_listing_and_with_the_pool_what_it_meant(training, stem_pool):
    model = built("resnet34_unet", training=training, width=0.25, stem_pool=stem_pool)
    images, w = torch.randn(2, 3, 96, 64), Weights(model)
    *skips, x = resnet34_encoder(w, images, stem_pool)
    for i, skip in enumerate(reversed(skips)):
        x = w.up(x, f"blocks.{i}.up", stride=2)
        x = F.interpolate(x, size=skip.shape[2:], mode="bilinear", align_corners=True)
        x = torch.cat((x, skip), dim=1)
        x = w.conv3_norm_relu(x, f"blocks.{i}.conv.0", f"blocks.{i}.conv.1")
    expected = F.interpolate(w.conv(x, "head"), size=(96, 64), mode="bilinear", align_corners=True)
    assert same(model(images), expected)


@torch.no_grad()
def test_the_encoder_of_resnet34_unet_is_torchvisions_resnet34():
    from torchvision.models import resnet34

    model, original = built("resnet34_unet"), resnet34(weights=None).eval()
    ours = model.resnet.state_dict().values()
    theirs = [name for name in original.state_dict() if not name.startswith("fc.")]
    original.load_state_dict(dict(zip(theirs, ours, strict=True)), strict=False)
    x = images = torch.randn(1, 3, 64, 64)
    for name in ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4"):
        x = original.get_submodule(name)(x)
    assert same(model.encode(images)[-1], x)


@torch.no_grad()
def test_six_class_net_follows_the_printed_shape_walk_at_320():
    def step(x, *shape):
        assert x.shape == (1, *shape)
        return x

    model, images = built("six_class_net", num_classes=6), torch.randn(1, 3, 320, 320)
    w, double = Weights(model), {"stride": 2, "padding": 1, "output_padding": 1}
    out1 = step(w.conv(images, "conv1", padding=1).relu(), 32, 320, 320)
    out2 = step(w.conv(out1, "conv2", padding=1).relu(), 64, 320, 320)
    out3 = step(w.conv(out2, "conv3", stride=2, padding=1).relu(), 128, 160, 160)
    out4 = step(w.up(out3, "upconv1", **double), 64, 320, 320)
    out4 = step(torch.cat([out4, out2], dim=1), 128, 320, 320)
    out4 = step(w.conv(out4, "conv4", stride=2, padding=1).relu(), 64, 160, 160)
    out5 = step(w.up(out4, "upconv2", **double), 32, 320, 320)
    out5 = step(torch.cat([out5, out1], dim=1), 64, 320, 320)
    out5 = step(w.conv(out5, "conv5", padding=1).relu(), 32, 320, 320)
    out6 = step(w.up(out5, "upconv3", **double).relu(), 16, 640, 640)
    assert same(model(images), step(w.conv(out6, "outconv", stride=2), 6, 320, 320))


def test_six_class_net_starts_from_kaiming_normal_weights():
    model = build_model("six_class_net", num_classes=6)
    for layer in model.children():
        fan_in = layer.weight[0].numel()
        assert layer.weight.std().item() == pytest.approx((2 / fan_in) ** 0.5, rel=0.3)


@torch.no_grad()
def test_mobilenetv2_decoder_is_the_reports_layer_table():
    model = build_model("mobilenetv2_decoder", num_classes=1)
    found = summarise(model, image_size=128, batch_size=16)
    layers = [layer for layer in found.summary_list if layer.is_leaf_layer]
    rows = [(layer.class_name, layer.output_size, layer.num_params) for layer in layers]
    expected, side = [], 4
    for channels, conv in ((512, 5_898_752), (256, 1_179_904), (64, 147_520), (32, 18_464), (16, 4_624)):
        small, large = [16, channels, side, side], [16, channels, 2 * side, 2 * side]
        expected += [("Conv2d", small, conv), ("BatchNorm2d", small, 2 * channels), ("ReLU", small, 0)]
        expected += [("Upsample", large, 0), ("Dropout", large, 0)]
        side *= 2
    expected.append(("Conv2d", [16, 1, 128, 128], 17))
    assert rows[-len(expected) :] == expected
    encoder = [sum(p.numel() for p in block.parameters()) for block in model.encoder.features]
    assert encoder == [928, 896, 5136, 8832, 10000, 14848, 14848, 21056, *3 * [54272], 66624, *2 * [118272],
                       155264, *2 * [320000], 473920, 412160]  # fmt: skip
    assert found.total_mult_adds / 1e9 == pytest.approx(5.50, abs=0.005)
    assert found.total_output_bytes / 1e6 == pytest.approx(595.98, abs=0.005)


def mobilenetv2_features(model, images):
    """What torchvision's features[1], [3], [6], [13] and [18] return."""
    features, x = {}, images
    for i, block in enumerate(model.encoder.features):
        features[i] = x = block(x)
    return [features[i] for i in (1, 3, 6, 13, 18)]


@torch.no_grad()
def test_mobilenetv2_decoder_is_its_five_blocks():
    model, images = built("mobilenetv2_decoder", width=0.25), torch.randn(2, 3, 64, 96)
    x, w = mobilenetv2_features(model, images)[-1], Weights(model)
    for i in range(5):
        x = w.conv3_norm_relu(x, f"blocks.{i}.0", f"blocks.{i}.1")
        x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
    assert same(model(images), w.conv(x, "head"))


@torch.no_grad()
def test_mobilenetv2_unet_is_its_recipe():
    model, images = built("mobilenetv2_unet"), torch.randn(2, 3, 64, 96)
    for name, parameter in model.blocks.named_parameters():
        if name.endswith("weight"):
            nn.init.kaiming_normal_(parameter)  # torch's own start lets fifteen layers without norm fade
    *skips, x = mobilenetv2_features(model, images)
    w = Weights(model)
    for i in range(5):
        x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        if skips:
            x = torch.cat([x, skips.pop()], dim=1)
        for conv in (0, 2, 4):
            x = w.conv(x, f"blocks.{i}.{conv}", padding=1).relu()
    assert same(model(images), w.conv(x, "head"))


@pytest.mark.parametrize("name", ["segnet_attention", "segnet_attention_atrous"])
@torch.no_grad()
def test_segnet_attention_is_its_recipe(name):
    model, images = built(name, width=0.5), torch.randn(2, 3, 64, 96)
    features, w = mobilenetv2_features(model, images), Weights(model)
    for i, f in enumerate(features):
        if name == "segnet_attention_atrous":
            one = w.conv(f, f"atrous.{i}.branches.0", padding=1, dilation=1).relu()
            two = w.conv(f, f"atrous.{i}.branches.1", padding=2, dilation=2).relu()
            f = w.conv(torch.cat([one, two], dim=1), f"atrous.{i}.fuse")
        features[i] = f * torch.sigmoid(w.conv(f, f"gates.{i}.map", padding=1))
    x = features.pop()
    for i in range(5):
        x = w.up(x, f"blocks.{i}.0", stride=2).relu()
        for conv in (2, 5, 8):
            x = w.conv3_norm_relu(x, f"blocks.{i}.{conv}", f"blocks.{i}.{conv + 1}")
        if features:
            x = torch.cat([x, features.pop()], dim=1)
    assert same(model(images), w.conv(x, "head"))
