"""The ledger of files that belong to no series, because their symbol or their interval is not known."""

from collections.abc import Mapping
from dataclasses import dataclass

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
from chandlery.tasks.hashing import hash_file
from chandlery.tasks.past import Account, by_source

__all__ = ["UnassignedTask", "refuse_unassigned"]


@dataclass(frozen=True)
class UnassignedTask:
    """All files that belong to no series.

    Args:
        lake: Where to write.
        source: The store of the files.
        files: All of them that are in the source now.
        errors: Why each of them is refused, by source; a file without an error has not changed since it was refused.
        assigned: Files in the source that belong to a series.
        prune: Whether files that are gone from the source leave the ledger.
        is_partial: Whether the run looks at some of the source's files only: no file then counts as gone.
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

    A file whose series is known by now leaves this ledger. A file that is gone from the source stays in it, with
    `present` false.

    Raises:
        LeaseHeldError: Another run has taken the lake.
    """
    lake, keys = task.lake, UNASSIGNED_KEYS
    content = lake.get("ledger", keys)
    ledger = lake.decode("ledger", keys, content)
    accounts = by_source(ledger)
    kept, fresh = [], []
    for file in task.files:
        error = task.errors.get(file.source)
        account = accounts.get(file.source)
        if error is None or (account is not None and describes(account, file, error)):
            kept.append(file.source)
        else:
            fresh.append(refuse(file, error, keys, hash_file(task.source, file)))
    present = {file.source for file in task.files}
    others = accounts.keys() - task.assigned - present
    kept += others if task.is_partial or not task.prune else ()
    gone = () if task.is_partial else list(others)
    is_present = pl.col("present") & ~pl.col("source").is_in(gone)
    stored = ledger.filter(pl.col("source").is_in(kept)).with_columns(present=is_present)
    rows = join_rows("ledger", stored, *(conform_ledger(frame, task) for frame in fresh)).sort("source")
    lake.replace("ledger", keys, content, rows)
    problems = rows.filter(pl.col("present"))["problem"].to_list()
    return Unassigned(problems, gone=not rows["present"].all())


def describes(account: Account, file: RawFile, error: SourceError) -> bool:
    """Return whether a row of the ledger describes this version of a file, refused for this reason."""
    stored = tuple(account[name] for name in ("size_bytes", "modified_at", "problem", "undecided", "present"))
    return stored == (file.size_bytes, file.modified_at, str(error), getattr(error, "decision", None), True)


def conform_ledger(frame: pl.DataFrame, task: UnassignedTask) -> pl.DataFrame:
    """Return a row of the ledger with the columns of a stored object; local files have no etag."""
    rows = conform(frame, TABLES["ledger"])
    return rows.with_columns(etag=pl.lit(None, pl.String)) if task.source.is_local else rows
