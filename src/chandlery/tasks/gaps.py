"""The gaps tasks: when everybody traded, then each symbol's typed gaps."""

from dataclasses import dataclass

from chandlery.gaps import Activity, barriers, combine_activity, find_gaps, measure_activity
from chandlery.lake import Lake
from chandlery.records import read_traded
from chandlery.state import get_arrays, put_arrays

__all__ = ["ACTIVITY", "ActivityTask", "GapsTask", "find_symbol_gaps", "measure_all"]

ACTIVITY = "state/activity.state"


@dataclass(frozen=True)
class ActivityTask:
    """All symbols, ascending."""

    lake: Lake
    symbols: tuple[str, ...]

    def __str__(self) -> str:
        return "all symbols"


@dataclass(frozen=True)
class GapsTask:
    """One symbol."""

    lake: Lake
    symbol: str

    def __str__(self) -> str:
        return self.symbol


def measure_all(task: ActivityTask) -> int:
    """Keep how many symbols traded at each step; return the number of symbols."""
    parts = (measure_activity(read_traded(task.lake.store, symbol), task.lake.interval_seconds) for symbol in task.symbols)
    activity = combine_activity(parts, task.lake.interval_seconds)
    task.lake.guard()
    put_arrays(task.lake.store, ACTIVITY, activity.to_arrays())
    return len(task.symbols)


def find_symbol_gaps(task: GapsTask) -> tuple[str, bool]:
    """Publish a symbol's gaps; return its name and whether the table changed."""
    lake, symbol = task.lake, task.symbol
    arrays = get_arrays(lake.store, ACTIVITY)
    assert arrays is not None  # noqa: S101 - measure_all wrote it in this stage
    gaps = find_gaps(read_traded(lake.store, symbol), lake.interval_seconds, Activity.from_arrays(arrays))
    changed = lake.write("gaps", {"exchange": lake.file.exchange, "symbol": symbol}, gaps)
    put_arrays(lake.store, f"state/gaps/{symbol}.state", {"barriers": barriers(gaps, lake.interval_seconds)})
    return symbol, changed
