"""Name the exchange of candles that were ingested without one: objects are moved, and nothing is computed.

    exchange=unknown/interval=1m/…  ─►  exchange=NAME/interval=1m/…      of all tables, state and artefacts

`lake.json` is written first, with the new name as one that is being given, and last, with the series under it. The
steps in between can be repeated, because an object that has been moved is no longer listed under its former path.
Until the end, runs refuse the lake, with the command that completes the naming, and readers find each row under one of
the two names.

Files that belong to no series stay under `exchange=unknown/interval=unknown`.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
import polars as pl
from msgspec.structs import replace

from chandlery.errors import SettingsError
from chandlery.lake.lake_file import UNASSIGNED, UNNAMED, LakeFile, Series, find_lake_file, write_lake_file
from chandlery.lake.lease import LeaseToken, check_lease, hold_lease
from chandlery.lake.reading import explain_damage, scan_content
from chandlery.lake.staging import STAGING
from chandlery.lake.store import Store
from chandlery.lake.tables import encode
from chandlery.progress import Watch
from chandlery.runs.belonging import hash_naming
from chandlery.schema import TABLES
from chandlery.settings.model import Settings
from chandlery.state.paths import Paths
from chandlery.state.records import Mixed, Summary, read_summary, write_summary
from chandlery.units import normalise_exchange

__all__ = ["Named", "name_exchange"]

COPIES_AT_ONCE = 16  # the store copies, and this process waits
# Objects that are copied before their originals are deleted: in a bucket, at most so many exist under both names, and
# readers would count their rows twice.
OBJECTS_AT_ONCE = 256
ROOTS = (*(f"{table}/" for table in TABLES), "state/", "artefacts/")


class Named(msgspec.Struct, frozen=True):
    """The result of naming an exchange.

    Args:
        lake: URI of the lake.
        exchange: The name.
        series: Names of the series of the exchange.
        objects: How many objects were moved.
        seconds: Duration.
        notes: What the settings of later runs have to contain.
    """

    lake: str
    exchange: str
    series: list[str]
    objects: int
    seconds: float
    notes: list[str]


def name_exchange(settings: Settings, name: str, watch: Watch) -> Named:
    """Name the exchange of candles that were ingested without one, or complete an interrupted naming.

    Args:
        settings: The lake, options of its store and of its lease.
        name: Name of the exchange.
        watch: Receives progress.

    Raises:
        SettingsError: There is no lake, it has no such candles, or the name cannot be given.
        StoreUnavailableError: A store did not answer.
        LeaseHeldError: A run holds the lake.
    """
    began = time.perf_counter()
    if (name := normalise_exchange(name)) == UNNAMED:
        raise SettingsError(f"exchange {name!r}, which stands for none", "the name of an exchange", "as in kraken")
    find_lake_file(settings.lake.uri, settings.lake_storage)
    store = Store(settings.lake.uri, settings.lake_storage)
    with hold_lease(store, settings.lake.lease_seconds, wait=False, note=watch.note) as token:
        store.sweep()
        file = find_lake_file(settings.lake.uri, settings.lake_storage)
        check_name(store, file, name)
        renaming = Renaming(store, token, name, watch)
        renaming.write(replace(file, naming=name))
        objects = renaming.move_all()
        series = [replace(each, exchange=name) if each.exchange == UNNAMED else each for each in file.series]
        renaming.write_summary(_find_naming(settings, file, series))
        renaming.write(LakeFile(file.format, series))
    names = [each.name for each in series if each.exchange == name]
    seconds = round(time.perf_counter() - began, 3)
    return Named(store.uri, name, names, objects, seconds, describe_settings(file, name))


def check_name(store: Store, file: LakeFile, name: str) -> None:
    """Check that the exchange without a name can be given this one.

    Raises:
        SettingsError: It cannot.
    """
    exchanges = sorted({series.exchange for series in file.series})
    if file.naming and file.naming != name:
        hint = f"complete that first: `chandlery migrate --exchange {file.naming}`"
        found = f"an interrupted naming of the exchange {file.naming} at {store.uri}"
        raise SettingsError(found, f"a lake whose objects are all under one name, not {name}", hint)
    if UNNAMED not in exchanges:
        found = f"no candles of exchange={UNNAMED} at {store.uri}: those of {', '.join(exchanges) or 'no exchange'}"
        raise SettingsError(found, "candles whose exchange has no name", "there is nothing to do; or check --lake")
    if file.naming:
        return
    if name in exchanges or any(f"exchange={name}" in store.folders(root) for root in ROOTS):
        found = f"exchange {name} is in {store.uri} already"
        raise SettingsError(found, "a new name", "the candles of two exchanges are never merged: choose another name")
    if store.list(STAGING):
        found = f"a run on {store.uri} was interrupted while it published"
        hint = "`chandlery run`, with the settings of that run, finishes the publication; then name the exchange"
        raise SettingsError(found, "a lake whose last run has completed", hint)


def _find_naming(settings: Settings, file: LakeFile, series: list[Series]) -> dict[str, str]:
    """Return the hash of what decides the pair of a file, from `hash_naming`, by its value before the naming.

    It is empty for a lake with several exchanges: the next run then reads the pairs of files from the ledger.
    """
    before, now = ({each.exchange for each in of_lake} for of_lake in (file.series, series))
    return {hash_naming(settings, before): hash_naming(settings, now)} if len(now) == 1 else {}


def describe_settings(file: LakeFile, name: str) -> list[str]:
    """Describe what the settings of later runs have to contain."""
    notes = [f"sections [[series]] and --series call them {name}/… from now on"]
    if len({series.exchange for series in file.series}) > 1:
        hint = f'set [source] exchange = "{name}" for files whose layout does not name one'
        notes.append(f"the lake has several exchanges: {hint}")
    return notes


@dataclass(frozen=True)
class Renaming:
    """The naming of an exchange, under the lease of the lake.

    Args:
        store: The store of the lake.
        token: Token of the lease.
        name: Name of the exchange.
        watch: Receives progress.
    """

    store: Store
    token: LeaseToken
    name: str
    watch: Watch

    def write(self, file: LakeFile) -> None:
        """Write `lake.json`."""
        check_lease(self.store, self.token)
        write_lake_file(self.store, file)

    def move_all(self) -> int:
        """Move all objects of the series without an exchange, and return their number."""
        folders = [folder for root in ROOTS for folder in self._list_folders(root)]
        paths = [entry.path for folder in folders for entry in self.store.list(folder)]
        self.watch.stage("move", len(paths))
        try:
            for first in range(0, len(paths), OBJECTS_AT_ONCE):
                batch = paths[first : first + OBJECTS_AT_ONCE]
                for path in self.store.ask_ahead(self._move, batch, COPIES_AT_ONCE):
                    self.watch.advance(path)
                check_lease(self.store, self.token)
                self.store.delete_all(batch)
        finally:
            self.watch.end()
        for folder in folders:  # on a path: a bucket has no folders
            self.store.remove_folder(folder)
        for root in ROOTS:
            if not self.store.folders(f"{root}exchange={UNNAMED}/"):
                self.store.remove_folder(f"{root}exchange={UNNAMED}/")
        return len(paths)

    def _list_folders(self, root: str) -> Iterator[str]:
        above = f"{root}exchange={UNNAMED}/"
        stays = f"interval={UNASSIGNED.interval}"
        return (f"{above}{folder}/" for folder in self.store.folders(above) if folder != stays)

    def _move(self, path: str) -> str:
        """Write an object to its new path; in a bucket it stays under the former one as well."""
        target = path.replace(f"exchange={UNNAMED}/", f"exchange={self.name}/", 1)
        check_lease(self.store, self.token)
        if not path.startswith("models/"):
            self.store.move(path, target)
        elif (content := self.store.get(path)) is not None:
            self.store.put(target, self._rename_artefacts(path, content))
        return path

    def _rename_artefacts(self, path: str, content: bytes) -> bytes:
        """Return an object of the table of models, which has the paths of artefacts, with the new paths."""
        place = path.removeprefix("models/").rpartition("/")[0]
        before, now = (Paths(place.replace(UNNAMED, name, 1)).artefacts for name in (UNNAMED, self.name))
        with explain_damage(self.store, path):
            rows = scan_content(content, "models").collect()
        moved = pl.col("artefact").str.strip_prefix(before)
        named = pl.when(pl.col("artefact").str.starts_with(before)).then(now + moved).otherwise("artefact")
        return encode([rows.with_columns(artefact=named)]) or content

    def write_summary(self, naming: dict[str, str]) -> None:
        """Write the summary of the last run with the new names of series and pairs.

        Args:
            naming: From `_find_naming`.
        """
        summary = read_summary(self.store)
        if summary.version:
            check_lease(self.store, self.token)
            naming = {**naming, **{known: known for known in naming.values()}}  # if a naming was killed after this
            renamed = self._rename_summary(summary)
            write_summary(self.store, replace(renamed, naming=naming.get(summary.naming, "")))

    def _rename_summary(self, summary: Summary) -> Summary:
        def named(key: str) -> str:
            return f"{self.name}{key.removeprefix(UNNAMED)}" if key.startswith(f"{UNNAMED}/") else key

        series = {named(key): of_series for key, of_series in summary.series.items()}
        pairs = {named(key): pair for key, pair in summary.pairs.items()}
        stays = {source: named(key) for source, key in summary.stays.items()}
        mixed = {source: self._rename_parts(each) for source, each in summary.mixed.items()}
        return replace(summary, series=series, pairs=dict(sorted(pairs.items())), stays=stays, mixed=mixed)

    def _rename_parts(self, mixed: Mixed) -> Mixed:
        """Return where the rows of a file belong, with the new name of the exchange."""
        parts = [replace(part, exchange=self.name) if part.exchange == UNNAMED else part for part in mixed.parts]
        return replace(mixed, parts=parts)
