"""Files whose rows tell to which series they belong: found by a survey of each new version, and kept in the summary."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from chandlery.errors import SourceError
from chandlery.grid import Grid
from chandlery.runs.belonging import PairName
from chandlery.sources.doubts import UndecidedError
from chandlery.sources.grids import Seen, decide_grids
from chandlery.sources.parts import Part
from chandlery.sources.raw_files import RawFile
from chandlery.state.records import Mixed, MixedPart
from chandlery.tasks.survey import Surveyed

__all__ = ["MixedFiles", "restore_problem"]

NamePart = Callable[[str, Part], PairName]


@dataclass
class MixedFiles:
    """The files of a source whose rows tell to which series they belong, or may tell it.

    Args:
        files: By path.
        known: What surveys have found of them, by path.
    """

    files: dict[str, RawFile] = field(default_factory=dict)
    known: dict[str, Mixed] = field(default_factory=dict)

    def list_pairs(self, source: str) -> list[PairName]:
        """Return the pairs to which rows of a file belong."""
        parts = self.known[source].parts if source in self.known else ()
        return list(dict.fromkeys(PairName(each.exchange, each.symbol) for each in parts))

    def list_parts(self, pair: PairName) -> list[tuple[RawFile, MixedPart]]:
        """Return the files with rows of a pair, and which rows these are."""
        return [
            (self.files[source], part)
            for source, mixed in self.known.items()
            if source in self.files
            for part in mixed.parts
            if (part.exchange, part.symbol) == pair
        ]

    def add(
        self, version: Mixed, surveyed: Surveyed, name_part: NamePart, *, restate: bool
    ) -> dict[PairName, dict[str, Seen]]:
        """Take over what a survey has found of a file.

        A part that an earlier version had keeps its series, unless `restate` is given. If a version cannot be
        surveyed, the parts of the earlier one stay: reading them then says what is wrong.

        Args:
            version: The hashes of the version and of the settings.
            surveyed: What was found.
            name_part: Returns the pair of a part.
            restate: Whether each part gets the series that settings and code give it.

        Returns:
            What tells the interval of each part that is new, by pair and by the path with the interval that is named.
        """
        source = surveyed.source
        before = self.known.get(source, Mixed("", ""))
        kept = {each.part: each for each in before.parts if each.seconds and not restate}
        parts: list[MixedPart] = []
        open_ones: dict[PairName, dict[str, Seen]] = {}
        try:
            if surveyed.error is not None:
                raise surveyed.error
            for part, seen in surveyed.parts.items():
                if part in kept:
                    parts.append(kept[part])
                    continue
                pair = name_part(source, part)
                parts.append(MixedPart(pair.exchange, pair.symbol, part))
                open_ones.setdefault(pair, {})[label(source, part)] = seen
        except SourceError as error:
            problem = [getattr(error, "decision", ""), error.found, error.expected, error.hint]
            self.known[source] = replace(version, parts=before.parts, problem=problem)
            return {}
        self.known[source] = replace(version, parts=parts)
        return open_ones

    def settle(self, pair: PairName, seen: Mapping[str, Seen], known: Mapping[str, Grid]) -> dict[str, SourceError]:
        """Decide the interval of parts of a pair; return why that is not possible, by path.

        Args:
            pair: The pair.
            seen: What tells the interval of each part, as `add` returns it.
            known: The grids of the other files of the pair, by path.
        """
        others = dict(known)
        for raw, part in self.list_parts(pair):
            if part.seconds:
                others[label(raw.source, part.part)] = Grid(part.seconds, part.offset)
        decided = decide_grids(seen, others)
        errors: dict[str, SourceError] = {}
        for raw, part in self.list_parts(pair):
            found = decided.get(label(raw.source, part.part))
            if found is None:
                continue
            mixed = self.known[raw.source]
            if found.grid is None:
                errors[raw.source] = found.error or SourceError(f"{raw.source} shows no interval")
                self.known[raw.source] = replace(mixed, waits=True)
                continue
            placed = replace(part, seconds=found.grid.seconds, offset=found.grid.offset)
            self.known[raw.source] = replace(mixed, parts=[placed if each == part else each for each in mixed.parts])
        return errors


def label(source: str, part: Part) -> str:
    """Return the name of a part among the files of its pair."""
    return f"{source} ({part.seconds} s)" if part.seconds else source


def restore_problem(problem: Sequence[str]) -> SourceError:
    """Return why a file is refused, as the summary has it."""
    decision, *texts = problem
    return UndecidedError(decision, *texts) if decision else SourceError(*texts)


def list_sources(parts: Iterable[tuple[RawFile, MixedPart]], seconds: int) -> dict[str, Part]:
    """Return which rows of each file belong to a series of a pair, by path."""
    return {raw.source: part.part for raw, part in parts if part.seconds == seconds}
