"""The gaps tasks: when all symbols traded, then each symbol's typed gaps."""

from dataclasses import dataclass

from chandlery.gaps import Activity, combine_activity, find_gaps, measure_activity
from chandlery.lake import Lake
from chandlery.state.arrays import put_arrays, view_arrays
from chandlery.state.copies import open_copies
from chandlery.state.paths import Paths
from chandlery.tasks.past import hold_ingested

__all__ = ["ActivityTask", "GapsTask", "find_symbol_gaps", "measure_all", "read_activity"]


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
    """Put how many symbols traded at each step; return the number of symbols."""
    held = task.lake.store.ask_ahead(lambda symbol: hold_ingested(task.lake, symbol).traded, task.symbols)
    grid = task.lake.grid
    activity = combine_activity((measure_activity(traded, grid) for traded in held), grid)
    task.lake.guard()
    put_arrays(task.lake.store, Paths.of(task.lake).activity, activity.to_arrays())
    return len(task.symbols)


def find_symbol_gaps(task: GapsTask) -> tuple[str, bool]:
    """Publish a symbol's gaps; return its name and whether the table changed."""
    lake, symbol = task.lake, task.symbol
    activity = read_activity(lake)
    assert activity is not None  # noqa: S101 - measure_all put it in this stage
    keys = {**lake.keys, "symbol": symbol}
    held, content = lake.store.together(lambda: hold_ingested(lake, symbol), lambda: lake.get("gaps", keys))
    return symbol, lake.replace("gaps", keys, content, find_gaps(held.traded, lake.grid, activity))


def read_activity(lake: Lake) -> Activity | None:
    """Return when all symbols traded, as arrays that must not be changed; None where that is not remembered."""
    arrays = view_arrays(lake.store, Paths.of(lake).activity, open_copies(lake))
    return None if arrays is None else Activity.from_arrays(arrays)
