"""The exchange and symbol of each raw file, from its path and the settings, unless the lake has it under others.

A file that is in the lake keeps its exchange and symbol when the settings that decide them change or are left out in
one run, or when a later release reads its path differently. Only `--restate` changes them.
"""

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from msgspec.structs import replace

from chandlery.errors import SourceError
from chandlery.lake.lake_file import UNNAMED
from chandlery.lake.reading import read_partition
from chandlery.lake.store import Store
from chandlery.lake.tables import list_partitions
from chandlery.runs.session import Session
from chandlery.settings.model import LayoutSettings, Settings
from chandlery.sources.doubts import UndecidedError, paste
from chandlery.sources.parts import Part
from chandlery.sources.raw_files import RawFile
from chandlery.sources.symbols import find_symbol, match_layout, read_path
from chandlery.state.fingerprints import INGEST_STAGES, fingerprint, name_code
from chandlery.state.records import MixedPart, Summary
from chandlery.tasks.changes import Change, check_changes

__all__ = [
    "NO_PAIR",
    "Belonging",
    "PairName",
    "check_parts",
    "find_belonging",
    "hash_naming",
    "is_misplaced",
    "list_exchanges",
    "name_part",
    "name_source",
]


class PairName(NamedTuple):
    """A symbol of an exchange, whatever the intervals of its files."""

    exchange: str
    symbol: str

    def __str__(self) -> str:
        return f"{self.exchange}/{self.symbol}" if self.symbol else ""


NO_PAIR = PairName("", "")  # of files of unknown symbol


@dataclass(frozen=True)
class Belonging:
    """The pair of each file of a source.

    Args:
        files: The files, by pair.
        nameless: Files of unknown symbol, with the reason.
        stays: The pairs of files that the settings would now assign to another pair, by source.
        moved: The files that a pair no longer has because they are now assigned to another one.
        naming: Hash of the settings that decided.
    """

    files: dict[PairName, list[RawFile]]
    nameless: dict[RawFile, SourceError]
    stays: dict[str, PairName] = field(default_factory=dict)
    moved: dict[PairName, frozenset[str]] = field(default_factory=dict)
    naming: str = ""

    def remember(self, summary: Summary) -> Summary:
        """Return a summary with the values that the next run compares."""
        stays = {source: str(pair) for source, pair in sorted(self.stays.items())}
        return replace(summary, naming=self.naming, stays=stays)

    def settle(self, session: Session) -> "Belonging":
        """Return a copy for the lake after the run has added series, which may decide the exchange of new files.

        If files got the lake's only exchange and the lake now has several, the hash stays different, so that the next
        run reads the ledger.
        """
        naming = hash_naming(session.settings, _list_lake_exchanges(session))
        is_known = self.naming == hash_naming(session.settings, frozenset())
        return dataclasses.replace(self, naming=naming) if is_known else self


def find_belonging(session: Session, store: Store, raws: Sequence[RawFile]) -> Belonging:
    """Return the pair of each file. The ledger is read only if something that decides it has changed.

    Args:
        session: The run.
        store: The store of the source.
        raws: Its files.

    Raises:
        SettingsError: A setting of this run gives another symbol or exchange to a file that the lake has.
    """
    named, nameless = _name_files(session, raws)
    naming = hash_naming(session.settings, _list_lake_exchanges(session))
    stays = {source: PairName(*pair.split("/")) for source, pair in session.summary.stays.items()}
    moved: dict[PairName, set[str]] = {}
    is_other, is_read_again = naming != session.summary.naming, session.summary.code != name_code(INGEST_STAGES)
    if session.options.restate or is_other or is_read_again:
        places = {raw.source: named.get(raw) for raw in raws}
        for source, pair in _list_elsewhere(session, store, places).items():
            if _may_move(session, pair, places[source]):
                moved.setdefault(pair, set()).add(source)
                stays.pop(source, None)
            else:
                stays[source] = pair
        if not session.options.restate:
            check_changes(
                filter(
                    None, (_find_change(session, source, pair) for source, pair in stays.items() if source in places)
                )
            )
        stays = {source: pair for source, pair in stays.items() if places.get(source) != pair}
    files: dict[PairName, list[RawFile]] = {}
    beside = _find_beside(session, named, stays)
    for raw in raws:
        place = stays.get(raw.source, named.get(raw))
        place = beside.get(place, place) if place is not None and raw.source not in stays else place
        if place is not None:
            files.setdefault(place, []).append(raw)
    nameless = {raw: error for raw, error in nameless.items() if raw.source not in stays}
    return Belonging(files, nameless, stays, {pair: frozenset(sources) for pair, sources in moved.items()}, naming)


def _find_beside(
    session: Session, named: Mapping[RawFile, PairName], stays: Mapping[str, PairName]
) -> dict[PairName, PairName]:
    """Return the pairs that new files join because all earlier files of the same name stay there.

    So a daily file does not begin another series when a release reads the exchange of its path for the first time.
    """
    joined: dict[PairName, set[PairName]] = {}
    for raw, pair in named.items():
        if raw.source in stays and stays[raw.source].symbol == pair.symbol:
            joined.setdefault(pair, set()).add(stays[raw.source])
    known = session.summary.pairs
    return {pair: next(iter(there)) for pair, there in joined.items() if len(there) == 1 and str(pair) not in known}


def check_parts(session: Session, parts: Mapping[str, Iterable[MixedPart]], naming: str) -> None:
    """Check that the settings give no rows of files of the lake, whose rows are told apart, to another pair.

    Args:
        session: The run.
        parts: Where the rows of these files belong, by path.
        naming: Hash of the settings that decide.

    Raises:
        SettingsError: They do, and `--restate` is not given.
    """
    if session.options.restate or naming == session.summary.naming:
        return
    settled = ((source, each) for source, of_file in parts.items() for each in of_file if each.seconds)
    found = (_find_change(session, source, PairName(each.exchange, each.symbol), each.part) for source, each in settled)
    check_changes(filter(None, found))


def is_misplaced(session: Session, source: str, parts: Iterable[MixedPart]) -> bool:
    """Return whether settings and code would give some rows of a file to another pair than the lake has them under."""
    try:
        return any(name_part(session, source, each.part) != (each.exchange, each.symbol) for each in parts)
    except SourceError:  # the rows would be refused, and their published candles lost
        return False


def _find_change(session: Session, source: str, pair: PairName, part: Part | None = None) -> Change | None:
    """Return the setting of this run that gives a file of the lake another symbol or exchange; None if none does.

    Args:
        session: The run.
        source: The file.
        pair: The pair under which the lake has it, or some of its rows.
        part: Which of its rows; None for all. What they tell themselves is not taken from settings.
    """
    given = session.settings.source
    layout = match_layout(source, given) or LayoutSettings()
    tells = part or Part()
    if not tells.symbol and (layout.symbol or layout.market) and (symbol := find_symbol(source, given)) != pair.symbol:
        return Change(source, "symbol" if layout.symbol else "market", pair.symbol, symbol)
    if tells.exchange:
        return None
    exchange = layout.exchange or ("" if read_path(source).exchange else given.exchange)
    return Change(source, "exchange", pair.exchange, exchange) if exchange not in {"", pair.exchange} else None


def _may_move(session: Session, before: PairName, now: PairName | None) -> bool:
    """Return whether a file of one pair may be assigned to another.

    Args:
        session: The run.
        before: The pair under which the lake has it.
        now: The pair that settings and code assign it to; None if its path has no symbol.
    """
    if now is None:  # the file would be refused, and its published candles lost
        return False
    if not session.options.restate:
        return False
    return not session.only or session.only.issuperset({before.symbol, now.symbol})


def name_source(store: Store) -> str:
    """Return the hash of the place of a source, because files of two sources may have the same names."""
    return fingerprint(store.place)


def list_exchanges(session: Session) -> set[str]:
    """Return the exchanges that files of the source may belong to."""
    named = {layout.exchange for layout in session.settings.source.layout if layout.exchange}
    return {*named, _default_exchange(session.settings, _list_lake_exchanges(session))}


def hash_naming(settings: Settings, exchanges: Collection[str]) -> str:
    """Return the hash of all that decides the pair of a file, beside its path.

    Args:
        settings: The settings.
        exchanges: The exchanges of the lake.
    """
    layouts = [(layout.files, layout.exchange, layout.symbol, layout.market) for layout in settings.source.layout]
    return fingerprint(_default_exchange(settings, exchanges), layouts)


def _default_exchange(settings: Settings, exchanges: Collection[str]) -> str:
    """Return the exchange of files for which no layout names one: the given one, or the lake's if it has only one."""
    return settings.source.exchange or (next(iter(exchanges)) if len(exchanges) == 1 else UNNAMED)


def _list_lake_exchanges(session: Session) -> frozenset[str]:
    return frozenset(run.series.exchange for run in session.series.values())


def _name_files(
    session: Session, raws: Iterable[RawFile]
) -> tuple[dict[RawFile, PairName], dict[RawFile, SourceError]]:
    """Return the pair of each file by its path and the settings, and the errors of files of unknown symbol."""
    settings, default = session.settings.source, _default_exchange(session.settings, _list_lake_exchanges(session))
    named: dict[RawFile, PairName] = {}
    nameless: dict[RawFile, SourceError] = {}
    for raw in raws:
        layout = match_layout(raw.source, settings)
        try:
            symbol = find_symbol(raw.source, settings)
            named[raw] = PairName(_name_exchange(raw.source, layout, settings.exchange) or default, symbol)
        except SourceError as error:
            nameless[raw] = error
    return named, nameless


def name_part(session: Session, source: str, part: Part) -> PairName:
    """Return the pair to which rows of a file belong, by what they name, and else by path and settings.

    Raises:
        SourceError: Neither names a symbol, or the path contradicts the settings.
    """
    settings = session.settings.source
    default = _default_exchange(session.settings, _list_lake_exchanges(session))
    exchange = part.exchange or _name_exchange(source, match_layout(source, settings), settings.exchange) or default
    return PairName(exchange, part.symbol or find_symbol(source, settings))


def _name_exchange(source: str, layout: LayoutSettings | None, given: str) -> str:
    """Return the exchange of a file by its layout, its path or `[source] exchange`; empty if none of them names one.

    Raises:
        UndecidedError: The path names another exchange than `[source] exchange`.
    """
    if layout is not None and layout.exchange:
        return layout.exchange
    by_path = read_path(source).exchange
    if by_path and given and by_path != given:
        found = f"the path {source} names the exchange {by_path}, and [source] exchange = {given!r}"
        hint = paste(source, {"exchange": by_path}, {"exchange": f'or "{given}"'})
        raise UndecidedError("exchange", found, "one exchange", hint)
    return by_path or given


def _list_elsewhere(session: Session, store: Store, places: Mapping[str, PairName | None]) -> dict[str, PairName]:
    """Return the files that the ledger has under another pair than their path and the settings give, by source.

    Only pairs whose files came from this source count, and files that were read.
    """
    here = name_source(store)
    known = {name for name, pair in session.summary.pairs.items() if pair.source == here}
    parts = [part for part in list_partitions(session.store, "ledger") if _pair_of(part) in known] if known else []
    columns = ("source", "status")
    frames = session.store.ask_ahead(lambda part: read_partition(session.store, "ledger", part, columns), parts)
    recorded: dict[str, set[PairName]] = {}
    for part, frame in zip(parts, frames, strict=True):
        for source, status in () if frame is None else frame.iter_rows():
            if status == "read":
                recorded.setdefault(source, set()).add(PairName(part["exchange"], part["symbol"]))
    elsewhere = (source for source, place in places.items() if source in recorded and place not in recorded[source])
    return {source: min(recorded[source]) for source in elsewhere}


def _pair_of(part: Mapping[str, str]) -> str:
    return str(PairName(part["exchange"], part["symbol"]))
