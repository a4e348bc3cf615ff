"""Which files of a symbol are read, and which version of each is in force.

The version of a file that was read last stays in force while newer versions are refused, and also when the file is gone
from the source. A newer version that can be read replaces it.
"""

import datetime as dt
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Protocol

import polars as pl

from chandlery.candles.clean import KeptFile, refuse
from chandlery.errors import ChandleryError, SourceError
from chandlery.lake.handle import Lake
from chandlery.lake.store import Store
from chandlery.lake.tables import MOST_AT_ONCE
from chandlery.settings.model import LayoutSettings, ReadingSettings
from chandlery.sources.decisions import BY_HAND, BY_LIKE, Decision, Decisions, list_given, name_given
from chandlery.sources.doubts import UndecidedError
from chandlery.sources.files import FileRows, RawFile, explain_failure, read_file
from chandlery.sources.lending import find_habit, lend
from chandlery.sources.local_times import find_followers, find_local_kind, name_both_readings, name_local
from chandlery.sources.parts import Part
from chandlery.sources.rows import ROOM_BYTES, Room
from chandlery.sources.symbols import add_given, match_layout
from chandlery.tasks.hashing import hash_file
from chandlery.tasks.past import StoredSymbol, describe_version, hash_reading, is_current, is_same
from chandlery.tasks.rivals import RIVAL, find_rivals

__all__ = ["IngestTask", "Reading", "Shared", "Successor"]

TimeRange = tuple[int, int]  # first and last open_time, in ms


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
        restate: Whether files that were read under other settings are read again, with those of this run alone.
        reread: Whether all files are read again, because objects are missing from the table of candles.
        unfinished: Whether an earlier run began this task and did not end it.
        lent: The settings that like files lend to files whose rows leave a decision open, by source.
        parts: Which rows of a file belong to this symbol and series, by source; of other files, all do.
        unassigned: Files in the source that belong to no series. Rows that this series has of them are not pruned.
        moved: Files in the source that now belong to another series: their rows in this series are deleted.
        local: The kinds of files with local times, each with a file that shows it: new files like it are refused.
        room_bytes: Memory that the rows of all files may take together; further rows go to a temporary folder.
        most_at_once: How many stored candles of a year are held at once; more are handled month by month.
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
    lent: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    parts: Mapping[str, Part] = field(default_factory=dict)
    unassigned: frozenset[str] = frozenset()
    moved: frozenset[str] = frozenset()
    local: Mapping[str, str] = field(default_factory=dict)
    room_bytes: int = ROOM_BYTES
    most_at_once: int = MOST_AT_ONCE

    def __str__(self) -> str:
        return self.symbol


@dataclass(frozen=True)
class Successor:
    """A refused version of a file whose earlier version stays in force.

    Args:
        problem: Why it was refused, and which version stays.
        etag: Of the object; None for local files.
        sha256: Of its bytes; None if they could not be read.
        modified_at: When it was modified.
    """

    problem: str
    etag: str | None
    sha256: str | None
    modified_at: dt.datetime


class Shared(Protocol):
    """Files with rows of several symbols, each read once for all of them."""

    def read(self, source: Store, file: RawFile, settings: ReadingSettings, part: Part) -> FileRows:
        """Return the rows of a part of a file.

        Raises:
            SourceError: They are refused.
        """

    def hash(self, source: Store, file: RawFile) -> str | None:
        """Return the SHA-256 of a file; None if it no longer exists."""

    @property
    def is_full(self) -> bool:
        """Whether there are too many rows to be handled at once."""


class Reading:
    """Reads the files of a symbol that have to be read, and decides which stored versions stay in force.

    Args:
        task: The files that are in the source now.
        stored: What the lake has of the symbol.
        open_files: Receives the files that are opened; the caller closes them.
        room: Limits the memory that the rows of all files take together.
        shared: The files that the symbol shares with others; None where it reads them by itself.

    Attributes:
        read: The rows of the files that were read.
        kept: The stored rows of versions in force that are not read again and whose time range overlaps with files
            that were read.
        refused: By source, the new row of the ledger of each file that was refused whole.
        successors: By source, the refused versions whose earlier version stays in force.
        replaced: Files whose rows in the tables are replaced by the rows read and kept.
        spans: The time ranges in which candles may change.
        in_force: Files whose stored version is in force and not to be read: the file is gone, its successor was
            refused, or it was read under other settings.
        gone: The records of files that are gone from the source.
        pruned: Files that are gone and whose rows are deleted, and refused ones that are gone.
        vanished: The ledger rows of files that are gone since the last run, or pruned.
        held_back: Files that keep a setting that this run does not give.
        local: The kinds of files with local times, each with one of them.
        present: The files in the source.
    """

    def __init__(
        self, task: IngestTask, stored: StoredSymbol, open_files: ExitStack, room: Room, shared: Shared | None = None
    ) -> None:
        self._task, self._stored, self._open_files, self._room, self._shared = task, stored, open_files, room, shared
        self.present = {file.source for file in task.files}
        self.gone = [record for record in stored.ingested.files if record.source not in self.present]
        self.pruned = {record.source for record in self.gone if task.prune or record.source in task.moved}
        self.pruned -= task.unassigned
        accounts = [stored.accounts[record.source] for record in self.gone if record.source in stored.accounts]
        refused = {row["source"] for row in accounts if row["status"] != "read"}
        self.vanished = [
            row for row in accounts if row["source"] not in refused and (row["present"] or row["source"] in self.pruned)
        ]
        self.pruned |= refused  # nothing of them is in the tables
        self.read: list[FileRows] = []
        self.kept: list[KeptFile] = []
        self.refused: dict[str, pl.DataFrame] = {}
        self.successors: dict[str, Successor] = {}
        self.spans: list[TimeRange] = []
        self.replaced: set[str] = set()
        self.in_force = {
            source
            for source, account in stored.accounts.items()
            if account["status"] == "read" and self._is_unreadable(source)
        }
        self.held_back: set[str] = set()
        self.local = dict(task.local)

    def _is_unreadable(self, source: str) -> bool:
        """Return whether the version in force is not in the source: the file is gone, or its successor was refused."""
        record = self._stored.records.get(source)
        return source not in self.present or (record is not None and record.problem is not None)

    def read_all(self) -> None:
        """Read new and changed files, and then every file whose time range overlaps with one that was read."""
        waiting = self._list_unread()
        self.spans += [span for source in self.pruned if (span := self._stored_span(source))]
        self.replaced |= self.pruned
        self.in_force -= self.pruned
        while True:  # also if nothing is new: unchanged files may have candles in place of those that are pruned
            for file in waiting:
                self._read_file(file)
            self._keep_overlapping()
            waiting = [file for file in self._task.files if self._has_to_be_read(file)]
            if not waiting and not self._refuse_more():
                return

    def _refuse_more(self) -> bool:
        """Refuse new files that other files show to be read wrong; return whether there are some.

        These are files with local times, and those that differ from others in most candles.
        """
        new = self.list_new()
        refused = find_followers({source: rows.decisions for source, rows in new.items()}, self.local)
        if not refused and not self._task.restate:
            refused = find_rivals(self.read, self.kept, new)
        for source, error in refused.items():
            self.read = [rows for rows in self.read if rows.raw.source != source]
            self.replaced.discard(source)
            self._refuse(new[source].raw, error)
        return bool(refused)

    def list_new(self) -> dict[str, FileRows]:
        """Return the files read that are not themselves the version in force, nor a copy of it, by source."""
        accounts = self._stored.accounts.values()
        stored = {(account["source"], account["sha256"]) for account in accounts if account["status"] == "read"}
        return {
            rows.raw.source: rows
            for rows in self.read
            if not self._is_in_force(rows.raw) and (rows.raw.source, rows.sha256) not in stored
        }

    def _list_unread(self) -> list[RawFile]:
        """Return the files that are new, have changed, or are to be read again.

        Settings that would change the reading of a file that the lake has do not come here: such a run has stopped. A
        file keeps a setting that this run does not give.
        """
        task, unread = self._task, []
        for file in task.files:
            record = self._stored.records.get(file.source)
            if (
                record is None
                or task.reread
                or file.source not in self._stored.accounts
                or not is_current(record, file, task.code)
            ):
                unread.append(file)
            elif record.problem is not None and (task.restate or self._is_rival(file)):
                unread.append(file)  # with `restate` a version may be accepted that was refused before
            elif record.reading != hash_reading(task.settings, file.source):
                if record.problem is not None or task.restate:
                    unread.append(file)
                elif self._list_dropped(file):
                    self.held_back.add(file.source)
        return unread

    def _is_rival(self, file: RawFile) -> bool:
        """Return whether a file is refused for another one, which may be gone or changed now."""
        account = self._stored.accounts[file.source]
        return bool(account["status"] != "read" and account["undecided"] == RIVAL)

    def _list_dropped(self, file: RawFile) -> set[str]:
        """Return the settings that were given for a file by hand, and that this run does not give."""
        layout = match_layout(file.source, self._task.settings) or LayoutSettings()
        return list_given(self._stored.records[file.source].decisions, BY_HAND).keys() - name_given(layout).keys()

    def _find_settings(self, file: RawFile) -> ReadingSettings:
        """Return the settings by which a file is read: those of this run, and those that it was given before."""
        record = self._stored.records.get(file.source)
        before = {} if record is None or self._task.restate else list_given(record.decisions)
        return add_given(self._task.settings, {**before, **self._task.lent.get(file.source, {})})

    def _has_to_be_read(self, file: RawFile) -> bool:
        """Return whether an unchanged file overlaps with files that were read, so that its rows are needed too."""
        is_settled = file.source in self.replaced | self.in_force
        return not is_settled and self._overlaps(self._stored_span(file.source))

    def _read_file(self, file: RawFile) -> None:
        """Read a file, or record why it is refused."""
        task = self._task
        try:
            rows = self._read_rows(file)
        except Exception as error:  # noqa: BLE001 - a file that breaks a parser must not stop the others
            self._refuse(file, name_both_readings(explain_failure(file, error), self._list_decisions()))
            return
        if self._is_spoilt(file, rows):
            found = f"{file.source}: {rows.rejects.height / rows.rows_read:.1%} of its rows were rejected"
            limit = f"at most {task.settings.max_rejected_share:.1%}, as in its earlier version"
            self._refuse(file, SourceError(found, limit, "upload it again, or take it as it is by --restate"))
            return
        self.read.append(rows)
        self._replace(file.source)
        self._add_span(rows.accepted.first_ms, rows.accepted.last_ms)

    def _list_decisions(self) -> list[Decisions]:
        """Return what was decided about the files of the lake."""
        return [record.decisions for record in self._stored.records.values() if record.problem is None]

    def _read_rows(self, file: RawFile) -> FileRows:
        """Return the rows of a file; where they leave a decision open, files like it decide, such as its last version.

        Raises:
            SourceError: It is refused.
        """
        task, settings = self._task, self._find_settings(file)
        lent = set(task.lent.get(file.source, ()))
        try:
            rows = self._read_under(settings, file)
        except UndecidedError as error:
            more = lend(error.decision, error.kind, filter(None, map(find_habit, self._list_decisions())))
            if not more:
                raise
            lent |= more.keys()
            settings = add_given(settings, more)
            rows = self._read_under(settings, file)
        borrowed = {name: Decision(each.value, BY_LIKE) for name, each in rows.decisions.items() if name in lent}
        rows.decisions |= borrowed
        return rows

    def _read_under(self, settings: ReadingSettings, file: RawFile) -> FileRows:
        """Return the rows of a file under some settings; those of a shared file are read for all who share it."""
        task, part = self._task, self._task.parts.get(file.source)
        if part is not None and self._shared is not None:
            return self._shared.read(task.source, file, settings, part)
        stream = self._open_files.enter_context(task.source.open(file.path, file.size_bytes))
        if settings is not task.settings:  # under which the layout was recognised
            file = replace(file, known=None)
        return read_file(stream, file, settings, task.lake.grid, self._room, part)

    def _is_spoilt(self, file: RawFile, rows: FileRows) -> bool:
        """Return whether too many rows of a newer version are refused, while few of the version in force were."""
        account = self._stored.accounts.get(file.source)
        if account is None or account["status"] != "read" or self._task.restate or self._is_in_force(file):
            return False
        share = self._task.settings.max_rejected_share
        return rows.rejects.height > share * rows.rows_read and account["rows_rejected"] <= share * account["rows_read"]

    def _is_in_force(self, file: RawFile) -> bool:
        """Return whether a file in the source is itself the version in force."""
        record = self._stored.records.get(file.source)
        return record is not None and record.problem is None and is_same(record, file)

    def _refuse(self, file: RawFile, error: ChandleryError) -> None:
        """Record why a file is refused; its earlier version stays in force, unless `restate` refuses that very one."""
        account = self._stored.accounts.get(file.source)
        if kind := find_local_kind(name_local(error)):
            self.local.setdefault(kind, file.source)
        if self._shared is not None and file.source in self._task.parts:
            sha256 = self._shared.hash(self._task.source, file)
        else:
            sha256 = hash_file(self._task.source, file)
        if account is None or account["status"] != "read" or (self._task.restate and self._is_in_force(file)):
            self._replace(file.source)
            self.refused[file.source] = refuse(file, error, self._stored.keys, sha256)
            return
        etag = None if self._task.source.is_local else file.etag
        problem = f"{error}; {describe_version(account)}, stays in force"
        self.successors[file.source] = Successor(problem, etag, sha256, file.modified_at)
        self.in_force.add(file.source)

    def _replace(self, source: str) -> None:
        """Mark the rows of a file in the tables for replacement."""
        self.replaced.add(source)
        self.in_force.discard(source)
        self._add_stored_span(source)

    def _keep_overlapping(self) -> None:
        """Keep the stored rows of versions in force that are not read again, if they overlap with files read."""
        while True:
            overlapping = [
                source for source in sorted(self.in_force - self.replaced) if self._overlaps(self._stored_span(source))
            ]
            if not overlapping:
                return
            for source in overlapping:
                self.kept.append(self._keep(source))
                self.replaced.add(source)
                self._add_stored_span(source)

    def _keep(self, source: str) -> KeptFile:
        """Return the rows in the tables of a version that stays in force."""
        stored, is_of_file = self._stored, pl.col("source") == source
        keys = [pl.lit(value).alias(name) for name, value in stored.keys.items()]
        ledger = stored.tables["ledger"].filter(is_of_file).with_columns(keys)
        rejects, candles = stored.tables["rejects"].filter(is_of_file), stored.candles.filter(is_of_file)
        return KeptFile(ledger, candles, rejects, stored.outranked.get(source), source in self.present)

    def _stored_span(self, source: str) -> TimeRange | None:
        """Return the time range of the version in force of a file; None if it has no candles."""
        record = self._stored.records.get(source)
        if record is None or record.first_ms is None or record.last_ms is None:
            return None
        return record.first_ms, record.last_ms

    def _overlaps(self, span: TimeRange | None) -> bool:
        """Return whether a time range overlaps with one in which candles may change."""
        return span is not None and any(first <= span[1] and span[0] <= last for first, last in self.spans)

    def _add_stored_span(self, source: str) -> None:
        self._add_span(*(self._stored_span(source) or (None, None)))

    def _add_span(self, first_ms: int | None, last_ms: int | None) -> None:
        if first_ms is not None and last_ms is not None:
            self.spans.append((first_ms, last_ms))
