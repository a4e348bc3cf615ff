"""The lease: at most one run writes a lake.

On an object store it is an object, made with a conditional put, renewed by the parent process and
judged by the store's own clock. On a path it is a file lock: the system drops it with the process.
"""

import datetime as dt
import fcntl
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import msgspec

from chandlery.errors import ChandleryError, LeaseHeldError, SettingsError
from chandlery.storage import Store

__all__ = ["LeaseToken", "check_lease", "hold_lease"]

PATH = "lease.json"
LOCK = ".lease.lock"
POLL = 0.5
FOREVER = 7 * 86_400.0


class LeaseBody(msgspec.Struct, frozen=True):
    """What the lease's object says; the nonce makes every renewal a new etag."""

    owner: str
    nonce: str
    seconds: float
    released: bool = False


@dataclass(frozen=True)
class LeaseToken:
    """Proof of a lease, as tasks carry it."""

    owner: str


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
    token = LeaseToken(secrets.token_hex(8))
    patience = FOREVER if wait else 2 * seconds + 2
    with _lock_file(store, patience) if store.is_local else _hold_object(store, token, seconds, patience):
        yield token


def check_lease(store: Store, token: LeaseToken) -> None:
    """Make sure that a run still holds the lake.

    Raises:
        LeaseHeldError: Another run has taken it.
        SettingsError: It is a folder of another machine.
    """
    if store.is_local:
        if not (store.root / LOCK).exists():
            raise SettingsError(f"{store.uri} is not the run's own lake on {socket.gethostname()}", "a bucket, or a folder that all machines share", "give such a --lake")
        return
    body = _read_body(store.get(PATH) or b"")
    if body is None or body.owner != token.owner or body.released:
        raise LeaseHeldError("this run has lost the lake to another", "", "the other one will finish; run again after it")


@contextmanager
def _lock_file(store: Store, patience: float) -> Iterator[None]:
    try:
        store.root.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(store.root / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise SettingsError(f"the lake at {store.uri} cannot be written: {error.strerror}", "a folder that this user may write to", "choose another --lake, or mend its rights") from error
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
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _hold_object(store: Store, token: LeaseToken, seconds: float, patience: float) -> Iterator[None]:
    holder = _Holder(store, token, seconds)
    holder.acquire(time.monotonic() + patience)
    stop = threading.Event()
    renewing = threading.Thread(target=holder.renew_until, args=(stop,), daemon=True)
    renewing.start()
    try:
        yield
    finally:
        stop.set()
        renewing.join()
        holder.release()


class _Holder:
    def __init__(self, store: Store, token: LeaseToken, seconds: float) -> None:
        self._store, self._token, self._seconds = store, token, seconds
        self._etag: str | None = None

    def _body(self, *, released: bool = False) -> bytes:
        return msgspec.json.encode(LeaseBody(self._token.owner, secrets.token_hex(8), self._seconds, released))

    def acquire(self, deadline: float) -> None:
        while True:
            self._etag = self._store.put_if_absent(PATH, self._body()) or self._take_over()
            if self._etag is not None:
                return
            if time.monotonic() > deadline:
                raise _held(self._store)
            time.sleep(min(POLL, self._seconds / 4))

    def _take_over(self) -> str | None:
        """Return the etag of our lease where the one that is there was released or has run out."""
        there, content = self._store.head(PATH), self._store.get(PATH)
        if there is None or content is None:
            return None
        body = _read_body(content) or LeaseBody("unknown", "", self._seconds)
        age = self._store.now() - there.modified_at
        if not body.released and age <= dt.timedelta(seconds=min(body.seconds, FOREVER) + 1):  # stores tell whole seconds
            return None
        return self._store.put_if_match(PATH, self._body(), there.etag)

    def renew_until(self, stop: threading.Event) -> None:
        while not stop.wait(self._seconds / 3) and self._etag is not None:
            try:
                self._etag = self._store.put_if_match(PATH, self._body(), self._etag)
            except ChandleryError:
                continue  # the store may be back in time; if not, the check before each put tells

    def release(self) -> None:
        if self._etag is not None:
            self._store.put_if_match(PATH, self._body(released=True), self._etag)


def _read_body(content: bytes) -> LeaseBody | None:
    """Return what a lease's object says; None where it says nothing that is understood."""
    try:
        return msgspec.json.decode(content, type=LeaseBody)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _held(store: Store) -> LeaseHeldError:
    return LeaseHeldError(f"another run holds the lake at {store.uri}", "", "wait for it to end, or use --wait")
