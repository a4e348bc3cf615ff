"""Files that are replaced as a whole, and folders of this machine that only their user can write to."""

import contextlib
import errno
import os
import secrets
import tempfile
from pathlib import Path

from chandlery.errors import SettingsError

__all__ = ["choose_temporary", "expand_path", "make_own", "rename_file", "replace_file"]

TRIES = 3  # another process may remove an empty folder each time before the file is written


def choose_temporary() -> Path:
    """Return this user's folder for temporary files, in TMPDIR or the system's default."""
    return Path(tempfile.gettempdir()) / f"chandlery-{os.getuid()}"


def expand_path(path: str) -> Path:
    """Return a path that a user has written, with the home folder in place of `~`.

    Raises:
        SettingsError: There is no such home folder, or the path has a null character.
    """
    if "\0" in path:
        raise SettingsError(f"path {path!r}", "a path without null characters", "correct it")
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        found = f"path {path}: the home folder is not known"
        raise SettingsError(found, "a user of this machine after ~", "write the whole path") from error


def make_own(folder: Path) -> bool:
    """Create a folder unless it exists; return whether it is safe to load code from.

    It is if this user can write to it, and owns both it and its parent: no other user can then replace files in it.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.access(folder, os.W_OK) and {folder.parent.lstat().st_uid, folder.lstat().st_uid} == {os.getuid()}
    except OSError:
        return False


def replace_file(target: Path, content: bytes) -> None:
    """Write a file under another name and rename it: readers get the old content or the new one, never a part."""
    # obstore marks unfinished uploads in this way, and leaves them out of listings.
    part = target.with_name(f"{target.name}#{secrets.randbelow(10**12)}")
    try:
        for _ in range(TRIES):
            target.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):  # another process removed the empty folder
                part.write_bytes(content)
                break
        part.replace(target)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def rename_file(source: Path, target: Path) -> None:
    """Move a file in place of another one; copy it if the two are on different file systems."""
    source.stat()  # raises before a folder is created that would stay empty
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        source.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        replace_file(target, source.read_bytes())
