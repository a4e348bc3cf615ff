"""What an error means is decided by its status and code, never by words of a name that stands in its text."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from proxy import busy_proxy
from s3_server import Server

from chandlery.errors import ChandleryError, SettingsError, StoreUnavailableError
from chandlery.lake import clients
from chandlery.lake.store import Store

PLACES = ["s3://bucket/l", "s3://b403/l", "s3://bucket/run-403", "s3://my-credentials/l", "s3://b/169.254.169.254"]
PLACES += ["s3://b/NoSuchBucket", "s3://b/AccessDenied", "s3://b/No space left", "s3://b/Read-only file system"]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "RETRIES", {"max_retries": 0})
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "admin")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "admin-secret")


@pytest.fixture
def closed_port() -> Iterator[str]:
    """Yield an endpoint at which nothing listens: the port is taken, and no connection to it is accepted."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


def make_store(uri: str, endpoint: str) -> Store:
    return Store(uri, {"endpoint_url": endpoint, "region": "us-east-1", "allow_http": "true"})


def ask(store: Store, act: str) -> ChandleryError:
    with pytest.raises(ChandleryError) as met:
        store.put("403/x", b"1") if act == "write" else store.list("403/") if act == "list" else store.get("403/x")
    return met.value


@pytest.mark.parametrize("act", ["read", "list", "write"])
@pytest.mark.parametrize("uri", PLACES)
def test_no_answer_is_worth_running_again_whatever_the_place_is_called(uri: str, act: str, closed_port: str) -> None:
    error = ask(make_store(uri, closed_port), act)
    assert isinstance(error, StoreUnavailableError), error
    assert "Connection refused" in str(error)


@pytest.mark.parametrize("uri", ["s3://run-403/my-credentials", "s3://b/NoSuchBucket/169.254.169.254"])
@pytest.mark.parametrize(
    ("status", "code", "expected", "words"),
    [
        (403, "AccessDenied", SettingsError, "no right to"),
        (403, "SignatureDoesNotMatch", SettingsError, "does not accept the credentials"),
        (400, "ExpiredToken", SettingsError, "sign in again"),
        (404, "NoSuchBucket", SettingsError, "no bucket at"),
        (400, "Odd", SettingsError, "refused to"),
        (503, "SlowDown", StoreUnavailableError, "did not"),
        (301, "PermanentRedirect", SettingsError, "another region"),
    ],
)
def test_status_and_code_decide(uri: str, status: int, code: str, expected: type[ChandleryError], words: str) -> None:
    body = f"<Error><Code>{code}</Code><Message>403 credential NoSuchBucket</Message></Error>".encode()
    with busy_proxy("http://127.0.0.1:9", 1000, codes=(status,), body=body) as endpoint:
        for act in ("list", "write", "read"):
            error = ask(make_store(uri, endpoint), act)
            assert type(error) is expected, error
            assert words in str(error)


def test_a_right_that_a_deletion_lacks(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in server.reader.items():
        monkeypatch.setenv(name, value)
    store = Store("s3://crypto-lake/403", server.storage)
    with pytest.raises(SettingsError, match="no right to delete"):
        store.delete_all(["x", "y"])


def test_a_machine_without_a_role(monkeypatch: pytest.MonkeyPatch, closed_port: str) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://169.254.169.254")
    error = ask(make_store("s3://bucket/l", closed_port), "read")
    assert isinstance(error, SettingsError), error
    assert "no credentials for s3://bucket/l" in str(error)


def test_a_name_that_is_too_long_for_a_folder(tmp_path: Path) -> None:
    for act in (lambda store, name: store.put(name, b"1"), lambda store, name: store.put_if_absent(name, b"1")):
        with pytest.raises(SettingsError, match="File name too long") as met:
            act(Store(str(tmp_path)), f"_staging/65c154b79403/{'x' * 300}")
        assert "AWS" not in str(met.value)


def test_a_folder_in_the_place_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "403").mkdir()
    with pytest.raises(SettingsError, match="Is a directory"):
        Store(str(tmp_path)).get("403")


@pytest.mark.parametrize("target", [".", "loop"])
def test_a_lake_with_a_link_that_leads_back(tmp_path: Path, target: str) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / target)
    with pytest.raises(SettingsError, match="Too many levels of symbolic links"):
        Store(str(tmp_path)).list()
