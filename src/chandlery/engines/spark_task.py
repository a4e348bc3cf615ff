"""What runs on Spark's executors: one task after the other, in a Python process of an executor."""

import pickle
import socket
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, cast

from threadpoolctl import threadpool_limits

from chandlery.engines.base import call_task, pickle_error
from chandlery.engines.spark_errors import MORE_MEMORY, ON_EVERY_WORKER
from chandlery.errors import SettingsError, TransientError
from chandlery.machine.libraries import exact_versions
from chandlery.machine.memory import keep_freed_memory

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.accumulators import Accumulator

__all__ = ["call_each", "describe_packages"]


def call_each(
    envelopes: list[bytes],
    packages: dict[str, str],
    finished: "Accumulator[Any]",
    tries: int,
    batches: "Iterable[pa.RecordBatch]",
) -> "Iterator[pa.RecordBatch]":
    """Run the tasks whose numbers arrive; yield a row for each: its number, and its result or its error.

    Args:
        envelopes: The function and the task of each, pickled.
        packages: Those of the driver.
        finished: Collects the results for the driver as they arrive, before the job ends.
        tries: How often Spark runs a lost task, less one: the last try reports the loss instead of running the task.
        batches: The numbers of the tasks.
    """
    import pyarrow as pa  # noqa: PLC0415 - of the extra `spark`
    from pyspark import TaskContext  # noqa: PLC0415 - likewise

    context = TaskContext.get()
    losses = context.attemptNumber() if context else 0
    for batch in batches:
        for number in batch.column(0).to_pylist():
            result, error = call_one(envelopes[number], packages, losses if 0 < tries <= losses else 0)
            if result is not None:
                finished.add([result])
            columns = [pa.array([number], pa.int64()), pa.array([result], pa.binary()), pa.array([error], pa.binary())]
            yield pa.RecordBatch.from_arrays(columns, ["number", "result", "error"])


def call_one(envelope: bytes, packages: dict[str, str], losses: int) -> tuple[bytes | None, bytes | None]:
    """Run one task; return its result or its error, pickled.

    Args:
        envelope: The function and the task, pickled.
        packages: Those of the driver.
        losses: How often the task was lost, if it is not to be tried again; else 0.
    """
    keep_freed_memory()
    task = cast(Any, "a task")
    try:
        compare_packages(packages)
        function, task = pickle.loads(envelope)
        if losses:
            found = f"{task} was lost {losses} times: its Python process or its executor was ended from outside"
            raise TransientError(f"{found}, or crashed", "", MORE_MEMORY)
        with threadpool_limits(1, "blas"):
            return pickle.dumps(call_task(function, task)), None
    except MemoryError:
        found = f"{task} found no memory left on {socket.gethostname()}"
        return None, pickle.dumps(TransientError(found, "", MORE_MEMORY))
    except Exception as error:  # noqa: BLE001 - raised again by the driver
        return None, pickle_error(error)


def describe_packages() -> dict[str, str]:
    """Return the versions of the packages that must be the same in every process of a run."""
    return exact_versions("chandlery", "obstore")


def compare_packages(wanted: dict[str, str]) -> None:
    """Check that this process has the driver's packages.

    Raises:
        SettingsError: It has other versions.
    """
    here = describe_packages()
    if other := [f"{name} {here[name]} for {wanted[name]}" for name in wanted if here[name] != wanted[name]]:
        found = f"an executor on {socket.gethostname()} has {', '.join(other)}"
        raise SettingsError(found, "the driver's versions", f"install the same packages {ON_EVERY_WORKER}")
