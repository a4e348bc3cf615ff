"""Runs on a real S3 server that are killed and run again: whether the lake has the bytes of an undisturbed run.

The lake is read all the while, and no read may fail or be wrong.

Odd rounds are killed at a moment of the run, even rounds right at a put of an object of the lake: in turn one to
staging, of a manifest, a copy to a final name, or any other.
"""

import argparse
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from bench import SHARED
from chandlery import read_table
from chandlery.lake.query import query
from chandlery.lake.store import Store
from chandlery.schema import LAKE_FILE
from gate import COPIED, LAKE, MANIFEST, OTHER, OUTSIDE, RAW, STAGED, Gate
from settings_text import to_toml

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "demo"))

from s3_server import Server, s3_server

SEED = 5
SAMPLE = ("--symbols", "3", "--days", "55", "--faults", "0.02")  # about 200,000 rows
SAMPLE_SETTINGS = """\
[lake]
lease_seconds = 2
[forecast]
horizons = ["1m", "5m", "15m", "30m", "60m"]
min_train = "10d"
"""  # with enough fits that the local engine uses a second process
PATIENCE_SECONDS, PAUSE_SECONDS = 10, 0.02
KINDS = (STAGED, MANIFEST, COPIED, OTHER)
SHOWN = 5


@dataclass(frozen=True)
class Read:
    """Something that an analyst reads.

    Args:
        name: Of the table or the query.
        key: The columns that identify a row; without any, either all rows are expected or none.
        sql: The query; without one, the table is read.
    """

    name: str
    key: tuple[str, ...] = ()
    sql: str = ""

    def rows(self, lake: str, options: dict[str, str]) -> pl.DataFrame:
        """Return its rows, in an order that depends on nothing but the rows."""
        return query(lake, self.sql, options) if self.sql else read_table(lake, self.name, options=options)


CANDLE, FORECAST = ("symbol", "open_time"), ("symbol", "horizon_minutes", "issued_at")
READS = (
    Read("candles", CANDLE),
    Read("forecasts", FORECAST),
    Read("scores"),
    Read(
        "query of candles",
        CANDLE,
        "SELECT symbol, open_time, open, high, low, close, volume FROM candles "
        "WHERE minute(open_time) % 10 = 0 ORDER BY ALL",
    ),
    Read(
        "query of forecasts",
        FORECAST,
        "SELECT symbol, horizon_minutes, issued_at, predicted_close, lower_95 FROM forecasts "
        "WHERE minute(issued_at) % 10 = 0 ORDER BY ALL",
    ),
    Read(
        "query of scores",
        (),
        "SELECT symbol, horizon_minutes, model, skill, verdict FROM scores WHERE period = 'all' ORDER BY ALL",
    ),
)


def find_wrong(found: pl.DataFrame, whole: pl.DataFrame, key: tuple[str, ...]) -> str:
    """Return what is wrong unless all rows are rows of the undisturbed lake, each once and with the same values."""
    there = whole.join(found.select(key), on=key, how="semi", maintain_order="left") if key else whole
    if found.is_empty() or found.equals(there):
        return ""
    others = found.join(whole, on=found.columns, how="anti", nulls_equal=True)
    counts = f"{found.height:,} rows and {there.height:,} expected, {others.height:,} of them different"
    return f"{counts}: {others.head(1).rows()}"


class Reader:
    """Reads a lake and compares the rows with those of the undisturbed one.

    Args:
        options: Of the object store.
        whole: URI of the undisturbed lake.

    Raises:
        RuntimeError: One of its tables is empty.
    """

    def __init__(self, options: dict[str, str], whole: str) -> None:
        self._options = options
        self._whole = {read.name: read.rows(whole, options) for read in READS}
        if empty := [name for name, rows in self._whole.items() if rows.is_empty()]:
            raise RuntimeError(f"no rows in {', '.join(empty)} of {whole}")
        self.reads, self.filled, self.faults = 0, 0, list[str]()

    def read_all(self, lake: str) -> None:
        """Read everything once; nothing while there is no lake yet."""
        if Store(lake, self._options).head(LAKE_FILE) is None:
            return
        for read in READS:
            self.reads += 1
            try:
                found = read.rows(lake, self._options)
                self.filled += not found.is_empty()
                if wrong := find_wrong(found, self._whole[read.name], read.key):
                    self.faults.append(f"{read.name} is wrong: {wrong}")
            except Exception as error:  # noqa: BLE001 - any failed read counts
                self.faults.append(f"{read.name} failed: {type(error).__name__}: {error}")

    @contextmanager
    def reading(self, lake: str) -> Iterator[None]:
        """Read repeatedly while the block runs."""
        stop = threading.Event()

        def read_on() -> None:
            while not stop.wait(PAUSE_SECONDS):
                self.read_all(lake)

        thread = threading.Thread(target=read_on)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


def objects(store: Store) -> dict[str, bytes]:
    """Return the hash of every object that law 5 covers, by path."""
    names = [entry.path for entry in store.list() if not entry.path.startswith(OUTSIDE)]
    return {name: hashlib.sha256(store.get(name) or b"").digest() for name in names}


def differences(found: dict[str, bytes], whole: dict[str, bytes]) -> list[str]:
    """Return which objects of a lake are missing, left over or different, the first few of each."""
    other = {name for name in found.keys() & whole.keys() if found[name] != whole[name]}
    kinds = {"missing": whole.keys() - found.keys(), "left over": found.keys() - whole.keys(), "other bytes": other}
    return [
        f"{kind}: {len(names)} objects, {', '.join(sorted(names)[:SHOWN])}" for kind, names in kinds.items() if names
    ]


class Trial:
    """One source, run undisturbed once, and then killed and run again.

    Args:
        name: In the output, and of its lakes.
        command: The command of a run, without the lake.
        server: The S3 server with the source and the lakes.
        gate: The proxy between runs and the server.

    Raises:
        RuntimeError: The undisturbed run failed.
    """

    def __init__(self, name: str, command: list[str], server: Server, gate: Gate) -> None:
        self.name, self._command, self._server, self._gate = name, command, server, gate
        self._random = np.random.default_rng(SEED)
        lake = self._lake("whole")
        gate.watch()
        with self._running(lake) as process:
            wait_for(gate.began, process)
            began = time.perf_counter()
            output = process.communicate()[0]
            self.seconds = time.perf_counter() - began
        if process.returncode:
            raise RuntimeError(f"the undisturbed run ended with {process.returncode}: {output}")
        self.puts = gate.puts
        self.whole = objects(Store(lake, server.storage))
        self._reader = Reader(server.storage, lake)
        puts = ", ".join(f"{count} {kind}" for kind, count in self.puts.items())
        print(
            f"{name}: an undisturbed run works {self.seconds:.1f} s; puts: {puts}; {len(self.whole)} objects",
            flush=True,
        )

    def _lake(self, name: object) -> str:
        return f"s3://{LAKE}/{self.name}-{name}"

    @contextmanager
    def _running(self, lake: str) -> Iterator["subprocess.Popen[str]"]:
        """Start a run in a new session; kill it if it has not ended when the block ends."""
        with subprocess.Popen(
            [*self._command, "--lake", lake],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def round(self, number: int) -> bool:
        """Kill a run into a new lake, run again, compare; print a line and return whether the round held."""
        began, lake, reader = time.perf_counter(), self._lake(number), self._reader
        store = Store(lake, self._server.storage)
        moment, faults = self._kill(lake, "" if number % 2 else KINDS[number // 2 % len(KINDS)])
        there = len(objects(store))
        reader.reads, reader.filled, reader.faults = 0, 0, faults
        reader.read_all(lake)
        self._gate.watch()
        with reader.reading(lake), self._running(lake) as process:
            output = process.communicate()[0]
        if process.returncode:
            faults.append(f"the next run ended with {process.returncode}: {output.strip()}")
        faults += differences(objects(store), self.whole)
        found = (
            f"killed {moment}; {there} of {len(self.whole)} objects written; {reader.reads} reads, {reader.filled} "
            f"with rows; {time.perf_counter() - began:.0f} s"
        )
        listed = "".join(
            f"\n     {fault}"
            for fault in [*list(dict.fromkeys(faults))[:SHOWN], f"{len(faults)} faults in all"]
            if faults
        )
        print(f"{'FAIL' if faults else 'ok  '} {self.name} {number}: {found}{listed}", flush=True)
        empty(store)
        return not faults

    def _kill(self, lake: str, kind: str) -> tuple[str, list[str]]:
        """Kill a run at a put of a kind, or at any moment without one; return the moment, and the faults so far."""
        gate, is_at_put = self._gate, bool(kind)
        while True:
            cut, share = bool(self._random.integers(2)), float(self._random.random())
            stop_at = int(self._random.integers(1, self.puts[kind] + 1)) if is_at_put else 0
            gate.watch(stop_at, kind, cut=cut)
            with self._running(lake) as process:
                wait_for(gate.reached if is_at_put else gate.began, process)
                began = time.perf_counter()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(0 if is_at_put else share * self.seconds)
                process.kill()
                process.wait()
                worked = time.perf_counter() - began
                gate.released.set()
                if gate.reached.is_set():
                    gate.settled.wait(PATIENCE_SECONDS)
                output, faults = read_output(process)
            if process.returncode == -signal.SIGKILL:
                arrived = f"{gate.held}, of which {'half' if cut else 'all'} arrived"
                at_put = f"at put {stop_at} of {self.puts[kind]} {kind}: {arrived}"
                return at_put if is_at_put else f"after {worked:.1f} of {self.seconds:.1f} s", faults
            if process.returncode:
                return "by nobody", [
                    *faults,
                    f"the run ended with {process.returncode} before it was killed: {output.strip()}",
                ]
            if not is_at_put:
                self.seconds = min(self.seconds, worked)  # the run was faster than the undisturbed one
            empty(Store(lake, self._server.storage))  # it ended before it was killed: try again


def wait_for(event: threading.Event, process: "subprocess.Popen[str]") -> None:
    """Wait until an event is set, or the process has ended."""
    while process.poll() is None and not event.wait(0.2):
        pass


def read_output(process: "subprocess.Popen[str]") -> tuple[str, list[str]]:
    """Return the output of an ended run, and a fault if its workers have not ended: they would keep the output open."""
    try:
        return process.communicate(timeout=PATIENCE_SECONDS)[0], []
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return process.communicate()[0], [f"workers had not ended {PATIENCE_SECONDS} s after the kill"]


def empty(store: Store) -> None:
    """Delete all objects."""
    for entry in store.list():
        store.delete(entry.path)


def upload(folder: Path, server: Server, prefix: str) -> str:
    """Put a folder's raw files into the raw bucket and return their URI."""
    store = Store(f"s3://{RAW}/{prefix}", server.storage)
    for path in sorted(folder.iterdir()):
        store.put(path.name, path.read_bytes())
    return store.uri


def prove_kills(rounds: int, real_rounds: int) -> bool:
    """Kill runs on sample pairs and on the six real ones; print the outcome, and return whether all rounds held."""
    with (
        tempfile.TemporaryDirectory(prefix="chandlery-kills-") as folder,
        s3_server(Path(folder) / "s3", (RAW, LAKE)) as server,
        (gate := Gate(server.endpoint)).opened() as endpoint,
    ):
        os.environ.update(server.admin)
        options = to_toml({"storage": {**server.storage, "endpoint_url": endpoint}})

        def kill(name: str, raw: Path, settings: str, count: int) -> list[bool]:
            config = Path(folder) / f"{name}.toml"
            config.write_text(settings + options)
            command = [
                sys.executable,
                "-m",
                "chandlery",
                "run",
                "--quiet",
                "--config",
                str(config),
                "--source",
                upload(raw, server, name),
            ]
            trial = Trial(name, command, server, gate)
            return [trial.round(number) for number in range(1, count + 1)]

        results = []
        if rounds:
            subprocess.run(
                [sys.executable, "-m", "chandlery", "sample", f"{folder}/raw", *SAMPLE], check=True, capture_output=True
            )
            results += kill("sample", Path(folder) / "raw", SAMPLE_SETTINGS, rounds)
        if real_rounds and SHARED.exists():
            results += kill("real", SHARED / "data" / "bitfinex", '[forecast]\nhorizons = ["30m"]\n', real_rounds)
        elif real_rounds:
            print("left out: the real candles are not beside this repository")
    print(
        f"{'ok  ' if all(results) else 'FAIL'} kills: {sum(results)} of {len(results)} rounds ended with the bytes of "
        "an undisturbed run, with no read failed or wrong",
        flush=True,
    )
    return all(results)


def main() -> None:
    """Kill as often as asked; exit with 1 if a round does not hold."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=30, help="on three sample pairs of about 200,000 rows")
    parser.add_argument("--real-rounds", type=int, default=3, help="on the six real pairs beside the repository")
    sys.exit(0 if prove_kills(**vars(parser.parse_args())) else 1)


if __name__ == "__main__":
    main()
