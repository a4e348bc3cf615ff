"""The lease: at most one run writes a lake.

In a bucket, it is an object that is created by a conditional put, renewed by the driver, and judged by the store's own
clock. In a local folder, it is a file lock, which the operating system releases when the process ends.

The response to a put can be lost after the put was applied: the caller gets an error, or the client's own retry finds
that the condition no longer holds. The object itself says who holds the lake. So it is read before the lease is given
up.
"""

import datetime as dt
import fcntl
import os
import secrets
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from chandlery.errors import LeaseHeldError, SettingsError, StoreUnavailableError, TransientError
from chandlery.grid import DAY_SECONDS
from chandlery.lake.store import Store

__all__ = ["LeaseToken", "check_conditions", "check_lease", "check_locks", "hold_lease"]

PATH = "lease.json"  # the object in a bucket
LOCK = ".lease.lock"  # the locked file in a local folder
POLL = 0.5  # seconds between two attempts to get a lease that another run holds
FOREVER = 7.0 * DAY_SECONDS  # how long a run may wait, and a lease may be valid, at most: no run takes a week
NO_ETAG = f'"{"0" * 32}"'  # of no object
RENEWALS = 3  # per duration of a lease: two of them may fail before it expires
# A check is a request, and every put needs one. So a successful check stays valid for this share of the lease.
# That is safe because a run that takes over an expired lease waits for the same share before its first put: by then,
# every check that the former holder made before the takeover is no longer valid, whatever the clocks of the machines
# say. A released lease needs no such wait: a run releases it after its tasks have ended.
CHECK_SHARE = 0.1
# This clock also runs while the machine is suspended, so that a check does not stay valid longer than it should. On
# macOS, CLOCK_MONOTONIC does.
CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

_checked: dict[tuple[str, str], float] = {}  # by URI and owner: when this process began its last successful check


class LeaseBody(msgspec.Struct, frozen=True):
    """The content of the lease's object. The nonce gives each renewal a new etag: equal contents have equal etags."""

    owner: str
    nonce: str
    seconds: float
    released: bool = False


@dataclass(frozen=True)
class LeaseToken:
    """Proof that a run holds the lease, which its tasks carry.

    Args:
        owner: Identity of the run, which no other run has.
        seconds: How long the lease is valid without being renewed; if 0, every check sends a request.
    """

    owner: str
    seconds: float = 0.0


@contextmanager
def hold_lease(store: Store, seconds: float, *, wait: bool) -> Iterator[LeaseToken]:
    """Hold the lease of a lake while the block runs.

    Args:
        store: The lake.
        seconds: How long the lease is valid without being renewed.
        wait: Wait until the lake is free; otherwise for the duration of two leases at most.

    Raises:
        LeaseHeldError: Another run holds the lake and did not end in time.
    """
    token = LeaseToken(secrets.token_hex(8), seconds)
    patience = FOREVER if wait else 2 * seconds + 2
    with _lock_file(store, token, patience) if store.is_local else _hold_object(store, token, seconds, patience):
        yield token


def check_lease(store: Store, token: LeaseToken) -> None:
    """Check that a run still holds the lake; in a bucket, a success stays valid for a tenth of the lease.

    Raises:
        LeaseHeldError: Another run has taken over the lake.
        SettingsError: This machine does not see the folder of the run.
        StoreUnavailableError: The store did not answer.
    """
    if store.is_local:
        try:
            owner = (store.root / LOCK).read_text()
        except OSError as error:
            found = f"{store.uri} is not the run's own lake on {socket.gethostname()}"
            raise SettingsError(found, "a bucket, or a folder that all machines share", "give such a --lake") from error
        if owner != token.owner:  # somebody deleted the file, and another run created and locked a new one
            raise _lost()
        return
    place, now = (store.uri, token.owner), time.clock_gettime(CLOCK)
    if place in _checked and now < _checked[place] + CHECK_SHARE * min(token.seconds, FOREVER):
        return
    body = _read_body(store.get(PATH) or b"")
    if body is None or body.owner != token.owner or body.released:
        raise _lost()
    _checked[place] = now  # the time before the request, since the response may be slow


def check_conditions(store: Store, path: str, content: bytes) -> None:
    """Check that a bucket keeps the conditions of puts, by two that must not succeed: some stores ignore them.

    Args:
        store: The bucket.
        path: Of an object that exists, and that this process may replace.
        content: What to replace it by.

    Raises:
        SettingsError: It ignores them, so that two runs could write one lake at the same time.
    """
    replaced = store.put_if_absent(path, content) is not None
    if replaced or store.put_if_match(path, content, NO_ETAG) is not None:
        found = f"{store.uri} ignores the conditions of puts: it replaced an object that must only be created"
        raise SettingsError(found, "a store with conditional puts", "use another store: the lease of a run needs them")


def check_locks(folder: Path) -> None:
    """Check that files of a folder can be locked, by one that is deleted again.

    Raises:
        SettingsError: They cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=f"{LOCK}-") as file:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise _unlockable(str(folder), error) from error


def _unlockable(place: str, error: OSError) -> SettingsError:
    """Return the error of a folder whose files cannot be locked."""
    hint = "choose another --lake, such as on a local disk or in a bucket, or mount the file system with locks"
    found = f"files at {place} cannot be locked: {error.strerror}"
    return SettingsError(found, "a file system with locks, which keep two runs apart", hint)


@contextmanager
def _lock_file(store: Store, token: LeaseToken, patience: float) -> Iterator[None]:
    try:
        store.root.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(store.root / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise SettingsError(
            f"the lake at {store.uri} cannot be written: {error.strerror}",
            "a folder that this user may write to",
            "choose another --lake, or change its permissions",
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
            except OSError as error:
                raise _unlockable(store.uri, error) from error
        _sign(store, descriptor, token.owner)
        yield
    finally:
        os.close(descriptor)


def _sign(store: Store, descriptor: int, owner: str) -> None:
    """Write the owner into the lock file. It replaces one of equal length, which needs no more disk space."""
    try:
        os.ftruncate(descriptor, os.pwrite(descriptor, owner.encode(), 0))
        os.fsync(descriptor)  # workers on other machines read it
    except OSError as error:
        found = f"{store.uri} did not write {LOCK}: {error.strerror}"
        raise StoreUnavailableError(found, "free space", "make room and run again: nothing is lost") from error


@contextmanager
def _hold_object(store: Store, token: LeaseToken, seconds: float, patience: float) -> Iterator[None]:
    holder = _Holder(store, token, seconds)
    holder.acquire(time.monotonic() + patience)
    check_conditions(store, PATH, holder.compose())
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
        if ready:  # otherwise the next run would not wait until the former holder's checks are no longer valid
            holder.release()


class _Holder:
    """A lease in a bucket.

    Args:
        store: The lake.
        token: The lease.
        seconds: How long it is valid without being renewed.

    Attributes:
        pause: Seconds to wait before the first put, once the lease is acquired.
    """

    def __init__(self, store: Store, token: LeaseToken, seconds: float) -> None:
        self._store, self._token, self._seconds = store, token, seconds
        self._etag: str | None = None
        self.pause = 0.0

    def compose(self, *, released: bool = False) -> bytes:
        """Return the content of the object, which is not that of any earlier one."""
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
        """Return the etag of our lease, or None if another run holds one that has not expired."""
        try:
            etag = self._store.put_if_absent(PATH, self.compose())
        except TransientError:
            etag = self._find_own()
            if etag is None:
                raise
        return etag or self._take_over()

    def _take_over(self) -> str | None:
        """Return the etag of our lease if the one in the store is ours, was released or has expired; else None."""
        found = self._store.get_entry(PATH)
        if found is None:
            return None
        entry, content = found
        body = _read_body(content) or LeaseBody("unknown", "", self._seconds)
        if body.owner == self._token.owner:
            return entry.etag
        if not body.released:
            seconds = max(0.0, min(body.seconds, FOREVER))
            age = self._store.now() - entry.modified_at
            if age <= dt.timedelta(seconds=seconds + 1):  # one more: stores give times in whole seconds
                return None
            self.pause = max(self.pause, CHECK_SHARE * seconds)
        return self._replace(entry.etag)

    def _replace(self, etag: str) -> str | None:
        """Replace the lease of an etag by ours; return the new etag, or None if the lease is not ours.

        Raises:
            TransientError: The store did not answer, and the lease in it is not ours.
        """
        try:
            put = self._store.put_if_match(PATH, self.compose(), etag)
        except TransientError:
            own = self._find_own()
            if own is None:
                raise
            return own
        return put or self._find_own()

    def _find_own(self) -> str | None:
        """Return the etag of the lease in the store if it is ours and not released, else None."""
        found = self._store.get_entry(PATH)
        body = _read_body(found[1]) if found else None
        return found[0].etag if found and body and body.owner == self._token.owner and not body.released else None

    def renew_until(self, stop: threading.Event) -> None:
        """Renew the lease until `stop` is set or another run holds it, which the check before each put reports."""
        wait = self._seconds / RENEWALS
        while self._etag is not None and not stop.wait(wait):
            try:
                self._etag = self._replace(self._etag)
                wait = self._seconds / RENEWALS
            except Exception:  # noqa: BLE001 - the next attempt may succeed; without this thread, the lease expires
                wait = self._seconds / (3 * RENEWALS)

    def release(self) -> None:
        """Release the lease if it is ours. If that fails, the next run waits until it expires.

        Raises nothing: an error of the run itself matters more, and a run that succeeded remains successful.
        """
        with suppress(Exception):
            etag = self._etag
            if etag is None or self._store.put_if_match(PATH, self.compose(released=True), etag) is not None:
                return
            etag = self._find_own()  # a renewal whose response was lost may have changed the etag
            if etag is not None:
                self._store.put_if_match(PATH, self.compose(released=True), etag)


def _read_body(content: bytes) -> LeaseBody | None:
    """Return the parsed content of a lease's object, or None if it cannot be parsed."""
    try:
        return msgspec.json.decode(content, type=LeaseBody)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _lost() -> LeaseHeldError:
    return LeaseHeldError("this run has lost the lake to another", "", "run again when the other run has ended")


def _held(store: Store) -> LeaseHeldError:
    return LeaseHeldError(f"another run holds the lake at {store.uri}", "", "wait for it to end, or use --wait")
