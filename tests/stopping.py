"""Programs that tests stop by signals, and what they compute meanwhile."""

import os
import signal
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
# A program as the command line runs one: it holds a lease, and its engine computes until it is stopped.
HOLDING = """
import sys
from chandlery.machine.signals import stops_at_signals
with stops_at_signals():
    import json
    from stopping import mark_and_wait
    from chandlery.engines import LocalEngine
    from chandlery.lake.lease import hold_lease
    from chandlery.lake.store import Store
    uri, storage, folder, workers = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    with hold_lease(Store(uri, storage), 60, wait=False), LocalEngine(workers) as engine:
        engine.map(mark_and_wait, [folder] * workers, [100.0] * workers, print)
"""


def mark_and_wait(folder: str) -> None:
    """Leave a file with the name of this process, and wait until it is stopped."""
    Path(folder, str(os.getpid())).touch()
    while True:
        signal.pause()


def start(program: list[str], folder: Path | None = None) -> subprocess.Popen[str]:
    """Start a Python program in a process group of its own, as a shell does; signals are not ignored in it."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path])}
    return subprocess.Popen(
        [sys.executable, *program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
        cwd=folder,
        env=environment,
    )


def wait_for_files(folder: Path, count: int, running: subprocess.Popen[str]) -> list[int]:
    """Wait until as many processes have left a file; return their IDs."""
    while len(names := [int(path.name) for path in folder.iterdir()]) < count:
        assert running.poll() is None, running.stderr and running.stderr.read()
    return names


def wait_until_it_listens(running: subprocess.Popen[str]) -> None:
    """Wait until a process catches SIGTERM."""
    while not catches(running.pid, signal.SIGTERM):
        assert running.poll() is None


def catches(pid: int, number: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    mask = next(line for line in status.splitlines() if line.startswith("SigCgt:")).split()[1]
    return bool(int(mask, 16) >> (number - 1) & 1)
