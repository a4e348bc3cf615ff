"""The content of a lake, as the commands `tables`, `scores` and `explain` print it."""

from typing import Any

import polars as pl

from chandlery.commands.printing import MOST_ROWS, print_json, print_table
from chandlery.errors import SettingsError
from chandlery.lake.extents import Extent, measure_series, measure_table
from chandlery.lake.handle import Lake
from chandlery.lake.lake_file import UNASSIGNED, UNASSIGNED_KEYS, find_lake_file, list_series
from chandlery.lake.reading import read_table
from chandlery.lake.store import Store
from chandlery.schema import TABLES, Ledger, Rejects, series_name
from chandlery.settings.model import Settings
from chandlery.sources.symbols import read_path
from chandlery.units import normalise_symbol

__all__ = ["show_scores", "show_symbol", "show_tables"]

EMPTY = Extent(0, 0, 0, None, None, None)
YEAR = 4  # characters of a period that is a year; "all" has fewer, a month more


def show_tables(settings: Settings, *, as_json: bool) -> None:
    """Print the size of each table; of each series, if the lake has several or some are chosen."""
    file = find_lake_file(settings.lake.uri, settings.lake_storage)
    store, chosen = Store(settings.lake.uri, settings.lake_storage), settings.chosen_series
    names = [series.name for series in list_series(file, chosen)]

    def describe(table: str) -> list[dict[str, Any]]:
        if not (len(file.series) > 1 or chosen):
            return [{"table": table, **_describe_extent(measure_table(store, table))}]
        extents = measure_series(store, table)
        others = [UNASSIGNED.name] if UNASSIGNED.name in extents and not chosen else []
        keys = [dict(zip(("exchange", "interval"), name.split("/"), strict=True)) for name in (*names, *others)]
        return [{"table": table, **key, **_describe_extent(extents.get(series_name(key), EMPTY))} for key in keys]

    rows = [row for found in store.ask_ahead(describe, TABLES) for row in found]
    print_json(rows) if as_json else print_table(rows)


def _describe_extent(extent: Extent) -> dict[str, Any]:
    times = {"first": extent.first, "last": extent.last, "changed": extent.modified_at}
    shown = {label: f"{time:%Y-%m-%d %H:%M}" if time else None for label, time in times.items()}
    return {"rows": extent.rows, "objects": extent.objects, "bytes": extent.size_bytes, **shown}


def show_scores(settings: Settings, period: str, *, as_json: bool) -> None:
    """Print the scores of a period beside those of naive, by series, symbol, horizon and model.

    Raises:
        SettingsError: There is no lake, or no score of the chosen period, symbols and series.
    """
    file = find_lake_file(settings.lake.uri, settings.lake_storage)
    everything = read_table(settings.lake.uri, "scores", options=settings.lake_storage)
    series = list_series(file, settings.chosen_series)
    held = pl.concat([everything.head(0), *(everything.filter(**one.keys) for one in series)])
    found = held.filter(pl.col("period") == period)
    if settings.symbols:
        found = found.filter(pl.col("symbol").is_in(settings.symbols))
    if found.is_empty():
        wanted = f"no scores for {period}" + f" of {', '.join(settings.symbols)}" * bool(settings.symbols)
        wanted += f" in {', '.join(settings.chosen_series)}" * bool(settings.chosen_series)
        hint = "" if held.is_empty() else "choose another --period, --symbol or --series"
        raise SettingsError(wanted, _describe_scores(held), hint)
    keys = ["exchange", "interval", "symbol", "horizon_minutes", "n"]  # with another n, the rows scored are others
    naive = found.filter(pl.col("model") == "naive").select(*keys, pl.col("rmse").alias("naive_rmse"))
    found = found.join(naive, on=keys, how="left", maintain_order="left")
    named = len(file.series) > 1
    if as_json:
        print_json(found.to_dicts())
        return
    rows = [
        {
            **({"series": series_name(row)} if named else {}),
            "symbol": row["symbol"],
            "horizon": f"{row['horizon_minutes']}m",
            "model": row["model"],
            "n": row["n"],
            "skill %": None if row["skill"] is None else f"{row['skill'] * 100:.2f}",
            "rmse": f"{row['rmse']:.5g}",
            "naive rmse": None if row["naive_rmse"] is None else f"{row['naive_rmse']:.5g}",
            "direction %": None if row["directional_accuracy"] is None else f"{row['directional_accuracy'] * 100:.1f}",
            "p": None if row["p_value"] is None else f"{row['p_value']:.2g}",
            "80 %": None if row["coverage_80"] is None else f"{row['coverage_80'] * 100:.1f}",
            "95 %": None if row["coverage_95"] is None else f"{row['coverage_95'] * 100:.1f}",
            "verdict": row["verdict"],
        }
        for row in found.iter_rows(named=True)
    ]
    print_table(rows, title=f"Scores, {period}: skill is 1 - sse/sse_naive on log prices")


def _describe_scores(everything: pl.DataFrame) -> str:
    if everything.is_empty():
        return "scores, which the first forecasts bring: `chandlery run` reports too short a history"
    years = sorted(period for period in everything["period"].unique() if len(period) == YEAR)
    return f"all, {', '.join(years)} or a month of these, for {', '.join(sorted(everything['symbol'].unique()))}"


def show_symbol(settings: Settings, symbol: str, row: int | None, *, as_json: bool) -> None:
    """Print how the rows of a symbol were processed in each series, and which of its files belong to no series.

    Raises:
        SettingsError: The lake has no file of the symbol, or none in the chosen series.
    """
    name, uri, options = normalise_symbol(symbol), settings.lake.uri, settings.lake_storage
    series = list_series(find_lake_file(uri, options), settings.chosen_series)
    nameless = pl.DataFrame() if name == UNASSIGNED_KEYS["symbol"] else _read_unassigned(settings)
    unassigned = nameless.height
    also = _describe_unassigned(unassigned, uri)
    named = nameless.filter([_names(source, name) for source in nameless["source"]]) if unassigned else nameless
    try:
        ledger = read_table(uri, "ledger", symbol=name, options=options)
        rejects = read_table(uri, "rejects", symbol=name, options=options)
    except SettingsError as error:
        if named.is_empty():
            raise SettingsError(error.found, error.expected, "; ".join(filter(None, [error.hint, also]))) from None
        ledger, rejects = Ledger.create_empty(), Rejects.create_empty()
    if row is not None:
        rejects = rejects.filter(pl.col("row") == row)
    shown = [*series, *([] if settings.chosen_series else [UNASSIGNED])]
    parts = {one.name: (ledger.filter(**one.keys), rejects.filter(**one.keys)) for one in shown}
    parts = {label: part for label, part in parts.items() if part[0].height}
    if named.height:
        parts["no series"] = (named, Rejects.create_empty())
    if not parts:
        wanted = f"{name} in {', '.join(settings.chosen_series)}" if settings.chosen_series else name
        hint = 'see `chandlery query "SELECT DISTINCT exchange, interval, symbol FROM ledger"`'
        hints = "; ".join(filter(None, [hint, also]))
        raise SettingsError(f"nothing is known of {wanted}", "a symbol of the lake", hints)
    if as_json:
        files, rows = ([row for part in parts.values() for row in part[place].to_dicts()] for place in (0, 1))
        print_json({"ledger": files, "rejects": rows, "files_without_series": unassigned})
        return
    for label, (held, refused) in parts.items():
        _explain_series(f"{name}, {label}", held, refused, row)
    if also:
        print(also)


def _explain_series(label: str, ledger: pl.DataFrame, rejects: pl.DataFrame, row: int | None) -> None:
    counts = ["rows_read", "rows_kept", "rows_identical", "rows_superseded", "rows_rejected"]
    print_table(ledger.select("source", "status", *counts, "layout", "problem").to_dicts(), title=f"{label}: files")
    if row is not None and rejects.is_empty():
        print(f"no file of {label} has a rejected row {row}: it was kept, was identical to another, or does not exist")
        return
    shown = rejects.head(MOST_ROWS).with_columns(pl.col("reasons").list.join(", "))
    title = f"{label}: {rejects.height:,} rejected rows"
    print_table(shown.select("source", "row", "open_time", "reasons", "raw").to_dicts(), title=title)


def _read_unassigned(settings: Settings) -> pl.DataFrame:
    """Return the ledger of the refused files that belong to no series."""
    lake = Lake(Store(settings.lake.uri, settings.lake_storage), UNASSIGNED)
    return lake.decode("ledger", UNASSIGNED_KEYS, lake.get("ledger", UNASSIGNED_KEYS))


def _names(source: str, symbol: str) -> bool:
    """Return whether the path of a file names a symbol."""
    pair = read_path(source).pair
    return pair is not None and pair.symbol == symbol


def _describe_unassigned(count: int, uri: str) -> str:
    """Return the number of refused files that belong to no series and the command that lists them, or ""."""
    if not count:
        return ""
    files = "1 refused file belongs" if count == 1 else f"{count:,} refused files belong"
    return (
        f"{files} to no symbol and no series, since their content is not certain: "
        f"`chandlery explain {UNASSIGNED_KEYS['symbol']} --lake {uri}` lists them"
    )
