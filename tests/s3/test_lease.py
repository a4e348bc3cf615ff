"""The lease on a real S3 server: answers that are lost, other content, takers, and a process that was suspended."""

import json
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from proxy import CUT, REFUSED, SILENT, lossy_proxy
from s3_server import Server

from chandlery.errors import LawError, LeaseHeldError, StoreUnavailableError
from chandlery.lake.lease import LeaseToken, check_lease, hold_lease
from chandlery.lake.store import Store

pytestmark = pytest.mark.s3

LEASE = "lease.json"
PATIENCE_SECONDS = 30
CHECKS = 2  # puts by which a run checks that the store keeps conditions, once it has the lease
MOST_PUTS = 4 + CHECKS  # a run that waits for its own lease to run out tries again twice a second
LOST = [CUT, SILENT, 503]  # the client gets an error, or tries again by itself


class Puts:
    """Counts the puts of the lease, and loses the answers to some of them."""

    def __init__(self, fault: str | int, *numbers: int) -> None:
        self.fault, self.numbers = fault, numbers
        self.gets = self.count = 0
        self._more = threading.Condition()

    def __call__(self, method: str, path: str) -> str | int:
        if not path.endswith(LEASE):
            return ""
        with self._more:
            self.gets += method == "GET"
            if method != "PUT":
                return ""
            self.count += 1
            self._more.notify_all()
            return self.fault if self.count in self.numbers else ""

    def wait(self, count: int) -> bool:
        """Wait until so many were asked for."""
        with self._more:
            return self._more.wait_for(lambda: self.count >= count, PATIENCE_SECONDS)


@contextmanager
def lossy(admin: Server, lose: Callable[[str, str], str | int]) -> Iterator[tuple[Store, Store]]:
    """Yield a new lake behind a proxy that loses answers, and the same lake without it."""
    uri = f"s3://crypto-lake/{secrets.token_hex(4)}"
    with lossy_proxy(admin.endpoint, lose) as endpoint:
        options = {**admin.storage, "endpoint_url": endpoint, "timeout": "1s"}
        yield Store(uri, options), Store(uri, admin.storage)


def read_lease(store: Store) -> dict[str, object]:
    return dict(json.loads(store.get(LEASE) or b"{}"))


def wait_until_run_out(store: Store, owner: str, seconds: float) -> None:
    """Put the lease of a run that was killed, and wait until it may be taken over."""
    store.put(LEASE, json.dumps({"owner": owner, "nonce": "", "seconds": seconds}).encode())
    entry = store.head(LEASE)
    while entry and (store.now() - entry.modified_at).total_seconds() <= seconds + 1:
        threading.Event().wait(0.1)


@pytest.mark.parametrize("fault", LOST)
def test_a_lease_is_acquired_though_the_answer_is_lost(admin: Server, fault: str | int) -> None:
    puts = Puts(fault, 1)
    with lossy(admin, puts) as (store, direct):
        with hold_lease(store, 60, wait=False) as token:
            assert puts.count <= MOST_PUTS
            check_lease(direct, token)
            assert read_lease(direct)["owner"] == token.owner
        assert read_lease(direct)["released"] is True


@pytest.mark.parametrize("fault", LOST)
def test_a_lease_is_taken_over_though_the_answer_is_lost(admin: Server, fault: str | int) -> None:
    puts = Puts(fault, 2)  # the first put finds that there is a lease
    with lossy(admin, puts) as (store, direct):
        with hold_lease(direct, 60, wait=False):
            pass
        with hold_lease(store, 60, wait=False) as token:
            assert puts.count <= MOST_PUTS
            check_lease(direct, token)
        assert read_lease(direct)["released"] is True


@pytest.mark.parametrize("fault", [*LOST, REFUSED])
def test_a_lease_survives_renewals_whose_answers_are_lost(admin: Server, fault: str | int) -> None:
    puts = Puts(fault, 2 + CHECKS, 4 + CHECKS)
    with lossy(admin, puts) as (store, direct):
        with hold_lease(store, 1.5, wait=False) as token:
            assert puts.wait(6 + CHECKS)
            check_lease(direct, token)
        assert read_lease(direct)["released"] is True


@pytest.mark.parametrize("fault", [CUT, REFUSED, 403])
def test_a_release_that_fails_hides_no_error_and_makes_none(admin: Server, fault: str | int) -> None:
    with lossy(admin, Puts(fault, 2 + CHECKS, 2 * (2 + CHECKS))) as (store, direct):
        with pytest.raises(LawError, match="knew the future"), hold_lease(store, 60, wait=False):
            raise LawError("a value knew the future")
        direct.delete(LEASE)
        with hold_lease(store, 60, wait=False):
            pass


def test_a_release_after_a_lost_renewal_releases(admin: Server) -> None:
    renewed = Puts("")
    with lossy(admin, renewed) as (store, direct):
        with hold_lease(store, 0.9, wait=False) as token:
            assert renewed.wait(2 + CHECKS)
            body = read_lease(direct)
            direct.put(LEASE, json.dumps({**body, "nonce": "a renewal that arrived late"}).encode())
            check_lease(direct, token)
        assert read_lease(direct)["released"] is True


def test_a_store_that_does_not_answer_is_no_lease(admin: Server) -> None:
    def lose(method: str, path: str) -> str:
        return REFUSED if method == "PUT" and path.endswith(LEASE) else ""

    with lossy(admin, lose) as (store, direct):
        with pytest.raises(StoreUnavailableError, match=r"did not write lease\.json"), hold_lease(store, 1, wait=False):
            pass
        assert direct.head(LEASE) is None


@pytest.mark.parametrize("taken", [True, False])
def test_a_lease_that_another_run_took_or_somebody_deleted_is_lost(admin: Server, taken: bool) -> None:  # noqa: FBT001
    puts = Puts("")
    with lossy(admin, puts) as (store, direct):
        with hold_lease(store, 0.6, wait=False) as token:
            if taken:
                direct.put(LEASE, b'{"owner": "another", "nonce": "", "seconds": 60}')
            else:
                direct.delete(LEASE)
            assert puts.wait(2 + CHECKS)
            with pytest.raises(LeaseHeldError):
                check_lease(direct, LeaseToken(token.owner))
        assert read_lease(direct).get("owner") == ("another" if taken else None)


def test_a_check_counts_for_a_tenth_of_the_lease(admin: Server) -> None:
    puts = Puts("")
    with lossy(admin, puts) as (store, _), hold_lease(store, 60, wait=False) as token:
        for _ in range(20):
            check_lease(store, token)
        assert puts.gets == 1


def test_no_check_of_the_former_holder_passes_once_the_next_may_write(admin: Server) -> None:
    store = Store(f"s3://crypto-lake/{secrets.token_hex(4)}", admin.storage)
    former, passed = LeaseToken(secrets.token_hex(8), 4.0), []
    wait_until_run_out(store, former.owner, former.seconds)
    began = threading.Event()

    def check() -> None:
        while True:
            at = time.monotonic()
            try:
                check_lease(store, former)
            except LeaseHeldError:
                return
            passed.append(at)
            began.set()

    checking = threading.Thread(target=check)
    checking.start()
    assert began.wait(PATIENCE_SECONDS)
    with hold_lease(store, 60, wait=False):
        at = time.monotonic()
        checking.join()
    assert passed[-1] < at


SUSPENDED = """
import sys
from chandlery.errors import LeaseHeldError
from chandlery.lake.lease import check_lease, hold_lease
from chandlery.lake.store import Store
store = Store(sys.argv[1], {"endpoint_url": sys.argv[2], "region": "us-east-1", "allow_http": "true"})
with hold_lease(store, 0.5, wait=False) as token:
    check_lease(store, token)
    print("held", flush=True)
    sys.stdin.readline()
    try:
        check_lease(store, token)
    except LeaseHeldError:
        print("lost")
"""


def test_a_process_suspended_for_longer_than_its_lease_has_lost_it(admin: Server) -> None:
    store = Store(f"s3://crypto-lake/{secrets.token_hex(4)}", admin.storage)
    command = [sys.executable, "-c", SUSPENDED, store.uri, admin.endpoint]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        holder.send_signal(signal.SIGSTOP)
        with hold_lease(store, 60, wait=False) as token:
            holder.send_signal(signal.SIGCONT)
            assert holder.communicate("\n", PATIENCE_SECONDS)[0] == "lost\n"
            check_lease(store, LeaseToken(token.owner))


def test_a_clock_of_the_store_that_cannot_be_read_is_not_replaced_by_this_machines(admin: Server) -> None:
    def lose(method: str, path: str) -> int | str:
        return 404 if method == "HEAD" and "_probe" in path else ""

    with lossy(admin, lose) as (store, direct):
        direct.put(LEASE, b'{"owner": "another", "nonce": "", "seconds": 60}')
        with pytest.raises(StoreUnavailableError, match="just after it was written"), hold_lease(store, 60, wait=False):
            pass


@pytest.mark.parametrize("content", [b"{garbage", b'{"owner": "\xff"}', b""])
def test_a_lease_that_says_nothing_runs_out(admin: Server, content: bytes) -> None:
    store = Store("s3://crypto-lake/garbled", admin.storage)
    store.put(LEASE, content)
    with hold_lease(store, 0.2, wait=False) as token:
        check_lease(store, token)
        store.put(LEASE, content)
        with pytest.raises(LeaseHeldError):
            check_lease(store, LeaseToken(token.owner))


def test_a_lease_for_ever_holds(admin: Server) -> None:
    store = Store("s3://crypto-lake/eternal", admin.storage)
    store.put(LEASE, b'{"owner": "somebody", "nonce": "", "seconds": 1e300}')
    with pytest.raises(LeaseHeldError), hold_lease(store, 0.2, wait=False):
        pass
