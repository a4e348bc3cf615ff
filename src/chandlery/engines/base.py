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

# Environment of every process that runs tasks. There are as many processes as cores, and BLAS sums in an order that
# depends on its number of threads. The variables take effect when a library is loaded, so they are set before.
ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS"), "1")

Task = TypeVar("Task")
Result = TypeVar("Result")


class Engine(Protocol):
    """Calls a function on each of many tasks, in some processes.

    The function is a module-level one, and tasks and results can be pickled: names, settings and
    counts, never candles. A task reads from and writes to the store itself, and may therefore run
    twice, or twice at once. `str` of a task is its name in messages.
    """

    def __enter__(self) -> Self:
        """Check that the engine can run; no process starts before the first `map`.

        Raises:
            SettingsError: Something that it needs is missing.
        """

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all processes that were started."""

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
            tasks: What to call it on.
            costs: An estimate of each task's CPU seconds: the costliest task starts first, and an engine may start no
                process for little work.
            done: Called in this process with each result as it arrives, in any order and on any thread.

        Raises:
            ChandleryError: What a task raised; of several, that of the first in the order of the tasks.
        """


def call_task(function: Callable[[Task], Result], task: Task) -> Result:
    """Call a function on a task, and turn whatever would end the process silently into an error of that task.

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
    """Return an error pickled, with its traceback as a note; as a RuntimeError of its text if it cannot be pickled."""
    host, trace = socket.gethostname(), traceback.format_exc()
    error.add_note(f"on {host}, process {os.getpid()}:\n{trace}")
    try:
        content = pickle.dumps(error)
        pickle.loads(content)  # an exception whose arguments differ from its parameters can be pickled, not unpickled
    except Exception:  # noqa: BLE001 - any class may fail here, in any way
        return pickle.dumps(RuntimeError(f"{error!r} on {host}:\n{trace}"))
    return content


def costliest_first(costs: Sequence[float]) -> list[int]:
    """Return the positions of tasks in the order in which they start.

    Example:
        >>> costliest_first([1.0, 3.0, 2.0, 3.0])
        [1, 3, 2, 0]
    """
    return sorted(range(len(costs)), key=lambda number: -costs[number])
