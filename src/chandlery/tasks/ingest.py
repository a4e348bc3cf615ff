"""The ingest task: the raw files of a symbol to candles, rejects and ledger.

Only new and changed files are read, and those whose time range overlaps with theirs: other versions of
the same candle can only come from these. All other rows of the tables stay unchanged.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from msgspec.structs import replace

from chandlery.candles.clean import Settling
from chandlery.candles.fills import FillLog
from chandlery.grid import DAY_MS, Grid, Traded, cut_year, year_edges, year_of
from chandlery.lake.reading import explain_damage, scan_content
from chandlery.lake.tables import conform, join_rows, partition_path
from chandlery.schema import TABLES, TIME
from chandlery.sources.files import RawFile
from chandlery.sources.rows import Room
from chandlery.state.checkpoints import digest_days
from chandlery.state.records import FileRecord, Ingested, hash_candles, write_ingested
from chandlery.tasks.local_kinds import find_local, list_naive_kinds
from chandlery.tasks.past import (
    Account,
    StoredSymbol,
    by_source,
    hash_reading,
    list_years,
    measure_span,
    pack_outranked,
    to_record,
)
from chandlery.tasks.reading import IngestTask, Reading, Shared, Successor
from chandlery.tasks.rejected import count_untimely, find_reasons

__all__ = ["IngestResult", "IngestTask", "ingest_symbol"]


@dataclass(frozen=True)
class IngestResult:
    """What the ingest of a symbol did.

    Args:
        series: Name of the series.
        symbol: The symbol.
        candles: Hash of the candles; empty if there are none.
        first_day: UTC day on which the first candle closes, since 1970; None if there are none.
        newest_ms: close_time of the newest candle; 0 if there are none.
        years: Calendar years with candles.
        problems: Why files were refused, as messages.
        gone: Whether the tables hold rows of files that are gone from the source.
        vanished: How many files are gone since the last run, or pruned, and how many candles they hold.
        held_back: How many files keep a setting that this run does not give.
        notes: Messages that are not refusals.
        untimely: Rows of the files read that were rejected for their time, by reason.
        early: The files read whose candles open after they were written, by the store's clock, and how many do.
        local: The kinds of its files with local times, each with one of them.
        naive: The kinds of the new files read whose times have no offset.
    """

    series: str
    symbol: str
    candles: str
    first_day: int | None
    newest_ms: int
    years: list[int]
    problems: list[str]
    gone: bool
    vanished: tuple[int, int]
    held_back: int
    notes: list[str]
    untimely: dict[str, int]
    early: dict[str, int]
    local: dict[str, str]
    naive: set[str]


def ingest_symbol(task: IngestTask, shared: Shared | None = None) -> IngestResult:
    """Read new and changed files, and stage the symbol's candles, rejects, ledger and ingest state.

    Args:
        task: The symbol, and its files.
        shared: The files that it shares with other symbols of a bundle.

    Raises:
        LawError: Some rows of a file are not accounted for.
        LeaseHeldError: Another run has taken the lake.
    """
    stored = StoredSymbol(task.lake, task.symbol, unfinished=task.unfinished, reread=task.reread)
    # Files stay open until the tables are staged, since the text of rejected rows is read then.
    with ExitStack() as open_files, Room(task.room_bytes) as room:
        reading = Reading(task, stored, open_files, room, shared)
        reading.read_all()
        is_full = room.is_full or (shared is not None and shared.is_full)
        staging = Staging(task, stored, reading, by_month=is_full)
        staging.stage_tables()
    ingested = staging.compose_state()
    task.lake.guard()
    write_ingested(task.lake, task.symbol, ingested, task.lake.staging)
    years = list_years(ingested.days)
    vanished = [row for row in reading.vanished if row["source"] not in task.moved]
    present = {record.source: record for record in ingested.files if record.source in reading.present}
    first_day, newest_ms = measure_span(ingested, task.lake.grid) if ingested.days.size else (None, 0)
    return IngestResult(
        series=task.lake.series.name,
        symbol=task.symbol,
        candles=hash_candles(ingested),
        first_day=first_day,
        newest_ms=newest_ms,
        years=years,
        problems=find_problems(task, present.values()),
        gone=len(reading.gone) > len(reading.pruned),
        vanished=(len(vanished), sum(row["rows_kept"] for row in vanished)),
        held_back=len(reading.held_back),
        notes=[
            *staging.notes,
            *note_lost_years(task, stored.years, years),
        ],
        untimely=count_untimely(reading.read),
        early={rows.raw.source: rows.early for rows in reading.read if rows.early},
        local={
            kind: source for kind, source in {**reading.local, **find_local(present, {})}.items() if source in present
        },
        naive=list_naive_kinds(rows.decisions for rows in reading.list_new().values()),
    )


def find_problems(task: IngestTask, records: Iterable[FileRecord]) -> list[str]:
    """Return why files in the source were refused, and which have too many refused rows, as messages.

    A file that is gone from the source is no longer a problem, but its record stays: the same file may return.
    """
    share, problems = task.settings.max_rejected_share, []
    for record in records:
        if record.problem:
            problems.append(record.problem)
        elif record.rejected_share > share:
            why = f" ({record.rejected_for})" if record.rejected_for else ""
            found = (
                f"{record.source}: {record.rejected_share:.1%} of its rows were rejected{why}, more than {share:.1%}"
            )
            problems.append(f"{found}: the others are read. Hint: see `chandlery explain {task.symbol}`")
    return problems


def note_lost_years(task: IngestTask, before: list[int], years: list[int]) -> list[str]:
    """Return a message about years whose candles were missing from the table and could not be read again, if any."""
    lost = sorted({*before}.difference(years)) if task.reread else []
    if not lost:
        return []
    names = ", ".join(map(str, lost))
    return [f"candles of {task.symbol} of {names} are lost: no file of the source holds any"]


class Staging:
    """Stages the tables of a symbol, and composes its ingest state.

    Args:
        task: The symbol and the lake.
        stored: What the lake has of the symbol.
        reading: The files that were read for it.
        by_month: Whether rows are settled one month at a time, because there are too many.

    Attributes:
        notes: Messages for the user about candles that are removed.
    """

    def __init__(self, task: IngestTask, stored: StoredSymbol, reading: Reading, *, by_month: bool) -> None:
        self._task, self._stored, self._reading, self._lake = task, stored, reading, task.lake
        self._by_month = by_month
        self._settling = Settling(reading.read, reading.kept, stored.keys, by_month=by_month)
        self._days = DayLog(task.lake.grid, stored.ingested)
        self._accounts: dict[str, Account] = {}
        self._is_replaced = pl.col("source").is_in(list(reading.replaced))
        self.notes: list[str] = []

    def stage_tables(self) -> None:
        """Stage the objects that changed.

        Raises:
            LawError: Some rows of a file are not accounted for.
        """
        years = sorted(
            {year for first, last in self._reading.spans for year in range(year_of(first), year_of(last) + 1)}
        )
        settled: dict[int, Iterable[pl.DataFrame]] = {year: self._settling.settle_year(year) for year in years}
        accounted = None
        if not self._by_month:  # so that an unaccounted row is found before the first object is staged
            settled = {year: list(frames) for year, frames in settled.items()}
            accounted = self._settling.account()
        for year, frames in settled.items():
            self._stage_year(year, frames)
        rejects, ledger = accounted or self._settling.account()
        self._accounts = by_source(ledger)
        self._note_losses()
        self._stage_rows("rejects", rejects)
        self._stage_rows("ledger", self._complete_ledger(ledger))

    def _stage_year(self, year: int, frames: Iterable[pl.DataFrame]) -> None:
        """Stage a year of candles: settled ones in place of those of replaced files, and all others as they are."""
        keys = {**self._stored.keys, "year": year}
        content = self._lake.get("candles", keys)
        candles: Iterable[pl.DataFrame] = (conform(frame, TABLES["candles"]) for frame in frames)
        with explain_damage(self._lake.store, partition_path("candles", keys)):
            if content is not None:
                others = scan_content(content, "candles").filter(~self._is_replaced)
                candles = join_year(others, candles, year, self._task.most_at_once)
            self._lake.replace("candles", keys, content, self._days.record(year, candles))

    def _stage_rows(self, table: str, fresh: pl.DataFrame) -> None:
        """Stage rejects or ledger: new rows in place of those of replaced files, and all others as they are."""
        others = self._stored.tables[table].filter(~self._is_replaced)
        rows = join_rows(table, others, conform(fresh, TABLES[table]))
        if table == "ledger":
            rows = self._mark_present(note_successors(rows, self._reading.successors))
        order = [name for name in ("source", "row") if name in rows.columns]
        self._lake.replace(table, self._stored.keys, self._stored.contents[table], rows.sort(order))

    def _complete_ledger(self, ledger: pl.DataFrame) -> pl.DataFrame:
        """Return the ledger rows of files that were read and of files that were refused; local files have no etag."""
        whole = pl.concat([ledger, *self._reading.refused.values()])
        return whole.with_columns(etag=pl.lit(None, pl.String)) if self._task.source.is_local else whole

    def _mark_present(self, ledger: pl.DataFrame) -> pl.DataFrame:
        """Return the ledger with files that are gone marked as such, or without them when pruning."""
        gone = pl.col("source").is_in([record.source for record in self._reading.gone])
        return ledger.with_columns(present=~gone).filter(~pl.col("source").is_in(list(self._reading.pruned)))

    def _note_losses(self) -> None:
        """Add a message for each file with fewer candles than its earlier version: the table loses the missing ones.

        A candle that two files hold is counted for one of them, so the count of a file can also fall because the other
        file now supplies the candle. Then its accepted rows are as many as before, and there is no message.
        """
        for rows in self._reading.read:
            source = rows.raw.source
            before, now = (count_rows(accounts.get(source)) for accounts in (self._stored.published, self._accounts))
            if now.kept < before.kept and now.accepted < before.accepted:
                found = f"{source} holds {now.kept:,} candles, its earlier version held {before.kept:,}"
                self.notes.append(f"{found}: the others were removed")

    def compose_state(self) -> Ingested:
        """Return the ingest state that describes the staged tables."""
        reading = self._reading
        reasons = find_reasons(reading.read)
        records = [self._compose_record(file, reasons) for file in self._task.files]
        gone = [record for record in reading.gone if record.source not in reading.pruned]
        if self._task.reread:  # candles of these files may be lost: if the same files return, they are read again
            gone = [replace(record, code="") for record in gone]
        settled = reading.replaced | reading.pruned
        others = {source: rows for source, rows in self._stored.outranked.items() if source not in settled}
        return self._days.compose([*records, *gone], pack_outranked(others | dict(self._settling.list_outranked())))

    def _compose_record(self, file: RawFile, reasons: Mapping[str, str]) -> FileRecord:
        """Return the record to store for a file in the source."""
        source, reading = file.source, self._reading
        if source in reading.refused:
            record = to_record(reading.refused[source].row(0, named=True))
        elif source in reading.successors:
            record = replace(to_record(self._stored.accounts[source]), problem=reading.successors[source].problem)
        elif source in self._accounts and source not in reading.in_force:
            record = to_record(self._accounts[source])
        elif source in reading.held_back:
            return self._stored.records[source]
        else:  # it has not changed, and this run's settings have not changed how it is read
            return replace(self._stored.records[source], reading=hash_reading(self._task.settings, source))
        return replace(
            record,
            size_bytes=file.size_bytes,
            etag=file.etag,
            modified_ms=round(file.modified_at.timestamp() * 1000),
            rejected_for=reasons.get(source, ""),
            code=self._task.code,
            reading=hash_reading(self._task.settings, source),
        )


class DayLog:
    """Records the steps that have a candle, and a hash of each day's candles, while years are staged.

    Args:
        grid: When candles open.
        ingested: The ingest state of the last run.
    """

    def __init__(self, grid: Grid, ingested: Ingested) -> None:
        self._grid, self._before = grid, ingested
        self._years: list[int] = []
        self._days: list[np.ndarray] = []
        self._digests: list[np.ndarray] = []
        self._traded: list[Traded] = []

    def record(self, year: int, frames: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        """Yield a year's candles unchanged, and record them; they ascend, and each frame has whole days."""
        self._years.append(year)
        fills, parts = FillLog(self._grid), []
        for frame in frames:
            if frame.height:
                parts.append(digest_days(frame))
                fills.note(frame)
            yield frame
        if parts:
            days, digests = (np.concatenate(each) for each in zip(*parts, strict=True))
            fills.mark(days, digests)
            self._days.append(days)
            self._digests.append(digests)
        self._traded.append(fills.find_traded())

    def compose(self, files: list[FileRecord], outranked: dict[str, np.ndarray]) -> Ingested:
        """Return the ingest state with the recorded years in place of the same years of the last run.

        Args:
            files: The records of all files that the tables have rows of.
            outranked: Rows that are not in the table because another version of their candle outranks them, as arrays.
        """
        before, traded = self._before.days, self._before.traded
        stays = np.ones(before.size, np.bool_)
        for year in self._years:
            stays[cut_year(before.astype(np.int64) * DAY_MS, year)] = False
            first, last = year_edges(year)
            traded = traded.without(self._grid.first_at(first), self._grid.first_at(last))
        days = np.concatenate([before[stays], *self._days])
        digests = np.concatenate([self._before.digests[stays], *self._digests])
        order = np.argsort(days, kind="stable")
        return Ingested(files, days[order], digests[order], Traded.join([traded, *self._traded]), outranked)


class Counts(NamedTuple):
    """How many rows of a version of a file were used.

    Args:
        kept: Rows that are candles in the table.
        accepted: Those, and rows that equal such a candle or were superseded by another version of it.
    """

    kept: int
    accepted: int


def count_rows(account: Account | None) -> Counts:
    """Count the rows of a version of a file from its row of the ledger; zero without such a row."""
    if account is None:
        return Counts(0, 0)
    kept = int(account["rows_kept"])
    return Counts(kept, kept + int(account["rows_identical"] + account["rows_superseded"]))


def join_year(
    others: pl.LazyFrame, fresh: Iterable[pl.DataFrame], year: int, most_at_once: int
) -> Iterator[pl.DataFrame]:
    """Yield the candles of a year from two parts, ascending, a month at a time if there are many.

    Args:
        others: Those of files that are not replaced.
        fresh: Those of replaced files, ascending; no frame ends within a month.
        year: The year.
        most_at_once: How many of the others may be held at once.
    """
    if int(others.select(pl.len()).collect().item()) <= most_at_once:
        yield join_rows("candles", others.collect(), *fresh).sort("open_time")
        return
    months = cut_months(fresh)
    month, frame = next(months, (0, None))
    for number in range((year - 1970) * 12, (year - 1969) * 12):
        part = others.filter(pl.col("open_time").dt.month() == number % 12 + 1).collect()
        if frame is not None and month == number:
            part = join_rows("candles", part, frame).sort("open_time")
            month, frame = next(months, (0, None))
        yield part


def cut_months(frames: Iterable[pl.DataFrame]) -> Iterator[tuple[int, pl.DataFrame]]:
    """Yield candles by month, counted from 1970-01; the frames ascend, and none ends within a month."""
    for frame in frames:
        times = frame["open_time"].dt.epoch("ms").to_numpy()
        months = times.astype("datetime64[ms]").astype("datetime64[M]").astype(np.int64)
        cuts = [*np.flatnonzero(np.diff(months, prepend=-1)).tolist(), frame.height]
        for first, last in pairwise(cuts):
            yield int(months[first]), frame[first:last]


def note_successors(ledger: pl.DataFrame, successors: dict[str, Successor]) -> pl.DataFrame:
    """Return the ledger with each refused successor recorded in the row of the version that stays in force."""
    if not successors:
        return ledger
    schema: dict[str, Any] = {
        "source": pl.String,
        "problem": pl.String,
        "refused_etag": pl.String,
        "refused_sha256": pl.String,
        "refused_modified_at": TIME,
    }
    rows = [(source, each.problem, each.etag, each.sha256, each.modified_at) for source, each in successors.items()]
    refused = pl.DataFrame(rows, schema=schema, orient="row")
    return ledger.update(refused, on="source", how="left", include_nulls=False).select(ledger.columns)
