"""Recognising a file: its form, its columns, its unit of time.

Names tell where there are names. Where there are none, the data do: the high is above and the low below
the rest (the envelope), and an open is near the close before it (continuity). What these do not settle
is refused, with what was tried.
"""

import datetime as dt
import fnmatch
import itertools
import re
from dataclasses import dataclass, replace
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from chandlery.config import LayoutSettings, SourceSettings
from chandlery.errors import SettingsError, SourceError

__all__ = ["FIELDS", "Layout", "hand_layout", "recognise"]

FIELDS = ("time", "open", "high", "low", "close", "volume")
NAMES = {
    "time": "time timestamp date datetime mts unix epoch ts t open_time opentime start date_time utc".split(),
    "open": "open o open_price".split(),
    "high": "high h max high_price".split(),
    "low": "low l min low_price".split(),
    "close": "close c last close_price".split(),
    "volume": "volume vol v base_volume volume_base amount volumefrom".split(),
    "symbol": "symbol pair ticker instrument market".split(),
}
UNITS = {"s": (1e8, 1e10, 1000.0), "ms": (1e11, 1e13, 1.0), "us": (1e14, 1e16, 1e-3), "ns": (1e17, 1e19, 1e-6)}
HEAD_ROWS = 2_000
ENVELOPE_SLACK = 0.002
CONTINUITY = 0.75
PLAUSIBLE = 0.35  # a low this far from the open (in logs), at the median, is no price


@dataclass(frozen=True)
class Layout:
    """How a file is to be read.

    Args:
        form: csv (any separator), json (one document) or ndjson.
        columns: What each column holds, in order, in FIELDS; `-` for what is left out, `symbol` for symbols.
        keys: The names in JSON objects, as `columns`; empty for arrays and csv.
        separator: Of csv.
        header: Whether the first line of csv is names.
        unit: Of time.
        offset: Whether ISO times carry an offset.
        path: The key of the rows in a JSON object; empty where the document is the array.
        how: How the order was settled, in words.
    """

    form: Literal["csv", "json", "ndjson"]
    columns: tuple[str, ...]
    keys: tuple[str, ...] = ()
    separator: str = ","
    header: bool = False
    unit: str = "ms"
    offset: bool = False
    path: str = ""
    how: str = "by names"

    @property
    def words(self) -> str:
        """What was recognised, for the ledger."""
        if self.form == "csv":
            shape = f"{ {',': 'CSV', chr(9): 'TSV'}.get(self.separator, f'text separated by {self.separator}') } {'with' if self.header else 'without'} header"
        else:
            rows = "objects" if self.keys else "arrays"
            shape = f"NDJSON {rows}" if self.form == "ndjson" else f"JSON {rows}{f' under {self.path}' if self.path else ''}"
        order = ", ".join(self.columns)
        time = f"epoch {self.unit}" if self.unit != "iso" else f"ISO text {'with' if self.offset else 'without'} offset{'' if self.offset else ', taken as UTC'}"
        return f"{shape}; {order}; {self.how}; time in {time}"


def hand_layout(source: str, settings: SourceSettings) -> LayoutSettings | None:
    """Return the layout that was set by hand for a file; None where there is none."""
    for layout in settings.layout:
        if fnmatch.fnmatchcase(source, layout.files) or fnmatch.fnmatchcase(source.rpartition("/")[2], layout.files):
            return layout
    return None


def recognise(head: bytes, source: str, by_hand: LayoutSettings | None) -> Layout:
    """Return how a file is to be read.

    Args:
        head: Its first megabyte, decompressed, without a byte order mark, cut at a line where it is longer.
        source: Its name, for errors.
        by_hand: What was set for it.

    Raises:
        SourceError: It is empty, no text, no candles, or its order of columns is ambiguous.
    """
    text = head.decode("utf-8", "replace").strip()
    if not text:
        raise SourceError(f"{source} is empty", "candles", "remove it, or upload it again")
    if "\x00" in text[:1000]:
        raise SourceError(f"{source} is no UTF-8 text", "CSV or JSON as UTF-8", "convert it")
    layout, rows = _read_json_head(text, source) if text[0] in "{[" else _read_csv_head(text, source)
    if by_hand is not None and by_hand.columns is not None:
        layout = _apply_columns(layout, by_hand.columns, rows, source)
    elif "time" not in layout.columns:
        layout = _settle_order(layout, rows, source)
    missing = [name for name in FIELDS if name not in layout.columns]
    if missing:
        raise _refusal(source, f"no column for {', '.join(missing)} among {', '.join(layout.keys or layout.columns)}")
    return _settle_time(layout, rows, source, by_hand)


def _refusal(source: str, found: str) -> SourceError:
    return SourceError(f"{source}: {found}", "candles: time, open, high, low, close, volume", f'set [[source.layout]] files = "{source}", columns = ["time", "open", …] or remove it')


def match_name(name: str) -> str:
    """Return the field that a column name means; `-` where it means none.

    Example:
        >>> [match_name(name) for name in ("MTS", "LTC.open", "Volume BTC", "trades")]
        ['time', 'open', 'volume', '-']
    """
    plain = name.strip().strip('"').lower()
    for form in (plain, plain.rpartition(".")[2], re.split(r"[ (]", plain)[0].replace("-", "_")):
        for field, names in NAMES.items():
            if form in names:
                return field
    return "-"


def _match_names(names: list[str]) -> tuple[str, ...]:
    found: list[str] = []
    for name in names:
        field = match_name(name)
        found.append("-" if field in found else field)
    return tuple(found)


def _read_csv_head(text: str, source: str) -> tuple[Layout, list[list[str]]]:
    lines = [line for line in text.splitlines()[: HEAD_ROWS + 1] if line.strip()]
    separator = max("\t,;|", key=lambda mark: min(line.count(mark) for line in lines[:5]))
    rows = [[field.strip().strip('"') for field in line.split(separator)] for line in lines]
    if len(rows[0]) < len(FIELDS):
        raise _refusal(source, f"{len(rows[0])} columns in the first line {lines[0][:80]!r}")
    named = not any(_is_number(field) or _parse_iso(field) for field in rows[0])
    if not named:
        return Layout("csv", ("?",) * len(rows[0]), separator=separator), rows
    return Layout("csv", _match_names(rows[0]), keys=(), separator=separator, header=True), rows[1:]


def _read_json_head(text: str, source: str) -> tuple[Layout, list[list[str]]]:
    first = text.split("\n", 1)[0].strip()
    path = ""
    try:
        msgspec.json.decode(first.encode())
        whole = not text.startswith(first) or "\n" not in text or first == text
        lines = not whole and not (first.startswith(("[[", "[{")))
    except msgspec.DecodeError:
        lines = False
    if lines:
        parts = [line for line in text.splitlines()[:HEAD_ROWS] if line.strip()]
    else:
        if text[0] == "{":
            match = re.match(r'\{\s*"([^"]+)"\s*:\s*\[', text) or re.search(r'"(results|data|candles|result|klines)"\s*:\s*\[', text)
            if match is None:
                raise _refusal(source, "a JSON object without an array of rows")
            path, text = match[1], text[match.end() - 1 :]
        parts = re.findall(r"\{[^{}]*\}|\[[^\[\]{}]+\]", text)[:HEAD_ROWS]
    rows = [row for part in parts if isinstance(row := _decode(part), dict | list)]
    if not rows:
        raise _refusal(source, "no rows in its JSON")
    form: Literal["json", "ndjson"] = "ndjson" if lines else "json"
    if isinstance(rows[0], dict):
        keys = tuple(rows[0])
        values = [["" if row.get(key) is None else str(row.get(key)) for key in keys] for row in rows if isinstance(row, dict)]
        return Layout(form, _match_names(list(keys)), keys=keys, path=path), values
    return Layout(form, ("?",) * len(rows[0]), path=path), [[str(value) for value in row] for row in rows if isinstance(row, list)]


def _decode(part: str) -> Any:
    try:
        return msgspec.json.decode(part.encode())
    except msgspec.DecodeError:
        return None


def _apply_columns(layout: Layout, columns: list[str], rows: list[list[str]], source: str) -> Layout:
    unknown = [name for name in columns if name not in {*FIELDS, "-", "symbol"}]
    if unknown:
        raise SettingsError(f"column {unknown[0]!r} in [[source.layout]]", f"{', '.join(FIELDS)}, symbol or -", "mend it")
    if rows and len(columns) != len(rows[0]):
        raise _refusal(source, f"{len(rows[0])} columns, while {len(columns)} are set by hand")
    return replace(layout, columns=tuple(columns), how="as set by hand")


def _settle_order(layout: Layout, rows: list[list[str]], source: str) -> Layout:
    if len(set(layout.columns)) > 1:
        raise _refusal(source, f"the names {', '.join(layout.keys or layout.columns)}")
    width = len(rows[0])
    times = [place for place in range(width) if _time_unit([row[place] for row in rows[:50] if len(row) == width])]
    if not times or width < len(FIELDS):
        raise _refusal(source, f"{width} columns without names, none of them a time")
    table = np.array([[_number(row[place]) for place in range(width)] for row in rows if len(row) == width])
    others = [place for place in range(width) if place != times[0]][:5]
    fits = [order for order in itertools.permutations(range(5)) if _fits(table[:, others], order)]
    if not fits:
        raise _refusal(source, "columns without names, and no order of them has the high above and the low below the rest")
    best = _by_continuity(table[:, others], fits)
    if best is None:
        tried = "; ".join(", ".join(_named(order)) for order in fits[:4])
        raise _refusal(source, f"an ambiguous order of columns: {tried} all fit (tried the high/low envelope, then the open near the close before)")
    columns = ["-"] * width
    columns[times[0]] = "time"
    for place, name in zip(others, _named(best), strict=True):
        columns[place] = name
    return replace(layout, columns=tuple(columns), how="by the high/low envelope and continuity")


def _named(order: tuple[int, ...]) -> list[str]:
    names = [""] * 5
    for field, place in zip(("open", "high", "low", "close", "volume"), order, strict=True):
        names[place] = field
    return names


def _fits(table: NDArray[np.float64], order: tuple[int, ...]) -> bool:
    opened, high, low, close, volume = (table[:, place] for place in order)
    with np.errstate(invalid="ignore", divide="ignore"):
        broken = (high < np.maximum(opened, close)) | (low > np.minimum(opened, close)) | (volume < 0) | (low <= 0)
        if np.nanmean(broken) > ENVELOPE_SLACK:
            return False
        far = [float(np.nanmedian(np.abs(np.log(price / opened)))) for price in (high, low, close)]
    return max(far) < PLAUSIBLE and bool(np.any(high > low))


def _by_continuity(table: NDArray[np.float64], fits: list[tuple[int, ...]]) -> tuple[int, ...] | None:
    jumps = {order: float(np.nanmean(np.abs(table[1:, order[0]] - table[:-1, order[3]]))) for order in fits}
    ranked = sorted(fits, key=lambda order: jumps[order])
    if len(ranked) == 1:
        return ranked[0]
    return ranked[0] if jumps[ranked[0]] < CONTINUITY * jumps[ranked[1]] else None


def _settle_time(layout: Layout, rows: list[list[str]], source: str, by_hand: LayoutSettings | None) -> Layout:
    place = layout.columns.index("time")
    values = [row[place] for row in rows if len(row) > place and row[place]]
    unit = by_hand.time_unit if by_hand is not None and by_hand.time_unit else _time_unit(values)
    if unit is None:
        raise _refusal(source, f"a time column whose values, such as {values[0] if values else ''!r}, are neither epoch nor ISO text")
    offset = unit == "iso" and any(re.search(r"(Z|[+-]\d\d:?\d\d)$", value) for value in values[:10])
    return replace(layout, unit=unit, offset=offset)


def _time_unit(values: list[str]) -> str | None:
    numbers = [_number(value) for value in values]
    known = [number for number in numbers if not np.isnan(number)]
    if len(known) > len(values) / 2:
        middle = float(np.median(known))
        return next((unit for unit, (low, high, _) in UNITS.items() if low <= middle < high), None)
    parsed = sum(_parse_iso(value) for value in values[:50])
    return "iso" if parsed and parsed >= len(values[:50]) / 2 else None


def _parse_iso(value: str) -> bool:
    try:
        dt.datetime.fromisoformat(value)
    except ValueError:
        return False
    return not value.isdigit()


def _is_number(value: str) -> bool:
    return not np.isnan(_number(value))


def _number(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        return float("nan")
