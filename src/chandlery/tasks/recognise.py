"""The recognise task: the series that each file of a symbol belongs to, found before any file is read whole."""

from dataclasses import dataclass

import numpy as np

from chandlery.errors import SourceError
from chandlery.grid import Grid
from chandlery.lake.handle import Lake
from chandlery.lake.store import Store
from chandlery.settings.model import ReadingSettings
from chandlery.sources.files import RawFile, explain_failure, peek_file
from chandlery.sources.grids import Decided, Seen, decide_grids
from chandlery.state.records import FileRecord
from chandlery.tasks.past import hash_reading, is_current, list_records

__all__ = ["Assigned", "RecogniseTask", "recognise_files"]


@dataclass(frozen=True)
class RecogniseTask:
    """The files of one symbol of an exchange that are in the source now.

    Args:
        name: Of exchange and symbol, as in kraken/LTCUSD.
        symbol: The symbol.
        lakes: The lake, opened for each series that has the symbol.
        source: The store of the files.
        settings: How to read them.
        files: All of them.
        code: Hash of the ingest stage's version and the libraries.
        restate: Whether a file that the lake has may be assigned to another series.
    """

    name: str
    symbol: str
    lakes: tuple[Lake, ...]
    source: Store
    settings: ReadingSettings
    files: tuple[RawFile, ...]
    code: str
    restate: bool

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Assigned:
    """Where the files of a symbol belong.

    Args:
        name: Of exchange and symbol.
        grids: By source, the grid of each file whose interval is known.
        errors: By source, why the interval of the others is not known.
    """

    name: str
    grids: dict[str, Grid]
    errors: dict[str, SourceError]


def recognise_files(task: RecogniseTask) -> Assigned:
    """Find the series of a symbol's files: known files keep theirs, others are assigned by their first rows."""
    grids: dict[str, Grid] = {}
    records: dict[str, FileRecord] = {}
    for lake in task.lakes:
        for record in list_records(lake, task.symbol):
            grids[record.source], records[record.source] = lake.grid, record
    unassigned = [file for file in task.files if may_be_assigned(file, records.get(file.source), task)]
    seen = dict(task.source.ask_ahead(lambda file: (file.source, look(task, file)), unassigned))
    decided = decide_grids(seen, {source: grid for source, grid in grids.items() if source not in seen})
    return Assigned(task.name, *divide(task, grids, decided))


def may_be_assigned(file: RawFile, record: FileRecord | None, task: RecogniseTask) -> bool:
    """Return whether a file's series is to be found: it is new, or `restate` will read it again."""
    if record is None or not task.restate:
        return record is None
    is_settled = record.problem is None and record.reading == hash_reading(task.settings, file.source)
    return not is_settled or not is_current(record, file, task.code)


def look(task: RecogniseTask, file: RawFile) -> Seen:
    """Return what the first rows of a file show."""
    nothing = np.empty(0, np.int64)
    try:
        with task.source.open(file.path, file.size_bytes) as stream:
            return peek_file(stream, file, task.settings)
    except Exception as error:  # noqa: BLE001 - a file that breaks a parser must not stop the others
        return Seen(nothing, error=explain_failure(file, error))


def divide(
    task: RecogniseTask, grids: dict[str, Grid], decided: dict[str, Decided]
) -> tuple[dict[str, Grid], dict[str, SourceError]]:
    """Return the grids of files in the source, and the errors of those without one.

    Args:
        task: The files.
        grids: Those of known files, which they keep unless another one is decided.
        decided: Those of the files that were looked at, or why there is none.
    """
    assigned: dict[str, Grid] = {}
    errors: dict[str, SourceError] = {}
    for file in task.files:
        decision = decided.get(file.source)
        if decision is not None and decision.grid is not None:
            assigned[file.source] = decision.grid
        elif file.source in grids:
            assigned[file.source] = grids[file.source]
        elif decision is not None and decision.error is not None:
            errors[file.source] = decision.error
    return assigned, errors
