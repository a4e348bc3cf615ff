"""Folders on this machine that are a user's own: nobody else may have put what is read there."""

import os
import tempfile
from pathlib import Path

__all__ = ["choose_temporary", "make_own"]


def choose_temporary() -> Path:
    """Return this user's folder among temporary files; TMPDIR says where."""
    return Path(tempfile.gettempdir()) / f"chandlery-{os.getuid()}"


def make_own(folder: Path) -> bool:
    """Make a folder where there is none; return whether it can be written, and it and the one it stands in are this user's own."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.access(folder, os.W_OK) and {folder.parent.lstat().st_uid, folder.lstat().st_uid} == {os.getuid()}
    except OSError:
        return False
