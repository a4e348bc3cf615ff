"""What there is to do, found without doing it: files against records, candles against checkpoints."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version

from chandlery.checkpoints import Past, Span, checkpoint_days, checkpoint_fingerprint, fingerprint, lead_days, restart_day
from chandlery.clean import ALGORITHM as CLEAN_ALGORITHM
from chandlery.config import parse_minutes, to_interval_text
from chandlery.errors import SettingsError, SourceError, StoreUnavailableError
from chandlery.features import ALGORITHM as FEATURES_ALGORITHM
from chandlery.features import extension_digest
from chandlery.gaps import ALGORITHM as GAPS_ALGORITHM
from chandlery.lake import Lake, LakeFile
from chandlery.market import ALGORITHM as MARKET_ALGORITHM
from chandlery.models import open_models
from chandlery.records import read_past, read_record, read_summary
from chandlery.scores import ALGORITHM as SCORES_ALGORITHM
from chandlery.served import ALGORITHM as SERVED_ALGORITHM
from chandlery.session import Session
from chandlery.sources.files import Peek, RawFile, list_members, peek_file
from chandlery.sources.symbols import find_symbol
from chandlery.storage import Entry, Store, list_source, split_source
from chandlery.tables import list_partitions
from chandlery.tasks.ingest import UNKNOWN, IngestTask, to_record

__all__ = ["Source", "forecast_base", "market_references", "plan_span", "read_pasts", "refusals", "survey_source"]

LOOKED_AT = 5
MOST_LOOKED_AT = 50
DEFAULT_INTERVAL = "1m"
LIBRARIES = ("numpy", "numba", "polars", "lightgbm")


@dataclass(frozen=True)
class Source:
    """The raw files that are there, by symbol."""

    store: Store
    files: dict[str, tuple[RawFile, ...]]
    session: Session

    @cached_property
    def interval(self) -> str:
        """The interval of the lake, or of most of the largest files where there is no lake yet."""
        if self.session.lake_file is not None:
            return self.session.lake_file.interval
        votes: Counter[int] = Counter()
        largest = sorted((file for files in self.files.values() for file in files), key=lambda file: -file.size_bytes)
        for file in largest[:MOST_LOOKED_AT]:
            if (peek := self._look(file)) and peek.interval_seconds:
                votes[peek.interval_seconds] += 1
            if votes.total() == LOOKED_AT:
                break
        if not votes:
            return DEFAULT_INTERVAL  # files too small to tell are read on it; unreadable ones are refused, each by name
        return to_interval_text(min(votes, key=lambda seconds: (-votes[seconds], seconds)))

    def _look(self, file: RawFile) -> Peek | None:
        try:
            with self.store.open(file.path) as opened:
                return peek_file(opened, file, self.session.settings.source)
        except (SettingsError, StoreUnavailableError):
            raise
        except Exception:  # noqa: BLE001 - a file that cannot be looked at is refused by name when it is read
            return None

    def fingerprint(self, symbol: str, lake_file: LakeFile) -> str:
        """Return the hash of what a symbol's ingest rests on."""
        settings = self.session.settings.source.model_dump(mode="json", exclude={"uri", "max_rejected_share"})
        files = [to_record(file) for file in self.files[symbol]]
        return fingerprint(CLEAN_ALGORITHM, version("polars"), lake_file.interval, settings, files, [] if self.session.options.prune else self._gone(symbol))

    def _gone(self, symbol: str) -> list[str]:
        record = read_record(self.session.store, symbol)
        present = {file.source for file in self.files[symbol]}
        return [file.source for file in record.files if file.source not in present] if record else []

    def fresh(self, symbol: str) -> list[RawFile]:
        """Return a symbol's files that are new or changed."""
        record = read_record(self.session.store, symbol)
        known = {file.source: file.etag for file in record.files} if record else {}
        return [raw for raw in self.files[symbol] if known.get(raw.source) != raw.etag]

    def changes_from(self, symbol: str) -> int:
        """Return the earliest moment that a symbol's new or changed files touch, as far as their first rows and what is known of them tell."""
        record = read_record(self.session.store, symbol)
        known = {file.source: file.first_ms for file in record.files if file.first_ms is not None} if record else {}
        fresh = self.fresh(symbol)
        seen = [peek.first_ms for raw in fresh if (peek := self._look(raw)) and peek.first_ms is not None]
        changed = [known[raw.source] for raw in fresh if raw.source in known]
        return min(seen + changed or known.values(), default=0)

    def tasks(self, lake: Lake) -> list[IngestTask]:
        """Return a task for each symbol that is not up to date."""
        settings, prune = self.session.settings.source, self.session.options.prune
        tasks = []
        for symbol, files in sorted(self.files.items()):
            now = self.fingerprint(symbol, lake.file)
            record = read_record(lake.store, symbol)
            if record is None or record.fingerprint != now:
                tasks.append(IngestTask(lake, self.store, settings, symbol, files, now, prune))
        return tasks


def survey_source(session: Session) -> Source:
    """List the source and tell whose each file is.

    Raises:
        SettingsError: There is no source, or nothing in it.
    """
    uri = session.settings.source.uri
    if not uri:
        raise SettingsError("no source", "where the raw files are", "give --source URI or set [source] uri")
    folder, pattern = split_source(uri)
    lake, root = f"{Store(session.settings.lake.uri).place}/", f"{Store(folder).place}/"
    if lake.startswith(root) and (pattern == "*" or "**" in pattern):
        raise SettingsError(f"the lake {session.settings.lake.uri} lies inside the source {uri}", "a lake beside it", "choose another --lake, or name the raw files by a glob")
    store = Store(folder, session.settings.storage)
    files: dict[str, list[RawFile]] = {}
    for entry in list_source(store, pattern):
        for raw in _expand(store, entry):
            files.setdefault(_symbol_of(session, raw), []).append(raw)
    if not files:
        raise SettingsError(f"no files at {uri}", "CSV or JSON files of candles", "check --source or [source] uri")
    for symbol in read_summary(session.store).symbols:
        files.setdefault(symbol, [])  # all its files are gone
    if missing := sorted(set(session.settings.symbols) - set(files)):
        raise SettingsError(f"no files of {missing[0]} at {uri}", f"one of {', '.join(sorted(files)[:50])}", "check --symbol")
    if session.only:
        files = {symbol: found for symbol, found in files.items() if symbol in session.only}
    return Source(store, {symbol: tuple(sorted(found, key=lambda raw: raw.source)) for symbol, found in files.items()}, session)


def _expand(store: Store, entry: Entry) -> Iterator[RawFile]:
    modified = entry.modified_at.replace(microsecond=entry.modified_at.microsecond // 1000 * 1000)  # as the ledger keeps it
    whole = RawFile(entry.path, entry.path, None, entry.size_bytes, entry.etag, modified)
    if not entry.path.lower().endswith(".zip"):
        yield whole
        return
    try:
        with store.open(entry.path) as file:
            members = list_members(file, entry.path)
    except SourceError:
        yield whole
        return
    for member in members:
        yield RawFile(f"{entry.path}!{member}", entry.path, member, entry.size_bytes, entry.etag, modified)


def _symbol_of(session: Session, raw: RawFile) -> str:
    try:
        return find_symbol(raw.source, session.settings.source)
    except SourceError:
        return UNKNOWN


def refusals(session: Session, symbols: list[str]) -> dict[str, list[str]]:
    """Return what is refused in the input of each symbol, as messages."""
    share = session.settings.source.max_rejected_share
    found: dict[str, list[str]] = {}
    for symbol in symbols:
        record = read_record(session.store, symbol)
        for file in record.files if record else []:
            if file.problem:
                found.setdefault(symbol, []).append(file.problem)
            elif file.rejected_share > share:
                text = f"{file.source}: {file.rejected_share:.1%} of its rows were refused, more than {share:.1%}. Hint: see `chandlery explain {symbol}`"
                found.setdefault(symbol, []).append(text)
    return found


def read_pasts(store: Store, symbols: list[str]) -> dict[str, Past]:
    """Return what the forecasts of each symbol rest on; those without candles are left out."""
    names = sorted(symbols)
    found = store.ask_ahead(lambda symbol: read_past(store, symbol), names)
    return {symbol: past for symbol, past in zip(names, found, strict=True) if past is not None}


def forecast_base(session: Session, file: LakeFile, references: tuple[str, ...]) -> str:
    """Return the hash of the settings, algorithms and versions that forecasts rest on.

    Args:
        session: The run.
        file: What the lake fixes.
        references: From `market_references`.
    """
    settings = session.settings.forecast
    models = [(model.name, model.algorithm) for model in open_models(file.models, settings.extensions)]
    algorithms = [FEATURES_ALGORITHM, MARKET_ALGORITHM, SERVED_ALGORITHM, SCORES_ALGORITHM, GAPS_ALGORITHM]
    rest = [references, settings.min_train, settings.seed, extension_digest(settings.extensions)]
    return fingerprint(file, models, algorithms, rest, [version(name) for name in LIBRARIES])


def market_references(session: Session) -> tuple[str, ...]:
    """Return the references that the lake has candles of, leaders first; none for a symbol alone, which is no market to itself."""
    symbols = {part["symbol"] for part in list_partitions(session.store, "candles")}
    return tuple(name for name in session.settings.forecast.references if name in symbols) if len(symbols) > 1 else ()


def plan_span(base: str, pasts: dict[str, Past], file: LakeFile, held: dict[int, str]) -> Span:
    """Return the stretch of time to compute: from the newest checkpoint whose past is still the same.

    Args:
        base: From `forecast_base`.
        pasts: By symbol.
        file: What the lake fixes.
        held: Fingerprints of the checkpoints there are, by day.
    """
    lead, minutes = lead_days(tuple(file.horizons)), parse_minutes(file.interval)
    first = min(int(past.days[0]) for past in pasts.values())
    stop_ms = max(past.newest_ms for past in pasts.values())
    restart = restart_day(pasts, lead)
    valid = [day for day, known in held.items() if day <= restart and known == checkpoint_fingerprint(base, pasts, day, lead, minutes)]
    since = max(valid, default=first)
    saves = sorted({*checkpoint_days(since, restart), restart} - {since})
    return Span(since, bool(valid), tuple(day for day in saves if day > since), stop_ms)
