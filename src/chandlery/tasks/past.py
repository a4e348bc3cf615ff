"""The ingest state of a symbol, rebuilt from its tables if lost; and the marks by which a checkpoint is chosen."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from msgspec.structs import replace
from numpy.typing import NDArray

from chandlery.candles.gaps import barriers
from chandlery.grid import Grid, Ints, Traded
from chandlery.lake.handle import Lake
from chandlery.state.checkpoints import Marked, Past, digest_days, mark_past
from chandlery.state.records import FileRecord, Ingested, hash_candles, read_ingested, write_ingested

__all__ = [
    "PastTask",
    "hold_ingested",
    "list_years",
    "look_again",
    "mark_symbol",
    "measure_span",
    "read_barriers",
    "rebuild_ingested",
    "to_known",
]


@dataclass(frozen=True)
class PastTask:
    """One symbol's past, to be marked for some days.

    Args:
        lake: Where to read.
        symbol: The symbol.
        days: Of the stored checkpoints, and of those that may be made.
        lead: The embargo in days.
        unfinished: Whether a run began the symbol's ingest and did not end: its candles are then not those remembered.
    """

    lake: Lake
    symbol: str
    days: tuple[int, ...]
    lead: int
    unfinished: bool = False

    def __str__(self) -> str:
        return self.symbol


def mark_symbol(task: PastTask) -> Marked:
    """Return the marks of a symbol's past; lost ingest state is rebuilt."""
    lake, symbol = task.lake, task.symbol
    held, crossed = lake.store.together(lambda: read_ingested(lake, symbol), lambda: read_barriers(lake, symbol))
    if held is None:
        held = hold_ingested(lake, symbol)
        lake.guard()
        write_ingested(lake, symbol, held)
    elif task.unfinished:
        held = look_again(lake, symbol, held)
    first_day, newest_ms = measure_span(held, lake.grid)
    past = Past(held.days, held.digests, crossed, newest_ms)
    marks = {day: mark_past(past, day, task.lead, lake.grid) for day in task.days}
    return Marked(symbol, hash_candles(held), first_day, newest_ms, marks)


def measure_span(held: Ingested, grid: Grid) -> tuple[int, int]:
    """Return the UTC day, since 1970, on which a symbol's first candle closes, and when the newest one does, in ms."""
    traded = held.traded
    return grid.days_of(traded.start), grid.open_ms(traded.start + traded.flags.size)


def read_barriers(lake: Lake, symbol: str) -> Ints:
    """Return the gaps that no label of a symbol may cross, as steps, start and stop, (k, 2)."""
    keys = {**lake.keys, "symbol": symbol}
    return barriers(lake.decode("gaps", keys, lake.get("gaps", keys)), lake.grid)


def hold_ingested(lake: Lake, symbol: str, *, is_staged: bool = False) -> Ingested:
    """Return what ingest remembers of a symbol; where it is lost, what the tables tell.

    Args:
        lake: Where to read.
        symbol: The symbol.
        is_staged: Whether this run has ingested the symbol, and not published it yet.
    """
    held = read_ingested(lake, symbol, lake.staging if is_staged else "")
    if held is not None:
        return held
    keys = {**lake.keys, "symbol": symbol}
    return rebuild_ingested(lake, symbol, lake.decode("ledger", keys, lake.get("ledger", keys)))


def rebuild_ingested(lake: Lake, symbol: str, ledger: pl.DataFrame) -> Ingested:
    """Return what the tables tell of a symbol whose state is lost.

    After a rebuild every file counts as not read: files in the source are read again, and gone ones stay in force.

    Args:
        lake: Where to read.
        symbol: Which.
        ledger: Its rows of the ledger.
    """
    files = [to_known(row) for row in ledger.iter_rows(named=True)]
    none = np.empty(0, np.int64)
    return look_again(lake, symbol, Ingested(files, none.astype(np.int32), none.astype(np.uint64), Traded.of(none), {}))


def look_again(lake: Lake, symbol: str, held: Ingested) -> Ingested:
    """Return what is remembered of a symbol's files, with the candles that the table has now."""
    candles = lake.read_candles(symbol)
    steps = lake.grid.steps_of(candles["open_time"].dt.epoch("ms").to_numpy())
    days, digests = digest_days(candles) if candles.height else (np.empty(0, np.int32), np.empty(0, np.uint64))
    return replace(held, days=days, digests=digests, traded=Traded.of(steps))


def list_years(days: NDArray[np.int32]) -> list[int]:
    """Return the calendar years of days since 1970, ascending.

    Example:
        >>> list_years(np.array([18261, 18262, 18263], np.int32))
        [2019, 2020]
    """
    return [
        1970 + int(year) for year in np.unique(days.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64))
    ]


def to_known(account: dict[str, Any]) -> FileRecord:
    """Return the record of a file from its row of the ledger, without etag and code, so that it is read again."""
    times = (account[name] for name in ("first_time", "last_time", "modified_at"))
    first, last, modified = (None if time is None else round(time.timestamp() * 1000) for time in times)
    share = account["rows_rejected"] / account["rows_read"] if account["rows_read"] else 0.0
    return FileRecord(
        account["source"], account["size_bytes"], "", modified or 0, first, last, account["problem"], share
    )
