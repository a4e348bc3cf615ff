"""A lake in hand: what `lake.json` fixes, and the reading of candles that every task needs."""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec
import numpy as np
import polars as pl

from chandlery.config import parse_interval
from chandlery.errors import SettingsError
from chandlery.lease import LeaseToken, check_lease
from chandlery.schema import LAKE_FILE, LAKE_FORMAT, Candles
from chandlery.storage import Store
from chandlery.tables import list_partitions, no_lake, read_partition, write_partition

__all__ = ["Lake", "LakeFile", "open_lake", "read_lake_file"]

FAR_MS = 4_102_444_800_000  # 2100-01-01
PRICES = ("open", "high", "low", "close", "volume")


class LakeFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the first run fixed; other values later are a mistake until the lake is made anew."""

    format: int
    exchange: str
    interval: str
    horizons: list[int]
    models: list[str]

    @property
    def in_minutes(self) -> bool:
        """Whether candles last whole minutes: others are ingested, and not forecast."""
        return parse_interval(self.interval) % 60 == 0


@dataclass(frozen=True)
class Lake:
    """A lake, as tasks carry it: small, and the same in every process.

    Args:
        store: Where it lies.
        file: What is fixed.
        token: The lease that writes need; null for readers.
    """

    store: Store
    file: LakeFile
    token: LeaseToken | None = None

    @property
    def interval_seconds(self) -> int:
        """Length of a candle."""
        return parse_interval(self.file.interval)

    @property
    def interval_minutes(self) -> int:
        """Length of a candle in minutes, in which forecasts count: 0 where it is shorter, or no whole number of them."""
        return self.interval_seconds // 60 if self.file.in_minutes else 0

    @property
    def horizon_steps(self) -> tuple[int, ...]:
        """The horizons, in intervals."""
        return tuple(minutes // self.interval_minutes for minutes in self.file.horizons)

    def guard(self) -> None:
        """Make sure that the lease is still held.

        Raises:
            LeaseHeldError: It is not: another run has taken the lake.
        """
        if self.token is not None:
            check_lease(self.store, self.token)

    def read_candles(self, symbol: str, since_ms: int = 0, until_ms: int = FAR_MS, columns: tuple[str, ...] = ("open_time", *PRICES)) -> pl.DataFrame:
        """Return a symbol's candles of [since, until).

        Returns:
            open_time and prices, ascending; empty where there are none.
        """
        keys = {"exchange": self.file.exchange, "symbol": symbol}
        first, last = (dt.datetime.fromtimestamp(ms / 1000, dt.UTC) for ms in (since_ms, until_ms - 1))
        parts = sorted(list_partitions(self.store, "candles", keys), key=lambda part: int(part["year"]))
        since = first if since_ms else None
        frames = [
            frame
            for part in parts
            if first.year <= int(part["year"]) <= last.year
            if (frame := read_partition(self.store, "candles", part, columns, since if int(part["year"]) == first.year else None)) is not None
        ]
        if not frames:
            return Candles.create_empty().select(columns)
        candles = pl.concat(frames)
        low, high = np.searchsorted(candles["open_time"].dt.epoch("ms").to_numpy(), [since_ms, until_ms])
        return candles[int(low) : int(high)]

    def write(self, table: str, keys: Mapping[str, object], rows: pl.DataFrame | Iterable[pl.DataFrame]) -> bool:
        """Publish one object of a table under the lease, at once or some rows at a time; true where its bytes were new."""
        return write_partition(self.store, table, keys, [rows] if isinstance(rows, pl.DataFrame) else rows, self.guard)


def open_lake(uri: str, options: Mapping[str, str] | None = None) -> Lake:
    """Return a lake for readers.

    Args:
        uri: Where it lies; empty where nobody has said.
        options: Of the object store, as in [storage].

    Raises:
        SettingsError: No lake is named, or there is none.
    """
    if not uri:
        raise SettingsError("no lake", "where to read", "give --lake URI or set [lake] uri")
    store = Store(uri, options)
    file = read_lake_file(store)
    if file is None:
        raise no_lake(uri)
    return Lake(store, file)


def read_lake_file(store: Store) -> LakeFile | None:
    """Return what the lake fixes; None where there is no lake yet.

    Raises:
        SettingsError: The file is there and is not one of ours, or of a later format.
    """
    content = store.get(LAKE_FILE)
    if content is None:
        return None
    try:
        file = msgspec.json.decode(content, type=LakeFile)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{LAKE_FILE} at {store.uri}: {error}", "a lake's own file", "choose another --lake") from error
    if file.format != LAKE_FORMAT:
        raise SettingsError(f"lake format {file.format}", f"format {LAKE_FORMAT}", "use the chandlery that made it, or another --lake")
    return file
