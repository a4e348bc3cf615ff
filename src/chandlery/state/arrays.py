"""The two formats of state: named arrays with a checksum, and typed structs as JSON."""

import re
from contextlib import suppress
from mmap import mmap
from typing import Any, TypeVar

import msgspec
import numpy as np
from isal import isal_zlib

from chandlery.errors import ChandleryError
from chandlery.lake.store import Store

__all__ = [
    "Arrays",
    "get_arrays",
    "get_struct",
    "name_arrays",
    "pick_arrays",
    "put_arrays",
    "put_struct",
    "view_arrays",
    "view_bytes",
]

Arrays = dict[str, np.ndarray[Any, Any]]
Buffer = bytes | mmap
VERSION = 3  # of the format of arrays: objects of other versions count as missing
EXCHANGE = re.compile(r"exchange=[^/]+/")
Remembered = TypeVar("Remembered", bound=msgspec.Struct)


class StoredArray(msgspec.Struct, array_like=True, frozen=True):
    """An array as it is stored: type, shape and bytes."""

    kind: str
    shape: tuple[int, ...]
    content: memoryview


def name_arrays(group: str, arrays: Arrays) -> Arrays:
    """Put the name of a group before the names of arrays, so that one object can have several groups.

    Example:
        >>> list(name_arrays("30", {"sums": np.zeros(1)}))
        ['30/sums']
    """
    return {f"{group}/{name}": array for name, array in arrays.items()}


def pick_arrays(group: str, arrays: Arrays) -> Arrays:
    """Return the arrays of a group by the names that they have in the group: the inverse of `name_arrays`."""
    return {name.removeprefix(f"{group}/"): array for name, array in arrays.items() if name.startswith(f"{group}/")}


def put_arrays(store: Store, path: str, arrays: Arrays, folder: str = "") -> None:
    """Put named arrays of numbers or text as one object; arrays of Python objects are not supported.

    Args:
        store: Where to put them.
        path: The path of the object, or its path once it is published.
        arrays: By name.
        folder: The staging folder in which the object is put, ending with a slash; by default it is put at its path.
    """
    stored = {
        name: StoredArray(array.dtype.str, array.shape, np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
        for name, array in arrays.items()
    }
    store.put(folder + path, msgspec.msgpack.encode((VERSION, _checksum(stored, path), stored)))


def get_arrays(store: Store, path: str, folder: str = "") -> Arrays | None:
    """Return named arrays; None if the object is missing, damaged, or of another version; see `put_arrays`."""
    content = store.get(folder + path)
    return None if content is None else _read(content, checked_as=path, writable=True)


def view_bytes(store: Store, path: str, copies: Store | None = None) -> Buffer | None:
    """Return the bytes of an object, from a copy on this machine if there is one; None if there is no such object.

    Args:
        store: The store of the object.
        path: Of the object.
        copies: A local store of copies. An object without one is copied into it, if it has room.
    """
    content = copies.view(path) if copies else None
    if content is None:
        content = store.view(path)
        if copies and content is not None:
            with suppress(ChandleryError):
                copies.put(path, bytes(content))
    return content


def view_arrays(store: Store, path: str, copies: Store | None = None) -> Arrays | None:
    """Return named arrays that this run itself has put: read-only, without verifying the checksum; see `view_bytes`."""
    content = view_bytes(store, path, copies)
    return None if content is None else _read(content, checked_as=None, writable=False)


def _read(content: Buffer, *, checked_as: str | None, writable: bool) -> Arrays | None:
    try:
        version, checksum, stored = msgspec.msgpack.decode(content, type=tuple[int, int, dict[str, StoredArray]])
        if version != VERSION or (checked_as is not None and checksum != _checksum(stored, checked_as)):
            return None
        views = {
            name: np.frombuffer(array.content, np.dtype(array.kind)).reshape(array.shape)
            for name, array in stored.items()
        }
        return {name: view.copy() for name, view in views.items()} if writable else views
    except (msgspec.DecodeError, ValueError):
        return None


def _checksum(stored: dict[str, StoredArray], path: str) -> int:
    """Return a checksum of an object's arrays and of its path, so that a copy of another symbol's object is not valid.

    The exchange is left out of the path, so that objects can be moved when its name becomes known.
    """
    total = isal_zlib.crc32(EXCHANGE.sub("", path).encode())
    for name, array in stored.items():
        total = isal_zlib.crc32(array.content, isal_zlib.crc32(f"{name}{array.kind}{array.shape}".encode(), total))
    return int(total)


def put_struct(store: Store, path: str, struct: msgspec.Struct) -> None:
    """Put a struct as JSON."""
    store.put(path, msgspec.json.encode(struct))


def get_struct(store: Store, path: str, kind: type[Remembered]) -> Remembered | None:
    """Return a struct; None if the object is missing, damaged or of another type."""
    content = store.get(path)
    if content is None:
        return None
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError):  # msgspec raises the latter for bytes that are not UTF-8
        return None
