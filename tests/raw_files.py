"""Raw files made in memory, for the tests of sources and clean."""

import datetime as dt
import io

from chandlery.config import LayoutSettings, SourceSettings
from chandlery.sources.files import FileRows, RawFile, read_file

MODIFIED = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
HEADER = b"time,open,close,high,low,volume\n"
START_MS = 1_546_300_800_000


def raw_file(content: bytes, source: str = "ltcusd.csv", **changes: object) -> RawFile:
    values = {"source": source, "path": source, "member": None, "size_bytes": len(content), "etag": "e", "modified_at": MODIFIED}
    return RawFile(**(values | changes))


def read(content: bytes, source: str = "ltcusd.csv", *, minutes: int | None = 1, **changes: object) -> FileRows:
    """Read a file made in memory; `layout` sets one by hand, other names change the RawFile."""
    layout = changes.pop("layout", None)
    settings = SourceSettings(layout=[LayoutSettings(**layout)] if layout else [], **changes.pop("settings", {}))
    return read_file(io.BytesIO(content), raw_file(content, source, **changes), settings, minutes)


def line(step: int, *, price: float = 10.0, volume: float = 1.5) -> bytes:
    return f"{START_MS + step * 60_000},{price},{price + 0.1},{price + 0.2},{price - 0.2},{volume}\n".encode()


def lines(count: int, first: int = 0) -> bytes:
    return b"".join(line(first + step, price=10 + step % 7) for step in range(count))
