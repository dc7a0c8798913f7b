"""The model table: parameters, multiply-adds and memory. Run alone: pytest tests/test_models_summary.py"""

import pytest
import torch

from seglib.models import MODELS, build_model
from seglib.models.summary import summarise, table


def multiply_adds(model, images):
    """Of convolutions and BatchNorms, counted by hand: weights times the positions that they are applied at."""
    total = 0

    def count(module, inputs, output):
        nonlocal total
        weights = sum(p.numel() for p in module.parameters())
        positions = output.shape[0] * output.shape[-1] * output.shape[-2]
        norm = isinstance(module, torch.nn.BatchNorm2d)
        total += len(output) * weights if norm else positions * weights  # torchinfo: once per weight and image

    leaves = [m for m in model.modules() if not list(m.children()) and list(m.parameters())]
    for module in leaves:
        module.register_forward_hook(count)
    model.eval()(images)
    return total


@pytest.mark.parametrize("name", ["unet", "munet", "resnet34_unet"])
def test_multiply_adds_count_shared_blocks_as_often_as_they_run(name):
    with torch.device("meta"):
        model, images = build_model(name, num_classes=2), torch.empty(1, 3, 64, 64)
    found = summarise(model, image_size=64).total_mult_adds
    assert found == pytest.approx(multiply_adds(model, images), rel=0.01)


def test_the_table_has_every_architecture_with_its_frozen_part():
    rows = table(list(MODELS), num_classes=1, image_size=128, frozen=True).set_index("model")
    assert list(rows.index) == list(MODELS)
    assert (rows.parameters == rows.trainable + rows.frozen).all()
    pretrained = ["mobilenetv2_decoder", "mobilenetv2_unet", "segnet_attention", "segnet_attention_atrous"]
    assert rows.frozen[rows.frozen > 0].to_dict() == dict.fromkeys(pretrained, 2_223_872)
    assert (rows["multiply-adds (G)"] > 0).all()
    assert (rows["memory (MB)"] > rows.parameters * 4 / 1e6).all()


def test_the_table_takes_each_models_options_and_counts_a_batch():
    narrow = {"unet": {"width": 0.25}}
    one, four = (table(["unet"], num_classes=1, image_size=64, batch_size=n, options=narrow).iloc[0] for n in (1, 4))
    assert one.parameters < 31_037_633 / 10
    assert four["multiply-adds (G)"] == pytest.approx(4 * one["multiply-adds (G)"], rel=0.01)


def test_a_summary_leaves_the_model_in_its_mode():
    model = build_model("unet", num_classes=1, width=0.0625).train()
    summarise(model, image_size=32)
    assert model.training
