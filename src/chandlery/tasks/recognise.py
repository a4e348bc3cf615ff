"""The recognise task: the series that each file of a symbol belongs to, found before any file is read whole."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from chandlery.errors import SourceError
from chandlery.grid import Grid
from chandlery.lake.handle import Lake
from chandlery.lake.store import Store
from chandlery.settings.model import ReadingSettings
from chandlery.sources.decisions import BY_LIKE, Decisions, list_given
from chandlery.sources.doubts import UndecidedError
from chandlery.sources.failures import explain_failure
from chandlery.sources.grids import Decided, Seen, decide_grids
from chandlery.sources.known_layouts import KnownLayout, share_layouts
from chandlery.sources.layout import Layout
from chandlery.sources.lending import LENT, Habit, find_habit, lend
from chandlery.sources.local_times import name_both_readings
from chandlery.sources.raw_files import RawFile
from chandlery.sources.surveys import peek_parts
from chandlery.sources.symbols import add_given
from chandlery.state.records import FileRecord
from chandlery.tasks.changes import Change, find_change
from chandlery.tasks.local_kinds import find_local, list_naive
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
        habits: How files of other symbols were read by their own evidence.
        mixed: Files with rows of several series, which are only compared with the settings.
    """

    name: str
    symbol: str
    lakes: tuple[Lake, ...]
    source: Store
    settings: ReadingSettings
    files: tuple[RawFile, ...]
    code: str
    restate: bool
    habits: tuple[Habit, ...] = ()
    mixed: tuple[RawFile, ...] = ()

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Assigned:
    """Where the files of a symbol belong.

    Args:
        name: Of exchange and symbol.
        grids: By source, the grid of each file whose interval is known.
        errors: By source, why the interval of the others is not known.
        lent: By source, the settings that like files lend to a file whose rows leave a decision open.
        habits: How files were read by their own evidence, with the new ones among these files.
        borrowed: What files of the lake, and these, have borrowed.
        changed: How the settings would change the reading of unchanged files.
        mixed: Files whose rows have to be told apart before their series are known.
        part_grids: The grids of parts of files whose rows belong to several series.
        local: The kinds of files with local times, each with a file that shows it.
        naive: New files whose times have no offset, by kind.
        known: The layouts of new files that were recognised under the settings of the run alone.
    """

    name: str
    grids: dict[str, Grid] = field(default_factory=dict)
    errors: dict[str, SourceError] = field(default_factory=dict)
    lent: dict[str, dict[str, str]] = field(default_factory=dict)
    habits: dict[Habit, list[str]] = field(default_factory=dict)
    borrowed: list[Habit] = field(default_factory=list)
    changed: list[Change] = field(default_factory=list)
    mixed: list[str] = field(default_factory=list)
    part_grids: list[Grid] = field(default_factory=list)
    local: dict[str, str] = field(default_factory=dict)
    naive: dict[str, list[str]] = field(default_factory=dict)
    known: dict[str, KnownLayout] = field(default_factory=dict)

    @property
    def waits(self) -> set[str]:
        """The kinds of files that are refused and that like files could decide."""
        open_ones = (error for error in self.errors.values() if isinstance(error, UndecidedError))
        return {error.kind for error in open_ones if error.kind and error.decision in LENT}


def recognise_files(task: RecogniseTask) -> Assigned:
    """Find the series of a symbol's files: known files keep theirs, others are assigned by their first rows."""
    grids: dict[str, Grid] = {}
    records: dict[str, FileRecord] = {}
    for lake in task.lakes:
        for record in list_records(lake, task.symbol):
            grids[record.source], records[record.source] = lake.grid, record
    unassigned = [file for file in task.files if may_be_assigned(file, records.get(file.source), task)]
    looked = dict(task.source.ask_ahead(lambda file: (file.source, look(task, file, {})), unassigned))
    stored = [record.decisions for record in records.values() if record.problem is None]
    seen = {source: add_readings(each, stored) for source, each in looked.items() if each is not None}
    habits = list_habits(records, seen)
    lent = borrow(task, unassigned, seen, [*habits, *task.habits])
    decided = decide_grids(seen, {source: grid for source, grid in grids.items() if source not in seen})
    present = [(file, records[file.source]) for file in (*task.files, *task.mixed) if file.source in records]
    changes = (find_change(task.source, file, record, task.settings) for file, record in present if not task.restate)
    return Assigned(
        task.name,
        *divide(task, grids, decided),
        lent=lent,
        habits=habits,
        borrowed=list_borrowed(records, seen, lent),
        changed=[change for change in changes if change is not None],
        mixed=sorted(looked.keys() - seen.keys()),
        local=find_local(records, seen),
        naive=list_naive(seen),
        known=share_layouts(list_layouts(seen, {*records, *lent})),
    )


def may_be_assigned(file: RawFile, record: FileRecord | None, task: RecogniseTask) -> bool:
    """Return whether a file's series is to be found: it is new, or `restate` will read it again."""
    if record is None or not task.restate:
        return record is None
    is_settled = record.problem is None and record.reading == hash_reading(task.settings, file.source)
    return not is_settled or not is_current(record, file, task.code)


def look(task: RecogniseTask, file: RawFile, lent: Mapping[str, str]) -> Seen | None:
    """Return what the first rows of a file show, with settings that were lent; None if they are of several series."""
    try:
        with task.source.open(file.path, file.size_bytes) as stream:
            return peek_parts(stream, file, add_given(task.settings, lent))
    except Exception as error:  # noqa: BLE001 - a file that breaks a parser must not stop the others
        return Seen(np.empty(0, np.int64), error=explain_failure(file, error))


def add_readings(seen: Seen, stored: Collection[Decisions]) -> Seen:
    """Return what was seen of a file; where its times are local, with how like files of the lake were read."""
    return seen if seen.error is None else replace(seen, error=name_both_readings(seen.error, stored))


def list_habits(records: Mapping[str, FileRecord], seen: Mapping[str, Seen]) -> dict[Habit, list[str]]:
    """Return how files are read by their own evidence, with the new files among them."""
    habits: dict[Habit, list[str]] = {}
    for source, record in records.items():
        if record.problem is None and source not in seen and (habit := find_habit(record.decisions)):
            habits.setdefault(habit, [])
    for source, each in seen.items():
        if each.error is None and (habit := find_habit(each.decisions)):
            habits.setdefault(habit, []).append(source)
    return habits


def list_layouts(seen: Mapping[str, Seen], but: Collection[str]) -> dict[str, tuple[Layout, bytes]]:
    """Return the layouts of files that were looked at, without some: they may be read under settings of their own."""
    return {
        source: each.layout
        for source, each in seen.items()
        if each.layout is not None and each.error is None and source not in but
    }


def borrow(
    task: RecogniseTask, files: Iterable[RawFile], seen: dict[str, Seen], habits: Iterable[Habit]
) -> dict[str, dict[str, str]]:
    """Look again at files whose rows leave a decision open, with the settings that like files lend.

    Args:
        task: The files of the symbol.
        files: Those that were looked at.
        seen: What they show; replaced where like files decide.
        habits: How other files were read by their own evidence.

    Returns:
        The settings that were lent, by source.
    """
    known, lent = list(habits), {}
    for file in files:
        if file.source not in seen:
            continue
        given: dict[str, str] = {}
        before = seen[file.source]
        while isinstance(error := seen[file.source].error, UndecidedError):
            more = lend(error.decision, error.kind, known)
            if not more or more.keys() <= given.keys():
                break
            given |= more
            again = look(task, file, given)
            if again is None:  # several series, whose columns are not clear
                break
            seen[file.source] = again
        if given and seen[file.source].error is None and seen[file.source].times.size:
            lent[file.source] = given
        else:  # what like files lend does not fit its rows
            seen[file.source] = before
    return lent


def list_borrowed(
    records: Mapping[str, FileRecord], seen: Mapping[str, Seen], lent: Mapping[str, Mapping[str, str]]
) -> list[Habit]:
    """Return what files of the lake, and new ones, have borrowed from like files."""
    borrowed = {
        Habit(record.decisions["kind"].value, tuple(sorted(given.items())))
        for record in records.values()
        if record.problem is None and (given := list_given(record.decisions, BY_LIKE))
    }
    borrowed |= {Habit(seen[source].kind, tuple(sorted(given.items()))) for source, given in lent.items()}
    return sorted(borrowed)


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
