"""State and objects that are no longer needed: the driver deletes them, after a stage has written everything.

State is deleted here. Objects of tables are only listed here: a publication deletes them when it changes the tables.

Except for those of a publication, tasks delete nothing: so a task that runs twice, ends late or is killed does no harm.
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
    ranges = {result.symbol: (result.first, result.last) for result in gathered}
    first, paths = work.blocks()[0].bucket, Paths.of(work.lake)
    obsolete = []
    for month in work.lake.store.folders(paths.buckets):
        if month < first:
            continue
        for entry in work.lake.store.list(f"{paths.buckets}{month}/"):
            earliest, latest = ranges.get(entry.path.rpartition("/")[2].removesuffix(".state"), ("", ""))
            if not earliest <= month <= latest:
                obsolete.append(entry.path)
    _delete(work.lake, obsolete)


def forget_artefacts(work: Work, written: Sequence[str], symbols: Sequence[str]) -> None:
    """Delete fits that this run did not write, from the span's first year on, and those of symbols without candles.

    Args:
        work: The computation.
        written: Paths of the fits that it wrote.
        symbols: All symbols with candles.
    """
    kept, folders, root = frozenset(written), {ALL, *symbols}, Paths.of(work.lake).artefacts
    since = day_name(work.span.since)[:4] if work.span.resumed else ""
    obsolete = [
        path
        for path in (entry.path for entry in work.lake.store.list(root))
        if path.removeprefix(root).split("/")[0] not in folders
        or (path not in kept and path.removesuffix(".jsonl")[-4:] >= since)
    ]
    _delete(work.lake, obsolete)


def list_replaced(
    lake: Lake, span: Span, predicted: Sequence[Predicted], horizons: Sequence[int]
) -> tuple[frozenset[str], frozenset[str]]:
    """Find the forecasts to delete: those of years that now have none, or of horizons that the lake no longer has.

    Returns:
        The paths of all published forecasts, and of those to delete.
    """
    years = {result.symbol: set(result.years) for result in predicted}
    first = int(day_name(span.since)[:4]) if span.resumed else 0
    parts = list_partitions(lake.store, "forecasts", lake.keys)
    obsolete = [
        part
        for part in parts
        if part["symbol"] in years
        and (
            int(part["horizon_minutes"]) not in horizons
            or (int(part["year"]) >= first and int(part["year"]) not in years[part["symbol"]])
        )
    ]
    published = frozenset(partition_path("forecasts", part) for part in parts)
    return published, frozenset(partition_path("forecasts", part) for part in obsolete)


def list_forecasts_but(lake: Lake, symbols: frozenset[str]) -> frozenset[str]:
    """Return the paths of the forecasts of all but some symbols; with no symbol, of scores and models as well.

    Args:
        lake: The lake, opened for the series.
        symbols: The symbols whose forecasts are kept.
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
    """Delete all checkpoints except those to keep, which are given by name of the day."""
    root = Paths.of(lake).checkpoints
    for name in lake.store.folders(root):
        if name not in kept:
            _delete(lake, [entry.path for entry in lake.store.list(f"{root}{name}/")])


def forget_unknown(lake: Lake) -> None:
    """Delete state under names that this version does not know: another version has stored it."""
    _delete(lake, [entry.path for entry in lake.store.list(STATE) if not is_known(entry.path)])


def _delete(lake: Lake, paths: list[str]) -> None:
    if paths:
        lake.guard()
        lake.store.delete_all(paths)
