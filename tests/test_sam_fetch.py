"""`seglib weights` for Segment Anything, from a hub on this machine. Alone: pytest tests/test_sam_fetch.py"""

import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading

import pytest

from seglib import paths
from seglib.sam import checkpoints

FILES = {
    "config.json": b"{}", "preprocessor_config.json": b"{}", "model.safetensors": b"weights",
    "pytorch_model.bin": b"a pickle", "modeling.py": b"import os",
}  # fmt: skip
NEWEST = "f" * 40


class Hub(http.server.BaseHTTPRequestHandler):
    """The part of Hugging Face's API that a snapshot needs."""

    asked: list[str]

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.do_GET(body=False)

    def do_GET(self, body=True):
        path = self.path.split("?")[0]
        self.asked.append(path)
        content = json.dumps({"id": "a/b", "sha": NEWEST}).encode()
        if "/tree/" in path:
            listed = [{"type": "file", "path": n, "size": len(c), "oid": _digest(c)} for n, c in FILES.items()]
            content = json.dumps(listed).encode()
        elif "/resolve/" in path:
            content = FILES[path.rsplit("/", 1)[1]]
        self.send_response(200)
        revision = path.split("/resolve/")[1].split("/")[0] if "/resolve/" in path else ""
        for name, value in {
            "Content-Length": len(content),
            "X-Repo-Commit": revision,
            "ETag": _digest(content),
        }.items():
            self.send_header(name, str(value))
        self.end_headers()
        if body:
            self.wfile.write(content)


def _digest(content):
    return hashlib.sha1(content).hexdigest()


@pytest.fixture
def weights(tmp_path):
    """Runs `seglib weights NAME` against the hub; (exit code, output and errors, paths asked for)."""
    pytest.importorskip("huggingface_hub")
    handler = type("OwnHub", (Hub,), {"asked": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()

        def run(name, **environment):
            handler.asked.clear()
            endpoint = {"HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}", "HF_HUB_CACHE": str(tmp_path / "hub")}
            variables = os.environ | {"SEGLIB_CACHE": str(tmp_path / "cache"), **endpoint, **environment}
            command = [sys.executable, "-m", "seglib.cli", "weights", name]
            done = subprocess.run(command, capture_output=True, text=True, env=variables, cwd=paths.ROOT)
            return done.returncode, done.stdout + done.stderr, list(handler.asked)

        yield run
        server.shutdown()


def test_a_checkpoint_is_fetched_once_at_its_commit_and_nothing_but_safetensors(weights, tmp_path, monkeypatch):
    status, told, asked = weights("sam-vit-base")
    folder = tmp_path / "cache" / "sam" / "sam-vit-base"
    assert status == 0 and f"weights sam-vit-base: {folder}" in told
    revision = checkpoints.CHECKPOINTS["sam-vit-base"].revision
    files = [path.partition("/resolve/")[2] for path in asked if "/resolve/" in path]
    assert set(files) == {f"{revision}/{name}" for name in list(FILES)[:3]}  # the pickle and the code stay there
    assert {f.name for f in folder.iterdir() if f.is_file()} == {*list(FILES)[:3], "origin.json"}
    monkeypatch.setenv("SEGLIB_CACHE", str(tmp_path / "cache"))
    assert checkpoints.find("sam-vit-base") == folder
    assert checkpoints.origin("sam-vit-base", folder).startswith(
        f"facebook/sam-vit-base, commit {revision[:12]}; digest"
    )
    assert weights("sam-vit-base")[2] == []  # it is here

    status, _, asked = weights("slimsam-77")  # no commit is pinned: the newest, once, and it is noted
    assert status == 0 and "/api/models/Zigeng/SlimSAM-uniform-77" in asked
    assert NEWEST in (tmp_path / "cache" / "sam" / "slimsam-77" / "origin.json").read_text()


def test_what_cannot_be_fetched_leaves_nothing_and_says_what_to_put_where(weights, tmp_path):
    status, told, asked = weights("sam2.1-hiera-small", HF_HUB_OFFLINE="1")
    assert status == 1 and not asked and "Traceback" not in told
    assert "sam2.1-hiera-small could not be fetched" in told and "huggingface.co/facebook/sam2.1-hiera-small" in told
    assert not (tmp_path / "cache" / "sam" / "sam2.1-hiera-small").exists()
