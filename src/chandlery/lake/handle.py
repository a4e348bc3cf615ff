"""`Lake`, a handle on one series of a lake: the store, the settings of the series and the lease."""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import numpy as np
import polars as pl

from chandlery.errors import SettingsError, StoreUnavailableError
from chandlery.grid import Grid
from chandlery.lake.lake_file import Series, choose_series, find_lake_file
from chandlery.lake.lease import LeaseToken, check_lease
from chandlery.lake.reading import decode_partition, read_partition
from chandlery.lake.staging import Target
from chandlery.lake.store import Store
from chandlery.lake.tables import empty_rows, list_partitions, partition_path, replace_partition, write_partition
from chandlery.schema import TABLES, Candles

__all__ = ["Lake", "open_lake"]

FAR_MS = 4_102_444_800_000  # 2100-01-01 UTC, later than any candle: no upper limit
PRICES = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True)
class Lake:
    """One series of a lake. Small and cheap to pickle: every task carries one.

    Args:
        store: The store of the lake.
        series: The settings of the series.
        token: The lease, which writing needs; None for readers.
        staging: Folder of the publication that tasks write for, ending with a slash; see `chandlery.runs.publishing`.
    """

    store: Store
    series: Series
    token: LeaseToken | None = None
    staging: str = ""

    @property
    def keys(self) -> dict[str, str]:
        """The partition keys that all objects of the series share."""
        return self.series.keys

    @property
    def grid(self) -> Grid:
        """When the candles open."""
        return self.series.grid

    @property
    def interval_seconds(self) -> int:
        """The length of a candle."""
        return self.grid.seconds

    def guard(self) -> None:
        """Check that this run still holds the lease.

        Raises:
            LeaseHeldError: Another run has taken over the lake.
        """
        if self.token is not None:
            check_lease(self.store, self.token)

    @contextmanager
    def explain_failures(self) -> Iterator[None]:
        """If the block fails, raise the loss of the lease instead, if that is the cause.

        A run that has taken over the lake deletes objects that this one is still to read, so anything may fail.

        Raises:
            LeaseHeldError: The block failed, and another run has taken over the lake.
        """
        try:
            yield
        except Exception:
            with suppress(SettingsError, StoreUnavailableError):  # the check fails, so the cause stays unknown
                self.guard()
            raise

    def read_candles(
        self, symbol: str, since_ms: int = 0, until_ms: int = FAR_MS, columns: tuple[str, ...] = ("open_time", *PRICES)
    ) -> pl.DataFrame:
        """Read the candles of a symbol with open times in [since_ms, until_ms).

        Returns:
            A candle a row with the given columns, in the order of open_time; empty if there are none.
        """
        keys = {**self.keys, "symbol": symbol}
        first, last = (dt.datetime.fromtimestamp(ms / 1000, dt.UTC) for ms in (since_ms, until_ms - 1))
        # The objects of few years are read by name: a listing would cost one more request.
        years: Sequence[int] = range(first.year, last.year + 1)
        if not since_ms or until_ms == FAR_MS:
            years = sorted(int(part["year"]) for part in list_partitions(self.store, "candles", keys))
        since = first if since_ms else None

        def read(year: int) -> pl.DataFrame | None:
            return read_partition(
                self.store, "candles", {**keys, "year": year}, columns, since if year == first.year else None
            )

        answers = self.store.ask_ahead(read, [year for year in years if first.year <= year <= last.year])
        frames = [frame for frame in answers if frame is not None]
        if not frames:
            return Candles.create_empty().select(columns)
        candles = pl.concat(frames)
        low, high = np.searchsorted(candles["open_time"].dt.epoch("ms").to_numpy(), [since_ms, until_ms])
        return candles[int(low) : int(high)]

    def write(self, table: str, keys: Mapping[str, object], rows: pl.DataFrame | Iterable[pl.DataFrame]) -> bool:
        """Stage an object of a table, under the lease; return whether it differs from the published one."""
        frames = [rows] if isinstance(rows, pl.DataFrame) else rows
        return write_partition(self._target, table, keys, frames)

    def get(self, table: str, keys: Mapping[str, object]) -> bytes | None:
        """Return the content of an object of a table, or None if it is missing."""
        return self.store.get(partition_path(table, keys))

    def decode(self, table: str, keys: Mapping[str, object], content: bytes | None) -> pl.DataFrame:
        """Return the rows in the content of an object, without partition keys; no rows if `content` is None."""
        rows = decode_partition(self.store, table, keys, content)
        return empty_rows(TABLES[table]) if rows is None else rows

    def replace(
        self, table: str, keys: Mapping[str, object], held: bytes | None, rows: pl.DataFrame | Iterable[pl.DataFrame]
    ) -> bool:
        """Stage an object whose published content is `held`; return whether it differs from that.

        Costs a request less than `write`, which asks for the published content.
        """
        frames = [rows] if isinstance(rows, pl.DataFrame) else rows
        return replace_partition(self._target, table, keys, held, frames)

    @property
    def _target(self) -> Target:
        return Target(self.store, self.guard, self.staging)


def open_lake(uri: str, options: Mapping[str, str] | None = None, names: Sequence[str] = ()) -> Lake:
    """Open one series of a lake for reading.

    Args:
        uri: URI of the lake; empty if none was given, which is an error.
        options: Options of the object store, as in [storage].
        names: The name of the series, as in kraken/1m; may be empty if the lake has only one.

    Raises:
        SettingsError: No lake was given, there is none, or not exactly one of its series is chosen.
    """
    return Lake(Store(uri, options), choose_series(find_lake_file(uri, options), names))
