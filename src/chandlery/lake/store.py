"""Objects in a folder or a bucket: the only module that sends requests to object stores.

A store is a folder on disk or a bucket with a prefix. An object is written whole or not at all. Credentials come from
the cloud SDK's own chain (environment, web identity, container, instance), never from settings.
"""

import contextlib
import datetime as dt
import io
import mmap
import os
import re
import secrets
import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

import obstore
from obstore import exceptions as failures
from obstore.store import LocalStore, ObjectStore

from chandlery.errors import StoreUnavailableError
from chandlery.lake.answers import explain_failure, is_without_bucket
from chandlery.lake.clients import open_bucket
from chandlery.lake.location import Location
from chandlery.machine.folders import rename_file, replace_file

__all__ = ["Entry", "Store"]

PART = re.compile(r"#\d+$")  # ends the name of a temporary file, as `machine.folders` and obstore write it
AT_ONCE = 8  # concurrent requests of one task
MOST_BEHIND = 3  # requests that run in the background while a task computes: each holds its content in memory
WHOLE_BYTES = 8 * 1024 * 1024  # up to this size an object is fetched whole; a larger one is read in pieces of this size
Item = TypeVar("Item")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Entry:
    """An object in a store.

    Args:
        path: Its path below the root of the store.
        size_bytes: Size of its content.
        etag: Changes when the content changes.
        modified_at: When it was last written, by the store's clock.
    """

    path: str
    size_bytes: int
    etag: str
    modified_at: dt.datetime


class Store(Location):
    """The objects below a root. It connects at the first call, so it is cheap to create and to pickle.

    Args:
        uri: A folder, or `s3://bucket/prefix` and the like.
        options: Of the object store, such as endpoint_url, region, allow_http.

    Raises:
        SettingsError: The URI is not valid; or, at any call, the bucket, a permission or a credential is missing.
        StoreUnavailableError: At any call, the store does not answer after all retries, or no space is left.
    """

    def sweep(self) -> None:
        """Delete the temporary files of killed runs; only the holder of the lease may call this.

        Does nothing on an object store, which keeps no incomplete objects.
        """
        if self.is_local and self.root.is_dir():
            for path in self.root.rglob("*#*"):
                if PART.search(path.name) and path.is_file():
                    path.unlink(missing_ok=True)

    @cached_property
    def _objects(self) -> ObjectStore:
        if self.is_local:
            return LocalStore(self.root, mkdir=True)
        return open_bucket(self.uri, self.options)

    def list(self, prefix: str = "") -> list[Entry]:
        """List the objects under `prefix`, a folder or the path of an object, sorted by path."""
        if self.is_local and not (self.root / prefix).exists():
            return []
        with self._translated("list", prefix):
            found = [entry for chunk in obstore.list(self._objects, prefix.rstrip("/") or None) for entry in chunk]
        entries = [_to_entry(dict(meta)) for meta in found]
        return sorted((entry for entry in entries if entry.path.startswith(prefix)), key=lambda entry: entry.path)

    def head(self, path: str) -> Entry | None:
        """Return the size, etag and time of an object, or None if it is missing."""
        with self._translated("read", path), contextlib.suppress(FileNotFoundError):
            return _to_entry(dict(obstore.head(self._objects, path)))
        return None

    def get(self, path: str) -> bytes | None:
        """Return the content of an object, or None if it is missing."""
        with self._translated("read", path), contextlib.suppress(FileNotFoundError):
            if self.is_local:
                return (self.root / path).read_bytes()
            return bytes(obstore.get(self._objects, path).bytes())
        return None

    def get_entry(self, path: str) -> tuple[Entry, bytes] | None:
        """Return an object's entry and content with a single request, or None if it is missing."""
        with self._translated("read", path), contextlib.suppress(FileNotFoundError):
            found = obstore.get(self._objects, path)
            return _to_entry(dict(found.meta)), bytes(found.bytes())
        return None

    def view(self, path: str) -> bytes | mmap.mmap | None:
        """Return the content of an object, or None if it is missing.

        A file of a local store is memory-mapped: only the pages that are used are read.
        """
        if not self.is_local:
            return self.get(path)
        with (
            self._translated("read", path),
            contextlib.suppress(FileNotFoundError),
            (self.root / path).open("rb") as file,
        ):
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if os.fstat(file.fileno()).st_size else b""
        return None

    def get_if_match(self, path: str, etag: str) -> bytes | None:
        """Return the content of an object if its etag is still `etag`, or None if it was replaced or deleted."""
        try:
            with self._translated("read", path), contextlib.suppress(FileNotFoundError):
                return bytes(obstore.get(self._objects, path, options={"if_match": etag}).bytes())
        except _ChangedError:
            return None
        return None

    def open(self, path: str, size_bytes: int | None = None) -> BinaryIO:
        """Return an object as a seekable binary file.

        Args:
            path: Path of the object.
            size_bytes: Its size, if known: a small object is then fetched whole, with one request.

        Raises:
            FileNotFoundError: There is no such object.
        """
        if path.endswith("/"):  # the path of a folder: no object has such a name
            raise FileNotFoundError(path)
        if self.is_local:
            with self._translated("read", path):
                return (self.root / path).open("rb")
        if size_bytes is not None and size_bytes <= WHOLE_BYTES:
            with self._translated("read", path):
                return io.BytesIO(bytes(obstore.get(self._objects, path).bytes()))
        with self._translated("read", path):
            reader = obstore.open_reader(self._objects, path, buffer_size=WHOLE_BYTES)
        return cast(BinaryIO, io.BufferedReader(_Reader(reader, self), 1024 * 1024))

    def put(self, path: str, content: bytes, media_type: str | None = None) -> None:
        """Write an object whole; a bucket also stores its media type, such as text/html, for browsers."""
        with self._translated("write", path):
            if self.is_local:
                replace_file(self.root / path, content)  # several times as fast as through obstore's threads
            else:
                obstore.put(
                    self._objects,
                    path,
                    content,
                    attributes={"Content-Type": media_type} if media_type else None,
                    use_multipart=False,
                )

    def put_file(self, path: str, file: Path) -> None:
        """Write the content of a file as an object, in several parts if it is large."""
        with self._translated("write", path):
            obstore.put(self._objects, path, file)

    def put_if_absent(self, path: str, content: bytes) -> str | None:
        """Create an object and return its etag, or None if an object with this path exists."""
        try:
            with self._translated("write", path):
                return str(obstore.put(self._objects, path, content, mode="create", use_multipart=False)["e_tag"])
        except _ChangedError:
            return None

    def put_if_match(self, path: str, content: bytes, etag: str) -> str | None:
        """Replace an object if its etag is still `etag`; return the new etag, or None if it was not replaced.

        Local stores do not support this.
        """
        try:
            with self._translated("write", path):
                return str(
                    obstore.put(self._objects, path, content, mode={"e_tag": etag}, use_multipart=False)["e_tag"]
                )
        except (_ChangedError, FileNotFoundError):  # a store answers 412, or 404 where the object was deleted
            return None

    def put_changed(self, path: str, content: bytes) -> bool:
        """Write an object unless its content is already equal; return whether it was written."""
        if not self.differs(path, content):
            return False
        self.put(path, content)
        return True

    def differs(self, path: str, content: bytes | None) -> bool:
        """Return whether an object's content differs from `content`; None stands for a missing object."""
        entry = self.head(path)
        if entry is None or content is None:
            return (entry is None) != (content is None)
        return entry.size_bytes != len(content) or self.get(path) != content

    def move(self, source: str, target: str) -> bool:
        """Replace the object `target` by the object `source`; return False if `source` is missing.

        A local file is renamed. In a bucket the store copies the object, and the source remains until it is deleted.
        """
        try:
            with self._translated("write", target):
                if self.is_local:
                    rename_file(self.root / source, self.root / target)
                else:
                    obstore.copy(self._objects, source, target)
        except FileNotFoundError:
            return False
        return True

    def delete(self, path: str) -> None:
        """Delete an object, and the local folder that it leaves empty; a missing object is no error."""
        with self._translated("delete", path), contextlib.suppress(FileNotFoundError):
            obstore.delete(self._objects, path)
            if self.is_local and not any((self.root / path).parent.iterdir()):
                (self.root / path).parent.rmdir()

    def delete_all(self, paths: Iterable[str]) -> None:
        """Delete objects, a thousand per request where the store allows it; missing ones are no error."""
        wanted = list(paths)
        if self.is_local:
            for path in wanted:
                self.delete(path)
        elif wanted:
            with self._translated("delete", wanted[0]), contextlib.suppress(FileNotFoundError):
                obstore.delete(self._objects, wanted)

    def remove_folder(self, prefix: str) -> None:
        """Delete a folder of a local store with its content; does nothing for a bucket, which has no folders."""
        if self.is_local:
            shutil.rmtree(self.root / prefix, ignore_errors=True)

    def folders(self, prefix: str) -> tuple[str, ...]:
        """Return the sorted names of the folders directly below a prefix that ends with "/"."""
        if self.is_local:
            root = self.root / prefix
            return tuple(sorted(path.name for path in root.iterdir() if path.is_dir())) if root.is_dir() else ()
        with self._translated("list", prefix):
            found = obstore.list_with_delimiter(self._objects, prefix.rstrip("/"))["common_prefixes"]
        return tuple(sorted(path.rstrip("/").rpartition("/")[2] for path in found))

    def ask_ahead(
        self, function: Callable[[Item], Answer], items: Iterable[Item], at_once: int = AT_ONCE
    ) -> Iterator[Answer]:
        """Yield the result of a function for each item, in order.

        The function sends requests to this store. If the store is remote, threads compute the next few results in
        advance.

        Args:
            function: Called with each item.
            items: The items, in order.
            at_once: How many results are computed in advance.
        """
        if self.is_local:
            yield from map(function, items)
            return
        asked: deque[Future[Answer]] = deque()
        with ThreadPoolExecutor(at_once) as threads:
            for item in items:
                asked.append(threads.submit(function, item))
                if len(asked) > at_once:
                    yield asked.popleft().result()
            while asked:
                yield asked.popleft().result()

    def together(self, *calls: Callable[[], Any]) -> tuple[Any, ...]:
        """Return the results of calls that send requests to this store, in order; concurrently for a remote store."""
        return tuple(self.ask_ahead(lambda call: call(), calls))

    @contextlib.contextmanager
    def behind(self) -> Iterator[Callable[[Callable[[], Any]], None]]:
        """Yield a function that executes calls to this store, in the background if the store is remote.

        The block ends when all calls have ended. An exception of a call is raised by then at the latest.
        """
        if self.is_local:
            yield lambda call: call()
            return
        asked: deque[Future[Any]] = deque()
        with ThreadPoolExecutor(MOST_BEHIND) as threads:

            def ask(call: Callable[[], Any]) -> None:
                asked.append(threads.submit(call))
                if len(asked) > MOST_BEHIND:
                    asked.popleft().result()

            yield ask
            while asked:
                asked.popleft().result()

    def now(self) -> dt.datetime:
        """Return the time by the store's clock, in whole seconds on S3: when it wrote an object that is put for this.

        Raises:
            StoreUnavailableError: The object was deleted meanwhile. This machine's clock may differ, so it is not used.
        """
        path = f"_probe/clock-{secrets.token_hex(8)}"
        self.put(path, b"")
        entry = self.head(path)
        self.delete(path)
        if entry is None:
            raise StoreUnavailableError(f"no {path} at {self.uri} just after it was written", "the object", "run again")
        return entry.modified_at

    @contextlib.contextmanager
    def _translated(self, act: str, path: str) -> Iterator[None]:
        """Raise errors of obstore and of the file system as those of this project.

        `act` is what the request does to `path`: read, write, delete or list. A missing object stays FileNotFoundError.
        """
        try:
            yield
        except (FileNotFoundError, failures.NotFoundError) as error:
            if is_without_bucket(error):
                raise explain_failure(self.uri, act, path, error) from error
            raise FileNotFoundError(path) from error
        except (failures.AlreadyExistsError, failures.PreconditionError) as error:
            raise _ChangedError(path) from error
        except (failures.BaseError, OSError) as error:
            raise explain_failure(self.uri, act, path, error) from error


class _ChangedError(Exception):
    """The condition of a conditional request does not hold."""


class _Reader(io.RawIOBase):
    """An obstore reader as a raw binary file."""

    def __init__(self, reader: "obstore.ReadableFile", store: Store) -> None:
        self._reader, self._store = reader, store

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]
        with self._store._translated("read", ""):  # noqa: SLF001 - both classes are of this module
            got = bytes(self._reader.read(len(view)))
        view[: len(got)] = got
        return len(got)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._reader.seek(offset, whence)

    def tell(self) -> int:
        return self._reader.tell()


def _to_entry(meta: dict[str, object]) -> Entry:
    modified = cast(dt.datetime, meta["last_modified"])
    return Entry(str(meta["path"]), int(cast(int, meta["size"])), str(meta["e_tag"] or ""), modified)
