"""A real S3 server for the session."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "demo"))
sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from s3_server import Server, s3_server

BUCKETS = ("crypto-raw", "crypto-lake", "other-lake")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with s3_server(tmp_path_factory.mktemp("s3"), BUCKETS) as running:
        yield running


@pytest.fixture
def admin(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    for name, value in server.admin.items():
        monkeypatch.setenv(name, value)
    return server


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("s3")
