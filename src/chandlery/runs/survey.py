"""The survey of the source: its files, and which of them differ from those that the last run ingested."""

import fnmatch
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from chandlery.errors import SettingsError, SourceError
from chandlery.lake.reading import read_partition
from chandlery.lake.store import Entry, Store
from chandlery.lake.tables import list_partitions
from chandlery.runs.belonging import (
    NO_PAIR,
    Belonging,
    PairName,
    check_parts,
    find_belonging,
    is_misplaced,
    list_exchanges,
)
from chandlery.runs.listing import CLOSED, list_source, split_source
from chandlery.runs.mixed import MixedFiles, restore_problem
from chandlery.runs.session import SeriesRun, Session, Years
from chandlery.schema import series_name
from chandlery.settings.model import Settings
from chandlery.sources.files import RawFile, list_members
from chandlery.sources.foreign import find_foreign
from chandlery.sources.symbols import refuse_name
from chandlery.state.fingerprints import INGEST_STAGES, fingerprint, name_code
from chandlery.state.records import Archive, Mixed, SymbolSummary
from chandlery.tasks.past import hash_reading

__all__ = ["Source", "describe_foreign", "name_foreign", "survey_source"]

SHOWN = 5  # files that a message names


@dataclass(frozen=True)
class Source:
    """The raw files of the source, by exchange and symbol.

    Args:
        store: The store that holds them.
        files: By pair, without files of unknown symbol; an empty tuple for a pair whose files are all missing.
        belonging: The pair of each file, and the files of unknown symbol.
        archives: The zip archives among them, by path.
        years: The years with candles, by series and symbol.
        session: The run.
        foreign: Files that are left out because their names say that they hold no candles, with what they are.
        mixed: The files whose rows tell to which series they belong; `files` has them for each of their pairs.
    """

    store: Store
    files: dict[PairName, tuple[RawFile, ...]]
    belonging: Belonging
    archives: dict[str, Archive]
    years: dict[str, Years]
    session: Session
    foreign: dict[str, str] = field(default_factory=dict)
    mixed: MixedFiles = field(default_factory=MixedFiles)

    @property
    def nameless(self) -> dict[RawFile, SourceError]:
        """Files of unknown symbol, with the reason."""
        return self.belonging.nameless

    @cached_property
    def code(self) -> dict[str, str]:
        """Versions of all code that candles depend on, by name."""
        return name_code(INGEST_STAGES)

    @cached_property
    def _reading(self) -> dict[str, object]:
        return self.session.settings.source.reading.model_dump(mode="json", exclude={"exchange"})

    def fingerprint(self, files: Iterable[RawFile]) -> str:
        """Return the hash of all that the ingest of files depends on: code, settings, and version of each file."""
        listed = [(raw.source, raw.size_bytes, raw.etag, round(raw.modified_at.timestamp() * 1000)) for raw in files]
        return fingerprint(self.code, self._reading, listed)

    def hash_version(self, raw: RawFile) -> Mixed:
        """Return the hashes of the version of a file and of the settings, without what a survey finds."""
        version = fingerprint(self.code, raw.size_bytes, raw.etag, round(raw.modified_at.timestamp() * 1000))
        return Mixed(version, hash_reading(self.session.settings.source.reading, raw.source))

    def list_unsurveyed(self) -> list[RawFile]:
        """Return the files whose rows may tell to which series they belong, and of which that is not known.

        These are new and changed files of unknown symbol, or whose rows belonged to several series, and refused ones
        under new settings; with `restate` all files under new settings.
        """
        unsurveyed = []
        for raw in (*self.mixed.files.values(), *self.nameless):
            known, now = self.mixed.known.get(raw.source), self.hash_version(raw)
            if known is None or known.version != now.version or known.waits or self._is_restated(raw, known, now):
                unsurveyed.append(raw)
        return unsurveyed

    def _is_restated(self, raw: RawFile, known: Mixed, now: Mixed) -> bool:
        """Return whether new settings may find other series in a file than the lake has."""
        if not known.parts or not self.session.options.restate:
            return not known.parts and known.reading != now.reading
        return known.reading != now.reading or is_misplaced(self.session, raw.source, known.parts)

    def place_mixed(self, raw: RawFile, before: Iterable[PairName]) -> None:
        """Put a file among the files of the pairs to which its rows belong.

        Args:
            raw: The file.
            before: The pairs to which rows of its last version belonged.
        """
        self.mixed.files[raw.source] = raw
        self.nameless.pop(raw, None)
        now, chosen = self.mixed.list_pairs(raw.source), self.session.only
        for pair in dict.fromkeys([*before, *now]):
            if not chosen or pair.symbol in chosen:
                others = [other for other in self.files.get(pair, ()) if other.source != raw.source]
                of_pair = [*others, raw] if pair in now else others
                self.files[pair] = tuple(sorted(of_pair, key=lambda each: each.source))
            if pair not in now and self.session.options.restate:
                self.belonging.moved[pair] = self.belonging.moved.get(pair, frozenset()) | {raw.source}

    def runs_of(self, pair: PairName) -> list[SeriesRun]:
        """Return the series of a pair's exchange that have its symbol."""
        return [
            run
            for run in self.session.series.values()
            if run.series.exchange == pair.exchange and self._is_known(run, pair.symbol)
        ]

    def _is_known(self, run: SeriesRun, symbol: str) -> bool:
        """Return whether the summary, the candles or the ledger of a series have a symbol."""
        return (
            symbol in run.summary.symbols
            or symbol in self.years.get(run.name, {})
            or (run.name, symbol) in self._ledgers
        )

    @cached_property
    def _ledgers(self) -> set[tuple[str, str]]:
        """Series and symbols of the table ledger; empty if there is a summary, which has them as well."""
        if self.session.summary.version or self.session.is_new:
            return set()
        parts = list_partitions(self.session.store, "ledger")
        return {(series_name(part), part["symbol"]) for part in parts}

    def has_lost(self, run: SeriesRun, symbol: str) -> bool:
        """Return whether objects of a symbol's candles that the last run published are missing."""
        known = run.summary.symbols.get(symbol)
        return known is not None and not set(known.years).issubset(self.years.get(run.name, {}).get(symbol, []))

    def pending(self) -> list[PairName]:
        """Return the pairs that are not up to date."""
        known = self.session.summary.pairs

        def is_pending(pair: PairName) -> bool:
            last = known.get(str(pair))
            if last is None or last.fingerprint != self.fingerprint(self.files[pair]):
                return True
            if self.session.options.restate and last.unassigned:
                return True
            return any(self._needs_ingest(run, pair.symbol) for run in self.runs_of(pair))

        return [pair for pair in sorted(self.files) if is_pending(pair)]

    def _needs_ingest(self, run: SeriesRun, symbol: str) -> bool:
        """Return whether a symbol needs an ingest although its files are those of the last run."""
        known, options = run.summary.symbols.get(symbol, SymbolSummary(is_whole=False)), self.session.options
        if not known.is_whole or self.has_lost(run, symbol):
            return True
        return (known.gone and run.prunes(symbol)) or (options.restate and bool(known.held_back or known.problems))

    @property
    def is_nameless_new(self) -> bool:
        """Whether the files of unknown symbol differ from those of the last run."""
        last = self.session.summary.pairs.get(str(NO_PAIR))
        if last is None:
            return bool(self.nameless)
        return last.fingerprint != self.fingerprint(sorted(self.nameless, key=lambda raw: raw.source))

    def is_up_to_date(self) -> bool:
        """Return whether there is nothing to ingest."""
        is_pruned = self.session.prunes_all and self.session.summary.unassigned.gone
        is_settled = self.belonging.remember(self.session.summary) == self.session.summary
        return is_settled and not self.pending() and not self.is_nameless_new and not is_pruned

    def fresh_bytes(self, pair: PairName) -> int:
        """Estimate how many bytes of a pair have to be read: those of files newer than all of the last run."""
        last = self.session.summary.pairs.get(str(pair))
        newest_ms = last.newest_file_ms if last and last.fingerprint else 0
        return sum(raw.size_bytes for raw in self.files[pair] if raw.modified_at.timestamp() * 1000 > newest_ms)


def survey_source(session: Session) -> Source:
    """List the source, and find the exchange and symbol of each file.

    Raises:
        SettingsError: No source is given, it is empty, it has no files of a symbol that the settings name, or the lake
            lies inside it.
    """
    uri = session.settings.source.uri
    if not uri:
        raise SettingsError("no source", "where the raw files are", "give --source URI or set [source] uri")
    folder, pattern = split_source(uri)
    lake, root = f"{Store(session.settings.lake.uri).place}/", f"{Store(folder).place}/"
    if lake.startswith(root) and (pattern == "*" or "**" in pattern):
        found = f"the lake {session.settings.lake.uri} lies inside the source {uri}"
        raise SettingsError(
            found, "a lake outside the source", "choose another --lake, or name the raw files by a glob"
        )
    store = Store(folder, session.settings.source_storage)
    listed, archives = _list_files(session, store, pattern)
    foreign = {} if pattern in {raw.path for raw in listed} else name_foreign(raw.source for raw in listed)
    raws = [raw for raw in listed if raw.source not in foreign]
    if not raws:
        left = f" but {describe_foreign(foreign)}" if foreign else ""
        raise SettingsError(f"no files at {uri}{left}", "files of candles", "check --source or [source] uri")
    mixed = MixedFiles(known=dict(session.summary.mixed))
    divided = [raw for raw in raws if mixed.list_pairs(raw.source)]
    belonging = find_belonging(session, store, [raw for raw in raws if not mixed.list_pairs(raw.source)])
    check_parts(session, {raw.source: mixed.known[raw.source].parts for raw in divided}, belonging.naming)
    restore_problems(mixed, belonging)
    files = dict(belonging.files)
    source = Source(store, {}, belonging, archives, session.list_years(), session, foreign, mixed)
    for pair in _list_known(source) | belonging.moved.keys():
        files.setdefault(pair, [])  # all its files are missing
    for raw in divided:
        mixed.files[raw.source] = raw
        for pair in mixed.list_pairs(raw.source):
            files.setdefault(pair, []).append(raw)
    symbols = {pair.symbol for pair in files}
    missing = sorted(set(session.settings.symbols) - symbols)
    if missing and not source.list_unsurveyed():  # whose rows may be of that symbol
        raise SettingsError(
            f"no files of {missing[0]} at {uri}", f"one of {', '.join(sorted(symbols)[:50])}", "check --symbol"
        )
    if session.only:
        files = {pair: of_pair for pair, of_pair in files.items() if pair.symbol in session.only}
    source.files.update({pair: tuple(sorted(of_pair, key=lambda raw: raw.source)) for pair, of_pair in files.items()})
    return source


def restore_problems(mixed: MixedFiles, belonging: Belonging) -> None:
    """Let files of unknown symbol be refused for what the last survey of their rows has found."""
    for raw in belonging.nameless:
        known = mixed.known.get(raw.source)
        if known is not None and known.problem:
            belonging.nameless[raw] = restore_problem(known.problem)


def name_foreign(sources: Iterable[str]) -> dict[str, str]:
    """Return the files whose names say that they hold no candles, with what they are."""
    return {source: kind for source in sources if (kind := find_foreign(source))}


def describe_foreign(foreign: Mapping[str, str]) -> str:
    """Return in words which files are left out."""
    first = sorted(foreign)[:SHOWN]
    more = f" and {len(foreign) - SHOWN:,} more" if len(foreign) > SHOWN else ""
    return f"{len(foreign):,} that hold no candles: {', '.join(f'{name} ({foreign[name]})' for name in first)}{more}"


def _list_files(session: Session, store: Store, pattern: str) -> tuple[list[RawFile], dict[str, Archive]]:
    """Return the files of the source, and the zip archives among them."""
    files: list[RawFile] = []
    archives: dict[str, Archive] = {}
    for entry in list_source(store, pattern):
        if entry.path.lower().endswith(".zip") and not is_excluded(entry.path, session.settings):
            archives[entry.path] = _open_archive(session, store, entry)
        files += _expand(entry, archives.get(entry.path))
    wanted = [raw for raw in files if not is_excluded(raw.source, session.settings)]
    closed = [raw.source for raw in wanted if raw.source.endswith(CLOSED)]
    if closed and session.options.prune:  # files in it would count as deleted
        refused = refuse_name(closed[0].rstrip("/"))
        raise SettingsError(f"--prune, and {refused.found}", refused.expected, refused.hint)
    return wanted, archives


def is_excluded(source: str, settings: Settings) -> bool:
    """Return whether the settings leave out a file.

    As in `[[source.layout]] files`, and other than in the glob of a source, * also stands for several folders: a
    pattern such as *.bak holds for files at any depth. That is what `fnmatch` does and the globs of `pathlib` do not.
    """
    return any(fnmatch.fnmatchcase(source, pattern) for pattern in settings.source.exclude)


def _list_known(source: Source) -> set[PairName]:
    """Return the pairs of the lake whose exchange files of the source may belong to."""
    session = source.session
    exchanges = list_exchanges(session)
    known = {(name, symbol) for name, run in session.series.items() for symbol in run.summary.symbols}
    known |= {(name, symbol) for name, symbols in source.years.items() for symbol in symbols}
    known |= {place for place in source._ledgers if place[0] in session.series}  # noqa: SLF001 - one module
    pairs = {PairName(session.series[name].series.exchange, symbol) for name, symbol in known if name in session.series}
    pairs |= {PairName(*name.split("/")) for name in session.summary.pairs if name}
    return {pair for pair in pairs if pair.exchange in exchanges}


def _open_archive(session: Session, store: Store, entry: Entry) -> Archive:
    """Return the members of a zip archive, which is opened only if its etag is not that of the last run.

    If it cannot be opened, they are those of its earlier version.
    """
    known = session.summary.archives.get(entry.path)
    if known is not None and known.etag == entry.etag and entry.etag:
        return known
    try:
        with store.open(entry.path, entry.size_bytes) as file:
            return Archive(entry.etag, list_members(file, entry.path))
    except SourceError:  # so that its members are refused one by one, and do not count as missing
        return Archive(entry.etag, known.members if known else _recall_members(session, entry.path))


def _recall_members(session: Session, path: str) -> list[str] | None:
    """Return the members of an archive from the ledger; None if it has none, or if the summary would have them."""
    if session.is_new or session.summary.version:
        return None
    store = session.store
    frames = [read_partition(store, "ledger", part, ("source",)) for part in list_partitions(store, "ledger")]
    names = [name for frame in frames if frame is not None for name in frame["source"]]
    return sorted(name.removeprefix(f"{path}!") for name in names if name.startswith(f"{path}!")) or None


def _expand(entry: Entry, archive: Archive | None) -> list[RawFile]:
    """Return the files of an object: the members of an archive, or else the object itself."""
    milliseconds = entry.modified_at.microsecond // 1000  # the precision of the ledger
    modified = entry.modified_at.replace(microsecond=milliseconds * 1000)
    if archive is None or archive.members is None:
        return [RawFile(entry.path, entry.path, None, entry.size_bytes, entry.etag, modified)]
    return [
        RawFile(f"{entry.path}!{member}", entry.path, member, entry.size_bytes, entry.etag, modified)
        for member in archive.members
    ]
