"""Requests of runs to a real S3 server, through a proxy that delays each by 20 ms: what a daily append costs.

    python benchmarks/request_counts.py [--symbols 392] [--quick] [--log requests.ndjson]

A lake of sample symbols with 39 days each, five horizons and the ridge: the first run, a run with nothing new, and a
run with one more day of each symbol; the last one also on a local path. The raw files are put without the proxy.

- A request belongs to the stage in which it is answered; `after gather` is what the driver does from the end of
  gather to the next stage, `start` what it does before the first one.
- The driver and the tasks are told apart by the User-Agent of the store that makes the request; see `marked_run.py`.
- Requests of the lease (`lease.json`, and the probe of the store's clock) and further pages of a listing are shown
  apart. The limits of a run with nothing new and of the driver leave both out. The limit of a stage of an append
  includes them.
- Each run prints how long its publishing phases took, the delay of each copy included.
- The driver of an append may make a constant number of requests: as many as with 12 symbols, and a few more.
"""

import argparse
import datetime as dt
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl

from chandlery.lake.store import Store
from chandlery.sources.sample import SAMPLE_SYMBOLS, SamplePlan, write_sample
from gate import LAKE, RAW
from marked_run import DRIVER
from relay import Counted, CountingRelay

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "demo"))

from s3_server import Server, s3_server

SYMBOLS, FEW_SYMBOLS, DAYS, SEED = 392, 12, 40, 11
FORECAST = {"horizons": ["1m", "5m", "15m", "30m", "60m"], "models": ["linear"], "min_train": "20d"}
DELAY_SECONDS = 0.02
MODIFIED = int(dt.datetime(2019, 6, 1, tzinfo=dt.UTC).timestamp())  # of local files: later than every candle
UPLOADS = 32
RUNNER = Path(__file__).with_name("marked_run.py")
NOTHING_NEW_REQUESTS, NOTHING_NEW_SECONDS = 10, 5.0
A_SYMBOL, A_TABLE_OBJECT = 6, 3  # most requests of a stage: per symbol, and per rewritten object of a table
DRIVER_MORE = 10  # requests of the driver beyond those with few symbols
APPEND_SECONDS = 150.0
START = "start"
FEW, MANY, LOCAL = "few", "many", "local"  # names of lakes
APART = ("lease", "page")


@dataclass(frozen=True)
class Raw:
    """Raw files by name: of all days but the last, and of the last day."""

    base: dict[str, bytes]
    day: dict[str, bytes]


@dataclass(frozen=True)
class Measured:
    """A run.

    Args:
        seconds: Of its process, its start included.
        requests: Those that the proxy has passed on; none on a local path.
    """

    seconds: float
    requests: list[Counted]


@dataclass(frozen=True)
class Figures:
    """The runs of one lake in a bucket, and the number of its objects by folder after the first and the last one."""

    first: Measured
    nothing_new: Measured
    append: Measured
    objects: tuple[dict[str, int], dict[str, int]]


def name_symbol(rank: int) -> str:
    """Return a symbol: those of the market first."""
    return SAMPLE_SYMBOLS[rank] if rank < len(SAMPLE_SYMBOLS) else f"P{rank:03}USD"


def make_raw(symbols: int) -> Raw:
    """Return two CSV files of synthetic candles for each symbol: all days but the last, and the last day."""
    plan = SamplePlan(tuple(name_symbol(rank) for rank in range(symbols)), DAYS, seed=SEED)
    edge = dt.datetime.combine(plan.start, dt.time(), dt.UTC) + dt.timedelta(days=DAYS - 1)
    raw = Raw({}, {})
    for file in write_sample(plan):
        is_early = pl.col("open_time") < edge
        stem = file.name.removesuffix(".csv")
        raw.base[f"{stem}_a.csv"] = to_csv(file.candles.filter(is_early))
        raw.day[f"{stem}_b.csv"] = to_csv(file.candles.filter(~is_early))
    return raw


def to_csv(candles: pl.DataFrame) -> bytes:
    """Return candles as a raw file."""
    time_ms = pl.col("open_time").dt.epoch("ms").alias("time")
    return candles.select(time_ms, "open", "close", "high", "low", "volume").write_csv().encode()


class Bench:
    """Runs of one lake, in a bucket behind a proxy or in a folder.

    Args:
        folder: For settings, and for the source and the lake of runs on a local path.
        raw: The raw files.
        place: The server, the proxy and the proxy's URL; None for runs on a local path.
        name: The folder of the source and the lake in their buckets.
    """

    def __init__(self, folder: Path, raw: Raw, place: tuple[Server, CountingRelay, str] | None, name: str) -> None:
        folder.mkdir()
        self._folder, self._raw, self._name = folder, raw, name
        self._server, self._relay, self._url = place or (None, None, "")
        options = self._server.storage if self._server else {}
        uris = (f"s3://{RAW}/{name}", f"s3://{LAKE}/{name}") if place else (str(folder / "raw"), str(folder / "lake"))
        self._source, self._lake = (Store(uri, options) for uri in uris)
        settings = {"source": {"uri": uris[0]}, "lake": {"uri": uris[1]}, "storage": options, "forecast": FORECAST}
        self._settings = folder / "settings.json"
        self._settings.write_text(json.dumps(settings))

    def add(self, files: dict[str, bytes]) -> None:
        """Put raw files, without the proxy, with a fixed modification time where it can be set."""
        with ThreadPoolExecutor(UPLOADS) as threads:
            list(threads.map(self._source.put, files.keys(), files.values()))
        for name in files if self._source.is_local else ():
            os.utime(self._source.root / name, (MODIFIED, MODIFIED))

    def run(self, what: str, delay_seconds: float = DELAY_SECONDS) -> Measured:
        """Run in a new process, and print its figures."""
        if self._relay:
            self._relay.take()
            self._relay.delay_seconds = delay_seconds
        began = time.perf_counter()
        command = [sys.executable, str(RUNNER), str(self._settings), self._url]
        subprocess.run(command, check=True, cwd=self._folder)
        run = Measured(time.perf_counter() - began, self._relay.take() if self._relay else [])
        report_run(f"{self._name}, {what}", run)
        return run

    def count_objects(self) -> dict[str, int]:
        """Return the number of the lake's objects by folder, its own files under `.`."""
        folders = (entry.path.rpartition("/")[0].partition("/")[0] or "." for entry in self._lake.list())
        return dict(sorted(Counter(folders).items()))

    def measure(self, *, quick: bool) -> Figures:
        """Run for the first time, with nothing new, and with one more day.

        Args:
            quick: Whether the requests of the first run are not delayed.
        """
        self.add(self._raw.base)
        first = self.run("first run, without delay", 0.0) if quick else self.run("first run")
        again = self.run("nothing new")
        before = self.count_objects()
        self.add(self._raw.day)
        append = self.run("append")
        return Figures(first, again, append, (before, self.count_objects()))

    def measure_append(self) -> float:
        """Return the seconds of a run with one more day, after a first one."""
        self.add(self._raw.base)
        self.run("first run")
        self.add(self._raw.day)
        return self.run("append").seconds


def group_by_stage(requests: Iterable[Counted]) -> dict[str, list[Counted]]:
    """Return requests by stage, in the order in which stages began."""
    found: dict[str, list[Counted]] = {}
    for request in requests:
        found.setdefault(request.stage or START, []).append(request)
    return found


def is_counted(request: Counted) -> bool:
    """Return whether a request is neither one of the lease nor a further page of a listing."""
    return request.kind not in APART


def select_driver(requests: Iterable[Counted]) -> list[Counted]:
    """Return the requests that the driver made, without the lease and further pages."""
    return [request for request in requests if request.agent == DRIVER and is_counted(request)]


def describe(requests: list[Counted]) -> str:
    """Return how many requests of which kind there are."""
    kinds = Counter(request.kind for request in requests).most_common()
    return f"{len(requests):,}" + (f" ({', '.join(f'{kind} {count:,}' for kind, count in kinds)})" if kinds else "")


def say(text: str) -> None:
    """Print a figure."""
    print(f"     {text}", flush=True)


def check(what: str, *, holds: bool, found: object) -> bool:
    """Print whether a limit is kept, and return it."""
    print(f"{'ok  ' if holds else 'FAIL'} {what}: {found}", flush=True)
    return holds


def report_run(what: str, run: Measured) -> None:
    """Print a run's time, and its requests by stage."""
    say(f"{what}: {run.seconds:.1f} s" + (f", {len(run.requests):,} requests" if run.requests else ""))
    for stage, requests in group_by_stage(run.requests).items():
        driver = [request for request in requests if request.agent == DRIVER]
        tasks = [request for request in requests if request.agent != DRIVER]
        say(f"{what}, {stage}: driver {describe(driver)}; tasks {describe(tasks)}")


def check_nothing_new(run: Measured) -> Iterator[bool]:
    """Check the limits of a run that finds nothing to do."""
    count = sum(map(is_counted, run.requests))
    most = f"at most {NOTHING_NEW_REQUESTS} beside the lease's and further pages"
    yield check(f"nothing new, requests, {most}", holds=count <= NOTHING_NEW_REQUESTS, found=f"{count:,}")
    what, seconds = f"nothing new, at most {NOTHING_NEW_SECONDS:.0f} s", f"{run.seconds:.1f} s"
    yield check(what, holds=run.seconds <= NOTHING_NEW_SECONDS, found=seconds)


def check_append(run: Measured, symbols: int, prefix: str) -> Iterator[bool]:
    """Check the limit of each stage of an append.

    Args:
        run: The append.
        symbols: Of the lake.
        prefix: Of the lake in its bucket.
    """
    for stage, requests in group_by_stage(run.requests).items():
        if stage == START or stage.startswith("after "):
            continue
        rewritten = len({request.key for request in requests if request.rewrites_table(prefix)})
        limit = A_SYMBOL * symbols + A_TABLE_OBJECT * rewritten
        most = f"at most {A_SYMBOL} x {symbols} symbols + {A_TABLE_OBJECT} x {rewritten} table objects = {limit:,}"
        found = f"{len(requests):,}, {len(requests) / symbols:.1f} per symbol"
        yield check(f"append, {stage}, {most}", holds=len(requests) <= limit, found=found)


def check_driver(few: Figures, many: Figures) -> bool:
    """Check that the driver of an append makes no more requests for many symbols than for few."""
    counts = [len(select_driver(figures.append.requests)) for figures in (few, many)]
    for stage, requests in group_by_stage(select_driver(many.append.requests)).items():
        before = sum((request.stage or START) == stage for request in select_driver(few.append.requests))
        say(f"append, driver, {stage}: {before:,} with {FEW_SYMBOLS} symbols, {describe(requests)} with all")
    most = f"at most {DRIVER_MORE} more than the {counts[0]:,} with {FEW_SYMBOLS} symbols"
    holds = 0 < counts[1] <= counts[0] + DRIVER_MORE
    return check(f"append, requests of the driver, {most}", holds=holds, found=f"{counts[1]:,}")


def report_objects(objects: tuple[dict[str, int], dict[str, int]]) -> None:
    """Print the number of objects of a lake by folder."""
    for when, counts in zip(("the first run", "the append"), objects, strict=True):
        folders = ", ".join(f"{folder} {count:,}" for folder, count in counts.items())
        say(f"objects after {when}: {sum(counts.values()):,} ({folders})")


def write_log(path: Path, figures: Figures) -> None:
    """Write each request of the runs as a line of JSON."""
    runs = {"first": figures.first, "nothing new": figures.nothing_new, "append": figures.append}
    lines = (json.dumps({"run": name, **asdict(request)}) for name, run in runs.items() for request in run.requests)
    path.write_text("".join(f"{line}\n" for line in lines))


def measure_all(folder: Path, symbols: int, *, quick: bool) -> tuple[Figures, Figures, float]:
    """Return the figures of a lake of few symbols and of one of many, and the seconds of its local append."""
    with s3_server(folder / "s3", (RAW, LAKE)) as server:
        os.environ.update(server.admin)
        relay = CountingRelay(server.endpoint)
        with relay.opened() as url:

            def measure(count: int, name: str) -> Figures:
                return Bench(folder / name, make_raw(count), (server, relay, url), name).measure(quick=quick)

            few, many = measure(FEW_SYMBOLS, FEW), measure(symbols, MANY)
    return few, many, Bench(folder / LOCAL, make_raw(symbols), None, LOCAL).measure_append()


def prove_requests(symbols: int = SYMBOLS, *, quick: bool = False, log: Path | None = None) -> bool:
    """Count the requests of runs, print each figure, and return whether every limit is kept.

    Args:
        symbols: Of the larger lake.
        quick: Whether the requests of the first runs, which have no limit, are not delayed.
        log: Where to write each request of its runs; without it, nowhere.
    """
    horizons, delay = len(FORECAST["horizons"]), f"{DELAY_SECONDS * 1000:.0f} ms"
    say(f"{symbols} symbols of {DAYS} days, {horizons} horizons, {delay} added to each request")
    with tempfile.TemporaryDirectory(prefix="chandlery-requests-") as folder:
        few, many, local = measure_all(Path(folder), symbols, quick=quick)
    if log:
        write_log(log, many)
    results = [*check_nothing_new(many.nothing_new), *check_append(many.append, symbols, f"{MANY}/")]
    results.append(check_driver(few, many))
    longer = many.append.seconds - local
    found = f"{many.append.seconds:.1f} s and {local:.1f} s, {longer:.1f} s longer"
    what = f"append, at most {APPEND_SECONDS:.0f} s longer than on a local path"
    results.append(check(what, holds=longer <= APPEND_SECONDS, found=found))
    report_objects(many.objects)
    return all(results)


def main() -> None:
    """Count as asked; exit with 1 if a limit is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--symbols", type=int, default=SYMBOLS)
    parser.add_argument("--quick", action="store_true", help="do not delay the requests of the first runs")
    parser.add_argument("--log", type=Path, help="where to write each request as a line of JSON")
    given = parser.parse_args()
    sys.exit(0 if prove_requests(given.symbols, quick=given.quick, log=given.log) else 1)


if __name__ == "__main__":
    main()
