"""A new lake from one of format 1, which is only read.

    OLD  candles/exchange=…/symbol=…/year=…/   ─►  NEW  candles/exchange=…/interval=…/symbol=…/year=…/
         lake.json, runs/*.json                ─►       lake.json, put last

A lake of format 1 holds one exchange and one interval, and each of its objects has the interval as a column. Here each
object is encoded again without it. Files that no candle was ever read from belong to no series, whatever their symbol:
their rows of the ledger come together in one object.

State is not taken along: its stages have other versions in this format, so the next run computes everything again from
the raw files, and from the tables where raw files are gone.

`migration.json` says how many objects are done. A migration that was cut off goes on behind them, if the old lake is
still as it was; otherwise it begins anew. Until `lake.json` is there, nothing takes the new place for a lake.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import polars as pl
from msgspec.structs import asdict, replace

from chandlery.errors import SettingsError, StoreUnavailableError
from chandlery.extensions import read_bundles
from chandlery.lake.lake_file import (
    UNASSIGNED,
    Extension,
    LakeFile,
    MigrationFile,
    Series,
    check_format,
    find_fault,
    no_lake,
    write_lake_file,
)
from chandlery.lake.lease import LeaseToken, check_lease, hold_lease
from chandlery.lake.reading import explain_damage, scan
from chandlery.lake.staging import Target
from chandlery.lake.store import Entry, Store
from chandlery.lake.tables import adapt, encode, list_objects, parse_partition, partition_path
from chandlery.progress import Watch
from chandlery.runs.founding import read_settings
from chandlery.schema import LAKE_FILE, LAKE_FORMAT, MIGRATION_FILE, TABLES
from chandlery.settings.model import ForecastSettings, Settings
from chandlery.state.fingerprints import STAGES, describe_changes, fingerprint
from chandlery.state.paths import SUMMARY
from chandlery.units import UNASSIGNED_SYMBOL, parse_interval, to_interval_text

__all__ = ["Migrated", "migrate_lake"]

FORMAT = 1  # which is migrated
UNKNOWN = UNASSIGNED_SYMBOL  # the symbol of files whose symbol is not known
UNASSIGNED_KEYS = {**UNASSIGNED.keys, "symbol": UNKNOWN}
REFERENCES = "BTCUSD ETHUSD XRPUSD EOSUSD LTCUSD NEOUSD IOTUSD ETCUSD XMRUSD".split()  # the market, where nothing tells
OWN = ("lease.json", ".lease.lock", "_probe/", MIGRATION_FILE)  # objects that do not make a place full
RESTORE = "restore it from the bucket's versions or a copy, and migrate again; without one, make a new lake by `run`"
A_STRETCH = 16  # objects: so many are encoded again at most, for each time that it is cut off
PIECE_ROWS = 1_000_000  # that are held together


class Migrated(msgspec.Struct, frozen=True):
    """What a migration did.

    Args:
        old: URI of the lake that was read.
        new: URI of the lake that was written.
        series: Name of its series.
        objects: Objects of tables that were read.
        size_bytes: Of these.
        found: How many of them stood in the new lake already.
        seconds: How long it took.
        notes: What comes next.
    """

    old: str
    new: str
    series: str
    objects: int
    size_bytes: int
    found: int
    seconds: float
    notes: list[str]


class OldFile(msgspec.Struct, frozen=True):
    """The content of a `lake.json` of format 1; what its first run did not write yet is null."""

    format: int
    exchange: str
    interval: str
    horizons: list[int]
    models: list[str]
    references: list[str] | None = None
    min_train: str | None = None
    seed: int | None = None
    extensions: list[Extension] | None = None


def migrate_lake(settings: Settings, old_uri: str, new_uri: str, watch: Watch) -> Migrated:
    """Write a lake of this format from one of format 1.

    Args:
        settings: Options of the store and of the lease.
        old_uri: The lake of format 1; nothing is written there.
        new_uri: An empty place, or one where a migration of the same lake was cut off.
        watch: Receives progress.

    Raises:
        SettingsError: There is no such lake, it has another format, or something else is at the new place.
        StoreUnavailableError: A store did not answer, or a run has written the old lake meanwhile.
        LeaseHeldError: Another migration or run holds the new lake.
    """
    began = time.perf_counter()
    old, new = Store(old_uri, settings.storage), Store(new_uri, settings.storage)
    check_apart(old, new)
    series = read_old_series(old)
    find_progress(old, new)  # before a lease is left where it does not belong
    with hold_lease(new, settings.lake.lease_seconds, wait=False) as token:
        new.sweep()
        entries, found = Migration(old, new, series, token, watch).carry_out()
    size = sum(entry.size_bytes for entry in entries)
    seconds = round(time.perf_counter() - began, 3)
    return Migrated(old.uri, new.uri, series.name, len(entries), size, found, seconds, describe_next(old, new))


def check_apart(old: Store, new: Store) -> None:
    """Check that neither lake lies inside the other.

    Raises:
        SettingsError: One does, or both are the same.
    """
    places = sorted((f"{old.place.rstrip('/')}/", f"{new.place.rstrip('/')}/"))
    if places[1].startswith(places[0]):
        found = f"a migration from {old.uri} to {new.uri}, one inside the other"
        raise SettingsError(found, "two places apart", "name another NEW: the old lake is only read")


def read_old_series(old: Store) -> Series:
    """Return the series of a lake of format 1.

    Raises:
        SettingsError: There is no such lake.
    """
    content = old.get(LAKE_FILE)
    if content is None:
        raise no_lake(old.uri)
    try:
        file = msgspec.json.decode(content, type=OldFile)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        check_old_format(content, old.uri)
        hint = "restore it from the bucket's versions or a copy"
        raise SettingsError(f"{LAKE_FILE} at {old.uri}: {error}", "a lake's own file", hint) from error
    check_old_format(content, old.uri)
    seconds = parse_interval(file.interval)
    values = {name: value for name, value in asdict(file).items() if name != "format"}
    if any(value is None for value in values.values()):
        recalled = recall(old)
        values = {name: recalled[name] if value is None else value for name, value in values.items()}
    values["interval"] = to_interval_text(seconds)
    series = Series(**values, reach=max(file.horizons, default=0))
    if fault := find_fault(series):
        found = f"{LAKE_FILE} at {old.uri}: {fault}"
        raise SettingsError(found, "what a run has written", "restore the file: it is not to be edited by hand")
    return series


class _Format(msgspec.Struct):
    format: int


def check_old_format(content: bytes, uri: str) -> None:
    """Check that a `lake.json` is of format 1, if it names a format at all.

    Raises:
        SettingsError: It is of another format.
    """
    try:
        number = msgspec.json.decode(content, type=_Format).format
    except (msgspec.DecodeError, UnicodeDecodeError):
        return
    if number > LAKE_FORMAT:
        check_format(number, uri)
    if number != FORMAT:
        hint = "it needs no migration: `chandlery run` goes on with it; `--exchange NAME` alone names an exchange"
        raise SettingsError(f"lake format {number} at {uri}", f"format {FORMAT}", hint)


def recall(old: Store) -> dict[str, Any]:
    """Return the settings of the newest run that computed forecasts, by its record; defaults if there is none."""
    for entry in reversed(old.list("runs/")):
        try:
            record = msgspec.json.decode(old.get(entry.path) or b"")
            if not any(stage["name"] == "forecast" and stage["computed"] for stage in record["report"]["stages"]):
                continue
            held = record["settings"]["forecast"]
            told = ForecastSettings(**{name: held[name] for name in ForecastSettings.model_fields if name in held})
        except (msgspec.DecodeError, KeyError, TypeError, ValueError):  # another's object, or of another form
            continue
        references = {} if "references" in held else {"references": REFERENCES}
        return read_settings(told, read_bundles(told.extensions)) | references
    return read_settings(ForecastSettings(), ()) | {"references": REFERENCES}


def find_progress(old: Store, new: Store) -> MigrationFile | None:
    """Return how far a migration of the same lake has come; None where the new place is empty.

    Raises:
        SettingsError: Something else is there.
    """
    content = new.get(MIGRATION_FILE)
    if content is None:
        there = [entry.path for entry in new.list() if not entry.path.startswith(OWN)]
        if there:
            what = "a lake" if LAKE_FILE in there else f"{len(there):,} object{'s' if len(there) > 1 else ''}"
            found = f"{what} at {new.uri}, with {there[0]}"
            expected = "an empty place, or a migration of the same lake that was cut off"
            raise SettingsError(found, expected, "name another NEW")
        return None
    try:
        progress = msgspec.json.decode(content, type=MigrationFile)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        hint = "name another NEW, or delete what is there"
        raise SettingsError(f"{MIGRATION_FILE} at {new.uri}: {error}", "what a migration has put", hint) from error
    if Store(progress.old).place != old.place:
        found = f"at {new.uri} a migration of {progress.old} was cut off"
        raise SettingsError(found, f"one of {old.address}", "name another NEW, or the same OLD")
    return progress


def list_old(old: Store) -> list[Entry]:
    """Return the objects of all tables of a lake, by path."""
    return sorted((entry for table in TABLES for entry in list_objects(old, table)), key=lambda entry: entry.path)


def describe_next(old: Store, new: Store) -> list[str]:
    """Return what the next run has to do, and why, in words."""
    try:
        code = msgspec.json.decode(old.get(SUMMARY) or b"", type=_OldSummary).code
    except (msgspec.DecodeError, UnicodeDecodeError):
        code = {}
    before = {name: version for held in code.values() for name, version in held.items()}
    now = {f"stage {name}": str(version) for name, version in STAGES.items()}
    changes = f" ({describe_changes(before, now)})" if before else ""
    found = f"state is not taken along{changes}: the next run reads all raw files and computes everything again"
    return [f"{found}. Hint: `chandlery plan --lake {new.uri}` says what that costs"]


class _OldSummary(msgspec.Struct):
    code: dict[str, dict[str, str]] = {}


@dataclass(frozen=True)
class Migration:
    """One migration, under the lease of the new lake.

    Args:
        old: The lake of format 1.
        new: The new lake.
        series: The only one that it has.
        token: Of the lease.
        watch: Receives progress.
    """

    old: Store
    new: Store
    series: Series
    token: LeaseToken
    watch: Watch

    def carry_out(self) -> tuple[list[Entry], int]:
        """Write what is lacking; return the objects of the old lake, and how many of them were in the new one already.

        Raises:
            StoreUnavailableError: A run has written the old lake meanwhile.
        """
        progress = find_progress(self.old, self.new)  # again: now nobody else writes there
        entries, listing = self._survey()
        there = {entry.path for entry in self.new.list()}
        if progress is not None and LAKE_FILE in there:  # it was cut off at the very end
            self._delete([MIGRATION_FILE])
            return entries, len(entries)
        if progress is None or progress.listing != listing:
            progress = MigrationFile(self.old.address, listing)
        self._put(MIGRATION_FILE, msgspec.json.encode(progress))
        wanted = [target for entry in entries if (target := self._find_target(entry.path))]
        pending = [
            (place, entry)
            for place, entry in enumerate(entries)
            if place >= progress.done or self._find_target(entry.path) not in there
        ]
        self._encode(pending, progress)
        wanted += self._put_unassigned(entries)
        if self._survey()[1] != listing:
            raise self._changed(f"the lake {self.old.uri}")
        self._delete([entry.path for entry in list_old(self.new) if entry.path not in wanted])
        check_lease(self.new, self.token)
        write_lake_file(self.new, LakeFile(LAKE_FORMAT, [self.series]))
        self._delete([MIGRATION_FILE])
        return entries, len(entries) - len(pending)

    def _survey(self) -> tuple[list[Entry], str]:
        """Return the objects of the old lake, and a hash of them and of its `lake.json`."""
        entries = list_old(self.old)
        file = self.old.get(LAKE_FILE) or b""
        listed = [(entry.path, entry.size_bytes, entry.etag) for entry in entries]
        return entries, fingerprint(listed, file.decode(errors="replace"), asdict(self.series))

    def _find_target(self, path: str) -> str:
        """Return the path in the new lake of an object; empty where its rows are put together with others.

        Raises:
            SettingsError: It is of another exchange than the lake.
        """
        table, keys = path.partition("/")[0], parse_partition(path)
        if keys["exchange"] != self.series.exchange:
            found = f"{path} in a lake of {self.series.exchange}"
            raise SettingsError(found, "one exchange", "move it away: no run of that format has put it there")
        if keys.get("symbol") != UNKNOWN:
            return partition_path(table, {**keys, **self.series.keys})
        return "" if table == "ledger" else partition_path(table, {**keys, **UNASSIGNED_KEYS})

    def _encode(self, pending: list[tuple[int, Entry]], progress: MigrationFile) -> None:
        """Put objects into the new lake, and note from time to time how many are done."""
        far = self.old if self.new.is_local else self.new
        self.watch.stage("migrate", len(pending))
        try:
            done = far.ask_ahead(lambda item: self._encode_object(item[1]), pending)
            for number, ((place, entry), _) in enumerate(zip(pending, done, strict=True), 1):
                self.watch.advance(entry.path)
                if number % A_STRETCH == 0 and place >= progress.done:
                    self._put(MIGRATION_FILE, msgspec.json.encode(replace(progress, done=place + 1)))
        finally:
            self.watch.end()

    def _encode_object(self, entry: Entry) -> None:
        target = self._find_target(entry.path)
        if target:
            with explain_damage(self.old, entry.path, RESTORE):
                rows = self._scan(entry)
                if entry.path.startswith("ledger/"):
                    rows = rows.filter(pl.col("status") != "refused")
                content = encode(cut(rows))
            self._put(target, content)

    def _scan(self, entry: Entry) -> pl.LazyFrame:
        """Return the rows of an object of the old lake in the columns of this format.

        Raises:
            SettingsError: It holds another interval than the lake.
            StoreUnavailableError: It was replaced.
        """
        content = self.old.get_if_match(entry.path, entry.etag)
        if content is None:
            raise self._changed(f"{entry.path} at {self.old.uri}")
        rows = scan(content)
        if "interval" in rows.collect_schema().names():
            found = set(rows.select(pl.col("interval").unique()).collect()["interval"]) - {self.series.interval}
            if found:
                names = ", ".join(sorted(map(str, found)))
                raise SettingsError(f"{entry.path} at {self.old.uri} holds {names}", self.series.interval, "restore it")
        return adapt(rows, TABLES[entry.path.partition("/")[0]])

    def _put_unassigned(self, entries: list[Entry]) -> list[str]:
        """Put the ledger of the files that belong to no series; return its path, if there are any."""
        ledgers = [entry for entry in entries if entry.path.startswith("ledger/")]
        if not ledgers:
            return []
        found = self.old.ask_ahead(self._read_refused, ledgers)
        rows = pl.concat(found).sort("source", "present", "modified_at", descending=[False, True, True])
        rows = rows.unique("source", keep="first", maintain_order=True)  # a file may have been told of twice
        path = partition_path("ledger", UNASSIGNED_KEYS)
        self._put(path, encode([rows] if rows.height else []))
        return [path] if rows.height else []

    def _read_refused(self, entry: Entry) -> pl.DataFrame:
        with explain_damage(self.old, entry.path, RESTORE):
            return self._scan(entry).filter(pl.col("status") == "refused").collect()

    def _put(self, path: str, content: bytes | None) -> None:
        Target(self.new, lambda: check_lease(self.new, self.token)).put(path, content)

    def _delete(self, paths: list[str]) -> None:
        if paths:
            check_lease(self.new, self.token)
            self.new.delete_all(paths)

    def _changed(self, what: str) -> StoreUnavailableError:
        hint = "run the migration again when no run writes it: it begins anew with what changed"
        return StoreUnavailableError(f"{what} was changed during the migration", "a lake that nobody writes", hint)


def cut(rows: pl.LazyFrame) -> Iterator[pl.DataFrame]:
    """Yield rows, some at a time: those of one object may be more than fit in memory."""
    height = rows.select(pl.len()).collect().item()
    for first in range(0, height, PIECE_ROWS):
        yield rows.slice(first, PIECE_ROWS).collect()
