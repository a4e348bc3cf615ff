"""A real Spark cluster on this machine: a standalone master and workers of one core, from PySpark's own package."""

import ctypes
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

PATIENCE_SECONDS = 90
POLL_SECONDS = 0.1
# Spark runs no speculative copy of a task on the host of the first attempt. It takes these names for two hosts.
HOSTS = ("127.0.0.1", "localhost")
QUICK_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"


class Daemon:
    """A process of the cluster, in its own process group, that ends with this process.

    Args:
        name: Its class, below `org.apache.spark.deploy`.
        arguments: Its command line.
        environment: What its children inherit.
        log: The file for its output.
        ready: A pattern, with one group, of the output by which it is ready.

    Raises:
        RuntimeError: It was not ready in time; the message has the end of its log.
    """

    def __init__(
        self, name: str, arguments: tuple[str, ...], environment: Mapping[str, str], log: Path, ready: str
    ) -> None:
        home = spark_home()
        command = [str(home / "bin" / "spark-class"), f"org.apache.spark.deploy.{name}", *arguments]
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                command,
                env={**os.environ, **environment},
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - one call of prctl
            )
        self._log, self._ready = log, ready

    def wait_until_ready(self) -> str:
        """Wait until it is ready, and return the group of its pattern."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            if found := re.search(self._ready, self._log.read_text()):
                return found[1]
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(POLL_SECONDS)
        self.kill()
        raise RuntimeError(f"{self._log.stem} did not start: {self._log.read_text()[-3000:]}")

    def children(self) -> list[psutil.Process]:
        """Return its child processes: executors, and their Python workers."""
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(self._process.pid).children(recursive=True)
        return []

    def kill(self) -> None:
        """Kill it and its child processes."""
        children = self.children()
        self._process.kill()
        for process in children:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()
        psutil.wait_procs(children, PATIENCE_SECONDS)


class Cluster:
    """A running cluster.

    Args:
        folder: For logs and temporary files.
        environment: Of the executors: credentials of a store, a path of modules.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder, self._started, self.url = folder, 0, ""
        (folder / "tmp").mkdir(parents=True)
        self._java = f"{QUICK_JAVA} -Djava.io.tmpdir={folder / 'tmp'}"  # killed processes leave files there
        self._environment = {
            "SPARK_HOME": str(spark_home()),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_DAEMON_MEMORY": "256m",
            "SPARK_DAEMON_JAVA_OPTS": f"{self._java} -Dspark.master.rest.enabled=false",
            "PYSPARK_PYTHON": sys.executable,
            **environment,
        }
        self._master = self._start("master.Master", ("--host", "127.0.0.1"), r"Starting Spark master at (spark://\S+)")
        self._workers: dict[int, Daemon] = {}

    def open(self, workers: int) -> None:
        """Start the workers, and wait until they and the master are ready."""
        self.url = self._master.wait_until_ready()
        for place in range(workers):
            self._begin_worker(place)
        for worker in self._workers.values():
            worker.wait_until_ready()

    def close(self) -> None:
        """Kill all processes of the cluster."""
        for daemon in (*self._workers.values(), self._master):
            daemon.kill()

    @property
    def options(self) -> dict[str, str]:
        """Options for [engine.spark]."""
        return {
            "spark.master": self.url,
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.ui.enabled": "false",
            "spark.executor.memory": "512m",
            "spark.executor.extraJavaOptions": self._java,
        }

    @property
    def driver(self) -> dict[str, str]:
        """The environment of a driver."""
        return {"SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable}

    @property
    def places(self) -> list[int]:
        """The numbers of the running workers."""
        return sorted(self._workers)

    def executors(self, place: int) -> list[psutil.Process]:
        """Return the processes of a worker: executors, and their Python workers."""
        return self._workers[place].children()

    def find_worker(self, pid: int) -> int:
        """Return the number of the worker that a process belongs to.

        Raises:
            LookupError: It belongs to none.
        """
        for place in self._workers:
            if any(process.pid == pid for process in self.executors(place)):
                return place
        raise LookupError(pid)

    def kill_worker(self, place: int) -> None:
        """Kill a worker, its executors and their Python workers."""
        self._workers.pop(place).kill()

    def start_worker(self, place: int) -> None:
        """Start a worker in place of one that was killed."""
        self._begin_worker(place)
        self._workers[place].wait_until_ready()

    def _begin_worker(self, place: int) -> None:
        arguments = ("--host", HOSTS[place % len(HOSTS)], "--cores", "1", "--memory", "2g", self.url)
        self._workers[place] = self._start(
            "worker.Worker", arguments, r"Successfully registered with master (spark://\S+)"
        )

    def _start(self, name: str, arguments: tuple[str, ...], ready: str) -> Daemon:
        self._started += 1
        place = self._folder / f"{self._started}-{name.rpartition('.')[2]}"
        scratch = {name: str(place / name) for name in ("SPARK_WORKER_DIR", "SPARK_LOCAL_DIRS")}
        for path in scratch.values():
            Path(path).mkdir(parents=True)
        return Daemon(
            name,
            ("--port", "0", "--webui-port", "0", *arguments),
            {**self._environment, **scratch},
            place / "log.txt",
            ready,
        )


@contextmanager
def spark_cluster(folder: Path, environment: Mapping[str, str], workers: int = 2) -> Iterator[Cluster]:
    """Run a cluster until the block ends.

    Args:
        folder: For logs and temporary files.
        environment: Of the executors: credentials of a store, a path of modules.
        workers: Their number; each has one core.

    Raises:
        RuntimeError: A process did not start in time; the message has the end of its log.
    """
    cluster = Cluster(folder, environment)
    try:
        cluster.open(workers)
        yield cluster
    finally:
        cluster.close()


def spark_home() -> Path:
    """Return the folder of PySpark, which has Spark's scripts and jars."""
    import pyspark  # noqa: PLC0415 - of the extra `spark`

    return Path(pyspark.__file__).parent


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
