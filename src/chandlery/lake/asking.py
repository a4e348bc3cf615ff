"""Several requests at a time: to a bucket, each takes long and costs little."""

import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from chandlery.lake.location import Location

__all__ = ["Asking"]

AT_ONCE = 8  # concurrent requests of one task
MOST_BEHIND = 3  # requests that run in the background while a task computes: each holds its content in memory
Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Asking(Location):
    """A location whose requests are sent by several threads where it is a bucket, and by none where it is a folder."""

    def ask_ahead(
        self, function: Callable[[Item], Answer], items: Iterable[Item], at_once: int = AT_ONCE
    ) -> Iterator[Answer]:
        """Yield the result of a function for each item, in order.

        The function sends requests to this store. If the store is remote, threads compute the next few results in
        advance.

        Args:
            function: Called with each item.
            items: The items, in order.
            at_once: How many results are computed in advance.
        """
        if self.is_local:
            yield from map(function, items)
            return
        asked: deque[Future[Answer]] = deque()
        with ThreadPoolExecutor(at_once) as threads:
            for item in items:
                asked.append(threads.submit(function, item))
                if len(asked) > at_once:
                    yield asked.popleft().result()
            while asked:
                yield asked.popleft().result()

    def together(self, *calls: Callable[[], Any]) -> tuple[Any, ...]:
        """Return the results of calls that send requests to this store, in order; concurrently for a remote store."""
        return tuple(self.ask_ahead(lambda call: call(), calls))

    @contextlib.contextmanager
    def behind(self) -> Iterator[Callable[[Callable[[], Any]], None]]:
        """Yield a function that executes calls to this store, in the background if the store is remote.

        The block ends when all calls have ended. An exception of a call is raised by then at the latest.
        """
        if self.is_local:
            yield lambda call: call()
            return
        asked: deque[Future[Any]] = deque()
        with ThreadPoolExecutor(MOST_BEHIND) as threads:

            def ask(call: Callable[[], Any]) -> None:
                asked.append(threads.submit(call))
                if len(asked) > MOST_BEHIND:
                    asked.popleft().result()

            yield ask
            while asked:
                asked.popleft().result()
