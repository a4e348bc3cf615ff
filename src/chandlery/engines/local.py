"""The engine that runs tasks in processes of this machine."""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from types import TracebackType
from typing import Generic, Self, TypeVar

from threadpoolctl import threadpool_limits

from chandlery.engines.base import ONE_THREAD, costliest_first
from chandlery.engines.worker import Worker, WorkerLostError, call_within_memory
from chandlery.machine.memory import give_back_memory, keep_freed_memory
from chandlery.machine.streams import open_closed_streams

__all__ = ["LocalEngine"]

Task = TypeVar("Task")
Result = TypeVar("Result")

WORTH_A_PROCESS = 4.0  # CPU seconds: the start of a worker, with the imports of its first task, costs about one


class LocalEngine:
    """Runs tasks in several processes of this machine, including this one; in this one alone if that takes less time.

    BLAS runs on one thread in all of them, because its sums depend on the number of threads.

    Args:
        workers: How many processes run tasks; 0 means one per core.
        worth_a_process: If all tasks of a `map` together take fewer CPU seconds, they run in this process alone.
    """

    def __init__(self, workers: int, worth_a_process: float = WORTH_A_PROCESS) -> None:
        self.workers = workers or _count_cores()
        self._worth_a_process = worth_a_process
        self._others: list[Worker] = []

    def __enter__(self) -> Self:
        keep_freed_memory()
        open_closed_streams()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._others:
            worker.close()
        self._others = []

    def _kill(self) -> None:
        """End the workers in the middle of their tasks, whose threads then return."""
        for worker in self._others:
            worker.kill()

    @property
    def at_once(self) -> int:
        """How many tasks run at the same time."""
        return self.workers

    def map(
        self,
        function: Callable[[Task], Result],
        tasks: Sequence[Task],
        costs: Sequence[float],
        done: Callable[[Result], None],
    ) -> list[Result]:
        """Return the results in the order of the tasks; see `Engine.map`."""
        give_back_memory()
        others = min(self.workers, len(tasks)) - 1
        if others <= 0 or sum(costs) < self._worth_a_process:
            return list(_call_here(function, tasks, done))
        share = _Share(tasks, costs, done)
        with _environment(ONE_THREAD), ThreadPoolExecutor(others) as threads, threadpool_limits(1, "blas"):
            try:
                takers = [
                    threads.submit(share.take_all, partial(worker.call, function))
                    for worker in self._start_workers()[:others]
                ]
                share.take_all(partial(call_within_memory, function))
                for taker in takers:
                    taker.result()  # raises what `done` raised on that thread
            except KeyboardInterrupt:  # nobody waits for the tasks: the lake stays whole wherever they end
                share.stop()
                self._kill()
                raise
            finally:
                share.stop()
        return share.results()

    def _start_workers(self) -> list[Worker]:
        """Return the worker processes; the first call starts them.

        The thread that calls `map` starts them, because Linux ends a worker when the thread that started it ends.
        """
        while len(self._others) < self.workers - 1:
            self._others.append(Worker())
        return self._others


class _Share(Generic[Task, Result]):
    """Tasks that several threads take from: one thread runs tasks in this process, and one waits for each worker."""

    def __init__(self, tasks: Sequence[Task], costs: Sequence[float], done: Callable[[Result], None]) -> None:
        self._waiting, self._done = iter([(number, tasks[number]) for number in costliest_first(costs)]), done
        self._lock = threading.Lock()
        self._results: dict[int, Result] = {}
        self._errors: dict[int, Exception] = {}

    def take_all(self, call: Callable[[Task], Result]) -> None:
        """Run tasks one after the other until none is left; after an error, the other tasks still run."""
        while (taken := self._take()) is not None:
            number, task = taken
            try:
                self._results[number] = call(task)
            except WorkerLostError as error:  # its process has died, often for lack of memory: start no more tasks
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
        """Start no more tasks; those that a thread has taken run to their end."""
        with self._lock:
            self._waiting = iter([])

    def results(self) -> list[Result]:
        """Return the results in the order of the tasks, or raise the first error in that order."""
        for _, error in sorted(self._errors.items()):
            raise error
        return [result for _, result in sorted(self._results.items())]


def _call_here(
    function: Callable[[Task], Result], tasks: Sequence[Task], done: Callable[[Result], None]
) -> Iterator[Result]:
    """Run tasks in this process, in their order."""
    with threadpool_limits(1, "blas"):
        for task in tasks:
            result = call_within_memory(function, task)
            done(result)
            yield result


def _count_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Set environment variables while the block runs; processes that it starts inherit them."""
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
