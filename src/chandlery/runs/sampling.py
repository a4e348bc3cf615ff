"""Which files of a source are looked at before a run: some of each shape of path, from several symbols."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain

from chandlery.runs.belonging import NO_PAIR, PairName
from chandlery.runs.mixed import MixedFiles
from chandlery.runs.survey import Source
from chandlery.sources.decisions import generalise_path
from chandlery.sources.pairs import Pair
from chandlery.sources.raw_files import RawFile
from chandlery.sources.symbols import read_path

__all__ = ["MOST_HEADS", "Shape", "choose", "list_shapes"]

MOST_HEADS = 200  # files of one shape that are looked at
MOST_IN_ALL = 2000  # files that are looked at, of all shapes: further shapes are counted together
FEW_HEADS = 40  # files of one symbol that are looked at together, because they decide their interval together
GOLDEN = 0.618034  # its multiples, without their whole parts, lie evenly wherever one stops
OTHERS = "other paths"


@dataclass
class Shape:
    """Files whose paths are alike.

    Args:
        path: What their paths have in common.
        files: All of them, by pair.
        new: How many of them are newer than all files of the last run.
        chosen: Those that are looked at.
    """

    path: str
    files: dict[PairName, list[RawFile]] = field(default_factory=dict)
    new: int = 0
    chosen: list[RawFile] = field(default_factory=list)

    @property
    def count(self) -> int:
        """The number of files."""
        return sum(map(len, self.files.values()))


def list_shapes(source: Source, *, only_new: bool = False) -> list[Shape]:
    """Return the files of a source by the shape of their paths, those of most files first, and choose some of each.

    Args:
        source: The files.
        only_new: Whether to leave out files that are not newer than those of the last run.
    """
    shapes: dict[str, Shape] = {}
    met: set[str] = set()
    named: dict[PairName, Pair | None] = {NO_PAIR: None}
    for pair, raw, is_new in iter_files(source):
        if raw.source in met or (only_new and not is_new):
            continue
        met.add(raw.source)
        if pair not in named:  # the path of one of its files: to read all of them takes long
            named[pair] = read_path(raw.source).pair
        path = generalise_path(raw.source, named[pair])
        shape = shapes.setdefault(path, Shape(path))
        shape.files.setdefault(pair, []).append(raw)
        shape.new += is_new
        if is_new:
            shape.chosen.append(raw)  # until `spread` chooses among them
    listed, left = sorted(shapes.values(), key=lambda shape: (-shape.count, shape.path)), MOST_IN_ALL
    others = Shape(OTHERS)
    for shape in listed:
        fresh = {raw.source for raw in shape.chosen}
        shape.chosen = list(spread(shape.files, fresh, min(MOST_HEADS, left)))
        left -= len(shape.chosen)
        if not shape.chosen:
            others.new += shape.new
            for pair, files in shape.files.items():
                others.files.setdefault(pair, []).extend(files)
    return [*(shape for shape in listed if shape.chosen), *([others] if others.files else [])]


def iter_files(source: Source) -> Iterator[tuple[PairName, RawFile, bool]]:
    """Yield each file with its pair, and whether it is newer than all files of the pair in the last run."""
    pending = set(source.pending())
    for pair, files in source.files.items():
        last = source.session.summary.pairs.get(str(pair))
        newest_ms = last.newest_file_ms if last is not None and last.fingerprint else -1
        for raw in files:
            is_new = pair in pending and raw.modified_at.timestamp() * 1000 > newest_ms
            yield pair, raw, is_new
    is_nameless_new = source.is_nameless_new
    for raw in source.nameless:
        yield NO_PAIR, raw, is_nameless_new


def spread(files: Mapping[PairName, list[RawFile]], fresh: set[str], most: int) -> Iterator[RawFile]:
    """Yield some files of a shape: new ones first, from pairs that lie evenly among all, and some of each pair.

    Args:
        files: All of them, by pair.
        fresh: Those that are new.
        most: How many there are at most.
    """
    if sum(map(len, files.values())) <= most:
        yield from chain.from_iterable(files.values())
        return
    places = sorted((place * GOLDEN % 1, pair) for place, pair in enumerate(sorted(files)))
    a_pair = max(FEW_HEADS, most // len(files))
    first: list[RawFile] = []
    others: list[RawFile] = []
    for _, pair in places:
        new_first = sorted(files[pair], key=lambda raw: raw.source not in fresh)
        beside = new_first[: a_pair // 2]  # days that follow each other show the interval of files with few rows
        apart = new_first[a_pair // 2 :: max(1, len(new_first) // a_pair)]
        taken = [*beside, *apart][:a_pair]
        first += taken
        kept = {raw.source for raw in taken}
        others += [raw for raw in new_first if raw.source not in kept]
    yield from sorted([*first, *others], key=lambda raw: raw.source not in fresh)[:most]


def choose(source: Source, files: Iterable[RawFile]) -> Source:
    """Return a source that has only some of its files."""
    names = {raw.source for raw in files}
    kept = {pair: tuple(raw for raw in of_pair if raw.source in names) for pair, of_pair in source.files.items()}
    nameless = {raw: error for raw, error in source.nameless.items() if raw.source in names}
    mixed = {path: raw for path, raw in source.mixed.files.items() if path in names}
    return dataclasses.replace(
        source,
        files={pair: of_pair for pair, of_pair in kept.items() if of_pair},
        belonging=dataclasses.replace(source.belonging, nameless=nameless),
        mixed=MixedFiles(mixed, dict(source.mixed.known)),
    )
