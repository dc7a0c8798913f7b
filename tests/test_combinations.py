"""Every architecture × task × loss that goes together takes one training step.

Alone: pytest tests/test_combinations.py
"""

import pytest
import torch
from small import SMALL

from seglib.config import Config
from seglib.losses import LOSSES, TASKS, build_loss
from seglib.models import MODELS, build_model
from seglib.optim import build_optimizer

CLASSES = {"binary": 1, "multiclass": 3, "planes": 2}
TARGET = {"binary": (2, 64, 64), "multiclass": (2, 64, 64), "planes": (2, 2, 64, 64)}


def test_every_loss_goes_with_a_task_and_every_task_is_tried():
    assert set().union(*TASKS.values()) == set(LOSSES) and TASKS.keys() == CLASSES.keys()


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("model", MODELS)
def test_one_step_reaches_every_parameter_and_moves_the_network(model, task):
    for spec in [*TASKS[task], dict.fromkeys(TASKS[task], 0.5)]:
        torch.manual_seed(0)
        images, target = torch.randn(2, 3, 64, 64), torch.randint(0, max(CLASSES[task], 2), TARGET[task])
        net = build_model(model, num_classes=CLASSES[task], **SMALL[model]).train()
        before = [p.detach().clone() for p in net.parameters()]
        optimizer = build_optimizer(net, Config(model=model, task=task, lr=1e-2))
        loss, parts = build_loss(spec, task=task, num_classes=CLASSES[task])(net(images), target)
        loss.mean().backward()
        optimizer.step()
        assert loss.isfinite().all() and parts.keys() == ({spec} if isinstance(spec, str) else spec.keys())
        assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
        # not all: a bias in front of a BatchNorm has a gradient of 0, and so has what feeds a ReLU that is off
        moved = [not torch.equal(p, b) for p, b in zip(net.parameters(), before, strict=True)]
        assert sum(moved) > len(moved) / 2 and moved[-1]
