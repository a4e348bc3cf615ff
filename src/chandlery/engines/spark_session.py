"""The Spark session of a run: its options, and what is checked before it starts."""

import os
import re
import shutil
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from chandlery.engines.base import ONE_THREAD
from chandlery.engines.spark_errors import first_line
from chandlery.errors import SettingsError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["TRIES", "complete_options", "require_java", "start_session"]

TRIES = 4  # of each task: Spark's own default on a cluster; on one machine its default is a single try
LOG_SETTINGS = Path(__file__).with_name("log4j2.properties").as_uri()
QUICK_JAVA = "-XX:TieredStopAtLevel=1"  # Java does little here, and starts in half the time with its quick compiler
DEFAULTS = {
    "spark.app.name": "chandlery",
    "spark.ui.showConsoleProgress": "false",
    # Spark itself shows the values of all other options in its log, its event log and its pages. By default it does not
    # know the keys of Azure's accounts.
    "spark.redaction.regex": "(?i)secret|passw|pwd|token|credential|authorization|sas|(access|account|private).?key",
    "spark.driver.extraJavaOptions": f"{QUICK_JAVA} -Dlog4j2.configurationFile={LOG_SETTINGS}",
    "spark.executor.extraJavaOptions": QUICK_JAVA,
    # A second copy of a slow task does no harm, as every write is whole and has the same bytes. The thresholds are
    # far above the time of usual tasks, which differ in size by themselves.
    "spark.speculation": "true",
    "spark.speculation.minTaskRuntime": "2min",
    "spark.speculation.multiplier": "4",
    "spark.speculation.task.duration.threshold": "30min",
    **{f"spark.executorEnv.{name}": value for name, value in ONE_THREAD.items()},
}
ONE_MACHINE = {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1", "spark.ui.enabled": "false"}
MASTER = re.compile(
    r"local(\[([1-9]\d*|\*)(,\d+)?\])?|local-cluster\[\d+,\d+,\d+\]"
    r"|spark://[^:/\s,]+:\d+(,[^:/\s,]+:\d+)*|yarn|k8s://\S+"
)
REACH_SECONDS = 5.0  # a master on the same network answers in milliseconds
NO_JAVA = "Java is not installed, or JAVA_HOME names no Java"


def complete_options(options: Mapping[str, str], workers: int) -> dict[str, str]:
    """Return all options of a session.

    Args:
        options: As the settings give them.
        workers: Processes of a session on this machine; 0 means one per core.

    Raises:
        SettingsError: Java is missing, or the master is of no known kind or does not answer.
    """
    options = {**DEFAULTS, **options}
    if "PYSPARK_GATEWAY_PORT" in os.environ:  # spark-submit started this process, with its own master and Java
        return options
    require_java()
    master = options.setdefault("spark.master", f"local[{workers or '*'},{TRIES}]")
    if not MASTER.fullmatch(master):
        expected = "local[2], spark://host:7077, yarn or k8s://…"
        raise SettingsError(f"spark.master {master!r}", expected, "correct [engine.spark] spark.master")
    if master == "yarn" and not {"HADOOP_CONF_DIR", "YARN_CONF_DIR"} & os.environ.keys():
        found, hint = "spark.master 'yarn' without HADOOP_CONF_DIR", "set HADOOP_CONF_DIR, or start by spark-submit"
        raise SettingsError(found, "the folder of YARN's settings", hint)
    if master.startswith("spark://"):
        check_reachable(master)
    return {**ONE_MACHINE, **options} if master.startswith("local") else options


def check_reachable(master: str) -> None:
    """Check that one of a cluster's masters answers.

    Spark itself would try for a minute, and then report a stopped context.

    Raises:
        SettingsError: None of them does.
    """
    for host, port in re.findall(r"([^/:,]+):(\d+)", master):
        with suppress(OSError, OverflowError), socket.create_connection((host, int(port)), REACH_SECONDS):
            return
    hint = "start it, or correct [engine.spark] spark.master"
    raise SettingsError(f"nothing answers at {master}", "a master that runs", hint)


def require_java() -> None:
    """Check that Java is installed.

    Raises:
        SettingsError: It is not.
    """
    home = os.environ.get("JAVA_HOME")
    if not shutil.which(Path(home, "bin", "java") if home else "java"):
        hint = "install it (on Debian: apt install openjdk-17-jre-headless), or use --engine local"
        raise SettingsError(NO_JAVA, "Java 17 or later", hint)


def start_session(options: Mapping[str, str]) -> "SparkSession":
    """Start a session.

    Raises:
        SettingsError: The master or Java refuses it.
    """
    from pyspark.sql import SparkSession  # noqa: PLC0415 - of the extra `spark`

    master = options.get("spark.master", "the master of spark-submit")
    if "spark.master" in options and "spark.pyspark.python" in options:
        os.environ["PYSPARK_PYTHON"] = options["spark.pyspark.python"]
    if master.startswith("local"):
        for name, value in {**ONE_THREAD, "PYSPARK_PYTHON": sys.executable}.items():
            os.environ.setdefault(name, value)  # Spark's Python processes on this machine inherit it
    builder = SparkSession.Builder()
    for name, value in options.items():
        builder = builder.config(name, value)
    try:
        return builder.getOrCreate()
    except Exception as error:
        raise SettingsError(
            f"no Spark session at {master}: {first_line(error)}",
            "a Java, a master and options that Spark accepts",
            "correct [engine.spark]; the log above says more",
        ) from error
