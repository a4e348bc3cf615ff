"""Where a page is written: a file, or an object of a bucket."""

import errno
import os
from collections.abc import Mapping
from pathlib import Path

from chandlery.errors import SettingsError, StoreUnavailableError
from chandlery.lake.store import Store

__all__ = ["Output"]

FULL = {errno.ENOSPC, errno.EDQUOT}
EXPECTED = "a file in an existing folder, or an object, as in s3://bucket/report.html"
HINT = "name another with --output"


class Output:
    """The destination of a page; created before the work, so that one that cannot be written is reported at once.

    Args:
        place: The file, or the URI of the object.
        options: Of the object store.

    Raises:
        SettingsError: A file's folder is missing or not writable, a folder or a whole bucket is named, or the URI's
            scheme is not known.
    """

    def __init__(self, place: str | Path, options: Mapping[str, str]) -> None:
        self.name, self._store = str(place), Store(str(place), options)
        problem = self._find_problem()
        if problem:
            raise SettingsError(f"{self.name} {problem}", EXPECTED, HINT)

    def put(self, page: str) -> int:
        """Write a page and return its size in bytes.

        Raises:
            SettingsError: It cannot be written.
            StoreUnavailableError: The store did not answer, or there is no space for the page.
        """
        content = page.encode()
        if not self._store.is_local:
            folder, _, name = self.name.rpartition("/")
            Store(folder, self._store.options).put(name, content, "text/html; charset=utf-8")
            return len(content)
        try:
            self._store.root.write_bytes(content)
        except OSError as error:
            if error.errno in FULL:
                found = f"{self.name}: {error.strerror}"
                raise StoreUnavailableError(found, "space for the page", f"free some space, or {HINT}") from None
            raise SettingsError(f"{self.name} cannot be written: {error.strerror}", EXPECTED, HINT) from None
        return len(content)

    def _find_problem(self) -> str:
        """Return why the destination cannot be written, as far as can be known beforehand; empty where it can."""
        if not self._store.is_local:
            _, _, path = self.name.partition("://")[2].partition("/")
            return "names no object" if not path or path.endswith("/") else ""
        file = self._store.root
        if file.is_dir():
            return "is a folder"
        if not file.parent.is_dir():
            return f"cannot be written: no folder {self.name.rpartition('/')[0]}"
        is_writable = os.access(file if file.exists() else file.parent, os.W_OK)
        return "" if is_writable else "cannot be written: permission denied"
