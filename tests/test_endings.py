"""However a report ends, what it leaves says so: failing cells, killed kernels and processes, signals, full disks.

Alone: pytest tests/test_endings.py
"""

import contextlib
import errno
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading

import psutil
import pytest
from reports import HERE, WAITS, Reports, wait_until
from test_index import text_of

from seglib import locks, params, paths, runs, stamp

long = pytest.mark.long
RECORDS = "from seglib import runs\nruns.record"  # what a notebook that trains does
READS = "from seglib import runs\nruns.families"  # what a notebook that shows the runs of others does
KILLED = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"
OUT_OF_MEMORY = "import resource\nresource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))\nb'x' * 2**33"


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """A report whose notebooks fail in several ways, made when we let it: (reports, exit status, what it told)."""
    made = Reports(
        tmp_path_factory.mktemp("ended"), **{
            "01_bad": [f"{RECORDS}\na = 1", "b = 2\na / 0"], "02_killed": [KILLED], "03_memory": [OUT_OF_MEMORY],
            "04_good": ["1"], "08_all": [READS],
        },
    )  # fmt: skip
    with locks.held(made.outputs / ".locks" / "report-own"):
        process = made.start()
        first = process.stderr.readline()
    _, told = process.communicate(timeout=300)
    return made, process.returncode, first + told


def test_a_report_of_which_another_process_makes_one_says_so_and_waits(ended):
    first, second = ended[2].splitlines()[:2]
    assert re.fullmatch(
        rf"process {os.getpid()} on .+, since .+ UTC, makes the report of own; waiting for its end", first
    )
    assert "[1/5] 01_bad" in second


def test_what_does_not_depend_on_a_failed_notebook_runs_and_what_does_is_skipped(ended):
    made, status, told = ended
    assert status == 1 and "Traceback" not in told, told
    failed = {f"{name}.failed.ipynb" for name in ("01_bad", "02_killed", "03_memory")}
    assert made.files("ipynb") == {*failed, "04_good.ipynb"} and made.files("pdf") == {"04_good.pdf"}
    assert not made.hidden() and not made.left()
    reason = "skipped: it shows the runs of 01_bad: not done"  # the other two record none
    assert f"08_all {reason}" in " ".join(told.split()) and reason in text_of(made.report / "index.html")
    assert "1 of 5 notebooks are done" in told


@pytest.mark.parametrize(
    ("notebook", "why", "traceback"),
    [
        ("01_bad", "ZeroDivisionError: division by zero (in cell [4] of “1. Work”, line 2)", "----> 2 a / 0"),
        ("02_killed", "the kernel was killed by SIGKILL, as the system does where memory runs out (in cell [3] of", ""),
        ("03_memory", "MemoryError (in cell [3] of “1. Work”, line 3)", "----> 3 b'x' * 2**33"),
    ],
)
def test_terminal_index_and_page_say_where_and_why(ended, notebook, why, traceback):
    made, _, told = ended
    assert f"{notebook} failed: {why}" in told
    assert f"✕ failed {why}" in text_of(made.report / "index.html")
    page = text_of(made.report / f"{notebook}.failed.html")
    assert "This notebook failed , in cell" in page and why.partition(" (in")[0] in page and traceback in page
    saved = json.loads((made.report / f"{notebook}.failed.ipynb").read_text())
    assert saved["metadata"]["seglib"]["failed"] == why.partition(" (in")[0]


def make_report(reports, **options):
    """The Makefile's own recipe, with the command of this environment."""
    command = reports.folder / "seglib"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m seglib.cli "$@"\n')
    command.chmod(0o755)
    return reports.start(
        "make", "-s", "-o", ".venv/.ready", "report", "STUDY=own", f"BIN={reports.folder}", **options
    )  # fmt: skip


@pytest.mark.parametrize(
    ("start", "number", "name", "status"),
    [
        (make_report, signal.SIGTERM, "SIGTERM", -signal.SIGTERM),  # make hands it on: the command gets it twice
        pytest.param(make_report, signal.SIGINT, "Ctrl-C", -signal.SIGINT, marks=long),
        pytest.param(Reports.start, signal.SIGTERM, "SIGTERM", 143, marks=long),
        pytest.param(Reports.start, signal.SIGINT, "Ctrl-C", 130, marks=long),
        pytest.param(Reports.start, signal.SIGHUP, "SIGHUP", 129, marks=long),
    ],
)
def test_a_stopped_report_leaves_no_kernel_and_says_failed_and_the_next_goes_on(tmp_path, start, number, name, status):
    made = Reports(tmp_path, **{"01_good": ["1"], "02_waits": [WAITS]})
    process = start(made)
    made.kernel()
    os.killpg(process.pid, number)
    _, told = process.communicate(timeout=60)
    assert process.returncode == status and not made.left() and "Traceback" not in told, told
    text = text_of(made.report / "index.html")
    assert f"✕ failed stopped by {name} (in cell [3] of “1. Work”)" in text and "FAILED after" in told
    assert text.count("✓ done") == 1 and f"the report was stopped by {name}" in text
    assert made.files("ipynb") == {"01_good.ipynb", "02_waits.failed.ipynb"} and not made.hidden()
    assert "stopped by" in text_of(made.report / "02_waits.failed.html")
    (made.folder / "go").touch()
    status, told = made.make()
    assert status == 0 and told.count("unchanged") == 1 and told.count("done in") == 1, told
    assert made.files("ipynb") == {"01_good.ipynb", "02_waits.ipynb"}
    assert not any("failed" in name for name in made.files("html"))


def test_a_killed_report_takes_its_kernel_with_it_and_its_index_does_not_say_running_for_ever(tmp_path):
    made = Reports(tmp_path, **{"01_waits": [WAITS]})
    process = made.start()
    kernel = made.kernel()
    process.kill()
    process.communicate(timeout=60)
    assert wait_until(lambda: not psutil.pid_exists(kernel), 10) and wait_until(lambda: not made.left())
    text = text_of(made.report / "index.html")
    assert re.search(r"failed the report was killed; it had started .* UTC by process", text) and "running" not in text
    assert made.files("ipynb") == {"01_waits.failed.ipynb"}
    assert "the report was killed" in text_of(made.report / "01_waits.failed.html")


@long
def test_of_two_reports_of_a_study_at_once_the_second_waits_and_finds_all_done(tmp_path):
    made = Reports(tmp_path, **{"01_waits": [WAITS]})
    first = made.start()
    made.kernel()
    second = made.start()
    told = second.stderr.readline()
    assert f"process {first.pid} on" in told and "makes the report of own; waiting for its end" in told
    (made.folder / "go").touch()
    assert first.wait(60) == 0
    _, told = second.communicate(timeout=60)
    assert second.returncode == 0 and "01_waits                   unchanged" in told


def test_a_lock_is_free_again_when_its_holder_is_killed(tmp_path):
    code = "import pathlib, sys, time\nfrom seglib import locks\nwith locks.held(pathlib.Path(sys.argv[1])):\n"
    code += "    print(1, flush=True)\n    time.sleep(60)"
    holder = subprocess.Popen([sys.executable, "-c", code, tmp_path / "a"], stdout=subprocess.PIPE)
    holder.stdout.readline()
    assert locks.holder(tmp_path / "a").startswith(f"process {holder.pid} on ")
    told = []

    def tell(who):
        told.append(who)
        holder.kill()

    with locks.held(tmp_path / "a", tell):
        assert told[0].startswith(f"process {holder.pid} on ") and told[-1] == ""
        assert locks.holder(tmp_path / "a").startswith(f"process {os.getpid()} on ")
    assert locks.holder(tmp_path / "a") == "" and locks.holder(tmp_path / "never") == ""


def test_a_lock_whose_file_was_removed_while_it_was_waited_for_is_taken_anew(tmp_path):
    file, order = tmp_path / "a", []

    def wait():
        with locks.held(file, lambda who: order.append("waits" if who else "goes on")):
            order.append(locks.holder(file) != "")

    with locks.held(file):
        waiting = threading.Thread(target=wait)
        waiting.start()
        assert wait_until(lambda: order)
        file.unlink()
    waiting.join(10)
    assert order == ["waits", "goes on", True]


def test_a_file_system_without_locks_is_an_error_that_says_so(tmp_path, monkeypatch):
    def flock(lock, kind):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(OSError, match=r"has no file locks .*; let SEGLIB_OUTPUTS name a folder on a local disk"):
        locks.held(tmp_path / "a").__enter__()


def test_records_of_a_notebook_that_is_run_twice_at_once_are_whole(tmp_path):
    def note(name):
        for _ in range(200):
            runs.record("own", "02_x", {"models": {name * 2000: []}})

    writers = [threading.Thread(target=note, args=(name,)) for name in "ab"]
    runs.record("own", "02_x", {})
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        assert runs.recorded_by("own", "02_x") == {}  # no runs; it reads and parses it
    assert not [f for f in (paths.report("own") / "tables").iterdir() if f.name.startswith(".")]


@long
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_make_alone_stopped_or_killed_takes_all_with_it(tmp_path, number):
    made = Reports(tmp_path, **{"01_waits": [WAITS]})
    process = make_report(made)
    made.kernel()
    process.send_signal(number)  # to make, not to its group
    process.communicate(timeout=60)
    assert process.returncode != 0 and wait_until(lambda: not made.left())
    assert re.search("failed stopped by SIGTERM|failed the report was killed", text_of(made.report / "index.html"))


@long
@pytest.mark.parametrize("starting", [True, False])
def test_a_kernel_ends_with_all_its_parents_also_where_a_service_manager_adopts_it(tmp_path, starting):
    """As under systemd --user, the orphans' new parent is not process 1, by which ipykernel would know one."""
    made = Reports(tmp_path, **{"01_waits": [WAITS]})
    adopts = "import ctypes, subprocess, sys\nctypes.CDLL(None).prctl(36, 1, 0, 0, 0)\nsubprocess.run(sys.argv[1:])\n"
    command = [sys.executable, "-m", "seglib.cli", "report", "own"]
    manager = made.start(sys.executable, "-c", adopts + "import time\ntime.sleep(60)", *command)
    if not starting:
        made.kernel()
    kernel = wait_until(lambda: [p for p in made.left() if "ipykernel_launcher" in p.cmdline()], 120)[0]
    for process in made.left():
        if process not in (kernel, psutil.Process(manager.pid)):
            process.kill()
    assert wait_until(lambda: not kernel.is_running() or kernel.status() == psutil.STATUS_ZOMBIE, 20)
    manager.kill()


@long
@pytest.mark.parametrize(
    ("number", "why"),
    [
        (signal.SIGKILL, "the process that runs the notebook was killed by SIGKILL"),
        (signal.SIGTERM, "the process that runs the notebook was stopped by SIGTERM"),
    ],
)
def test_papermill_stopped_or_killed_is_a_failed_notebook_and_the_others_run(tmp_path, number, why):
    made = Reports(tmp_path, **{"01_waits": [WAITS], "02_good": ["1"]})
    process = made.start()
    kernel = made.kernel()
    psutil.Process(kernel).parent().send_signal(number)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 1 and not made.left()
    assert re.search(rf"01_waits failed: {why}.* \(in cell \[3\] of “1. Work”\)", told), told
    assert made.files("ipynb") == {"01_waits.failed.ipynb", "02_good.ipynb"}


@long
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_report_stopped_at_any_stage_says_nothing_that_is_not_so(tmp_path, number):
    made = Reports(tmp_path, **{"01_good": ["1", "2"], "02_good": ["1"], "03_all": [READS]})
    seconds, done = 0.3, 0
    while done < 3:
        process = made.start()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        process.send_signal(number)
        _, told = process.communicate(timeout=60)
        assert process.returncode in (0, -number, 128 + number), told
        assert wait_until(lambda: not made.left(), 60)
        for name in made.files("ipynb"):
            cells = json.loads((made.report / name).read_text())["cells"]
            counted = [cell["execution_count"] is not None for cell in cells if cell["cell_type"] == "code"]
            assert all(counted) or ".failed" in name
        done = len([name for name in made.files("ipynb") if ".failed" not in name])
        if (made.report / "index.html").is_file() and number == signal.SIGTERM:
            text = text_of(made.report / "index.html")
            assert "… running" not in text and text.count("✓ done") in (done, 4)  # 4 with the report's own
        seconds += 1.7
    status, told = made.make()
    assert status == 0 and told.count("unchanged") == 3 and not [f for f in made.hidden() if f != ".ipynb_checkpoints"]
    assert made.files("pdf") == {"01_good.pdf", "02_good.pdf", "03_all.pdf", "own.pdf"}
    assert text_of(made.report / "index.html").count("✓ done") == 4


@pytest.fixture
def disk(tmp_path):
    """A file system for the outputs, larger than what is counted to be needed; remounted with options by calling it."""
    (tmp_path / "outputs").mkdir()

    def mount(options):
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", tmp_path / "outputs"], capture_output=True
        )
        if done.returncode:
            pytest.skip(f"nothing can be mounted here: {done.stderr.decode().strip()}")

    mount("size=96m")
    yield lambda options: mount(f"remount,{options}")
    subprocess.run(["umount", "-l", tmp_path / "outputs"], check=True)


FILLS = HERE + "with open(here / 'outputs' / 'other', 'wb', buffering=0) as file:\n"
FILLS += "    while file.write(bytes(2**16)) == 2**16:\n        pass\n    file.write(bytes(2**16))"


@long
@pytest.mark.parametrize("cell", [FILLS, FILLS + "\ntime.sleep(2)"])
@pytest.mark.usefixtures("disk")
def test_on_a_full_disk_all_is_said_and_nothing_is_lost(tmp_path, cell):
    made = Reports(tmp_path, **{"01_good": ["1"], "02_fills": [cell], "03_good": ["1"]})
    status, told = made.make()
    full = "not even 8 MB can be written to the report's folder (No space left on device)"
    assert status == 1 and "02_fills failed: OSError: [Errno 28] No space left on device" in told, told
    assert f"03_good not made: skipped: {full}" in told and not made.left()
    text = text_of(made.report / "index.html")
    assert "✕ failed OSError: [Errno 28]" in text and f"skipped: {full}" in text and "✓ done" in text
    assert made.files("ipynb") == {"01_good.ipynb", "02_fills.failed.ipynb"} and not made.hidden()
    assert "No space left" in text_of(made.report / "02_fills.failed.html")
    before = {file.name: file.read_bytes() for file in made.report.iterdir() if file.is_file()}
    status, told = made.make()  # still full
    assert status == 1 and f"error: {full}: {made.report}; nothing was run" in told
    assert {file.name: file.read_bytes() for file in made.report.iterdir() if file.is_file()} == before
    (made.outputs / "other").unlink()
    made.write("02_fills", ["1"])
    status, told = made.make()
    assert status == 0 and told.count("done in") == 2 and "✕" not in text_of(made.report / "index.html"), told


@long
def test_outputs_that_become_read_only_are_told_of_and_what_was_there_stays(tmp_path):
    made = Reports(tmp_path, **{"01_good": ["1"], "02_waits": [WAITS], "03_good": ["1"]})
    report = [sys.executable, "-m", "seglib.cli", "report", "own"]
    if os.getuid() == 0:  # who may write everywhere, unless that right is given up
        if not shutil.which("setpriv"):
            pytest.skip("root without setpriv can write to every folder")
        report = ["setpriv", "--bounding-set", "-dac_override", "--inh-caps", "-all", *report]
    process = made.start(*report)
    made.kernel()
    made.report.chmod(0o555)
    (made.folder / "go").touch()
    _, told = process.communicate(timeout=60)
    assert process.returncode == 1 and not made.left()
    assert re.search(r"02_waits failed: PermissionError: \[Errno 13\].*; its page could not be written", told), told
    assert "index.html could not be written and says what was before" in told
    assert made.files("ipynb") == {"01_good.ipynb"} and "Traceback" not in told
    before = {file.name: file.read_bytes() for file in made.report.iterdir() if file.is_file()}
    process = made.start(*report)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 1 and "Permission denied" in told and "Traceback" not in told
    assert {file.name: file.read_bytes() for file in made.report.iterdir() if file.is_file()} == before
    made.report.chmod(0o755)
    status, told = made.make()
    assert status == 0 and text_of(made.report / "index.html").count("✓ done") == 4 and not made.hidden()


RUN = "dataset=lesions image_size=32 train_images=4 val_images=2 test_images=2 model=unet device=cpu threads=1 "
RUN += "model_options={width: 0.0625} encoder=fine_tune weights=none epochs=400 batch_size=2"


@long
def test_a_key_is_trained_once_by_two_processes_even_if_the_first_is_killed(tmp_path):
    made = Reports(tmp_path)
    progress = tmp_path / "progress"
    made.variables["SEGLIB_PROGRESS"] = str(progress)
    command = [sys.executable, "-m", "seglib.cli", "run", *RUN.split(" ")]
    first = made.start(*command)
    events = lambda: [e for f in made.outputs.glob("runs/*/events.jsonl") for e in f.read_text().splitlines()]  # noqa: E731
    assert wait_until(lambda: any('"epoch"' in event for event in events()), 60)
    second = made.start(*command)
    waits = f"is being trained by process {first.pid} on"
    assert wait_until(lambda: progress.is_file() and waits in progress.read_text(), 60)
    assert sum('"start"' in event for event in events()) == 1
    first.kill()
    first.communicate()
    assert wait_until(lambda: sum('"start"' in event for event in events()) == 2, 60)
    third = made.start(*command)
    assert "test Dice" in second.communicate(timeout=120)[0] and "test Dice" in third.communicate(timeout=120)[0]
    assert sum('"start"' in event for event in events()) == 2 and second.returncode == third.returncode == 0


BACKWARDS = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/time.h>
#include <time.h>
int clock_gettime(clockid_t clock, struct timespec *now) {
  int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
  int status = real(clock, now);
  if (clock == CLOCK_REALTIME) now->tv_sec = 4000000000 - now->tv_sec;
  return status;
}
time_t time(time_t *at) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return at ? *at = now.tv_sec : now.tv_sec;
}
"""


@long
def test_a_clock_that_goes_backwards_changes_no_decision_and_no_duration(tmp_path):
    library, compiler = tmp_path / "backwards.so", shutil.which("cc")
    if not compiler or sys.platform != "linux":
        pytest.skip("needs a C compiler and LD_PRELOAD")
    command = [compiler, "-shared", "-fPIC", "-x", "c", "-", "-o", library, "-ldl"]
    subprocess.run(command, input=BACKWARDS.encode(), check=True)
    trains = f"from seglib import config, experiment, params\nvalues = params.parse_overrides({RUN!r})\n"
    trains += "values['epochs'] = 2\nexperiment.run(config.from_mapping(values)).meta['seconds']"
    made = Reports(tmp_path, **{"01_trains": ["import time\ntime.sleep(1.5)", trains]})
    made.variables["LD_PRELOAD"] = str(library)
    status, told = made.make()
    assert status == 0 and re.search(r"01_trains +done in \d:\d\d", told), told
    page = text_of(made.report / "01_trains.html")
    assert re.search(r"UTC in \d+ s", page) and "in -" not in page
    state = json.loads((made.report / "report.json").read_text())
    assert state["seconds"] > 1.5
    status, told = made.make()
    assert status == 0 and "unchanged" in told


def test_of_the_notebooks_the_comparison_alone_needs_others_and_not_those_that_train_nothing():
    study = params.read("smoke")
    needs = {notebook: stamp.needs(study, notebook) for notebook in study.notebooks}
    trained = [name for name in study.notebooks if name not in ("01_dataset_exploration", "08_comparison")]
    assert needs == {name: trained if name == "08_comparison" else [] for name in study.notebooks}
