"""Copies on local disk of objects in a remote lake that every task of a run reads."""

import shutil
import time
from contextlib import suppress
from pathlib import Path

from chandlery.grid import DAY_SECONDS
from chandlery.lake.handle import Lake
from chandlery.lake.lease import LeaseToken
from chandlery.lake.store import Store
from chandlery.machine.folders import choose_temporary, make_own

__all__ = ["forget_copies", "open_copies"]

FORGOTTEN_SECONDS = DAY_SECONDS  # older copies are left from a run that was killed or that ran on a cluster


def choose_folder(token: LeaseToken) -> Path:
    """Return the folder for the copies of a run."""
    return choose_temporary() / f"run-{token.owner}"


def open_copies(lake: Lake) -> Store | None:
    """Return a store for the copies of a run; None if the lake is local, or no private folder can be created."""
    if lake.store.is_local or lake.token is None:
        return None
    folder = choose_folder(lake.token)
    if not make_own(folder):
        return None
    for other in folder.parent.glob("run-*"):
        with suppress(FileNotFoundError):  # another process may delete it first
            if time.time() - other.stat().st_mtime > FORGOTTEN_SECONDS:
                shutil.rmtree(other, ignore_errors=True)
    return Store(str(folder))


def forget_copies(token: LeaseToken) -> None:
    """Delete the copies of a run on this machine."""
    shutil.rmtree(choose_folder(token), ignore_errors=True)
