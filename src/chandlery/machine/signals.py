"""Signals that ask the program to stop: Ctrl-C (SIGINT), SIGTERM, and SIGHUP when a terminal closes.

The first one raises `Stopped` in the main thread, so that a lease, worker processes and temporary folders are given
back on the way out. A second one ends the process at once, even while a library computes or waits for a store.
"""

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn, Self

__all__ = ["Stopped", "held", "listening", "stops_at_signals"]

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
OF_A_SIGNAL = 128  # exit codes of programs that a signal ended are this and its number, by convention
# `timeout`, and a terminal that closes, send their signal to the process and to its group: twice within milliseconds.
SAME_SECONDS = 0.1
SLOW_SECONDS = 0.5  # of stopping, after which the user is told how to end it
LOST = 0  # in the pipe, where signals are numbers: the exception of a signal was not passed on


class Stopped(KeyboardInterrupt):
    """A signal asked this process to stop."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    def __str__(self) -> str:
        return f"stopped by {signal.Signals(self.number).name}"

    @property
    def exit_code(self) -> int:
        """The exit code of the process."""
        return OF_A_SIGNAL + self.number


class Listener:
    """Handlers of the signals within a block. A signal that the caller of the process ignores stays ignored."""

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}
        self._hook = sys.unraisablehook
        self._read, self._write = os.pipe()
        self._first, self._resent, self._came_at = 0, 0, 0.0
        self._is_held = self._is_firm = self._is_due = False
        self.is_reported = False

    def __enter__(self) -> Self:
        os.set_blocking(self._write, False)
        self._wakeup = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        threading.Thread(target=self._watch, daemon=True).start()
        sys.unraisablehook = self._resend
        for number in SIGNALS:
            if signal.getsignal(number) not in {signal.SIG_IGN, None}:
                self._before[number] = signal.signal(number, self._come)
        return self

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)
        sys.unraisablehook = self._hook
        signal.set_wakeup_fd(self._wakeup)
        os.close(self._write)  # ends the thread

    @contextmanager
    def held(self, *, firmly: bool) -> Iterator[None]:
        """Delay the first signal until the block has ended; see the function of this name.

        Raises:
            Stopped: A signal came within the block.
        """
        before, self._is_held, self._is_firm = self._is_held, True, firmly
        try:
            yield
        finally:
            self._is_held, self._is_firm = before, False
            if self._is_due and not before:
                self._is_due = False
                raise Stopped(self._first)

    def end(self, interrupt: KeyboardInterrupt | None = None) -> NoReturn:
        """Report on stderr that the program was stopped, and exit with the code of the signal."""
        stopped = interrupt if isinstance(interrupt, Stopped) else Stopped(self._first or signal.SIGINT)
        if not self.is_reported:
            self.is_reported = True
            print(f"chandlery: {stopped}; run again to continue", file=sys.stderr, flush=True)
        sys.exit(stopped.exit_code)

    @property
    def has_come(self) -> bool:
        """Whether a signal came."""
        return bool(self._first)

    def _come(self, number: int, _: FrameType | None) -> None:
        """Handle a signal in the main thread; those after the first are left to `_watch`."""
        if self._first and not self._resent:
            return
        self._first, self._resent = self._first or number, 0
        if not self._is_held:
            raise Stopped(self._first)
        self._is_due = True

    def _resend(self, unraisable: Any) -> None:
        """Send a signal again if its exception came in a callback of the interpreter, which cannot pass it on."""
        if isinstance(unraisable.exc_value, KeyboardInterrupt):
            os.write(self._write, bytes([LOST]))
        else:
            self._hook(unraisable)

    def _watch(self) -> None:
        """End the process at a second signal: this thread also runs while the main thread is in a library."""
        is_told = False
        while True:
            is_slow = bool(self._came_at) and not is_told
            if is_slow and not select.select([self._read], [], [], SLOW_SECONDS)[0]:
                is_told = True
                os.write(2, b"chandlery: stopping; another signal ends it at once\n")
                continue
            came = os.read(self._read, 1)
            if not came:
                os.close(self._read)
                return
            self._note(came[0])

    def _note(self, number: int) -> None:
        now = time.monotonic()
        if number == LOST:
            time.sleep(0.01)  # the callback has ended by then
            self._resent, self._came_at = 1, time.monotonic()
            signal.pthread_kill(threading.main_thread().ident or 0, self._first or signal.SIGINT)
        elif number in self._before and not self._came_at:
            self._came_at = now
        elif number in self._before and now - self._came_at > SAME_SECONDS and not self._resent and not self._is_firm:
            os._exit(OF_A_SIGNAL + number)


_listeners: list[Listener] = []  # at most one: that of the process


@contextmanager
def listening() -> Iterator[Listener]:
    """Raise `Stopped` at signals within the block; a block within another one changes nothing."""
    if _listeners:
        yield _listeners[0]
        return
    with Listener() as listener:
        _listeners.append(listener)
        try:
            yield listener
        finally:
            _listeners.clear()


@contextmanager
def held(*, firmly: bool = False) -> Iterator[None]:
    """Delay the first signal until the block has ended; nothing is delayed outside of `listening` and the main thread.

    Args:
        firmly: A second signal does not end the process within the block either.

    Raises:
        Stopped: A signal came within the block.
    """
    if not _listeners or threading.current_thread() is not threading.main_thread():
        yield
        return
    with _listeners[0].held(firmly=firmly):
        yield


@contextmanager
def stops_at_signals() -> Iterator[None]:
    """Run a program within the block: a signal ends it with one line on stderr and with the code of the signal."""
    with listening() as listener:
        try:
            yield
        except KeyboardInterrupt as interrupt:
            listener.end(interrupt)
        except SystemExit as ended:
            if ended.code == OF_A_SIGNAL + signal.SIGINT:  # Typer makes it of every interrupt
                listener.end()
            raise
        except Exception:
            if listener.has_come:  # a library may raise an error of its own when it is interrupted
                listener.end()
            raise
