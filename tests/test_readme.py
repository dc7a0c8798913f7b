"""What the README shows works as it stands there. Alone: pytest tests/test_readme.py"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import asdict

import numpy as np
import pytest
from PIL import Image

from seglib import experiment, params, paths, report, runs
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
    changed = runs.key_of(experiment.inputs(experiment.resolve(config)))
    assert changed != first.key
    with pytest.raises(RuntimeError, match=r"my_module\.py: edited since this process imported it"):
        experiment.run(config)
    code = f"from seglib import config, experiment; print(experiment.run(config.from_mapping({asdict(config)!r})).key)"
    variables = os.environ | {"PYTHONPATH": os.pathsep.join([str(my_module.parent), str(paths.ROOT)])}
    done = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1] == changed


def test_a_study_of_one_s_own_takes_a_copied_folder_of_parameters_and_no_code(tmp_path, monkeypatch):
    home, root = tmp_path / "home", tmp_path / "root"
    for number in range(40):
        image = np.random.default_rng(number).integers(0, 256, (40, 40, 3)).astype(np.uint8)
        mask = np.zeros((40, 40), dtype=np.uint8)
        mask[:, : 10 + number % 20] = 255
        for kind, content in {"my_images": image, "my_masks": mask}.items():
            (home / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(content).save(home / kind / f"{number}.png")
    shutil.copytree(paths.PARAMS / "smoke", root / "params" / "isic2016")  # the smallest study in its place
    [(root / "params" / "isic2016" / f"{name}.yaml").touch() for name in ("reported", "about")]
    *lines, last = re.search(r"takes a copied folder.*?```sh\n(.*?)```", README, re.S)[1].strip().splitlines()
    assert len(lines) == 4 and last == "make report STUDY=mine"
    shell = {"cwd": root, "env": os.environ | {"HOME": str(home)}, "shell": True, "check": True}
    subprocess.run("\n".join(lines), **shell)
    monkeypatch.setattr(paths, "PARAMS", root / "params")
    monkeypatch.setenv("SEGLIB_DATA", str(root / "data"))
    study = params.read("mine")
    few = {name: values for name, values in study.notebooks.items() if name.startswith(("01", "02"))}  # one that trains
    index = report.make(params.Study("mine", few))
    assert index.read_text().count('class="status done"') == 3 and "mobilenetv2_decoder" in index.read_text()
    assert all(run.config.data_folder == "mine" for run in runs.recorded("mine").popitem()[1])


def test_every_path_and_command_of_the_readme_exists():
    makefile = (paths.ROOT / "Makefile").read_text()
    for target in re.findall(r"^make ([a-z-]+)", README, re.M):
        assert re.search(rf"^{target}:", makefile, re.M), target
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert link.startswith("https://") or (paths.ROOT / link).exists(), link
    for study in set(re.findall(r"STUDY=(\w+)", README)) - {"mine", "all"}:  # the reader's own, and every one
        assert (paths.PARAMS / study).is_dir(), study
