"""A Spark session on this machine, for the tests that need a real one."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from pyspark.sql import SparkSession

from chandlery.engines.spark_session import require_java
from chandlery.errors import SettingsError

OPTIONS = {
    "spark.master": "local[2,4]",  # and four tries a task
    "spark.app.name": "tests",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.shuffle.partitions": "2",
}


@contextmanager
def spark_session() -> Iterator[SparkSession]:
    """Start a session, or take the one that is there."""
    try:
        require_java()
    except SettingsError as error:
        pytest.skip(str(error))
    os.environ.update(PYSPARK_PYTHON=sys.executable, SPARK_LOCAL_IP="127.0.0.1")
    there = SparkSession.getActiveSession()
    builder = SparkSession.Builder()
    for name, value in OPTIONS.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    yield session
    if there is None:
        session.stop()
