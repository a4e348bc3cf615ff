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
VERSION = 3
EXCHANGE = re.compile(r"exchange=[^/]+/")
Remembered = TypeVar("Remembered", bound=msgspec.Struct)


class Held(msgspec.Struct, array_like=True, frozen=True):
    """An array as bytes."""

    kind: str
    shape: tuple[int, ...]
    content: memoryview


def name_arrays(group: str, arrays: Arrays) -> Arrays:
    """Return arrays with the name of a group before their own, so that one object can hold several groups.

    Example:
        >>> list(name_arrays("30", {"sums": np.zeros(1)}))
        ['30/sums']
    """
    return {f"{group}/{name}": array for name, array in arrays.items()}


def pick_arrays(group: str, arrays: Arrays) -> Arrays:
    """Return the arrays of a group by their own names: the inverse of `name_arrays`."""
    return {name.removeprefix(f"{group}/"): array for name, array in arrays.items() if name.startswith(f"{group}/")}


def put_arrays(store: Store, path: str, arrays: Arrays, folder: str = "") -> None:
    """Put named arrays of numbers or text as one object; arrays of Python objects are not supported.

    Args:
        store: Where to put them.
        path: Where the object stands, or will stand once it is published.
        arrays: By name.
        folder: Where the object is put meanwhile, ending with a slash; by default it is put at its path.
    """
    held = {
        name: Held(array.dtype.str, array.shape, np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
        for name, array in arrays.items()
    }
    store.put(folder + path, msgspec.msgpack.encode((VERSION, _checksum(held, path), held)))


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
        version, checksum, held = msgspec.msgpack.decode(content, type=tuple[int, int, dict[str, Held]])
        if version != VERSION or (checked_as is not None and checksum != _checksum(held, checked_as)):
            return None
        views = {
            name: np.frombuffer(array.content, np.dtype(array.kind)).reshape(array.shape)
            for name, array in held.items()
        }
        return {name: view.copy() for name, view in views.items()} if writable else views
    except (msgspec.DecodeError, ValueError):
        return None


def _checksum(held: dict[str, Held], path: str) -> int:
    """Return a checksum of an object's arrays and of its path: the object of another symbol is no whole one here.

    The exchange is left out of the path, so that objects can be moved when its name becomes known.
    """
    total = isal_zlib.crc32(EXCHANGE.sub("", path).encode())
    for name, array in held.items():
        total = isal_zlib.crc32(array.content, isal_zlib.crc32(f"{name}{array.kind}{array.shape}".encode(), total))
    return int(total)


def put_struct(store: Store, path: str, struct: msgspec.Struct) -> None:
    """Put a struct as JSON."""
    store.put(path, msgspec.json.encode(struct))


def get_struct(store: Store, path: str, kind: type[Remembered]) -> Remembered | None:
    """Return a struct; None if there is none, or none of this form."""
    content = store.get(path)
    if content is None:
        return None
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError):  # the latter for bytes that are not UTF-8
        return None
