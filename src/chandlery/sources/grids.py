"""To which interval each file of a symbol belongs: by its own evidence, or by that of the symbol's other files."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from chandlery.errors import SourceError
from chandlery.grid import HOUR_SECONDS, MINUTE_MS, Grid
from chandlery.sources.decisions import Decision, Decisions
from chandlery.sources.doubts import UndecidedError, paste
from chandlery.sources.layout import Layout
from chandlery.sources.spacing import (
    MIN_CANDLES,
    MONTHS,
    NEARLY_ALL,
    SECOND_MS,
    Spacing,
    describe_grid,
    find_offset,
    find_problem,
    find_share,
    measure_spacing,
)
from chandlery.units import to_interval_text

__all__ = ["Decided", "Seen", "decide_grids", "explain_grid", "find_shift"]

HOUR_MS = HOUR_SECONDS * SECOND_MS


@dataclass(frozen=True)
class Seen:
    """What was seen of one file of a symbol.

    Args:
        times: Times of its first rows (ms), int64 (n,).
        given: The interval that is set by hand, in seconds; None where none is.
        offset: The offset that is set by hand, in seconds; None where none is.
        stamps: `open` or `close` where it is set by hand whether times are those of the open or of the close.
        length_ms: The length of a candle by its times of open and close; None where they do not tell.
        lengths: The lengths of candles by a column of intervals, in seconds.
        named: The length that its path names, in seconds; None where it names none, 0 for months.
        is_end: Whether its times are said to be the ends of candles.
        kind: The kind of file that it is.
        decisions: What was decided about its columns and times, and by what evidence.
        error: Why it cannot be read; None if it can.
        layout: Its layout, with a digest of the bytes by which it was recognised, for a file of delimited text.
    """

    times: NDArray[np.int64]
    given: int | None = None
    offset: int | None = None
    stamps: str = ""
    length_ms: int | None = None
    lengths: tuple[int, ...] = ()
    named: int | None = None
    is_end: bool = False
    kind: str = ""
    decisions: Decisions = field(default_factory=dict)
    error: SourceError | None = None
    layout: tuple[Layout, bytes] | None = None

    @property
    def straight(self) -> NDArray[np.int64]:
        """The times; those that are the last millisecond of something, a millisecond later."""
        return straighten(self.times)


@dataclass(frozen=True)
class Decided:
    """The grid of one file, or why it has none.

    Args:
        grid: None where it cannot be told.
        error: Why.
        evidence: What decided it.
    """

    grid: Grid | None
    error: SourceError | None = None
    evidence: str = field(default="", compare=False)


def straighten(times: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return times a millisecond later, if nearly all are the last millisecond of a second."""
    return times + 1 if times.size and (times % SECOND_MS == SECOND_MS - 1).mean() >= NEARLY_ALL else times


def find_shift(times: NDArray[np.int64], seconds: int, *, is_end: bool, stamps: str) -> int:
    """Return what has to be added to times (ms) so that they are those at which candles open.

    Times in the last millisecond, second or minute of each candle are those of its end.

    Args:
        times: Of the first rows, in ms, as the file has them.
        seconds: The interval.
        is_end: Whether the file says that its times are the ends of candles.
        stamps: `open` or `close` where that is set by hand.

    Example:
        >>> find_shift(np.array([86_399_000, 172_799_000]), 86_400, is_end=False, stamps="")
        -86399000
    """
    if stamps == "open" or not times.size:
        return 0
    straight = straighten(times)
    millisecond = 0 if straight is times else 1
    step = seconds * SECOND_MS
    for last in (SECOND_MS, MINUTE_MS):
        # Candles that last whole minutes end with a minute, those that last whole hours with an hour.
        whole = {SECOND_MS: MINUTE_MS, MINUTE_MS: HOUR_MS}[last]
        whole = whole if step % whole == 0 else step
        if step > 2 * last and (straight % whole == whole - last).mean() >= NEARLY_ALL:
            return last + millisecond - step
    return millisecond - step if is_end or stamps == "close" or millisecond else 0


def decide_grids(files: Mapping[str, Seen], known: Mapping[str, Grid]) -> dict[str, Decided]:
    """Return the grid of each file of a symbol.

    A file's own evidence decides where it is clear: its times of open and close, its column of intervals, its spacing
    and its name. A file whose evidence leaves it open, such as one with a single row, has the grid of the symbol's
    other files; if these have several, the grid of those in the same folder. If no file of the symbol is clear, their
    times are looked at together, by folder and then all.

    Args:
        files: By source.
        known: The grids of the other files of the symbol, which the lake has already, by source.
    """
    alone = {source: decide_alone(source, seen) for source, seen in files.items()}
    found = {source: decided for source, decided in alone.items() if decided is not None}
    unclear = {source: files[source] for source in files if source not in found}
    clear = {source: decided.grid for source, decided in found.items() if decided.grid is not None}
    others = {**known, **clear}
    for source, seen in [*unclear.items()]:
        fitting = {grid for grid in others.values() if grid.seconds == seen.named}
        if seen.named and not fitting and (decided := decide_by_name(source, seen)):
            found[source] = decided
            del unclear[source]
    grids = set(others.values())
    if not grids:
        together = measure_folders(unclear)
        return found | {source: decide_together(source, unclear[source], together) for source in unclear}
    for source, seen in unclear.items():
        beside = {grid for other, grid in others.items() if folder_of(other) == folder_of(source)}
        found[source] = choose_grid(source, seen, grids, beside)
    return found


def explain_grid(source: str, seen: Seen, grid: Grid, shift: int) -> Decisions:
    """Return what was decided about the interval, the offset and the stamps of a file that is read.

    Args:
        source: Its name.
        seen: What was seen of it.
        grid: When its candles open.
        shift: What is added to its times so that they are those of the open, in ms.
    """
    alone = decide_alone(source, seen)
    by = alone.evidence if alone is not None and alone.grid == grid else "the other files of its symbol"
    if seen.stamps:
        stamps = "set by hand"
    elif shift:
        stamps = "its columns" if seen.is_end else "its times, which end a second or a minute"
    else:
        stamps = "its times, and no column says otherwise"
    return {
        "interval": Decision(to_interval_text(grid.seconds), by),
        "offset": Decision(to_interval_text(grid.offset), "set by hand" if seen.offset is not None else "its times"),
        "stamps": Decision("close" if shift else "open", stamps),
    }


def decide_alone(source: str, seen: Seen) -> Decided | None:
    """Return what a file's own evidence decides; None where it leaves it open."""
    if seen.error:
        return Decided(None, seen.error)
    times = seen.straight
    spacing = measure_spacing(times)
    told = find_told(source, seen)
    if isinstance(told, SourceError):
        return Decided(None, told)
    seconds, witness = told
    if seconds is not None:
        return check_told(source, seen, spacing, (seconds, witness))
    if seen.named == 0:
        return Decided(None, complain(source, seen, f"its name says that {MONTHS}"))
    if not spacing.is_clear or spacing.grid is None:
        return Decided(None, complain(source, seen, spacing.problem)) if spacing.is_clear else None
    return check_name(source, seen, spacing.grid.seconds)


def check_name(source: str, seen: Seen, seconds: int) -> Decided:
    """Return the grid that the spacing of a file shows, unless its name contradicts that."""
    if seen.named is not None and seen.named != seconds:
        shown, named = to_interval_text(seconds), to_interval_text(seen.named)
        problem = f"its name says candles of {named}, and its times are {shown} apart"
        return Decided(None, complain(source, seen, problem, shown))
    return place_grid(source, seen, seconds, "the spacing of its times")


def find_told(source: str, seen: Seen) -> tuple[int | None, str] | SourceError:
    """Return the interval that a setting, a column or the times of open and close tell, and which of them does."""
    if seen.given is not None:
        return seen.given, "set by hand"
    told = {seen.length_ms // SECOND_MS: "its times of open and close"} if seen.length_ms else {}
    if len(seen.lengths) == 1:
        told.setdefault(seen.lengths[0], "its column of intervals")
    if seen.named and told and seen.named not in told:
        told.setdefault(seen.named, "its name")
    if len(told) > 1:
        found = " and ".join(f"{to_interval_text(seconds)} by {witness}" for seconds, witness in told.items())
        return complain(source, seen, f"its candles last {found}", to_interval_text(next(iter(told))))
    return next(iter(told.items()), (None, ""))


def check_told(source: str, seen: Seen, spacing: Spacing, told: tuple[int, str]) -> Decided:
    """Return the grid of a file whose interval something tells, unless its times contradict that."""
    seconds, witness = told
    shown = spacing.grid.seconds if spacing.is_clear and spacing.grid else None
    name = to_interval_text(seconds)
    if shown is not None and shown != seconds and witness != "set by hand":
        problem = f"its candles last {name} by {witness}, and its times are {to_interval_text(shown)} apart"
        return Decided(None, complain(source, seen, problem, to_interval_text(shown)))
    if shown is not None and (shown < seconds or (shown != seconds and seen.times.size >= MIN_CANDLES)):
        problem = f"interval = {name!r} is set, and its times are {to_interval_text(shown)} apart"
        return Decided(None, complain(source, seen, problem, to_interval_text(shown)))
    decided = place_grid(source, seen, seconds, witness)
    if decided.grid is None and witness == "set by hand" and seen.offset is None:
        return Decided(Grid(seconds), evidence=witness)
    return decided


def decide_by_name(source: str, seen: Seen) -> Decided | None:
    """Return the grid that the name of a file tells, where its times are too few or too seldom to show one."""
    if not seen.named or not seen.times.size:
        return None
    decided = place_grid(source, seen, seen.named, "its name")
    if decided.grid is None or (seen.times.size == 1 and decided.grid.offset):
        return None
    return decided


def place_grid(source: str, seen: Seen, seconds: int, evidence: str) -> Decided:
    """Return the grid of an interval on which nearly all times of a file lie, or why there is none."""
    shift = find_shift(seen.times, seconds, is_end=seen.is_end, stamps=seen.stamps)
    times = seen.times + shift
    if not times.size:
        return Decided(Grid(seconds, seen.offset or 0), evidence=evidence)
    grid = Grid(seconds, find_offset(times, seconds) if seen.offset is None else seen.offset)
    if problem := find_problem(grid):
        return Decided(None, complain(source, seen, problem))
    if find_share(grid, times) < NEARLY_ALL:
        if evidence == "set by hand":
            grid = Grid(seconds, seen.offset or 0)
            if find_share(grid, times) > 0.5:  # noqa: PLR2004 - most rows: the others are refused one by one
                return Decided(grid, evidence=evidence)
        between = f"{1 - find_share(grid, times):.0%} of its {times.size} first times lie between candles"
        problem = f"its candles last {to_interval_text(seconds)} by {evidence}, and {between}"
        return Decided(None, complain(source, seen, problem))
    return Decided(grid, evidence=evidence)


def choose_grid(source: str, seen: Seen, grids: set[Grid], beside: set[Grid]) -> Decided:
    """Return which of the symbol's grids a file has that shows none by itself.

    Args:
        source: Its name.
        seen: Its times.
        grids: All grids of the symbol.
        beside: Those of the files in its folder.
    """
    named = {grid for grid in grids if seen.named is None or grid.seconds == seen.named}
    fitting = [grid for grid in named if seen.times.size and find_share(grid, shifted(seen, grid)) >= NEARLY_ALL]
    near = [grid for grid in fitting if grid in beside]
    chosen = near if len(near) == 1 else fitting
    if len(chosen) == 1:
        return Decided(chosen[0], evidence="the other files of its symbol")
    names = " and ".join(sorted(map(describe_grid, chosen or grids)))
    if chosen:
        problem = f"its times ({count(seen)}) fit candles of {names}"
        return Decided(None, complain(source, seen, problem, to_interval_text(chosen[0].seconds)))
    problem = f"its times ({count(seen)}) do not fit candles of {names}, which the symbol's other files hold"
    return Decided(None, complain(source, seen, problem))


def shifted(seen: Seen, grid: Grid) -> NDArray[np.int64]:
    """Return the times of a file as those at which candles of a grid open."""
    return seen.times + find_shift(seen.times, grid.seconds, is_end=seen.is_end, stamps=seen.stamps)


def measure_folders(files: Mapping[str, Seen]) -> dict[str, Spacing]:
    """Return how the times of files are spaced, by folder; under the empty name, those of all of them together.

    A folder whose files leave it open is left out.
    """
    folders: dict[str, list[NDArray[np.int64]]] = {}
    for source, seen in files.items():
        folders.setdefault(folder_of(source), []).append(seen.straight)
    measured = {f"{folder}/": measure_spacing(np.concatenate(times)) for folder, times in folders.items()}
    whole = measure_spacing(np.concatenate([np.empty(0, np.int64), *(seen.straight for seen in files.values())]))
    return {folder: spacing for folder, spacing in [*measured.items(), ("", whole)] if spacing.is_clear}


def decide_together(source: str, seen: Seen, measured: Mapping[str, Spacing]) -> Decided:
    """Return the grid of a file that shows none by itself, from all files of its folder, or of its symbol."""
    spacing = measured.get(f"{folder_of(source)}/", measured.get(""))
    if spacing is None or spacing.grid is None:
        found = f"the spacing of its times ({count(seen)}) shows no interval, nor do other files"
        return Decided(None, complain(source, seen, measure_spacing(seen.straight).problem or found))
    placed = place_grid(source, seen, spacing.grid.seconds, "the times of the files of its symbol together")
    if placed.grid is None:
        return placed
    return choose_grid(source, seen, {placed.grid}, set())


def folder_of(source: str) -> str:
    """Return the folder, or the archive, in which a file stands.

    Example:
        >>> folder_of("LTC/2019.csv"), folder_of("LTC/2019.zip!01.csv")
        ('LTC', 'LTC/2019.zip')
    """
    return source.rpartition("!" if "!" in source else "/")[0]


def count(seen: Seen) -> str:
    """Return how many rows were seen, in words."""
    rows, spacing = np.unique(seen.times).size, measure_spacing(seen.straight)
    text = f"{rows} row{'s' if rows != 1 else ''}"
    if rows < MIN_CANDLES or spacing.grid is None or spacing.is_clear:
        return text
    between = 1 - find_share(spacing.grid, seen.straight)
    return f"{text}, {between:.0%} of them between candles of {describe_grid(spacing.grid)}"


def complain(source: str, seen: Seen, problem: str, likely: str = "") -> UndecidedError:
    """Return what is wrong with a file, with the lines that decide its interval."""
    spacing = measure_spacing(seen.straight)
    likely = likely or (to_interval_text(spacing.grid.seconds) if spacing.grid else "1m")
    expected = "times whose spacing is the length of a candle, from 1s to 1w"
    hint = paste(
        source, {"interval": likely}, {"interval": "the length of its candles; or leave it out with [source] exclude"}
    )
    hint = "leave it out with [source] exclude" if MONTHS in problem else hint
    return UndecidedError("interval", f"{source}: {problem}", expected, hint)
