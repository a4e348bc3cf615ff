"""JSON to rows: where they lie in a document, and pieces of it that can be decoded one after the other."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec
import numpy as np

from chandlery.errors import SourceError
from chandlery.sources.columns import NAMES, PRICES, list_affixed, plain, to_number
from chandlery.sources.series_names import KEYS, is_certain, read_pair

__all__ = [
    "ANOTHER",
    "MARK",
    "Kind",
    "Piece",
    "Shape",
    "find_shape",
    "iter_elements",
    "iter_line_elements",
    "look_around",
    "quote_tokens",
    "unfold",
]

MARK = rb"\u0001"  # in front of a token that was quoted: no file holds it
PIECE_BYTES = 8_000_000  # decoded at once: Python objects of a piece take several times its size
BESIDE_BYTES = 1_000  # of an object beside the rows that tells something of them
LEAST_SCALARS = 5  # members of a row: time and four prices, or more
PLAIN_START = re.compile(rb'\s*(?:\{(?:[^\[\]{}]*?"([^"\\]*)"\s*:\s*))?\[\s*(?=[\[{])')
ANOTHER = re.compile(rb'\]\s*,\s*"[^"]*"\s*:\s*[\[{]')  # after an array, the beginning of another one or of an object
# What Python's json writes and JSON does not know, where a value stands. Each pattern begins with the token itself, for
# which the text is searched many times as fast as for a place before it.
TOKENS = {
    token: re.compile(rb"%b(?<=[\s:\[,]%b)(?=[\s,\]}])" % (token, token))
    for token in (b"NaN", b"Infinity", b"-Infinity")
}

Kind = Literal["arrays", "objects"]


@dataclass(frozen=True)
class Piece:
    """Rows of a document that lie side by side.

    Args:
        elements: JSON arrays or objects, separated by commas.
        kind: Which of the two they are.
        count: How many there are.
        names: The names of an array's members; None if the document does not tell.
        context: The scalars that stand around the rows, by name, and under `KEYS` the names of what holds them.
    """

    elements: bytes
    kind: Kind
    count: int
    names: tuple[str, ...] | None = None
    context: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Shape:
    """Where the rows of a JSON text lie.

    Args:
        form: `document` for an array that is read in pieces, `lines` for a row a line, `nested` for a document whose
            rows lie deeper, and `nested lines` for such a document a line.
        kind: Whether rows are arrays or objects.
        words: What the ledger says.
        body: Where the first row of a `document` begins.
        key: The name of the array of a `document`; None where no object holds it.
    """

    form: Literal["document", "lines", "nested", "nested lines"]
    kind: Kind
    words: str
    body: int = 0
    key: str | None = None


def find_shape(head: bytes) -> Shape:
    """Return where the rows of a JSON text lie, from its first bytes."""
    lines = [line for line in head.split(b"\n", 2)[:2] if line.strip()]
    value = decode(lines[0])
    if isinstance(value, dict) and is_flat(value):
        return Shape("lines", "objects", "JSON, an object a line")
    if isinstance(value, list) and value and is_flat(value):
        return Shape("lines", "arrays", "JSON, an array a line")
    if value is not None and len(lines) > 1 and lines[1].lstrip()[:1] in b"[{":
        return Shape("nested lines", "objects", "JSON, a document a line")
    opening = PLAIN_START.match(head)
    if opening and (kind := find_first_kind(head, opening.end())):
        key = None if opening[1] is None else opening[1].decode("utf-8", "replace")
        inside = f" in {key!r}" if key is not None else ""
        return Shape("document", kind, f"JSON, an array of {kind}{inside}", opening.end(), key)
    return Shape("nested", "objects", "JSON, one document")


def is_flat(value: dict[str, Any] | list[Any]) -> bool:
    """Return whether a JSON value holds scalars alone."""
    members = value.values() if isinstance(value, dict) else value
    return not any(isinstance(item, list | dict) for item in members)


def quote_tokens(text: bytes, mark: bytes = b"") -> bytes:
    """Return a text with NaN and Infinity, where values stand, as strings that begin with a mark.

    Example:
        >>> quote_tokens(b'[1, NaN, -Infinity, "NaN"]')
        b'[1, "NaN", "-Infinity", "NaN"]'
    """
    for token, pattern in TOKENS.items():
        if token in text:
            quoted = b'"%b%b"' % (mark, token)
            text = pattern.sub(lambda _, quoted=quoted: quoted, text)  # type: ignore[misc]
    return text


def decode(text: bytes) -> Any:
    """Return a JSON value, also one with NaN or Infinity; None if it is malformed."""
    try:
        return msgspec.json.decode(quote_tokens(text))
    except msgspec.DecodeError:
        return None


def find_first_kind(head: bytes, start: int) -> Kind | None:
    """Return what the first element of an array is, if it is a row."""
    met = re.compile(rb"\{[^{}\[\]]*\}|\[[^\[\]{}]*\]").match(head, start)
    value = decode(met[0]) if met else None
    if value is None or len(value) < LEAST_SCALARS or not is_flat(value):
        return None
    if isinstance(value, list) and all(isinstance(item, str) and not item[:1].isdigit() for item in value):
        return None  # an array of names
    return "arrays" if isinstance(value, list) else "objects"


def iter_elements(document: bytes, body: int, kind: Kind, source: str, *, whole: bool = True) -> Iterator[bytes]:
    """Return the elements of a document's only array, in pieces that each hold some of them whole.

    Args:
        document: The text.
        body: Where the array's first element begins.
        kind: What its elements are.
        source: The file's name in messages.
        whole: Whether the document is all there; of a part only the first piece is returned.

    Raises:
        SourceError: The document ends early, or what stands around the array is malformed.
    """
    mark = b"]" if kind == "arrays" else b"}"
    if not whole:
        commas = (
            place
            for place in find_backward(document, b",")
            if document[max(place - 100, 0) : place].rstrip().endswith(mark)
        )
        yield document[body : next(commas, body)]
        return
    end = document.rfind(b"]")
    try:
        msgspec.json.decode(document[:body] + document[end:])
    except msgspec.DecodeError as error:
        rows = document.count(mark, body)
        raise SourceError(
            f"{source} is broken JSON: it ends after about {rows} rows: {error}", "whole JSON", "fetch it again"
        ) from error
    begin = body
    while end - begin > PIECE_BYTES and (cut := document.rfind(mark, begin, begin + PIECE_BYTES)) > 0:
        yield document[begin : cut + 1]
        begin = skip_comma(document, cut + 1, source)
    if document[begin:end].strip():
        yield document[begin:end]


def look_around(document: bytes, body: int, key: str | None) -> tuple[dict[str, str], bool]:
    """Return what stands around the array of a document, and whether other rows stand beside it.

    Args:
        document: The text; a part of it tells what stands before the array.
        body: Where the array's first element begins.
        key: The name of the array; None where no object holds it.
    """
    if key is None:
        return {}, False
    for candidate in (
        quote_tokens(document),
        document[:body] + document[document.rfind(b"]") :],
        document[:body] + b"]}",
    ):
        try:
            members = msgspec.json.decode(candidate, type=dict[str, msgspec.Raw])
        except msgspec.DecodeError:
            continue
        others = (value for name, value in members.items() if name != key and not is_scalar(value))
        has_others = any(next(unfold(value, {KEYS: ""}), None) for value in others)
        return enter(list_scalars(members), key), has_others
    return {}, False


def skip_comma(document: bytes, place: int, source: str) -> int:
    """Return where the next element begins."""
    space = document[place : place + 1000]
    bare = space.lstrip()
    if bare[:1] != b",":
        raise SourceError(
            f"{source} is broken JSON at byte {place}: {space[:20]!r} between two rows", "a comma", "fetch it again"
        )
    return place + len(space) - len(bare) + 1


def find_backward(document: bytes, mark: bytes) -> Iterator[int]:
    """Return the places of a mark, the last first."""
    place = len(document)
    while (place := document.rfind(mark, 0, place)) >= 0:
        yield place


def iter_line_elements(text: bytes) -> Iterator[Piece]:
    """Return the rows of documents that stand one a line. A line without a row is a row that cannot be read."""
    for line in text.split(b"\n"):
        if not line.strip():
            continue
        try:
            pieces = list(unfold(line))
        except msgspec.DecodeError:
            pieces = []
        yield from pieces or [Piece(line.strip(), "objects", len(decode(b"[" + line + b"]") or [None]))]


def unfold(text: bytes | msgspec.Raw, context: Mapping[str, str] | None = None) -> Iterator[Piece]:
    """Return the rows of a JSON document, wherever they lie in it.

    Rows are arrays or objects of at least five scalars; columns beside each other, as pandas and TradingView write
    them, are turned into rows.

    Raises:
        msgspec.DecodeError: It is malformed.
    """
    context = context or {}
    content = bytes(text).strip()
    if content[:1] == b"[":
        items = msgspec.json.decode(content, type=list[msgspec.Raw])
        kind = find_kind(items[0]) if items else None
        if kind:
            yield Piece(content[1:-1], kind, len(items), None, context)
            return
        for item in items:
            yield from unfold(item, context)
    elif content[:1] == b"{":
        yield from unfold_object(msgspec.json.decode(content, type=dict[str, msgspec.Raw]), content, context)


def unfold_object(members: dict[str, msgspec.Raw], content: bytes, context: Mapping[str, str]) -> Iterator[Piece]:
    """Return the rows of a JSON object."""
    if {"columns", "data"} <= members.keys() and bytes(members["columns"])[:1] == b"[":  # pandas, orient="split"
        names = tuple(map(str, msgspec.json.decode(members["columns"])))
        rows = msgspec.json.decode(members["data"], type=list[msgspec.Raw])
        index = msgspec.json.decode(members["index"], type=list[msgspec.Raw]) if "index" in members else []
        if index and len(index) == len(rows):
            names = ("index", *names)
            rows = [
                msgspec.Raw(b"[" + bytes(key) + b"," + bytes(row).strip()[1:])
                for key, row in zip(index, rows, strict=True)
            ]
        yield Piece(b",".join(map(bytes, rows)), "arrays", len(rows), names, {**context, **list_scalars(members)})
        return
    if columns := find_columns(members):
        yield join_columns(columns, {**context, **list_scalars(members)})
        return
    if is_row(members) and (not context or is_candle(members)):
        yield Piece(content, "objects", 1, None, context)
        return
    around = {**context, **list_scalars(members)}
    if rows_by_key := find_rows_by_key(members):
        yield Piece(b",".join(rows_by_key), "objects", len(rows_by_key), None, around)
        return
    for name, value in members.items():
        if not is_scalar(value):
            yield from unfold(value, enter(around, name))


def enter(context: Mapping[str, str], name: str) -> dict[str, str]:
    """Return what stands around the rows in a member of an object."""
    outer = context.get(KEYS)
    return {**context, KEYS: name if outer is None else f"{name}\n{outer}"}


def list_scalars(members: Mapping[str, msgspec.Raw]) -> dict[str, str]:
    """Return the scalars of an object, and those of its members that are no candles and hold scalars alone."""
    found: dict[str, str] = {}
    for value in members.values():
        if memoryview(value).nbytes < BESIDE_BYTES and bytes(value).strip()[:1] == b"{":
            inner = msgspec.json.decode(value, type=dict[str, msgspec.Raw])
            if all(map(is_scalar, inner.values())) and not is_candle(inner):
                found |= {name: to_text(each) for name, each in inner.items()}
    return found | {name: to_text(value) for name, value in members.items() if is_scalar(value)}


def find_columns(members: dict[str, msgspec.Raw]) -> dict[str, list[msgspec.Raw]]:
    """Return the columns of an object that holds columns: lists of scalars, or objects of scalars by row."""
    columns: dict[str, list[msgspec.Raw]] = {}
    index: list[str] = []
    for name, value in members.items():
        start = bytes(value).strip()[:1]
        if start == b"[":
            items = msgspec.json.decode(value, type=list[msgspec.Raw])
        elif start == b"{":
            by_row = msgspec.json.decode(value, type=dict[str, msgspec.Raw])
            items, index = list(by_row.values()), list(by_row)
        else:
            continue
        if items and all(map(is_scalar, items[:3])):
            columns[name] = items
    lengths = {len(items) for items in columns.values()}
    if len(columns) < LEAST_SCALARS or len(lengths) > 1 or find_rows_by_key(members):
        return {}
    if index and len(index) == next(iter(lengths)):
        columns = {"index": [msgspec.Raw(msgspec.json.encode(key)) for key in index], **columns}
    return columns


def join_columns(columns: dict[str, list[msgspec.Raw]], context: Mapping[str, str]) -> Piece:
    """Return columns as rows."""
    rows = [b"[" + b",".join(map(bytes, row)) + b"]" for row in zip(*columns.values(), strict=True)]
    return Piece(b",".join(rows), "arrays", len(rows), tuple(columns), context)


def find_rows_by_key(members: dict[str, msgspec.Raw]) -> list[bytes]:
    """Return the rows of an object that holds rows by key, as pandas writes them with orient="index".

    The key of a row becomes its member `index`.
    """
    if not members or not all(is_row_object(value) for value in list(members.values())[:3]):
        return []
    if all(is_certain(read_pair(key)) for key in members):
        return []  # a row of each of several series
    if any(bytes(value).strip()[:1] != b"{" for value in members.values()):
        return []
    bare = (bytes(value).strip()[1:] for value in members.values())
    return [b'{"index":' + msgspec.json.encode(key) + b"," + row for key, row in zip(members, bare, strict=True)]


def is_row_object(value: msgspec.Raw) -> bool:
    """Return whether a JSON value is an object with the prices of one candle."""
    if bytes(value).strip()[:1] != b"{":
        return False
    inner = msgspec.json.decode(value, type=dict[str, msgspec.Raw])
    names = {plain(name) for name in inner}
    has_prices = all(names & set(NAMES[role].split()) for role in PRICES)
    return all(map(is_scalar, inner.values())) and (has_prices or bool(list_affixed(list(inner))))


def find_kind(item: msgspec.Raw) -> Kind | None:
    """Return what the elements of an array are, by the first; None if they are no rows."""
    start = bytes(item).strip()[:1]
    if start == b"[":
        values = msgspec.json.decode(item, type=list[msgspec.Raw])
        return "arrays" if len(values) >= LEAST_SCALARS and all(map(is_scalar, values)) else None
    if start == b"{":
        return "objects" if is_row(msgspec.json.decode(item, type=dict[str, msgspec.Raw])) else None
    return None


def is_row(members: Mapping[str, msgspec.Raw]) -> bool:
    """Return whether an object is a row: it has at least five scalars, and nothing that could hold rows."""
    scalars = sum(map(is_scalar, members.values()))
    return scalars >= LEAST_SCALARS and scalars == len(members)


def is_candle(members: Mapping[str, msgspec.Raw]) -> bool:
    """Return whether an object of scalars may be a candle: as many as it has prices are numbers, or are missing."""
    if len(members) < LEAST_SCALARS:
        return False
    texts = map(to_text, members.values())
    return sum(not text or np.isfinite(to_number(text)) for text in texts) >= len(PRICES)


def is_scalar(value: msgspec.Raw) -> bool:
    """Return whether a JSON value is a text, a number, true, false or null."""
    return bytes(memoryview(value)[:1]) not in {b"[", b"{"}  # its bytes are not copied: it may be a whole document


def to_text(value: msgspec.Raw) -> str:
    """Return a scalar as text."""
    decoded = msgspec.json.decode(value)
    return "" if decoded is None else str(decoded)
