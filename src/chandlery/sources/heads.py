"""The first rows of a file as a table of texts, whatever its form: delimited text or JSON."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

import msgspec

from chandlery.errors import SourceError
from chandlery.settings.model import LayoutSettings
from chandlery.sources.columns import Columns
from chandlery.sources.dialects import HEAD_ROWS, take_apart
from chandlery.sources.documents import Kind, Piece, Shape, decode, find_shape, iter_line_elements, look_around, unfold
from chandlery.sources.doubts import UndecidedError
from chandlery.sources.series_names import KEYS, read_context

__all__ = ["Head", "NeedsWhole", "read_head"]

# Control characters that text files do not have: with many of them a file is binary.
CONTROLS = bytes(code for code in range(32) if code not in b"\t\n\v\f\r")
Around = tuple[str, str, str]
ELEMENT = re.compile(rb"\{[^{}]*\}|\[[^\[\]]*\]")


@dataclass(frozen=True)
class Head:
    """A head taken apart: names where there are any, and the first rows' fields as text.

    `around` has the texts of symbol, exchange and interval that stand around each row; it is empty where none can.
    """

    form: str
    words: str
    table: Columns
    keyed: bool = False
    separator: str = ","
    decimal: str = "."
    thousands: str = ""
    skip: int = 0
    body: int = 0
    key: str | None = None
    around: Sequence[Around] = ()


def read_head(head: bytes, source: str, by_hand: LayoutSettings, *, is_whole: bool) -> Head:
    """Return the first rows of a file.

    Args:
        head: Its first bytes, in UTF-8 with lines that end with a line feed.
        source: The file.
        by_hand: Its settings.
        is_whole: Whether these are all of its bytes.

    Raises:
        SourceError: It is empty or no text, or has no rows of candles.
        NeedsWhole: The rows lie deep in a document, of which these are not all bytes.
    """
    start = head.lstrip()[:1]
    if not start:
        raise SourceError(f"{source} is empty", "candles", "remove the file, or fetch it again")
    if is_binary(head[:4096]):
        raise SourceError(
            f"{source} is no text, and no Parquet or Arrow file",
            "CSV, TSV or JSON in UTF-8, Parquet, or Arrow IPC (Feather), plain or as .gz, .zst, .xz, .bz2 or .zip",
            "convert it, or leave it out with [source] exclude",
        )
    if start in b"[{":
        return read_json(head.lstrip(), source, is_whole=is_whole)
    dialect = take_apart(head, source, by_hand)
    return Head(
        "fields",
        dialect.words,
        Columns(dialect.names, to_points(dialect.rows, dialect.decimal, dialect.thousands)),
        separator=dialect.separator,
        decimal=dialect.decimal,
        thousands=dialect.thousands,
        skip=dialect.skip,
    )


def to_points(rows: list[list[str]], decimal: str, thousands: str) -> list[list[str]]:
    """Return fields with numbers as Python reads them."""
    if decimal == "." and not thousands:
        return rows
    marks = str.maketrans({thousands: None, decimal: "."} if thousands else {decimal: "."})
    return [[field.translate(marks) if is_number_like(field) else field for field in row] for row in rows]


def is_number_like(field: str) -> bool:
    """Return whether a field has digits and marks of numbers alone."""
    return bool(field) and not set(field) - set("0123456789.,+-eE")


def is_binary(head: bytes) -> bool:
    """Tell bytes that are no text: more than one in fifty is a control character."""
    return 50 * (len(head) - len(head.translate(None, CONTROLS))) > len(head)


def read_json(head: bytes, source: str, *, is_whole: bool) -> Head:
    """Return the first rows of JSON; takes and raises what `read_head` does."""
    shape = find_shape(head)
    if shape.form == "lines":
        lines = [line for line in head.splitlines() if line.strip()]
        return unify(shape, [decode(line) for line in lines[:HEAD_ROWS]])
    context, has_others = look_around(head, shape.body, shape.key)
    if shape.form == "document" and not has_others:
        values = decode_elements(head, shape.body)
        return unify(shape, values, None, [read_context(context)] * len(values))
    shape = Shape("nested", "objects", "JSON, one document") if has_others else shape
    try:
        if shape.form == "nested lines":
            pieces = list(islice(iter_line_elements(head[: head.rfind(b"\n") + 1] or head), HEAD_ROWS))
        else:
            pieces = list(unfold(head))
    except msgspec.DecodeError as error:
        if not is_whole:
            raise NeedsWhole from error
        raise SourceError(f"{source} is broken JSON: {error}", "whole JSON", "fetch it again") from error
    if not pieces and is_empty(decode(head)):
        raise SourceError(
            f"{source} holds no row: it is an empty answer", "candles", "remove the file, or fetch it again"
        )
    return unify_pieces(shape, pieces, source)


def is_empty(value: object) -> bool:
    """Return whether a value of JSON has empty lists where rows would be, and no other lists."""
    if isinstance(value, dict):
        inner = [each for each in value.values() if isinstance(each, dict | list)]
        return bool(inner) and all(map(is_empty, inner))
    return value == []


class NeedsWhole(Exception):  # noqa: N818 - no error: the caller reads on
    """The rows of a JSON document cannot be found without all of it."""


def decode_elements(head: bytes, body: int) -> list[object]:
    """Return the first rows of an array; None in place of one that is malformed."""
    elements = ELEMENT.finditer(head, body)
    return [decode(element[0]) for element in islice(elements, HEAD_ROWS)]


def unify_pieces(shape: Shape, pieces: list[Piece], source: str) -> Head:
    """Return the first rows of pieces, which all must have one kind and one set of names."""
    if not pieces:
        found = f"{source} begins with {{ or [ and has no rows of candles"
        expected = 'rows in {"results": […]}, [{…}, …], [[…], …], in columns beside each other, or a JSON value a line'
        raise SourceError(found, expected, "convert it, or leave it out with [source] exclude")
    kinds = check_kinds(pieces, source) if shape.form == "nested" else {(piece.kind, piece.names) for piece in pieces}
    kind, names = max(kinds, key=lambda each: sum((piece.kind, piece.names) == each for piece in pieces))
    chosen = [piece for piece in pieces if (piece.kind, piece.names) == (kind, names)]
    values: list[object] = []
    around: list[Around] = []
    for piece in chosen:
        values += decode(b"[" + piece.elements + b"]") or []
        around += [read_context(piece.context)] * (len(values) - len(around))
        if len(values) >= HEAD_ROWS:
            break
    held = next(iter({piece.context.get(KEYS, "").partition("\n")[0] for piece in chosen} - {""}), None)
    words = shape.words if held is None or shape.form == "nested lines" else f"{shape.words} with rows in {held!r}"
    words = f"{words}, columns beside each other" if names is not None else words
    head = unify(Shape(shape.form, kind, words), values[:HEAD_ROWS], names, around[:HEAD_ROWS])
    return replace(head, words=words)


def check_kinds(pieces: list[Piece], source: str) -> set[tuple[Kind, tuple[str, ...] | None]]:
    """Return the kind and the names of the rows of a document, which must be one.

    Raises:
        UndecidedError: There are several.
    """
    kinds = {(piece.kind, piece.names) for piece in pieces}
    if len(kinds) > 1:
        found = f"{source} holds rows of several kinds at different places of one document"
        raise UndecidedError(
            "shape", found, "one kind of rows", "split the document, or leave it out with [source] exclude"
        )
    return kinds


def unify(
    shape: Shape, values: list[object], names: Sequence[str] | None = None, around: Sequence[Around] = ()
) -> Head:
    """Give objects and arrays one shape: names and rows of text.

    Args:
        shape: Where they lie.
        values: The objects or arrays.
        names: The names of the members of arrays.
        around: What stands around each of them; empty for nothing.
    """
    is_keyed = shape.kind == "objects" or any(isinstance(value, dict) for value in values)
    fitting = [isinstance(value, dict) if is_keyed else isinstance(value, list) and bool(value) for value in values]
    beside = [texts for texts, fits in zip(around, fitting, strict=True) if fits] if around else []
    if is_keyed:
        objects = [value for value in values if isinstance(value, dict)]
        keys = max((list(map(str, value)) for value in objects), key=len, default=[])
        rows = [[to_text(value.get(name)) for name in keys] for value in objects]
        return Head(shape.form, shape.words, Columns(keys, rows), True, body=shape.body, key=shape.key, around=beside)
    arrays = [value for value in values if isinstance(value, list) and value]
    rows = [[to_text(item) for item in value] for value in arrays]
    return Head(shape.form, shape.words, Columns(names, rows), body=shape.body, key=shape.key, around=beside)


def to_text(value: object) -> str:
    """Return a value of JSON as text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value).lstrip("\x01")
