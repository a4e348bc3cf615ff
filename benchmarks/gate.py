"""A proxy between runs and a real S3 server that sees each put and can hold one of them halfway."""

import http.client
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

RAW, LAKE = "crypto-raw", "crypto-lake"
OUTSIDE = ("state/", "runs/", "lease.json", ".lease.lock")  # law 5 does not cover these
STAGED, MANIFEST, COPIED, OTHER = "staged", "manifest", "copied", "other"  # kinds of puts


class Gate(ThreadingHTTPServer):
    """A proxy that reports when a run begins to write, counts its puts, and holds one of them halfway.

    Args:
        endpoint: URL of the S3 server.
    """

    request_queue_size = 128

    def __init__(self, endpoint: str) -> None:
        super().__init__(("127.0.0.1", 0), Requests)
        self.target = urlsplit(endpoint).netloc
        self._lock = threading.Lock()
        self.watch()

    @contextmanager
    def opened(self) -> Iterator[str]:
        """Pass requests on while the block runs; yield the URL to send them to."""
        thread = threading.Thread(target=self.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{self.server_port}"
        finally:
            self.shutdown()
            thread.join()
            self.server_close()

    def watch(self, stop_at: int = 0, kind: str = "", *, cut: bool = False) -> None:
        """Reset all counts, for another run.

        Args:
            stop_at: The put to hold, by its number among the puts of tables, artefacts and lake.json; 0 for none.
            kind: Count only those of one kind: staged, manifest, copied or other.
            cut: Whether its second half never arrives.
        """
        self.held, self.cut, self._stop_at, self._kind = "", cut, stop_at, kind
        self.puts: Counter[str] = Counter()  # by kind
        self.began, self.reached, self.released, self.settled = (threading.Event() for _ in range(4))

    def holds(self, request: "Requests") -> bool:
        """Count a put of which one half was sent. If it is the one to hold, wait for its release and return true."""
        self.began.set()
        name, kind = name_of(request.path), kind_of(request)
        with self._lock:
            self.puts[kind] += bool(name)
            counted = self.puts[self._kind] if self._kind else self.puts.total()
            if not name or self._kind not in {"", kind} or counted != self._stop_at:
                return False
        self.held = name
        self.reached.set()
        self.released.wait()
        return True

    def passed(self, request: "Requests", body: bytes, status: int, began: float) -> None:
        """Called after the server has answered a request; for subclasses."""

    def handle_error(self, *_: object) -> None:
        """Print nothing: killed runs leave broken connections behind."""


def name_of(path: str) -> str:
    """Return an object's name within its lake, from a request's path; empty where law 5 does not cover the object."""
    bucket, _, rest = unquote(urlsplit(path).path).lstrip("/").partition("/")
    name = rest.partition("/")[2]
    return name if bucket == LAKE and not name.startswith((*OUTSIDE, "_probe/")) else ""


def source_of(request: "Requests") -> str:
    """Return the name of the object that a request copies; empty if it copies none."""
    return name_of(f"/{request.headers.get('x-amz-copy-source', '').lstrip('/')}")


def kind_of(request: "Requests") -> str:
    """Return the kind of a put: to staging, of a manifest, a copy to a final name, or any other."""
    if source_of(request):
        return COPIED
    if not (name := name_of(request.path)).startswith("_staging/"):
        return OTHER
    return MANIFEST if name.endswith("/manifest.json") else STAGED


class Requests(BaseHTTPRequestHandler):
    """Passes requests on to the S3 server, bodies in two halves."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _pass_on(self) -> None:
        gate: Gate = self.server
        size = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(size)
        began = time.monotonic()
        with closing(http.client.HTTPConnection(gate.target)) as connection:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                connection.putheader(name, value)
            connection.endheaders(body[: size // 2])
            is_held = self.command == "PUT" and gate.holds(self)
            self.close_connection = len(body) < size or (is_held and gate.cut)  # its sender was killed
            if not self.close_connection:
                connection.send(body[size // 2 :])
                answer = connection.getresponse()
                content = answer.read()
        if is_held:
            gate.settled.set()
        if not self.close_connection:
            gate.passed(self, body, answer.status, began)
            self._answer(answer, content)

    def _answer(self, answer: http.client.HTTPResponse, content: bytes) -> None:
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in {"transfer-encoding", "connection", "content-length"}:
                self.send_header(name, value)
        self.send_header(
            "Content-Length", (self.command == "HEAD" and answer.getheader("Content-Length")) or str(len(content))
        )
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _pass_on  # noqa: N815 - the names that the base class calls

    def log_message(self, *_: object) -> None:
        """Print nothing."""
