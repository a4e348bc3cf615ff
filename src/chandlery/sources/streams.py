"""Bytes of a file as text: hashed as they pass, decompressed, cut at ends of lines."""

import gzip
import hashlib
import io
import zipfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO, cast

import zstandard

from chandlery.errors import SourceError

__all__ = ["CHUNK", "HashingReader", "list_members", "read_chunks", "read_head", "read_whole"]

CHUNK = 64 * 1024 * 1024
BOM = b"\xef\xbb\xbf"
BROKEN = (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError, zipfile.BadZipFile)


class HashingReader(io.RawIOBase):
    """A file that is hashed as it is read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: object) -> int:
        """Fill a buffer and hash what was read."""
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        content = self._file.read(len(view))
        self.digest.update(content)
        view[: len(content)] = content
        return len(content)


def _decompressed(file: BinaryIO) -> BinaryIO:
    passing = file if isinstance(file, HashingReader) else HashingReader(file)  # a buffer would close the file itself
    buffered = io.BufferedReader(passing, 1024 * 1024)
    magic = buffered.peek(4)[:4]
    if magic[:2] == b"\x1f\x8b":
        return cast(BinaryIO, gzip.GzipFile(fileobj=buffered))
    if magic == b"\x28\xb5\x2f\xfd":
        return cast(BinaryIO, zstandard.ZstdDecompressor().stream_reader(buffered, read_across_frames=True))
    return cast(BinaryIO, buffered)


def read_head(file: BinaryIO, source: str, size: int) -> bytes:
    """Return the first bytes of decompressed text, cut at an end of line where there is more.

    Raises:
        SourceError: The compressed stream is cut short or damaged.
    """
    head = next(_read_pieces(_decompressed(file), source, size), b"").removeprefix(BOM)
    return head[: head.rfind(b"\n") + 1] or head if len(head) > size // 2 else head


def read_chunks(file: BinaryIO, source: str, size: int = CHUNK) -> Iterator[bytes]:
    """Yield decompressed text in chunks that end at an end of line, without a byte order mark.

    Raises:
        SourceError: The compressed stream is cut short or damaged.
    """
    rest = b""
    first = True
    for content in _read_pieces(_decompressed(file), source, size):
        text = rest + content
        if first:
            text, first = text.removeprefix(BOM), False
        cut = text.rfind(b"\n") + 1
        rest = text[cut:]
        if cut:
            yield text[:cut]
    if rest:
        yield rest


def read_whole(file: BinaryIO, source: str, limit: int) -> bytes:
    """Return decompressed text at once, without a byte order mark.

    Raises:
        SourceError: It is larger than the limit, or the compressed stream is cut short or damaged.
    """
    parts, total = [], 0
    for content in _read_pieces(_decompressed(file), source, CHUNK):
        total += len(content)
        if total > limit:
            raise SourceError(
                f"{source} is one JSON document of more than {limit:,} bytes",
                "a document that fits into memory",
                "write it as NDJSON or CSV, which are streamed, or raise [source] max_json_bytes",
            )
        parts.append(content)
    return b"".join(parts).removeprefix(BOM)


def _read_pieces(file: BinaryIO, source: str, size: int) -> Iterator[bytes]:
    while True:
        try:
            content = file.read(size)
        except BROKEN as error:
            raise SourceError(f"{source} is cut short or damaged: {error}", "a whole compressed file", "upload it again") from error
        if not content:
            return
        yield content


def list_members(file: BinaryIO, source: str) -> list[zipfile.ZipInfo]:
    """Return the files in a zip archive, without folders and hidden ones.

    Raises:
        SourceError: It is no zip archive, or damaged.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            infos = archive.infolist()
    except BROKEN as error:
        raise SourceError(f"{source} is damaged: {error}", "a whole zip archive", "upload it again") from error
    return [info for info in infos if not info.is_dir() and not info.filename.rpartition("/")[2].startswith((".", "_"))]
