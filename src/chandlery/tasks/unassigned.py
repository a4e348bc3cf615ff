"""The files that belong to no series: their symbol or their interval is not known."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from chandlery.candles.clean import refuse
from chandlery.errors import SourceError
from chandlery.lake.handle import Lake
from chandlery.lake.lake_file import UNASSIGNED_KEYS
from chandlery.lake.store import Store
from chandlery.lake.tables import conform, join_rows
from chandlery.schema import TABLES
from chandlery.sources.files import RawFile
from chandlery.state.records import Unassigned
from chandlery.tasks.reading import hash_file

__all__ = ["UnassignedTask", "refuse_unassigned"]


@dataclass(frozen=True)
class UnassignedTask:
    """All files that belong to no series.

    Args:
        lake: Where to write.
        source: The store of the files.
        files: All of them that are in the source now.
        errors: Why each of them is refused, by source; one without an error has not changed since it was refused.
        assigned: Files in the source that belong to a series.
        prune: Whether files that are gone from the source leave the ledger.
        is_partial: Whether only some of the source's files were looked at: none then counts as gone.
    """

    lake: Lake
    source: Store
    files: tuple[RawFile, ...]
    errors: Mapping[str, SourceError]
    assigned: frozenset[str]
    prune: bool
    is_partial: bool

    def __str__(self) -> str:
        return "files of no series"


def refuse_unassigned(task: UnassignedTask) -> Unassigned:
    """Stage the ledger of files without a series; return what the driver needs to know of it.

    A file that has found its series leaves this ledger. One that is gone stays in it, marked so.

    Raises:
        LeaseHeldError: Another run has taken the lake.
    """
    lake, keys = task.lake, UNASSIGNED_KEYS
    content = lake.get("ledger", keys)
    held = lake.decode("ledger", keys, content)
    told = {row["source"]: row for row in held.iter_rows(named=True)}
    stays, fresh = [], []
    for file in task.files:
        error = task.errors.get(file.source)
        known = told.get(file.source)
        if error is None or (known is not None and is_told(known, file, error)):
            stays.append(file.source)
        else:
            fresh.append(refuse(file, error, keys, hash_file(task.source, file)))
    present = {file.source for file in task.files}
    others = told.keys() - task.assigned - present
    stays += others if task.is_partial or not task.prune else ()
    gone = () if task.is_partial else list(others)
    kept = held.filter(pl.col("source").is_in(stays)).with_columns(
        present=pl.col("present") & ~pl.col("source").is_in(gone)
    )
    rows = join_rows("ledger", kept, *(conform_ledger(frame, task) for frame in fresh))
    lake.replace("ledger", keys, content, rows.sort("source"))
    told_rows = list(rows.sort("source").iter_rows(named=True))
    problems = [row["problem"] for row in told_rows if row["present"]]
    return Unassigned(problems, gone=any(not row["present"] for row in told_rows))


def is_told(known: dict[str, Any], file: RawFile, error: SourceError) -> bool:
    """Return whether the ledger has this very refusal of a file."""
    seen = (known["size_bytes"], known["modified_at"], known["problem"], known["present"])
    return seen == (file.size_bytes, file.modified_at, str(error), True)


def conform_ledger(frame: pl.DataFrame, task: UnassignedTask) -> pl.DataFrame:
    """Return a row of the ledger as objects hold it; local files have no etag."""
    rows = conform(frame, TABLES["ledger"])
    return rows.with_columns(etag=pl.lit(None, pl.String)) if task.source.is_local else rows
