"""Rows of several series, and files with them, for the tests of how their parts are told apart."""

import io
import json
from collections.abc import Iterable

from raw_files import START_MS, find_difference, raw_file, rows_of

from chandlery.settings.model import LayoutSettings, SourceSettings
from chandlery.sources.files import FileRows, read_file, read_parts
from chandlery.sources.grids import Seen, decide_grids
from chandlery.sources.parts import Part
from chandlery.sources.surveys import peek_parts, survey_parts

NAMES = ("time", "symbol", "open", "high", "low", "close", "volume")
PRICES = {"BTC/USDT": 9_000.0, "ETH/USDT": 200.0, "DOGE/USDT": 0.2, "TRUST/USDT": 3.0}
HOUR = 3_600_000
Row = dict[str, object]


def make_rows(symbol: str, count: int = 120, step: int = HOUR, **more: object) -> list[Row]:
    """Candles of a symbol, each of which opens near the close before it."""
    rows, price = [], PRICES.get(symbol, 10.0)
    for number in range(count):
        close = price * (1.01 if number * 7 % 5 > 2 else 0.993)
        values = (START_MS + number * step, symbol, price, max(price, close) * 1.002, min(price, close) * 0.998, close)
        rows.append({**dict(zip(NAMES, (*values, 1.5 + number % 7), strict=True)), **more})
        price = close
    return rows


def blocks(*parts: list[Row]) -> list[Row]:
    """Parts one after the other."""
    return [row for part in parts for row in part]


def interleaved(*parts: list[Row]) -> list[Row]:
    """All parts at each time."""
    return sorted(blocks(*parts), key=lambda row: str(row["time"]))


def halves(*parts: list[Row]) -> list[Row]:
    """The first half of each part, then the second one of each."""
    return blocks(*(part[: len(part) // 2] for part in parts), *(part[len(part) // 2 :] for part in parts))


def to_csv(rows: list[Row]) -> bytes:
    return "".join(",".join(map(str, row)) + "\n" for row in [list(rows[0]), *(row.values() for row in rows)]).encode()


def to_ndjson(rows: list[Row]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def to_array(rows: list[Row]) -> bytes:
    return json.dumps(rows).encode()


def to_results(rows: list[Row]) -> bytes:
    return json.dumps({"status": "ok", "results": rows}).encode()


def survey(content: bytes, source: str, **layout: object) -> dict[Part, Seen]:
    settings = SourceSettings(layout=[LayoutSettings(**layout)] if layout else [])
    raw = raw_file(content, source)
    assert peek_parts(io.BytesIO(content), raw, settings) is None
    return survey_parts(io.BytesIO(content), raw, settings)


def read_each(content: bytes, source: str, **layout: object) -> dict[Part, FileRows]:
    """Read the parts of a file one by one, and check that together they are read as they are alone."""
    settings = SourceSettings(layout=[LayoutSettings(**layout)] if layout else [])
    found, grids, raw = {}, {}, raw_file(content, source)
    for part, seen in survey(content, source, **layout).items():
        decided = decide_grids({source: seen}, {})[source]
        if decided.error is not None:
            raise decided.error
        assert decided.grid is not None
        grids[part] = decided.grid
        found[part] = read_file(io.BytesIO(content), raw, settings, decided.grid, part=part)
    together = read_parts(io.BytesIO(content), raw, settings, grids)
    assert list(together) == list(found)
    for part, file in together.items():
        assert isinstance(file, FileRows)
        assert find_difference(found[part], file) == ""
    return found


def list_rows(files: Iterable[FileRows]) -> list[int]:
    """The numbers of all rows that files have."""
    return sorted(row for file in files for row in [*rows_of(file)["row"], *file.rejects["row"]])


FORMS = {"csv": to_csv, "ndjson": to_ndjson, "array": to_array, "results": to_results}
