"""A real HTTP proxy before the S3 server that is busy for a while: it answers 503, or 429."""

import http.client
import itertools
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


@contextmanager
def busy_proxy(endpoint: str, refusals: int, *, every: int = sys.maxsize, codes: tuple[int, ...] = (503,), body: bytes = b"") -> Iterator[str]:
    """Pass requests on to an endpoint, after refusing so many of them, and again of every so many, with the codes in turn and a body."""
    numbers = itertools.count()
    target = urlsplit(endpoint).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass_on(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            number = next(numbers) % every
            if number < refusals:
                self.send_response(codes[number % len(codes)])
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                return
            connection = http.client.HTTPConnection(target)
            connection.request(self.command, self.path, content, dict(self.headers))
            answer = connection.getresponse()
            content = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in {"transfer-encoding", "connection", "content-length"}:
                    self.send_header(name, value)
            length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(content))
            self.send_header("Content-Length", length or "0")
            self.end_headers()
            self.wfile.write(content)
            connection.close()

        do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _pass_on  # noqa: N815 - the names that the base class calls

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://{target.partition(':')[0]}:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
