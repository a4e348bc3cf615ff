"""A worker process of the local engine: a new Python that calls functions on tasks, one after the other."""

import atexit
import ctypes
import gc
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from chandlery.engines.base import call_task, pickle_error
from chandlery.errors import TransientError
from chandlery.machine.memory import keep_freed_memory
from chandlery.machine.signals import held

__all__ = ["Worker", "WorkerLostError", "call_within_memory", "serve_calls"]

Task = TypeVar("Task")
Result = TypeVar("Result")

PR_SET_PDEATHSIG = 1  # of Linux's prctl.h
END = b""  # in place of a call: there are no more
BEAT = b""  # in place of an answer: the process is alive
BEAT_SECONDS = 10.0
SILENT_SECONDS = 60.0  # without a beat for so long, a process is stuck, such as without memory for a thread
STDERR = 2  # its descriptor
FEWER = "lower [engine] workers"
COLLECT_AFTER = 100_000  # objects: imports allocate tens of thousands, and the arrays of tasks form no cycles


class WorkerLostError(TransientError):
    """A worker process ended before it had returned a result, or gives no sign of life."""

    def __init__(self, found: str = "a worker process was ended from outside") -> None:
        hint = "run again; if it happens again, look for the system's out-of-memory killer"
        super().__init__(found, "", f"{hint} and {FEWER}")


class Worker:
    """The caller's end of a worker process.

    The process is not one of `multiprocessing`, which would import the caller's main module in it: a script without
    an `if __name__ == "__main__"` guard would run again in every worker. Tasks need nothing of that module.
    """

    def __init__(self) -> None:
        self._pipe, theirs = Pipe()
        start = (
            f"import sys; sys.path[:] = {[str(folder) for folder in sys.path]!r}; "
            f"from chandlery.engines.worker import serve_calls; serve_calls({theirs.fileno()}, {os.getpid()})"
        )
        # The process inherits that Ctrl-C is blocked, which a terminal sends to all processes: importing what it needs
        # takes longer than a user waits. `held` keeps the signals of this process until the worker is known.
        with theirs, held(), _without_interrupts():  # the end of the process ends the connection: closed here
            self._process = subprocess.Popen(  # noqa: S603 - this Python, and a text of this module
                [sys.executable, *(f"-W{option}" for option in sys.warnoptions), "-c", start],
                stdin=subprocess.DEVNULL,
                stdout=STDERR,  # what user-defined files print is no result of the program
                pass_fds=[theirs.fileno()],
            )

    def call(self, function: Callable[[Task], Result], task: Task) -> Result:
        """Return what the function returns for a task; may be called by one thread at a time.

        Raises:
            WorkerLostError: The process ended.
            Exception: What the function raised.
        """
        envelope = pickle.dumps((function, task))
        try:
            self._pipe.send_bytes(envelope)
            result, error = self._receive()
        except (EOFError, OSError) as lost:
            raise WorkerLostError from lost
        if error is not None:
            raise pickle.loads(error)
        returned: Result = pickle.loads(result)
        return returned

    def _receive(self) -> tuple[bytes, bytes | None]:
        """Return the answer to a call, however long it takes, as long as the process beats.

        Raises:
            WorkerLostError: It does not; it is killed then.
        """
        while self._pipe.poll(SILENT_SECONDS):
            answer = self._pipe.recv_bytes()
            if answer != BEAT:
                received: tuple[bytes, bytes | None] = pickle.loads(answer)
                return received
        self._process.kill()
        raise WorkerLostError(f"a worker process gave no sign of life for {SILENT_SECONDS:.0f} seconds")

    def kill(self) -> None:
        """End the process in the middle of its task; a thread that waits in `call` gets a WorkerLostError."""
        self._process.kill()

    def close(self) -> None:
        """End the process, which is idle or was killed, and wait for it."""
        with suppress(OSError):  # the process has ended already
            self._pipe.send_bytes(END)  # a process that the caller has forked may hold the connection open
        self._pipe.close()
        self._process.wait()


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Block Ctrl-C in this thread while the block runs, and in processes that it starts."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def serve_calls(descriptor: int, parent: int) -> None:
    """Answer calls until the caller closes the connection: what a worker process runs.

    Args:
        descriptor: File descriptor of the process's end of the connection.
        parent: Process ID of the caller.
    """
    end_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the caller decides what an interrupt means
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    gc.set_threshold(COLLECT_AFTER)
    atexit.register(gc.freeze)  # a last collection at exit would free nothing that the end of the process does not
    keep_freed_memory()
    with Connection(descriptor) as pipe:
        while (envelope := receive(pipe)) is not None:
            with beating(pipe):
                answer = pickle.dumps(answer_call(envelope))
            pipe.send_bytes(answer)


@contextmanager
def beating(pipe: "Connection[Any, Any]") -> Iterator[None]:
    """Tell the caller regularly, while the block runs, that this process is alive."""
    over = threading.Event()

    def beat() -> None:
        with suppress(OSError):  # the caller has closed the connection
            while not over.wait(BEAT_SECONDS):
                pipe.send_bytes(BEAT)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def answer_call(envelope: bytes) -> tuple[bytes | None, bytes | None]:
    """Call a pickled function on its task.

    Returns:
        The pickled result and None, or None and the pickled error, with its traceback as a note.

    Args:
        envelope: The pickled pair of function and task.
    """
    try:
        function, task = pickle.loads(envelope)
        return pickle.dumps(call_within_memory(function, task)), None
    except Exception as error:  # noqa: BLE001 - raised again in the caller's process
        return None, pickle_error(error)


def call_within_memory(function: Callable[[Task], Result], task: Task) -> Result:
    """Call a function on a task, as `call_task` does.

    Raises:
        TransientError: There was not enough memory.
    """
    try:
        return call_task(function, task)
    except MemoryError as error:
        hint = f"run again; if it happens again, {FEWER}, or take a machine with more memory"
        raise TransientError(f"{task} found no memory left", "", hint) from error


def receive(pipe: "Connection[Any, Any]") -> bytes | None:
    """Return the next pickled call; None once the caller has closed the connection."""
    try:
        return pipe.recv_bytes() or None
    except (EOFError, OSError):
        return None


def end_with_parent(parent: int) -> None:
    """Let the system end this process together with its parent: it must not go on writing when that was killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the parent ended before the request was made
            os._exit(1)
