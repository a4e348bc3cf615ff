"""Workers of a real Spark cluster, killed at any moment of a run: whether the lake has the bytes of an undisturbed run.

A run that ends with exit code 5 because of it is run once more, as its message says.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from chandlery.lake.store import Store
from gate import LAKE, RAW
from kills import SAMPLE, SAMPLE_SETTINGS, differences, empty, objects, upload
from settings_text import to_toml

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "demo"))

from s3_server import Server, s3_server
from spark_cluster import Cluster, spark_cluster

SEED = 5
POLL_SECONDS = 0.2
WORTH_RUNNING_AGAIN = 5


class Trial:
    """A source and a cluster, on which runs are disturbed.

    Args:
        folder: For settings and for the output of runs.
        server: The S3 server with the source and the lakes.
        cluster: The cluster that runs use.

    Raises:
        RuntimeError: The undisturbed run failed.
    """

    def __init__(self, folder: Path, server: Server, cluster: Cluster) -> None:
        self._server, self._cluster, self._said = server, cluster, folder / "said.txt"
        self._random = np.random.default_rng(SEED)
        config = folder / "chandlery.toml"
        sections = {"storage": server.storage, "engine": {"name": "spark"}, "engine.spark": cluster.options}
        config.write_text(SAMPLE_SETTINGS + to_toml(sections))
        self._command = [
            sys.executable,
            "-m",
            "chandlery",
            "run",
            "--config",
            str(config),
            "--source",
            upload(folder / "raw", server, "sample"),
        ]
        with self._running("whole") as process:
            self._wait_for_work(process)
            began = time.perf_counter()
            code = process.wait()
            self.seconds = time.perf_counter() - began
        if code:
            raise RuntimeError(f"the undisturbed run ended with {code}: {self._said.read_text()}")
        self.whole = objects(self._lake("whole"))
        print(f"an undisturbed run works {self.seconds:.1f} s, and writes {len(self.whole)} objects", flush=True)

    def _lake(self, name: object) -> Store:
        return Store(f"s3://{LAKE}/{name}", self._server.storage)

    @contextmanager
    def _running(self, name: object) -> Iterator["subprocess.Popen[bytes]"]:
        """Start a run; kill it if it has not ended when the block ends."""
        with (
            self._said.open("wb") as said,
            subprocess.Popen(
                [*self._command, "--lake", self._lake(name).uri],
                env={**os.environ, **self._cluster.driver},
                stdout=subprocess.DEVNULL,
                stderr=said,
            ) as process,
        ):
            try:
                yield process
            finally:
                process.kill()

    def _wait_for_work(self, process: "subprocess.Popen[bytes]") -> None:
        """Wait until an executor has started a Python worker: then tasks run."""
        while not any(len(self._cluster.executors(place)) > 1 for place in self._cluster.places):
            if process.poll() is not None:
                raise RuntimeError(
                    f"the run ended with {process.returncode} before it began to work: {self._said.read_text()}"
                )
            wait(process, POLL_SECONDS)

    def round(self, number: int) -> bool:
        """Kill and restart a worker, wait for the end, compare the lakes; print and return whether they are equal."""
        began = time.perf_counter()
        killed, code = self._kill(number)
        codes = [code]
        if code == WORTH_RUNNING_AGAIN:
            with self._running(number) as process:
                codes.append(process.wait())
        faults = [self._said.read_text()] * (codes[-1] != 0) + differences(objects(self._lake(number)), self.whole)
        listed = "".join(f"\n     {fault}" for fault in faults)
        ended = f"ended with {code}" + f", and with {codes[-1]} when run again" * (len(codes) - 1)
        print(
            f"{'FAIL' if faults else 'ok  '} {number}: {killed}; the run {ended}; "
            f"{time.perf_counter() - began:.0f} s{listed}",
            flush=True,
        )
        empty(self._lake(number))
        return not faults

    def _kill(self, number: int) -> tuple[str, int]:
        """Kill a worker during a run, and start it again; return what was killed when, and the exit code of the run."""
        while True:
            place = int(self._random.integers(len(self._cluster.places)))
            moment = float(self._random.random()) * self.seconds
            with self._running(number) as process:
                self._wait_for_work(process)
                wait(process, moment)
                is_kill = process.poll() is None
                processes = len(self._cluster.executors(place))
                when = f"after {moment:.1f} of {self.seconds:.1f} s, in {self._stage()}"
                killed = f"worker {place} and its {processes} processes killed {when}"
                self._cluster.kill_worker(place)
                self._cluster.start_worker(place)
                code = process.wait()
            if is_kill:
                return killed, code
            self.seconds = moment  # the run was faster than the undisturbed one, and nothing was killed
            empty(self._lake(number))

    def _stage(self) -> str:
        """Return the stage that the run printed last."""
        return re.findall(r"^(\w+): \d+ tasks?$", self._said.read_text(), re.MULTILINE)[-1]


def wait(process: "subprocess.Popen[bytes]", seconds: float) -> None:
    """Wait for some seconds, or until a process has ended."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(seconds)


def prove_spark_kills(rounds: int) -> bool:
    """Kill workers during runs on sample pairs; print the outcome, and return whether all rounds held."""
    if not (os.environ.get("JAVA_HOME") or shutil.which("java")):
        print("left out: killed workers of a Spark cluster, which needs Java")
        return True
    with (
        tempfile.TemporaryDirectory(prefix="chandlery-spark-kills-") as name,
        s3_server(Path(name) / "s3", (RAW, LAKE)) as server,
    ):
        folder = Path(name)
        os.environ.update(server.admin)
        subprocess.run(
            [sys.executable, "-m", "chandlery", "sample", str(folder / "raw"), *SAMPLE], check=True, capture_output=True
        )
        with spark_cluster(folder / "cluster", server.admin) as cluster:
            trial = Trial(folder, server, cluster)
            results = [trial.round(number) for number in range(1, rounds + 1)]
    print(
        f"{'ok  ' if all(results) else 'FAIL'} killed workers: {sum(results)} of {len(results)} rounds ended with the "
        "bytes of an undisturbed run",
        flush=True,
    )
    return all(results)


def main() -> None:
    """Kill as often as asked; exit with 1 if a round does not hold."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=10)
    sys.exit(0 if prove_spark_kills(**vars(parser.parse_args())) else 1)


if __name__ == "__main__":
    main()
