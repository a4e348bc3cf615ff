"""Real HTTP proxies before the S3 server: one that is busy for a while, one that loses answers, one that counts
requests.
"""

import http.client
import itertools
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

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

    def answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response(status)
        length = str(len(body))
        for name, value in headers:
            if name.lower() not in {"transfer-encoding", "connection", "content-length"}:
                self.send_header(name, value)
            elif name.lower() == "content-length" and self.command == "HEAD":
                length = value
        self.send_header("Content-Length", length)
        self.end_headers()
        self.wfile.write(body)

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
