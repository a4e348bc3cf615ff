"""What a run would read, before it: for each group of like files how they would be read, and what is open about them.

Only the first rows of some files are read. They are recognised by the functions of a run.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec.structs import replace

from chandlery.errors import SourceError
from chandlery.grid import Grid
from chandlery.runs.belonging import NO_PAIR, PairName
from chandlery.runs.founding import name_series
from chandlery.runs.ingesting import choose_series
from chandlery.runs.recognising import recognise
from chandlery.runs.sampling import Shape, choose, list_shapes
from chandlery.runs.survey import Source
from chandlery.sources.decisions import Decisions, list_given, name_decisions
from chandlery.sources.doubts import UndecidedError, join_hints
from chandlery.sources.parts import Part
from chandlery.sources.raw_files import RawFile
from chandlery.state.fingerprints import fingerprint
from chandlery.state.records import FileRecord
from chandlery.tasks.past import hash_reading, is_current, list_records
from chandlery.tasks.preview import PreviewTask, Wanted, preview_files
from chandlery.tasks.recognise import Assigned

__all__ = ["ROWS", "Doubt", "Found", "Group", "inspect"]

MOST_BYTES = 64_000_000  # of the first rows of a group, that are read as they would be stored
HEAD_BYTES = 4_000_000  # of a file at most
SHOWN = 5  # other values of a decision
ROWS = "rows"  # in place of a decision: too many of them are rejected, and the others are read
HIDDEN = {"kind"}  # decisions that are no settings


class Found(msgspec.Struct, frozen=True):
    """What was decided about the files of a group.

    Args:
        value: What was decided for most of them.
        by: The evidence of one of them.
        others: Other values that files of the group have; at most five.
    """

    value: str
    by: str
    others: list[str] = []


class Doubt(msgspec.Struct, frozen=True):
    """Why a run would refuse files of a group.

    Args:
        decision: What is open, in the words of the ledger; `rows` if too many rows are rejected, and the others are
            read; empty if the files cannot be read at all.
        message: What was found in the first of them, and what was expected.
        hint: What to do about it.
        files: How many files it concerns, of those that were looked at.
        example: The first of them.
    """

    decision: str
    message: str
    hint: str
    files: int
    example: str


class Group(msgspec.Struct, frozen=True):
    """Files that are like each other in path and columns.

    Args:
        kind: What they have in common.
        files: How many they are.
        new: How many of them are newer than the last run.
        looked_at: How many were looked at, in their first rows or in the state of the lake.
        example: One of them.
        series: The series to which they belong.
        symbols: The symbols to which they belong.
        decisions: What was decided about those that were looked at, by the name of the setting.
        samples: The first rows of one file, as the lake would have them.
        doubts: Why a run would refuse files of it.
    """

    kind: str
    files: int
    new: int
    looked_at: int
    example: str
    series: list[str]
    symbols: list[str]
    decisions: dict[str, Found]
    samples: list[dict[str, Any]]
    doubts: list[Doubt]


@dataclass
class _Look:
    """What is known of one file, or of the part of it that is shown.

    Args:
        raw: The file.
        shape: The shape of its path.
        places: The pair and the grid of each of its parts; without a grid where it is not known.
        error: Why a run would refuse it; None if it would not.
        decisions: What was decided about it.
        wanted: What is to be read of it, if that is needed.
        samples: Its first rows as the lake would have them.
    """

    raw: RawFile
    shape: Shape
    places: list[tuple[PairName, Grid | None]] = field(default_factory=list)
    error: SourceError | None = None
    decisions: Decisions = field(default_factory=dict)
    wanted: Wanted | None = None
    samples: list[dict[str, Any]] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """The kind of file, or else its folder and what is open about it; empty if it was not read."""
        if "kind" in self.decisions:
            return self.decisions["kind"].value
        if self.error is None:
            return ""
        folder = f"{self.shape.path.rpartition('/')[0]}/".lstrip("/")
        if isinstance(self.error, UndecidedError):
            return self.error.kind or f"{folder}*: {self.error.decision}"
        return f"{folder}*: unreadable"


def inspect(source: Source, assigned: Mapping[PairName, Assigned] | None = None) -> list[Group]:
    """Return the groups of files of a source, those that a run would refuse first; nothing is written.

    Args:
        source: The files.
        assigned: What was found of the files, if they have been recognised: then only files that are newer than those
            of the last run are shown. Without it all are, and some of each group are recognised.

    Raises:
        SettingsError: The settings would change how unchanged files of the lake are read.
    """
    shapes = list_shapes(source, only_new=assigned is not None)
    some = choose(source, (raw for shape in shapes for raw in shape.chosen))
    if assigned is None:
        assigned = recognise(source.session, some, only_heads=True, all_pairs=True)
    looks = _look_up(source, some, shapes, assigned)
    _read_heads(some, looks)
    return _group(shapes, looks)


def _look_up(
    source: Source, some: Source, shapes: Sequence[Shape], assigned: Mapping[PairName, Assigned]
) -> list[_Look]:
    """Return what state and recognition tell of each file, and what has to be read of it."""
    looks = {raw.source: _Look(raw, shape) for shape in shapes for raw in shape.chosen}
    records = _list_records(some)
    grids = {name_series(*key): grid for key, (grid, _) in choose_series(assigned).items()}
    grids |= {name: run.series.grid for name, run in some.session.series.items()}
    for raw, error in some.nameless.items():
        looks[raw.source].error = error
    for pair, of_pair in assigned.items():
        parts = {raw.source: each for raw, each in some.mixed.list_parts(pair)}
        for raw in some.files.get(pair, ()):
            look, part, record = looks[raw.source], parts.get(raw.source), records.get((pair, raw.source))
            look.error = look.error or of_pair.errors.get(raw.source)
            if look.error is not None:
                look.error = _add_unread(look.error, len(some.files[pair]), len(source.files.get(pair, ())))
            grid = of_pair.grids.get(raw.source)
            if part is not None:
                grid = Grid(part.seconds, part.offset) if part.seconds else None
            look.places.append((pair, grid))
            if grid is not None:
                grid = grids[name_series(pair.exchange, grid.seconds)]
                _place(some, look, record, Wanted(raw, grid, part.part if part else None, {}, _lent(of_pair, raw)))
    return list(looks.values())


def _add_unread(error: SourceError, looked_at: int, count: int) -> SourceError:
    """Return why the interval of a file is not known, with how many of the files that may decide it were looked at."""
    if getattr(error, "decision", "") != "interval" or looked_at >= count:
        return error
    found = f"{error.found}; {looked_at:,} of the {count:,} files of its symbol were looked at, and others may show it"
    return UndecidedError("interval", found, error.expected, error.hint)


def _lent(assigned: Assigned, raw: RawFile) -> Mapping[str, str]:
    return assigned.lent.get(raw.source, {})


def _list_records(some: Source) -> dict[tuple[PairName, str], FileRecord]:
    """Return what the lake has of the files, by pair and path."""
    store = some.session.store
    runs = [(pair, run) for pair in some.files for run in some.runs_of(pair)]
    listed = store.ask_ahead(lambda each: list_records(each[1].lake, each[0].symbol), runs)
    return {(pair, record.source): record for (pair, _), found in zip(runs, listed, strict=True) for record in found}


def _place(some: Source, look: _Look, record: FileRecord | None, wanted: Wanted) -> None:
    """Take what the lake has of a file that has not changed; of another one, note what has to be read."""
    reading = some.session.settings.source.reading
    if record is None or not is_current(record, look.raw, fingerprint(some.code)):
        before = list_given(record.decisions) if record is not None else {}
        look.wanted = look.wanted or Wanted(look.raw, wanted.grid, wanted.part, before, wanted.lent)
    elif record.problem is None:
        look.decisions = look.decisions or record.decisions
        look.error = look.error or _judge_share(record, reading.max_rejected_share)
    elif record.reading != hash_reading(reading, look.raw.source):
        look.wanted = look.wanted or wanted
    else:
        found, _, hint = record.problem.partition(". Hint: ")
        look.error = look.error or SourceError(found, "", hint)


def _judge_share(record: FileRecord, most: float) -> SourceError | None:
    """Return that too many rows of a file of the lake are rejected; None if that is not so."""
    if record.rejected_share <= most:
        return None
    found = f"{record.source}: {record.rejected_share:.1%} of its rows were rejected ({record.rejected_for})"
    return UndecidedError(ROWS, found, f"at most {most:.1%}", "see `chandlery explain`")


def _read_heads(some: Source, looks: Iterable[_Look]) -> None:
    """Read the first rows of files, as far as their group may take memory and time, and of one file of each group."""
    budget: Counter[str] = Counter()
    chosen: list[tuple[_Look, Wanted]] = []
    sampled: set[str] = set()
    for look in looks:
        wanted = look.wanted
        if wanted is None and look.error is None and look.kind not in sampled and look.places:
            pair, grid = look.places[0]
            given = list_given(look.decisions)
            wanted = None if grid is None else Wanted(look.raw, grid, _find_part(some, pair, look.raw), given)
            sampled.add(look.kind)
        if wanted is None or look.error is not None or budget[look.shape.path] > MOST_BYTES:
            continue
        budget[look.shape.path] += min(look.raw.size_bytes, HEAD_BYTES)
        chosen.append((look, wanted))
    task = PreviewTask(some.store, some.session.settings.source.reading, tuple(wanted for _, wanted in chosen))
    for (look, _), found in zip(chosen, preview_files(task), strict=True):
        if isinstance(found, SourceError):
            look.error = found
            continue
        look.decisions = look.decisions or name_decisions(found.decisions, look.places[0][0].symbol)
        look.samples = found.candles.to_dicts()


def _find_part(some: Source, pair: PairName, raw: RawFile) -> Part | None:
    """Return which rows of a file belong to a pair; None if all do."""
    return next((each.part for file, each in some.mixed.list_parts(pair) if file.source == raw.source), None)


def _group(shapes: Sequence[Shape], looks: Iterable[_Look]) -> list[Group]:
    """Return the groups of the files that were looked at, those that a run would refuse first.

    The other files of a shape count in its largest group.
    """
    by_shape: dict[str, dict[str, list[_Look]]] = {shape.path: {} for shape in shapes}
    for look in looks:
        by_shape[look.shape.path].setdefault(look.kind, []).append(look)
    drafts: dict[str, _Draft] = {}
    for shape in shapes:
        kinds = by_shape[shape.path]
        unread = kinds.pop("", [])  # of some group, because the first rows of so many files are not read
        rest = shape.count - sum(map(len, kinds.values()))
        for place, kind in enumerate(sorted(kinds, key=lambda kind: -len(kinds[kind])) or [shape.path]):
            draft = drafts.setdefault(kind, _Draft(kind))
            draft.shapes.append(shape)
            draft.looks += kinds.get(kind, [])
            if place == 0:
                draft.looks += unread
                draft.rest += rest - len(unread)
    paths = {kind: [look.raw.source for look in draft.looks] for kind, draft in drafts.items()}
    groups = []
    for kind, draft in drafts.items():
        others = [path for other, of_other in paths.items() if other != kind for path in of_other]
        groups.append(_describe(draft, others if any(look.error for look in draft.looks) else []))
    return sorted(groups, key=lambda group: (not group.doubts, -group.files, group.kind))


@dataclass
class _Draft:
    """A group while its files are collected.

    Args:
        kind: What they have in common.
        shapes: The shapes of their paths.
        looks: Those that were looked at.
        rest: How many were not.
    """

    kind: str
    shapes: list[Shape] = field(default_factory=list)
    looks: list[_Look] = field(default_factory=list)
    rest: int = 0


def _describe(draft: _Draft, others: Sequence[str]) -> Group:
    """Return a group.

    Args:
        draft: Its files.
        others: The paths of the files of other groups that were looked at.
    """
    looks, count = draft.looks, len(draft.looks) + draft.rest
    places = [place for look in looks for place in look.places]
    symbols = {pair.symbol for pair, _ in places}
    pairs = [pair for shape in draft.shapes for pair in shape.files]
    symbols |= {pair.symbol for pair in pairs if draft.rest and pair != NO_PAIR}
    readable = [look.raw for look in looks if look.error is None]
    example, *_ = [*readable, *(look.raw for look in looks), *next(iter(draft.shapes[0].files.values()))]
    return Group(
        kind=draft.kind,
        files=count,
        new=min(sum(shape.new for shape in draft.shapes), count),
        looked_at=len(looks),
        example=example.source,
        series=sorted({name_series(pair.exchange, grid.seconds) for pair, grid in places if grid is not None}),
        symbols=sorted(symbols),
        decisions=_join_decisions([_name_exchange(look) for look in looks if look.decisions]),
        samples=next((look.samples for look in looks if look.samples), []),
        doubts=_join_doubts(looks, others),
    )


def _name_exchange(look: _Look) -> Decisions:
    """Return the decisions about a file with the name of its exchange, which the ledger has among its keys."""
    found = look.decisions.get("exchange")
    named = {} if found is None else {"exchange": replace(found, value=look.places[0][0].exchange)}
    return {**look.decisions, **named}


def _join_decisions(decisions: Sequence[Decisions]) -> dict[str, Found]:
    """Return what was decided about files, with the values that some of them have instead."""
    joined: dict[str, Found] = {}
    for name in dict.fromkeys(name for each in decisions for name in each if name not in HIDDEN):
        values = Counter(each[name].value for each in decisions if name in each)
        (value, _), *others = values.most_common()
        by = next(each[name].by for each in decisions if name in each and each[name].value == value)
        joined[name] = Found(value, by, [other for other, _ in others[:SHOWN]])
    return joined


def _join_doubts(looks: Sequence[_Look], others: Sequence[str]) -> list[Doubt]:
    """Return why files would be refused, one doubt for each decision that is open, or for each other reason.

    Args:
        looks: The files of a group.
        others: The paths of the files of other groups.
    """
    by_reason: dict[tuple[str, str], list[tuple[_Look, SourceError]]] = {}
    for look in looks:
        if (error := look.error) is not None:
            decision = getattr(error, "decision", "")
            reason = "" if decision else re.sub(r"\d+", "", error.found.replace(look.raw.source, ""))
            by_reason.setdefault((decision, reason), []).append((look, error))
    doubts = []
    for (decision, _), refused in by_reason.items():
        look, error = refused[0]
        message = f"{error.found}; expected {error.expected}" if error.expected else error.found
        hints = {each.raw.source: why.hint for each, why in refused}
        doubts.append(Doubt(decision, message, join_hints(hints, others), len(refused), look.raw.source))
    return doubts
