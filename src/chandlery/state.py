"""What runs remember: named arrays and typed structs under state/, rebuildable, read by no analyst."""

from typing import Any, TypeVar

import msgspec
import numpy as np
from isal import isal_zlib

from chandlery.storage import Store

__all__ = ["get_arrays", "get_struct", "put_arrays", "put_struct"]

VERSION = 2
Remembered = TypeVar("Remembered", bound=msgspec.Struct)


class Held(msgspec.Struct, array_like=True, frozen=True):
    """An array as bytes."""

    kind: str
    shape: tuple[int, ...]
    content: memoryview


def put_arrays(store: Store, path: str, arrays: dict[str, np.ndarray[Any, Any]]) -> None:
    """Keep named arrays of numbers or text; none of objects."""
    held = {name: Held(array.dtype.str, array.shape, np.ascontiguousarray(array).reshape(-1).view(np.uint8).data) for name, array in arrays.items()}
    store.put(path, msgspec.msgpack.encode((VERSION, _checksum(held), held)))


def get_arrays(store: Store, path: str, *, writable: bool = True, checked: bool = True) -> dict[str, np.ndarray[Any, Any]] | None:
    """Return named arrays; None where there are none, or none of this form, or damaged ones.

    Args:
        store: The lake.
        path: Where.
        writable: Whether the arrays are to be changed; a large one is read faster where they are not.
        checked: Whether damage is looked for; not where this run has written them itself.
    """
    content = store.get(path)
    if content is None:
        return None
    try:
        version, checksum, held = msgspec.msgpack.decode(content, type=tuple[int, int, dict[str, Held]])
        if version != VERSION or (checked and checksum != _checksum(held)):
            return None
        views = {name: np.frombuffer(array.content, np.dtype(array.kind)).reshape(array.shape) for name, array in held.items()}
        return {name: view.copy() for name, view in views.items()} if writable else views
    except (msgspec.DecodeError, ValueError):
        return None


def _checksum(held: dict[str, Held]) -> int:
    total = 0
    for name, array in held.items():
        total = isal_zlib.crc32(array.content, isal_zlib.crc32(f"{name}{array.kind}{array.shape}".encode(), total))
    return int(total)


def put_struct(store: Store, path: str, struct: msgspec.Struct) -> None:
    """Keep a struct as JSON."""
    store.put(path, msgspec.json.encode(struct))


def get_struct(store: Store, path: str, kind: type[Remembered]) -> Remembered | None:
    """Return a struct; None where there is none, or none of this form."""
    content = store.get(path)
    if content is None:
        return None
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.DecodeError:
        return None
