"""Engines run tasks: an engine is a `map` over tasks, whatever their stage."""

from collections.abc import Mapping

from chandlery.engines.base import Engine
from chandlery.engines.local import LocalEngine
from chandlery.engines.spark import SparkEngine
from chandlery.errors import SettingsError

__all__ = ["Engine", "LocalEngine", "SparkEngine", "open_engine"]


def open_engine(name: str, workers: int, spark: Mapping[str, str]) -> Engine:
    """Return the engine of that name; no process starts before the first `map`.

    Args:
        name: local or spark.
        workers: Processes; 0 means one per core.
        spark: Options of a Spark session, as in spark.master.

    Raises:
        SettingsError: There is no such engine.
    """
    match name:
        case "local":
            return LocalEngine(workers)
        case "spark":
            return SparkEngine(workers, spark)
    raise SettingsError(f"engine {name!r}", "local or spark", "set [engine] name")
