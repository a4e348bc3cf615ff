"""What runs remember: named arrays and typed structs under state/, rebuildable, read by no analyst."""

import io
import zipfile
from typing import Any, TypeVar

import msgspec
import numpy as np

from chandlery.storage import Store

__all__ = ["get_arrays", "get_struct", "put_arrays", "put_struct"]

Remembered = TypeVar("Remembered", bound=msgspec.Struct)


def put_arrays(store: Store, path: str, arrays: dict[str, np.ndarray[Any, Any]]) -> None:
    """Keep named arrays; none of objects."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    store.put(path, buffer.getvalue())


def get_arrays(store: Store, path: str) -> dict[str, np.ndarray[Any, Any]] | None:
    """Return named arrays; None where there are none, or none that can be read."""
    content = store.get(path)
    if content is None:
        return None
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as held:
            return {name: held[name] for name in held.files}
    except (ValueError, OSError, zipfile.BadZipFile):
        return None


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
