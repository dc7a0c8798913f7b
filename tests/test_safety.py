"""Nothing dangerous is loaded or run: by the syntax trees of all code, and by what JupyterLab and papermill are given.

Alone: pytest tests/test_safety.py
"""

import ast
import json
import os
import re
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from seglib import audit, notebook, params, paths, permitted

CODE = [*(paths.ROOT / "seglib").rglob("*.py"), *(paths.ROOT / "bench").rglob("*.py"), *paths.NOTEBOOKS.glob("*.ipynb")]
MODULES = {  # imports that run what they read, or that one file alone may use → that file
    **dict.fromkeys(["cloudpickle", "dill", "joblib", "marshal", "shelve", "yaml", "jsonpickle"], ""),
    "pickle": "seglib/data/plain_pickle.py", "ruamel.yaml": "seglib/plain_yaml.py",
    "safetensors": "seglib/seal.py seglib/record.py seglib/models/weights.py",
}  # fmt: skip
NAMES = {  # what no file may use, or one file alone
    **dict.fromkeys(["eval", "exec", "compile", "__import__", "os.system", "os.popen", "runpy.run_path"], ""),
    **dict.fromkeys(["pickle.load", "pickle.loads", "pandas.read_pickle", "torch.hub.load", "torch.jit.load"], ""),
    **dict.fromkeys(["subprocess.getoutput", "subprocess.getstatusoutput", "os.execvp", "os.spawnvp"], ""),
    "importlib.import_module": "seglib/models/__init__.py seglib/losses/own.py",  # module:Name, which a user wrote
}  # fmt: skip
METHODS = {"extractall", "extract", "unpack_archive"}  # of archives: seglib.data.unpack writes what they hold
DEMANDED = {  # call → keyword and the only value it may have; True where it has to be given
    "torch.load": ("weights_only", True, True), "numpy.load": ("allow_pickle", False, False),
    "ruamel.yaml.YAML": ("typ", "safe", True),
}  # fmt: skip


def trees(file):
    """The syntax tree of a module, or of every code cell of a notebook."""
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".py":
        return [ast.parse(text)]
    return [ast.parse("".join(c["source"])) for c in json.loads(text)["cells"] if c["cell_type"] == "code"]


def offences(tree, file=""):
    """What in a syntax tree could run what it reads."""
    known, calls = {}, {node.func: node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = "" if isinstance(node, ast.Import) else f"{node.module}."
            for alias in node.names:
                name = f"{module}{alias.name}"
                known[alias.asname or alias.name.split(".")[0]] = name if alias.asname or module else name.split(".")[0]
                yield from (
                    f"imports {name}"
                    for m, own in MODULES.items()
                    if f"{name}.".startswith(f"{m}.")
                    if file not in own.split()
                )
    for node in ast.walk(tree):
        name, call = dotted(node, known) if isinstance(getattr(node, "ctx", None), ast.Load) else "", calls.get(node)
        keywords = {k.arg: getattr(k.value, "value", k.value) for k in call.keywords} if call else {}
        if name in NAMES and file not in NAMES[name].split():
            yield f"uses {name}"
        if isinstance(node, ast.Attribute) and node.attr in METHODS and call and "str" not in name:
            yield f"calls {node.attr}"
        if name in DEMANDED:
            keyword, value, needed = DEMANDED[name]
            if call is None or keywords.get(keyword, None if needed else value) != value:
                yield f"{name} without {keyword}={value}"
        if keywords.get("shell") or (
            isinstance(node, ast.Dict) and "shell" in [getattr(k, "value", k) for k in node.keys]
        ):
            yield "shell"
        if (
            call
            and name.startswith("subprocess.")
            and call.args
            and isinstance(call.args[0], ast.Constant | ast.JoinedStr)
        ):
            yield "a command as one text"


def dotted(node, known):
    """`torch.load` for whatever a file calls it."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([known.get(node.id, node.id), *reversed(parts)]) if isinstance(node, ast.Name) else "?"


def test_no_code_runs_what_it_reads():
    named = {str(file.relative_to(paths.ROOT)): trees(file) for file in CODE}
    found = {name: [what for tree in parts for what in offences(tree, name)] for name, parts in named.items()}
    assert len(found) > 100 and not {name: what for name, what in found.items() if what}


@pytest.mark.parametrize(
    "code",
    [
        "eval('1')", "exec(text)", "f = eval", "__import__('os')", "import os; os.system('ls')",
        "from os import system as s; s('ls')", "import pickle", "from pickle import loads", "import dill as d",
        "import yaml", "from ruamel.yaml import YAML", "import torch; torch.load(f)", "import torch; r = torch.load",
        "import torch as t; t.load(f, weights_only=False)", "from torch import load; load(f)",
        "import torch; torch.load(f, weights_only=flag)", "import torch; torch.hub.load('a', 'b')",
        "import numpy as np; np.load(f, allow_pickle=True)", "import pandas as pd; pd.read_pickle(f)",
        "import subprocess; subprocess.run(command, shell=True)", "import subprocess; subprocess.run('ls -l')",
        "options = {'shell': True}", "tar.extractall(folder)", "from safetensors.torch import load_file",
        "import importlib; importlib.import_module(name)", "def f():\n    import joblib",
    ],
)  # fmt: skip
def test_a_planted_offender_is_found(code):
    assert list(offences(ast.parse(code)))


@pytest.mark.parametrize(
    "code", ["net.eval()", "re.compile('a')", "import torch; torch.load(f, weights_only=True)", "compile: str = 'no'",
             "import numpy as np; np.load(f)", "import subprocess; subprocess.run([a, b])", "ast.literal_eval(text)"],
)  # fmt: skip
def test_what_is_safe_is_let_be(code):
    assert not list(offences(ast.parse(code)))


@pytest.mark.parametrize("place", ["elsewhere", "link", "above"])
def test_a_notebook_from_elsewhere_is_not_executed(tmp_path, place):
    source = tmp_path / "01_dataset_exploration.ipynb"
    source.write_text('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')
    if place == "above":
        source = paths.NOTEBOOKS / ".." / "tests" / "own.ipynb"
    elif place == "link":
        (tmp_path / "notebooks").mkdir()
        source = tmp_path / "notebooks" / source.name
        source.symlink_to(tmp_path / source.name)
    with pytest.raises(ValueError, match=r"is none of the notebooks in .*; no other is executed"):
        notebook.execute(source, tmp_path / "out.ipynb", {})
    assert not (tmp_path / "out.ipynb").exists()


@pytest.mark.parametrize(
    "name",
    [
        "../up",
        "a/b",
        "/abs",
        "..",
        ".hidden",
        "-x",
        "a\nb",
        "a{study}",
        "<b>",
        "a'b",
        "runs",
        "Compare",
        "",
        "a ",
        "a\u202eb",
    ],
)
def test_a_study_whose_name_leads_elsewhere_is_refused_by_all_that_read_it(tmp_path, name, monkeypatch):
    with pytest.raises(ValueError, match="study"):
        permitted.check_study(name)
    with pytest.raises(ValueError, match="study"):
        notebook.execute(paths.NOTEBOOKS / "01_dataset_exploration.ipynb", tmp_path / "out.ipynb", {"study": name})
    monkeypatch.setattr(paths, "PARAMS", tmp_path / "params")
    folder = tmp_path / "params" / (name if "/" not in name and name.strip(".") else "plain")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "01_dataset_exploration.yaml").write_text("dataset: lesions\n")
    with pytest.raises(ValueError, match="study"):
        params.read(name)


@pytest.mark.parametrize("name", ["demo", "my study", "étude", "e\u0301tude", "מחקר", "研究", "हिन्दी", "a.b-c_1"])
def test_a_study_may_be_called_as_people_call_things(name):
    permitted.check_study(name)


def resolved(tmp_path, folder, **variables):
    """What JupyterLab makes of the command line of `make lab` and of the configuration that it finds."""
    from test_lab import command

    code = """
import json, sys
from jupyterlab.labapp import LabApp
app = LabApp()
server = app.initialize_server(argv=sys.argv[1:])
print(json.dumps({
    "ip": server.ip, "token": server.identity_provider.token, "remote": server.allow_remote_access,
    "origins": [server.allow_origin, server.allow_origin_pat], "no xsrf": server.disable_check_xsrf,
    "open": server.allow_unauthenticated_access and not server.identity_provider.auth_enabled,
    "headers": dict(server.tornado_settings.get("headers", {})), "root": server.root_dir,
}))
"""
    recipe = command(folder, "PORT=0").replace("-m jupyterlab", f"-c '{code}'")
    recipe = recipe.replace("'" + code + "'", '"$CODE"')
    own = {f"JUPYTER_{kind}_DIR": str(tmp_path / kind) for kind in ("CONFIG", "RUNTIME", "DATA")}
    done = subprocess.run(
        ["sh", "-c", f"{recipe} --no-browser"], capture_output=True, text=True, cwd=folder,
        env=os.environ | own | {"CODE": code, "PYTHONPATH": str(paths.ROOT)} | variables,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def weak(found):
    """What of a server's settings lets in who should stay out."""
    checks = {
        "ip": found["ip"] in ("localhost", "127.0.0.1"), "token": len(found["token"]) >= 32,
        "remote": not found["remote"], "origins": not any(found["origins"]), "xsrf": not found["no xsrf"],
        "open": not found["open"], "headers": "Content-Security-Policy" not in found["headers"],
    }  # fmt: skip
    return [name for name, good in checks.items() if not good]


def test_make_lab_listens_on_localhost_and_keeps_its_token(tmp_path):
    found = resolved(tmp_path, paths.ROOT)
    assert not weak(found) and found["root"] == str(paths.ROOT)
    assert {f.name for f in (paths.ROOT / ".jupyter").rglob("*") if f.is_file()} == {"default_setting_overrides.json"}


@pytest.mark.long
def test_a_configuration_that_opens_the_server_would_be_noticed(tmp_path):
    opened = {"IdentityProvider": {"token": ""}, "ServerApp": {"ip": "0.0.0.0", "allow_origin": "*"}}
    (tmp_path / "CONFIG").mkdir()
    (tmp_path / "CONFIG" / "jupyter_server_config.json").write_text(json.dumps(opened))
    assert {"ip", "token", "origins"} <= set(weak(resolved(tmp_path, paths.ROOT)))


@pytest.fixture
def advisories():
    """An advisory database on this machine; `known` is what it has of a package."""
    known = {}

    class Database(BaseHTTPRequestHandler):
        def do_POST(self):
            name = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["package"]["name"]
            content = json.dumps({"vulns": known[name]} if name in known else {}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Database) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield SimpleNamespace(url=f"http://127.0.0.1:{server.server_port}/", known=known)
        server.shutdown()


def test_the_audit_tells_advisories_from_none_and_none_from_not_known(advisories, tmp_path, monkeypatch, capsys):
    lock = tmp_path / "some.lock"
    lock.write_text(f"jinja2==3.1.0 --hash=sha256:{'0' * 64}\nmarkupsafe==2.0.0 --hash=sha256:{'1' * 64}\n")
    asked = ["-r", str(lock), "--osv-url", advisories.url]
    assert audit.main(asked) == audit.FINE and "2 of 2 packages looked up, 0 advisories" in capsys.readouterr().out
    affected = [{"package": {"name": "jinja2", "ecosystem": "PyPI"}, "ranges": []}]
    advisories.known["jinja2"] = [{"id": "GHSA-x", "aliases": ["CVE-1"], "summary": "escapes", "affected": affected}]
    assert audit.main(asked) == audit.FOUND
    assert "jinja2 3.1.0: CVE-1, fixed in no version. escapes" in capsys.readouterr().out
    monkeypatch.setattr(audit, "IGNORED", {"CVE-1": "we sandbox nothing", "CVE-2": "gone"})
    assert audit.main(asked) == audit.FINE
    told = capsys.readouterr().out
    assert "ignored CVE-1: we sandbox nothing" in told and "CVE-2 is ignored and not found any more" in told
    assert audit.main(["-r", str(lock), "--osv-url", "http://127.0.0.1:9/"]) == audit.NOT_KNOWN
    assert "NOT KNOWN: advisories could not be looked up" in capsys.readouterr().out


def test_a_package_that_the_service_does_not_know_is_not_called_safe(capsys):
    skipped = {"name": "a", "skip_reason": "Dependency not found on PyPI"}
    assert audit._told([{"name": "b", "version": "1", "vulns": []}, skipped]) == audit.NOT_KNOWN
    assert audit._told([]) == audit.NOT_KNOWN and "a: Dependency not found" in capsys.readouterr().out


def test_every_reason_to_ignore_an_advisory_is_a_sentence():
    assert all(re.match(r"(CVE|GHSA|PYSEC)-", name) and len(why.split()) > 3 for name, why in audit.IGNORED.items())
