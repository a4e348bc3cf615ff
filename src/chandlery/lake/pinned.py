"""Objects that are read in parts, all of one etag: their footers, and the byte ranges that a reader asks for."""

import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from chandlery.lake.reading import damaged
from chandlery.lake.store import Entry, Store

__all__ = ["PinnedObject", "ReplacedError"]

TAIL_BYTES = 64 * 1024  # of an object that are fetched first: they hold its footer, or all of a small object


class ReplacedError(Exception):
    """An object was replaced or deleted after it was listed."""


class PinnedObject:
    """An object of a table, of which only the requested bytes are read, and only as long as its etag is the listed one.

    A local file that was opened stays readable when it is replaced. A large one is memory-mapped, and a small one read:
    each map takes a file descriptor, of which a process often has no more than 1,024.

    Args:
        store: The lake.
        entry: The object, as it was listed.

    Raises:
        ReplacedError: It was replaced after the listing; also when it is opened or read later.
        SettingsError: Its footer is damaged.
    """

    def __init__(self, store: Store, entry: Entry) -> None:
        self._store, self.entry = store, entry
        if not store.is_local:
            self._tail_from = max(entry.size_bytes - TAIL_BYTES, 0)
            self._tail = self._fetch(self._tail_from, entry.size_bytes)
        try:
            self.footer = pq.read_metadata(self.open())
        except (pa.ArrowException, OSError) as error:
            raise damaged(store, entry.path, error) from error

    def open(self) -> Any:
        """Return the object as an Arrow file; files of one object can be read at the same time."""
        if not self._store.is_local:
            return pa.PythonFile(_Ranges(self), mode="r")
        read = self._store.get if self.entry.size_bytes <= TAIL_BYTES else self._store.view
        content, found = read(self.entry.path), self._store.head(self.entry.path)
        if content is None or found is None or found.etag != self.entry.etag:
            raise ReplacedError(self.entry.path)
        return pa.BufferReader(pa.py_buffer(content))

    def read(self, start: int, end: int) -> bytes:
        """Return the bytes [start, end) of an object in a bucket."""
        if start >= self._tail_from:
            return self._tail[start - self._tail_from : end - self._tail_from]
        return self._fetch(start, end)

    def _fetch(self, start: int, end: int) -> bytes:
        if start == end:  # an empty object has no range that could be asked for
            return b""
        content = self._store.get_range_if_match(self.entry.path, self.entry.etag, start, end)
        if content is None:
            raise ReplacedError(self.entry.path)
        return content


class _Ranges(io.RawIOBase):
    """A pinned object as a raw binary file, in which each read is one request."""

    def __init__(self, source: PinnedObject) -> None:
        self._source, self._size, self._place = source, source.entry.size_bytes, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        self._place = start + offset
        return self._place

    def tell(self) -> int:
        return self._place

    def read(self, size: int = -1) -> bytes:
        end = self._size if size < 0 else min(self._place + size, self._size)
        content = self._source.read(self._place, end) if end > self._place else b""
        self._place += len(content)
        return content
