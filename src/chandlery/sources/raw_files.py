"""What is known of an input file before it is read."""

import datetime as dt
from dataclasses import dataclass

__all__ = ["RawFile"]


@dataclass(frozen=True)
class RawFile:
    """An input file.

    Args:
        source: The path below the source root, `archive.zip!member` inside a zip.
        path: The object's path in its store.
        member: The file inside a zip; None where it is no zip.
        size_bytes: Of the object.
        etag: Of the object.
        modified_at: By the store's clock.
    """

    source: str
    path: str
    member: str | None
    size_bytes: int
    etag: str
    modified_at: dt.datetime
