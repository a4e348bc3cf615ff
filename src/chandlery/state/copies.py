"""Copies on this machine's disk of what a run keeps in a far lake and every task of it reads again."""

import shutil
import time
from contextlib import suppress
from pathlib import Path

from chandlery.folders import choose_temporary, make_own
from chandlery.lake import Lake
from chandlery.lease import LeaseToken
from chandlery.storage import Store

__all__ = ["forget_copies", "open_copies"]

FORGOTTEN_SECONDS = 86_400.0  # after so long, copies are those of a run that was killed, or of a cluster's


def choose_folder(token: LeaseToken) -> Path:
    """Return the folder of a run's copies."""
    return choose_temporary() / f"run-{token.owner}"


def open_copies(lake: Lake) -> Store | None:
    """Return the folder for the copies of a lake's run; None where the lake is near, or no folder of this user's alone can be made."""
    if lake.store.is_local or lake.token is None:
        return None
    folder = choose_folder(lake.token)
    if not make_own(folder):
        return None
    for other in folder.parent.glob("run-*"):
        with suppress(FileNotFoundError):  # its own run, or another, takes it away
            if time.time() - other.stat().st_mtime > FORGOTTEN_SECONDS:
                shutil.rmtree(other, ignore_errors=True)
    return Store(str(folder))


def forget_copies(token: LeaseToken) -> None:
    """Take away the copies of a run on this machine."""
    shutil.rmtree(choose_folder(token), ignore_errors=True)
