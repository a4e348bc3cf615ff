"""A real cluster over a real store, with three sample pairs in a bucket, and what an undisturbed run makes of them."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from lakes import write_days

sys.path.insert(0, str(Path(__file__).parents[2] / "demo"))

from harbour import Harbour, environment
from s3_server import s3_server
from spark_cluster import spark_cluster

from chandlery.lake.store import Store


@pytest.fixture(scope="session")
def harbour(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harbour]:
    folder = tmp_path_factory.mktemp("harbour")
    write_days(folder / "raw", 0, 40)
    with s3_server(folder / "s3", ("crypto-raw", "crypto-lake")) as server, pytest.MonkeyPatch.context() as patch:
        for name, value in server.admin.items():
            patch.setenv(name, value)
        raw = Store("s3://crypto-raw/plain", server.storage)
        for path in sorted((folder / "raw").iterdir()):
            raw.put(path.name, path.read_bytes())
        (folder / "faults").mkdir()
        with spark_cluster(folder / "cluster", environment(folder / "faults", server)) as cluster:
            yield Harbour(folder / "faults", server, cluster)


@pytest.fixture(scope="session")
def whole(harbour: Harbour) -> dict[str, str]:
    """What an undisturbed run on this machine alone makes."""
    assert harbour.run("whole", engine="local") == (0, "")
    return harbour.digests("whole")


@pytest.fixture
def faults(harbour: Harbour) -> Iterator[Harbour]:
    """The harbour, where what went wrong in one test does not in the next."""
    yield harbour
    for path in harbour.folder.iterdir():
        path.unlink()
