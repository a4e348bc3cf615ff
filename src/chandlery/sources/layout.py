"""How a file is laid out: its form, its columns, its times, recognised from its first rows."""

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from chandlery.errors import SourceError
from chandlery.settings.model import LayoutSettings, ReadingSettings
from chandlery.sources.columns import ROLES, Places, place_by_data, place_by_hand, place_by_name
from chandlery.sources.symbols import match_layout
from chandlery.sources.times import UNITS, find_time_unit

__all__ = ["Layout", "recognise"]

Form = Literal["fields", "document", "lines"]
HEAD_ROWS = 2000  # enough to settle the order of columns by their numbers
# Control characters that text files do not have: with many of them a file is binary.
CONTROLS = bytes(code for code in range(32) if code not in b"\t\n\v\f\r")
SEPARATORS = {",": "CSV", "\t": "TSV", ";": "CSV with ;", "|": "CSV with |"}
DOCUMENT_START = re.compile(rb'\s*(?:\{(?:[^\[\]]*?"([^"]*)"\s*:\s*))?\[')
TOKENS = re.compile(rb"(?<=[\s:\[,])(-?Infinity|NaN)(?=[\s,\]}])")


@dataclass(frozen=True)
class Layout:
    """A file's layout.

    Args:
        form: Lines of fields, one JSON document, or a JSON value a line.
        places: Where time, open, high, low, close and volume stand: a position, or a key of a JSON object.
        time_unit: s, ms, us, ns or iso.
        words: What the ledger says.
        separator: Between fields.
        skip: Lines before the first row.
        width: Fields in a row; 0 for JSON objects.
        body: Where the first row of a document begins.
        symbol_place: Where a symbol stands, if there is one in each row.
    """

    form: Form
    places: Places
    time_unit: str
    words: str
    separator: str = ","
    skip: int = 0
    width: int = 0
    body: int = 0
    symbol_place: int | str | None = None


@dataclass(frozen=True)
class _Found:
    """A head taken apart: names where there are any, and the first rows' fields as text."""

    form: Form
    words: str
    names: list[str] | None
    rows: list[list[str]]
    keyed: bool = False
    separator: str = ","
    skip: int = 0
    body: int = 0


def recognise(head: bytes, source: str, settings: ReadingSettings) -> Layout:
    """Return how a file is laid out, by its names or, where they do not tell, by its numbers.

    Args:
        head: Its first bytes after decompression, without a BOM.
        source: Its path below the source root.
        settings: Where layouts set by hand stand.

    Raises:
        SourceError: It is empty, no table of candles, or its columns are ambiguous.
    """
    by_hand = match_layout(source, settings) or LayoutSettings()
    found = _take_apart(head, source)
    if not found.rows:
        raise SourceError(f"{source} holds no row", "candles", "remove the file, or fetch it again")
    places, how = _place(found, by_hand, source)
    times = [row[_position(found, places[0])] for row in found.rows if len(row) > _position(found, places[0])]
    unit = by_hand.time_unit or find_time_unit(times, source)
    names = ", ".join(ROLES[index] for index in sorted(range(6), key=lambda index: _position(found, places[index])))
    note = " read as UTC where it has no offset" if unit == "iso" else ""
    words = f"{found.words}; {names}; {how}; time in {UNITS[unit]}{note}"
    symbol_place = _find_symbol_place(found)
    width = (
        0
        if found.keyed
        else Counter(map(len, found.rows)).most_common(1)[0][0]
        if found.names is None
        else len(found.names)
    )
    return Layout(found.form, places, unit, words, found.separator, found.skip, width, found.body, symbol_place)


def _position(found: _Found, place: int | str) -> int:
    return place if isinstance(place, int) else (found.names or []).index(place)


def _place(found: _Found, by_hand: LayoutSettings, source: str) -> tuple[Places, str]:
    if by_hand.columns:
        return place_by_hand(by_hand.columns, found.names if found.keyed else None, source), "columns set by hand"
    if found.names is not None:
        places = place_by_name(found.names, source)
        if places is not None:
            return (tuple(found.names[int(place)] for place in places) if found.keyed else places), "columns by name"
    places, why = place_by_data(found.rows, source)
    if found.keyed and found.names is not None:
        return tuple(found.names[int(place)] for place in places), why
    return places, why


def _find_symbol_place(found: _Found) -> int | str | None:
    for position, name in enumerate(found.names or []):
        if name.strip().lower() in {"symbol", "pair", "ticker", "market", "tic", "instrument"}:
            return name if found.keyed else position
    return None


def _take_apart(head: bytes, source: str) -> _Found:
    start = head.lstrip()[:1]
    if not start:
        raise SourceError(f"{source} is empty", "candles", "remove the file, or fetch it again")
    if _is_binary(head[:4096]):
        raise SourceError(
            f"{source} is no text",
            "CSV, TSV or JSON in UTF-8, plain or as .gz, .zst or .zip",
            "convert it, or leave it out by a glob",
        )
    if start in b"[{":
        return _take_apart_json(head, source)
    return _take_apart_fields(head, source)


def _is_binary(head: bytes) -> bool:
    """Tell bytes that are no text: more than one in fifty is a control character."""
    return 50 * (len(head) - len(head.translate(None, CONTROLS))) > len(head)


def _take_apart_fields(head: bytes, source: str) -> _Found:
    lines = [line for line in head.decode("utf-8", "replace").splitlines() if line.strip()][:HEAD_ROWS]
    counts = {mark: _steady(lines, mark) for mark in SEPARATORS}
    separator = max(counts, key=lambda mark: counts[mark])
    if counts[separator] < len(ROLES) - 1:
        raise SourceError(
            f"{source} begins with {lines[0][:80]!r}",
            "at least six fields a row, separated by a comma, a tab, ; or |",
            "convert it, or leave it out by a glob",
        )
    rows = [[field.strip() for field in row] for row in csv.reader(lines, delimiter=separator)]
    skip = 0
    while skip < min(3, len(rows)) and not _looks_like_data(rows[skip]):
        skip += 1
    if skip == min(3, len(rows)):
        skip = 1  # no row of data among the first: names, and what they name is judged further on
    words = f"{SEPARATORS[separator]} {'with' if skip else 'without'} header"
    return _Found("fields", words, rows[skip - 1] if skip else None, rows[skip:], separator=separator, skip=skip)


def _steady(lines: Sequence[str], mark: str) -> int:
    """Return how often a mark stands in most lines; 0 where that varies."""
    counts = sorted(line.count(mark) for line in lines)
    middle = counts[len(counts) // 2]
    return middle if sum(count == middle for count in counts) >= len(counts) // 2 else 0


def _looks_like_data(row: Sequence[str]) -> bool:
    """Tell a row of data from a header: half of its fields are empty or begin like a number."""
    return 2 * sum(
        not field or bool(re.match(r"[-+]?[.\d]|nan|null|inf", field, re.IGNORECASE)) for field in row
    ) >= len(row)


def _take_apart_json(head: bytes, source: str) -> _Found:
    first = head.lstrip().partition(b"\n")[0]
    lines = [line for line in head.splitlines() if line.strip()]
    value = _decode(first)
    if isinstance(value, dict) and not any(isinstance(item, list | dict) for item in value.values()):
        return _unify("lines", "JSON, an object a line", [_decode(line) for line in lines[:HEAD_ROWS]], 0)
    if isinstance(value, list) and value and not isinstance(value[0], list | dict):
        return _unify("lines", "JSON, an array a line", [_decode(line) for line in lines[:HEAD_ROWS]], 0)
    opening = DOCUMENT_START.match(head)
    if not opening:
        raise SourceError(
            f"{source} begins with {head[:60]!r}",
            'rows in {"results": […]}, [{…}, …], [[…], …] or a JSON value a line',
            "convert it, or leave it out by a glob",
        )
    elements = re.findall(rb"\{[^{}]*\}|\[[^\[\]]*\]", head[opening.end() :])[:HEAD_ROWS]
    kind = "arrays" if elements and elements[0][:1] == b"[" else "objects"
    inside = f" in {opening[1].decode('utf-8', 'replace')!r}" if opening[1] is not None else ""
    return _unify(
        "document", f"JSON, an array of {kind}{inside}", [_decode(element) for element in elements], opening.end()
    )


def _decode(text: bytes) -> object:
    try:
        return msgspec.json.decode(TOKENS.sub(rb'"\1"', text))
    except msgspec.DecodeError:
        return None


def _unify(form: Form, words: str, values: list[object], body: int) -> _Found:
    """Give objects and arrays one shape: names and rows of text."""
    if any(isinstance(value, dict) for value in values):
        objects = [value for value in values if isinstance(value, dict)]
        names = max((list(map(str, value)) for value in objects), key=len)
        return _Found(
            form, words, names, [[_text(value.get(name)) for name in names] for value in objects], keyed=True, body=body
        )
    arrays = [value for value in values if isinstance(value, list) and value]
    rows = [[_text(item) for item in value] for value in arrays]
    return _Found(form, words, None, rows, body=body)


def _text(value: object) -> str:
    return "" if value is None else str(value)
