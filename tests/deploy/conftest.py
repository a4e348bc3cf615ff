"""A cloud of this machine, with three sample pairs in a bucket."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from lakes import write_days

sys.path.insert(0, str(Path(__file__).parents[2] / "demo"))

from aws import Cloud, open_cloud
from s3_server import s3_server

from chandlery.lake.store import Store

collect_ignore = ["airflow_days.py"]  # it runs in Airflow's own environment
BUCKETS = ("crypto-raw", "crypto-lake", "crypto-staging")


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    folder = tmp_path_factory.mktemp("cloud")
    write_days(folder / "raw", 0, 40)
    with s3_server(folder / "s3", BUCKETS) as server, pytest.MonkeyPatch.context() as patch:
        for name, value in server.admin.items():
            patch.setenv(name, value)
        raw = Store("s3://crypto-raw/plain", server.storage)
        for path in sorted((folder / "raw").iterdir()):
            raw.put(path.name, path.read_bytes())
        with open_cloud(folder, server) as opened:
            yield opened
