"""A store behind a certificate of an authority of one's own."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme

from chandlery.errors import SettingsError
from chandlery.lake import clients
from chandlery.lake.store import Store

CONTENT = b"content"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        for name, value in [("ETag", '"1"'), ("Last-Modified", "Mon, 30 Nov 2026 14:00:00 GMT")]:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serve(context: ssl.SSLContext) -> Iterator[str]:
    """Answer requests with encryption; yields the port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield str(server.server_port)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "RETRIES", {"max_retries": 0})
    for name, value in {"AWS_ACCESS_KEY_ID": "admin", "AWS_SECRET_ACCESS_KEY": "admin-secret"}.items():
        monkeypatch.setenv(name, value)
    for name in clients.CERTIFICATES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


def make_context(authority: trustme.CA, host: str = "127.0.0.1") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host).configure_cert(context)
    return context


def make_store(port: str) -> Store:
    return Store("s3://bucket/lake", {"endpoint_url": f"https://127.0.0.1:{port}", "region": "us-east-1"})


def test_an_authority_that_nobody_named(authority: trustme.CA) -> None:
    with (
        serve(make_context(authority)) as port,
        pytest.raises(SettingsError, match=r"127.0.0.1 is not trusted: unknown issuer.*AWS_CA_BUNDLE or SSL_CERT_FILE"),
    ):
        make_store(port).get("a")


@pytest.mark.parametrize("name", clients.CERTIFICATES)
def test_an_authority_of_a_variable(
    name: str, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "authorities.pem"
    other = trustme.CA()  # a file of authorities usually has many
    path.write_bytes(other.cert_pem.bytes() + authority.cert_pem.bytes())
    monkeypatch.setenv(name, str(path))
    with serve(make_context(authority)) as port:
        assert make_store(port).get("a") == CONTENT


@pytest.mark.parametrize(("content", "words"), [(None, "cannot be read"), (b"no certificate", "certificate")])
def test_a_variable_that_names_no_authority(
    content: bytes | None, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "authorities.pem"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(path))
    with pytest.raises(SettingsError, match=words):
        make_store("1").get("a")


def test_a_certificate_of_another_host(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "authorities.pem"
    authority.cert_pem.write_to_path(str(path))
    monkeypatch.setenv("AWS_CA_BUNDLE", str(path))
    with (
        serve(make_context(authority, "store.example")) as port,
        pytest.raises(SettingsError, match="is not trusted: not valid for name"),
    ):
        make_store(port).get("a")
