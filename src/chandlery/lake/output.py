"""Where a command writes a page or a result: a file, or an object of a bucket."""

import errno
import os
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from chandlery.errors import ChandleryError, SettingsError, StoreUnavailableError
from chandlery.lake.store import Store

__all__ = ["Output", "explain_unwritten"]

FULL = {errno.ENOSPC, errno.EDQUOT}
HINT = "name another with --output"


class Output:
    """A file or an object that is written whole; created before the work, so that a wrong one is reported at once.

    Args:
        place: The file, or the URI of the object.
        options: Of the object store.
        example: A name, for errors.

    Raises:
        SettingsError: A file's folder is missing or not writable, a folder or a whole bucket is named, or the URI's
            scheme is not known.
    """

    def __init__(self, place: str | Path, options: Mapping[str, str], example: str = "report.html") -> None:
        self.name, self._store = str(place), Store(str(place), options)
        self._expected = f"a file in an existing folder, or an object, as in s3://bucket/{example}"
        problem = self._find_problem()
        if problem:
            raise SettingsError(f"{self.name} {problem}", self._expected, HINT)

    def put(self, page: str) -> int:
        """Write a page and return its size in bytes.

        Raises:
            SettingsError: It cannot be written.
            StoreUnavailableError: The store did not answer, or there is no space for the page.
        """
        content = page.encode()
        if self._store.is_local:
            with self.open() as file:
                file.write(content)
        else:
            folder, _, name = self.name.rpartition("/")
            Store(folder, self._store.options).put(name, content, "text/html; charset=utf-8")
        return len(content)

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Yield a file whose content is the output once the block has ended; after an error nothing is written.

        Raises:
            SettingsError: It cannot be written.
            StoreUnavailableError: The store did not answer, or there is no space for the content.
        """
        try:
            if self._store.is_local:
                with _open_file(self._store.root) as file:
                    yield file
            else:
                with tempfile.NamedTemporaryFile() as temporary:
                    yield temporary.file
                    temporary.flush()
                    folder, _, name = self.name.rpartition("/")
                    Store(folder, self._store.options).put_file(name, Path(temporary.name))
        except OSError as error:
            raise explain_unwritten(self.name, error, self._expected) from None

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


def explain_unwritten(name: str, error: OSError, expected: str = "a file") -> ChandleryError:
    """Return the error of an output that could not be written."""
    if error.errno in FULL:
        return StoreUnavailableError(f"{name}: {error.strerror}", "space for it", f"free some space, or {HINT}")
    return SettingsError(f"{name} cannot be written: {error.strerror or error}", expected, HINT)


@contextmanager
def _open_file(target: Path) -> Iterator[IO[bytes]]:
    """Yield a file that replaces `target` when the block has ended; a device or a pipe is written to directly."""
    if target.exists() and not target.is_file():
        with target.open("wb") as file:
            yield file
        return
    target = target.resolve()  # a link stays one
    folder = target.parent
    is_replaced = os.access(folder, os.W_OK)  # a file may be writable in a folder that is not
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part") if is_replaced else target
    try:
        with part.open("wb") as file:
            yield file
        if is_replaced and target.exists():
            part.chmod(target.stat().st_mode & 0o777)
        part.replace(target)
    except BaseException:
        if is_replaced:
            part.unlink(missing_ok=True)
        raise
