"""What a plan assumes of new files that it does not look at: that they are like those that it does look at."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from chandlery.errors import SourceError
from chandlery.grid import Grid
from chandlery.runs.belonging import PairName
from chandlery.runs.recognising import recognise
from chandlery.runs.sampling import Shape, choose, list_shapes
from chandlery.runs.session import Session
from chandlery.runs.survey import Source
from chandlery.sources.raw_files import RawFile
from chandlery.tasks.recognise import Assigned

__all__ = ["recognise_some"]


@dataclass(frozen=True)
class _New:
    """A new file, with the shape of its path and its pair."""

    raw: RawFile
    shape: str
    pair: PairName

    @property
    def kinds(self) -> tuple[object, ...]:
        """Sets of files that it is like, the nearest first."""
        return (self.shape, self.pair), self.shape, self.pair, None


@dataclass
class _Votes:
    """What was found of the files that are looked at.

    Args:
        grids: How many files of a set have each grid; None for those that would be refused.
        error: Why the first file of a set would be refused.
    """

    grids: dict[object, Counter[Grid | None]] = field(default_factory=dict)
    error: dict[object, SourceError] = field(default_factory=dict)

    def add(self, file: _New, found: Assigned) -> None:
        """Take over what was found of a file."""
        grid, error = found.grids.get(file.raw.source), found.errors.get(file.raw.source)
        if grid is None and error is None:
            return
        for kind in file.kinds:
            self.grids.setdefault(kind, Counter())[grid] += 1
            if error is not None:
                self.error.setdefault(kind, error)

    def find(self, file: _New) -> Grid | SourceError | None:
        """Return what most files that a file is like have; None if there are none."""
        for kind in file.kinds:
            if kind in self.grids:
                grid, _ = self.grids[kind].most_common(1)[0]
                return self.error.get(kind) if grid is None else grid
        return None


def recognise_some(session: Session, source: Source) -> tuple[dict[PairName, Assigned], int]:
    """Return the series of the files of each pair that is not up to date, of many new files from the heads of some.

    Args:
        session: The run.
        source: Its files; those whose rows tell their series are added to the pairs of these.

    Returns:
        The series by pair, and how many new files were not looked at.

    Raises:
        SettingsError: The settings would change how unchanged files of the lake are read.
    """
    shapes = list_shapes(source, only_new=True)
    chosen = {raw.source for shape in shapes for raw in shape.chosen}
    new = list(_list_new(shapes))
    read = [file for file in new if file.raw.source in chosen]
    unread = [file for file in new if file.raw.source not in chosen]
    if not unread:
        return recognise(session, source, only_heads=True), 0
    left = {file.raw.source for file in unread}
    some = choose(source, (raw for raw in _list_files(source) if raw.source not in left))
    assigned = recognise(session, some, only_heads=True)
    _assume_parts(source, some, read, unread)
    votes = _Votes()
    for file in read:
        if file.pair in assigned:
            votes.add(file, assigned[file.pair])
    for file in unread:
        found = votes.find(file)
        if file.raw.source in source.mixed.files or file.raw in source.nameless or found is None:
            continue
        of_pair = assigned.setdefault(file.pair, Assigned(str(file.pair)))
        if isinstance(found, Grid):
            of_pair.grids[file.raw.source] = found
        else:
            of_pair.errors[file.raw.source] = found
    return dict(sorted(assigned.items())), len(unread)


def _list_new(shapes: Iterable[Shape]) -> Iterator[_New]:
    """Yield the files of shapes."""
    for shape in shapes:
        for pair, files in shape.files.items():
            yield from (_New(raw, shape.path, pair) for raw in files)


def _list_files(source: Source) -> Iterator[RawFile]:
    """Yield all files of a source."""
    for files in source.files.values():
        yield from files
    yield from source.mixed.files.values()
    yield from source.nameless


def _assume_parts(source: Source, some: Source, read: Iterable[_New], unread: Iterable[_New]) -> None:
    """Take over which files have rows of several series; the others of their shape are assumed to have the same."""
    like: dict[str, RawFile] = {}
    for file in read:
        before = source.mixed.list_pairs(file.raw.source)
        if (known := some.mixed.known.get(file.raw.source)) is not None:
            source.mixed.known[file.raw.source] = known
        if some.mixed.list_pairs(file.raw.source):
            like.setdefault(file.shape, file.raw)
            source.place_mixed(file.raw, before)
        elif file.raw in some.nameless:
            source.nameless[file.raw] = some.nameless[file.raw]
    for file in unread:
        if file.shape in like:
            source.mixed.known[file.raw.source] = some.mixed.known[like[file.shape].source]
            source.place_mixed(file.raw, [file.pair])
