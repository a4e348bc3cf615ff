"""Readers of a lake on a real S3 server while runs publish into it: whether any read fails or is wrong.

Runs go through a proxy that records the answers of each version of each object, and when it was written. A read is
wrong unless it finds versions that existed between its beginning and its end.

Objects get their final names in short publishing phases, two per run: from the put of a manifest to the last copy. A
read may fail only if it overlaps one of them. A plain scan that failed is retried when the current run has ended, and
the next run waits for it: in practice runs are a day apart.

The share of reads that fail depends on how often runs publish, so runs start at a fixed pace, whatever they take. The
pace is that at which lakes of format 1 were measured, where 336 of 10,000 plain reads failed, or 16.8 per run.
"""

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import polars as pl

from asks import ASKS, WAYS, Ask, find_fault, to_answers
from chandlery.errors import SettingsError
from chandlery.lake.store import Store
from gate import LAKE, RAW
from turns import Turns

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "demo"))

from s3_server import Server, s3_server

from publisher import Publisher
from recorder import TABLES_READ, Read, Recorder, Tally, count_versions, judge

PATIENCE_SECONDS = 300
PACE_SECONDS = 54  # 20 runs in 18 minutes
FAILED_BEFORE, FEWER = 336 / 10_000, 3  # share of plain reads of format 1, and the factor by which it must be lower
NICENESS = 10  # in practice readers have other machines; on this one they must not slow the runs
SHOWN = 5  # faults and problems of each way that are printed


@dataclass(frozen=True)
class Crowd:
    """The readers.

    Args:
        processes: Their number of processes.
        threads: Readers in each process.
    """

    processes: int = 10
    threads: int = 10


def read_on(
    pipe: Connection,
    stop: Event,
    lake: str,
    options: dict[str, str],
    environment: dict[str, str],
    ways: list[str],
    turns: Turns,
) -> None:
    """Read a lake, one thread per reader, until `stop` is set; every reader asks each question at least once.

    Sends the error that an attempt to write raises, and in the end the reads.
    """
    os.environ.update(environment)
    os.nice(NICENESS)
    try:
        Store(lake, options).put("_probe/reader", b"")
    except SettingsError as error:
        pipe.send(str(error))
    else:
        raise RuntimeError("a reader was allowed to write")

    def read_all(place: int) -> list[Read]:
        read, reads = WAYS[ways[place]].open(lake, options), list[Read]()
        while len(reads) < len(ASKS) or not stop.is_set():
            reads.append(read_once(ways[place], read, ASKS[(place + len(reads)) % len(ASKS)], turns))
        return reads

    with ThreadPoolExecutor(len(ways)) as threads:
        pipe.send(list(chain.from_iterable(threads.map(read_all, range(len(ways))))))


def read_once(way: str, read: Callable[[Ask], pl.DataFrame], ask: Ask, turns: Turns) -> Read:
    """Read; a plain scan that fails is retried once while no run goes on."""
    first = try_to_read(way, read, ask)
    if WAYS[way].is_ours or not first.problems:
        return first
    with turns.read_again():
        second = try_to_read(way, read, ask)
    failures = first.failures + second.failures
    return replace(second, problems=first.problems + second.problems, failures=failures)


def try_to_read(way: str, read: Callable[[Ask], pl.DataFrame], ask: Ask) -> Read:
    """Read; a failure is returned as the problem of the read."""
    began = time.monotonic()
    try:
        rows = read(ask)
    except (Exception, pl.exceptions.PanicException) as error:  # noqa: BLE001 - failures are counted
        failures = ((began, time.monotonic()),)
        return Read(way, ask, problems=(f"{type(error).__name__}: {error}",), failures=failures)
    return Read(way, ask, began, time.monotonic(), to_answers(ask, rows), (), find_fault(ask, rows, way))


@contextmanager
def reading(lake: str, server: Server, crowd: Crowd) -> Iterator[tuple[Turns, list[Read]]]:
    """Read while the block runs, with the rights of a reader; yield the turns and the list of reads.

    The list is filled when the block has ended.

    Raises:
        EOFError: A process of readers ended early.
        TimeoutError: One sends nothing.
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
        refusals = [receive(pipe) for pipe in pipes]  # then all of them are ready
        readers = f"{crowd.processes * crowd.threads} readers in {crowd.processes} processes"
        print(f"{readers}, without the right to write: {refusals[0]}", flush=True)
        yield turns, reads
        stop.set()
        reads += chain.from_iterable([receive(pipe) for pipe in pipes])
        for process in started:
            process.join(PATIENCE_SECONDS)
    finally:
        for process in started:
            process.kill()


def receive(pipe: Connection) -> Any:
    """Return the next object that a process of readers sends."""
    if not pipe.poll(PATIENCE_SECONDS):
        raise TimeoutError(f"readers sent nothing for {PATIENCE_SECONDS} s")
    return pipe.recv()


def read_while_publishing(
    folder: Path, server: Server, crowd: Crowd, runs: int, minutes: int = 1, pace: float = 0
) -> tuple[dict[str, Tally], list[Counter[str]]]:
    """Let readers read while runs publish; runs begin at least `pace` seconds apart.

    Returns:
        The results of the reads, by way, and how many objects each run has put, by table.
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


def prove_readers(crowd: Crowd, runs: int, pace: float = PACE_SECONDS) -> bool:
    """Let readers read while runs publish; print the results, and return whether all of them hold."""
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
        found = (
            f"{tally.reads:,} reads, {tally.crossed:,} of them while one of their objects was replaced; {tally.failed} "
            f"failed, {tally.early} of them under way when the phase began, {tally.lost} again when retried; "
            f"{tally.stray} attempts failed outside publishing; {tally.wrong} wrong"
        )
        listed = [
            f"{count} x {what}" for kinds in (tally.faults, tally.problems) for what, count in kinds.most_common(SHOWN)
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
        f"{'ok  ' if results[-1] else 'FAIL'} plain reads that failed: {10_000 * share:.0f} of 10,000, against "
        f"{10_000 * FAILED_BEFORE:.0f} with format 1; {failed / runs:.1f} per run",
        flush=True,
    )
    return all(results)


def main() -> None:
    """Read as much as asked; exit with 1 if a result does not hold."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--processes", type=int, default=Crowd.processes)
    parser.add_argument("--threads", type=int, default=Crowd.threads, help="readers in each process")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument(
        "--pace", type=float, default=PACE_SECONDS, help="seconds from the start of a run to that of the next"
    )
    asked = parser.parse_args()
    sys.exit(0 if prove_readers(Crowd(asked.processes, asked.threads), asked.runs, asked.pace) else 1)


if __name__ == "__main__":
    main()
