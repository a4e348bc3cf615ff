"""A name for the exchange of candles that came without one: their objects are moved, and nothing is computed.

    exchange=unknown/interval=1m/…  ─►  exchange=NAME/interval=1m/…      of all tables, state and artefacts

`lake.json` says first that the lake is being given a name, and last that its series have it. What is done in between
may be done again: an object that has been moved is not found under its former path. Until then runs refuse the lake,
and name the command that ends it; readers find each row under one of the two names.

Files that belong to no series stay where they are, under `exchange=unknown/interval=unknown`.
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
from chandlery.state.records import Summary, read_summary, write_summary
from chandlery.units import normalise_exchange

__all__ = ["Named", "name_exchange"]

AT_ONCE = 16  # copies: the store makes them, and this process waits
A_STRETCH = 256  # objects: so many at most stand under both names at the same time, in a bucket
ROOTS = (*(f"{table}/" for table in TABLES), "state/", "artefacts/")


class Named(msgspec.Struct, frozen=True):
    """What came of naming an exchange.

    Args:
        lake: URI of the lake.
        exchange: The name.
        series: The series that have it now.
        objects: How many objects were moved.
        seconds: How long it took.
        notes: What to know about it.
    """

    lake: str
    exchange: str
    series: list[str]
    objects: int
    seconds: float
    notes: list[str]


def name_exchange(settings: Settings, name: str, watch: Watch) -> Named:
    """Give a name to the exchange of candles that came without one, or end what was cut off.

    Args:
        settings: The lake, options of its store and of its lease.
        name: The exchange.
        watch: Receives progress.

    Raises:
        SettingsError: There is no lake, it has no such candles, or the name cannot be given.
        StoreUnavailableError: A store did not answer.
        LeaseHeldError: A run holds the lake.
    """
    began = time.perf_counter()
    if (name := normalise_exchange(name)) == UNNAMED:
        raise SettingsError(f"exchange {name!r}, which stands for none", "the name of an exchange", "as in kraken")
    find_lake_file(settings.lake.uri, settings.storage)
    store = Store(settings.lake.uri, settings.storage)
    with hold_lease(store, settings.lake.lease_seconds, wait=False) as token:
        store.sweep()
        file = find_lake_file(settings.lake.uri, settings.storage)
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
    """Check that a name can be given to the candles without one.

    Raises:
        SettingsError: It cannot.
    """
    held = sorted({series.exchange for series in file.series})
    if file.naming and file.naming != name:
        hint = f"end that first: `chandlery migrate --exchange {file.naming}`"
        found = f"the candles of {store.uri} are half way to the exchange {file.naming}"
        raise SettingsError(found, f"a lake whose objects stand under one name, not {name}", hint)
    if UNNAMED not in held:
        found = f"no candles of exchange={UNNAMED} at {store.uri}: those of {', '.join(held) or 'no exchange'}"
        raise SettingsError(found, "candles whose exchange has no name", "there is nothing to do; or check --lake")
    if file.naming:
        return
    if name in held or any(f"exchange={name}" in store.folders(root) for root in ROOTS):
        found = f"exchange {name} is in {store.uri} already"
        raise SettingsError(found, "a new name", "the candles of two exchanges are never put together: choose another")
    if store.list(STAGING):
        found = f"a run on {store.uri} was ended while it published"
        hint = "`chandlery run`, with the settings of that run, finishes it; then give the name"
        raise SettingsError(found, "a lake whose last run has ended well", hint)


def _find_naming(settings: Settings, file: LakeFile, series: list[Series]) -> dict[str, str]:
    """Return what decides where files belong once a lake has one exchange: its name, by what did so before.

    Of several exchanges, the settings still say what they said: the next run has to ask the ledger where files are.
    """
    before, now = ({each.exchange for each in found} for found in (file.series, series))
    return {hash_naming(settings, before): hash_naming(settings, now)} if len(now) == 1 else {}


def describe_settings(file: LakeFile, name: str) -> list[str]:
    """Return what the settings of later runs have to say."""
    notes = [f"sections [[series]] and --series call them {name}/… from now on"]
    if len({series.exchange for series in file.series}) > 1:
        hint = f'set [source] exchange = "{name}" for files of which nothing else names it'
        notes.append(f"the lake has several exchanges: {hint}")
    return notes


@dataclass(frozen=True)
class Renaming:
    """One renaming, under the lease of the lake.

    Args:
        store: The lake.
        token: Of the lease.
        name: The exchange.
        watch: Receives progress.
    """

    store: Store
    token: LeaseToken
    name: str
    watch: Watch

    def write(self, file: LakeFile) -> None:
        """Put `lake.json`."""
        check_lease(self.store, self.token)
        write_lake_file(self.store, file)

    def move_all(self) -> int:
        """Move all objects of the series without an exchange; return how many there were."""
        folders = [folder for root in ROOTS for folder in self._list_folders(root)]
        paths = [entry.path for folder in folders for entry in self.store.list(folder)]
        self.watch.stage("move", len(paths))
        try:
            for first in range(0, len(paths), A_STRETCH):
                stretch = paths[first : first + A_STRETCH]
                for path in self.store.ask_ahead(self._move, stretch, AT_ONCE):
                    self.watch.advance(path)
                check_lease(self.store, self.token)
                self.store.delete_all(stretch)
        finally:
            self.watch.end()
        for folder in folders:  # on a path; buckets have none
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
        """Put an object under its new path; in a bucket it also stays under the former one."""
        target = path.replace(f"exchange={UNNAMED}/", f"exchange={self.name}/", 1)
        check_lease(self.store, self.token)
        if not path.startswith("models/"):
            self.store.move(path, target)
        elif (content := self.store.get(path)) is not None:
            self.store.put(target, self._rename_artefacts(path, content))
        return path

    def _rename_artefacts(self, path: str, content: bytes) -> bytes:
        """Return an object of the table of models, which names artefacts by their paths, with the new ones."""
        place = path.removeprefix("models/").rpartition("/")[0]
        before, now = (Paths(place.replace(UNNAMED, name, 1)).artefacts for name in (UNNAMED, self.name))
        with explain_damage(self.store, path):
            rows = scan_content(content, "models").collect()
        moved = pl.col("artefact").str.strip_prefix(before)
        named = pl.when(pl.col("artefact").str.starts_with(before)).then(now + moved).otherwise("artefact")
        return encode([rows.with_columns(artefact=named)]) or content

    def write_summary(self, naming: dict[str, str]) -> None:
        """Put the summary of the last run with the names that series and pairs have now.

        Args:
            naming: By the hash of what decided where files belong, that of what does now; others are not known.
        """
        summary = read_summary(self.store)
        if summary.version:
            check_lease(self.store, self.token)
            naming = {**naming, **{known: known for known in naming.values()}}  # of one that was killed after this
            renamed = self._rename_summary(summary)
            write_summary(self.store, replace(renamed, naming=naming.get(summary.naming, "")))

    def _rename_summary(self, summary: Summary) -> Summary:
        def named(key: str) -> str:
            return f"{self.name}{key.removeprefix(UNNAMED)}" if key.startswith(f"{UNNAMED}/") else key

        series = {named(key): held for key, held in summary.series.items()}
        pairs = {named(key): held for key, held in summary.pairs.items()}
        stays = {source: named(key) for source, key in summary.stays.items()}
        return replace(summary, series=series, pairs=dict(sorted(pairs.items())), stays=stays)
