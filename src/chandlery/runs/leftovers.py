"""Deletion of state and objects that are no longer needed: by the driver, after a stage has written everything.

State is deleted here. Objects of tables are only named: a publication deletes them with what it puts.

Tasks never delete, so a task that runs twice, ends late or is killed removes nothing.
"""

from collections.abc import Mapping, Sequence

from chandlery.lake.handle import Lake
from chandlery.lake.tables import list_partitions, partition_path
from chandlery.runs.session import SeriesRun, Years
from chandlery.state.checkpoints import Span
from chandlery.state.paths import ALL, STATE, Paths, day_name, is_known
from chandlery.tasks.gather import Gathered
from chandlery.tasks.predict import Predicted
from chandlery.tasks.work import Work

__all__ = [
    "forget_artefacts",
    "forget_buckets",
    "forget_checkpoints",
    "forget_unknown",
    "list_forecasts_but",
    "list_replaced",
    "list_without_candles",
]


def forget_buckets(work: Work, gathered: Sequence[Gathered]) -> None:
    """Delete training rows that this run did not gather, from the first bucket of the span on."""
    ranges = {found.symbol: (found.first, found.last) for found in gathered}
    first, paths = work.blocks()[0].bucket, Paths.of(work.lake)
    gone = []
    for month in work.lake.store.folders(paths.buckets):
        if month < first:
            continue
        for entry in work.lake.store.list(f"{paths.buckets}{month}/"):
            earliest, latest = ranges.get(entry.path.rpartition("/")[2].removesuffix(".state"), ("", ""))
            if not earliest <= month <= latest:
                gone.append(entry.path)
    _delete(work.lake, gone)


def forget_artefacts(work: Work, made: Sequence[str], symbols: Sequence[str]) -> None:
    """Delete fits that this run did not write, from the span's first year on, and those of symbols without candles."""
    stays, folders, root = frozenset(made), {ALL, *symbols}, Paths.of(work.lake).artefacts
    since = day_name(work.span.since)[:4] if work.span.resumed else ""
    gone = [
        path
        for path in (entry.path for entry in work.lake.store.list(root))
        if path.removeprefix(root).split("/")[0] not in folders
        or (path not in stays and path.removesuffix(".jsonl")[-4:] >= since)
    ]
    _delete(work.lake, gone)


def list_replaced(
    lake: Lake, span: Span, predicted: Sequence[Predicted], horizons: Sequence[int]
) -> tuple[frozenset[str], frozenset[str]]:
    """Find forecasts to be deleted: of years that now have none, or of horizons that the lake no longer has.

    Returns:
        The paths of all published forecasts, and those to be deleted.
    """
    years = {found.symbol: set(found.years) for found in predicted}
    first = int(day_name(span.since)[:4]) if span.resumed else 0
    parts = list_partitions(lake.store, "forecasts", lake.keys)
    gone = [
        part
        for part in parts
        if part["symbol"] in years
        and (
            int(part["horizon_minutes"]) not in horizons
            or (int(part["year"]) >= first and int(part["year"]) not in years[part["symbol"]])
        )
    ]
    paths = (frozenset(partition_path("forecasts", part) for part in found) for found in (parts, gone))
    return next(paths), next(paths)


def list_forecasts_but(lake: Lake, symbols: frozenset[str]) -> frozenset[str]:
    """Return the paths of the forecasts of all but some symbols, and of scores and models if there are none of these.

    Args:
        lake: Where to read.
        symbols: Those that stay.
    """
    keys = lake.keys
    tables = ("forecasts",) if symbols else ("forecasts", "scores", "models")
    parts = [(table, part) for table in tables for part in list_partitions(lake.store, table, keys)]
    return frozenset(partition_path(table, part) for table, part in parts if part.get("symbol") not in symbols)


def list_without_candles(run: SeriesRun, years: Years) -> list[str]:
    """Return the symbols that have forecasts and no candles, ascending.

    Args:
        run: The series.
        years: The years with candles, by symbol.
    """
    return sorted({part["symbol"] for part in run.list_forecasts()}.difference(years))


def forget_checkpoints(lake: Lake, kept: Mapping[str, str]) -> None:
    """Delete all checkpoints but those to keep."""
    root = Paths.of(lake).checkpoints
    for name in lake.store.folders(root):
        if name not in kept:
            _delete(lake, [entry.path for entry in lake.store.list(f"{root}{name}/")])


def forget_unknown(lake: Lake) -> None:
    """Delete state that another version has stored under names unknown to this one."""
    _delete(lake, [entry.path for entry in lake.store.list(STATE) if not is_known(entry.path)])


def _delete(lake: Lake, paths: list[str]) -> None:
    if paths:
        lake.guard()
        lake.store.delete_all(paths)
