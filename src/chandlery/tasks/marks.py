"""The mark task: the marks of a symbol's past, by which the checkpoint is chosen that a run resumes from."""

from dataclasses import dataclass

from chandlery.candles.gaps import barriers
from chandlery.grid import Ints
from chandlery.lake.handle import Lake
from chandlery.state.checkpoints import Marked, Past, mark_past
from chandlery.state.records import hash_candles, read_ingested, write_ingested
from chandlery.tasks.past import measure_span, recall_ingested, recount_candles

__all__ = ["MarkTask", "mark_symbol", "read_barriers"]


@dataclass(frozen=True)
class MarkTask:
    """A symbol whose past is marked for some days.

    Args:
        lake: The series.
        symbol: The symbol.
        days: Of the stored checkpoints, and of those that this run may store.
        lead: The embargo in days.
        unfinished: Whether a run began the symbol's ingest and did not end: the table may then have other candles
            than the ingest state.
    """

    lake: Lake
    symbol: str
    days: tuple[int, ...]
    lead: int
    unfinished: bool = False

    def __str__(self) -> str:
        return self.symbol


def mark_symbol(task: MarkTask) -> Marked:
    """Return the marks of a symbol's past; ingest state that is lost is rebuilt and written.

    Raises:
        LeaseHeldError: Another run has taken the lake.
    """
    lake, symbol = task.lake, task.symbol
    ingested, crossed = lake.store.together(lambda: read_ingested(lake, symbol), lambda: read_barriers(lake, symbol))
    if ingested is None:
        ingested = recall_ingested(lake, symbol)
        lake.guard()
        write_ingested(lake, symbol, ingested)
    elif task.unfinished:
        ingested = recount_candles(lake, symbol, ingested)
    first_day, newest_ms = measure_span(ingested, lake.grid)
    past = Past(ingested.days, ingested.digests, crossed, newest_ms)
    marks = {day: mark_past(past, day, task.lead, lake.grid) for day in task.days}
    return Marked(symbol, hash_candles(ingested), first_day, newest_ms, marks)


def read_barriers(lake: Lake, symbol: str) -> Ints:
    """Return the gaps that no label of a symbol may cross, as steps, start and stop, (k, 2)."""
    keys = {**lake.keys, "symbol": symbol}
    return barriers(lake.decode("gaps", keys, lake.get("gaps", keys)), lake.grid)
