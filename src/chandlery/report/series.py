"""Which series of a lake a page shows, and the reading of its tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from chandlery.lake.handle import Lake
from chandlery.lake.lake_file import UNASSIGNED, UNASSIGNED_KEYS, Series, find_lake_file, list_series
from chandlery.lake.reading import read_table
from chandlery.lake.store import Store
from chandlery.settings.model import Settings
from chandlery.sources.spacing import describe_grid

__all__ = ["SeriesReader", "choose_shown_series", "describe_other_series"]


@dataclass(frozen=True)
class SeriesReader:
    """The series that a page shows, and the way to its tables.

    Args:
        uri: Of the lake.
        options: Of the object store.
        series: The series; `UNASSIGNED` where the lake has none, since all files were refused.
        others: Names of the lake's other series.
        is_chosen: Whether the settings name the series, or the lake has no other.
    """

    uri: str
    options: Mapping[str, str]
    series: Series
    others: list[str]
    is_chosen: bool

    @property
    def title(self) -> str:
        """The name of the series, and when its candles open where that is not at whole multiples of the interval."""
        if self.series == UNASSIGNED:
            return "no series"
        return f"{self.series.exchange}/{describe_grid(self.series.grid)}"

    def read(self, table: str, columns: Sequence[str] | None = None, **wanted: Any) -> pl.DataFrame:
        """Return a table's rows of the series; `wanted` holds further arguments of `read_table`.

        Raises:
            SettingsError: There is no right to read.
            StoreUnavailableError: The store did not answer.
        """
        series = UNASSIGNED if wanted.get("symbol") == UNASSIGNED_KEYS["symbol"] else self.series
        return read_table(self.uri, table, series=series.name, columns=columns, options=dict(self.options), **wanted)

    def read_files(self, table: str, columns: list[str]) -> pl.DataFrame:
        """Return rows of the ledger or of rejects: those of the series, and those of files that belong to no series.

        Raises:
            SettingsError: There is no right to read.
            StoreUnavailableError: The store did not answer.
        """
        own = self.read(table, columns)
        if self.series == UNASSIGNED:
            return own
        lake = Lake(Store(self.uri, dict(self.options)), UNASSIGNED)
        rows = lake.decode(table, UNASSIGNED_KEYS, lake.get(table, UNASSIGNED_KEYS))
        return pl.concat([own, rows.with_columns(symbol=pl.lit(UNASSIGNED_KEYS["symbol"])).select(columns)])


def choose_shown_series(settings: Settings, symbols: Sequence[str] = ()) -> SeriesReader:
    """Return the series that the settings name; of several, the one with the most candles.

    Args:
        settings: Where the lake is, and the chosen series.
        symbols: Only their candles count; without any, those of all symbols.

    Raises:
        SettingsError: There is no lake, or no such series or symbol.
        StoreUnavailableError: The store did not answer.
    """
    file = find_lake_file(settings.lake.uri, settings.lake_storage)
    candidates = list_series(file, settings.chosen_series) or [UNASSIGNED]
    series = candidates[0]
    if len(candidates) > 1:
        candles = count_candles(settings, symbols)
        series = max(candidates, key=lambda one: candles.get(one.name, 0))
    others = [one.name for one in list_series(file) if one != series]
    return SeriesReader(settings.lake.uri, settings.lake_storage, series, others, len(candidates) == 1)


def count_candles(settings: Settings, symbols: Sequence[str]) -> dict[str, int]:
    """Return how many rows of files became candles, by series."""
    columns = ["exchange", "interval", "symbol", "rows_kept"]
    one = symbols[0] if len(symbols) == 1 else None  # read_table filters by one symbol at most
    ledger = read_table(settings.lake.uri, "ledger", symbol=one, columns=columns, options=settings.lake_storage)
    if symbols:
        ledger = ledger.filter(pl.col("symbol").is_in(list(symbols)))
    counts = ledger.group_by("exchange", "interval").agg(pl.col("rows_kept").sum())
    return {f"{exchange}/{interval}": kept for exchange, interval, kept in counts.iter_rows()}


def describe_other_series(reader: SeriesReader) -> str:
    """Return a sentence on the lake's other series and how to show them; empty where there is no other."""
    if not reader.others:
        return ""
    why = "" if reader.is_chosen else ", the series with the most candles"
    shown = f"This page shows {reader.series.name}{why}; the lake also has {', '.join(reader.others)}."
    return f"{shown} To show another, give --series {reader.others[0]}, for example."
