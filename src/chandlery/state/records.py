"""What is stored of the files and candles of each symbol, and the summary of the lake.

A task reads and writes the ingest state of its own symbol. The summary is read and written only by the *driver*, the
process that starts the tasks of a run.
"""

import hashlib

import msgspec
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from chandlery.grid import Traded
from chandlery.lake.handle import Lake
from chandlery.lake.store import Store
from chandlery.sources.decisions import Decisions
from chandlery.sources.lending import Habit
from chandlery.sources.parts import Part
from chandlery.state.arrays import Arrays, get_arrays, get_struct, name_arrays, pick_arrays, put_arrays, put_struct
from chandlery.state.fingerprints import fingerprint, name_code
from chandlery.state.paths import SUMMARY, Paths

__all__ = [
    "Archive",
    "FileRecord",
    "Ingested",
    "Mixed",
    "MixedPart",
    "Pair",
    "SeriesSummary",
    "Summary",
    "SymbolSummary",
    "Unassigned",
    "candles_fingerprint",
    "gaps_fingerprint",
    "hash_candles",
    "read_ingested",
    "read_summary",
    "write_ingested",
    "write_summary",
]

VERSION = 4  # of the ingest state and of the summary: objects of other versions count as missing


class FileRecord(msgspec.Struct, frozen=True):
    """An input file as it was last read.

    Args:
        source: The path below the source root.
        size_bytes: Size of the object.
        etag: Etag of the object.
        modified_ms: When the object was modified.
        first_ms: First open_time of the version in force; None if there is none.
        last_ms: Last open_time of the version in force; None if there is none.
        problem: Why the file was refused; None if it was read.
        rejected_share: The share of its rows that were rejected.
        rejected_for: The commonest reason with the number of rows; empty if none were rejected.
        code: Hash of the ingest stage's version and the libraries that read it.
        reading: Hash of the settings with which it was read, or refused.
        decisions: What was decided about the version in force, and by what evidence.
    """

    source: str
    size_bytes: int
    etag: str
    modified_ms: int
    first_ms: int | None = None
    last_ms: int | None = None
    problem: str | None = None
    rejected_share: float = 0.0
    rejected_for: str = ""
    code: str = ""
    reading: str = ""
    decisions: Decisions = {}


class _Record(msgspec.Struct, frozen=True):
    """The part of the ingest state that is stored as JSON."""

    files: list[FileRecord]
    version: int = VERSION


class Ingested(msgspec.Struct, frozen=True):
    """What ingest stores for a symbol: its ingest state.

    Args:
        files: All files of which its tables have rows, including those that are missing from the source.
        days: UTC days since 1970 with candles, ascending, int32 (n,).
        digests: A hash of each day's candles, uint64 (n,).
        traded: The steps at which it has a candle.
        lost: Rows that are not in the table because another version of the candle outranks or equals them, as arrays.
    """

    files: list[FileRecord]
    days: NDArray[np.int32]
    digests: NDArray[np.uint64]
    traded: Traded
    lost: Arrays


class SymbolSummary(msgspec.Struct, frozen=True):
    """What the driver needs to know of a symbol.

    Args:
        is_whole: Whether its last ingest was completed.
        candles: Hash of its candles; empty if it has none.
        first_day: First UTC day with a candle, since 1970; None if it has none.
        newest_ms: close_time of its newest candle; 0 if it has none.
        years: Calendar years for which it has candles.
        problems: Why files were refused, as messages.
        gone: Whether it has rows of files that are missing from the source.
        held_back: How many of its files were read under other settings than those of the last run.
    """

    is_whole: bool
    candles: str = ""
    first_day: int | None = None
    newest_ms: int = 0
    years: list[int] = []
    problems: list[str] = []
    gone: bool = False
    held_back: int = 0


class Archive(msgspec.Struct, frozen=True):
    """The members of a zip archive with a given etag; None if the archive cannot be read."""

    etag: str
    members: list[str] | None


class MixedPart(msgspec.Struct, frozen=True, array_like=True):
    """A part of a file whose rows tell to which series they belong.

    Args:
        exchange: The exchange to which it belongs.
        symbol: The symbol to which it belongs.
        part: What its rows name.
        seconds: The interval; 0 where it is not known.
        offset: When its candles open, in seconds.
    """

    exchange: str
    symbol: str
    part: Part
    seconds: int = 0
    offset: int = 0


class Mixed(msgspec.Struct, frozen=True):
    """A file whose rows, or some of them, tell to which series they belong, or could have told it.

    Args:
        version: Hash of the version of the file that was surveyed, and of the code.
        reading: Hash of the settings with which it was surveyed.
        parts: Its parts; empty for a file whose rows tell no series.
        problem: Why it is refused: decision, found, expected and hint; empty if it is not.
        waits: Whether the interval of some parts is not known, so that it is surveyed again.
    """

    version: str
    reading: str
    parts: list[MixedPart] = []
    problem: list[str] = []
    waits: bool = False


class SeriesSummary(msgspec.Struct, frozen=True):
    """What the driver needs to know of a series.

    Args:
        symbols: Summaries by symbol.
        gaps: `gaps_fingerprint` of the published gaps.
        forecast: `candles_fingerprint` of the published forecasts.
        base: Hash of the settings, stage versions and libraries that the forecasts depend on.
        code: Stage versions and libraries that the forecasts depend on, by name.
        checkpoints: Fingerprint of each complete checkpoint, by the name of its day.
        forecasts: How many objects the table of forecasts has.
        horizons: Horizons of the published forecasts, in minutes.
        models: Models of the published forecasts, in order.
        extensions: Digests of the user-defined files that the forecasts depend on.
    """

    symbols: dict[str, SymbolSummary] = {}
    gaps: str = ""
    forecast: str = ""
    base: str = ""
    code: dict[str, str] = {}
    checkpoints: dict[str, str] = {}
    forecasts: int = 0
    horizons: list[int] = []
    models: list[str] = []
    extensions: list[str] = []


class Pair(msgspec.Struct, frozen=True):
    """What the driver needs to know of the files of one symbol of an exchange, whatever their intervals.

    Args:
        fingerprint: Hash of its files, the settings and the code of its last ingest; empty until that is completed.
        newest_file_ms: When the newest of its files was modified; only newer files count in the cost of an ingest.
        unassigned: Paths of its files whose interval is not known.
        source: Hash of the source in which they were listed; empty if that is not known.
        habits: How its files were read by their own evidence, by the names of `Summary.habits`.
        borrowed: What its files have borrowed from like files, in the same way.
        waits: The kinds of its refused files that like files could decide.
        local: The kinds of its files with local times, each with one of them.
    """

    fingerprint: str
    newest_file_ms: int = 0
    unassigned: list[str] = []
    source: str = ""
    habits: list[str] = []
    borrowed: list[str] = []
    waits: list[str] = []
    local: dict[str, str] = {}


class Unassigned(msgspec.Struct, frozen=True):
    """What the driver needs to know of files that belong to no series.

    Args:
        problems: Why files in the source are refused, as messages.
        gone: Whether the ledger names files that are missing from the source.
    """

    problems: list[str] = []
    gone: bool = False


class Summary(msgspec.Struct, frozen=True):
    """The state of the lake after the last run: one small object that shows whether there is anything to do.

    Args:
        series: Summaries by name of the series.
        pairs: Summaries by exchange and symbol, as in kraken/LTCUSD. The empty name stands for files whose symbol is
            not known.
        unassigned: Summary of the files that belong to no series.
        archives: Zip archives by path below the source.
        code: Stage versions and libraries that ingest depends on, by name.
        naming: Hash of the settings that decide which pair a file belongs to; empty if files have to be compared with
            the ledger.
        stays: By path, the pair that a file stays with although those settings would assign it to another one.
        habits: How files of a kind were read, by the hash of that.
        mixed: Files whose rows tell to which series they belong, and files without a symbol that were looked at for it.
        changes: Names of the changes of tables and artefacts that this summary includes: the last one, and the one that
            was about to begin, if any.
        version: Version of this format.
    """

    series: dict[str, SeriesSummary] = {}
    pairs: dict[str, Pair] = {}
    unassigned: Unassigned = Unassigned()
    archives: dict[str, Archive] = {}
    code: dict[str, str] = {}
    naming: str = ""
    stays: dict[str, str] = {}
    habits: dict[str, Habit] = {}
    mixed: dict[str, Mixed] = {}
    changes: list[str] = []
    version: int = VERSION


def hash_candles(ingested: Ingested) -> str:
    """Return the hash of a symbol's candles; empty if it has none."""
    return (
        hashlib.blake2b(ingested.days.tobytes() + ingested.digests.tobytes(), digest_size=16).hexdigest()
        if ingested.days.size
        else ""
    )


def candles_fingerprint(summary: SeriesSummary) -> str:
    """Return the hash of the candles of all symbols together."""
    return fingerprint({name: symbol.candles for name, symbol in summary.symbols.items() if symbol.candles})


def gaps_fingerprint(summary: SeriesSummary) -> str:
    """Return the hash of what gaps depend on: the candles of all symbols, and the code that classifies gaps."""
    return fingerprint(candles_fingerprint(summary), name_code(("gaps",)))


def read_summary(store: Store) -> Summary:
    """Return the summary of the last run; an empty one if it is missing, damaged or of another version."""
    summary = get_struct(store, SUMMARY, Summary)
    return summary if summary is not None and summary.version == VERSION else Summary(version=0)


def write_summary(store: Store, summary: Summary) -> None:
    """Write the summary, in the present version of its format."""
    put_struct(store, SUMMARY, replace(summary, version=VERSION))


def read_ingested(lake: Lake, symbol: str, folder: str = "") -> Ingested | None:
    """Return what ingest stored for a symbol; None if it is missing, damaged, or of another version.

    Args:
        lake: The series.
        symbol: The symbol.
        folder: The staging folder of an object that is not published yet, ending with a slash; empty if it is.
    """
    arrays = get_arrays(lake.store, Paths.of(lake).ingest(symbol), folder)
    if arrays is None or "record" not in arrays:
        return None
    try:
        record = msgspec.json.decode(arrays["record"].tobytes(), type=_Record)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    if record.version != VERSION:
        return None
    traded = Traded.from_arrays(pick_arrays("traded", arrays))
    return Ingested(record.files, arrays["days"], arrays["digests"], traded, pick_arrays("lost", arrays))


def write_ingested(lake: Lake, symbol: str, ingested: Ingested, folder: str = "") -> None:
    """Write what ingest stores for a symbol; the arguments are those of `read_ingested`."""
    record = np.frombuffer(msgspec.json.encode(_Record(ingested.files)), np.uint8)
    arrays: Arrays = {"record": record, "days": ingested.days, "digests": ingested.digests}
    put_arrays(
        lake.store,
        Paths.of(lake).ingest(symbol),
        arrays | name_arrays("traded", ingested.traded.to_arrays()) | name_arrays("lost", ingested.lost),
        folder,
    )
