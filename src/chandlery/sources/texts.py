"""The text of a file with its layout, which can be read more than once, in batches of rows."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import chain, groupby
from typing import BinaryIO

import msgspec
import numpy as np
import polars as pl

from chandlery.errors import SourceError
from chandlery.settings.model import LayoutSettings, ReadingSettings
from chandlery.sources.around import Around
from chandlery.sources.date_orders import settle_order
from chandlery.sources.documents import (
    ANOTHER,
    MARK,
    Kind,
    Piece,
    iter_elements,
    iter_line_elements,
    look_around,
    quote_tokens,
    unfold,
)
from chandlery.sources.doubts import UndecidedError, paste
from chandlery.sources.heads import NeedsWhole, check_kinds
from chandlery.sources.known_layouts import KnownLayout, hash_head
from chandlery.sources.layout import Layout, recognise, recognise_head
from chandlery.sources.parse import Batch, parse_elements, parse_fields, parse_json_lines, parse_lines
from chandlery.sources.streams import CHUNK_BYTES, HEAD_BYTES, HashingReader, iter_chunks, open_text
from chandlery.sources.symbols import match_layout
from chandlery.sources.tables import find_format, iter_table, read_frame, to_head

__all__ = ["Text"]

TAIL_BYTES = 20_000  # at the end of a text, whose lines show how many decimals its last field has
LEAST_LINES = 10  # of fewer, equal numbers of decimals are chance
PEEK_BYTES = 4 * HEAD_BYTES  # looked at before a file is read


class Text:
    """A file's text with its layout; it can be read again.

    Args:
        stream: The object, seekable; left open.
        source: The file's name.
        member: The file inside a zip; None where it is no zip.
        settings: How to read it.
        with_ends: Whether the times at which candles close are read as well, as text.
        known: Its layout as it was recognised before under these settings, if it was.

    Attributes:
        layout: Its layout, once rows have been read.
        digest: Of the bytes by which the layout was recognised; empty of a table.
        hashing: Computes the hash of its bytes.
    """

    def __init__(
        self, stream: BinaryIO, source: str, member: str | None, settings: ReadingSettings, *,
        with_ends: bool = False, known: KnownLayout | None = None,
    ) -> None:  # fmt: skip
        self._stream, self._source, self._member, self._settings = stream, source, member, settings
        self._with_ends, self._known = with_ends, known
        self.digest = b""
        self.hashing: HashingReader | None = None
        self.layout: Layout | None = None
        self._rest: bytes | None = None  # the whole of a document whose rows lie deep in it

    def chunks(self, size: int = CHUNK_BYTES) -> Iterator[bytes]:
        """Return the text from its beginning, in chunks of whole lines."""
        self.hashing = HashingReader(self._stream)
        return iter_chunks(open_text(self.hashing, self._stream, self._member, self._source), self._source, size)

    def peek(self) -> tuple[Batch, Layout]:
        """Return the first rows, and the layout, which is recognised by them.

        Raises:
            SourceError: It cannot be read as candles.
        """
        head, chunks, layout = self._begin(PEEK_BYTES)
        if layout is None:
            batch = next(self._table(head, chunks))
            return batch, batch.layout
        if layout.form in {"nested", "nested lines"}:
            whole = head if self._rest is None else self._rest
            return next(self._nested(whole, iter(()), layout)), layout
        if layout.form == "document":
            if self._rest is not None:
                return next(self._elements(self._rest, iter(()), layout)), layout
            if head.rstrip().endswith((b"}", b"]")):  # it may be whole
                with suppress(SourceError):
                    return next(self._elements(head, iter(()), layout)), layout
            elements = next(iter_elements(head, layout.body, _kind(layout), self._source, whole=False), b"")
            context, _ = look_around(head, layout.body, layout.key)
            return parse_elements(elements, layout, Around.of([(context, 0)])), layout
        parse = parse_fields if layout.form == "fields" else parse_json_lines
        return parse(_skip_lines(head, layout.skip), layout), layout

    def _begin(self, size: int = CHUNK_BYTES) -> tuple[bytes, Iterator[bytes], Layout | None]:
        """Return the first chunk, those behind it, and the layout of a text; None for a table."""
        chunks = self.chunks(size)
        head = next(chunks, b"")
        if find_format(head):
            return head, chunks, None
        layout = self._recognise(head, chunks)
        if layout.time.also:
            layout = self.layout = settle_order(layout, self._read_under, self._source)
            if self._rest is None:  # its bytes have not been read, and the reader has moved within them
                chunks = self.chunks(size)
                head = next(chunks, b"")
        return head, chunks, layout

    def _read_under(self, layout: Layout) -> Iterator[Batch]:
        """Return the rows from the first as a layout has them; not at the same time as those of this text."""
        text = Text(self._stream, self._source, self._member, self._settings)
        text.layout = layout
        return text.batches()

    def _recognise(self, head: bytes, chunks: Iterator[bytes]) -> Layout:
        """Return the layout by the first bytes; by all of them where the rows of a document lie deep in it."""
        self._rest = None
        try:
            is_whole = len(head) < HEAD_BYTES
            self.layout = self.layout or self._recall(head[:HEAD_BYTES])
            self.layout = self.layout or recognise(head[:HEAD_BYTES], self._source, self._settings, is_whole=is_whole)
            has_key = self.layout.form == "document" and self.layout.key is not None
            if has_key and not is_whole and ANOTHER.search(head, self.layout.body):
                raise NeedsWhole
        except NeedsWhole:
            self._rest = self._join(head, chunks)
            self.layout = recognise(self._rest, self._source, self._settings, is_whole=True)
        if self.layout.form == "nested" and self._rest is None:
            self._rest = self._join(head, chunks)
        self.layout = self._add_ends(self.layout)
        return self.layout

    def _recall(self, head: bytes) -> Layout | None:
        """Return the layout that was recognised before by the same first bytes; None if there is none."""
        self.digest = hash_head(head)
        return self._known.whole if self._known is not None and self._known.digest == self.digest else None

    def _add_ends(self, layout: Layout) -> Layout:
        """Return a layout with the place of the times of close, where these are to be read."""
        end = layout.facts.end if self._with_ends else None
        return layout if end is None else replace(layout, end_place=end[0])

    def batches(self) -> Iterator[Batch]:
        """Return the rows from the first, some at a time."""
        chunk, chunks, layout = self._begin()
        if layout is None:
            yield from self._table(chunk, chunks)
            return
        if layout.form == "document":
            yield from self._elements(chunk if self._rest is None else self._rest, chunks, layout)
            return
        if layout.form in {"nested", "nested lines"}:
            yield from self._nested(chunk if self._rest is None else self._rest, chunks, layout)
            return
        chunk = _skip_lines(chunk, layout.skip)
        while chunk:
            following = next(chunks, b"")
            batches = parse_lines(chunk, layout)
            yield from batches if following else refuse_cut(batches, chunk, layout)
            chunk = following

    def _table(self, first: bytes, chunks: Iterator[bytes]) -> Iterator[Batch]:
        """Return the rows of a Parquet or Arrow file, which is held in memory."""
        frame, context = read_frame(self._join(first, chunks), self._source)
        if self.layout is None:
            by_hand = match_layout(self._source, self._settings) or LayoutSettings()
            if context and by_hand.stamps is None:
                found = f"{self._source} has bars of NautilusTrader: ts_event may be when they open or when they close"
                hint = paste(self._source, {"stamps": "close"}, {"stamps": 'or "open"'})
                raise UndecidedError("stamps", found, "times that are known to be of the open or of the close", hint)
            layout = recognise_head(to_head(frame, context, find_format(first)), self._source, by_hand)
            if layout.time.also:
                layout = settle_order(layout, partial(iter_table, frame, context), self._source)
            self.layout = self._add_ends(layout)
        yield from iter_table(frame, context, self.layout)

    def _join(self, first: bytes, chunks: Iterator[bytes]) -> bytes:
        """Return a document, which is held in memory.

        Raises:
            SourceError: It is too large for that.
        """
        parts, size, limit = [first], len(first), self._settings.max_json_bytes
        while size <= limit and (part := next(chunks, b"")):
            parts.append(part)
            size += len(part)
        if size > limit:
            raise SourceError(
                f"{self._source} is one JSON document or table of more than {limit} bytes",
                "at most source.max_json_bytes",
                "write JSON as NDJSON (a JSON value a line), which is streamed, or raise the setting",
            )
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _elements(self, first: bytes, chunks: Iterator[bytes], layout: Layout) -> Iterator[Batch]:
        """Return the rows of a document that is one array."""
        document = self._join(first, chunks)
        del first
        context, has_others = look_around(document, layout.body, layout.key)
        if has_others:  # behind the first rows, by which it looked like a document with one array
            yield from self._nested(document, iter(()), replace(layout, form="nested"))
            return
        around, row = Around.of([(context, 0)]), 0
        for elements in iter_elements(document, layout.body, _kind(layout), self._source):
            try:
                batch = parse_elements(elements, layout, around)
            except msgspec.DecodeError as error:
                row += _count_whole(elements, layout)
                raise SourceError(
                    f"{self._source} is broken JSON at row {row + 1}: {error}",
                    "whole JSON",
                    "fetch it again, or write it as NDJSON, where a broken row costs only itself",
                ) from error
            row += batch.fields.height
            yield batch

    def _nested(self, first: bytes, chunks: Iterator[bytes], layout: Layout) -> Iterator[Batch]:
        """Return the rows that lie deep in a document, or in a document a line."""
        texts = [first] if layout.form == "nested" else chain([first], chunks)
        for text in texts:
            marked = quote_tokens(text, MARK)
            try:
                pieces = list(unfold(marked)) if layout.form == "nested" else list(iter_line_elements(marked))
            except msgspec.DecodeError as error:
                raise SourceError(f"{self._source} is broken JSON: {error}", "whole JSON", "fetch it again") from error
            if layout.form == "nested":
                check_kinds(pieces, self._source)
            for elements, around in _join_pieces(pieces):
                yield parse_elements(elements, layout, around)


def refuse_cut(batches: Iterator[Batch], text: bytes, layout: Layout) -> Iterator[Batch]:
    """Return the last rows of a text; its last one is unparseable if the text ends within it.

    Args:
        batches: The rows.
        text: Their text.
        layout: How it is laid out.
    """
    last = None
    for batch in batches:
        if last is not None:
            yield last
        last = batch
    if last is None:
        return  # blank lines alone
    if layout.form == "fields" and ends_within_number(text, layout.separator):
        is_last = pl.int_range(pl.len()) == pl.len() - 1
        last = replace(last, fields=last.fields.with_columns(unparseable=pl.col("unparseable") | is_last))
    yield last


def ends_within_number(text: bytes, separator: str) -> bool:
    """Return whether the last line has no line break, and fewer decimals at its end than all lines before it."""
    if text.endswith(b"\n"):
        return False
    lines = text[-TAIL_BYTES:].split(b"\n")[1:]
    decimals = [len(line.rpartition(separator.encode())[2].strip(b'"\r ').partition(b".")[2]) for line in lines if line]
    return len(decimals) > LEAST_LINES and len(set(decimals[:-1])) == 1 and decimals[-1] < decimals[0]


def _kind(layout: Layout) -> Kind:
    return "arrays" if layout.width else "objects"


def _join_pieces(pieces: list[Piece]) -> Iterator[tuple[bytes, Around]]:
    """Return the elements of neighbouring pieces of one kind together, and what stands around them."""
    for _, group in groupby(pieces, key=lambda piece: piece.kind):
        full = [piece for piece in group if piece.elements.strip()]
        if full:
            around = Around.of((piece.context, piece.count) for piece in full)
            yield b",".join(piece.elements for piece in full), around


def _count_whole(elements: bytes, layout: Layout) -> int:
    """Return how many elements stand before the first that is malformed."""
    mark = b"]" if layout.width else b"}"
    low, high = 0, elements.count(mark)
    ends = np.flatnonzero(np.frombuffer(elements, np.uint8) == mark[0]).tolist()
    while low < high:
        middle = (low + high + 1) // 2
        try:
            msgspec.json.decode(b"[" + elements[: ends[middle - 1] + 1] + b"]", type=list[msgspec.Raw])
            low = middle
        except msgspec.DecodeError:
            high = middle - 1
    return low


def _skip_lines(chunk: bytes, count: int) -> bytes:
    """Return a text without its first lines; blank ones do not count."""
    while count and chunk:
        line, _, chunk = chunk.partition(b"\n")
        count -= bool(line.strip())
    return chunk
