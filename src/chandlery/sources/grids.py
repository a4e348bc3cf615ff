"""To which interval each file of a symbol belongs: by its own times, or by those of the symbol's other files."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chandlery.errors import SourceError
from chandlery.grid import Grid
from chandlery.sources.spacing import (
    MIN_CANDLES,
    NEARLY_ALL,
    Spacing,
    describe_grid,
    find_offset,
    find_problem,
    find_share,
    measure_spacing,
)

__all__ = ["Decided", "Seen", "decide_grids"]


@dataclass(frozen=True)
class Seen:
    """What was seen of one file of a symbol.

    Args:
        times: Times of its first rows (ms), int64 (n,).
        given: The interval that is set by hand, in seconds; None where none is.
        error: Why it cannot be read; None if it can.
    """

    times: NDArray[np.int64]
    given: int | None = None
    error: SourceError | None = None


@dataclass(frozen=True)
class Decided:
    """The grid of one file, or why it has none.

    Args:
        grid: None where it cannot be told.
        error: Why.
    """

    grid: Grid | None
    error: SourceError | None = None


def decide_grids(files: Mapping[str, Seen], known: Mapping[str, Grid]) -> dict[str, Decided]:
    """Return the grid of each file of a symbol.

    The commonest spacing of a file's own times decides where it is clear. A file whose times leave it open, such as
    one with a single row, has the grid of the symbol's other files; if these have several, the grid of those in the
    same folder. If no file of the symbol is clear, their times are looked at together, by folder and then all.

    Args:
        files: By source.
        known: The grids of the other files of the symbol, which the lake has already, by source.
    """
    alone = {source: decide_alone(source, seen) for source, seen in files.items()}
    found = {source: decided for source, decided in alone.items() if decided is not None}
    unclear = {source: files[source] for source in files if source not in found}
    clear = {source: decided.grid for source, decided in found.items() if decided.grid is not None}
    others = {**known, **clear}
    grids = set(others.values())
    if not grids:
        together = measure_folders(unclear)
        return found | {source: decide_together(source, unclear[source], together) for source in unclear}
    for source, seen in unclear.items():
        beside = {grid for other, grid in others.items() if folder_of(other) == folder_of(source)}
        found[source] = choose_grid(source, seen, grids, beside)
    return found


def decide_alone(source: str, seen: Seen) -> Decided | None:
    """Return what a file's own times decide; None where they leave it open."""
    if seen.error:
        return Decided(None, seen.error)
    if seen.given is not None:
        return Decided(Grid(seen.given, find_given_offset(seen.times, seen.given)))
    spacing = measure_spacing(seen.times)
    if not spacing.is_clear:
        return None
    return Decided(None, complain(source, spacing.problem)) if spacing.problem else Decided(spacing.grid)


def find_given_offset(times: NDArray[np.int64], seconds: int) -> int:
    """Return where candles open whose interval is set by hand: at 0 unless nearly all times say otherwise."""
    grid = Grid(seconds, find_offset(times, seconds))
    return 0 if find_problem(grid) or find_share(grid, times) < NEARLY_ALL else grid.offset


def choose_grid(source: str, seen: Seen, grids: set[Grid], beside: set[Grid]) -> Decided:
    """Return which of the symbol's grids a file has that shows none by itself.

    Args:
        source: Its name.
        seen: Its times.
        grids: All grids of the symbol.
        beside: Those of the files in its folder.
    """
    fitting = [grid for grid in grids if seen.times.size and find_share(grid, seen.times) >= NEARLY_ALL]
    near = [grid for grid in fitting if grid in beside]
    chosen = near if len(near) == 1 else fitting
    if len(chosen) == 1:
        return Decided(chosen[0])
    names = " and ".join(sorted(map(describe_grid, chosen or grids)))
    if chosen:
        return Decided(None, complain(source, f"its times ({count(seen)}) fit candles of {names}"))
    problem = f"its times ({count(seen)}) do not fit candles of {names}, which the symbol's other files hold"
    return Decided(None, complain(source, problem))


def measure_folders(files: Mapping[str, Seen]) -> dict[str, Spacing]:
    """Return how the times of files are spaced, by folder; under the empty name, those of all of them together.

    A folder whose files leave it open is left out.
    """
    folders: dict[str, list[NDArray[np.int64]]] = {}
    for source, seen in files.items():
        folders.setdefault(folder_of(source), []).append(seen.times)
    measured = {f"{folder}/": measure_spacing(np.concatenate(times)) for folder, times in folders.items()}
    whole = measure_spacing(np.concatenate([np.empty(0, np.int64), *(seen.times for seen in files.values())]))
    return {folder: spacing for folder, spacing in [*measured.items(), ("", whole)] if spacing.is_clear}


def decide_together(source: str, seen: Seen, measured: Mapping[str, Spacing]) -> Decided:
    """Return the grid of a file that shows none by itself, from all files of its folder, or of its symbol."""
    spacing = measured.get(f"{folder_of(source)}/", measured.get(""))
    if spacing is None or spacing.grid is None:
        found = f"the spacing of its times ({count(seen)}) shows no interval, nor do other files"
        return Decided(None, complain(source, measure_spacing(seen.times).problem or found))
    if spacing.problem:
        return Decided(None, complain(source, spacing.problem))
    return choose_grid(source, seen, {spacing.grid}, set())


def folder_of(source: str) -> str:
    """Return the folder, or the archive, in which a file stands.

    Example:
        >>> folder_of("LTC/2019.csv"), folder_of("LTC/2019.zip!01.csv")
        ('LTC', 'LTC/2019.zip')
    """
    return source.rpartition("!" if "!" in source else "/")[0]


def count(seen: Seen) -> str:
    """Return how many rows were seen, in words."""
    rows, spacing = np.unique(seen.times).size, measure_spacing(seen.times)
    text = f"{rows} row{'s' if rows != 1 else ''}"
    if rows < MIN_CANDLES or spacing.grid is None or spacing.is_clear:
        return text
    between = 1 - find_share(spacing.grid, seen.times)
    return f"{text}, {between:.0%} of them between candles of {describe_grid(spacing.grid)}"


def complain(source: str, problem: str) -> SourceError:
    """Return what is wrong with a file, with what to do."""
    hint = (
        f'set [[source.layout]] files = "{source}", interval = "…" if it holds candles, before the other layouts and '
        "with what the layout sets that the file has now (its exchange, say), since the first layout that matches a "
        "file holds alone; or leave the file out by a glob"
    )
    return SourceError(f"{source}: {problem}", "times whose spacing is the length of a candle, from 1s to 1w", hint)
