"""The gaps tasks: first the activity of all symbols together, then each symbol's gaps with their kinds."""

from dataclasses import dataclass

from chandlery.candles.gaps import Activity, combine_activity, find_gaps, measure_activity
from chandlery.grid import Traded
from chandlery.lake.handle import Lake
from chandlery.state.arrays import put_arrays, view_arrays
from chandlery.state.copies import open_copies
from chandlery.state.paths import Paths
from chandlery.tasks.past import recall_ingested

__all__ = ["ActivityTask", "GapsTask", "find_symbol_gaps", "measure_all", "read_activity"]


@dataclass(frozen=True)
class ActivityTask:
    """All symbols of a series.

    Args:
        lake: The series.
        symbols: All of them, ascending.
        staged: Those whose ingest state is staged and not published yet.
    """

    lake: Lake
    symbols: tuple[str, ...]
    staged: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return "all symbols"


@dataclass(frozen=True)
class GapsTask:
    """One symbol of a series.

    Args:
        lake: The series.
        symbol: The symbol.
        is_staged: Whether its ingest state is staged and not published yet.
    """

    lake: Lake
    symbol: str
    is_staged: bool = False

    def __str__(self) -> str:
        return self.symbol


def measure_all(task: ActivityTask) -> int:
    """Stage the activity of all symbols, for the tasks of `find_symbol_gaps`; return the number of symbols.

    Raises:
        LeaseHeldError: Another run has taken the lake.
    """
    lake, grid = task.lake, task.lake.grid

    def read(symbol: str) -> Traded:
        return recall_ingested(lake, symbol, is_staged=symbol in task.staged).traded

    traded_steps = lake.store.ask_ahead(read, task.symbols)
    activity = combine_activity((measure_activity(traded, grid) for traded in traded_steps), grid)
    lake.guard()
    put_arrays(lake.store, Paths.of(lake).activity, activity.to_arrays(), lake.staging)
    return len(task.symbols)


def find_symbol_gaps(task: GapsTask) -> tuple[str, bool]:
    """Stage a symbol's gaps; return its name and whether the table changes.

    Raises:
        LeaseHeldError: Another run has taken the lake.
    """
    lake, symbol = task.lake, task.symbol
    activity = read_activity(lake, lake.staging)
    assert activity is not None  # noqa: S101 - `measure_all` has staged it in this run
    keys = {**lake.keys, "symbol": symbol}
    ingested, content = lake.store.together(
        lambda: recall_ingested(lake, symbol, is_staged=task.is_staged), lambda: lake.get("gaps", keys)
    )
    return symbol, lake.replace("gaps", keys, content, find_gaps(ingested.traded, lake.grid, activity))


def read_activity(lake: Lake, folder: str = "") -> Activity | None:
    """Return the activity of all symbols, as arrays that must not be changed; None if it is not stored.

    Args:
        lake: The series.
        folder: The folder of the publication that it is staged for, ending with a slash; empty once it is published.
    """
    arrays = view_arrays(lake.store, folder + Paths.of(lake).activity, open_copies(lake))
    return None if arrays is None else Activity.from_arrays(arrays)
