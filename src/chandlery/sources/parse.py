"""Text to columns.

The fast way reads whole chunks as numbers; whatever is odd in a chunk sends it the lenient way, which reads every row as text and says of each whether a field is missing or no number.
Both give the same rows.
"""

import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import attrgetter, itemgetter
from typing import Any, BinaryIO

import msgspec
import numpy as np
import polars as pl

from chandlery.config import SourceSettings
from chandlery.errors import SourceError
from chandlery.sources.layout import FIELDS, Layout
from chandlery.sources.streams import read_chunks, read_whole

__all__ = ["Parsed", "fetch_rows", "parse_file"]

NUMBERS = FIELDS[1:]
NOTHING = ["", "null", "none", "na", "n/a"]


@dataclass(frozen=True)
class Parsed:
    """Some data rows of a file.

    Args:
        rows: row, time (Int64, or Datetime where ISO), open, high, low, close, volume, missing, unparseable.
        symbols: What the symbol column held.
    """

    rows: pl.DataFrame
    symbols: set[str]


def parse_file(file: Any, source: str, layout: Layout, settings: SourceSettings) -> Iterator[Parsed]:
    """Yield a file's data rows in order, some at a time.

    Raises:
        SourceError: The file is damaged, or too large for one JSON document.
    """
    if layout.form == "json":
        yield _parse_document(read_whole(file, source, settings.max_json_bytes), source, layout)
        return
    first = 1
    for number, chunk in enumerate(read_chunks(file, source)):
        text = _without_header(chunk) if layout.header and number == 0 else chunk
        if not text.strip():
            continue
        parsed = _parse_csv(text, layout, first) if layout.form == "csv" else _parse_lines(text, layout, first)
        first += parsed.rows.height
        yield parsed


def fetch_rows(open_file: Callable[[], BinaryIO], source: str, layout: Layout, settings: SourceSettings, numbers: list[int]) -> dict[int, str]:
    """Return the exact text of some data rows, by number, from a second pass over the file."""
    wanted = set(numbers)
    found: dict[int, str] = {}
    with open_file() as file:
        if layout.form == "json":
            elements = _elements(read_whole(file, source, settings.max_json_bytes), source, layout)
            return {number: bytes(elements[number - 1]).decode("utf-8", "replace") for number in numbers}
        first = 1
        for number, chunk in enumerate(read_chunks(file, source)):
            text = _without_header(chunk) if layout.header and number == 0 else chunk
            lines = [line for line in _lines(text) if line.strip()]
            found |= {first + place: line for place, line in enumerate(lines) if first + place in wanted}
            first += len(lines)
    return found


def _without_header(chunk: bytes) -> bytes:
    text = chunk.lstrip()
    return text[text.find(b"\n") + 1 :] if b"\n" in text else b""


def _lines(text: bytes) -> list[str]:
    return [line.removesuffix("\r") for line in text.decode("utf-8", "replace").split("\n")]


def _parse_csv(text: bytes, layout: Layout, first: int) -> Parsed:
    quick = _parse_csv_fast(text, layout, first) if "symbol" not in layout.columns else None
    return quick if quick is not None else _lenient([line for line in _lines(text) if line.strip()], layout, first)


def _parse_csv_fast(text: bytes, layout: Layout, first: int) -> Parsed | None:
    if b'"' in text:
        return None
    kinds = {"time": pl.String if layout.unit == "iso" else pl.Int64} | dict.fromkeys(NUMBERS, pl.Float64)
    schema = {name if name in kinds else f"-{place}": kinds.get(name, pl.String) for place, name in enumerate(layout.columns)}
    try:
        rows = pl.read_csv(io.BytesIO(text), has_header=False, schema=schema, separator=layout.separator, quote_char=None)
    except pl.exceptions.PolarsError:
        return None
    lines = text.count(b"\n") + (not text.endswith(b"\n"))
    if rows.height != lines or sum(rows.null_count().row(0)):
        return None
    if layout.unit == "iso":
        rows = rows.with_columns(_parse_times(pl.col("time")))
        if rows["time"].null_count():
            return None
    flags = [pl.lit(value=False).alias(name) for name in ("missing", "unparseable")]
    return Parsed(rows.select(pl.int_range(first, first + pl.len(), dtype=pl.Int64).alias("row"), *FIELDS, *flags), set())


def _lenient(lines: list[str], layout: Layout, first: int) -> Parsed:
    split = pl.DataFrame({"line": lines}).select(pl.col("line").str.split(layout.separator).alias("fields"))
    width = len(layout.columns)
    right = pl.col("fields").list.len() == width
    texts = split.select(
        right.alias("whole"),
        *(pl.col("fields").list.get(place, null_on_oob=True).str.strip_chars(" \t").str.strip_chars('"').alias(name) for place, name in enumerate(layout.columns) if name != "-"),
    )
    return _from_texts(texts, layout, first)


def _from_texts(texts: pl.DataFrame, layout: Layout, first: int) -> Parsed:
    """Turn columns of text (null where there is none) and `whole` into numbers, missing and unparseable."""
    empty = {name: pl.col(name).is_null() | pl.col(name).str.to_lowercase().is_in(NOTHING) for name in FIELDS}
    time = _parse_times(pl.col("time")) if layout.unit == "iso" else _parse_epoch(pl.col("time"))
    parsed = {"time": time} | {name: pl.col(name).str.to_lowercase().cast(pl.Float64, strict=False) for name in NUMBERS}
    unreadable = pl.any_horizontal(parsed[name].is_null() & ~empty[name] for name in FIELDS)
    rows = texts.select(
        pl.int_range(first, first + pl.len(), dtype=pl.Int64).alias("row"),
        *(pl.when("whole").then(expression).alias(name) for name, expression in parsed.items()),
        (pl.any_horizontal(*empty.values()) & pl.col("whole")).alias("missing"),
        (~pl.col("whole") | unreadable).alias("unparseable"),
    )
    symbols = set(texts["symbol"].drop_nulls().unique().to_list()) - {""} if "symbol" in texts.columns else set()
    return Parsed(rows, symbols)


def _parse_epoch(text: pl.Expr) -> pl.Expr:
    whole = text.cast(pl.Int64, strict=False)
    return pl.coalesce(whole, pl.when(text.str.contains(r"^\d+(\.0*)?([eE]\+?\d+)?$")).then(text.cast(pl.Float64, strict=False)).cast(pl.Int64, strict=False))


def _parse_times(text: pl.Expr) -> pl.Expr:
    """Read ISO texts; without an offset they are UTC."""
    plain = text.str.replace("T", " ", literal=True).str.replace(r" ?UTC$", "").str.replace("Z", "+00:00", literal=True).str.replace(r"([+-]\d\d)$", "${1}:00")
    has_offset = plain.str.contains(r":\d\d[.\d]*\s*[+-]\d\d:?\d\d$")
    whole = pl.when(has_offset).then(plain).otherwise(plain + "+00:00")
    return pl.coalesce(
        *(whole.str.to_datetime(form, time_unit="ms", time_zone="UTC", strict=False, exact=True) for form in ("%Y-%m-%d %H:%M:%S%.f%:z", "%Y-%m-%d %H:%M%:z", "%Y-%m-%d%:z", "%Y/%m/%d %H:%M:%S%:z"))
    )


def _parse_lines(text: bytes, layout: Layout, first: int) -> Parsed:
    lines = [line for line in text.split(b"\n") if line.strip()]
    return _from_elements([msgspec.Raw(line) for line in lines], layout, first)


def _parse_document(text: bytes, source: str, layout: Layout) -> Parsed:
    quick = _parse_document_fast(text, layout)
    return quick if quick is not None else _from_elements(_elements(text, source, layout), layout, 1)


def _row_type(layout: Layout) -> Any:
    if not layout.keys:
        return tuple[tuple(int if name == "time" else float if name in NUMBERS else Any for name in layout.columns)]  # type: ignore[misc]
    fields = [(name, int if name == "time" else float) for name in FIELDS]
    rename = {name: layout.keys[layout.columns.index(name)] for name in FIELDS}
    return msgspec.defstruct("Row", fields, rename=rename, gc=False)


def _parse_document_fast(text: bytes, layout: Layout) -> Parsed | None:
    if layout.unit == "iso" or "symbol" in layout.columns:
        return None
    kind: Any = list[_row_type(layout)]  # type: ignore[misc]
    if layout.path:
        kind = msgspec.defstruct("Document", [("rows", kind)], rename={"rows": layout.path})
    try:
        decoded = msgspec.json.decode(text, type=kind)
    except (msgspec.ValidationError, msgspec.DecodeError):
        return None
    elements = decoded.rows if layout.path else decoded
    pick: Callable[[str], Any] = attrgetter if layout.keys else lambda name: itemgetter(layout.columns.index(name))
    kinds = {"time": np.int64} | dict.fromkeys(NUMBERS, np.float64)
    columns = {name: np.fromiter(map(pick(name), elements), kind, len(elements)) for name, kind in kinds.items()}
    flags = [pl.lit(value=False).alias(name) for name in ("missing", "unparseable")]
    rows = pl.DataFrame(columns).select(pl.int_range(1, 1 + pl.len(), dtype=pl.Int64).alias("row"), *FIELDS, *flags)
    return Parsed(rows, set())


def _elements(text: bytes, source: str, layout: Layout) -> list[msgspec.Raw]:
    kind: Any = dict[str, msgspec.Raw] if layout.path else list[msgspec.Raw]
    try:
        decoded = msgspec.json.decode(text, type=kind)
        return msgspec.json.decode(decoded[layout.path], type=list[msgspec.Raw]) if layout.path else decoded
    except (msgspec.DecodeError, KeyError) as error:
        match = re.search(r"byte (\d+)", str(error))
        row = text[: int(match[1])].count(b"{" if layout.keys else b"[") - 1 if match else 0
        where = f" near row {row:,}" if match else ""
        raise SourceError(f"{source} is broken JSON{where}: {error}", "one whole JSON document", "write it again, or as NDJSON, where a broken line costs that line alone") from error


def _from_elements(elements: list[msgspec.Raw], layout: Layout, first: int) -> Parsed:
    names = [name for name in layout.columns if name != "-"]
    places = [layout.columns.index(name) for name in names]
    texts: dict[str, list[str | None]] = {name: [] for name in names}
    whole = []
    for element in elements:
        fields = _fields(element, layout)
        whole.append(fields is not None)
        for name, place in zip(names, places, strict=True):
            texts[name].append(None if fields is None else _text(fields[place]))
    schema = dict.fromkeys(names, pl.String)
    frame = pl.DataFrame(texts, schema=schema).with_columns(pl.Series("whole", whole, pl.Boolean))
    return _from_texts(frame, layout, first)


def _fields(element: msgspec.Raw, layout: Layout) -> list[Any] | None:
    try:
        decoded = msgspec.json.decode(element)
    except msgspec.DecodeError:
        return None
    if layout.keys:
        return [decoded.get(key) for key in layout.keys] if isinstance(decoded, dict) else None
    return decoded if isinstance(decoded, list) and len(decoded) == len(layout.columns) else None


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
