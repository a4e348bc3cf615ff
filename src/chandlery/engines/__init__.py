"""Where the work is done: an engine is a `map` over tasks, and knows no stage."""

from chandlery.engines.base import Engine
from chandlery.engines.local import LocalEngine
from chandlery.errors import SettingsError

__all__ = ["Engine", "LocalEngine", "open_engine"]

ENGINES = {"local": LocalEngine}


def open_engine(name: str, workers: int) -> Engine:
    """Return the engine of that name; its processes start with the first task that is worth it.

    Raises:
        SettingsError: There is no such engine.
    """
    if name not in ENGINES:
        raise SettingsError(f"engine {name!r}", f"one of {', '.join(ENGINES)}", "set [engine] name")
    return ENGINES[name](workers)
