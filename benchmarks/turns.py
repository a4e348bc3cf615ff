"""Runs and those who have to read once more take turns."""

from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import SpawnContext


class Turns:
    """Whose turn it is: a run's, or theirs who have to read once more.

    Args:
        context: Of the processes that take turns.
    """

    def __init__(self, context: SpawnContext) -> None:
        self._changed, self._is_running, self._again = (
            context.Condition(),
            context.Value("b", 0, lock=False),
            context.Value("i", 0, lock=False),
        )

    @contextmanager
    def run(self) -> Iterator[None]:
        """Run within, once nobody reads once more."""
        with self._changed:
            self._changed.wait_for(lambda: not self._again.value)
            self._is_running.value = 1
        try:
            yield
        finally:
            with self._changed:
                self._is_running.value = 0
                self._changed.notify_all()

    @contextmanager
    def read_again(self) -> Iterator[None]:
        """Read once more within, once no run goes on."""
        with self._changed:
            self._again.value += 1
            self._changed.wait_for(lambda: not self._is_running.value)
        try:
            yield
        finally:
            with self._changed:
                self._again.value -= 1
                self._changed.notify_all()
