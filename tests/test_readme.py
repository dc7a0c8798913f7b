"""What the README shows works as it stands there. Alone: pytest tests/test_readme.py"""

import re
import sys

import pytest

from seglib import experiment, paths
from seglib.config import Config
from seglib.losses.check import check_loss
from seglib.models.testing import check_model

README = (paths.ROOT / "README.md").read_text()


@pytest.fixture
def my_module(tmp_path, monkeypatch):
    """The README's model and loss, as the module it tells the reader to write."""
    (tmp_path / "my_module.py").write_text("\n".join(re.findall(r"```python\n(.*?)```", README, re.S)))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_module", raising=False)
    yield tmp_path / "my_module.py"
    sys.modules.pop("my_module", None)


def test_the_model_and_the_loss_of_the_readme_pass_their_checks(my_module):
    check_model("my_module:MyNet")
    check_loss("my_module:my_loss", "binary")


def test_a_model_of_one_s_own_is_trained_and_trained_again_when_it_changes(my_module):
    config = Config(
        model="my_module:MyNet", loss={"bce": 1.0, "my_module:my_loss": 0.5}, image_size=32, epochs=1, device="cpu",
        threads=1, train_images=4, val_images=2, test_images=2,
    )  # fmt: skip
    first = experiment.run(config)
    assert {"train_bce", "train_my_module:my_loss"} <= set(first.history.columns)
    assert experiment.run(config).key == first.key
    my_module.write_text(my_module.read_text().replace("nn.ReLU()", "nn.GELU()"))
    assert experiment.run(config).key != first.key


def test_every_path_and_command_of_the_readme_exists():
    makefile = (paths.ROOT / "Makefile").read_text()
    for target in re.findall(r"^make ([a-z-]+)", README, re.M):
        assert re.search(rf"^{target}:", makefile, re.M), target
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert link.startswith("https://") or (paths.ROOT / link).exists(), link
    for study in re.findall(r"STUDY=(\w+)", README):
        assert (paths.PARAMS / study).is_dir(), study
