"""Read drawn files as a run does, each by itself, and judge what comes out."""

import io
from typing import NamedTuple

import numpy as np
from foreign_files import Drawn
from mixed_files import Mixed, pick
from raw_files import find_difference

from chandlery.errors import SourceError
from chandlery.grid import Grid
from chandlery.settings.model import SourceSettings
from chandlery.sources.doubts import UndecidedError
from chandlery.sources.files import FileRows, RawFile, peek_file, read_file, read_parts
from chandlery.sources.grids import Seen, decide_grids
from chandlery.sources.parts import Part
from chandlery.sources.surveys import peek_parts, survey_parts
from chandlery.sources.symbols import find_symbol

COLUMNS = ("open", "high", "low", "close", "volume")


class Verdict(NamedTuple):
    """What came out of a file: `right`, `open` (refused for what is open), `refused` or `WRONG`; and why."""

    outcome: str
    why: str = ""


def judge(drawn: Drawn) -> Verdict:
    """Read a file, and compare it with the truth."""
    settings = SourceSettings()
    path = drawn.name.partition("!")[0]
    raw = RawFile(drawn.name, path, drawn.member, len(drawn.content), "e", drawn.modified_at)
    try:
        symbol = find_symbol(raw.source, settings)
        seen = peek_file(io.BytesIO(drawn.content), raw, settings)
        decided = decide_grids({raw.source: seen}, {})[raw.source]
        if decided.error is not None:
            raise decided.error
        assert decided.grid is not None
        file = read_file(io.BytesIO(drawn.content), raw, settings, decided.grid)
    except UndecidedError as error:
        return Verdict("open" if error.decision in drawn.leaves else "refused", f"{error.decision}: {error.found}")
    except SourceError as error:
        return Verdict("refused", error.found)
    fault = find_fault(drawn, symbol, file)
    return Verdict("WRONG", fault) if fault else Verdict("right")


def judge_mixed(mixed: Mixed) -> Verdict:
    """Read the parts of a file with several series, and compare them with the truth."""
    raw = RawFile(mixed.name, mixed.name, None, len(mixed.content), "e", mixed.modified_at)
    settings = SourceSettings()
    try:
        if peek_parts(io.BytesIO(mixed.content), raw, settings) is not None:
            return Verdict("WRONG", "it counts as a file of one series")
        parts = survey_parts(io.BytesIO(mixed.content), raw, settings)
        grids = {part: decide_grid(raw, seen) for part, seen in parts.items()}
        files = {part: read_part(mixed, raw, part, grid) for part, grid in grids.items()}
    except UndecidedError as error:
        return Verdict("open" if error.decision in mixed.leaves else "refused", f"{error.decision}: {error.found}")
    except SourceError as error:
        return Verdict("refused", error.found)
    together = read_parts(io.BytesIO(mixed.content), raw, settings, grids)
    for part, file in together.items():
        if not isinstance(file, FileRows) or find_difference(files[part], file):
            return Verdict("WRONG", f"{part} is read otherwise together with others")
    fault = find_mixed_fault(mixed, files)
    return Verdict("WRONG", fault) if fault else Verdict("right")


def find_mixed_fault(mixed: Mixed, files: dict[Part, FileRows]) -> str:
    """Return what is wrong with the parts of a file; empty if they have all of its rows, each its true candles."""
    counted = sum(file.rows_read for file in files.values())
    rows = sorted(row for file in files.values() for row in file.accepted.take(file.accepted.months)["row"])
    if counted != mixed.rows or len(files) != len(mixed.series) or rows != list(range(1, mixed.rows + 1)):
        return f"{counted} rows of {mixed.rows}, {len(files)} parts of {len(mixed.series)}"
    for part, file in files.items():
        series = pick(mixed, part.symbol, part.exchange, file.grid.seconds)
        if series is None:
            return f"{part} is no series of it"
        drawn = Drawn(mixed.name, b"", None, mixed.modified_at, "", series.seconds, series.candles, set())
        if fault := find_fault(drawn, "", file):
            return f"{part}: {fault}"
    return ""


def decide_grid(raw: RawFile, seen: Seen) -> Grid:
    """Return the grid that a part of a file shows by itself."""
    decided = decide_grids({raw.source: seen}, {})[raw.source]
    if decided.error is not None:
        raise decided.error
    assert decided.grid is not None
    return decided.grid


def read_part(mixed: Mixed, raw: RawFile, part: Part, grid: Grid) -> FileRows:
    """Read a part of a file alone."""
    return read_file(io.BytesIO(mixed.content), raw, SourceSettings(), grid, part=part)


def find_fault(drawn: Drawn, symbol: str, file: FileRows) -> str:
    """Return what is wrong with the rows of a file; empty if they are the true candles."""
    if symbol != drawn.symbol:
        return f"symbol {symbol}, not {drawn.symbol}"
    if file.grid.seconds != drawn.seconds:
        return f"interval {file.grid.seconds}, not {drawn.seconds}"
    rows = file.accepted.take(file.accepted.months).sort("open_time")
    if rows.height != len(drawn.candles) or file.rejects.height:
        return f"{rows.height} candles of {len(drawn.candles)}; {file.rejects.head(2).rows()}"
    truth = np.array(drawn.candles)
    if not np.array_equal(rows["open_time"].to_physical().to_numpy(), truth[:, 0].astype(np.int64)):
        return f"times begin at {rows['open_time'][0]}"
    apart = np.abs(rows.select(COLUMNS).to_numpy() / truth[:, 1:] - 1).max(axis=0)
    wrong = [name for name, most in zip(COLUMNS, apart.tolist(), strict=True) if most > 1e-9]
    return f"{', '.join(wrong)} differ: {file.layout_words}" if wrong else ""
