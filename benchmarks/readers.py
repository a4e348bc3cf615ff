"""Readers of a lake on a real S3 server while runs publish into it: whether any read fails or is wrong.

Runs go through a gate that keeps what each version of each object has to answer, and when it came. Each read
must find versions that were there between its beginning and its end; anything else is wrong.

Objects get their final names in short phases, two a run: from the put of a manifest to the last copy. A try that fails
must have met one. A plain scan that failed is tried once more when the run that goes on is over, and the next run waits for it:
runs are a day apart where they are not tried out.

Which share of reads fails depends on how often runs publish. So runs begin at a fixed pace, whatever they take: the one at which
lakes of format 1 were tried out, where 336 of 10,000 plain reads failed, or 16.8 for each run.
"""

import argparse
import datetime as dt
import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import ThreadingHTTPServer
from itertools import chain
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import polars as pl

from asks import ASKS, WAYS, Answer, Ask, Partition, answers_of, find_fault, to_answers
from chandlery.errors import SettingsError
from chandlery.lake.store import Store
from chandlery.lake.tables import parse_partition
from chandlery.sources.sample import SAMPLE_SYMBOLS, SamplePlan, write_sample
from gate import LAKE, RAW, Gate, Requests, name_of, source_of
from turns import Turns

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "demo"))

from s3_server import Server, s3_server

SYMBOLS, BASE_DAYS, NEW_YEAR, SEED = SAMPLE_SYMBOLS[:3], 44, dt.date(2019, 1, 1), 11
SETTINGS = '[forecast]\nhorizons = ["5m", "15m"]\nmodels = ["linear"]\nmin_train = "10d"\n'
RISE = 1.01  # of restated prices
TABLES_READ = tuple(dict.fromkeys(ask.table for ask in ASKS))
PATIENCE_SECONDS = 300
PACE_SECONDS = 54  # 20 runs in 18 minutes
FAILED_BEFORE, FEWER = 336 / 10_000, 3  # plain reads of lakes of format 1, and how many times fewer they are to be
NICENESS = 10  # readers have machines of their own; on this one runs go first
SHOWN, SHOWN_LETTERS = 5, 200


@dataclass(frozen=True)
class Crowd:
    """Who reads.

    Args:
        processes: How many.
        threads: Readers in each of them.
    """

    processes: int = 10
    threads: int = 10


@dataclass(frozen=True)
class Version:
    """An object as a run left it.

    Args:
        began: When its put was sent on, by the machine's clock.
        ended: When the store had answered: from now on it is there, until the next one.
        answers: What it has to answer; nothing where it was deleted.
    """

    began: float
    ended: float
    answers: Mapping[Ask, Answer]


@dataclass(frozen=True)
class Read:
    """A read and its end.

    Args:
        way: How.
        ask: What.
        began: When it was begun; of two tries the second.
        ended: When all was there.
        answers: What was found of each partition; nothing where it failed for good.
        problems: Why tries failed.
        fault: What of the contract did not hold.
        failures: When each try that failed began and ended.
    """

    way: str
    ask: Ask
    began: float = 0.0
    ended: float = 0.0
    answers: Mapping[Partition, Answer] | None = None
    problems: tuple[str, ...] = ()
    fault: str = ""
    failures: tuple[tuple[float, float], ...] = ()


class Recorder(Gate):
    """What runs go through: keeps every version of every object that is read.

    Args:
        endpoint: URL of the S3 server behind it.
    """

    def __init__(self, endpoint: str) -> None:
        super().__init__(endpoint)
        self.versions: dict[str, list[Version]] = defaultdict(list)
        self._staged: dict[str, bytes] = {}  # objects that wait for their final names
        self.phases: list[tuple[float, float]] = []  # of publishing: from the put of a manifest to the last copy

    def passed(self, request: Requests, body: bytes, status: int, began: float) -> None:
        """Keep a version."""
        ended, name = time.monotonic(), name_of(request.path)
        if request.command == "PUT" and name.startswith("_staging/"):
            self._staged[name] = body
            if name.endswith("/manifest.json"):
                self.phases.append((began, ended))
        if source := source_of(request):
            body = self._staged[source]
            self.phases[-1] = self.phases[-1][0], max(ended, self.phases[-1][1])
        if (
            request.command in {"PUT", "DELETE"}
            and status < 300  # noqa: PLR2004 - it was done
            and name.startswith(tuple(f"{table}/" for table in TABLES_READ))
        ):
            self.versions[name].append(
                Version(began, ended, answers_of(name, body) if request.command == "PUT" else {})
            )

    def meets_phase(self, began: float, ended: float) -> bool:
        """Return whether objects got their final names at some moment of [began, ended]."""
        return any(first <= ended and began <= last for first, last in self.phases)

    def precedes_phase(self, began: float, ended: float) -> bool:
        """Return whether a publishing phase began within [began, ended]: no shorter phase would have spared that read."""
        return any(began < first <= ended for first, _ in self.phases)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Tell: nobody is killed here."""
        ThreadingHTTPServer.handle_error(self, request, client_address)

    def admissible(self, read: Read) -> dict[Partition, list[Answer | None]]:
        """Return what a read may find of each partition: the answers of all versions that were there while it lasted, None where there was no object."""
        found: dict[Partition, list[Answer | None]] = {}
        for path, versions in self.versions.items():
            partition = tuple(parse_partition(path).values())
            if path.startswith(f"{read.ask.table}/") and read.ask.chooses(partition):
                begun = [-1.0, *(version.began for version in versions)]
                gone = [*(version.ended for version in versions), float("inf")]
                answers = [None, *(version.answers.get(read.ask) for version in versions)]
                found[partition] = [
                    answer
                    for answer, first, last in zip(answers, begun, gone, strict=True)
                    if first <= read.ended and last >= read.began
                ]
        return found


class Publisher:
    """Puts days of candles into the raw bucket, and runs.

    Args:
        folder: Of the settings.
        server: Where everything lies.
        endpoint: Of the gate.
        name: Of the source and the lake in their buckets.
        runs: How many there will be; half of them are in the new year.
        minutes: Of a candle.
    """

    def __init__(self, folder: Path, server: Server, endpoint: str, name: str, runs: int, minutes: int) -> None:
        self.lake, self._raw = f"s3://{LAKE}/{name}", Store(f"s3://{RAW}/{name}", server.storage)
        self._start = NEW_YEAR - dt.timedelta(days=BASE_DAYS + runs // 2)
        files = write_sample(
            SamplePlan(SYMBOLS, days=BASE_DAYS + runs, start=self._start, interval_minutes=minutes, seed=SEED)
        )
        self._candles = {symbol: file.candles for symbol, file in zip(SYMBOLS, files, strict=True)}
        config = folder / f"{name}.toml"
        storage = "".join(
            f'{option} = "{value}"\n' for option, value in {**server.storage, "endpoint_url": endpoint}.items()
        )
        config.write_text(f"{SETTINGS}[storage]\n{storage}")
        self._command = [
            sys.executable,
            "-m",
            "chandlery",
            "run",
            "--quiet",
            "--config",
            str(config),
            "--source",
            self._raw.uri,
            "--lake",
            self.lake,
        ]

    def publish(self, number: int) -> None:
        """Add a day of every symbol, in every second run restate an older one of one symbol, and run; number 0 is all that was before.

        Raises:
            RuntimeError: The run failed.
        """
        first, count = (0, BASE_DAYS) if number == 0 else (BASE_DAYS + number - 1, 1)
        for symbol in SYMBOLS:
            self._put(symbol, first, count)
        if number and number % 2 == 0:
            self._put(SYMBOLS[number // 2 % len(SYMBOLS)], BASE_DAYS // 2 + number, 1, rise=RISE)
        done = subprocess.run(self._command, check=False, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"run {number} ended with {done.returncode}: {done.stderr}")

    def _put(self, symbol: str, first: int, count: int, *, rise: float = 1.0) -> None:
        """Put a file with some days of a symbol, where it traded."""
        start, stop = (
            dt.datetime.combine(self._start + dt.timedelta(days=day), dt.time(), dt.UTC)
            for day in (first, first + count)
        )
        days = self._candles[symbol].filter(pl.col("open_time").is_between(start, stop, closed="left"))
        if days.height:
            prices = (pl.col(name) * rise for name in ("open", "close", "high", "low"))
            rows = days.select(pl.col("open_time").dt.epoch("ms").alias("time"), *prices, "volume")
            self._raw.put(f"{symbol}/{start:%Y-%m-%d}{'' if rise == 1 else '-again'}.csv", rows.write_csv().encode())


def read_on(
    pipe: Connection,
    stop: Event,
    lake: str,
    options: dict[str, str],
    environment: dict[str, str],
    ways: list[str],
    turns: Turns,
) -> None:
    """Read a lake, a thread a reader, until told to stop; everybody asks everything at least once.

    Sends what a reader is told who tries to write, and in the end what was read.
    """
    os.environ.update(environment)
    os.nice(NICENESS)
    try:
        Store(lake, options).put("_probe/reader", b"")
    except SettingsError as error:
        pipe.send(str(error))
    else:
        raise RuntimeError("a reader may write")

    def read_all(place: int) -> list[Read]:
        read, reads = WAYS[ways[place]].open(lake, options), list[Read]()
        while len(reads) < len(ASKS) or not stop.is_set():
            reads.append(read_once(ways[place], read, ASKS[(place + len(reads)) % len(ASKS)], turns))
        return reads

    with ThreadPoolExecutor(len(ways)) as threads:
        pipe.send(list(chain.from_iterable(threads.map(read_all, range(len(ways))))))


def read_once(way: str, read: Callable[[Ask], pl.DataFrame], ask: Ask, turns: Turns) -> Read:
    """Read; where a plain scan fails, read once more when its turn has come."""
    first = try_to_read(way, read, ask)
    if WAYS[way].is_ours or not first.problems:
        return first
    with turns.read_again():
        second = try_to_read(way, read, ask)
    failures = first.failures + second.failures
    return replace(second, problems=first.problems + second.problems, failures=failures)


def try_to_read(way: str, read: Callable[[Ask], pl.DataFrame], ask: Ask) -> Read:
    """Read, or tell why that failed."""
    began = time.monotonic()
    try:
        rows = read(ask)
    except (Exception, pl.exceptions.PanicException) as error:  # noqa: BLE001 - failures are what is counted
        failures = ((began, time.monotonic()),)
        return Read(way, ask, problems=(f"{type(error).__name__}: {error}",), failures=failures)
    return Read(way, ask, began, time.monotonic(), to_answers(ask, rows), (), find_fault(ask, rows, way))


@contextmanager
def reading(lake: str, server: Server, crowd: Crowd) -> Iterator[tuple[Turns, list[Read]]]:
    """Read while the block runs, with the rights of a reader; yield whose turn it is, and what was read, which stands there once the block has ended.

    Raises:
        EOFError: A process of readers ended early.
        TimeoutError: One says nothing.
    """
    context, reads, pipes, kinds = multiprocessing.get_context("spawn"), list[Read](), list[Connection](), list(WAYS)
    stop, turns, started = context.Event(), Turns(context), list[SpawnProcess]()
    for number in range(crowd.processes):
        ways = [kinds[(number * crowd.threads + reader) % len(kinds)] for reader in range(crowd.threads)]
        ours, theirs = context.Pipe(duplex=False)
        started.append(
            context.Process(
                target=read_on, args=(theirs, stop, lake, server.storage, server.reader, ways, turns), daemon=True
            )
        )
        started[-1].start()
        theirs.close()
        pipes.append(ours)
    try:
        refusals = [receive(pipe) for pipe in pipes]  # all of them are ready
        print(
            f"{crowd.processes * crowd.threads} readers in {crowd.processes} processes, who may only read: {refusals[0]}",
            flush=True,
        )
        yield turns, reads
        stop.set()
        reads += chain.from_iterable([receive(pipe) for pipe in pipes])
        for process in started:
            process.join(PATIENCE_SECONDS)
    finally:
        for process in started:
            process.kill()


def receive(pipe: Connection) -> Any:
    """Return what a process of readers sends."""
    if not pipe.poll(PATIENCE_SECONDS):
        raise TimeoutError(f"nothing from readers for {PATIENCE_SECONDS} s")
    return pipe.recv()


@dataclass
class Tally:
    """What came of the reads of one way.

    Args:
        reads: Those begun.
        crossed: Those of them during which an object that they asked for was replaced.
        failed: Those that failed at first.
        early: Those of them that were under way when the phase began.
        lost: Those of them that failed again.
        stray: Tries that failed although no object got its final name meanwhile.
        wrong: Those that found what was never there, or not as the contract says.
        problems: Why they failed, and how often.
        faults: What was wrong, or failed again, and how often.
    """

    reads: int = 0
    crossed: int = 0
    failed: int = 0
    early: int = 0
    lost: int = 0
    stray: int = 0
    wrong: int = 0
    problems: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)

    def add(self, read: Read, admissible: dict[Partition, list[Answer | None]]) -> None:
        """Count a read."""
        self.reads += 1
        self.failed += bool(read.problems)
        self.problems.update(re.sub(r"\d+", "#", problem)[:SHOWN_LETTERS] for problem in read.problems)
        if read.answers is None:
            self.lost += 1
            self.faults[f"{read.ask} failed {len(read.problems)} times"] += 1
            return
        self.crossed += any(len(answers) > 1 for answers in admissible.values())
        others = [
            partition
            for partition in admissible.keys() | read.answers.keys()
            if read.answers.get(partition) not in admissible.get(partition, [])
        ]
        if others or read.fault:
            self.wrong += 1
            what = (
                read.fault
                or f"{'/'.join(others[0])}: {read.answers.get(others[0])} found, of {admissible.get(others[0])}"
            )
            self.faults[f"{read.ask}: {what}"] += 1

    def holds(self, *, is_ours: bool) -> bool:
        """Return whether it is as it should be: nothing wrong, and nothing failed, or of plain scans nothing twice."""
        return self.reads > 0 and not self.wrong and not self.stray and not (self.failed if is_ours else self.lost)


def judge(reads: list[Read], recorder: Recorder) -> dict[str, Tally]:
    """Return what came of all reads, by way."""
    tallies = {way: Tally() for way in WAYS}
    for read in reads:
        tallies[read.way].add(read, recorder.admissible(read))
        tallies[read.way].stray += sum(not recorder.meets_phase(*moment) for moment in read.failures)
        tallies[read.way].early += bool(read.failures) and recorder.precedes_phase(*read.failures[0])
    return tallies


def read_while_publishing(
    folder: Path, server: Server, crowd: Crowd, runs: int, minutes: int = 1, pace: float = 0
) -> tuple[dict[str, Tally], list[Counter[str]]]:
    """Let readers read while runs publish; runs begin at least `pace` seconds apart.

    Returns:
        What came of the reads, by way, and how many objects each run has put, by table.
    """
    with (recorder := Recorder(server.endpoint)).opened() as endpoint:
        publisher = Publisher(folder, server, endpoint, "readers", runs, minutes)
        publisher.publish(0)
        put = []
        with reading(publisher.lake, server, crowd) as (turns, reads):
            for number in range(1, runs + 1):
                before = count_versions(recorder)
                began = time.monotonic()
                with turns.run():
                    publisher.publish(number)
                time.sleep(max(0.0, pace - (time.monotonic() - began)))
                put.append(count_versions(recorder) - before)
    seconds = sorted(ended - began for began, ended in recorder.phases)
    print(f"{len(seconds)} publishing phases of {seconds[0]:.2f} to {seconds[-1]:.2f} s", flush=True)
    return judge(reads, recorder), put


def count_versions(recorder: Recorder) -> Counter[str]:
    """Return how many versions of objects there have been, by table."""
    return Counter(
        {
            table: sum(len(versions) for path, versions in recorder.versions.items() if path.startswith(f"{table}/"))
            for table in TABLES_READ
        }
    )


def prove_readers(crowd: Crowd, runs: int, pace: float = PACE_SECONDS) -> bool:
    """Let readers read while runs publish; print what came of it, and return whether all is as it should be."""
    with (
        tempfile.TemporaryDirectory(prefix="chandlery-readers-") as name,
        s3_server(Path(name) / "s3", (RAW, LAKE)) as server,
    ):
        os.environ.update(server.admin)
        began = time.perf_counter()
        tallies, put = read_while_publishing(Path(name), server, crowd, runs, pace=pace)
    seconds = time.perf_counter() - began
    results = [all(run[table] for run in put for table in TABLES_READ)]
    objects = ", ".join(f"{sum(run[table] for run in put)} of {table}" for table in TABLES_READ)
    print(
        f"{'ok  ' if results[0] else 'FAIL'} {runs} runs replaced objects of every table: {objects}; {seconds:.0f} s",
        flush=True,
    )
    for way, tally in tallies.items():
        results.append(tally.holds(is_ours=WAYS[way].is_ours))
        found = f"{tally.reads:,} reads, {tally.crossed:,} of them while an object of theirs was replaced; {tally.failed} failed, {tally.early} of them under way when the phase began, {tally.lost} again when retried; {tally.stray} tries failed outside publishing; {tally.wrong} wrong"
        listed = [
            f"{count} x {what}" for told in (tally.faults, tally.problems) for what, count in told.most_common(SHOWN)
        ]
        print(
            f"{'ok  ' if results[-1] else 'FAIL'} {way}: {found}" + "".join(f"\n     {line}" for line in listed),
            flush=True,
        )
    plain = [tally for way, tally in tallies.items() if not WAYS[way].is_ours]
    failed = sum(tally.failed for tally in plain)
    share = failed / sum(tally.reads for tally in plain)
    results.append(share * FEWER <= FAILED_BEFORE)
    print(
        f"{'ok  ' if results[-1] else 'FAIL'} plain reads that failed: {10_000 * share:.0f} of 10,000, where it was {10_000 * FAILED_BEFORE:.0f}; {failed / runs:.1f} for each run",
        flush=True,
    )
    return all(results)


def main() -> None:
    """Read as much as asked; end with 1 where something is not as it should be."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--processes", type=int, default=Crowd.processes)
    parser.add_argument("--threads", type=int, default=Crowd.threads, help="readers in each process")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument(
        "--pace", type=float, default=PACE_SECONDS, help="seconds from the beginning of a run to that of the next"
    )
    asked = parser.parse_args()
    sys.exit(0 if prove_readers(Crowd(asked.processes, asked.threads), asked.runs, asked.pace) else 1)


if __name__ == "__main__":
    main()
