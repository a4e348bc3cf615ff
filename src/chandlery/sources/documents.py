"""One JSON document to pieces that can be decoded one after the other."""

from collections.abc import Iterator

import msgspec

from chandlery.errors import SourceError
from chandlery.sources.layout import Layout

__all__ = ["iter_elements"]

PIECE_BYTES = 8_000_000  # decoded at once: Python objects of a piece take several times its size


def iter_elements(document: bytes, layout: Layout, source: str, *, whole: bool = True) -> Iterator[bytes]:
    """Return the elements of the document's array, in pieces that each hold some of them whole.

    Args:
        document: The text.
        layout: Where the array begins, and what its elements are.
        source: The file's name in messages.
        whole: Whether the document is all there; of a part only the first piece is returned.

    Raises:
        SourceError: The document ends early, or what stands around the array is malformed.
    """
    mark = b"]" if layout.width else b"}"
    if not whole:
        commas = (
            place
            for place in _places_backward(document, b",")
            if document[max(place - 100, 0) : place].rstrip().endswith(mark)
        )
        yield document[layout.body : next(commas, layout.body)]
        return
    end = document.rfind(b"]")
    try:
        msgspec.json.decode(document[: layout.body] + document[end:])
    except msgspec.DecodeError as error:
        rows = document.count(mark, layout.body)
        raise SourceError(
            f"{source} is broken JSON: it ends after about {rows} rows: {error}", "whole JSON", "fetch it again"
        ) from error
    begin = layout.body
    while end - begin > PIECE_BYTES and (cut := document.rfind(mark, begin, begin + PIECE_BYTES)) > 0:
        yield document[begin : cut + 1]
        begin = _after_comma(document, cut + 1, source)
    if document[begin:end].strip():
        yield document[begin:end]


def _after_comma(document: bytes, place: int, source: str) -> int:
    """Return where the next element begins."""
    space = document[place : place + 1000]
    bare = space.lstrip()
    if bare[:1] != b",":
        raise SourceError(
            f"{source} is broken JSON at byte {place}: {space[:20]!r} between two rows", "a comma", "fetch it again"
        )
    return place + len(space) - len(bare) + 1


def _places_backward(document: bytes, mark: bytes) -> Iterator[int]:
    place = len(document)
    while (place := document.rfind(mark, 0, place)) >= 0:
        yield place
