"""Executors of a Spark cluster: the only room that imports PySpark, and only once there is work.

A stage is one job with a partition a task. An executor's Python process opens the task, reads and writes
the store itself, and hands back a name and some counts: no candle passes through Spark or the driver.
"""

import os
import pickle
import re
import shutil
import socket
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from threadpoolctl import threadpool_limits

from chandlery.engines.base import ONE_THREAD, costliest_first
from chandlery.errors import ChandleryError, SettingsError, TransientError
from chandlery.memory import keep_freed_memory

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.accumulators import Accumulator
    from pyspark.sql import Row, SparkSession

__all__ = ["SparkEngine"]

Task = TypeVar("Task")
Result = TypeVar("Result")

POLL_SECONDS = 0.2
SCHEMA = "number bigint, result binary, error binary"
SAME_EVERYWHERE = ("chandlery", "numpy", "numba", "polars", "lightgbm", "obstore")  # what the bytes of tables depend on
DEFAULTS = {
    "spark.app.name": "chandlery",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile={Path(__file__).with_name('log4j2.properties').as_uri()}",
    "spark.speculation": "true",  # a second copy of a task does no harm: every write is whole, and the same
    "spark.speculation.minTaskRuntime": "2min",
    "spark.speculation.multiplier": "4",
    "spark.speculation.task.duration.threshold": "30min",
    **{f"spark.executorEnv.{name}": value for name, value in ONE_THREAD.items()},
}
ONE_MACHINE = {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1", "spark.ui.enabled": "false"}
LOST_TASK = re.compile(r"Task (\d+) in stage \S+ failed (\d+) times, most recent failure: (.*?)(?:\n|$)")
NO_JAVA = "Java is not installed, or JAVA_HOME names no Java"


class SparkEngine:
    """A `map` over the executors of a Spark session: the one that is there, else one of its own.

    Args:
        workers: Processes of a session of its own on this machine; 0 means one a core. A cluster has its own number.
        options: Of a session of its own, as in spark.master; without that it is on this machine.
    """

    def __init__(self, workers: int, options: Mapping[str, str]) -> None:
        self._workers, self._options = workers, options
        self._session: SparkSession | None = None
        self._stops = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._session is not None and self._stops:
            self._session.stop()
        self._session = None

    def map(
        self,
        function: Callable[[Task], Result],
        tasks: Sequence[Task],
        costs: Sequence[float],
        done: Callable[[Result], None],
    ) -> list[Result]:
        """Return the results in the order of the tasks; see `Engine.map`.

        Raises:
            SettingsError: There is no PySpark, Java or master; or executors have another Python or other packages than this process.
            TransientError: Executors were lost more often than Spark tries again.
        """
        if not tasks:
            return []
        session = self._open()
        order = costliest_first(costs)
        envelopes = [pickle.dumps((function, tasks[number])) for number in order]
        told: Accumulator[list[bytes]] = session.sparkContext.accumulator([], cast(Any, _Told()))
        job = session.range(len(order), numPartitions=len(order)).mapInArrow(partial(call_each, envelopes, describe_packages(), told), SCHEMA)
        rows = self._collect(session, partial(_collect_job, session, job.collect, f"{function.__module__}.{function.__name__}"), told, done, [str(tasks[number]) for number in order])
        failed = sorted((order[row.number], row.error) for row in rows if row.error is not None)
        if failed:
            raise pickle.loads(failed[0][1])
        return [pickle.loads(result) for _, result in sorted((order[row.number], row.result) for row in rows)]

    def _collect(self, session: "SparkSession", collect: Callable[[], "list[Row]"], told: "Accumulator[Any]", done: Callable[[Result], None], names: list[str]) -> "list[Row]":
        """Wait for a job, and tell of each task as it ends."""
        count = 0
        with ThreadPoolExecutor(1) as thread:
            job = thread.submit(collect)
            try:
                while True:
                    ended = wait([job], POLL_SECONDS).done
                    fresh = told.value[count:]
                    count += len(fresh)
                    for result in fresh:
                        done(pickle.loads(result))
                    if ended:
                        return job.result()
            except ChandleryError:
                raise
            except Exception as error:
                raise explain(error, names) from error
            finally:
                if not job.done():
                    session.sparkContext.cancelAllJobs()

    def _open(self) -> "SparkSession":
        if self._session is None:
            try:
                from pyspark.sql import SparkSession  # noqa: PLC0415 - the extra `spark`
            except ImportError:
                raise SettingsError("PySpark is not installed", "the extra `spark`", "pip install 'chandlery[spark]'") from None
            there = SparkSession.getActiveSession()
            self._stops = there is None
            self._session = there or self._start()
        return self._session

    def _start(self) -> "SparkSession":
        """Start a session of its own.

        Raises:
            SettingsError: There is no Java, or no master answers.
        """
        from pyspark.sql import SparkSession  # noqa: PLC0415

        submitted = "PYSPARK_GATEWAY_PORT" in os.environ  # by spark-submit, with a master and a Java of its own
        options = {**DEFAULTS, **self._options}
        if not submitted:
            require_java()
            options.setdefault("spark.master", f"local[{self._workers or '*'}]")
            if options["spark.master"].startswith("local"):
                options = {**ONE_MACHINE, **options}
                for name, value in {**ONE_THREAD, "PYSPARK_PYTHON": sys.executable}.items():
                    os.environ.setdefault(name, value)  # its Python processes inherit it
        builder = SparkSession.Builder()
        for name, value in options.items():
            builder = builder.config(name, value)
        try:
            return builder.getOrCreate()
        except Exception as error:
            raise SettingsError(f"no Spark session: {first_line(error)}", "a master that answers", "check [engine.spark] spark.master, and the log above") from error


class _Told:
    """Adds up what tasks have returned, as it comes."""

    def zero(self, value: list[bytes]) -> list[bytes]:
        """Return nothing yet."""
        del value
        return []

    def addInPlace(self, told: list[bytes], fresh: list[bytes]) -> list[bytes]:  # noqa: N802 - Spark's own name
        """Return what was told, and what is fresh."""
        told.extend(fresh)
        return told


def _collect_job(session: "SparkSession", collect: Callable[[], "list[Row]"], name: str) -> "list[Row]":
    session.sparkContext.setJobDescription(name)  # of the jobs of this thread
    return collect()


def call_each(envelopes: list[bytes], packages: dict[str, str], told: "Accumulator[Any]", batches: "Iterable[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
    """Do the tasks whose numbers come, on an executor; yield a row of each: its number, and its result or its error."""
    import pyarrow as pa  # noqa: PLC0415 - it comes with the extra

    for batch in batches:
        for number in batch.column(0).to_pylist():
            result, error = call_one(envelopes[number], packages)
            if result is not None:
                told.add([result])
            columns = [pa.array([number], pa.int64()), pa.array([result], pa.binary()), pa.array([error], pa.binary())]
            yield pa.RecordBatch.from_arrays(columns, ["number", "result", "error"])


def call_one(envelope: bytes, packages: dict[str, str]) -> tuple[bytes | None, bytes | None]:
    """Do one task; return its result or its error, pickled."""
    keep_freed_memory()
    try:
        compare_packages(packages)
        function, task = pickle.loads(envelope)
        with threadpool_limits(1, "blas"):
            return pickle.dumps(function(task)), None
    except Exception as error:  # noqa: BLE001 - raised again by the driver
        error.add_note(f"on {socket.gethostname()}, process {os.getpid()}:\n{traceback.format_exc()}")
        try:
            return None, pickle.dumps(error)
        except Exception:  # noqa: BLE001 - what holds on to something that stays here
            return None, pickle.dumps(RuntimeError(f"{error!r} on {socket.gethostname()}:\n{traceback.format_exc()}"))


@cache
def describe_packages() -> dict[str, str]:
    """Return the versions that the bytes of tables depend on."""
    found = {}
    for name in SAME_EVERYWHERE:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "none"
    return found


def compare_packages(wanted: dict[str, str]) -> None:
    """Make sure that this process has the packages that the driver has.

    Raises:
        SettingsError: It has others.
    """
    here = describe_packages()
    if other := [f"{name} {here[name]} for {wanted[name]}" for name in wanted if here[name] != wanted[name]]:
        raise SettingsError(f"an executor on {socket.gethostname()} has {', '.join(other)}", "the driver's versions", "install the same packages on every worker, or ship an archive by spark.archives")


def require_java() -> None:
    """Make sure that there is a Java.

    Raises:
        SettingsError: There is none.
    """
    home = os.environ.get("JAVA_HOME")
    if not (Path(home, "bin", "java").exists() if home else shutil.which("java")):
        raise SettingsError(NO_JAVA, "Java 17 or later", "install it (on Debian: apt install openjdk-17-jre-headless), or use --engine local")


def explain(error: Exception, names: list[str]) -> ChandleryError:
    """Return what a failed job means.

    Args:
        error: As PySpark raises it.
        names: Of the tasks, in the order of the partitions.
    """
    text = str(error)
    if "PYTHON_VERSION_MISMATCH" in text:
        versions = re.findall(r"\b3\.\d+\b", text)
        return SettingsError(f"executors run Python {' and the driver '.join(versions[:2])}", "one version of Python", "set PYSPARK_PYTHON to a Python that every worker has")
    if missing := re.search(r"No module named '([\w.]+)'", text):
        return SettingsError(f"executors have no package {missing[1]}", "the driver's packages", "install chandlery[spark] on every worker, or ship an archive by spark.archives")
    if "Cannot run program" in text:
        return SettingsError(f"executors find no Python: {first_line(error)}", "one that every worker has", "set PYSPARK_PYTHON")
    if lost := LOST_TASK.search(text):
        name = names[int(lost[1])] if int(lost[1]) < len(names) else f"task {lost[1]}"
        return TransientError(f"{name} was lost {lost[2]} times, the last time so: {lost[3].strip()}", "", "run again; if it happens again, give executors more memory (spark.executor.memoryOverhead), or fewer cores each")
    return TransientError(f"Spark gave up: {first_line(error)}", "", "look at the driver's log, and run again: nothing is lost")


def first_line(error: Exception) -> str:
    """Return the first line of an error that says something."""
    lines = (line.strip() for line in str(error).splitlines())
    return next((line for line in lines if line and not line.endswith(":")), type(error).__name__)[:300]
