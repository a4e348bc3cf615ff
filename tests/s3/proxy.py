"""Real HTTP proxies before the S3 server: one that is busy for a while, one that loses answers, one that counts
requests, and one that answers with any fault.
"""

import http.client
import itertools
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import obstore
from obstore.store import from_url

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from relay import CountingRelay

CUT, SILENT, REFUSED = "cut", "silent", "refused"


@contextmanager
def busy_proxy(
    endpoint: str, refusals: int, *, every: int = sys.maxsize, codes: tuple[int, ...] = (503,), body: bytes = b""
) -> Iterator[str]:
    """Pass requests on, but refuse the first, and again some of every so many, with the codes in turn and a body."""
    numbers = itertools.count()

    class Handler(_Handler):
        target = urlsplit(endpoint).netloc

        def pass_on(self) -> None:
            content = self.read_body()
            number = next(numbers) % every
            if number < refusals:
                self.answer(codes[number % len(codes)], [], body)
            else:
                self.answer(*self.ask(content))

    with _serve(Handler) as address:
        yield address


@contextmanager
def lossy_proxy(endpoint: str, lose: Callable[[str, str], str | int]) -> Iterator[str]:
    """Pass requests on, and lose the answers to some, which the store has applied.

    Args:
        endpoint: Of the store.
        lose: Called with the method and the path of each request. Returns "" to pass its answer on, CUT to cut the
            connection instead, SILENT to answer nothing until the proxy ends, a code to answer that; REFUSED cuts the
            connection before the store sees the request.
    """
    over = threading.Event()

    class Handler(_Handler):
        target = urlsplit(endpoint).netloc

        def pass_on(self) -> None:
            content = self.read_body()
            fault = lose(self.command, urlsplit(self.path).path)
            answer = self.ask(content) if fault != REFUSED else None
            if fault == SILENT:
                over.wait()
            if fault in {CUT, SILENT, REFUSED} or answer is None:
                self.close_connection = True
            elif fault:
                self.answer(int(fault), [], b"")
            else:
                self.answer(*answer)

    with _serve(Handler) as address:
        try:
            yield address
        finally:
            over.set()


@dataclass(frozen=True)
class Fault:
    """What a proxy answers instead of the store.

    Args:
        status: Of the answer; 0 leaves that of the store.
        body: The body.
        headers: Added to the answer, or in place of those of the store.
        methods: The methods of the requests that it concerns; empty for all.
        within: What the addresses of these requests have; empty for all.
        raw: What is sent in place of an answer of HTTP.
        cut: After how many bytes of the body the connection is cut; None does not cut it.
        is_silent: Whether nothing is answered until the proxy ends.
    """

    status: int = 0
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    methods: frozenset[str] = frozenset()
    within: str = ""
    raw: bytes | None = None
    cut: int | None = None
    is_silent: bool = False

    def concerns(self, method: str, path: str) -> bool:
        """Return whether it concerns a request."""
        return (not self.methods or method in self.methods) and self.within in path


@dataclass
class FaultProxy:
    """A proxy before a store.

    Args:
        url: Where to send requests.
        fault: What it does to them; None passes them on.
        asked: How many requests it has had.
        ignored: Headers with the conditions of puts that it does not keep.
    """

    url: str = ""
    fault: Fault | None = None
    asked: int = 0
    ignored: frozenset[str] = frozenset()


def put_without_condition(endpoint: str, path: str, content: bytes) -> str:
    """Put an object, whatever its condition was; return its etag. Its request is signed anew."""
    bucket, _, key = path.lstrip("/").partition("/")
    store = from_url(f"s3://{bucket}", endpoint=endpoint, region="us-east-1", client_options={"allow_http": True})
    return str(obstore.put(store, unquote(key), content, use_multipart=False)["e_tag"])


@contextmanager
def fault_proxy(endpoint: str) -> Iterator[FaultProxy]:
    """Pass requests on, or answer them by the fault that is set."""
    over, proxy = threading.Event(), FaultProxy()

    class Handler(_Handler):
        target = urlsplit(endpoint).netloc

        def pass_on(self) -> None:
            content, fault = self.read_body(), proxy.fault
            proxy.asked += 1
            if proxy.ignored & {name.lower() for name in self.headers}:
                self.answer(200, [("ETag", put_without_condition(endpoint, self.path, content))], b"")
            elif fault is None or not fault.concerns(self.command, self.path):
                self.answer(*self.ask(content))
            elif fault.is_silent:
                over.wait()
                self.close_connection = True
            elif fault.raw is not None:
                self.wfile.write(fault.raw)
                self.close_connection = True
            else:
                self.spoil(content, fault)

        def spoil(self, content: bytes, fault: Fault) -> None:
            answer = (fault.status, [], fault.body) if fault.status else self.ask(content)
            given = {name.lower() for name in fault.headers}
            headers = [(name, value) for name, value in answer[1] if name.lower() not in given]
            headers += [(name, value) for name, value in fault.headers.items() if value]
            self.answer(answer[0], headers, answer[2], fault.cut)

    with _serve(Handler) as proxy.url:
        try:
            yield proxy
        finally:
            over.set()


@contextmanager
def counting_proxy(endpoint: str) -> Iterator[tuple[str, CountingRelay]]:
    """Pass requests on and note each; yields the URL to send them to, and what has the notes."""
    relay = CountingRelay(endpoint)
    with relay.opened() as url:
        yield url, relay


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    target = ""

    def pass_on(self) -> None:
        raise NotImplementedError

    def do_GET(self) -> None:
        self.pass_on()

    do_PUT = do_HEAD = do_DELETE = do_POST = do_GET  # noqa: N815 - the names that the base class calls

    def read_body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def ask(self, content: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(self.target)
        connection.request(self.command, self.path, content, dict(self.headers))
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, answer.getheaders(), body

    def answer(self, status: int, headers: list[tuple[str, str]], body: bytes, cut: int | None = None) -> None:
        self.send_response(status)
        length = str(len(body))
        for name, value in headers:
            if name.lower() not in {"transfer-encoding", "connection", "content-length"}:
                self.send_header(name, value)
            elif name.lower() == "content-length" and self.command == "HEAD":
                length = value
        self.send_header("Content-Length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:cut])
        if cut is not None:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def _serve(handler: type[_Handler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://{handler.target.partition(':')[0]}:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
