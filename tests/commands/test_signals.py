"""Signals that stop a program: at any moment, it gives back what it holds and ends with the code of the signal."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from stopping import HOLDING, start, wait_for_files, wait_until_it_listens

from chandlery.lake.lease import hold_lease
from chandlery.lake.store import Store

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="the state of a process is read from /proc"),
]
SIGNALS = [signal.SIGHUP, signal.SIGINT, signal.SIGTERM]
SECONDS = 60  # after which a test fails
CLEANING = """
from chandlery.machine.signals import stops_at_signals
import signal, threading, sys
with stops_at_signals():
    try:
        print("ready", flush=True)
        signal.pause()
    finally:
        threading.Event().wait()
"""
CALLBACK = """
import os, signal, weakref
from chandlery.machine.signals import stops_at_signals
class Thing:
    pass
with stops_at_signals():
    thing = Thing()
    watching = weakref.ref(thing, lambda _: os.kill(os.getpid(), signal.SIGTERM))
    del thing
    signal.pause()
"""


def end(running: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait until a program has ended; return its exit code, and what it wrote to stderr."""
    _, told = running.communicate(timeout=SECONDS)
    assert "Traceback" not in told
    assert "Exception ignored" not in told
    return running.returncode, told


def is_free(lake: Path) -> bool:
    """Return whether the lake can be had at once."""
    with hold_lease(Store(str(lake)), 0, wait=False):
        return True


@pytest.mark.parametrize("number", SIGNALS)
def test_it_ends_while_it_is_imported(tmp_path: Path, number: signal.Signals) -> None:
    running = start(["-m", "chandlery", "run", "--source", "raw", "--lake", "lake"], tmp_path)
    wait_until_it_listens(running)
    running.send_signal(number)
    code, told = end(running)
    assert code == 128 + number, told
    assert f"stopped by {number.name}; run again to continue" in told


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("is_for_all", [False, True], ids=["process", "group"])
@pytest.mark.parametrize("number", SIGNALS)
def test_it_ends_its_workers_and_gives_the_lake_back(
    tmp_path: Path, number: signal.Signals, *, is_for_all: bool, workers: int
) -> None:
    (tmp_path / "marks").mkdir()
    running = start(["-c", HOLDING, str(tmp_path / "lake"), "{}", str(tmp_path / "marks"), str(workers)])
    processes = [psutil.Process(pid) for pid in wait_for_files(tmp_path / "marks", workers, running)]
    (os.killpg if is_for_all else os.kill)(running.pid, number)
    code, told = end(running)
    assert code == 128 + number, told
    assert told == f"chandlery: stopped by {number.name}; run again to continue\n"
    assert not psutil.wait_procs(processes, SECONDS)[1]
    assert is_free(tmp_path / "lake")


@pytest.mark.parametrize("number", SIGNALS)
def test_it_ends_while_workers_start(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "marks").mkdir()
    running = start(["-c", HOLDING, str(tmp_path / "lake"), "{}", str(tmp_path / "marks"), "2"])
    here = psutil.Process(running.pid)
    while not (started := here.children()):
        assert running.poll() is None
    os.killpg(running.pid, number)
    code, told = end(running)
    assert code == 128 + number, told
    assert not psutil.wait_procs(started, SECONDS)[1]


@pytest.mark.parametrize("number", SIGNALS)
def test_a_run_that_waits_says_for_whom_and_ends(tmp_path: Path, number: signal.Signals) -> None:
    assert subprocess.run([sys.executable, "-m", "chandlery", "sample", tmp_path / "raw", "--days", "2"], check=True)
    with hold_lease(Store(str(tmp_path / "lake")), 60, wait=False):
        running = start(["-m", "chandlery", "run", "--source", "raw", "--lake", "lake", "--wait"], tmp_path)
        assert running.stderr
        told = next(line for line in running.stderr if line.startswith("waiting"))
        running.send_signal(number)
        code, _ = end(running)
    assert code == 128 + number
    holder = rf"process {os.getpid()} on {re.escape(socket.gethostname())} since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d UTC"
    assert re.search(f"waiting until it has ended for another run of .*lake: {holder}; ", told)


def test_a_run_that_does_not_wait_longer_ends_with_6_and_names_the_other(tmp_path: Path) -> None:
    assert subprocess.run([sys.executable, "-m", "chandlery", "sample", tmp_path / "raw", "--days", "2"], check=True)
    (tmp_path / "chandlery.toml").write_text("lake.lease_seconds = 0.1\n")
    with hold_lease(Store(str(tmp_path / "lake")), 60, wait=False):
        code, told = end(start(["-m", "chandlery", "run", "--source", "raw", "--lake", "lake"], tmp_path))
    assert code == 6
    assert "waiting for 2 s at most for another run" in told
    assert f"another run holds the lake at lake: process {os.getpid()} on" in told


@pytest.mark.parametrize("number", SIGNALS)
def test_a_second_signal_ends_it_at_once(number: signal.Signals) -> None:
    running = start(["-c", CLEANING])
    assert running.stdout
    assert running.stderr
    assert running.stdout.readline() == "ready\n"
    running.send_signal(number)
    assert "another signal ends it at once" in running.stderr.readline()
    running.send_signal(number)
    assert end(running)[0] == 128 + number


def test_a_signal_in_a_callback_of_the_interpreter_is_not_lost() -> None:
    assert end(start(["-c", CALLBACK])) == (143, "chandlery: stopped by SIGTERM; run again to continue\n")


def test_a_signal_that_the_caller_ignores_stays_ignored(tmp_path: Path) -> None:
    (tmp_path / "marks").mkdir()
    arguments = [str(tmp_path / "lake"), "{}", str(tmp_path / "marks"), "1"]
    ignoring = (
        "import os, signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"
    )
    running = start(["-c", ignoring, sys.executable, "-c", HOLDING, *arguments])
    wait_for_files(tmp_path / "marks", 1, running)
    running.send_signal(signal.SIGHUP)
    running.send_signal(signal.SIGTERM)
    assert end(running)[0] == 128 + signal.SIGTERM


def test_the_record_of_a_run_that_was_stopped_says_so(tmp_path: Path) -> None:
    assert subprocess.run([sys.executable, "-m", "chandlery", "sample", tmp_path / "raw", "--days", "60"], check=True)
    running = start(["-m", "chandlery", "run", "--source", "raw", "--lake", "lake"], tmp_path)
    assert running.stderr
    assert next(line for line in running.stderr if line.startswith("recognise"))
    running.send_signal(signal.SIGTERM)
    assert end(running)[0] == 143
    (record,) = (tmp_path / "lake" / "runs").glob("*Z-*.json")
    assert '"exit_code": 143' in record.read_text()
    assert "stopped by SIGTERM" in record.read_text()
