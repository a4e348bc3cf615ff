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
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import obstore
from obstore import exceptions as failures
from obstore.store import LocalStore, ObjectStore

from chandlery.errors import SettingsError, StoreUnavailableError
from chandlery.lake.answers import is_panic, plain_text, read_answer
from chandlery.lake.asking import Asking
from chandlery.lake.clients import find_region, open_bucket
from chandlery.lake.refusals import Act, explain_failure, is_changed, is_missing
from chandlery.machine.folders import rename_file, replace_file

if TYPE_CHECKING:
    from obstore import PutMode

__all__ = ["Entry", "Store"]

PART = re.compile(r"#\d+$")  # ends the name of a temporary file, as `machine.folders` and obstore write it
WHOLE_BYTES = 8 * 1024 * 1024  # up to this size an object is fetched whole; a larger one is read in pieces of this size


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


class Store(Asking):
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

    @cached_property
    def _impatient(self) -> ObjectStore:
        """The same objects, by a client that repeats no request."""
        return self._objects if self.is_local else open_bucket(self.uri, self.options, patient=False)

    def list(self, prefix: str = "") -> list[Entry]:
        """List the objects under `prefix`, a folder or the path of an object, sorted by path."""
        if self.is_local and not (self.root / prefix).exists():
            return []
        with self._translated("list", prefix):
            found = [entry for chunk in obstore.list(self._objects, prefix.rstrip("/") or None) for entry in chunk]
        entries = [_to_entry(dict(meta)) for meta in found]
        return sorted((entry for entry in entries if entry.path.startswith(prefix)), key=lambda entry: entry.path)

    def check_answers(self) -> None:
        """Check that what answers for a bucket is a store: a page for browsers looks like an empty listing.

        Raises:
            SettingsError: It has an object of a name that nobody has given.
        """
        path = f"_probe/{secrets.token_hex(8)}"
        if not self.is_local and self.get(path) is not None:
            found = f"what answers for {self.uri} is no object store: it has an object of any name"
            raise SettingsError(found, "the address of an object store", "check endpoint_url and proxies")

    def head(self, path: str) -> Entry | None:
        """Return the size, etag and time of an object, or None if it is missing."""
        with contextlib.suppress(FileNotFoundError), self._translated("read", path):
            try:
                return _to_entry(dict(obstore.head(self._objects, path)))
            except (failures.NotFoundError, FileNotFoundError):
                raise
            except failures.BaseError:  # the answer to this request has no body, and so no error code
                if self.is_local:
                    raise
                return _to_entry(dict(obstore.get(self._objects, path, options={"range": (0, 1)}).meta))
        return None

    def get(self, path: str) -> bytes | None:
        """Return the content of an object, or None if it is missing."""
        with contextlib.suppress(FileNotFoundError), self._translated("read", path):
            if self.is_local:
                return (self.root / path).read_bytes()
            return bytes(obstore.get(self._objects, path).bytes())
        return None

    def get_entry(self, path: str) -> tuple[Entry, bytes] | None:
        """Return an object's entry and content with a single request, or None if it is missing."""
        with contextlib.suppress(FileNotFoundError), self._translated("read", path):
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
            contextlib.suppress(FileNotFoundError),
            self._translated("read", path),
            (self.root / path).open("rb") as file,
        ):
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if os.fstat(file.fileno()).st_size else b""
        return None

    def get_if_match(self, path: str, etag: str) -> bytes | None:
        """Return the content of an object if its etag is still `etag`, or None if it was replaced or deleted."""
        try:
            with self._translated("read", path, is_conditional=True):
                return bytes(obstore.get(self._objects, path, options={"if_match": etag}).bytes())
        except (_ChangedError, FileNotFoundError):
            return None

    def get_range_if_match(self, path: str, etag: str, start: int, end: int) -> bytes | None:
        """Return the bytes [start, end) of an object if its etag is still `etag`, or None if it is not."""
        try:
            with self._translated("read", path, is_conditional=True):
                return bytes(
                    obstore.get(self._objects, path, options={"if_match": etag, "range": (start, end)}).bytes()
                )
        except (_ChangedError, FileNotFoundError):
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
            return self._put_under(path, content, "create")
        except _ChangedError:
            return None

    def put_if_match(self, path: str, content: bytes, etag: str) -> str | None:
        """Replace an object if its etag is still `etag`; return the new etag, or None if it was not replaced.

        Local stores do not support this.
        """
        try:
            return self._put_under(path, content, {"e_tag": etag})
        except _ChangedError:
            return None

    def _put_under(self, path: str, content: bytes, condition: "PutMode") -> str:
        """Write an object under a condition, and return its etag.

        The first request is not repeated by the client: a store that does not know conditions is told at once.

        Raises:
            _ChangedError: The condition does not hold.
        """
        try:
            return self._put_once(self._impatient, path, content, condition)
        except StoreUnavailableError:
            return self._put_once(self._objects, path, content, condition)

    def _put_once(self, objects: ObjectStore, path: str, content: bytes, condition: "PutMode") -> str:
        with self._translated("write", path, is_conditional=True):
            return str(obstore.put(objects, path, content, mode=condition, use_multipart=False)["e_tag"])

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
            with self._translated("copy", target):
                if self.is_local:
                    rename_file(self.root / source, self.root / target)
                else:
                    obstore.copy(self._objects, source, target)
        except FileNotFoundError:
            return False
        return True

    def delete(self, path: str) -> None:
        """Delete an object, and the local folder that it leaves empty; a missing object is no error."""
        with contextlib.suppress(FileNotFoundError), self._translated("delete", path):
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
            with contextlib.suppress(FileNotFoundError), self._translated("delete", wanted[0]):
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
    def _translated(self, verb: str, path: str, *, is_conditional: bool = False) -> Iterator[None]:
        """Raise errors of obstore and of the file system as those of this project.

        A missing object stays FileNotFoundError.

        Args:
            verb: What the request does to the object: read, write, copy, delete or list.
            path: Of the object.
            is_conditional: Whether the request has a condition; one that does not hold raises _ChangedError.
        """
        has_proxy = any(name.lower() == "proxy_url" for name in self.options)
        act = Act(self.uri, verb, path, is_conditional, lambda: find_region(self.uri, self.options), has_proxy)
        try:
            yield
        except BaseException as error:
            if is_panic(error):
                found = f"{self.uri} did not {verb} {path}: the client of the store failed: {plain_text(error)}"
                hint = "check the options of the store; if they are right, report this"
                raise SettingsError(found, "options that the client takes", hint) from error
            if not isinstance(error, (failures.BaseError, OSError)):
                raise
            answer = read_answer(error)
            if is_missing(act, error, answer):
                raise FileNotFoundError(path) from error
            if is_changed(act, error, answer):
                raise _ChangedError(path) from error
            raise explain_failure(act, error, answer) from error


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
