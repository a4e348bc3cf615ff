"""Exchange and symbol of each raw file: as its path and the settings say, unless the lake has it under others.

A file that is in the lake stays where it is when settings change that decide where files belong, or are not given
once. Only a restatement moves it, and so does another version of the code, which reads all files again.
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
from chandlery.settings.model import Settings
from chandlery.sources.files import RawFile
from chandlery.sources.symbols import find_symbol, match_layout
from chandlery.state.fingerprints import INGEST_STAGES, fingerprint, name_code
from chandlery.state.records import Summary

__all__ = ["NO_PAIR", "Belonging", "PairName", "find_belonging", "hash_naming", "list_exchanges", "name_source"]


class PairName(NamedTuple):
    """A symbol of an exchange, whatever the intervals of its files."""

    exchange: str
    symbol: str

    def __str__(self) -> str:
        return f"{self.exchange}/{self.symbol}" if self.symbol else ""


NO_PAIR = PairName("", "")  # of files whose symbol is not known


@dataclass(frozen=True)
class Belonging:
    """Where the files of a source belong.

    Args:
        files: By pair.
        nameless: Files whose symbol is not known, with the reason.
        stays: Files that the settings would place elsewhere, by source: where they are.
        left: Files that a pair has no more, since they belong to another one now.
        naming: Hash of the settings that decided.
    """

    files: dict[PairName, list[RawFile]]
    nameless: dict[RawFile, SourceError]
    stays: dict[str, PairName] = field(default_factory=dict)
    left: dict[PairName, frozenset[str]] = field(default_factory=dict)
    naming: str = ""

    def remember(self, summary: Summary) -> Summary:
        """Return a summary with what the next run has to know of it."""
        stays = {source: str(pair) for source, pair in sorted(self.stays.items())}
        return replace(summary, naming=self.naming, stays=stays)

    def settle(self, session: Session) -> "Belonging":
        """Return it for the lake as it is once the run has added series: they may name the exchange of later files.

        Where files had the only exchange of the lake, and it has another one now, the next run has to ask the ledger.
        """
        naming = hash_naming(session.settings, _held_exchanges(session))
        is_known = self.naming == hash_naming(session.settings, frozenset())
        return dataclasses.replace(self, naming=naming) if is_known else self


def find_belonging(session: Session, store: Store, raws: Sequence[RawFile]) -> Belonging:
    """Return where files belong. Ledgers are read only where something changed that decides it.

    Args:
        session: The run.
        store: The source.
        raws: Its files.
    """
    named, nameless = _name_files(session, raws)
    naming = hash_naming(session.settings, _held_exchanges(session))
    stays = {source: PairName(*pair.split("/")) for source, pair in session.summary.stays.items()}
    left: dict[PairName, set[str]] = {}
    is_other, is_read_again = naming != session.summary.naming, session.summary.code != name_code(INGEST_STAGES)
    if session.options.restate or is_other or is_read_again:
        places = {raw.source: named.get(raw) for raw in raws}
        for source, pair in _list_elsewhere(session, store, places).items():
            if _may_move(session, pair, places[source], is_settled=not is_other and source not in stays):
                left.setdefault(pair, set()).add(source)
                stays.pop(source, None)
            else:
                stays[source] = pair
        stays = {source: pair for source, pair in stays.items() if places.get(source) != pair}
    files: dict[PairName, list[RawFile]] = {}
    for raw in raws:
        place = stays.get(raw.source, named.get(raw))
        if place is not None:
            files.setdefault(place, []).append(raw)
    nameless = {raw: error for raw, error in nameless.items() if raw.source not in stays}
    return Belonging(files, nameless, stays, {pair: frozenset(found) for pair, found in left.items()}, naming)


def _may_move(session: Session, held: PairName, now: PairName | None, *, is_settled: bool) -> bool:
    """Return whether a file of one pair may become one of another.

    Args:
        session: The run.
        held: Where the lake has it.
        now: Where settings and code place it; None where its path names no symbol.
        is_settled: Whether the settings are those that placed it: then the code has changed.
    """
    if now is None:  # it would be refused, and what is published be lost
        return False
    if not session.options.restate:
        return is_settled
    return not session.only or session.only.issuperset({held.symbol, now.symbol})


def name_source(store: Store) -> str:
    """Return the hash of where a source lies: files of two sources may have the same names."""
    return fingerprint(store.place)


def list_exchanges(session: Session) -> set[str]:
    """Return the exchanges that files of the source may belong to."""
    named = {layout.exchange for layout in session.settings.source.layout if layout.exchange}
    return {*named, _default_exchange(session.settings, _held_exchanges(session))}


def hash_naming(settings: Settings, exchanges: Collection[str]) -> str:
    """Return the hash of what decides where a file belongs.

    Args:
        settings: The settings.
        exchanges: Those that the lake has.
    """
    layouts = [(layout.files, layout.exchange, layout.symbol) for layout in settings.source.layout]
    return fingerprint(_default_exchange(settings, exchanges), layouts)


def _default_exchange(settings: Settings, exchanges: Collection[str]) -> str:
    """Return the exchange of files for which no layout names one: of a lake with one exchange, that one."""
    return settings.source.exchange or (next(iter(exchanges)) if len(exchanges) == 1 else UNNAMED)


def _held_exchanges(session: Session) -> frozenset[str]:
    return frozenset(run.series.exchange for run in session.series.values())


def _name_files(
    session: Session, raws: Iterable[RawFile]
) -> tuple[dict[RawFile, PairName], dict[RawFile, SourceError]]:
    """Return exchange and symbol of each file by its path and the settings, and the errors of those without."""
    settings, default = session.settings.source, _default_exchange(session.settings, _held_exchanges(session))
    named: dict[RawFile, PairName] = {}
    nameless: dict[RawFile, SourceError] = {}
    for raw in raws:
        by_hand = match_layout(raw.source, settings)
        exchange = by_hand.exchange if by_hand and by_hand.exchange else default
        try:
            named[raw] = PairName(exchange, find_symbol(raw.source, settings))
        except SourceError as error:
            nameless[raw] = error
    return named, nameless


def _list_elsewhere(session: Session, store: Store, places: Mapping[str, PairName | None]) -> dict[str, PairName]:
    """Return the files that the ledger has under another pair than their path and the settings say, by source.

    Only pairs count whose files came from this very source, and files that could be read.
    """
    here = name_source(store)
    known = {name for name, pair in session.summary.pairs.items() if pair.source == here}
    parts = [part for part in list_partitions(session.store, "ledger") if _pair_of(part) in known] if known else []
    columns = ("source", "status")
    frames = session.store.ask_ahead(lambda part: read_partition(session.store, "ledger", part, columns), parts)
    held: dict[str, set[PairName]] = {}
    for part, frame in zip(parts, frames, strict=True):
        for source, status in () if frame is None else frame.iter_rows():
            if status == "read":
                held.setdefault(source, set()).add(PairName(part["exchange"], part["symbol"]))
    elsewhere = (source for source, place in places.items() if source in held and place not in held[source])
    return {source: min(held[source]) for source in elsewhere}


def _pair_of(part: Mapping[str, str]) -> str:
    return str(PairName(part["exchange"], part["symbol"]))
