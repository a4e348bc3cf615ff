"""What there is to ingest: the files of the source compared with the summary of the last run."""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

from msgspec.structs import replace

from chandlery.config import to_interval_text
from chandlery.errors import SettingsError, SourceError, StoreUnavailableError
from chandlery.listing import list_source, split_source
from chandlery.session import Session
from chandlery.sources.files import Peek, RawFile, list_members, peek_file
from chandlery.sources.symbols import find_symbol
from chandlery.state.fingerprints import INGEST_STAGES, fingerprint, name_code
from chandlery.state.records import Archive, SymbolSummary
from chandlery.storage import Entry, Store
from chandlery.tables import list_partitions, read_partition
from chandlery.tasks.ingest import UNKNOWN, IngestResult, IngestTask

__all__ = ["Source", "survey_source"]

LOOKED_AT = 5
MOST_LOOKED_AT = 50
DEFAULT_INTERVAL = "1m"


@dataclass(frozen=True)
class Source:
    """The raw files of the source, by symbol.

    Args:
        store: The store that holds them.
        files: By symbol; an empty tuple for a symbol whose files are all gone.
        archives: The zip archives among them, by path.
        years: Years for which the table of candles has objects, by symbol.
        session: The run.
        unassigned: Files whose symbol is not known.
    """

    store: Store
    files: dict[str, tuple[RawFile, ...]]
    archives: dict[str, Archive]
    years: dict[str, list[int]]
    session: Session
    unassigned: frozenset[str]

    @cached_property
    def code(self) -> dict[str, str]:
        """Versions of all code that candles depend on."""
        return name_code(INGEST_STAGES)

    @cached_property
    def interval(self) -> str:
        """The interval of the lake; for a new lake, the most frequent one among the largest files."""
        if self.session.lake_file is not None:
            return self.session.lake_file.interval
        votes: Counter[int] = Counter()
        largest = sorted((file for files in self.files.values() for file in files), key=lambda file: -file.size_bytes)
        for file in largest[:MOST_LOOKED_AT]:
            if (peek := self.look(file)) and peek.interval_seconds:
                votes[peek.interval_seconds] += 1
            if votes.total() == LOOKED_AT:
                break
        if not votes:
            return (
                DEFAULT_INTERVAL  # files too small to show one are read on this; unreadable files are refused by name
            )
        return to_interval_text(min(votes, key=lambda seconds: (-votes[seconds], seconds)))

    def look(self, file: RawFile) -> Peek | None:
        """Return what the first rows of a file show; None if it cannot be read."""
        try:
            with self.store.open(file.path, file.size_bytes) as opened:
                return peek_file(opened, file, self.session.settings.source)
        except (SettingsError, StoreUnavailableError):
            raise
        except Exception:  # noqa: BLE001 - a file that cannot be opened is refused by name when it is read
            return None

    def fingerprint(self, symbol: str) -> str:
        """Return the hash of what a symbol's ingest rests on."""
        files = [(file.source, file.size_bytes, file.etag, round(file.modified_at.timestamp() * 1000)) for file in self.files[symbol]]
        reading = self.session.settings.source.reading.model_dump(mode="json", exclude={"exchange"})  # that is the lake's
        return fingerprint(self.code, self.interval, reading, files)

    def has_lost(self, symbol: str) -> bool:
        """Return whether objects of a symbol's candles are missing that the last run published."""
        held = self.session.summary.symbols.get(symbol)
        return held is not None and not set(held.years).issubset(self.years.get(symbol, []))

    def pending(self) -> list[str]:
        """Return the symbols that are not up to date."""
        held, options = self.session.summary.symbols, self.session.options

        def is_pending(symbol: str) -> bool:
            known = held.get(symbol)
            if known is None or known.fingerprint != self.fingerprint(symbol) or self.has_lost(symbol):
                return True
            return (options.prune and known.gone) or (options.restate and bool(known.held_back or known.problems))

        return [symbol for symbol in sorted(self.files) if is_pending(symbol)]

    def fresh_bytes(self, symbol: str) -> int:
        """Return roughly how many bytes of a symbol have to be read: those of files newer than any known one."""
        held = self.session.summary.symbols.get(symbol)
        newest_ms = held.newest_file_ms if held and held.fingerprint else 0
        return sum(file.size_bytes for file in self.files[symbol] if file.modified_at.timestamp() * 1000 > newest_ms)

    def task(self, symbol: str) -> IngestTask:
        """Return the task of a symbol that is not up to date."""
        session = self.session
        return IngestTask(
            lake=session.lake,
            source=self.store,
            settings=session.settings.source.reading,
            symbol=symbol,
            files=self.files[symbol],
            code=fingerprint(self.code),
            prune=session.options.prune,
            restate=session.options.restate,
            reread=self.has_lost(symbol),
            unassigned=self.unassigned if session.options.prune else frozenset(),
            unfinished=symbol in session.summary.symbols and not session.summary.symbols[symbol].fingerprint,
        )

    def mark_begun(self, symbols: list[str]) -> None:
        """Store that the ingest of these symbols has begun: if it is killed, they are not up to date whatever their files."""
        held = self.session.summary.symbols
        if begun := {symbol: replace(held[symbol], fingerprint="") for symbol in symbols if symbol in held}:
            self.session.keep(replace(self.session.summary, symbols=held | begun))

    def summarise(self, found: IngestResult) -> SymbolSummary:
        """Return the summary of a symbol after its ingest."""
        files = self.files[found.symbol]
        return SymbolSummary(
            fingerprint=self.fingerprint(found.symbol),
            candles=found.candles,
            first_day=found.first_day,
            newest_ms=found.newest_ms,
            years=found.years,
            newest_file_ms=max((round(file.modified_at.timestamp() * 1000) for file in files), default=0),
            problems=found.problems,
            gone=found.gone,
            held_back=found.held_back,
        )


def survey_source(session: Session) -> Source:
    """List the source and find the symbol of each file.

    Raises:
        SettingsError: No source is named, it is empty, or the lake lies inside it.
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
    store = Store(folder, session.settings.storage)
    files: dict[str, list[RawFile]] = {}
    archives: dict[str, Archive] = {}
    for entry in list_source(store, pattern):
        if entry.path.lower().endswith(".zip"):
            archives[entry.path] = _open_archive(session, store, entry)
        for raw in _expand(entry, archives.get(entry.path)):
            files.setdefault(_symbol_of(session, raw), []).append(raw)
    if not files:
        raise SettingsError(f"no files at {uri}", "CSV or JSON files of candles", "check --source or [source] uri")
    years = session.list_years()
    for symbol in _list_known(session, years):
        files.setdefault(symbol, [])  # all its files are gone
    if missing := sorted(set(session.settings.symbols) - set(files)):
        raise SettingsError(
            f"no files of {missing[0]} at {uri}", f"one of {', '.join(sorted(files)[:50])}", "check --symbol"
        )
    unassigned = frozenset(raw.source for raw in files.get(UNKNOWN, []))
    if session.only:
        files = {symbol: found for symbol, found in files.items() if symbol in session.only}
    by_symbol = {symbol: tuple(sorted(found, key=lambda raw: raw.source)) for symbol, found in files.items()}
    return Source(store, by_symbol, archives, years, session, unassigned)


def _list_known(session: Session, years: dict[str, list[int]]) -> set[str]:
    """Return the symbols in the summary and the table of candles, and in the ledger if the summary is lost."""
    known = {*session.summary.symbols, *years}
    if not session.summary.version and session.lake_file is not None:
        known |= {
            part["symbol"]
            for part in list_partitions(session.store, "ledger", session.lake_file.keys)
        }
    return known


def _open_archive(session: Session, store: Store, entry: Entry) -> Archive:
    """Return the members of a zip archive; it is opened only if its etag is not known.

    If it cannot be opened, they are those of its earlier version.
    """
    known = session.summary.archives.get(entry.path)
    if known is not None and known.etag == entry.etag and entry.etag:
        return known
    try:
        with store.open(entry.path, entry.size_bytes) as file:
            return Archive(entry.etag, list_members(file, entry.path))
    except SourceError:  # the members of the version in force are refused one by one: none of them is gone
        return Archive(entry.etag, known.members if known else _recall_members(session, entry.path))


def _recall_members(session: Session, path: str) -> list[str] | None:
    """Return the members of an archive that the ledger names, where the summary does not; None if it names none."""
    if session.lake_file is None or session.summary.version:
        return None
    store, keys = session.store, session.lake_file.keys
    parts = list_partitions(store, "ledger", keys)
    frames = [read_partition(store, "ledger", {**keys, "symbol": part["symbol"]}, ("source",)) for part in parts]
    names = [name for frame in frames if frame is not None for name in frame["source"]]
    return sorted(name.removeprefix(f"{path}!") for name in names if name.startswith(f"{path}!")) or None


def _expand(entry: Entry, archive: Archive | None) -> list[RawFile]:
    """Return the files of an object: the members of an archive, otherwise the object itself."""
    milliseconds = entry.modified_at.microsecond // 1000  # the precision of the ledger
    modified = entry.modified_at.replace(microsecond=milliseconds * 1000)
    if archive is None or archive.members is None:
        return [RawFile(entry.path, entry.path, None, entry.size_bytes, entry.etag, modified)]
    return [
        RawFile(f"{entry.path}!{member}", entry.path, member, entry.size_bytes, entry.etag, modified)
        for member in archive.members
    ]


def _symbol_of(session: Session, raw: RawFile) -> str:
    try:
        return find_symbol(raw.source, session.settings.source)
    except SourceError:
        return UNKNOWN
