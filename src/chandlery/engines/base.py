"""What an engine is."""

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Protocol, Self, TypeVar

from chandlery.errors import SettingsError

__all__ = ["ONE_THREAD", "Engine", "call_task", "costliest_first"]

ONE_THREAD = dict.fromkeys(
    ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS"), "1"
)  # in the environment of each process

Task = TypeVar("Task")
Result = TypeVar("Result")


class Engine(Protocol):
    """Calls a function on each of many tasks, somewhere.

    The function is a module-level one, and tasks and results can be pickled: names, settings and
    counts, never candles. What a task reads and writes it reads from and writes to the store itself,
    so that it may be done twice, or twice at once. `str` of a task names it to people.
    """

    def __enter__(self) -> Self:
        """Look whether there is all that it wants; no process starts before the first `map`.

        Raises:
            SettingsError: There is not.
        """

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all that was started."""

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
            costs: A rough guess of each task's CPU seconds: the costliest begins first, and small work is not worth a process.
            done: Called in this process with each result as it comes, in no certain order and on any thread.

        Raises:
            ChandleryError: What a task raised; of several, the first by order of the tasks.
        """


def call_task(function: Callable[[Task], Result], task: Task) -> Result:
    """Return what a function returns for a task; what would end the process in silence is an error of that task.

    Raises:
        SettingsError: Something in it exits, or a library gave up.
    """
    try:
        return function(task)
    except (Exception, KeyboardInterrupt):
        raise
    except BaseException as error:
        found = f"{task} would end its process by {type(error).__name__}: {str(error)[:300]}"
        raise SettingsError(
            found,
            "a task that goes on",
            "files of one's own must not call sys.exit: raise an exception there; if there are none, report this",
        ) from error


def costliest_first(costs: Sequence[float]) -> list[int]:
    """Return the numbers of tasks in the order in which they begin.

    Example:
        >>> costliest_first([1.0, 3.0, 2.0, 3.0])
        [1, 3, 2, 0]
    """
    return sorted(range(len(costs)), key=lambda number: -costs[number])
