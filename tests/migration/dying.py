"""A command that kills its own process at one of its writes: `dying.py AT WHEN COMMAND…`, WHEN being before or after.

It is a real SIGKILL: no `finally` block runs, nothing is flushed, and locks are left to the system.
"""

import functools
import itertools
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

from interruption import public_methods, writing_methods

from chandlery.commands.cli import main
from chandlery.lake.store import Store


def mortal(method: Callable[..., Any], counter: Callable[[], int], at: int, *, after: bool) -> Callable[..., Any]:
    """Return a method of a store that kills the process when it is called as a write for the so manyth time."""
    inner = threading.local()

    @functools.wraps(method)
    def call(*args: Any, **named: Any) -> Any:
        if getattr(inner, "depth", 0):  # a write that is made of others counts once
            return method(*args, **named)
        is_last = counter() == at
        if is_last and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        inner.depth = 1
        try:
            return method(*args, **named)
        finally:
            inner.depth = 0
            if is_last:
                os.kill(os.getpid(), signal.SIGKILL)

    return call


if __name__ == "__main__":
    at, when, *command = sys.argv[1:]
    numbers = itertools.count(1)
    for name in {*writing_methods()} - {"ask_ahead", "behind", "together", "folders", "differs"}:
        setattr(Store, name, mortal(public_methods()[name], numbers.__next__, int(at), after=when == "after"))
    sys.argv[1:] = command
    main()
