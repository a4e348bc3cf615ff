"""The engine that runs tasks on the executors of a Spark cluster. PySpark is imported once there is a task to run.

A stage is one Spark job with a partition for each task. An executor's Python process reads and writes the store
itself, and returns a name and some counts: no candle passes through Spark or the driver.
"""

import pickle
import secrets
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from functools import partial
from importlib import import_module
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar, cast

from chandlery.engines.base import costliest_first
from chandlery.engines.spark_errors import explain
from chandlery.engines.spark_session import TRIES, complete_options, start_session
from chandlery.engines.spark_task import call_each, describe_packages
from chandlery.errors import SettingsError

if TYPE_CHECKING:
    from pyspark.accumulators import Accumulator, AccumulatorParam
    from pyspark.sql import DataFrame, Row, SparkSession

__all__ = ["SparkEngine"]

Task = TypeVar("Task")
Result = TypeVar("Result")

POLL_SECONDS = 0.2  # how late progress may be shown
SCHEMA = "number bigint, result binary, error binary"


class SparkEngine:
    """A `map` over the executors of a Spark session: the active one if there is one, else a session of the engine.

    Args:
        workers: Processes of the engine's session on this machine; 0 means one per core. A cluster has its own number.
        options: Of the engine's session, as in spark.master; without that it runs on this machine.
    """

    def __init__(self, workers: int, options: Mapping[str, str]) -> None:
        self._workers, self._options = workers, options
        self._session: SparkSession | None = None
        self._is_owner = False  # of the session: what the engine has not started it does not stop either

    def __enter__(self) -> Self:
        """Check everything that a session needs, before a run writes anything.

        Raises:
            SettingsError: PySpark, Java or the master is missing.
        """
        try:
            for name in ("pandas", "pyarrow"):  # mapInArrow imports them
                import_module(name)
            from pyspark import SparkContext  # noqa: PLC0415 - of the extra `spark`
        except ImportError as error:
            found, hint = f"{error.name} is not installed", "pip install 'chandlery[spark]'"
            raise SettingsError(found, "the extra `spark`", hint) from None
        # The public getActiveSession knows only the session that was started by the calling thread.
        self._is_owner = SparkContext._active_spark_context is None  # noqa: SLF001
        if self._is_owner:
            self._options = complete_options(self._options, self._workers)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None and self._is_owner:
            from py4j.protocol import Py4JError  # noqa: PLC0415 - of the extra `spark`

            with suppress(OSError, Py4JError):  # if its Java process has died, `map` has raised the consequence already
                self._session.stop()
        self._session = None

    @property
    def at_once(self) -> int:
        """How many tasks run at the same time, by Spark's own count of its cores."""
        return max(1, int(self._open().sparkContext.defaultParallelism))

    def map(
        self,
        function: Callable[[Task], Result],
        tasks: Sequence[Task],
        costs: Sequence[float],
        done: Callable[[Result], None],
    ) -> list[Result]:
        """Return the results in the order of the tasks; see `Engine.map`.

        Raises:
            SettingsError: The master refuses the session, or executors have another Python or other packages than this
                process.
            TransientError: Executors were lost more often than Spark tries again.
        """
        if not tasks:
            return []
        session = self._open()
        order = costliest_first(costs)
        envelopes = [pickle.dumps((function, tasks[number])) for number in order]
        try:
            accumulate = cast("AccumulatorParam[list[bytes]]", _Concatenation())
            finished = session.sparkContext.accumulator([], accumulate)
            # The last of Spark's tries reports how often the task was lost, instead of running it.
            tries = int(session.sparkContext.getConf().get("spark.task.maxFailures") or TRIES) - 1
            run = partial(call_each, envelopes, describe_packages(), finished, tries)
            job = session.range(len(order), numPartitions=len(order)).mapInArrow(run, SCHEMA)
        except Exception as error:  # other code in this process may have stopped the session
            raise explain(error, []) from error
        group, description = f"chandlery-{secrets.token_hex(4)}", f"{function.__module__}.{function.__name__}"
        collect = partial(_collect, job, group, description, [str(tasks[number]) for number in order])
        rows = _follow(session, group, collect, finished, done)
        failed = sorted((order[row.number], row.error) for row in rows if row.error is not None)
        if failed:
            raise pickle.loads(failed[0][1])
        return [pickle.loads(result) for _, result in sorted((order[row.number], row.result) for row in rows)]

    def _open(self) -> "SparkSession":
        from pyspark.sql import SparkSession  # noqa: PLC0415 - of the extra `spark`

        if self._session is None:
            self._session = (
                start_session(self._options)
                if self._is_owner
                else SparkSession.getActiveSession() or SparkSession.Builder().getOrCreate()
            )
        return self._session


class _Concatenation:
    """How Spark adds up the lists of pickled results that tasks report."""

    def zero(self, value: list[bytes]) -> list[bytes]:
        """Return an empty list."""
        del value
        return []

    def addInPlace(self, results: list[bytes], fresh: list[bytes]) -> list[bytes]:  # noqa: N802 - Spark's own name
        """Return both lists in one."""
        results.extend(fresh)
        return results


def _collect(job: "DataFrame", group: str, description: str, names: list[str]) -> "list[Row]":
    """Run a job; called on its own thread, since group and description hold for all jobs of a thread."""
    job.sparkSession.sparkContext.setJobGroup(group, description, interruptOnCancel=True)
    try:
        return job.collect()
    except Exception as error:
        raise explain(error, names) from error


def _follow(
    session: "SparkSession",
    group: str,
    collect: Callable[[], "list[Row]"],
    finished: "Accumulator[list[bytes]]",
    done: Callable[[Result], None],
) -> "list[Row]":
    """Run a job and call `done` with each result as its task ends; an error raised here cancels the job."""
    count = 0
    with ThreadPoolExecutor(1) as thread:
        job = thread.submit(collect)
        try:
            while True:
                ended = wait([job], POLL_SECONDS).done
                fresh = finished.value[count:]
                count += len(fresh)
                for result in fresh:
                    done(pickle.loads(result))
                if ended:
                    return job.result()
        finally:
            if not job.done():
                session.sparkContext.cancelJobGroup(group)
