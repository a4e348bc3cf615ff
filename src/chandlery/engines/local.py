"""Processes on one machine."""

import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from types import TracebackType
from typing import Self, TypeVar

from threadpoolctl import threadpool_limits

from chandlery.errors import TransientError

__all__ = ["LocalEngine"]

Task = TypeVar("Task")
Result = TypeVar("Result")

WORTH_A_PROCESS = 4.0  # CPU seconds: a worker's start costs about one
PR_SET_PDEATHSIG = 1
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT_BYTES = 256 * 1024 * 1024
ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS"), "1")


class LocalEngine:
    """A `map` over processes of this machine, or in this process where that is cheaper.

    BLAS runs on one thread in both places: its sums depend on the number of threads.

    Args:
        workers: How many processes; 0 means one a core.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers or _count_cores()
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        _keep_freed_memory()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def map(
        self,
        function: Callable[[Task], Result],
        tasks: Sequence[Task],
        cost_seconds: float,
        done: Callable[[Result], None],
    ) -> list[Result]:
        """Return the results in the order of the tasks; see `Engine.map`."""
        if min(self.workers, len(tasks)) <= 1 or cost_seconds < WORTH_A_PROCESS:
            return list(_call_here(function, tasks, done))
        return self._call_there(function, tasks, done)

    def _call_there(self, function: Callable[[Task], Result], tasks: Sequence[Task], done: Callable[[Result], None]) -> list[Result]:
        with _environment(ONE_THREAD):  # workers are started by submit and read it as they import
            if self._pool is None:
                context = multiprocessing.get_context("spawn")
                self._pool = ProcessPoolExecutor(self.workers, mp_context=context, initializer=_start_worker, initargs=(os.getpid(),))
            futures: list[Future[Result]] = [self._pool.submit(function, task) for task in tasks]
        try:
            for future in as_completed(futures):
                if future.exception() is None:
                    done(future.result())
            return [future.result() for future in futures]
        except BrokenProcessPool as error:
            hint = "run again; if it happens again, look for the system's out-of-memory killer and lower [engine] workers"
            raise TransientError("a worker process was ended from outside", "", hint) from error
        finally:
            for future in futures:
                future.cancel()


def _call_here(function: Callable[[Task], Result], tasks: Sequence[Task], done: Callable[[Result], None]) -> Iterator[Result]:
    with threadpool_limits(1, "blas"):
        for task in tasks:
            result = function(task)
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


def _keep_freed_memory() -> None:
    """Let the C library keep what is freed: arrays of a block come and go, and fresh pages cost a fifth of the time."""
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        for option in (M_TRIM_THRESHOLD, M_MMAP_THRESHOLD):
            libc.mallopt(option, KEPT_BYTES)


def _start_worker(parent: int) -> None:
    _keep_freed_memory()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means
    if sys.platform == "linux":  # a worker must not go on publishing when its parent was killed
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
