"""A program that a signal stops gives the lease of a bucket back."""

import json
import os
import secrets
import signal
from pathlib import Path

import psutil
import pytest
from s3_server import Server
from stopping import HOLDING, start, wait_for_files

from chandlery.lake.lease import hold_lease
from chandlery.lake.store import Store

PATIENCE_SECONDS = 60


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
def test_the_lease_of_a_bucket_is_given_back(admin: Server, tmp_path: Path, number: signal.Signals) -> None:
    store = Store(f"s3://crypto-lake/{secrets.token_hex(4)}", admin.storage)
    running = start(["-c", HOLDING, store.uri, json.dumps(dict(admin.storage)), str(tmp_path), "2"])
    processes = [psutil.Process(pid) for pid in wait_for_files(tmp_path, 2, running)]
    held = json.loads(store.get("lease.json") or b"")
    assert held["pid"] == running.pid
    os.killpg(running.pid, number)
    _, told = running.communicate(timeout=PATIENCE_SECONDS)
    assert running.returncode == 128 + number, told
    assert "Traceback" not in told
    assert not psutil.wait_procs(processes, PATIENCE_SECONDS)[1]
    released = json.loads(store.get("lease.json") or b"")
    assert (released["owner"], released["released"]) == (held["owner"], True)


def test_a_run_that_waits_says_for_whom_and_until_when(admin: Server) -> None:
    store, told = Store(f"s3://crypto-lake/{secrets.token_hex(4)}", admin.storage), []

    class HeardError(Exception):
        """The run has said that it waits."""

    def hear(text: str) -> None:
        told.append(text)
        raise HeardError

    with hold_lease(store, 60, wait=False), pytest.raises(HeardError), hold_lease(store, 60, wait=False, note=hear):
        pass
    assert f"waiting for 122 s at most for another run of {store.uri}: process {os.getpid()} on" in told[0]
    assert "its lease lasts until 2" in told[0]
