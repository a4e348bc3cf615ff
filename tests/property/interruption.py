"""Runs that are killed at one of their writes: nothing reaches the store afterwards, not even from a `finally` block.

benchmarks/kills.py kills real processes; here the run stops within this process, at a hundredth of the cost.
"""

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from chandlery.lake.store import Store

READING = (
    "ask",
    "get",
    "head",
    "list",
    "now",
    "open",
    "read",
    "scan",
    "view",
)  # any other public method counts as a write


class KilledError(KeyboardInterrupt):
    """Raised by every call of a store once the run is dead; engines let a KeyboardInterrupt through."""


@dataclass
class Kill:
    """A planned kill.

    Args:
        at: At which write, from 1.
        applied: Whether that write still reaches the store.
        names: The writes so far: the method, and the path if it is given one.
    """

    at: int
    applied: bool
    names: list[str] = field(default_factory=list)
    writes: int = 0
    depth: int = 0
    dead: bool = False


def public_methods() -> dict[str, Callable[..., Any]]:
    """Return the methods of a store by name."""
    return {
        name: method for name, method in vars(Store).items() if inspect.isfunction(method) and not name.startswith("_")
    }


def writing_methods() -> list[str]:
    """Return the names of the methods of a store that may change it."""
    return [name for name in public_methods() if not name.startswith(READING)]


@contextmanager
def killed(kill: Kill) -> Iterator[None]:
    """Kill the block at a write; a block with fewer writes ends undisturbed."""
    methods, writing = public_methods(), writing_methods()
    try:
        for name, method in methods.items():
            setattr(Store, name, _mortal(kill, method, counts=name in writing))
        yield
    except KilledError:
        pass
    finally:
        for name, method in methods.items():
            setattr(Store, name, method)


def _mortal(kill: Kill, method: Callable[..., Any], *, counts: bool) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(*args: Any, **named: Any) -> Any:
        if kill.dead:
            raise KilledError
        is_write = counts and kill.depth == 0  # a write that is made of others counts once
        kill.writes += is_write
        if is_write:
            kill.names.append(" ".join([method.__name__, *(found for found in args[1:2] if isinstance(found, str))]))
        is_last = is_write and kill.writes == kill.at
        if is_last and not kill.applied:
            kill.dead = True
            raise KilledError
        kill.depth += counts
        try:
            result = method(*args, **named)
        finally:
            kill.depth -= counts
        if is_last:
            kill.dead = True
            raise KilledError
        return result

    return call
