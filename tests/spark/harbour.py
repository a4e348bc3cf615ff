"""Where runs on a cluster are made, and how they are waited for."""

import os
import select
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from lakes import SETTINGS, digests, to_toml
from s3_server import Server
from spark_cluster import Cluster

PATIENCE_SECONDS = 900  # of a whole run, on a busy machine too
BUCKET = "s3://crypto-lake"


@dataclass(frozen=True)
class Harbour:
    """Where runs are made.

    Args:
        folder: Of settings, and of what is to go wrong.
        server: The store.
        cluster: The executors.
    """

    folder: Path
    server: Server
    cluster: Cluster

    def start(
        self, lake: str, spark: dict[str, str] | None = None, *, endpoint: str = "", engine: str = "spark"
    ) -> "subprocess.Popen[str]":
        """Start a run into a lake."""
        storage = {**self.server.storage, **({"endpoint_url": endpoint} if endpoint else {})}
        sections = {
            "lake": {"uri": f"{BUCKET}/{lake}"},
            "source": {"uri": "s3://crypto-raw/plain"},
            "storage": storage,
            "engine": {"name": engine},
            "engine.spark": {**self.cluster.options, **(spark or {})},
        }
        config = self.folder / f"{lake}.toml"
        config.write_text(SETTINGS + to_toml(sections).replace("[lake]\n", "[lake]\nlease_seconds = 2\n"))
        command = [sys.executable, "-c", "from faulty import main; main()", "run", "--quiet", "--config", str(config)]
        return subprocess.Popen(
            command,
            env={**os.environ, **self.environment, **self.cluster.driver},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(
        self, lake: str, spark: dict[str, str] | None = None, *, endpoint: str = "", engine: str = "spark"
    ) -> tuple[int, str]:
        """Make a run; return its exit code and what it said."""
        return end(self.start(lake, spark, endpoint=endpoint, engine=engine))

    @property
    def environment(self) -> dict[str, str]:
        """Of the driver and the executors."""
        return environment(self.folder, self.server)

    def fault(self, name: str) -> Path:
        """Let something go wrong, as in ingest-ETHUSD.kill; see `faulty`."""
        path = self.folder / name
        os.mkfifo(path) if name.endswith((".stop", ".halfway", ".late")) else path.touch()
        return path

    def digests(self, lake: str) -> dict[str, str]:
        return digests(f"{BUCKET}/{lake}", self.server.storage)


def environment(folder: Path, server: Server) -> dict[str, str]:
    """Return the environment of drivers and executors, which run `faulty` with the code of this very checkout."""
    here = Path(__file__).parent
    return {**server.admin, "FAULTS": str(folder), "PYTHONPATH": f"{here}{os.pathsep}{here.parents[1] / 'src'}"}


def end(running: "subprocess.Popen[str]") -> tuple[int, str]:
    """Wait for the end of a run; return its exit code and what it said."""
    try:
        told = running.communicate(timeout=PATIENCE_SECONDS)[1]
    finally:
        running.kill()
    return running.returncode, told


def hear(pipe: Path) -> str:
    """Wait for what a process says by a pipe: who it is when it has stopped, and how it ended once it was answered."""
    with open(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)) as reader:  # noqa: PTH123 - a descriptor
        waiting = select.poll()
        waiting.register(reader, select.POLLIN)
        assert waiting.poll(PATIENCE_SECONDS * 1000), f"nobody speaks at {pipe.name}"
        return reader.readline()


def answer(pipe: Path) -> None:
    """Let a process go on that has stopped at a pipe."""
    os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
