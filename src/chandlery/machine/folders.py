"""Files that are replaced whole, and folders on this machine that are a user's own: nobody else may write there."""

import contextlib
import errno
import os
import secrets
import tempfile
from pathlib import Path

__all__ = ["choose_temporary", "make_own", "rename_file", "replace_file"]

TRIES = 3


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


def replace_file(target: Path, content: bytes) -> None:
    """Write a file beside its place and move it there: it is the old one or the new one, never half."""
    part = target.with_name(
        f"{target.name}#{secrets.randbelow(10**12)}"
    )  # obstore's mark of an upload: no listing shows it
    try:
        for _ in range(TRIES):
            target.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):  # another process took the folder away while it was empty
                part.write_bytes(content)
                break
        part.replace(target)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def rename_file(source: Path, target: Path) -> None:
    """Move a file over another one; by a copy where a folder of the lake lies on a file system of its own."""
    source.stat()  # else a missing source would leave an empty folder behind
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        source.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        replace_file(target, source.read_bytes())
