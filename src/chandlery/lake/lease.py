"""The lease: at most one run writes a lake.

On an object store it is an object, made with a conditional put, renewed by the parent process and
judged by the store's own clock. On a path it is a file lock: the system drops it with the process.

An answer of the store can be lost after the put was applied: the caller gets an error, or the client's
own retry finds that the condition no longer holds. The object itself says who holds the lake, so it is
read before the lease is given up.
"""

import datetime as dt
import fcntl
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import msgspec

from chandlery.errors import LeaseHeldError, SettingsError, StoreUnavailableError, TransientError
from chandlery.grid import DAY_SECONDS
from chandlery.lake.store import Store

__all__ = ["LeaseToken", "check_lease", "hold_lease"]

PATH = "lease.json"
LOCK = ".lease.lock"
POLL = 0.5
FOREVER = 7.0 * DAY_SECONDS
RENEWALS = 3  # a lease: two of them may fail before it runs out
# A check is a request, and every put needs one, so a successful check counts for this share of the lease.
# That is safe because who takes over a lease that has run out waits for the same share before its first
# put: by then every check of the former holder from before the take-over has expired, whatever the clocks
# of the machines say. A released lease needs no such wait: a run releases after its tasks have ended.
CHECK_SHARE = 0.1
# Counts on while the machine sleeps, so that a check does not outlive a suspension; CLOCK_MONOTONIC does so on macOS.
CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

_checked: dict[tuple[str, str], float] = {}  # the URI and the owner: when this process last began a check that passed


class LeaseBody(msgspec.Struct, frozen=True):
    """What the lease's object says; the nonce makes every renewal a new etag."""

    owner: str
    nonce: str
    seconds: float
    released: bool = False


@dataclass(frozen=True)
class LeaseToken:
    """Proof of a lease, as tasks carry it.

    Args:
        owner: Of the lease; no two runs have the same.
        seconds: For how long the lease holds without being renewed; where it is 0, every check asks the store.
    """

    owner: str
    seconds: float = 0.0


@contextmanager
def hold_lease(store: Store, seconds: float, *, wait: bool) -> Iterator[LeaseToken]:
    """Hold the lake while the block runs.

    Args:
        store: The lake.
        seconds: For how long the lease holds without being renewed.
        wait: Wait for as long as it takes; otherwise for two leases.

    Raises:
        LeaseHeldError: Another run holds the lake and did not end in time.
    """
    token = LeaseToken(secrets.token_hex(8), seconds)
    patience = FOREVER if wait else 2 * seconds + 2
    with _lock_file(store, token, patience) if store.is_local else _hold_object(store, token, seconds, patience):
        yield token


def check_lease(store: Store, token: LeaseToken) -> None:
    """Make sure that a run still holds the lake; in a bucket, one answer counts for a tenth of the lease.

    Raises:
        LeaseHeldError: Another run has taken it.
        SettingsError: It is a folder of another machine.
        StoreUnavailableError: The store did not answer.
    """
    if store.is_local:
        try:
            owner = (store.root / LOCK).read_text()
        except OSError as error:
            found = f"{store.uri} is not the run's own lake on {socket.gethostname()}"
            raise SettingsError(found, "a bucket, or a folder that all machines share", "give such a --lake") from error
        if owner != token.owner:  # the file was deleted, and another run made it again and locked that one
            raise _lost()
        return
    place, now = (store.uri, token.owner), time.clock_gettime(CLOCK)
    if place in _checked and now < _checked[place] + CHECK_SHARE * min(token.seconds, FOREVER):
        return
    body = _read_body(store.get(PATH) or b"")
    if body is None or body.owner != token.owner or body.released:
        raise _lost()
    _checked[place] = now  # from before the request, since the answer may be slow


@contextmanager
def _lock_file(store: Store, token: LeaseToken, patience: float) -> Iterator[None]:
    try:
        store.root.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(store.root / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise SettingsError(
            f"the lake at {store.uri} cannot be written: {error.strerror}",
            "a folder that this user may write to",
            "choose another --lake, or mend its rights",
        ) from error
    deadline = time.monotonic() + patience
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise _held(store) from None
                time.sleep(POLL)
        _sign(store, descriptor, token.owner)
        yield
    finally:
        os.close(descriptor)


def _sign(store: Store, descriptor: int, owner: str) -> None:
    """Write the owner into the lock file; where there was one before, no more room is needed."""
    try:
        os.ftruncate(descriptor, os.pwrite(descriptor, owner.encode(), 0))
        os.fsync(descriptor)  # for the workers on other machines
    except OSError as error:
        found = f"{store.uri} did not write {LOCK}: {error.strerror}"
        raise StoreUnavailableError(found, "free space", "make room and run again: nothing is lost") from error


@contextmanager
def _hold_object(store: Store, token: LeaseToken, seconds: float, patience: float) -> Iterator[None]:
    holder = _Holder(store, token, seconds)
    holder.acquire(time.monotonic() + patience)
    stop, ready = threading.Event(), False
    renewing = threading.Thread(target=holder.renew_until, args=(stop,), daemon=True)
    renewing.start()
    try:
        time.sleep(holder.pause)
        ready = True
        yield
    finally:
        stop.set()
        renewing.join()
        _checked.pop((store.uri, token.owner), None)
        if ready:  # otherwise the next run would not wait for the former holder's checks to expire
            holder.release()


class _Holder:
    """A lease in a bucket.

    Args:
        store: The lake.
        token: The lease.
        seconds: For how long it holds without being renewed.

    Attributes:
        pause: Seconds to wait, once it is acquired, before anything is put.
    """

    def __init__(self, store: Store, token: LeaseToken, seconds: float) -> None:
        self._store, self._token, self._seconds = store, token, seconds
        self._etag: str | None = None
        self.pause = 0.0

    def _body(self, *, released: bool = False) -> bytes:
        return msgspec.json.encode(LeaseBody(self._token.owner, secrets.token_hex(8), self._seconds, released))

    def acquire(self, deadline: float) -> None:
        """Wait for the lease.

        Raises:
            LeaseHeldError: Another run still holds it at the deadline, in monotonic seconds.
        """
        while True:
            self._etag = self._create()
            if self._etag is not None:
                return
            if time.monotonic() > deadline:
                raise _held(self._store)
            time.sleep(min(POLL, self._seconds / 4))

    def _create(self) -> str | None:
        """Return the etag of our lease; None where another run's is there and has not run out."""
        try:
            etag = self._store.put_if_absent(PATH, self._body())
        except TransientError:
            etag = self._find_own()
            if etag is None:
                raise
        return etag or self._take_over()

    def _take_over(self) -> str | None:
        """Return the etag of our lease where the one in the store is ours, was released or has run out."""
        there = self._store.get_entry(PATH)
        if there is None:
            return None
        entry, content = there
        body = _read_body(content) or LeaseBody("unknown", "", self._seconds)
        if body.owner == self._token.owner:
            return entry.etag
        if not body.released:
            seconds = max(0.0, min(body.seconds, FOREVER))
            if self._store.now() - entry.modified_at <= dt.timedelta(seconds=seconds + 1):  # stores tell whole seconds
                return None
            self.pause = max(self.pause, CHECK_SHARE * seconds)
        return self._replace(entry.etag)

    def _replace(self, etag: str) -> str | None:
        """Put our lease in place of the one with an etag; return its etag, or None where it is not ours now.

        Raises:
            TransientError: The store did not answer, and the lease is not known to be ours.
        """
        try:
            put = self._store.put_if_match(PATH, self._body(), etag)
        except TransientError:
            own = self._find_own()
            if own is None:
                raise
            return own
        return put or self._find_own()

    def _find_own(self) -> str | None:
        """Return the etag of the lease in the store where it is ours and not released."""
        there = self._store.get_entry(PATH)
        body = _read_body(there[1]) if there else None
        return there[0].etag if there and body and body.owner == self._token.owner and not body.released else None

    def renew_until(self, stop: threading.Event) -> None:
        """Renew the lease until an event, or until another run has it: the check before each put reports that."""
        wait = self._seconds / RENEWALS
        while self._etag is not None and not stop.wait(wait):
            try:
                self._etag = self._replace(self._etag)
                wait = self._seconds / RENEWALS
            except Exception:  # noqa: BLE001 - the next attempt may work; a thread that ends here would lose the lease
                wait = self._seconds / (3 * RENEWALS)

    def release(self) -> None:
        """Release the lease where it is ours. Where that fails, the next run waits until it has run out.

        Nothing is raised: the error of the run itself matters more, and a run that went well stays so.
        """
        with suppress(Exception):
            etag = self._etag
            if etag is None or self._store.put_if_match(PATH, self._body(released=True), etag) is not None:
                return
            etag = self._find_own()  # a renewal whose answer was lost has changed it, unless another run has
            if etag is not None:
                self._store.put_if_match(PATH, self._body(released=True), etag)


def _read_body(content: bytes) -> LeaseBody | None:
    """Return what a lease's object says; None where it says nothing that is understood."""
    try:
        return msgspec.json.decode(content, type=LeaseBody)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _lost() -> LeaseHeldError:
    return LeaseHeldError("this run has lost the lake to another", "", "the other one will finish; run again after it")


def _held(store: Store) -> LeaseHeldError:
    return LeaseHeldError(f"another run holds the lake at {store.uri}", "", "wait for it to end, or use --wait")
