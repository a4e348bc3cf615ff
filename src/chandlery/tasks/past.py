"""What the lake has of a symbol from earlier runs: its ingest state, its ledger and its rejects.

State that is lost is rebuilt from the tables. Tables that contradict each other, because a run was killed between two
objects, and state that contradicts the tables, because an older copy was restored, are made to agree.
"""

from functools import cached_property, partial
from typing import Any

import numpy as np
import polars as pl
from msgspec.structs import replace
from numpy.typing import NDArray

from chandlery.candles.clean import EPOCH
from chandlery.candles.fills import COLUMNS, FillLog
from chandlery.grid import Grid, Traded
from chandlery.lake.handle import Lake
from chandlery.schema import TIME
from chandlery.settings.model import ReadingSettings
from chandlery.sources.decisions import decode
from chandlery.sources.files import RawFile
from chandlery.sources.parse import NUMBERS
from chandlery.sources.symbols import match_layout
from chandlery.state.arrays import Arrays
from chandlery.state.checkpoints import digest_days
from chandlery.state.fingerprints import fingerprint
from chandlery.state.records import FileRecord, Ingested, hash_candles, read_ingested

__all__ = [
    "Account",
    "StoredSymbol",
    "by_source",
    "describe_version",
    "hash_reading",
    "is_current",
    "is_same",
    "list_records",
    "list_years",
    "measure_span",
    "pack_outranked",
    "recall_ingested",
    "recount_candles",
    "to_record",
]

Account = dict[str, Any]  # a row of the ledger, by column
HALF_WRITTEN = "a run was killed while it replaced this version: the counts are those of the rows that are in force"
# Of more outranked rows of a symbol (56 bytes each) none are stored: it would take more memory than the candles
# themselves. The rows of files that are gone then stay as they were settled.
MOST_OUTRANKED = 2_000_000


class StoredSymbol:
    """What the lake has of a symbol before its files are read; all of it describes the same versions of the files.

    Args:
        lake: The series.
        symbol: The symbol.
        unfinished: Whether an earlier run began the symbol's ingest and did not end.
        reread: Whether objects are missing from the table of candles.

    Attributes:
        keys: The partition keys of the symbol.
        contents: The published bytes of the ledger and of the rejects, by table; None where there is no object.
        tables: Their rows, by table; the ledger agrees with the candles.
        published: The rows of the ledger as they are published, by source.
        accounts: The rows of the ledger, by source.
        years: The years in which the symbol had candles when its last ingest ended.
        ingested: Its ingest state, with the candles that the table has now.
        records: The records of its files, by source.
        outranked: By source, the rows that are not in the table, since another version of their candle outranks them.
    """

    def __init__(self, lake: Lake, symbol: str, *, unfinished: bool, reread: bool) -> None:
        self._lake, self._symbol, self.keys = lake, symbol, {**lake.keys, "symbol": symbol}
        names = ("ledger", "rejects")
        reads = [partial(lake.get, name, self.keys) for name in names]
        *contents, ingested = lake.store.together(*reads, partial(read_ingested, lake, symbol))
        self.contents = dict(zip(names, contents, strict=True))
        self.tables = {name: lake.decode(name, self.keys, content) for name, content in self.contents.items()}
        self.published = by_source(self.tables["ledger"])
        if ingested is None or not self._agrees(ingested, unfinished=unfinished):
            ingested = self._rebuild(ingested)
        self.accounts = by_source(self.tables["ledger"])
        self.years = list_years(ingested.days)
        self.ingested = recount_candles(lake, symbol, ingested) if reread else ingested
        self.records = {record.source: record for record in self.ingested.files}
        self.outranked = unpack_outranked(self.ingested.lost)

    def _agrees(self, ingested: Ingested, *, unfinished: bool) -> bool:
        """Return whether the ingest state agrees with the ledger; after an unfinished run, also with the candles."""
        ledger = self.tables["ledger"]
        if not has_versions_of(ingested, ledger):
            return False
        if not unfinished:
            return True
        recounted = recount_candles(self._lake, self._symbol, ingested)
        return hash_candles(recounted) == hash_candles(ingested) and mend_ledger(ledger, self.candles).equals(ledger)

    def _rebuild(self, ingested: Ingested | None) -> Ingested:
        """Return the ingest state that the tables show, and make the ledger agree with the candles.

        All files in the source are then read again, and the candles of other versions stay in force.
        """
        self.tables["ledger"] = mend_ledger(self.tables["ledger"], self.candles)
        rebuilt = rebuild_ingested(self._lake, self._symbol, self.tables["ledger"])
        return replace(rebuilt, lost={} if ingested is None else ingested.lost)

    @cached_property
    def candles(self) -> pl.DataFrame:
        """The symbol's candles with their sources; read once, and only if they are needed."""
        return self._lake.read_candles(self._symbol, columns=COLUMNS)


def by_source(ledger: pl.DataFrame) -> dict[str, Account]:
    """Return the rows of a symbol's ledger by source."""
    return {row["source"]: row for row in ledger.iter_rows(named=True)}


def list_records(lake: Lake, symbol: str) -> list[FileRecord]:
    """Return the records of the files that a series has of a symbol; from the ledger if the ingest state is lost."""
    ingested = read_ingested(lake, symbol)
    return ingested.files if ingested is not None else list_accounted(_read_ledger(lake, symbol))


def recall_ingested(lake: Lake, symbol: str, *, is_staged: bool = False) -> Ingested:
    """Return the ingest state of a symbol, rebuilt from the tables if it is lost.

    Args:
        lake: The series.
        symbol: The symbol.
        is_staged: Whether this run has ingested the symbol, and has not published it yet.
    """
    ingested = read_ingested(lake, symbol, lake.staging if is_staged else "")
    return ingested if ingested is not None else rebuild_ingested(lake, symbol, _read_ledger(lake, symbol))


def _read_ledger(lake: Lake, symbol: str) -> pl.DataFrame:
    keys = {**lake.keys, "symbol": symbol}
    return lake.decode("ledger", keys, lake.get("ledger", keys))


def rebuild_ingested(lake: Lake, symbol: str, ledger: pl.DataFrame) -> Ingested:
    """Return the ingest state that the tables of a symbol show.

    Every file then counts as not read: files in the source are read again, and versions that are gone stay in force.
    """
    none = np.empty(0, np.int64)
    files = Ingested(list_accounted(ledger), none.astype(np.int32), none.astype(np.uint64), Traded.of(none), {})
    return recount_candles(lake, symbol, files)


def recount_candles(lake: Lake, symbol: str, ingested: Ingested) -> Ingested:
    """Return an ingest state with the days and steps of the candles that the table has now."""
    candles = lake.read_candles(symbol, columns=COLUMNS)
    days, digests = digest_days(candles) if candles.height else (np.empty(0, np.int32), np.empty(0, np.uint64))
    parts = []
    years = candles["open_time"].dt.year()
    for year in years.unique().sort().to_list():
        fills = FillLog(lake.grid)
        fills.note(candles.filter(years == year))
        fills.mark(days, digests)
        parts.append(fills.find_traded())
    return replace(ingested, days=days, digests=digests, traded=Traded.join(parts))


def measure_span(ingested: Ingested, grid: Grid) -> tuple[int, int]:
    """Return the UTC day, since 1970, on which a symbol's first candle closes, and when the newest one does, in ms."""
    traded = ingested.traded
    return grid.days_of(traded.start), grid.open_ms(traded.start + traded.flags.size)


def list_years(days: NDArray[np.int32]) -> list[int]:
    """Return the calendar years of days since 1970, ascending.

    Example:
        >>> list_years(np.array([18261, 18262, 18263], np.int32))
        [2019, 2020]
    """
    years = np.unique(days.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64))
    return [1970 + int(year) for year in years]


def list_accounted(ledger: pl.DataFrame) -> list[FileRecord]:
    """Return the records of a ledger's files."""
    return [to_record(account) for account in ledger.iter_rows(named=True)]


def describe_version(account: Account) -> str:
    """Describe the version of a file that a row of the ledger is about."""
    return f"the version of {account['modified_at']:%Y-%m-%d %H:%M:%S} UTC, sha256 {account['sha256'][:12]}…"


def to_record(account: Account) -> FileRecord:
    """Return the record of a file from its row of the ledger, without etag and code, so that it is read again."""
    times = (account[name] for name in ("first_time", "last_time", "modified_at"))
    first, last, modified = (None if time is None else round(time.timestamp() * 1000) for time in times)
    share = account["rows_rejected"] / account["rows_read"] if account["rows_read"] else 0.0
    return FileRecord(
        account["source"],
        account["size_bytes"],
        "",
        modified or 0,
        first,
        last,
        account["problem"],
        share,
        decisions=decode(account["decisions"]),
    )


def is_current(record: FileRecord | None, file: RawFile, code: str) -> bool:
    """Return whether a file is the version that was read last, by the same code."""
    return record is not None and is_same(record, file) and record.code == code


def is_same(record: FileRecord, file: RawFile) -> bool:
    """Return whether a file is the version that was last seen."""
    modified_ms = round(file.modified_at.timestamp() * 1000)
    return (record.size_bytes, record.etag, record.modified_ms) == (file.size_bytes, file.etag, modified_ms)


def hash_reading(settings: ReadingSettings, source: str) -> str:
    """Return the hash of the settings that decide how a file is read."""
    layout = match_layout(source, settings)
    by_hand = None if layout is None else layout.model_dump(mode="json", exclude={"files"})
    return fingerprint(by_hand, settings.max_rejected_share, settings.max_json_bytes)


def has_versions_of(ingested: Ingested, ledger: pl.DataFrame) -> bool:
    """Return whether the ingest state has the same versions of files as the ledger; a restored copy has older ones."""
    return _list_versions(ingested.files) == _list_versions(list_accounted(ledger))


def _list_versions(records: list[FileRecord]) -> set[tuple[object, ...]]:
    """Return what identifies each version; of a file with a refused successor, the two describe different versions."""
    return {
        (record.source, record.first_ms, record.last_ms, None if record.problem else record.modified_ms)
        for record in records
    }


def mend_ledger(ledger: pl.DataFrame, candles: pl.DataFrame) -> pl.DataFrame:
    """Return the ledger in agreement with the candles, which a killed run may have put without their accounts.

    Of a file without an account, its candles count as its rows, and it counts as older than every other version.

    Args:
        ledger: Of one symbol.
        candles: Its candles, with open_time and source.
    """
    times = pl.col("open_time")
    spans = candles.group_by("source").agg(pl.len(), times.min().alias("first"), times.max().alias("last"))
    unaccounted = {source: span for source, *span in spans.iter_rows()}
    rows = []
    for row in ledger.iter_rows(named=True):
        kept = unaccounted.pop(row["source"], (0,))[0]
        if kept != row["rows_kept"]:
            counts = {"rows_kept": kept, "rows_read": row["rows_read"] - row["rows_kept"] + kept}
            row |= {**counts, "problem": row["problem"] or HALF_WRITTEN}
        rows.append(row)
    none = dict.fromkeys((name for name in ledger.columns if name.startswith("rows_")), 0)
    for source, (count, first, last) in sorted(unaccounted.items()):
        account = {"source": source, "status": "read", "problem": HALF_WRITTEN, "size_bytes": 0, "modified_at": EPOCH}
        counts = {**none, "rows_read": count, "rows_kept": count}
        rows.append({**account, **counts, "first_time": first, "last_time": last, "present": True})
    return pl.DataFrame(rows, schema=ledger.schema).sort("source") if rows else ledger


def pack_outranked(outranked: dict[str, pl.DataFrame]) -> Arrays:
    """Return rows by source as arrays; none if there are more than `MOST_OUTRANKED`.

    They are needed again when the version that outranks them changes or disappears.

    Args:
        outranked: row, open_time and values of each source.
    """
    filled = {source: rows for source, rows in sorted(outranked.items()) if rows.height}
    if not filled or sum(rows.height for rows in filled.values()) > MOST_OUTRANKED:
        return {}
    rows = pl.concat(list(filled.values()))
    return {
        "sources": np.array(list(filled)),
        "counts": np.array([part.height for part in filled.values()]),
        "row": rows["row"].to_numpy(),
        "time": rows["open_time"].to_physical().to_numpy(),
        "values": rows.select(NUMBERS).to_numpy(),
    }


def unpack_outranked(arrays: Arrays) -> dict[str, pl.DataFrame]:
    """Return rows by source: row, open_time and values."""
    if not arrays:
        return {}
    values = {name: arrays["values"][:, place] for place, name in enumerate(NUMBERS)}
    rows = pl.DataFrame({"row": arrays["row"], "open_time": pl.Series(arrays["time"]).cast(TIME), **values})
    stops = np.cumsum(arrays["counts"]).tolist()
    return {
        str(source): rows[first:stop]
        for source, first, stop in zip(arrays["sources"], [0, *stops], stops, strict=False)
    }
