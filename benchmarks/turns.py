"""Turns of runs and of readers that retry."""

from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import SpawnContext


class Turns:
    """Keeps runs and retried reads apart: many retries may go on at once, and a run only while there is none.

    Args:
        context: Of the processes that share it.
    """

    def __init__(self, context: SpawnContext) -> None:
        self._changed, self._is_running, self._again = (
            context.Condition(),
            context.Value("b", 0, lock=False),
            context.Value("i", 0, lock=False),
        )

    @contextmanager
    def run(self) -> Iterator[None]:
        """Enter the block of a run once no retry goes on."""
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
        """Enter the block of a retry once no run goes on."""
        with self._changed:
            self._again.value += 1
            self._changed.wait_for(lambda: not self._is_running.value)
        try:
            yield
        finally:
            with self._changed:
                self._again.value -= 1
                self._changed.notify_all()
