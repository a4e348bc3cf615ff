"""An HTTP/1.1 proxy between a client and a server on this machine, and one that counts requests to an S3 server.

It forwards what it is sent as it is: the client signs the Host header that it sends, and the S3 server checks the
signature against the Host header that it receives. Bodies are received whole before they are sent on. Connections are
kept open on both sides, and requests are served at the same time by one thread with an event loop.
"""

import asyncio
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from html import unescape
from typing import ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

LONGEST_HEAD = 2**18
BACKLOG = 512
NO_BODY = frozenset((204, 304))
TABLES = ("candles", "rejects", "ledger", "gaps", "forecasts", "scores", "models")
LEASE = ("lease.json", "_probe/")  # the lease reads the store's clock from the probe
STAGE = "/_stage/"
STAGING = "_staging/"
KEY = re.compile("<Key>(.*?)</Key>")
POSTS = {"delete": "delete", "uploadId": "put", "uploads": "part"}  # the second makes an object of the parts


@dataclass(frozen=True)
class Head:
    """The head of a request or an answer.

    Args:
        first: The request line or the status line.
        fields: The header fields in order, as they were received.
    """

    first: str
    fields: tuple[tuple[str, str], ...]

    def get(self, name: str) -> str:
        """Return the value of a field by its lower-case name; empty where there is none."""
        return next((value for key, value in self.fields if key.lower() == name), "")

    def encode(self, *, without: frozenset[str] = frozenset(), more: tuple[tuple[str, str], ...] = ()) -> bytes:
        """Return the head as it is sent, without some fields and with some more."""
        kept = [field for field in self.fields if field[0].lower() not in without]
        lines = [self.first, *(f"{name}: {value}" for name, value in (*kept, *more))]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


@dataclass(frozen=True)
class Message:
    """A request or an answer.

    Args:
        head: Its head.
        body: Its whole body.
    """

    head: Head
    body: bytes

    @property
    def method(self) -> str:
        """The method of a request."""
        return self.head.first.split(" ", 1)[0]

    @property
    def target(self) -> str:
        """The path and query of a request."""
        return self.head.first.split(" ")[1]

    @property
    def status(self) -> int:
        """The status of an answer."""
        return int(self.head.first.split(" ")[1])

    @property
    def closes(self) -> bool:
        """Whether the connection ends with this message."""
        old = self.head.first.startswith("HTTP/1.0") or self.head.first.endswith("HTTP/1.0")
        return old or self.head.get("connection").lower() == "close"


class Relay:
    """A proxy before a server.

    Args:
        endpoint: URL of the server.
        delay_seconds: How long each request is held before it is sent on; it may be changed between requests.
    """

    def __init__(self, endpoint: str, delay_seconds: float = 0.0) -> None:
        address = urlsplit(endpoint)
        self._host, self._port = address.hostname or "127.0.0.1", address.port or 80
        self.delay_seconds = delay_seconds
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._clients: set[asyncio.Task[None]] = set()

    @contextmanager
    def opened(self) -> Iterator[str]:
        """Serve while the block runs; yields the URL to send requests to."""
        ready: Future[tuple[int, asyncio.AbstractEventLoop, asyncio.Event]] = Future()
        thread = threading.Thread(target=lambda: asyncio.run(self._serve(ready)))
        thread.start()
        port, loop, stop = ready.result()
        try:
            yield f"http://{self._host}:{port}"
        finally:
            loop.call_soon_threadsafe(stop.set)
            thread.join()

    def reply(self, request: Message) -> tuple[int, bytes] | None:
        """Return the status and body to answer a request with, or None to send it on; for subclasses."""

    def answered(self, request: Message, answer: Message, began: float) -> None:
        """Called with an answer before the client receives it; for subclasses."""

    async def _serve(self, ready: "Future[tuple[int, asyncio.AbstractEventLoop, asyncio.Event]]") -> None:
        stop = asyncio.Event()
        try:
            server = await asyncio.start_server(self._attend, "127.0.0.1", 0, limit=LONGEST_HEAD, backlog=BACKLOG)
        except OSError as error:
            ready.set_exception(error)
            return
        ready.set_result((server.sockets[0].getsockname()[1], asyncio.get_running_loop(), stop))
        await stop.wait()
        server.close()
        for client in self._clients:
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        for _, writer in self._idle:
            await _close(writer)

    async def _attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve the requests of one connection, one after the other."""
        client = asyncio.current_task()
        assert client is not None  # noqa: S101 - a coroutine runs in a task
        self._clients.add(client)
        try:
            while (request := await _read_request(reader, writer)) is not None:
                writer.write(await self._answer(request))
                await writer.drain()
                if request.closes:
                    break
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client was killed, or the relay ends
        finally:
            self._clients.discard(client)
            await _close(writer)

    async def _answer(self, request: Message) -> bytes:
        began = time.monotonic()
        if (reply := self.reply(request)) is not None:
            status, body = reply
            return f"HTTP/1.1 {status} -\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
        await asyncio.sleep(self.delay_seconds)
        answer = await self._exchange(request)
        self.answered(request, answer, began)
        framing = frozenset(("connection", "keep-alive", "transfer-encoding", "content-length"))
        length = answer.head.get("content-length") if request.method == "HEAD" else str(len(answer.body))
        more = () if answer.status in NO_BODY else (("Content-Length", length or "0"),)
        head = Head("HTTP/1.1" + answer.head.first[len("HTTP/1.1") :], answer.head.fields)
        return head.encode(without=framing, more=more) + answer.body

    async def _exchange(self, request: Message) -> Message:
        """Return the server's answer, over a connection that is open already if there is one."""
        while self._idle:
            reader, writer = self._idle.pop()
            try:
                if not reader.at_eof():
                    return await self._ask(request, reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError):
                pass  # the server had closed it meanwhile
            await _close(writer)
        return await self._ask(request, *await asyncio.open_connection(self._host, self._port, limit=LONGEST_HEAD))

    async def _ask(self, request: Message, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Message:
        writer.write(request.head.encode(without=frozenset(("expect",))) + request.body)
        await writer.drain()
        head = await _read_head(reader)
        while head.first.split(" ")[1].startswith("1"):
            head = await _read_head(reader)
        is_empty = request.method == "HEAD" or int(head.first.split(" ")[1]) in NO_BODY
        answer = Message(head, b"" if is_empty else await _read_body(reader, head, until_end=True))
        if answer.closes or request.closes:
            await _close(writer)
        else:
            self._idle.append((reader, writer))
        return answer


async def _read_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Message | None:
    """Return the next request; None where the client has closed the connection."""
    try:
        head = await _read_head(reader)
    except asyncio.IncompleteReadError:
        return None
    if head.get("expect").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    return Message(head, await _read_body(reader, head, until_end=False))


async def _read_head(reader: asyncio.StreamReader) -> Head:
    text = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = text[:-4].split("\r\n")
    fields = (line.partition(":") for line in lines)
    return Head(first, tuple((name, value.strip()) for name, _, value in fields))


async def _read_body(reader: asyncio.StreamReader, head: Head, *, until_end: bool) -> bytes:
    """Return a body whole.

    Args:
        reader: Where the head was read.
        head: Its head, which has its length.
        until_end: Whether a body of unknown length goes on until the connection ends, as in an answer.
    """
    if head.get("transfer-encoding").lower() == "chunked":
        parts = []
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            parts.append((await reader.readexactly(size + 2))[:-2])
        while await reader.readuntil(b"\r\n") != b"\r\n":
            pass  # trailers
        return b"".join(parts)
    if length := head.get("content-length"):
        return await reader.readexactly(int(length))
    return await reader.read() if until_end else b""


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError, asyncio.CancelledError):
        await writer.wait_closed()


@dataclass(frozen=True)
class Counted:
    """A request that was answered.

    Args:
        stage: The stage of the run in which it arrived.
        agent: The User-Agent of its client.
        method: Of HTTP.
        bucket: The bucket.
        key: The object's key, the first of those that are deleted at once, or the prefix of a listing.
        kind: list, page (a further page of a listing), head, get, put, part (of an upload in parts), delete, copy,
            lease (of any method, of the lease's own objects) or other.
        status: Of the answer.
        sent_bytes: Of its body.
        received_bytes: Of the answer's body.
        seconds: From its arrival until the answer, the delay included.
    """

    stage: str
    agent: str
    method: str
    bucket: str
    key: str
    kind: str
    status: int
    sent_bytes: int
    received_bytes: int
    seconds: float

    OK: ClassVar[range] = range(200, 300)

    def is_below(self, prefix: str) -> bool:
        """Return whether its key lies in a folder of the bucket, given with its slash."""
        return self.key.startswith(prefix)

    def rewrites_table(self, prefix: str) -> bool:
        """Return whether it put an object of a table, staged or final, of the lake in a folder of the bucket."""
        name = self.key.removeprefix(prefix)
        folder = (name.split("/", 2)[-1] if name.startswith(STAGING) else name).partition("/")[0]
        return self.kind in {"put", "copy"} and self.status in self.OK and self.is_below(prefix) and folder in TABLES


class CountingRelay(Relay):
    """A proxy before an S3 server that records each request.

    A client that sends `PUT /_stage/NAME` names the stage that begins: such a request is answered here, neither
    counted nor held. A request belongs to the stage in which it is answered.
    """

    def __init__(self, endpoint: str, delay_seconds: float = 0.0) -> None:
        super().__init__(endpoint, delay_seconds)
        self._stage, self._requests = "", list[Counted]()

    def take(self) -> list[Counted]:
        """Return the requests since the last call, and reset the stage."""
        found, self._requests, self._stage = self._requests, [], ""
        return found

    def reply(self, request: Message) -> tuple[int, bytes] | None:
        """Answer requests that name a stage."""
        if not request.target.startswith(STAGE):
            return None
        self._stage = unquote(request.target[len(STAGE) :])
        return 200, b""

    def answered(self, request: Message, answer: Message, began: float) -> None:
        """Record a request."""
        url = urlsplit(request.target)
        bucket, _, key = unquote(url.path).lstrip("/").partition("/")
        asked = parse_qs(url.query, keep_blank_values=True)
        if "delete" in asked:  # many at once: their keys are in the body
            key = unescape("".join(KEY.findall(request.body.decode())[:1]))
        kind = _kind(request, key, asked)
        names = self._stage, request.head.get("user-agent"), request.method, bucket, key or _prefix(asked), kind
        sizes = len(request.body), len(answer.body)
        self._requests.append(Counted(*names, answer.status, *sizes, time.monotonic() - began))


def _prefix(asked: dict[str, list[str]]) -> str:
    """Return the prefix of a listing."""
    return asked.get("prefix", [""])[0]


def _kind(request: Message, key: str, asked: dict[str, list[str]]) -> str:
    """Return the kind of a request, as in `Counted`."""
    method = request.method
    if any(f"/{name}" in f"/{key}" for name in LEASE):
        return "lease"
    if method == "GET" and not key:
        return "page" if asked.keys() & {"continuation-token", "marker"} else "list"
    if method == "PUT":
        return "copy" if request.head.get("x-amz-copy-source") else "part" if "partNumber" in asked else "put"
    if method == "POST":
        return next((kind for name, kind in POSTS.items() if name in asked), "other")
    return method.lower() if method in {"GET", "HEAD", "DELETE"} else "other"
