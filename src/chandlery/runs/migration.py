"""Migration: write a new lake from one of format 1, which is only read.

    OLD  candles/exchange=…/symbol=…/year=…/   ─►  NEW  candles/exchange=…/interval=…/symbol=…/year=…/
         lake.json, runs/*.json                ─►       lake.json, put last

A lake of format 1 has one exchange and one interval, and its objects have the interval as a column. Each object is
encoded again without that column. Refused files belong to no series, whatever their symbol, so their rows of the ledger
are written to one object.

State is not migrated, because its stages have other versions in this format. The next run computes everything again
from the raw files, and from the tables where raw files are missing.

`migration.json` holds the number of migrated objects. An interrupted migration continues after them if the old lake has
not changed since, and starts again otherwise. The new place counts as a lake only once it has a `lake.json`.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
import polars as pl
from msgspec.structs import asdict, replace

from chandlery.errors import SettingsError, StoreUnavailableError
from chandlery.lake.lake_file import UNASSIGNED_KEYS, LakeFile, MigrationFile, Series, write_lake_file
from chandlery.lake.lease import LeaseToken, check_lease, hold_lease
from chandlery.lake.reading import explain_damage, scan
from chandlery.lake.staging import Target
from chandlery.lake.store import Entry, Store
from chandlery.lake.tables import adapt, encode, list_objects, parse_partition, partition_path
from chandlery.progress import Watch
from chandlery.runs.old_format import read_old_series
from chandlery.schema import LAKE_FILE, LAKE_FORMAT, MIGRATION_FILE, TABLES
from chandlery.settings.model import Settings
from chandlery.state.fingerprints import STAGES, describe_changes, fingerprint
from chandlery.state.paths import SUMMARY
from chandlery.units import UNASSIGNED_SYMBOL

__all__ = ["Migrated", "migrate_lake"]

OWN = ("lease.json", ".lease.lock", "_probe/", MIGRATION_FILE)  # a place with only these objects counts as empty
RESTORE = "restore it from the bucket's versions or a copy, and migrate again; without one, create a new lake by `run`"
# Objects between two updates of `migration.json`: an interrupted migration encodes at most so many again, and an update
# costs a request.
RECORDED_EVERY = 16
PIECE_ROWS = 1_000_000  # rows in memory at once: an object may have more than fit


class Migrated(msgspec.Struct, frozen=True):
    """What a migration did.

    Args:
        old: URI of the lake that was read.
        new: URI of the lake that was written.
        series: Name of its series.
        objects: Number of objects of the old lake's tables.
        size_bytes: Their total size.
        found: How many of them an interrupted migration had written already.
        seconds: Duration.
        notes: What the next run does.
    """

    old: str
    new: str
    series: str
    objects: int
    size_bytes: int
    found: int
    seconds: float
    notes: list[str]


def migrate_lake(settings: Settings, old_uri: str, new_uri: str, watch: Watch) -> Migrated:
    """Write a lake of this format from one of format 1.

    Args:
        settings: Options of the store and of the lease.
        old_uri: The lake of format 1; nothing is written there.
        new_uri: An empty place, or one where a migration of the same lake was interrupted.
        watch: Receives progress.

    Raises:
        SettingsError: There is no such lake, it has another format, or other objects are at the new place.
        StoreUnavailableError: A store did not answer, or a run changed the old lake during the migration.
        LeaseHeldError: Another migration or run holds the new lake.
    """
    began = time.perf_counter()
    old, new = Store(old_uri, settings.lake_storage), Store(new_uri, settings.lake_storage)
    check_apart(old, new)
    series = read_old_series(old)
    find_progress(old, new)  # before a lease is written to a place that is no migration's
    with hold_lease(new, settings.lake.lease_seconds, wait=False, note=watch.note) as token:
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
        raise SettingsError(found, "two separate places", "name another NEW: the old lake is only read")


def find_progress(old: Store, new: Store) -> MigrationFile | None:
    """Return the progress of an interrupted migration of the same lake; None if the new place is empty.

    Raises:
        SettingsError: Other objects are at the new place.
    """
    content = new.get(MIGRATION_FILE)
    if content is None:
        paths = [entry.path for entry in new.list() if not entry.path.startswith(OWN)]
        if paths:
            what = "a lake" if LAKE_FILE in paths else f"{len(paths):,} object{'s' if len(paths) > 1 else ''}"
            found = f"{what} at {new.uri}, with {paths[0]}"
            expected = "an empty place, or an interrupted migration of the same lake"
            raise SettingsError(found, expected, "name another NEW")
        return None
    try:
        progress = msgspec.json.decode(content, type=MigrationFile)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        hint = "name another NEW, or delete the objects there"
        expected = "the file that a migration has written"
        raise SettingsError(f"{MIGRATION_FILE} at {new.uri}: {error}", expected, hint) from error
    if Store(progress.old).place != old.place:
        found = f"an interrupted migration of {progress.old} at {new.uri}"
        raise SettingsError(found, f"a migration of {old.address}", "name another NEW, or the same OLD")
    return progress


def list_old(old: Store) -> list[Entry]:
    """Return the objects of all tables of a lake, sorted by path."""
    return sorted((entry for table in TABLES for entry in list_objects(old, table)), key=lambda entry: entry.path)


def describe_next(old: Store, new: Store) -> list[str]:
    """Describe what the next run computes, and why."""
    try:
        code = msgspec.json.decode(old.get(SUMMARY) or b"", type=_OldSummary).code
    except (msgspec.DecodeError, UnicodeDecodeError):
        code = {}
    before = {name: version for versions in code.values() for name, version in versions.items()}
    now = {f"stage {name}": str(version) for name, version in STAGES.items()}
    changes = f" ({describe_changes(before, now)})" if before else ""
    found = f"state is not migrated{changes}: the next run reads all raw files and computes everything again"
    return [f"{found}. Hint: `chandlery plan --lake {new.uri}` shows what that costs"]


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
        """Write the missing objects and then `lake.json`.

        Returns:
            The objects of the old lake, and how many of them the new one had already.

        Raises:
            StoreUnavailableError: A run changed the old lake during the migration.
        """
        progress = find_progress(self.old, self.new)  # again: under the lease no other migration writes there
        entries, listing = self._survey()
        written = {entry.path for entry in self.new.list()}
        if progress is not None and LAKE_FILE in written:  # the earlier migration was interrupted at its very end
            self._delete([MIGRATION_FILE])
            return entries, len(entries)
        if progress is None or progress.listing != listing:
            progress = MigrationFile(self.old.address, listing)
        self._put(MIGRATION_FILE, msgspec.json.encode(progress))
        wanted = [target for entry in entries if (target := self._find_target(entry.path))]
        pending = [
            (place, entry)
            for place, entry in enumerate(entries)
            if place >= progress.done or self._find_target(entry.path) not in written
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
        """Return the path of an object in the new lake; empty if its rows become part of one object with others.

        Raises:
            SettingsError: The object is of another exchange than the lake.
        """
        table, keys = path.partition("/")[0], parse_partition(path)
        if keys["exchange"] != self.series.exchange:
            found = f"{path} in a lake of {self.series.exchange}"
            raise SettingsError(found, "one exchange", "move it away: no run of that format has written it")
        if keys.get("symbol") != UNASSIGNED_SYMBOL:
            return partition_path(table, {**keys, **self.series.keys})
        return "" if table == "ledger" else partition_path(table, {**keys, **UNASSIGNED_KEYS})

    def _encode(self, pending: list[tuple[int, Entry]], progress: MigrationFile) -> None:
        """Write objects to the new lake, and record at intervals how many are done."""
        far = self.old if self.new.is_local else self.new
        self.watch.stage("migrate", len(pending))
        try:
            done = far.ask_ahead(lambda item: self._encode_object(item[1]), pending)
            for number, ((place, entry), _) in enumerate(zip(pending, done, strict=True), 1):
                self.watch.advance(entry.path)
                if number % RECORDED_EVERY == 0 and place >= progress.done:
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
        """Return the rows of an object of the old lake with the columns of this format.

        Raises:
            SettingsError: It has rows of another interval than the lake.
            StoreUnavailableError: It was replaced during the migration.
        """
        content = self.old.get_if_match(entry.path, entry.etag)
        if content is None:
            raise self._changed(f"{entry.path} at {self.old.uri}")
        rows = scan(content)
        if "interval" in rows.collect_schema().names():
            others = set(rows.select(pl.col("interval").unique()).collect()["interval"]) - {self.series.interval}
            if others:
                found = f"{entry.path} at {self.old.uri} with candles of {', '.join(sorted(map(str, others)))}"
                raise SettingsError(found, f"candles of {self.series.interval}", "restore it")
        return adapt(rows, TABLES[entry.path.partition("/")[0]])

    def _put_unassigned(self, entries: list[Entry]) -> list[str]:
        """Write the ledger of the files that belong to no series; return its path, or nothing if there are none."""
        ledgers = [entry for entry in entries if entry.path.startswith("ledger/")]
        if not ledgers:
            return []
        rows = pl.concat(self.old.ask_ahead(self._read_refused, ledgers))
        rows = rows.sort("source", "present", "modified_at", descending=[False, True, True])
        # Ledgers of two symbols may both have a file: the row of the newest version that is present counts.
        rows = rows.unique("source", keep="first", maintain_order=True)
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
        hint = "start the migration again when no run writes the old lake"
        expected = "a lake that does not change meanwhile"
        return StoreUnavailableError(f"{what} was changed during the migration", expected, hint)


def cut(rows: pl.LazyFrame) -> Iterator[pl.DataFrame]:
    """Yield the rows of an object in pieces that fit in memory."""
    height = rows.select(pl.len()).collect().item()
    for first in range(0, height, PIECE_ROWS):
        yield rows.slice(first, PIECE_ROWS).collect()
