"""The probes of `check`: whether source, lake, models and engine are reachable and permitted."""

import datetime as dt
import secrets
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import msgspec

from chandlery.engines import open_engine
from chandlery.engines.local import WORTH_A_PROCESS
from chandlery.errors import ChandleryError, SettingsError, SourceError
from chandlery.extensions import model_names, read_bundles
from chandlery.grid import Grid
from chandlery.lake.conditions import check_conditions, check_locks
from chandlery.lake.extents import measure_table
from chandlery.lake.lake_file import check_named, list_series, read_lake_file
from chandlery.lake.store import Entry, Store
from chandlery.progress import Silent
from chandlery.runs.founding import join_minutes
from chandlery.runs.inspection import Group, inspect
from chandlery.runs.listing import list_source, split_source
from chandlery.runs.run_report import Options
from chandlery.runs.session import Session
from chandlery.runs.survey import describe_foreign, survey_source
from chandlery.runs.unmatched import name_unmatched_layouts, name_unmatched_sections
from chandlery.settings.model import EngineSettings, Settings

__all__ = ["Probe", "check"]

FindFiles = Callable[[], tuple[Store, list[Entry]]]
INGEST_FIRST = "run `chandlery ingest` first"
LATE_HINT = "check whether the files of the day have arrived at the source, then run `chandlery ingest`"
PROBES = 4  # tasks of the engine's probe: enough to reach more than one executor


class Probe(msgspec.Struct, frozen=True):
    """The result of a probe.

    Args:
        name: What was probed.
        ok: Whether it succeeded.
        found: What was found, in words.
        hint: What to do, if it failed.
        exit_code: The exit code of its error; 0 if it succeeded.
        groups: How the files of the source would be read, of the probe `files`.
    """

    name: str
    ok: bool
    found: str
    hint: str = ""
    exit_code: int = 0
    groups: list[Group] = []


def check(settings: Settings, until: dt.date | None = None) -> list[Probe]:
    """Probe the source, the lake, the models and the engine. Leaves no objects and no folders behind.

    Args:
        settings: From `load_settings`.
        until: Each series must have candles up to the start of this UTC day; not probed if None.
    """
    find_files = cache(partial(_find_files, settings))  # two probes need the listing, which takes long
    with _leave_no_folder(settings):
        return [
            Probe("settings", ok=True, found=settings.origins.described),
            _probe("source", lambda: _list(settings, find_files)),
            _inspect(settings),
            _probe("lake: read", lambda: _read(settings)),
            _probe("lake: write", lambda: _write(settings)),
            _probe("models", partial(_name_models, settings)),
            _probe("engine", lambda: _work(settings, find_files)),
            *([] if until is None else [_probe("fresh", lambda: _find_newest(settings, until))]),
        ]


@contextmanager
def _leave_no_folder(settings: Settings) -> Iterator[None]:
    """Delete the folders that probes create for a lake that does not exist yet, and those above it."""
    made: list[Path] = []
    with suppress(ChandleryError):  # the probes of the lake report errors of its URI
        store = _open_lake(settings)
        made = [path for path in (store.root, *store.root.parents) if not path.exists()] if store.is_local else []
    try:
        yield
    finally:
        with suppress(OSError):  # somebody else has written to the folder
            for path in made:
                if path.exists():
                    path.rmdir()


def _probe(name: str, look: Callable[[], str]) -> Probe:
    try:
        return Probe(name, ok=True, found=look())
    except ChandleryError as error:
        return Probe(name, ok=False, found=error.found, hint=error.hint, exit_code=error.exit_code)


def _inspect(settings: Settings) -> Probe:
    """Show how the files of the source would be read. It is ok only if a run would refuse none."""
    here = settings.model_copy(update={"engine": EngineSettings(name="local", workers=1)})
    with tempfile.TemporaryDirectory() as folder:
        if not here.lake.uri:
            here = here.model_copy(update={"lake": here.lake.model_copy(update={"uri": f"{folder}/lake"})})
        try:
            source = survey_source(Session(here, Options(), Silent()))
            groups = inspect(source)
        except ChandleryError as error:
            return Probe("files", ok=False, found=error.found, hint=error.hint, exit_code=error.exit_code)
    looked_at, count = (sum(group.looked_at for group in groups), sum(group.files for group in groups))
    found = f"{count:,} in {len(groups):,} group{'' if len(groups) == 1 else 's'}, {looked_at:,} of them looked at"
    refused = sum(doubt.files for group in groups for doubt in group.doubts)
    notes = [f"left out {describe_foreign(source.foreign)}"] if source.foreign else []
    if not refused:
        return Probe("files", ok=True, found="; ".join([f"{found}: a run would read them", *notes]), groups=groups)
    notes.insert(0, f"{found}: a run would refuse {refused:,}")
    return Probe("files", ok=False, found="; ".join(notes), exit_code=SourceError.exit_code, groups=groups)


def _name_probe() -> str:
    """Return the path of a temporary object."""
    return f"_probe/{secrets.token_hex(8)}"


def _list(settings: Settings, find_files: FindFiles) -> str:
    if not settings.source.uri:
        raise SettingsError("no source", "where the raw files are", "give --source URI or set [source] uri")
    store, entries = find_files()
    if not entries:
        raise SettingsError(f"no files at {settings.source.uri}", "files of candles", "check --source or [source] uri")
    with store.open(entries[0].path) as file:
        file.read(1)
    paths = [entry.path for entry in entries]
    has_archives = any(
        path.lower().endswith(".zip") for path in paths
    )  # layouts may apply to their members, which are not listed
    notes = [] if has_archives else name_unmatched_layouts(settings.source, paths)
    return "; ".join([f"{len(entries):,} files, {sum(entry.size_bytes for entry in entries) / 1e6:,.1f} MB", *notes])


def _name_models(settings: Settings) -> str:
    return ", ".join(settings.forecast.models or model_names(read_bundles(settings.forecast.extensions)))


def _work(settings: Settings, find_files: FindFiles) -> str:
    """Have the engine's processes read from the source and the lake, and write to the lake."""
    lake, mark, seen = _open_lake(settings), _name_probe(), []
    with suppress(ChandleryError):  # the probe of the source reports its errors
        source, entries = find_files()
        seen = [(source, entry.path) for entry in entries[:1]]
    lake.put(mark, b"")
    try:
        with open_engine(settings.engine.name, settings.engine.workers, settings.engine.spark) as engine:
            costs = [WORTH_A_PROCESS] * PROBES  # so that processes start, as they do in a run
            hosts = engine.map(_look, [_View(lake, ((lake, mark), *seen))] * PROBES, costs, lambda _: None)
    finally:
        lake.delete(mark)
    return f"{settings.engine.name} on {', '.join(sorted(set(hosts)))}"


@dataclass(frozen=True)
class _View:
    """A task of the engine's probe: the lake to write to, and the objects that a process must find."""

    lake: Store
    seen: tuple[tuple[Store, str], ...]

    def __str__(self) -> str:
        return "a probe of source and lake"


def _look(view: _View) -> str:
    host, path = socket.gethostname(), _name_probe()
    for store, name in view.seen:
        if store.head(name) is None:
            raise SettingsError(
                f"a process of the engine on {host} does not see {name} at {store.uri}",
                "the objects that this machine sees there",
                "use a bucket, or a folder that all machines share",
            )
    view.lake.put(path, b"")
    view.lake.delete(path)
    return host


def _find_files(settings: Settings) -> tuple[Store, list[Entry]]:
    folder, pattern = split_source(settings.source.uri)
    store = Store(folder, settings.source_storage)
    entries = list_source(store, pattern)
    return store, [
        entry for entry in entries if not entry.path.endswith("/")
    ]  # a folder marker: a run refuses it by name


def _open_lake(settings: Settings) -> Store:
    if not settings.lake.uri:
        raise SettingsError("no lake", "where to write", "give --lake URI or set [lake] uri")
    return Store(settings.lake.uri, settings.lake_storage)


def _read(settings: Settings) -> str:
    store = _open_lake(settings)
    file = read_lake_file(store)
    if file is None:
        return f"there is no lake at {store.uri} yet: `chandlery run` creates one"
    check_named(file, store.uri)
    described = [
        f"{each.name}: horizons {join_minutes(each.horizons)}, models {', '.join(each.models)}"
        for each in list_series(file)
    ] or ["no series yet: every file was refused"]
    return "; ".join(described + name_unmatched_sections(settings, [series.name for series in file.series]))


def _find_newest(settings: Settings, until: dt.date) -> str:
    """Check that the newest candle of each series closes at the start of a UTC day, or later.

    If no candle of a series closes at that moment, as with weekly candles, the last one before it must exist.

    Raises:
        SettingsError: There is no candle, or the newest candle of a series is too old.
    """
    store, moment = _open_lake(settings), dt.datetime.combine(until, dt.time(), dt.UTC)
    file = read_lake_file(store)
    if file is None or not file.series:
        raise SettingsError(f"no candle at {store.uri}", f"candles until {until} 00:00 UTC", INGEST_FIRST)
    described, late = [], []
    for series in list_series(file):
        newest = measure_table(store, "candles", series.keys).last
        name = f"{series.name}: " if len(file.series) > 1 else ""
        closes = newest + dt.timedelta(seconds=series.grid.seconds) if newest else None
        described.append(
            f"{name}the newest candle closes at {closes:%Y-%m-%d %H:%M} UTC" if closes else f"{name}no candle"
        )
        if closes is None or closes < _find_due(series.grid, moment):
            late.append(described[-1])
    if late:
        raise SettingsError(f"{'; '.join(late)}, before {until}", "", LATE_HINT)
    return "; ".join(described)


def _find_due(grid: Grid, moment: dt.datetime) -> dt.datetime:
    """Return the last time at or before a moment at which a candle closes.

    Example:
        >>> monday_weeks = Grid(604_800, 345_600)
        >>> _find_due(monday_weeks, dt.datetime(2019, 1, 3, tzinfo=dt.UTC)).isoformat()
        '2018-12-31T00:00:00+00:00'
    """
    return moment - dt.timedelta(seconds=(int(moment.timestamp()) - grid.offset) % grid.seconds)


def _write(settings: Settings) -> str:
    store = _open_lake(settings)
    path = _name_probe()
    if store.is_local:
        check_locks(store.root)
    etag = store.put_if_absent(path, b"one")
    try:
        if not store.is_local:
            check_conditions(store, path, b"three")
            if etag is None or store.put_if_match(path, b"two", etag) is None:
                found = f"{store.uri} did not put an object although its condition held"
                hint = "use another store: the lease of a run needs them"
                raise SettingsError(found, "a store with conditional puts", hint)
    finally:
        store.delete(path)
    return "put, conditional put and delete are allowed"
