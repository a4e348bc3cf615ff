"""Bytes of a file: hashed as they pass, decompressed, cut into chunks of whole lines."""

import bz2
import codecs
import hashlib
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, cast

from isal import igzip

from chandlery.errors import SourceError

__all__ = ["CHUNK_BYTES", "HEAD_BYTES", "HashingReader", "iter_chunks", "list_members", "open_text"]

CHUNK_BYTES = 64_000_000  # parsed at once: with its rows, a chunk takes several times as much memory
HEAD_BYTES = 1_000_000  # from which the layout is recognised
GZIP, ZSTD, XZ, BZIP2 = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\x00", b"BZh"
TABLES = (b"PAR1", b"ARROW1")  # first bytes of Parquet and of Arrow IPC
PROBE_BYTES = 4096  # at the beginning of a text, which tell its encoding and its line ends


class HashingReader(io.RawIOBase):
    """A stream read once from its beginning, whose bytes are hashed as they pass."""

    def __init__(self, stream: BinaryIO) -> None:
        stream.seek(0)
        self._stream = stream
        self._hash, self._count = hashlib.sha256(), 0

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer."""
        content = self.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def read(self, size: int | None = -1) -> bytes:
        """Read up to a number of bytes without a copy in between."""
        content = self._stream.read(-1 if size is None else size)
        self._hash.update(content)
        self._count += len(content)
        return content

    def sha256(self) -> str:
        """Read what is left and return the hash of all bytes."""
        self._stream.seek(self._count)  # a zip is read by its own hand
        while self.read(CHUNK_BYTES):
            pass
        return self._hash.hexdigest()


def list_members(stream: BinaryIO, source: str = "") -> list[str]:
    """Return the names of the files inside a zip, in order; folders, hidden files and what macOS adds are left out.

    Raises:
        SourceError: It is no zip, or cut off.
    """
    try:
        stream.seek(0)
        with zipfile.ZipFile(stream) as archive:
            names = [item.filename for item in archive.infolist() if not item.is_dir()]
    except (zipfile.BadZipFile, OSError) as error:
        raise SourceError(f"{source} is no whole zip: {error}", "a zip file", "fetch it again") from error
    visible = sorted(name for name in names if not any(part[:1] in {".", "_"} for part in name.split("/")))
    if len(set(visible)) < len(visible):
        twice = next(name for name in visible if visible.count(name) > 1)
        raise SourceError(f"{source} holds two files called {twice}", "a name for each", "pack it anew")
    return visible


class _Guarded(io.RawIOBase):
    """A decompressed stream whose faults are told as faults of the file."""

    def __init__(self, stream: BinaryIO, source: str) -> None:
        self._stream, self._source = stream, source

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        try:
            return self._stream.read(-1 if size is None else size)
        except (
            OSError,
            EOFError,
            zlib.error,
            lzma.LZMAError,
            zipfile.BadZipFile,
            NotImplementedError,
            RuntimeError,
            ValueError,
        ) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # of the machine or the store, not of the file's bytes
            raise SourceError(
                f"{self._source} cannot be decompressed: {error}", "a whole compressed file", "fetch it again"
            ) from error


_gunzip: Callable[..., Any] = igzip.IGzipFile  # several times as fast as zlib


def open_text(raw: HashingReader, stream: BinaryIO, member: str | None, source: str) -> BinaryIO:
    """Return a file's text as bytes, decompressed by what its first bytes say.

    Args:
        raw: The object's bytes, at their beginning.
        stream: The same object, seekable, for a zip.
        member: The file inside a zip; None where it is no zip.
        source: Its name in messages.

    Raises:
        SourceError: It is cut off or no such file; also while it is read.
    """
    if member is not None:
        try:
            return cast("BinaryIO", _Guarded(cast("BinaryIO", zipfile.ZipFile(stream).open(member)), source))
        except (zipfile.BadZipFile, OSError, KeyError, RuntimeError, NotImplementedError) as error:
            raise SourceError(
                f"{source} cannot be unpacked: {error}", "a whole zip file without a password", "fetch it again"
            ) from error
    start = stream.read(6)
    stream.seek(0)
    if start.startswith(GZIP):
        return cast("BinaryIO", _Guarded(_gunzip(fileobj=raw), source))
    if start.startswith(ZSTD):
        import pyarrow as pa  # noqa: PLC0415 - a tenth of a second that only such files cost

        return cast("BinaryIO", _Guarded(pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), "zstd"), source))
    if start.startswith(XZ):
        return cast("BinaryIO", _Guarded(cast("BinaryIO", lzma.LZMAFile(cast("BinaryIO", raw))), source))
    if start.startswith(BZIP2):
        return cast("BinaryIO", _Guarded(cast("BinaryIO", bz2.BZ2File(raw)), source))
    return cast("BinaryIO", raw)


class _ToUtf8:
    """Turns text into UTF-8 without a mark at its beginning, with lines that end with a line feed.

    Args:
        block: The first bytes of the text.
    """

    def __init__(self, block: bytes) -> None:
        probe = block[:PROBE_BYTES]
        self.is_table = probe.startswith(TABLES)
        name = find_utf16(probe)
        self._decoder = codecs.getincrementaldecoder(name)("replace") if name else None
        self._mark = 2 if name and probe[:2] in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE} else 0
        self._mark = 3 if probe.startswith(codecs.BOM_UTF8) else self._mark
        text = self._decoder.decode(probe).encode() if self._decoder else probe
        if self._decoder:
            self._decoder.reset()
        self._has_returns = b"\r" in text and b"\n" not in text

    def turn(self, block: bytes) -> bytes:
        """Return the next bytes of the text; those of a table are left as they are."""
        if self.is_table:
            return block
        block, self._mark = block[self._mark :], 0
        if self._decoder is not None:
            block = self._decoder.decode(block).encode()
        return block.replace(b"\r", b"\n") if self._has_returns else block


def find_utf16(probe: bytes) -> str:
    """Return the name of the UTF-16 that a text begins in; empty if it is in another encoding.

    Without a mark it is told by its zeros: every other byte of ASCII characters is one.
    """
    if probe.startswith(codecs.BOM_UTF16_LE):
        return "utf-16-le"
    if probe.startswith(codecs.BOM_UTF16_BE):
        return "utf-16-be"
    half = len(probe) // 2
    if half < 8:  # noqa: PLR2004 - too few bytes to tell
        return ""
    first, second = (probe[place : 2 * half : 2].count(0) for place in (0, 1))
    return (
        "utf-16-le" if second > 0.9 * half and not first else "utf-16-be" if first > 0.9 * half and not second else ""
    )


def iter_chunks(text: BinaryIO, source: str, size: int = CHUNK_BYTES) -> Iterator[bytes]:
    """Cut a text into chunks of whole lines; JSON without lines is cut anywhere.

    The chunks are UTF-8 without a byte order mark, and their lines end with a line feed.

    Raises:
        SourceError: A line is longer than a chunk.
    """
    left, to_utf8, is_json = b"", None, False
    while block := _read_full(text, size):
        is_last = len(block) < size
        if to_utf8 is None:
            to_utf8 = _ToUtf8(block)
            block = to_utf8.turn(block)
            is_json = to_utf8.is_table or block[:1000].lstrip()[:1] in {b"[", b"{"}
        else:
            block = to_utf8.turn(block)
        block = left + block if left else block
        cut = len(block) if is_last else block.rfind(b"\n") + 1 or len(block) * is_json
        if not cut and len(block) > 2 * size:
            raise SourceError(
                f"{source} has a line of more than {size} bytes", "a row a line", "convert it to NDJSON or CSV"
            )
        if cut:
            yield block[:cut] if cut < len(block) else block
        left = block[cut:]
    if left:
        yield left


def _read_full(text: BinaryIO, size: int) -> bytes:
    """Return the next bytes, fewer than asked for only at the end."""
    block = text.read(size)
    parts, have = [block], len(block)
    while block and have < size:
        block = text.read(size - have)
        parts.append(block)
        have += len(block)
    return parts[0] if have == len(parts[0]) else b"".join(parts)
