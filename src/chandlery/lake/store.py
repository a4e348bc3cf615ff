"""URIs to objects: the only room that knows an object store.

A store is a folder on disk or a bucket with a prefix. Puts are whole or not at all. Credentials come
from the cloud SDK's own chain (environment, web identity, container, instance), never from here.
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
from obstore.store import LocalStore, ObjectStore, from_url

from chandlery.errors import SettingsError, StoreUnavailableError
from chandlery.lake.answers import explain_failure, is_without_bucket, plain_text
from chandlery.lake.location import Location
from chandlery.machine.folders import rename_file, replace_file

__all__ = ["Entry", "Store"]

RETRIES = {
    "max_retries": 6,
    "retry_timeout": dt.timedelta(seconds=60),
    "backoff": {"init_backoff": dt.timedelta(milliseconds=200), "max_backoff": dt.timedelta(seconds=5), "base": 2},
}
CLIENT_OPTIONS = {"allow_http", "timeout", "connect_timeout", "proxy_url", "user_agent"}
PART = re.compile(r"#\d+$")
AT_ONCE = 8  # questions to a store
MOST_BEHIND = 3  # calls that go on while a task computes
AT_ONCE_BYTES = 8 * 1024 * 1024  # of an object that is fetched whole, which is also what a reader fetches at a time
Item = TypeVar("Item")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Entry:
    """An object in a store.

    Args:
        path: Below the store's root.
        size_bytes: Its size.
        etag: Changes with its content.
        modified_at: By the store's clock.
    """

    path: str
    size_bytes: int
    etag: str
    modified_at: dt.datetime


class Store(Location):
    """Objects below a root; lazy, cheap to make and to pickle.

    Args:
        uri: A folder, or `s3://bucket/prefix` and the like.
        options: Of the object store, such as endpoint_url, region, allow_http.

    Raises:
        SettingsError: The URI's scheme is not known; by any call: the bucket, a right or a credential is missing.
        StoreUnavailableError: By any call: no answer after retries, or no room left.
    """

    def sweep(self) -> None:
        """Remove what killed runs left half written; only for who holds the lake, and nothing on an object store, which keeps no halves."""
        if self.is_local and self.root.is_dir():
            for path in self.root.rglob("*#*"):
                if PART.search(path.name) and path.is_file():
                    path.unlink(missing_ok=True)

    @cached_property
    def _objects(self) -> ObjectStore:
        if self.is_local:
            return LocalStore(self.root, mkdir=True)
        client = {name: value for name, value in self.options.items() if name in CLIENT_OPTIONS}
        config = {name: value for name, value in self.options.items() if name not in CLIENT_OPTIONS}
        flags: dict[str, Any] = {
            name: value.lower() == "true" if value.lower() in {"true", "false"} else value
            for name, value in client.items()
        }
        try:
            return cast(ObjectStore, from_url(self.uri, config=config, client_options=flags, retry_config=RETRIES))  # type: ignore[call-overload]
        except failures.BaseError as error:
            raise SettingsError(
                f"storage settings for {self.uri}: {plain_text(error)}", "options of the object store", "see [storage]"
            ) from error

    def list(self, prefix: str = "") -> list[Entry]:
        """Return the objects below a folder (or whose path is given), by path."""
        if self.is_local and not (self.root / prefix).exists():
            return []
        with self._translated("list", prefix):
            found = [entry for chunk in obstore.list(self._objects, prefix.rstrip("/") or None) for entry in chunk]
        entries = [_to_entry(dict(meta)) for meta in found]
        return sorted((entry for entry in entries if entry.path.startswith(prefix)), key=lambda entry: entry.path)

    def head(self, path: str) -> Entry | None:
        """Return what an object is; None where there is none."""
        with self._translated("read", path), contextlib.suppress(FileNotFoundError):
            return _to_entry(dict(obstore.head(self._objects, path)))
        return None

    def get(self, path: str) -> bytes | None:
        """Return an object's bytes; None where there is none."""
        with self._translated("read", path), contextlib.suppress(FileNotFoundError):
            if self.is_local:
                return (self.root / path).read_bytes()
            return bytes(obstore.get(self._objects, path).bytes())
        return None

    def get_entry(self, path: str) -> tuple[Entry, bytes] | None:
        """Return what an object is, and its bytes, by one request; None where there is none."""
        with self._translated("read", path), contextlib.suppress(FileNotFoundError):
            found = obstore.get(self._objects, path)
            return _to_entry(dict(found.meta)), bytes(found.bytes())
        return None

    def view(self, path: str) -> bytes | mmap.mmap | None:
        """Return an object's bytes, mapped where the store is local: what nobody looks at is not read; None where there is none."""
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
        """Return an object's bytes while it is still the one of that etag; None where it was replaced."""
        try:
            with self._translated("read", path), contextlib.suppress(FileNotFoundError):
                return bytes(obstore.get(self._objects, path, options={"if_match": etag}).bytes())
        except _ChangedError:
            return None
        return None

    def open(self, path: str, size_bytes: int | None = None) -> BinaryIO:
        """Return an object as a seekable binary file.

        Args:
            path: Which.
            size_bytes: Its size, where that is known: a small object is fetched whole, with one request.

        Raises:
            FileNotFoundError: There is no such object.
        """
        if path.endswith("/"):  # no object is called so
            raise FileNotFoundError(path)
        if self.is_local:
            with self._translated("read", path):
                return (self.root / path).open("rb")
        if size_bytes is not None and size_bytes <= AT_ONCE_BYTES:
            with self._translated("read", path):
                return io.BytesIO(bytes(obstore.get(self._objects, path).bytes()))
        with self._translated("read", path):
            reader = obstore.open_reader(self._objects, path, buffer_size=8 * 1024 * 1024)
        return cast(BinaryIO, io.BufferedReader(_Reader(reader, self), 1024 * 1024))

    def put(self, path: str, content: bytes, media_type: str | None = None) -> None:
        """Put an object whole; a bucket remembers its media type, such as text/html, for browsers."""
        with self._translated("write", path):
            if self.is_local:
                replace_file(self.root / path, content)  # several times as fast as by way of obstore's threads
            else:
                obstore.put(
                    self._objects,
                    path,
                    content,
                    attributes={"Content-Type": media_type} if media_type else None,
                    use_multipart=False,
                )

    def put_file(self, path: str, file: Path) -> None:
        """Put a file's bytes whole, however many they are."""
        with self._translated("write", path):
            obstore.put(self._objects, path, file)

    def put_if_absent(self, path: str, content: bytes) -> str | None:
        """Put an object where there is none; None where there is one."""
        try:
            with self._translated("write", path):
                return str(obstore.put(self._objects, path, content, mode="create", use_multipart=False)["e_tag"])
        except _ChangedError:
            return None

    def put_if_match(self, path: str, content: bytes, etag: str) -> str | None:
        """Replace an object that is still the one of that etag; None where it is not. Not for local stores."""
        try:
            with self._translated("write", path):
                return str(
                    obstore.put(self._objects, path, content, mode={"e_tag": etag}, use_multipart=False)["e_tag"]
                )
        except (_ChangedError, FileNotFoundError):  # a store answers 412, or 404 where the object was deleted
            return None

    def put_changed(self, path: str, content: bytes) -> bool:
        """Put an object unless it has these very bytes already; return whether it was put."""
        if not self.differs(path, content):
            return False
        self.put(path, content)
        return True

    def differs(self, path: str, content: bytes | None) -> bool:
        """Return whether an object has other bytes than these; None stands for no object."""
        there = self.head(path)
        if there is None or content is None:
            return (there is None) != (content is None)
        return there.size_bytes != len(content) or self.get(path) != content

    def move(self, source: str, target: str) -> bool:
        """Put an object in place of another, whole; return whether the source was there.

        On a path it is renamed. In a bucket the store copies it, and the source stays until it is deleted.
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
        """Delete an object; nothing where there is none."""
        with self._translated("delete", path), contextlib.suppress(FileNotFoundError):
            obstore.delete(self._objects, path)
            if self.is_local and not any((self.root / path).parent.iterdir()):
                (self.root / path).parent.rmdir()

    def delete_all(self, paths: Iterable[str]) -> None:
        """Delete many objects, a thousand a request where the store allows it; missing ones are no error."""
        wanted = list(paths)
        if self.is_local:
            for path in wanted:
                self.delete(path)
        elif wanted:
            with self._translated("delete", wanted[0]), contextlib.suppress(FileNotFoundError):
                obstore.delete(self._objects, wanted)

    def remove_folder(self, prefix: str) -> None:
        """Remove a folder of a local store with all that is in it; buckets have no folders."""
        if self.is_local:
            shutil.rmtree(self.root / prefix, ignore_errors=True)

    def folders(self, prefix: str) -> tuple[str, ...]:
        """Return the names of the folders right below a prefix that ends with "/", sorted."""
        if self.is_local:
            root = self.root / prefix
            return tuple(sorted(path.name for path in root.iterdir() if path.is_dir())) if root.is_dir() else ()
        with self._translated("list", prefix):
            found = obstore.list_with_delimiter(self._objects, prefix.rstrip("/"))["common_prefixes"]
        return tuple(sorted(path.rstrip("/").rpartition("/")[2] for path in found))

    def ask_ahead(
        self, function: Callable[[Item], Answer], items: Iterable[Item], at_once: int = AT_ONCE
    ) -> Iterator[Answer]:
        """Yield what a function that asks this store returns for each item, in order; where the store is far, threads ask for the next few meanwhile."""
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
        """Return what calls that ask this store return, in order; where the store is far, they wait for it at the same time."""
        return tuple(self.ask_ahead(lambda call: call(), calls))

    @contextlib.contextmanager
    def behind(self) -> Iterator[Callable[[Callable[[], Any]], None]]:
        """Yield a function that makes calls to this store: at once, or, where it is far, on threads while the block goes on.

        The block ends once all calls have; what the first of them raised is raised then.
        """
        if self.is_local:
            yield lambda call: call()
            return
        asked: deque[Future[Any]] = deque()
        with ThreadPoolExecutor(MOST_BEHIND) as threads:

            def ask(call: Callable[[], Any]) -> None:
                asked.append(threads.submit(call))
                if len(asked) > MOST_BEHIND:  # what waits holds memory
                    asked.popleft().result()

            yield ask
            while asked:
                asked.popleft().result()

    def now(self) -> dt.datetime:
        """Return the store's clock, by the time that it gives to a fresh object; whole seconds on S3.

        Raises:
            StoreUnavailableError: The object was deleted at once; this machine's clock is no substitute.
        """
        path = f"_probe/clock-{secrets.token_hex(8)}"
        self.put(path, b"")
        entry = self.head(path)
        self.delete(path)
        if entry is None:
            raise StoreUnavailableError(f"no {path} at {self.uri} just after it was put", "the object", "run again")
        return entry.modified_at

    @contextlib.contextmanager
    def _translated(self, act: str, path: str) -> Iterator[None]:
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
    """A condition of a put or get does not hold."""


class _Reader(io.RawIOBase):
    """An obstore reader as a raw file."""

    def __init__(self, reader: "obstore.ReadableFile", store: Store) -> None:
        self._reader, self._store = reader, store

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]
        with self._store._translated("read", ""):  # noqa: SLF001 - one room
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
