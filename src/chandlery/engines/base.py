"""The contract of an engine, and the parts that all engines share."""

import os
import pickle
import socket
import traceback
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Protocol, Self, TypeVar

from chandlery.errors import SettingsError

__all__ = ["ONE_THREAD", "Engine", "call_task", "costliest_first", "pickle_error"]

# Environment of every process that runs tasks. One thread each is enough, because there are as many processes as cores,
# and the order in which BLAS sums depends on its number of threads. Libraries read the variables when they are loaded,
# so these are set before a process starts.
ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS"), "1")

Task = TypeVar("Task")
Result = TypeVar("Result")


class Engine(Protocol):
    """Calls a function with each of many tasks, in one or more processes.

    The function is defined at the top of a module. Tasks and results can be pickled: they have names, settings and
    counts, never candles. A task reads and writes the store itself. What it writes is whole and the same each time, so
    it may run twice, even at the same time. `str` of a task is its name in messages.
    """

    def __enter__(self) -> Self:
        """Check that the engine can run; no process starts before the first `map`.

        Raises:
            SettingsError: Something that the engine needs is missing.
        """

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all processes that were started."""

    @property
    def at_once(self) -> int:
        """How many tasks run at the same time."""

    def map(
        self,
        function: Callable[[Task], Result],
        tasks: Sequence[Task],
        costs: Sequence[float],
        done: Callable[[Result], None],
    ) -> list[Result]:
        """Return the results in the order of the tasks.

        Args:
            function: What to call.
            tasks: What to call it with.
            costs: An estimate of each task's CPU seconds: the costliest task starts first, and an engine may start no
                process for little work.
            done: Called in this process with each result as it arrives, in any order and on any thread.

        Raises:
            ChandleryError: A task raised it. If several tasks raise, it is the error of the first of them.
        """


def call_task(function: Callable[[Task], Result], task: Task) -> Result:
    """Call a function with a task. If it tries to exit the process, raise an error of this task instead.

    Raises:
        SettingsError: The function tried to exit the process.
    """
    try:
        return function(task)
    except (Exception, KeyboardInterrupt):
        raise
    except BaseException as error:
        found = f"{task} would end its process by {type(error).__name__}: {str(error)[:300]}"
        raise SettingsError(
            found,
            "a task that returns or raises an exception",
            "user-defined files must not call sys.exit: raise an exception instead; if there are none, report this",
        ) from error


def pickle_error(error: Exception) -> bytes:
    """Return a pickled error with its traceback as a note; if it cannot be pickled, a RuntimeError with its text."""
    host, trace = socket.gethostname(), traceback.format_exc()
    error.add_note(f"on {host}, process {os.getpid()}:\n{trace}")
    try:
        content = pickle.dumps(error)
        pickle.loads(content)  # an exception whose arguments differ from its parameters can be pickled, not unpickled
    except Exception:  # noqa: BLE001 - any class may fail here, in any way
        return pickle.dumps(RuntimeError(f"{error!r} on {host}:\n{trace}"))
    return content


def costliest_first(costs: Sequence[float]) -> list[int]:
    """Return the positions of tasks in the order in which they start: the costliest first.

    Example:
        >>> costliest_first([1.0, 3.0, 2.0, 3.0])
        [1, 3, 2, 0]
    """
    return sorted(range(len(costs)), key=lambda number: -costs[number])
