"""What a run says of each fault of a store: the code decides, then the status, and the store's words are shown."""

import json
import secrets
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from proxy import Fault, FaultProxy, fault_proxy
from s3_server import Server

from chandlery.commands.check import check
from chandlery.errors import ChandleryError, LeaseHeldError, SettingsError, StoreUnavailableError
from chandlery.lake import clients
from chandlery.lake.lease import hold_lease
from chandlery.lake.store import Store
from chandlery.runs.listing import list_source
from chandlery.settings.model import load_settings

PATIENT = dict(clients.RETRIES)
WORD = "nothing else but this"  # the store's message
ACTS: dict[str, Callable[[Store], object]] = {
    "read": lambda store: store.get("a"),
    "head": lambda store: store.head("a"),
    "list": lambda store: store.list("x/"),
    "write": lambda store: store.put("a", b"1"),
    "delete": lambda store: store.delete_all(["a", "b"]),
    "copy": lambda store: store.move("a", "b"),
    "lease": lambda store: take_lease(store),  # noqa: PLW0108 - it is defined below
}
AGAIN, NEVER = StoreUnavailableError, SettingsError


def take_lease(store: Store) -> None:
    with hold_lease(store, 0.1, wait=False):
        pass


def xml(code: str, message: str = WORD, more: str = "") -> bytes:
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message>{more}</Error>".encode()


def google(status: int, reason: str) -> bytes:
    error = {"code": status, "message": WORD, "errors": [{"reason": reason, "domain": "global", "message": WORD}]}
    return json.dumps({"error": error}).encode()


PAGE = b"<!DOCTYPE html><html><body>nothing else but this</body></html>"


@dataclass(frozen=True)
class Case:
    """A fault, and what must be said of it.

    Args:
        name: Of the case.
        fault: The fault.
        expected: The kind of error.
        words: What its text must have.
        shows: What of the store's own words must be shown.
    """

    name: str
    fault: Fault
    expected: type[ChandleryError]
    words: str
    shows: str = WORD


def coded(status: int, code: str, expected: type[ChandleryError], words: str, message: str = WORD) -> Case:
    return Case(f"{status} {code} {message[:12]}", Fault(status, xml(code, message)), expected, words, code)


def bare(status: int, expected: type[ChandleryError], words: str, body: bytes = b"", shows: str = "") -> Case:
    return Case(f"{status} {body[:6].decode()}", Fault(status, body), expected, words, shows or str(status))


CASES = [
    coded(400, "ExpiredToken", NEVER, "sign in again"),
    coded(400, "TokenRefreshRequired", NEVER, "sign in again"),
    coded(403, "ExpiredToken", NEVER, "sign in again"),
    coded(400, "InvalidToken", NEVER, "does not accept the credentials"),
    coded(403, "InvalidAccessKeyId", NEVER, "does not accept the credentials"),
    coded(403, "SignatureDoesNotMatch", NEVER, "does not accept the credentials"),
    coded(403, "AuthenticationFailed", NEVER, "does not accept the credentials"),
    coded(403, "RequestTimeTooSkewed", NEVER, "clock of this machine"),
    coded(403, "RequestExpired", NEVER, "clock of this machine"),
    coded(400, "IllegalLocationConstraintException", NEVER, "another region"),
    coded(403, "AccessDenied", NEVER, "no right to"),
    coded(403, "AccessDenied", NEVER, "is protected", "Access Denied because object protected by object lock."),
    coded(403, "AllAccessDisabled", NEVER, "account"),
    coded(403, "AccountProblem", NEVER, "account"),
    coded(403, "InvalidObjectState", NEVER, "archive class"),
    coded(403, "AuthorizationPermissionMismatch", NEVER, "no right to"),
    coded(409, "BlobImmutableDueToPolicy", NEVER, "is protected"),
    coded(400, "KMS.DisabledException", NEVER, "key"),
    coded(404, "NoSuchBucket", NEVER, "no bucket"),
    coded(404, "ContainerNotFound", NEVER, "no bucket"),
    coded(400, "InvalidBucketName", NEVER, "no bucket"),
    coded(405, "MethodNotAllowed", NEVER, "does not support"),
    coded(501, "NotImplemented", NEVER, "does not support"),
    coded(400, "InvalidArgument", NEVER, "refused to"),
    coded(400, "EntityTooLarge", NEVER, "refused to"),
    coded(400, "RequestTimeout", AGAIN, "run again"),
    coded(409, "OperationAborted", AGAIN, "run again"),
    coded(409, "ConditionalRequestConflict", AGAIN, "run again"),
    coded(409, "ContainerBeingDeleted", AGAIN, "run again"),
    coded(500, "InternalError", AGAIN, "run again"),
    coded(503, "SlowDown", AGAIN, "run again"),
    coded(503, "ServiceUnavailable", AGAIN, "run again"),
    coded(503, "ServerBusy", AGAIN, "run again"),
    coded(429, "TooManyRequests", AGAIN, "run again"),
    Case(
        "400 of a region",
        Fault(400, xml("AuthorizationHeaderMalformed", WORD, "<Region>eu-west-3</Region>")),
        NEVER,
        'region = "eu-west-3"',
    ),
    Case(
        "301 with a region",
        Fault(301, xml("PermanentRedirect"), {"x-amz-bucket-region": "ap-south-1"}),
        NEVER,
        'region = "ap-south-1"',
        "",
    ),
    bare(301, NEVER, "another region", shows="region"),
    bare(400, NEVER, "refused to"),
    bare(401, NEVER, "no right to"),
    bare(402, NEVER, "refused to"),
    bare(403, NEVER, "no right to"),
    bare(403, NEVER, "no object store", PAGE),
    bare(404, NEVER, "", PAGE),
    bare(407, NEVER, "proxy"),
    bare(408, AGAIN, "run again"),
    bare(425, AGAIN, "run again"),
    bare(429, AGAIN, "run again"),
    bare(500, AGAIN, "run again"),
    bare(501, NEVER, "does not support"),
    bare(502, AGAIN, "run again", PAGE),
    bare(504, AGAIN, "run again", PAGE),
    bare(507, AGAIN, "run again"),
    bare(520, AGAIN, "run again"),
    bare(403, NEVER, "no right to", google(403, "forbidden"), WORD),
    bare(401, NEVER, "does not accept", google(401, "authError"), WORD),
    bare(429, AGAIN, "run again", google(429, "rateLimitExceeded"), WORD),
    Case("no HTTP", Fault(raw=b"SSH-2.0-OpenSSH_9.2\r\n"), NEVER, "no object store", "not HTTP"),
    Case("cut before an answer", Fault(raw=b""), AGAIN, "run again", "closed before an answer"),
    Case("silence", Fault(is_silent=True), AGAIN, "run again", "no answer in time"),
]


@pytest.fixture(scope="module")
def proxy(server: Server) -> Iterator[FaultProxy]:
    with fault_proxy(server.endpoint) as running:
        yield running


@pytest.fixture(autouse=True)
def _impatient(admin: Server, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    assert admin
    monkeypatch.setattr(clients, "RETRIES", {"max_retries": 0})
    yield
    proxy.fault, proxy.ignored = None, frozenset()


def make_store(endpoint: str, **options: str) -> Store:
    """Return a store under a name that holds words and numbers of errors, which must decide nothing."""
    uri = f"s3://crypto-lake/run-403/NoSuchBucket/AccessDenied-{secrets.token_hex(4)}"
    return Store(uri, {"endpoint_url": endpoint, "region": "us-east-1", "timeout": "2s", **options})


def list_tried() -> list[object]:
    """Return each case with each act. An answer of 404 to HEAD has no body, so that it means a missing object."""
    return [
        pytest.param(case, act, id=f"{case.name}-{act}")
        for case in CASES
        for act in ACTS
        if (case.fault.status, act) != (404, "head")
    ]


@pytest.mark.parametrize(("case", "act"), list_tried())
def test_each_fault_is_told_by_its_code(case: Case, act: str, proxy: FaultProxy) -> None:
    proxy.fault = case.fault
    with pytest.raises(ChandleryError) as met:
        ACTS[act](make_store(proxy.url))
    assert type(met.value) is case.expected, met.value
    assert case.words in str(met.value)
    if act != "head":
        assert case.shows in str(met.value)


def test_a_lease_whose_condition_does_not_hold_is_contended(proxy: FaultProxy) -> None:
    proxy.fault = Fault(412, xml("PreconditionFailed"), methods=frozenset({"PUT"}))
    with pytest.raises(LeaseHeldError):
        take_lease(make_store(proxy.url))


def test_a_put_without_a_condition_that_the_bucket_asks_for(proxy: FaultProxy) -> None:
    proxy.fault = Fault(412, xml("PreconditionFailed"))
    with pytest.raises(SettingsError, match=r"refused to write a .PreconditionFailed"):
        make_store(proxy.url).put("a", b"1")


def test_a_store_without_conditional_puts_is_told_at_once(proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client would repeat an answer of 501 for as long as one of 503."""
    monkeypatch.setattr(clients, "RETRIES", PATIENT)
    proxy.fault, proxy.asked = Fault(501, xml("NotImplemented"), methods=frozenset({"PUT"})), 0
    with pytest.raises(SettingsError, match="conditional puts"):
        take_lease(make_store(proxy.url))
    assert proxy.asked == 1


@pytest.mark.parametrize("ignored", [{"if-none-match"}, {"if-match"}, {"if-match", "if-none-match"}])
def test_a_store_that_ignores_conditions_is_told_by_a_run_and_by_check(
    ignored: set[str], proxy: FaultProxy, tmp_path: Path
) -> None:
    proxy.ignored = frozenset(ignored)
    store = make_store(proxy.url)
    with pytest.raises(SettingsError, match="ignores the conditions of puts"):
        take_lease(store)
    settings = load_settings(
        None, {"lake": {"uri": store.uri}, "storage": store.options, "source": {"uri": str(tmp_path)}}
    )
    found = {probe.name: probe for probe in check(settings)}
    assert "ignores the conditions of puts" in found["lake: write"].found


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault(cut=3), "cut off"),
        (Fault(headers={"Last-Modified": "Mon, 90 Nov 2026 14:00:00 GMT"}), "no object store"),
    ],
)
def test_an_answer_that_is_spoilt(fault: Fault, words: str, proxy: FaultProxy) -> None:
    store = make_store(proxy.url)
    store.put("a", b"0123456789")
    proxy.fault = fault
    with pytest.raises(ChandleryError, match=words):
        store.get("a")


def test_a_page_in_place_of_everything(proxy: FaultProxy) -> None:
    """Such is the console of a store, at another port. A listing that is no listing looks like an empty one."""
    proxy.fault = Fault(200, PAGE)
    with pytest.raises(SettingsError, match="no object store"):
        list_source(make_store(proxy.url), "*")
    with pytest.raises(SettingsError, match="no object store"):
        take_lease(make_store(proxy.url))


def test_addresses_at_which_no_store_is(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(StoreUnavailableError, match=r"Connection refused.*check endpoint_url"):
            make_store(closed).get("a")
        with pytest.raises(StoreUnavailableError, match="Connection refused"):
            make_store("http://store.invalid", proxy_url=closed).get("a")
        monkeypatch.setenv("HTTP_PROXY", closed)
        with pytest.raises(StoreUnavailableError, match="HTTP_PROXY of the environment"):
            make_store("http://store.invalid").get("a")
        monkeypatch.delenv("HTTP_PROXY")
    with pytest.raises(StoreUnavailableError, match=r"lookup.*check endpoint_url"):
        make_store("http://store.invalid").get("a")


def test_encryption_where_there_is_none(proxy: FaultProxy) -> None:
    with pytest.raises(SettingsError, match=r"no object store .*not TLS"):
        make_store(proxy.url.replace("http://", "https://")).get("a")
