"""What is known of an input file before it is read."""

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chandlery.sources.known_layouts import KnownLayout

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
        known: The layout that was recognised when it was looked at, under the settings of the run; None where it was
            not, or where settings of its own apply.
    """

    source: str
    path: str
    member: str | None
    size_bytes: int
    etag: str
    modified_at: dt.datetime
    known: "KnownLayout | None" = field(default=None, compare=False, repr=False)
