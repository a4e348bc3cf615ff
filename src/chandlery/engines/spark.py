"""Executors of a Spark cluster: the only room that imports PySpark, and only once there is work.

A stage is one job with a partition a task. An executor's Python process opens the task, reads and writes
the store itself, and hands back a name and some counts: no candle passes through Spark or the driver.
"""

import os
import pickle
import re
import secrets
import shutil
import socket
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from threadpoolctl import threadpool_limits

from chandlery.engines.base import ONE_THREAD, call_task, costliest_first
from chandlery.errors import ChandleryError, SettingsError, TransientError
from chandlery.machine.libraries import exact_versions
from chandlery.machine.memory import keep_freed_memory

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.accumulators import Accumulator
    from pyspark.sql import DataFrame, Row, SparkSession

__all__ = ["SparkEngine"]

Task = TypeVar("Task")
Result = TypeVar("Result")

POLL_SECONDS = 0.2
TRIES = 4  # of Spark, where nothing is said
SCHEMA = "number bigint, result binary, error binary"
QUICK_JAVA = "-XX:TieredStopAtLevel=1"  # it does little, and starts in half the time
DEFAULTS = {
    "spark.app.name": "chandlery",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.extraJavaOptions": f"{QUICK_JAVA} -Dlog4j2.configurationFile={Path(__file__).with_name('log4j2.properties').as_uri()}",
    "spark.executor.extraJavaOptions": QUICK_JAVA,
    "spark.speculation": "true",  # a second copy of a task does no harm: every write is whole, and the same
    "spark.speculation.minTaskRuntime": "2min",
    "spark.speculation.multiplier": "4",
    "spark.speculation.task.duration.threshold": "30min",
    **{f"spark.executorEnv.{name}": value for name, value in ONE_THREAD.items()},
}
ONE_MACHINE = {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1", "spark.ui.enabled": "false"}
MASTER = re.compile(
    r"local(\[([1-9]\d*|\*)(,\d+)?\])?|local-cluster\[\d+,\d+,\d+\]|spark://[^:/\s,]+:\d+(,[^:/\s,]+:\d+)*|yarn|k8s://\S+"
)
LOST_TASK = re.compile(r"Task (\d+) in stage \S+ failed (\d+) times, most recent failure: (.*?)(?:\n|$)")
MORE_MEMORY = "run again; if it happens again, give executors more memory (spark.executor.pyspark.memory or memoryOverhead), or fewer cores each"
PYTHON_HINT = "set PYSPARK_PYTHON to a Python that every worker has"
REACH_SECONDS = 5.0
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
        """Look for all that a session wants, before anything is written for its sake.

        Raises:
            SettingsError: There is no PySpark, Java or master.
        """
        try:
            for name in ("pandas", "pyarrow"):  # what mapInArrow wants
                import_module(name)
            from pyspark import SparkContext  # noqa: PLC0415 - of the extra `spark`
        except ImportError as error:
            raise SettingsError(
                f"{error.name} is not installed", "the extra `spark`", "pip install 'chandlery[spark]'"
            ) from None
        self._stops = SparkContext._active_spark_context is None  # noqa: SLF001 - a session is active in the thread alone that made it, and PySpark has no other way to ask
        if self._stops:
            self._options = complete_options(self._options, self._workers)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None and self._stops:
            from py4j.protocol import Py4JError  # noqa: PLC0415 - of the extra `spark`

            with suppress(OSError, Py4JError):  # its Java may be what has died: what that led to is told already
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
            SettingsError: The master takes no session; or executors have another Python or other packages than this process.
            TransientError: Executors were lost more often than Spark tries again.
        """
        if not tasks:
            return []
        session = self._open()
        order = costliest_first(costs)
        envelopes = [pickle.dumps((function, tasks[number])) for number in order]
        try:
            told: Accumulator[list[bytes]] = session.sparkContext.accumulator([], cast(Any, _Told()))
            tries = (
                int(session.sparkContext.getConf().get("spark.task.maxFailures") or TRIES) - 1
            )  # the last one says what became of the others
            job = session.range(len(order), numPartitions=len(order)).mapInArrow(
                partial(call_each, envelopes, describe_packages(), told, tries), SCHEMA
            )
        except Exception as error:  # the session was stopped by somebody else
            raise explain(error, []) from error
        group = f"chandlery-{secrets.token_hex(4)}"
        collect = partial(
            _collect, job, group, f"{function.__module__}.{function.__name__}", [str(tasks[number]) for number in order]
        )
        rows = _follow(session, group, collect, told, done)
        failed = sorted((order[row.number], row.error) for row in rows if row.error is not None)
        if failed:
            raise pickle.loads(failed[0][1])
        return [pickle.loads(result) for _, result in sorted((order[row.number], row.result) for row in rows)]

    def _open(self) -> "SparkSession":
        from pyspark.sql import SparkSession  # noqa: PLC0415 - of the extra `spark`

        if self._session is None:
            self._session = (
                start_session(self._options)
                if self._stops
                else SparkSession.getActiveSession() or SparkSession.Builder().getOrCreate()
            )
        return self._session


def complete_options(options: Mapping[str, str], workers: int) -> dict[str, str]:
    """Return all options of a session.

    Raises:
        SettingsError: There is no Java, no such kind of master, or nothing answers there.
    """
    options = {**DEFAULTS, **options}
    if "PYSPARK_GATEWAY_PORT" in os.environ:  # by spark-submit, with a master and a Java of its own
        return options
    require_java()
    master = options.setdefault("spark.master", f"local[{workers or '*'},{TRIES}]")
    if not MASTER.fullmatch(master):
        raise SettingsError(
            f"spark.master {master!r}",
            "local[2], spark://host:7077, yarn or k8s://…",
            "mend [engine.spark] spark.master",
        )
    if master == "yarn" and not {"HADOOP_CONF_DIR", "YARN_CONF_DIR"} & os.environ.keys():
        raise SettingsError(
            "spark.master 'yarn' without HADOOP_CONF_DIR",
            "the folder of YARN's settings",
            "set HADOOP_CONF_DIR, or start by spark-submit",
        )
    if master.startswith("spark://"):
        reach_one(master)
    return {**ONE_MACHINE, **options} if master.startswith("local") else options


def reach_one(master: str) -> None:
    """Make sure that one of a cluster's masters answers: Spark itself asks for a minute, and then speaks of a stopped context.

    Raises:
        SettingsError: None does.
    """
    for host, port in re.findall(r"([^/:,]+):(\d+)", master):
        with suppress(OSError, OverflowError), socket.create_connection((host, int(port)), REACH_SECONDS):
            return
    raise SettingsError(
        f"nothing answers at {master}", "a master that runs", "start it, or mend [engine.spark] spark.master"
    )


def start_session(options: Mapping[str, str]) -> "SparkSession":
    """Start a session.

    Raises:
        SettingsError: The master or Java does not take it.
    """
    from pyspark.sql import SparkSession  # noqa: PLC0415 - of the extra `spark`

    master = options.get("spark.master", "the master of spark-submit")
    if "spark.master" in options and "spark.pyspark.python" in options:
        os.environ["PYSPARK_PYTHON"] = options["spark.pyspark.python"]
    if master.startswith("local"):
        for name, value in {**ONE_THREAD, "PYSPARK_PYTHON": sys.executable}.items():
            os.environ.setdefault(name, value)  # its Python processes inherit it
    builder = SparkSession.Builder()
    for name, value in options.items():
        builder = builder.config(name, value)
    try:
        return builder.getOrCreate()
    except Exception as error:
        raise SettingsError(
            f"no Spark session at {master}: {first_line(error)}",
            "a Java, a master and options that Spark takes",
            "mend [engine.spark]; the log above says more",
        ) from error


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


def _collect(job: "DataFrame", group: str, description: str, names: list[str]) -> "list[Row]":
    """Do a job; called on a thread of its own, whose jobs have that group and description."""
    job.sparkSession.sparkContext.setJobGroup(group, description, interruptOnCancel=True)
    try:
        return job.collect()
    except Exception as error:
        raise explain(error, names) from error


def _follow(
    session: "SparkSession",
    group: str,
    collect: Callable[[], "list[Row]"],
    told: "Accumulator[list[bytes]]",
    done: Callable[[Result], None],
) -> "list[Row]":
    """Wait for a job, and tell of each task as it ends; what goes wrong here ends the job there."""
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
        finally:
            if not job.done():
                session.sparkContext.cancelJobGroup(group)


def call_each(
    envelopes: list[bytes],
    packages: dict[str, str],
    told: "Accumulator[Any]",
    tries: int,
    batches: "Iterable[pa.RecordBatch]",
) -> "Iterator[pa.RecordBatch]":
    """Do the tasks whose numbers come, on an executor; yield a row of each: its number, and its result or its error."""
    import pyarrow as pa  # noqa: PLC0415 - it comes with the extra
    from pyspark import TaskContext  # noqa: PLC0415 - likewise

    context = TaskContext.get()
    losses = context.attemptNumber() if context else 0
    for batch in batches:
        for number in batch.column(0).to_pylist():
            result, error = call_one(envelopes[number], packages, losses if 0 < tries <= losses else 0)
            if result is not None:
                told.add([result])
            columns = [pa.array([number], pa.int64()), pa.array([result], pa.binary()), pa.array([error], pa.binary())]
            yield pa.RecordBatch.from_arrays(columns, ["number", "result", "error"])


def call_one(envelope: bytes, packages: dict[str, str], losses: int) -> tuple[bytes | None, bytes | None]:
    """Do one task; return its result or its error, pickled.

    Args:
        envelope: The function and the task.
        packages: Those of the driver.
        losses: How often it was lost, where that is too often to try it once more.
    """
    keep_freed_memory()
    host, task = socket.gethostname(), cast(Any, "a task")
    try:
        compare_packages(packages)
        function, task = pickle.loads(envelope)
        if losses:
            raise TransientError(
                f"{task} was lost {losses} times: its Python process or its executor was ended from outside, or crashed",
                "",
                MORE_MEMORY,
            )
        with threadpool_limits(1, "blas"):
            return pickle.dumps(call_task(function, task)), None
    except MemoryError:
        return None, pickle.dumps(TransientError(f"{task} found no memory left on {host}", "", MORE_MEMORY))
    except Exception as error:  # noqa: BLE001 - raised again by the driver
        error.add_note(f"on {host}, process {os.getpid()}:\n{traceback.format_exc()}")
        try:
            content = pickle.dumps(error)
            pickle.loads(content)
        except Exception:  # noqa: BLE001 - what holds on to something that stays here, or cannot be made anew of its arguments
            content = pickle.dumps(RuntimeError(f"{error!r} on {host}:\n{traceback.format_exc()}"))
        return None, content


def describe_packages() -> dict[str, str]:
    """Return the versions that every process of a run must share."""
    return exact_versions("chandlery", "obstore")


def compare_packages(wanted: dict[str, str]) -> None:
    """Make sure that this process has the packages that the driver has.

    Raises:
        SettingsError: It has others.
    """
    here = describe_packages()
    if other := [f"{name} {here[name]} for {wanted[name]}" for name in wanted if here[name] != wanted[name]]:
        raise SettingsError(
            f"an executor on {socket.gethostname()} has {', '.join(other)}",
            "the driver's versions",
            "install the same packages on every worker, or ship an archive by spark.archives",
        )


def require_java() -> None:
    """Make sure that there is a Java.

    Raises:
        SettingsError: There is none.
    """
    home = os.environ.get("JAVA_HOME")
    if not shutil.which(Path(home, "bin", "java") if home else "java"):
        raise SettingsError(
            NO_JAVA,
            "Java 17 or later",
            "install it (on Debian: apt install openjdk-17-jre-headless), or use --engine local",
        )


def explain(error: Exception, names: list[str]) -> ChandleryError:
    """Return what a failed job means.

    Args:
        error: As PySpark raises it.
        names: Of the tasks, in the order of the partitions.
    """
    text = str(error)
    if "PYTHON_VERSION_MISMATCH" in text:
        versions = re.findall(r"\b3\.\d+\b", text)
        return SettingsError(
            f"executors run Python {' and the driver '.join(versions[:2])}", "one version of Python", PYTHON_HINT
        )
    if missing := re.search(r"No module named '([\w.]+)'", text):
        if missing[1].partition(".")[0] in sys.stdlib_module_names:
            return SettingsError(
                f"executors run a Python without {missing[1]}",
                f"the driver's, {sys.version_info.major}.{sys.version_info.minor}",
                PYTHON_HINT,
            )
        return SettingsError(
            f"executors have no package {missing[1]}",
            "the driver's packages",
            "install chandlery[spark] on every worker, or ship an archive by spark.archives",
        )
    if program := re.search(r'Cannot run program "([^"]+)"', text):
        return SettingsError(
            f"executors find no Python at {program[1]}", "one that every worker has", "set PYSPARK_PYTHON"
        )
    if lost := LOST_TASK.search(text):
        name = names[int(lost[1])] if int(lost[1]) < len(names) else f"task {lost[1]}"
        return TransientError(
            f"{name} was lost at try {lost[2]}, the last that Spark makes: {lost[3].strip()}", "", MORE_MEMORY
        )
    return TransientError(
        f"Spark gave up: {first_line(error)}", "", "look at the driver's log, and run again: nothing is lost"
    )


def first_line(error: Exception) -> str:
    """Return the first line of an error that says something."""
    lines = (
        line.strip(" :") for line in str(error).splitlines() if not line.startswith("An error occurred while calling")
    )
    return next(filter(None, lines), type(error).__name__)[:300]
