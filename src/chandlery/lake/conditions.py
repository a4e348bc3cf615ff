"""What a lake needs of its store, so that two runs never write it at the same time: conditional puts, or locks."""

import fcntl
import tempfile
from pathlib import Path

from chandlery.errors import SettingsError
from chandlery.lake.store import Store

__all__ = ["check_conditions", "check_locks", "try_lock"]

NO_ETAG = f'"{"0" * 32}"'  # of no object


def check_conditions(store: Store, path: str, content: bytes) -> None:
    """Check that a bucket keeps the conditions of puts, by two that must not succeed: some stores ignore them.

    Args:
        store: The bucket.
        path: Of an object that exists, and that this process may replace.
        content: What to replace it by.

    Raises:
        SettingsError: It ignores them, so that two runs could write one lake at the same time.
    """
    replaced = store.put_if_absent(path, content) is not None
    if replaced or store.put_if_match(path, content, NO_ETAG) is not None:
        found = f"{store.uri} ignores the conditions of puts: it replaced an object that must only be created"
        raise SettingsError(found, "a store with conditional puts", "use another store: the lease of a run needs them")


def check_locks(folder: Path) -> None:
    """Check that files of a folder can be locked, by one that is deleted again.

    Raises:
        SettingsError: They cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".lock-") as file:
            try_lock(file.fileno(), str(folder))
    except OSError as error:
        found = f"the lake at {folder} cannot be written: {error.strerror}"
        raise SettingsError(found, "a folder that this user may write to", "choose another --lake") from error


def try_lock(descriptor: int, place: str) -> bool:
    """Lock an open file; return whether no other process had locked it.

    Args:
        descriptor: Of the file.
        place: The folder of the file, for messages.

    Raises:
        SettingsError: Its file system has no locks.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        hint = "choose another --lake, such as on a local disk or in a bucket, or mount the file system with locks"
        found = f"files at {place} cannot be locked: {error.strerror}"
        raise SettingsError(found, "a file system with locks, which keep two runs apart", hint) from error
    return True
