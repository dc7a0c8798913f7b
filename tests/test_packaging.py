"""pyproject.toml, the lock, environment.yml and the Makefile say the same. Alone: pytest tests/test_packaging.py"""

import re
import subprocess
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from seglib import paths
from seglib.params import read_yaml

PROJECT = tomllib.loads((paths.ROOT / "pyproject.toml").read_text())["project"]
LOCK = (paths.ROOT / "requirements.lock").read_text()
PINS = [Requirement(line.removesuffix("\\").strip()) for line in re.findall(r"^[\w.-]+==.*$", LOCK, re.M)]
EXTRAS = [
    Requirement(r) for extra in ("dev", "export", "sam", "tensorboard") for r in PROJECT["optional-dependencies"][extra]
]
ASKED = [*map(Requirement, PROJECT["dependencies"]), *EXTRAS]
PLATFORMS = [
    {"sys_platform": s, "platform_machine": m, "platform_system": {"linux": "Linux", "darwin": "Darwin"}[s],
     "python_version": v, "python_full_version": f"{v}.1"}
    for s in ("linux", "darwin") for m in ("x86_64", "arm64" if s == "darwin" else "aarch64") for v in ("3.11", "3.13")
]  # fmt: skip


@pytest.mark.parametrize(
    "platform", PLATFORMS, ids=lambda p: "-".join([p["sys_platform"], p["platform_machine"], p["python_version"]])
)
@pytest.mark.parametrize("asked", ASKED, ids=lambda r: r.name)
def test_the_lock_pins_every_requirement_once_on_every_platform(asked, platform):
    pinned = [
        pin
        for pin in PINS
        if canonicalize_name(pin.name) == canonicalize_name(asked.name)
        and (not pin.marker or pin.marker.evaluate(platform))
    ]
    assert len(pinned) == 1, f"{asked} on {platform}: {pinned}; run `make lock`"
    (version,) = (spec.version for spec in pinned[0].specifier)
    assert asked.specifier.contains(version)


def test_the_lock_has_a_hash_for_every_pin_and_names_no_host():
    entries = re.split(r"^(?=[\w.-]+==)", LOCK, flags=re.M)[1:]
    assert len(entries) == len(PINS)
    assert all("--hash=sha256:" in entry for entry in entries)
    assert not re.search(r"https?://|index.url|find.links", LOCK)


def test_environment_yml_installs_the_lock_and_this_package():
    environment = read_yaml(paths.ROOT / "environment.yml")
    (pip,) = (d["pip"] for d in environment["dependencies"] if isinstance(d, dict))
    assert pip == ["-r requirements.lock"]
    python = next(d for d in environment["dependencies"] if isinstance(d, str) and d.startswith("python"))
    assert Requirement(python.replace("=3", "==3")).specifier.contains("3.12") and "pip" in environment["dependencies"]
    assert PROJECT["requires-python"] == ">=3.11"


def test_make_alone_prints_the_help_with_every_verb():
    done = subprocess.run(["make", "-s", "-C", str(paths.ROOT)], capture_output=True, text=True, check=True)
    verbs = re.findall(r"^([a-z-]+):.*## ", (paths.ROOT / "Makefile").read_text(), re.M)
    assert {"help", "report", "test", "test-all", "lab", "clean"} <= set(verbs)
    assert all(re.search(rf"^{verb}\s", done.stdout, re.M) for verb in verbs)


def test_the_repository_holds_no_outputs_data_or_weights():
    listed = subprocess.run(["git", "-C", str(paths.ROOT), "ls-files"], capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    assert not [f for f in listed.stdout.split() if re.search(r"\.(pt|pth|safetensors|npz|npy|jpe?g|gz)$|^data/", f)]


def test_every_declared_package_is_used():
    source = "\n".join(f.read_text() for f in (paths.ROOT / "seglib").rglob("*.py"))
    source += (
        "\n".join(f.read_text() for f in (paths.ROOT / "tests").glob("*.py")) + (paths.ROOT / "Makefile").read_text()
    )
    imported = {
        "beautifulsoup4": "bs4",
        "pillow": "PIL",
        "pypandoc-binary": "pypandoc",
        "ruamel-yaml": "ruamel",
        "jupyterlab": "jupyter lab",
        "setuptools": "no-build-isolation",
        "websocket-client": "websocket",
        "pytest-xdist": "maxprocesses",
    }
    for requirement in ASKED:
        name = canonicalize_name(requirement.name)
        assert re.search(rf"\b{imported.get(name, name)}\b", source), f"{name} is declared and not used"


def test_the_lock_is_of_the_extras_that_are_tested():
    locked = re.search(r"^LOCKED := (.*)$", (paths.ROOT / "Makefile").read_text(), re.M).group(1)
    assert sorted(re.findall(r"--extra (\S+)", locked)) == ["dev", "export", "sam", "tensorboard"]


def test_the_benchmarks_add_to_the_lock_and_change_none_of_its_pins():
    more = (paths.ROOT / "bench" / "requirements.lock").read_text()
    pins, added = (set(re.findall(r"^[\w.-]+==[^\s;\\]+", lock, re.M)) for lock in (LOCK, more))
    assert pins <= added and {name.split("==")[0] for name in added - pins} >= {"kornia", "lightning"}
    assert {canonicalize_name(p.split("==")[0]) for p in added - pins}.isdisjoint(p.split("==")[0] for p in pins)
