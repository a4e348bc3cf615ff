"""Text to typed fields: the fast, typed way, and the lenient way that can say what is wrong with each row."""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
import polars as pl

from chandlery.sources.around import Around
from chandlery.sources.documents import MARK, quote_tokens
from chandlery.sources.layout import Layout
from chandlery.sources.row_names import JOINED
from chandlery.sources.series_names import AROUND
from chandlery.sources.times import parse_epochs, parse_texts, scale_epochs

__all__ = [
    "NUMBERS",
    "Batch",
    "cut_lines",
    "judge_texts",
    "parse_elements",
    "parse_fields",
    "parse_json_lines",
    "parse_lines",
]

TELL_SERIES = (*AROUND, *JOINED)  # the extra columns that tell the series of a row
NUMBERS = ("open", "high", "low", "close", "volume")
PIECE_BYTES = 2_000_000  # one faulty line slows down the reading of as many bytes
DOCUMENTS = frozenset(["document", "nested", "nested lines"])  # forms whose rows are elements of JSON arrays
# What programs write for a value that is missing, in lower case: a row with one of them is refused as missing_value.
ABSENT = ["", "null", "none", "na", "n/a", "\\n", "<na>", "nil"]


@dataclass(frozen=True)
class Batch:
    """Some rows of a file.

    Args:
        fields: time (milliseconds, null where unreadable), uneven (finer than that), open, high, low, close, volume
            (null where unreadable), unparseable, missing; as text symbol, exchange, interval and closed, where there
            are such columns.
        text: What the rows were read from.
        lenient: The rows' own texts where the lenient way was taken; None otherwise.
        layout: How they are laid out.
    """

    fields: pl.DataFrame
    text: bytes
    lenient: Sequence[bytes] | None
    layout: Layout

    def raw(self, places: np.ndarray) -> list[str]:
        """Return the exact text of some rows, by their place in the batch."""
        if len(places) == 0:
            return []
        texts = self.lenient
        if texts is None:
            texts = cut_elements(self.text) if self.layout.form in DOCUMENTS else cut_lines(self.text)
        return [bytes(texts[place]).decode("utf-8", "replace") for place in places.tolist()]


def cut_lines(text: bytes) -> list[bytes]:
    """Return the lines that are not blank, without their ends."""
    return [line.rstrip(b"\r") for line in text.split(b"\n") if line.strip()]


def cut_elements(text: bytes) -> list[msgspec.Raw]:
    """Return the elements of a part of a JSON array.

    Raises:
        msgspec.DecodeError: It is malformed.
    """
    return msgspec.json.decode(b"[" + text + b"]", type=list[msgspec.Raw])


def parse_lines(text: bytes, layout: Layout) -> Iterator[Batch]:
    """Yield lines of fields, or JSON values a line, as typed fields.

    Only pieces with a line that cannot be read with types are read in the lenient way.
    """
    parse, read = (parse_fields, _read_typed) if layout.form == "fields" else (parse_json_lines, _read_json_lines)
    fields = read(text, layout)
    if fields is not None:
        yield Batch(fields, text, None, layout)
        return
    begin = 0
    while begin < len(text):
        cut = text.find(b"\n", begin + PIECE_BYTES) + 1 or len(text)
        piece = text[begin:cut]
        if piece.strip():
            yield parse(piece, layout)
        begin = cut


def parse_fields(text: bytes, layout: Layout, *, lenient: bool = False) -> Batch:
    """Return lines of fields as typed fields, the typed way where every line allows it."""
    fields = None if lenient else _read_typed(text, layout)
    if fields is not None:
        return Batch(fields, text, None, layout)
    lines = cut_lines(text)
    return Batch(judge_texts(_split(lines, layout), layout), text, lines, layout)


def _read_typed(text: bytes, layout: Layout) -> pl.DataFrame | None:
    """Return fields that polars reads with types; None where a line is odd in any way."""
    if b'"' in text or layout.thousands or layout.clock is not None:
        return None
    time_place = layout.places[0]
    names = [
        f"column_{position + 1}" for position in range(layout.width)
    ]  # polars' own names: it reads only those that are needed
    types: list[pl.DataType] = [pl.String()] * layout.width
    for place in layout.places[1:]:
        types[int(place)] = pl.Float64()
    if layout.time.form == "epoch":
        types[int(time_place)] = pl.Int64()
    extras = layout.extras
    wanted = [int(place) for place in (*layout.places, *extras.values())]
    try:  # every column is read: a row that lacks one or has one too many shows only so
        read = pl.read_csv(
            io.BytesIO(text),
            has_header=False,
            schema=dict(zip(names, types, strict=True)),
            separator=layout.separator,
            decimal_comma=layout.decimal == ",",
        )
    except pl.exceptions.PolarsError:
        return None
    columns = read.get_columns()
    typed = [columns[place] for place in wanted[:6]]
    lines = text.count(b"\n") + (not text.endswith(b"\n"))
    if read.height != lines or any(column.null_count() for column in (*typed, columns[-1])):
        return None
    texts = {name: columns[int(place)] for name, place in extras.items()}
    return _join(typed[0], dict(zip(NUMBERS, typed[1:], strict=True)), layout, texts)


def _join(
    times: pl.Series, numbers: Mapping[str, pl.Series], layout: Layout, texts: Mapping[str, pl.Series]
) -> pl.DataFrame | None:
    """Return typed columns as the fields of a batch; None where a text is no time."""
    if layout.time.form == "epoch":
        milliseconds, uneven = scale_epochs(times, layout.time)
    else:
        series = [values.alias(name) for name, values in texts.items() if name in TELL_SERIES]
        milliseconds, uneven = parse_texts(times.str.strip_chars(), layout.time, series)
        if milliseconds.null_count():
            return None
    never = pl.Series(np.zeros(len(times), bool))
    as_texts = {name: values.cast(pl.String) for name, values in texts.items()}
    columns = {"time": milliseconds, "uneven": uneven, **numbers, **as_texts, "unparseable": never, "missing": never}
    return join_symbol(pl.DataFrame(columns))


def join_symbol(fields: pl.DataFrame) -> pl.DataFrame:
    """Return fields with the base and the quote of each row as one symbol, and the kind of its market behind it."""
    joined = [name for name in JOINED if name in fields.columns]
    if not joined:
        return fields
    texts = [text for name in joined for text in (pl.lit(JOINED[name]), pl.col(name))]
    return fields.with_columns(symbol=pl.concat_str("symbol", *texts)).drop(joined)


def _split(lines: Sequence[bytes], layout: Layout) -> pl.DataFrame:
    """Return lines as texts of fields, and whether each line has as many as it should."""
    texts = pl.Series("line", [line.decode("utf-8", "replace") for line in lines], dtype=pl.String)
    quoted = texts.str.contains('"', literal=True)
    width_is_right = texts.str.count_matches(layout.separator, literal=True) == layout.width - 1
    wanted = {"time": layout.places[0], **dict(zip(NUMBERS, layout.places[1:], strict=True)), **layout.extras}
    parts = texts.str.split(layout.separator).to_frame()
    split = parts.select(
        pl.col("line").list.get(int(place), null_on_oob=True).alias(role) for role, place in wanted.items()
    )
    if quoted.any():
        # Fields that are quoted whole and hold no separator need no parser; others do.
        mark = re.escape(layout.separator)
        simple = texts.str.contains(f'^(?:"[^"{mark}]*"|[^"{mark}]*)(?:{mark}(?:"[^"{mark}]*"|[^"{mark}]*))*$')
        split = split.with_columns(pl.col(*wanted).str.strip_chars('"'))
        places = (quoted & ~simple).arg_true().to_numpy()
        rows = [next(csv.reader([texts[place]], delimiter=layout.separator), [""]) for place in places.tolist()]
        width_is_right = width_is_right.scatter(places, [len(row) == layout.width for row in rows])
        split = split.with_columns(
            split[role].scatter(places, [row[int(place)] if int(place) < len(row) else None for row in rows])
            for role, place in wanted.items()
        )
    return split.with_columns(width_is_right=width_is_right)


def judge_texts(texts: pl.DataFrame, layout: Layout) -> pl.DataFrame:
    """Return texts as typed fields, with what is wrong with each row.

    **Reads** time, open … volume as text (null = absent), width_is_right; the extra columns of the layout, and what
    stands around the rows.
    """
    roles = ("time", *NUMBERS)
    trimmed = texts.with_columns(pl.col(*roles).str.strip_chars())
    beside = None if layout.clock is None else texts["clock"].str.strip_chars()
    trimmed = _use_points(trimmed, layout)
    absent = trimmed.select(pl.col(*roles).is_null() | pl.col(*roles).str.to_lowercase().is_in(ABSENT))
    names = [*layout.extras, *layout.around]
    if layout.time.form == "epoch":
        milliseconds, uneven = parse_epochs(trimmed["time"], layout.time)
    else:
        series = [texts[name] for name in names if name in TELL_SERIES]
        milliseconds, uneven = parse_texts(trimmed["time"], layout.time, series, beside)
    numbers = trimmed.select(pl.col(*NUMBERS).cast(pl.Float64, strict=False))
    read = numbers.with_columns(time=milliseconds, uneven=uneven.fill_null(value=False), width=texts["width_is_right"])
    unreadable = pl.any_horizontal(read[role].is_null() & ~absent[role] for role in roles)
    whole = pl.col("width")
    fields = read.select(
        time=pl.when(whole).then("time"),
        uneven=whole & pl.col("uneven"),
        **{name: pl.when(whole).then(name) for name in NUMBERS},
        unparseable=~whole | unreadable,
        missing=whole & pl.any_horizontal(absent[role] for role in roles),
    )
    return join_symbol(fields.with_columns(texts[name] for name in names))


def _use_points(texts: pl.DataFrame, layout: Layout) -> pl.DataFrame:
    """Return texts of numbers with a point as the decimal mark and nothing between thousands."""
    if layout.decimal == "." and not layout.thousands:
        return texts
    numbers = pl.col(*NUMBERS)
    if layout.thousands:
        numbers = numbers.str.replace_all(layout.thousands, "", literal=True)
    return texts.with_columns(numbers.str.replace(layout.decimal, ".", literal=True))


def parse_elements(text: bytes, layout: Layout, around: Around, *, lenient: bool = False) -> Batch:
    """Return elements of a JSON array as typed fields.

    Args:
        text: The elements, separated by commas.
        layout: How they are laid out.
        around: What stands around them.
        lenient: Read them one by one, as is done where they do not fit the types.

    Raises:
        msgspec.DecodeError: They are malformed.
    """
    fields = None if lenient else _read_elements(text, layout, around)
    if fields is not None:
        return Batch(fields, text, None, layout)
    # NaN and Infinity, which Python's json writes, are let through inside a mark that no file holds.
    marked = quote_tokens(text, MARK)
    elements = [bytes(element) for element in cut_elements(marked)]
    raws = [
        element.replace(b'"\\u0001NaN"', b"NaN")
        .replace(b'"\\u0001Infinity"', b"Infinity")
        .replace(b'"\\u0001-Infinity"', b"-Infinity")
        for element in elements
    ]
    beside = around.to_frame(len(elements), layout.around)
    return Batch(judge_texts(_take_fields(elements, layout).hstack(beside), layout), text, raws, layout)


def _read_elements(text: bytes, layout: Layout, around: Around) -> pl.DataFrame | None:
    """Return elements of a JSON array with types; None where one is odd in any way."""
    if layout.clock is not None:
        return None
    try:
        rows = _json_decoder(layout).decode(b"[" + text + b"]")
    except (msgspec.ValidationError, msgspec.DecodeError):
        return None
    return _from_structs(rows, layout, around)


def parse_json_lines(text: bytes, layout: Layout, *, lenient: bool = False) -> Batch:
    """Return a JSON value a line as typed fields."""
    fields = None if lenient else _read_json_lines(text, layout)
    if fields is not None:
        return Batch(fields, text, None, layout)
    raws = cut_lines(text)
    return Batch(judge_texts(_take_fields([quote_tokens(line) for line in raws], layout), layout), text, raws, layout)


def _read_json_lines(text: bytes, layout: Layout) -> pl.DataFrame | None:
    """Return JSON values a line with types; None where a line is odd in any way."""
    if layout.clock is not None:
        return None
    try:
        rows = _json_decoder(layout).decode_lines(text)
    except (msgspec.ValidationError, msgspec.DecodeError):
        return None
    lines = text.count(b"\n") + (not text.endswith(b"\n"))
    return _from_structs(rows, layout, Around([], [])) if len(rows) == lines else None


_DECODERS: dict[tuple[object, ...], "msgspec.json.Decoder[Any]"] = {}


def _json_decoder(layout: Layout) -> "msgspec.json.Decoder[Any]":
    """Return a decoder of rows with the fields that are wanted; arrays must have the right length."""
    extras = layout.extras
    key = (layout.places, layout.width, layout.time.form, tuple(extras.values()), layout.form)
    if key not in _DECODERS:
        types: dict[int | str, object] = dict.fromkeys(layout.places[1:], float)
        types[layout.places[0]] = int if layout.time.form == "epoch" else str
        types |= dict.fromkeys(extras.values(), str | int | float | bool | None)
        if layout.width:
            spec = [(f"c{place}", types.get(place, object)) for place in range(layout.width)]
            row = msgspec.defstruct("Row", spec, array_like=True, forbid_unknown_fields=True, gc=False)
        else:
            names = {f"c{number}": str(name) for number, name in enumerate(types)}
            row = msgspec.defstruct("Row", list(zip(names, types.values(), strict=True)), rename=names, gc=False)
        _DECODERS[key] = msgspec.json.Decoder(row if layout.form == "lines" else list[row])  # type: ignore[valid-type]
    return _DECODERS[key]


def _from_structs(rows: Sequence[object], layout: Layout, around: Around) -> pl.DataFrame | None:
    """Return decoded rows as typed fields; None where a time does not fit 64 bits or is no time."""
    extras = layout.extras
    order = [*layout.places[1:], layout.places[0], *extras.values()]
    attribute = {place: f"c{place}" if layout.width else f"c{number}" for number, place in enumerate(order)}
    count = len(rows)
    numbers = {
        name: pl.Series(np.fromiter(map(attrgetter(attribute[place]), rows), np.float64, count))
        for name, place in zip(NUMBERS, layout.places[1:], strict=True)
    }
    times = map(attrgetter(attribute[layout.places[0]]), rows)
    try:
        stamps = (
            pl.Series(np.fromiter(times, np.int64, count))
            if layout.time.form == "epoch"
            else pl.Series(list(times), dtype=pl.String)
        )
    except OverflowError:
        return None
    texts = {
        name: pl.Series([_to_text(getattr(row, attribute[place])) for row in rows], dtype=pl.String)
        for name, place in extras.items()
    }
    return _join(stamps, numbers, layout, texts | around.to_frame(count, layout.around).to_dict())


def _to_text(value: object) -> str | None:
    """Return a scalar of JSON as text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else str(value)


def _take_fields(elements: Sequence[bytes], layout: Layout) -> pl.DataFrame:
    """Return JSON values as texts of fields, and whether each has as many as it should."""
    wanted = {"time": layout.places[0], **dict(zip(NUMBERS, layout.places[1:], strict=True)), **layout.extras}
    columns: dict[str, list[str | None]] = {role: [] for role in wanted}
    width_is_right = []
    decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(
        list[msgspec.Raw] if layout.width else dict[str, msgspec.Raw]
    )
    for element in elements:
        try:
            value = decoder.decode(element)
        except msgspec.DecodeError:
            value = None
        width_is_right.append(value is not None and (not layout.width or len(value) == layout.width))
        for role, place in wanted.items():
            columns[role].append(
                _field_text(value[place]) if width_is_right[-1] and (layout.width or place in value) else None
            )
    schema = dict.fromkeys(wanted, pl.String)
    return pl.DataFrame(columns, schema=schema).with_columns(width_is_right=pl.Series(width_is_right, dtype=pl.Boolean))


def _field_text(value: msgspec.Raw) -> str | None:
    text = bytes(value)
    if text[:1] == b'"':
        return str(msgspec.json.decode(text)).lstrip("\x01")
    return None if text == b"null" else text.decode("utf-8", "replace")
