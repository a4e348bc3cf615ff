"""What ingest remembers of each symbol, typed and versioned, under state/."""

import msgspec
import numpy as np

from chandlery.checkpoints import Past, day_name
from chandlery.grid import Traded
from chandlery.state import get_arrays, get_struct, is_sound, put_arrays, put_struct
from chandlery.storage import Store

__all__ = [
    "FileRecord",
    "IngestRecord",
    "Summary",
    "drop_checkpoint",
    "is_whole",
    "read_checkpoints",
    "read_past",
    "read_record",
    "read_summary",
    "read_traded",
    "write_checkpoint",
    "write_needs",
    "write_record",
    "write_summary",
    "write_traded",
]

VERSION = 2
SUMMARY = "state/summary.json"
CHECKPOINTS = "state/checkpoints/"


class FileRecord(msgspec.Struct, frozen=True):
    """What is known of an input file."""

    source: str
    size_bytes: int
    etag: str
    modified_ms: int
    first_ms: int | None = None
    last_ms: int | None = None
    problem: str | None = None
    rejected_share: float = 0.0


class IngestRecord(msgspec.Struct, frozen=True):
    """What a symbol's tables were made of."""

    fingerprint: str
    files: list[FileRecord]
    rows: int = 0
    version: int = VERSION


class CheckpointRecord(msgspec.Struct, frozen=True):
    """Says that all states as of a midnight are there, and what they rest on."""

    fingerprint: str
    version: int = VERSION


class Summary(msgspec.Struct, frozen=True):
    """What the last run left: one small object that tells whether there is anything to do.

    Args:
        symbols: Fingerprint of each symbol's ingest.
        problems: What each symbol's files were refused for, as messages.
        ingest: Fingerprint of all of these together.
        gaps: That of the ingest which the gaps rest on.
        forecast: That of the ingest which the forecasts rest on.
        base: Hash of the settings, algorithms and versions that the forecasts rest on.
        version: Of this form.
    """

    symbols: dict[str, str] = {}
    problems: dict[str, list[str]] = {}
    ingest: str = ""
    gaps: str = ""
    forecast: str = ""
    base: str = ""
    version: int = VERSION


def read_summary(store: Store) -> Summary:
    """Return what the last run left; an empty one where there was none."""
    summary = get_struct(store, SUMMARY, Summary)
    return summary if summary is not None and summary.version == VERSION else Summary()


def write_summary(store: Store, summary: Summary) -> None:
    """Keep what this run leaves."""
    put_struct(store, SUMMARY, summary)


def read_record(store: Store, symbol: str) -> IngestRecord | None:
    """Return what a symbol's tables were made of; None where that is not known."""
    record = get_struct(store, f"state/ingest/{symbol}.json", IngestRecord)
    return record if record is not None and record.version == VERSION else None


def write_record(store: Store, symbol: str, record: IngestRecord) -> None:
    """Keep what a symbol's tables were made of."""
    put_struct(store, f"state/ingest/{symbol}.json", record)


def read_past(store: Store, symbol: str) -> Past | None:
    """Return what a symbol's forecasts rest on; None where it has no candles."""
    arrays, gaps = get_arrays(store, f"state/ingest/{symbol}.state"), get_arrays(store, f"state/gaps/{symbol}.state")
    if arrays is None or gaps is None or arrays["days"].size == 0:
        return None
    return Past(arrays["days"], arrays["digests"], gaps["barriers"], int(arrays["newest_ms"]))


def read_traded(store: Store, symbol: str) -> Traded:
    """Return at which steps a symbol has a candle."""
    arrays = get_arrays(store, f"state/traded/{symbol}.state")
    return Traded.of(np.empty(0, np.int64)) if arrays is None else Traded.from_arrays(arrays)


def write_traded(store: Store, symbol: str, traded: Traded) -> None:
    """Keep at which steps a symbol has a candle."""
    put_arrays(store, f"state/traded/{symbol}.state", traded.to_arrays())


class Needs(msgspec.Struct, frozen=True):
    """The objects without which nothing can go on from a checkpoint."""

    paths: list[str]


def write_needs(store: Store, day: int, paths: list[str]) -> None:
    """Keep the names of the objects that going on from a checkpoint needs."""
    put_struct(store, f"{CHECKPOINTS}{day_name(day)}/needs.json", Needs(paths))


def is_whole(store: Store, day: int) -> bool:
    """Return whether every object that a checkpoint needs is there, and its states are undamaged."""
    needs = get_struct(store, f"{CHECKPOINTS}{day_name(day)}/needs.json", Needs)
    if needs is None:
        return False
    folders = {path.partition("/")[0] + "/" for path in needs.paths}
    there = {entry.path for folder in folders for entry in store.list(folder)}
    states = [path for path in needs.paths if path.startswith(CHECKPOINTS)]
    return there.issuperset(needs.paths) and all(is_sound(store, path) for path in states)


def read_checkpoints(store: Store) -> dict[int, str]:
    """Return the fingerprint of every whole checkpoint, by day."""
    found = {}
    for entry in store.list(CHECKPOINTS):
        name = entry.path.removeprefix(CHECKPOINTS)
        if name.endswith(".json") and (record := get_struct(store, entry.path, CheckpointRecord)) is not None:
            found[int(np.datetime64(name.removesuffix(".json"), "D").astype(int))] = record.fingerprint
    return found


def write_checkpoint(store: Store, day: int, fingerprint: str) -> None:
    """Say that all states as of a day's midnight are there."""
    put_struct(store, f"{CHECKPOINTS}{day_name(day)}.json", CheckpointRecord(fingerprint))


def drop_checkpoint(store: Store, day: int) -> None:
    """Forget a checkpoint: first that it is whole, then its states."""
    store.delete(f"{CHECKPOINTS}{day_name(day)}.json")
    for entry in store.list(f"{CHECKPOINTS}{day_name(day)}/"):
        store.delete(entry.path)
