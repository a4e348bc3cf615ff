"""Copies on this machine's disk of what a run keeps in a far lake and every task of it reads again."""

import contextlib
import os
import shutil
import tempfile
import time
from pathlib import Path

from chandlery.errors import ChandleryError
from chandlery.lake import Lake
from chandlery.lease import LeaseToken
from chandlery.state import Arrays, view_arrays
from chandlery.storage import Store

__all__ = ["forget_copies", "open_copies", "view_copied"]

FORGOTTEN_SECONDS = 86_400.0  # after so long, copies are those of a run that was killed, or of a cluster's


def choose_folder(token: LeaseToken) -> Path:
    """Return the folder of a run's copies: TMPDIR says where."""
    return Path(tempfile.gettempdir()) / f"chandlery-{os.getuid()}" / f"run-{token.owner}"


def open_copies(lake: Lake) -> Store | None:
    """Return the folder for the copies of a lake's run; None where the lake is near, or no folder of this user's alone can be made."""
    if lake.store.is_local or lake.token is None:
        return None
    folder = choose_folder(lake.token)
    places = (folder.parent, folder)
    try:
        for place in places:
            place.mkdir(mode=0o700, exist_ok=True)
        if {place.lstat().st_uid for place in places} != {os.getuid()}:
            return None
        for other in folder.parent.glob("run-*"):
            if time.time() - other.stat().st_mtime > FORGOTTEN_SECONDS:
                shutil.rmtree(other, ignore_errors=True)
    except OSError:
        return None
    return Store(str(folder))


def view_copied(lake: Lake, copies: Store | None, path: str) -> Arrays | None:
    """Return named arrays that this run has kept itself, as `view_arrays` does: from their copy, which is made where there is none.

    Args:
        lake: Where they are.
        copies: From `open_copies`; without it they are read from the lake.
        path: Which.
    """
    if copies is None:
        return view_arrays(lake.store, path)
    found = view_arrays(copies, path)
    if found is None and (content := lake.store.get(path)) is not None:
        with contextlib.suppress(ChandleryError):
            copies.put(path, content)
            return view_arrays(copies, path)
        return view_arrays(lake.store, path)  # no room here
    return found


def forget_copies(token: LeaseToken) -> None:
    """Take away the copies of a run on this machine."""
    shutil.rmtree(choose_folder(token), ignore_errors=True)
