"""Every test writes into folders of its own: no run, cache or data of the user is read or touched."""

import sys

import pytest
import torch

torch.set_num_threads(1)  # small tensors: more threads only wait for each other

FIRST = ("test_report.py", "test_endings.py", "test_readme.py", "test_train.py")  # the longest, begun before the rest


def pytest_collection_modifyitems(items):
    """On several cores the longest files must not be the last to begin."""
    items.sort(key=lambda item: item.path.name not in FIRST)


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch, tmp_path_factory):
    monkeypatch.setenv("SEGLIB_OUTPUTS", str(tmp_path / "outputs"))
    monkeypatch.setenv("SEGLIB_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("SEGLIB_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.delenv("SEGLIB_PROGRESS", raising=False)
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")  # they stay open, and in memory, until somebody does


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """A headless Chromium for the whole session; `tests/browser.py` says what it can do."""
    from browser import CHROMIUM, Browser

    if CHROMIUM is None:
        pytest.skip("no chromium, chromium-browser or google-chrome on PATH")
    with Browser(tmp_path_factory.mktemp("chromium")) as opened:
        yield opened
