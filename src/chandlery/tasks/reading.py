"""Which files of a symbol have to be read, and which version of each is in force.

A version of a file stays in force if its successor is refused or the file is gone; a version that can be read
replaces it.
"""

import hashlib
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import polars as pl
from msgspec.structs import replace

from chandlery.candles.clean import KeptFile, refuse
from chandlery.errors import ChandleryError, SourceError
from chandlery.lake.handle import Lake
from chandlery.lake.store import Store
from chandlery.schema import TIME
from chandlery.settings.model import ReadingSettings
from chandlery.sources.files import FileRows, RawFile, explain_failure, read_file
from chandlery.sources.rows import Room
from chandlery.sources.symbols import match_layout
from chandlery.state.arrays import Arrays
from chandlery.state.fingerprints import fingerprint
from chandlery.state.records import FileRecord, Ingested, hash_candles, read_ingested
from chandlery.tasks.lost import from_arrays, to_arrays
from chandlery.tasks.mending import is_accounted, mend_ledger
from chandlery.tasks.past import list_years, look_again, rebuild_ingested, to_known

__all__ = ["IngestTask", "Reading", "Successor", "find_reading", "hash_file", "is_current", "note_successors"]

HASHED_BYTES = 1024 * 1024  # at a time


@dataclass(frozen=True)
class IngestTask:
    """The files of one symbol that are in the source now.

    Args:
        lake: Where to write.
        source: The store of the files.
        settings: How to read them.
        symbol: The symbol.
        files: All of them, sorted by `source`.
        code: Hash of the ingest stage's version and the libraries.
        prune: Whether the candles of files that are gone are deleted.
        restate: Whether files that were read under other settings are read again.
        reread: Whether all files are read again, because objects are missing from the table of candles.
        unfinished: Whether an earlier run began this task and did not end.
        unassigned: Files in the source of no series: where this series knows one of them, it is not gone.
        moved: Files in the source that now belong to another series, as `restate` asks.
    """

    lake: Lake
    source: Store
    settings: ReadingSettings
    symbol: str
    files: tuple[RawFile, ...]
    code: str
    prune: bool
    restate: bool
    reread: bool
    unfinished: bool = False
    unassigned: frozenset[str] = frozenset()
    moved: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return self.symbol


@dataclass(frozen=True)
class Successor:
    """A refused version of a file whose earlier version stays in force.

    Args:
        problem: Why it was refused, and which version stays.
        etag: Of the object; None for local files.
        sha256: Of the object's bytes; None if they could not be read.
        modified_at: When it was modified.
    """

    problem: str
    etag: str | None
    sha256: str | None
    modified_at: Any


class Reading:
    """The files of a symbol: which have to be read, and the rows that they hold.

    Args:
        task: The files that are in the source now.
        files: Closes the files that are opened.
        room: Limits the memory of all rows together.
    """

    def __init__(self, task: IngestTask, files: ExitStack, room: Room) -> None:
        self.task, self.files, self.room = task, files, room
        self._keys = {**task.lake.keys, "symbol": task.symbol}
        names, store = ("ledger", "rejects"), task.lake.store
        reads = [partial(task.lake.get, name, self._keys) for name in names]
        *contents, held = store.together(*reads, partial(read_ingested, task.lake, task.symbol))
        self.tables = {
            name: (content, task.lake.decode(name, self._keys, content))
            for name, content in zip(names, contents, strict=True)
        }
        self.told = {row["source"]: row for row in self.tables["ledger"][1].iter_rows(named=True)}  # as published
        self.held = self._hold(held)
        self.accounts = {row["source"]: row for row in self.tables["ledger"][1].iter_rows(named=True)}
        self.years_before = list_years(self.held.days)
        if task.reread:
            self.held = look_again(task.lake, task.symbol, self.held)
        self.known = {record.source: record for record in self.held.files}
        self._lost = from_arrays(self.held.lost)
        present = {file.source for file in task.files}
        self.gone = [record for record in self.held.files if record.source not in present]
        self.pruned = {record.source for record in self.gone if task.prune or record.source in task.moved}
        self.pruned -= task.unassigned
        noted = [self.accounts[record.source] for record in self.gone if record.source in self.accounts]
        self.vanished = [account for account in noted if account["present"] or account["source"] in self.pruned]
        self.read: list[FileRows] = []
        self.kept: list[KeptFile] = []
        self.refused: dict[str, pl.DataFrame] = {}
        self.successors: dict[str, Successor] = {}
        self.ranges: list[tuple[int, int]] = []
        self.sources: set[str] = set()  # files whose rows in the tables are replaced
        self.held_back = 0
        # versions in force that are not to be read: gone, with a refused successor, or read under other settings
        self._in_force = {
            source
            for source, row in self.accounts.items()
            if row["status"] == "read" and self._is_unreadable(source, present)
        }

    def _hold(self, held: Ingested | None) -> Ingested:
        """Return what is remembered of the symbol; what the tables tell where that is lost, or older than the tables.

        A run that was killed between two objects leaves tables that contradict each other. All files in the source are
        then read again, and the rows that the table of candles has of other versions stay in force.
        """
        lake, symbol, ledger = self.task.lake, self.task.symbol, self.tables["ledger"][1]
        if held is not None and is_accounted(held, ledger):
            if not self.task.unfinished:
                return held
            again = look_again(lake, symbol, held)
            if hash_candles(again) == hash_candles(held) and mend_ledger(ledger, self._candles).equals(ledger):
                return held
        mended = mend_ledger(ledger, self._candles)
        self.tables["ledger"] = (self.tables["ledger"][0], mended)
        return replace(rebuild_ingested(lake, symbol, mended), lost={} if held is None else held.lost)

    def _is_unreadable(self, source: str, present: set[str]) -> bool:
        """Return whether the version in force is not in the source: the file is gone, or its successor was refused."""
        known = self.known.get(source)
        return source not in present or (known is not None and known.problem is not None)

    def read_all(self) -> None:
        """Read new and changed files, then all files that overlap with files read, until none is left."""
        waiting = self._list_unread()
        self.ranges += [span for source in self.pruned if (span := self._known_range(source))]
        self.sources |= self.pruned
        self._in_force -= self.pruned
        while True:  # at least once: what is pruned may leave its place to files that have not changed
            for file in waiting:
                self._read_one(file)
            self._keep_overlapping()
            waiting = [file for file in self.task.files if self._has_to_be_read(file)]
            if not waiting:
                return

    def _has_to_be_read(self, file: RawFile) -> bool:
        return file.source not in self.sources | self._in_force and self._overlaps(self._known_range(file.source))

    def _list_unread(self) -> list[RawFile]:
        """Return the files that have changed since they were read, or are to be read in another way.

        Of those that were read under other settings nothing is read again unasked: what the tables have of them holds.
        """
        unread = []
        for file in self.task.files:
            known = self.known.get(file.source)
            if (
                known is None
                or self.task.reread
                or file.source not in self.accounts
                or not is_current(known, file, self.task.code)
            ):
                unread.append(file)
            elif known.problem is not None and self.task.restate:
                unread.append(file)  # it may be taken as it is
            elif known.reading != find_reading(self.task.settings, file.source):
                if known.problem is not None or self.task.restate:
                    unread.append(file)
                else:
                    self.held_back += 1
                    self._in_force.add(file.source)
        return unread

    def _known_range(self, source: str) -> tuple[int, int] | None:
        """Return the first and last time in the version of a file that was last read."""
        known = self.known.get(source)
        return (
            (known.first_ms, known.last_ms)
            if known and known.first_ms is not None and known.last_ms is not None
            else None
        )

    def _overlaps(self, span: tuple[int, int] | None) -> bool:
        """Return whether a range of time overlaps with that of any file that was read."""
        return span is not None and any(first <= span[1] and span[0] <= last for first, last in self.ranges)

    def _add_range(self, first_ms: int | None, last_ms: int | None) -> None:
        if first_ms is not None and last_ms is not None:
            self.ranges.append((first_ms, last_ms))

    def _read_one(self, file: RawFile) -> None:
        """Read a file, or record why it is refused."""
        task = self.task
        try:
            stream = self.files.enter_context(task.source.open(file.path, file.size_bytes))
            rows = read_file(stream, file, task.settings, task.lake.grid, self.room)
        except Exception as error:  # noqa: BLE001 - a file that breaks a parser must not stop the others
            self._refuse(file, explain_failure(file, error))
            return
        if self._is_spoilt(file, rows):
            found = f"{file.source}: {rows.rejects.height / rows.rows_read:.1%} of its rows were refused"
            limit = f"at most {task.settings.max_rejected_share:.1%}, as in its earlier version"
            self._refuse(file, SourceError(found, limit, "upload it again, or take it as it is by --restate"))
            return
        self.read.append(rows)
        self._replace(file.source)
        self._add_range(rows.accepted.first_ms, rows.accepted.last_ms)

    def _is_spoilt(self, file: RawFile, rows: FileRows) -> bool:
        """Return whether too many rows of a newer version are refused, while few of the version in force were."""
        account, known = self.accounts.get(file.source), self.known.get(file.source)
        is_in_force = known is not None and known.problem is None and is_same(known, file)
        if account is None or account["status"] != "read" or self.task.restate or is_in_force:
            return False
        share = self.task.settings.max_rejected_share
        return rows.rejects.height > share * rows.rows_read and account["rows_rejected"] <= share * account["rows_read"]

    def _replace(self, source: str) -> None:
        """Mark the rows of a file in the tables for replacement."""
        self.sources.add(source)
        self._in_force.discard(source)
        self._add_range(*(self._known_range(source) or (None, None)))

    def _refuse(self, file: RawFile, error: ChandleryError) -> None:
        """Record why a file is refused; the version that was read earlier stays in force.

        With `restate`, a file that is itself the version in force loses its rows if the new settings refuse it.
        """
        account, known = self.accounts.get(file.source), self.known.get(file.source)
        sha256 = hash_file(self.task.source, file)
        is_in_force = known is not None and known.problem is None and is_same(known, file)
        if account is None or account["status"] != "read" or (self.task.restate and is_in_force):
            self._replace(file.source)
            self.refused[file.source] = refuse(file, error, self._keys, sha256)
            return
        modified = f"{account['modified_at']:%Y-%m-%d %H:%M:%S} UTC"
        stays = f"the version of {modified}, sha256 {account['sha256'][:12]}…, stays in force"
        etag = None if self.task.source.is_local else file.etag
        self.successors[file.source] = Successor(f"{error}; {stays}", etag, sha256, file.modified_at)
        self._in_force.add(file.source)

    def _keep_overlapping(self) -> None:
        """Include the stored rows of versions in force that are not in the source, if they overlap with files read."""
        while True:
            found = [
                source for source in sorted(self._in_force - self.sources) if self._overlaps(self._known_range(source))
            ]
            if not found:
                return
            for source in found:
                self.kept.append(self._keep(source))
                self.sources.add(source)
                self._add_range(*(self._known_range(source) or (None, None)))

    @cached_property
    def _candles(self) -> pl.DataFrame:
        columns = ("open_time", "open", "high", "low", "close", "volume", "source")
        return self.task.lake.read_candles(self.task.symbol, columns=columns)

    def _keep(self, source: str) -> KeptFile:
        """Return the rows in the tables of a version that stays in force."""
        mine = pl.col("source") == source
        named = [pl.lit(value).alias(name) for name, value in self._keys.items()]
        ledger = self.tables["ledger"][1].filter(mine).with_columns(named)
        present = any(file.source == source for file in self.task.files)
        rejects = self.tables["rejects"][1].filter(mine)
        return KeptFile(ledger, self._candles.filter(mine), rejects, self._lost.get(source), present)

    def record(self, file: RawFile, accounts: dict[str, dict[str, Any]]) -> FileRecord:
        """Return the record to store for a file in the source.

        Args:
            file: The file.
            accounts: New rows of the ledger, by source.
        """
        source = file.source
        if source in self.refused:
            record = to_known(self.refused[source].row(0, named=True))
        elif source in self.successors:
            record = replace(to_known(self.accounts[source]), problem=self.successors[source].problem)
        elif source in accounts and source not in self._in_force:
            record = to_known(accounts[source])
        else:
            return self.known[source]
        reading = find_reading(self.task.settings, source)
        modified_ms = round(file.modified_at.timestamp() * 1000)
        return replace(
            record,
            size_bytes=file.size_bytes,
            etag=file.etag,
            modified_ms=modified_ms,
            code=self.task.code,
            reading=reading,
        )

    def join_lost(self, fresh: Iterable[tuple[str, pl.DataFrame]]) -> Arrays:
        """Return the rows that another version replaced: new ones of files that took part, known ones of others."""
        stays = {source: rows for source, rows in self._lost.items() if source not in self.sources | self.pruned}
        return to_arrays(stays | dict(fresh))


def hash_file(source: Store, file: RawFile) -> str | None:
    """Return the SHA-256 of an object; None if it no longer exists."""
    digest = hashlib.sha256()
    try:
        with source.open(file.path, file.size_bytes) as stream:
            while part := stream.read(HASHED_BYTES):
                digest.update(part)
    except FileNotFoundError:
        return None
    return digest.hexdigest()


def is_current(known: FileRecord | None, file: RawFile, code: str) -> bool:
    """Return whether a file is the version that was read last, by the same code."""
    return known is not None and is_same(known, file) and known.code == code


def is_same(known: FileRecord, file: RawFile) -> bool:
    """Return whether a file is the version that was last seen."""
    modified_ms = round(file.modified_at.timestamp() * 1000)
    return (known.size_bytes, known.etag, known.modified_ms) == (file.size_bytes, file.etag, modified_ms)


def find_reading(settings: ReadingSettings, source: str) -> str:
    """Return the hash of the settings that decide how a file is read."""
    layout = match_layout(source, settings)
    by_hand = None if layout is None else layout.model_dump(mode="json", exclude={"files"})
    return fingerprint(by_hand, settings.max_rejected_share, settings.max_json_bytes)


def note_successors(ledger: pl.DataFrame, successors: dict[str, Successor]) -> pl.DataFrame:
    """Return the ledger with refused successors entered beside the versions that stay in force."""
    if not successors:
        return ledger
    rows = [
        {
            "source": source,
            "problem": successor.problem,
            "refused_etag": successor.etag,
            "refused_sha256": successor.sha256,
            "refused_modified_at": successor.modified_at,
        }
        for source, successor in successors.items()
    ]
    schema: dict[str, Any] = {
        "source": pl.String,
        "problem": pl.String,
        "refused_etag": pl.String,
        "refused_sha256": pl.String,
        "refused_modified_at": TIME,
    }
    return ledger.update(pl.DataFrame(rows, schema=schema), on="source", how="left", include_nulls=False).select(
        ledger.columns
    )
