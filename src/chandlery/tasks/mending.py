"""Tables that contradict each other, or the state: what a killed run, or state that was restored, leaves behind."""

import polars as pl

from chandlery.candles.clean import EPOCH
from chandlery.state.records import FileRecord, Ingested
from chandlery.tasks.past import to_known

__all__ = ["is_accounted", "mend_ledger"]

HALF_WRITTEN = "a run was killed while it replaced this version: the counts are those of the rows that are in force"


def is_accounted(held: Ingested, ledger: pl.DataFrame) -> bool:
    """Return whether what is remembered is of the same versions of files as the ledger.

    State of an earlier run may have been restored. Of a file with a refused version both name that one in other ways.
    """
    told = [to_known(row) for row in ledger.iter_rows(named=True)]
    return _list_versions(told) == _list_versions(held.files)


def _list_versions(files: list[FileRecord]) -> set[tuple[object, ...]]:
    return {(file.source, file.first_ms, file.last_ms, None if file.problem else file.modified_ms) for file in files}


def mend_ledger(ledger: pl.DataFrame, candles: pl.DataFrame) -> pl.DataFrame:
    """Return the ledger in agreement with the candles, which a killed run may have put without their accounts.

    Of a file without an account, what is in the table counts as read; it is older than every other version.

    Args:
        ledger: Of one symbol.
        candles: Its candles, with open_time and source.
    """
    found = {
        source: (count, first, last)
        for source, count, first, last in candles.group_by("source")
        .agg(pl.len(), pl.col("open_time").min().alias("first"), pl.col("open_time").max().alias("last"))
        .iter_rows()
    }
    rows = []
    for row in ledger.iter_rows(named=True):
        kept = found.pop(row["source"], (0,))[0]
        if kept != row["rows_kept"]:
            counts = {"rows_kept": kept, "rows_read": row["rows_read"] - row["rows_kept"] + kept}
            row |= {**counts, "problem": row["problem"] or HALF_WRITTEN}
        rows.append(row)
    for source, (count, first, last) in sorted(found.items()):
        counts = {name: 0 for name in ledger.columns if name.startswith("rows_")} | {
            "rows_read": count,
            "rows_kept": count,
        }
        told = {"source": source, "status": "read", "problem": HALF_WRITTEN, "size_bytes": 0, "modified_at": EPOCH}
        rows.append({**told, **counts, "first_time": first, "last_time": last, "present": True})
    return pl.DataFrame(rows, schema=ledger.schema).sort("source") if rows else ledger
