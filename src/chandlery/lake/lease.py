"""The lease: at most one run writes a lake.

In a bucket, it is an object that is created by a conditional put, renewed by the driver, and judged by the store's own
clock. In a local folder, it is a file lock, which the operating system releases when the process ends.

The response to a put can be lost after the put was applied: the caller gets an error, or the client's own retry finds
that the condition no longer holds. The object itself says who holds the lake. So it is read before the lease is given
up.
"""

import datetime as dt
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import msgspec
from msgspec.structs import replace

from chandlery.errors import LeaseHeldError, SettingsError, StoreUnavailableError, TransientError
from chandlery.grid import DAY_SECONDS
from chandlery.lake.conditions import check_conditions, try_lock
from chandlery.lake.store import Store
from chandlery.machine.signals import held

__all__ = ["LeaseToken", "check_lease", "hold_lease"]

PATH = "lease.json"  # the object in a bucket
LOCK = ".lease.lock"  # the locked file in a local folder
POLL = 0.5  # seconds between two attempts to get a lease that another run holds
FOREVER = 7.0 * DAY_SECONDS  # how long a run may wait, and a lease may be valid, at most: no run takes a week
SIGNED_BYTES = 512  # of the lock file, whatever the names in it
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
    """The content of the lease's object or file.

    Args:
        owner: Identity of the run.
        nonce: Gives each renewal a new etag: equal contents have equal etags.
        seconds: How long the lease is valid without being renewed.
        released: Whether the run has ended.
        host: The machine of the run; empty if an earlier version wrote the lease.
        pid: Its process there.
        since: When it got the lease, by its own clock.
    """

    owner: str
    nonce: str
    seconds: float
    released: bool = False
    host: str = ""
    pid: int = 0
    since: dt.datetime | None = None

    @property
    def described(self) -> str:
        """Who holds the lake, and since when."""
        if not self.host:
            return "a run of another version"
        since = f" since {self.since:%Y-%m-%d %H:%M:%S} UTC" if self.since else ""
        return f"process {self.pid} on {self.host}{since}"


@dataclass(frozen=True)
class LeaseToken:
    """Proof that a run holds the lease, which its tasks carry.

    Args:
        owner: Identity of the run, which no other run has.
        seconds: How long the lease is valid without being renewed; if 0, every check sends a request.
    """

    owner: str
    seconds: float = 0.0


class Patience:
    """How long a run waits for another one, and that it says so.

    Args:
        seconds: How long it waits at most.
        note: Receives whom it waits for, once for each holder.
    """

    def __init__(self, seconds: float, note: Callable[[str], None]) -> None:
        self._deadline, self._note = time.monotonic() + seconds, note
        self._wait = "until it has ended" if seconds >= FOREVER else f"for {seconds:,.0f} s at most"
        self._noted = ""

    def wait(self, store: Store, holder: str, seconds: float) -> None:
        """Wait a little, unless the time is over.

        Args:
            store: The lake.
            holder: The run that holds it, and until when.
            seconds: How long to wait.

        Raises:
            LeaseHeldError: The time is over.
        """
        if time.monotonic() > self._deadline:
            found = f"another run holds the lake at {store.uri}: {holder}"
            raise LeaseHeldError(found, "", "wait for it to end, or use --wait")
        name = holder.partition(";")[0]  # the rest is the time of the last renewal
        if name != self._noted:
            self._noted = name
            self._note(f"waiting {self._wait} for another run of {store.uri}: {holder}")
        time.sleep(seconds)


@contextmanager
def hold_lease(
    store: Store, seconds: float, *, wait: bool, note: Callable[[str], None] = lambda _: None
) -> Iterator[LeaseToken]:
    """Hold the lease of a lake while the block runs. However the block ends, the lease is given back.

    Args:
        store: The lake.
        seconds: How long the lease is valid without being renewed.
        wait: Wait until the lake is free; otherwise for the duration of two leases at most.
        note: Receives for whom this run waits, and how long.

    Raises:
        LeaseHeldError: Another run holds the lake and did not end in time.
    """
    token = LeaseToken(secrets.token_hex(8), seconds)
    patience = Patience(FOREVER if wait else 2 * seconds + 2, note)
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
            body = _read_body((store.root / LOCK).read_bytes())
        except OSError as error:
            found = f"{store.uri} is not the run's own lake on {socket.gethostname()}"
            raise SettingsError(found, "a bucket, or a folder that all machines share", "give such a --lake") from error
        if (
            body is None or body.owner != token.owner
        ):  # somebody deleted the file, and another run created and locked a new one
            raise _lost()
        return
    place, now = (store.uri, token.owner), time.clock_gettime(CLOCK)
    if place in _checked and now < _checked[place] + CHECK_SHARE * min(token.seconds, FOREVER):
        return
    body = _read_body(store.get(PATH) or b"")
    if body is None or body.owner != token.owner or body.released:
        raise _lost()
    _checked[place] = now  # the time before the request, since the response may be slow


@contextmanager
def _lock_file(store: Store, token: LeaseToken, patience: Patience) -> Iterator[None]:
    try:
        store.root.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(store.root / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise SettingsError(
            f"the lake at {store.uri} cannot be written: {error.strerror}",
            "a folder that this user may write to",
            "choose another --lake, or change its permissions",
        ) from error
    try:
        while not try_lock(descriptor, store.uri):
            body = _read_body(os.pread(descriptor, SIGNED_BYTES, 0)) or LeaseBody("", "", 0)
            patience.wait(store, f"{body.described}; the lake is free when that process ends", POLL)
        _sign(store, descriptor, _make_body(token))
        yield
    finally:
        os.close(descriptor)


def _sign(store: Store, descriptor: int, body: LeaseBody) -> None:
    """Write the holder into the lock file. It replaces what has equal length, which needs no more disk space."""
    content = msgspec.json.encode(body).ljust(SIGNED_BYTES)
    try:
        os.ftruncate(descriptor, os.pwrite(descriptor, content, 0))
        os.fsync(descriptor)  # workers on other machines read it
    except OSError as error:
        found = f"{store.uri} did not write {LOCK}: {error.strerror}"
        raise StoreUnavailableError(found, "free space", "make room and run again: nothing is lost") from error


def _make_body(token: LeaseToken) -> LeaseBody:
    since = dt.datetime.now(dt.UTC).replace(microsecond=0)
    return LeaseBody(token.owner, "", token.seconds, host=socket.gethostname()[:64], pid=os.getpid(), since=since)


@contextmanager
def _hold_object(store: Store, token: LeaseToken, seconds: float, patience: Patience) -> Iterator[None]:
    holder = _Holder(store, token, seconds)
    stop, renewing = threading.Event(), None
    try:
        holder.acquire(patience)
        check_conditions(store, PATH, holder.compose())
        renewing = threading.Thread(target=holder.renew_until, args=(stop,), daemon=True)
        renewing.start()
        holder.wait_for_checks()
        yield
    finally:
        stop.set()
        if renewing is not None:
            renewing.join()
        _checked.pop((store.uri, token.owner), None)
        holder.release()


class _Holder:
    """A lease in a bucket.

    Args:
        store: The lake.
        token: The lease.
        seconds: How long it is valid without being renewed.

    """

    def __init__(self, store: Store, token: LeaseToken, seconds: float) -> None:
        self._store, self._token, self._seconds = store, token, seconds
        self._etag: str | None = None
        self._pause = self._may_write_at = 0.0
        self._own, self._holder = _make_body(token), ""

    def compose(self, *, released: bool = False) -> bytes:
        """Return the content of the object, which is not that of any earlier one."""
        return msgspec.json.encode(replace(self._own, nonce=secrets.token_hex(8), released=released))

    def acquire(self, patience: Patience) -> None:
        """Wait for the lease.

        Raises:
            LeaseHeldError: Another run still holds it when the patience is over.
        """
        while True:
            with held():  # a signal between the put and its etag would leave the lease behind
                self._own = _make_body(self._token)
                self._etag = self._create()
                self._may_write_at = time.monotonic() + self._pause
            if self._etag is not None:
                return
            patience.wait(self._store, self._holder, min(POLL, self._seconds / 4))

    def wait_for_checks(self) -> None:
        """Wait until no check of a former holder, whose lease expired, is still valid."""
        time.sleep(max(0.0, self._may_write_at - time.monotonic()))

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
            expires = entry.modified_at + dt.timedelta(seconds=seconds + 1)  # stores give times in whole seconds
            if self._store.now() <= expires:
                until = f"{expires.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S} UTC"
                self._holder = f"{body.described}; its lease lasts until {until} at most, unless it renews it"
                return None
            self._pause = max(self._pause, CHECK_SHARE * seconds)
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

        The next run would not wait for checks of a former holder: so this one does before it releases.

        Raises nothing: an error of the run itself matters more, and a run that succeeded remains successful.
        """
        with suppress(Exception):
            etag = self._etag
            if etag is None:
                return
            self.wait_for_checks()
            if self._store.put_if_match(PATH, self.compose(released=True), etag) is not None:
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
