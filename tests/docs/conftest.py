"""A Spark session for the snippets of docs/reading.md."""

from collections.abc import Iterator

import pytest
from pyspark.sql import SparkSession
from spark_session import spark_session


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    with spark_session() as session:
        yield session
