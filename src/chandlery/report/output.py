"""Where a page goes: a file, or an object of a bucket."""

import errno
import os
from collections.abc import Mapping
from pathlib import Path

from chandlery.errors import SettingsError, StoreUnavailableError
from chandlery.lake.store import Store

__all__ = ["Output"]

FULL = {errno.ENOSPC, errno.EDQUOT}
WANTED = "a file in a folder that is there, or an object, as in s3://bucket/report.html"
HINT = "name another with --output"


class Output:
    """A page that is to be written; made before the work, so that what cannot be written is told first.

    Args:
        place: The file, or the URI of the object.
        options: Of the object store.

    Raises:
        SettingsError: A file's folder is not there or may not be written to, a folder or a whole bucket is named, or the URI's scheme is not known.
    """

    def __init__(self, place: str | Path, options: Mapping[str, str]) -> None:
        self.name, self._store = str(place), Store(str(place), options)
        problem = self._find_problem()
        if problem:
            raise SettingsError(f"{self.name} {problem}", WANTED, HINT)

    def put(self, page: str) -> int:
        """Write a page and return its size in bytes.

        Raises:
            SettingsError: It cannot be written.
            StoreUnavailableError: The store did not answer, or there is no room for the page.
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
                raise StoreUnavailableError(
                    f"{self.name}: {error.strerror}", "room for the page", f"make room, or {HINT}"
                ) from None
            raise SettingsError(f"{self.name} cannot be written: {error.strerror}", WANTED, HINT) from None
        return len(content)

    def _find_problem(self) -> str:
        if not self._store.is_local:
            _, _, path = self.name.partition("://")[2].partition("/")
            return "names no object" if not path or path.endswith("/") else ""
        file = self._store.root
        if file.is_dir():
            return "is a folder"
        if not file.parent.is_dir():
            return f"cannot be written: no folder {self.name.rpartition('/')[0]}"
        return "" if os.access(file if file.exists() else file.parent, os.W_OK) else "cannot be written: no right to"
