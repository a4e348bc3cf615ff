"""What an engine is."""

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Protocol, Self, TypeVar

__all__ = ["Engine"]

Task = TypeVar("Task")
Result = TypeVar("Result")


class Engine(Protocol):
    """Calls a function on each of many tasks, somewhere.

    The function is a module-level one, and tasks and results can be pickled: names, settings and
    counts, never candles. What a task reads and writes it reads from and writes to the store itself.
    """

    def __enter__(self) -> Self:
        """Make ready; costs nothing before the first `map`."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End all that was started."""

    def map(
        self,
        function: Callable[[Task], Result],
        tasks: Sequence[Task],
        cost_seconds: float,
        done: Callable[[Result], None],
    ) -> list[Result]:
        """Return the results in the order of the tasks.

        Args:
            function: What to call.
            tasks: What to call it on.
            cost_seconds: A rough guess of the CPU time of all tasks: small work is not worth a process.
            done: Called in this process with each result as it comes, in no certain order and on any thread.

        Raises:
            ChandleryError: What a task raised; of several, the first by order of the tasks.
        """
