"""Processes on one machine."""

import atexit
import ctypes
import gc
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from threadpoolctl import threadpool_limits

from chandlery.engines.base import ONE_THREAD, call_task, costliest_first
from chandlery.errors import TransientError
from chandlery.machine.memory import give_back_memory, keep_freed_memory

__all__ = ["LocalEngine"]

Task = TypeVar("Task")
Result = TypeVar("Result")

WORTH_A_PROCESS = 4.0  # CPU seconds: a worker's start costs about one
PR_SET_PDEATHSIG = 1
COLLECT_AFTER = 100_000  # objects: arrays are no garbage cycles, and imports make objects by the ten thousand


class LocalEngine:
    """A `map` over processes of this machine, this one among them; in this one alone where that is cheaper.

    BLAS runs on one thread in all of them: its sums depend on the number of threads.

    Args:
        workers: How many processes work; 0 means one a core.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers or _count_cores()
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        keep_freed_memory()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def map(
        self,
        function: Callable[[Task], Result],
        tasks: Sequence[Task],
        costs: Sequence[float],
        done: Callable[[Result], None],
    ) -> list[Result]:
        """Return the results in the order of the tasks; see `Engine.map`."""
        give_back_memory()
        if min(self.workers, len(tasks)) <= 1 or sum(costs) < WORTH_A_PROCESS:
            return list(_call_here(function, tasks, done))
        share = _Share(tasks, costs, done)
        others = min(self.workers, len(tasks)) - 1
        with _environment(ONE_THREAD), ThreadPoolExecutor(others) as threads, threadpool_limits(1, "blas"):
            pool = self._open_pool()
            takers = [
                threads.submit(share.take_all, lambda task: pool.submit(call_task, function, task).result())
                for _ in range(others)
            ]
            try:
                share.take_all(partial(call_task, function))
            finally:
                share.stop()
            for taker in takers:
                taker.result()  # raises what ended one before its time
        return share.results()

    def _open_pool(self) -> ProcessPoolExecutor:
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(
                self.workers - 1, mp_context=context, initializer=_start_worker, initargs=(os.getpid(),)
            )
            with _hidden_main():
                for _ in range(
                    self.workers - 1
                ):  # each starts a process, here: it reads the environment as it imports, and ends with the thread that started it
                    self._pool.submit(int)
        return self._pool


class _Share(Generic[Task, Result]):
    """Tasks that several takers share: this process is one, and a thread for each other process."""

    def __init__(self, tasks: Sequence[Task], costs: Sequence[float], done: Callable[[Result], None]) -> None:
        self._waiting, self._done = iter([(number, tasks[number]) for number in costliest_first(costs)]), done
        self._lock = threading.Lock()
        self._results: dict[int, Result] = {}
        self._errors: dict[int, Exception] = {}

    def take_all(self, call: Callable[[Task], Result]) -> None:
        """Take one task after the other until none is left; an error ends that task alone."""
        while (taken := self._take()) is not None:
            number, task = taken
            try:
                self._results[number] = call(task)
            except BrokenProcessPool as error:
                self._errors[number] = error
                self.stop()
            except Exception as error:  # noqa: BLE001 - raised again by `results`
                self._errors[number] = error
            else:
                self._done(self._results[number])

    def _take(self) -> tuple[int, Task] | None:
        with self._lock:
            return next(self._waiting, None)

    def stop(self) -> None:
        """Leave the tasks that nobody has taken."""
        with self._lock:
            self._waiting = iter([])

    def results(self) -> list[Result]:
        """Return the results in the order of the tasks, or raise the first error by that order."""
        for _, error in sorted(self._errors.items()):
            if isinstance(error, BrokenProcessPool):
                hint = "run again; if it happens again, look for the system's out-of-memory killer and lower [engine] workers"
                raise TransientError("a worker process was ended from outside", "", hint) from error
            raise error
        return [result for _, result in sorted(self._results.items())]


def _call_here(
    function: Callable[[Task], Result], tasks: Sequence[Task], done: Callable[[Result], None]
) -> Iterator[Result]:
    with threadpool_limits(1, "blas"):
        for task in tasks:
            result = call_task(function, task)
            done(result)
            yield result


def _count_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _hidden_main() -> Iterator[None]:
    """Hide the caller's script from processes that start: tasks need nothing of it, and it needs no guard against being run again."""
    main = sys.modules["__main__"]
    hidden: dict[str, Any] = {
        name: main.__dict__.pop(name) for name in ("__spec__", "__file__") if name in main.__dict__
    }
    main.__spec__ = None
    try:
        yield
    finally:
        main.__dict__.update(hidden)


def _start_worker(parent: int) -> None:
    gc.set_threshold(COLLECT_AFTER)
    atexit.register(gc.freeze)  # nothing is looked through for garbage once more at the end
    keep_freed_memory()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means
    if sys.platform == "linux":  # a worker must not go on publishing when its parent was killed
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
