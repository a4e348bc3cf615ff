"""Raw files made in memory, for the tests of sources and clean."""

import datetime as dt
import io
from dataclasses import dataclass

import polars as pl

from chandlery.candles.clean import KeptFile, Settling
from chandlery.grid import Grid
from chandlery.schema import Candles
from chandlery.settings.model import LayoutSettings, SourceSettings
from chandlery.sources.files import FileRows, RawFile, peek_file, read_file
from chandlery.sources.grids import decide_grids

MODIFIED = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
HEADER = b"time,open,close,high,low,volume\n"
SAME = ("layout_words", "grid", "decisions", "sha256", "rows_read", "early")  # of equal readings of a file
START_MS = 1_546_300_800_000


def raw_file(content: bytes, source: str = "ltcusd.csv", **changes: object) -> RawFile:
    values = {
        "source": source,
        "path": source,
        "member": None,
        "size_bytes": len(content),
        "etag": "e",
        "modified_at": MODIFIED,
    }
    return RawFile(**(values | changes))


def read(content: bytes, source: str = "ltcusd.csv", *, seconds: int | None = 60, **changes: object) -> FileRows:
    """Read a file made in memory; `layout` sets one by hand, other names change the RawFile.

    Without `seconds` the interval is that of the file alone.
    """
    layout, room = changes.pop("layout", None), changes.pop("room", None)
    settings = SourceSettings(layout=[LayoutSettings(**layout)] if layout else [], **changes.pop("settings", {}))
    raw = raw_file(content, source, **changes)
    grid = find_grid(content, raw, settings) if seconds is None or (layout or {}).get("interval") else Grid(seconds)
    return read_file(io.BytesIO(content), raw, settings, grid, room)


def find_grid(content: bytes, raw: RawFile, settings: SourceSettings) -> Grid:
    """Return the grid of a file, by itself; raises why there is none."""
    seen = peek_file(io.BytesIO(content), raw, settings)
    decided = decide_grids({raw.source: seen}, {})[raw.source]
    if decided.error is not None:
        raise decided.error
    assert decided.grid is not None
    return decided.grid


def line(step: int, *, price: float = 10.0, volume: float = 1.5) -> bytes:
    return f"{START_MS + step * 60_000},{price},{price + 0.1},{price + 0.2},{price - 0.2},{volume}\n".encode()


def lines(count: int, first: int = 0) -> bytes:
    return b"".join(line(first + step, price=10 + step % 7) for step in range(count))


def rows_of(file: FileRows) -> pl.DataFrame:
    """Return a file's accepted rows, in its own order."""
    return file.accepted.take(file.accepted.months).sort("row")


KEYS = {"exchange": "bitfinex", "interval": "1m", "symbol": "LTCUSD"}


@dataclass(frozen=True)
class Cleaned:
    """One symbol's tables."""

    candles: pl.DataFrame
    rejects: pl.DataFrame
    ledger: pl.DataFrame


def settle(files: list[FileRows], kept: list[KeptFile], *, by_month: bool = False) -> Cleaned:
    """Settle all years of a symbol's files."""
    settling = Settling(files, kept, KEYS, by_month=by_month)
    years = sorted({1970 + month // 12 for month in settling._places})
    frames = [frame for year in years for frame in settling.settle_year(year)]
    empty = pl.DataFrame(schema={name: column.dtype for name, column in Candles.columns().items()})
    return Cleaned(pl.concat([empty, *frames]), *settling.account())


def find_difference(one: FileRows, other: FileRows) -> str:
    """Return in what two readings of a file differ; empty if they are equal."""
    fields = {name: (getattr(one, name), getattr(other, name)) for name in SAME}
    different = [name for name, (mine, yours) in fields.items() if mine != yours]
    different += [] if one.rejects.equals(other.rejects) else ["rejects"]
    return ", ".join([*different, *([] if rows_of(one).equals(rows_of(other)) else ["accepted"])])
