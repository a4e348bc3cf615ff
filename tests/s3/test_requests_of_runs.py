"""How many requests runs make: none that grows with the symbols where nothing is new, and none of the driver's."""

import datetime as dt
import io
import secrets
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl
import pytest
from proxy import counting_proxy
from s3_server import Server

from chandlery.lake.store import Store
from chandlery.sources.sample import SAMPLE_SYMBOLS, SamplePlan, write_sample
from marked_run import DRIVER, run_marked
from relay import Counted

pytestmark = pytest.mark.slow

FEW, MANY, DAYS = 3, 6, 70
FORECAST = {"horizons": ["60m"], "models": ["linear"], "min_train": "30d"}
MOST = 10
APART = {"lease", "page"}


@dataclass(frozen=True)
class Requests:
    """The requests of two runs of a lake: one with nothing new, and one with another day."""

    nothing_new: list[Counted]
    append: list[Counted]


def to_raw(name: str, candles: pl.DataFrame, *, zipped: bool) -> tuple[str, bytes]:
    """Return a raw file, in an archive of its own or plain."""
    rows = candles.select(pl.col("open_time").dt.epoch("ms").alias("time"), "open", "close", "high", "low", "volume")
    content = rows.write_csv().encode()
    if not zipped:
        return name, content
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr(name, content)
    return name.replace(".csv", ".zip"), archive.getvalue()


def make_settings(server: Server, prefix: str) -> dict[str, object]:
    """Return the settings of a run, whose source and lake lie under a prefix."""
    return {
        "source": {"uri": f"s3://crypto-raw/{prefix}"},
        "lake": {"uri": f"s3://crypto-lake/{prefix}"},
        "storage": server.storage,
        "forecast": FORECAST,
        "engine": {"workers": 1},
    }


def requests_of(server: Server, symbols: int) -> Requests:
    """Run a lake whose every third symbol comes in a zip archive; the new day has one archive in every lake."""
    plan = SamplePlan(SAMPLE_SYMBOLS[:symbols], DAYS, interval_minutes=60, seed=3)
    edge = dt.datetime.combine(plan.start, dt.time(), dt.UTC) + dt.timedelta(days=DAYS - 1)
    prefix = secrets.token_hex(4)
    raw = Store(f"s3://crypto-raw/{prefix}", server.storage)
    settings = make_settings(server, prefix)
    files = list(write_sample(plan))

    def add(name: str, part: pl.Expr, zipped: range) -> None:
        for place, file in enumerate(files):
            chosen = file.candles.filter(part)
            raw.put(*to_raw(file.name.replace(".csv", f"_{name}.csv"), chosen, zipped=place in zipped))

    with counting_proxy(server.endpoint) as (endpoint, relay):

        def run() -> list[Counted]:
            relay.take()
            assert run_marked(settings, endpoint) == 0
            return relay.take()

        add("a", pl.col("open_time") < edge, range(2, symbols, 3))
        run()
        nothing_new = run()
        add("b", pl.col("open_time") >= edge, range(2, 3))
        return Requests(nothing_new, run())


@pytest.fixture(scope="module")
def lakes(server: Server) -> Iterator[dict[int, Requests]]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server.admin.items():
            patch.setenv(name, value)
        yield {symbols: requests_of(server, symbols) for symbols in (FEW, MANY)}


def counted(requests: list[Counted]) -> list[Counted]:
    """Return requests that are neither the lease's nor further pages of a listing."""
    return [request for request in requests if request.kind not in APART]


def driver_s(requests: list[Counted]) -> list[tuple[str, str, str]]:
    """Return the driver's requests, without those of the lease and further pages."""
    chosen = (request for request in counted(requests) if request.agent == DRIVER)
    return [(request.stage, request.kind, request.key.partition("/")[2]) for request in chosen]


def test_a_run_with_nothing_new_makes_the_same_few_requests_for_any_number_of_symbols(
    lakes: dict[int, Requests],
) -> None:
    few, many = (counted(lakes[symbols].nothing_new) for symbols in (FEW, MANY))
    assert len(few) == len(many)
    assert len(many) <= MOST


def test_a_run_with_nothing_new_opens_no_archive_that_is_known(lakes: dict[int, Requests]) -> None:
    for requests in lakes.values():
        read = [request for request in requests.nothing_new if request.key.endswith(".zip")]
        assert [request.key for request in read if request.bucket == "crypto-raw"] == []


def test_the_drivers_requests_of_an_append_do_not_grow_with_the_symbols(lakes: dict[int, Requests]) -> None:
    few, many = (driver_s(lakes[symbols].append) for symbols in (FEW, MANY))
    assert few
    assert len(many) <= len(few), sorted(set(many) - set(few))


def test_an_append_of_a_day_rewrites_tables_from_tasks_alone(lakes: dict[int, Requests]) -> None:
    for requests in lakes.values():
        rewritten = [request for request in requests.append if request.rewrites_table(f"{request.key[:8]}/")]
        assert len(rewritten) >= FEW
        assert {request.agent for request in rewritten}.isdisjoint({DRIVER})


def count_reads(server: Server, symbols: int) -> tuple[int, int]:
    """Return how often a run reads a file that has rows of some symbols, and a broken version of it."""
    prefix = secrets.token_hex(4)
    raw = Store(f"s3://crypto-raw/{prefix}", server.storage)
    plan = SamplePlan(SAMPLE_SYMBOLS[:symbols], 3, interval_minutes=60, seed=3)
    names = ("open", "close", "high", "low", "volume")
    rows = [
        file.candles.select(
            pl.col("open_time").dt.epoch("ms").alias("time"), pl.lit(symbol).alias("symbol"), *map(pl.col, names)
        )
        for symbol, file in zip(SAMPLE_SYMBOLS, write_sample(plan), strict=False)
    ]
    content = pl.concat(rows).sort("time").write_csv().encode()
    lines = content.splitlines(keepends=True)
    broken = content + lines[-1].replace(lines[-1].split(b",")[1], b"")  # its last row names no symbol
    with counting_proxy(server.endpoint) as (endpoint, relay):
        counts = []
        for version, exit_code in ((content, 0), (broken, 3)):
            raw.put("all.csv", version)
            assert run_marked(make_settings(server, prefix), endpoint) == exit_code
            counts.append(sum(request.key.endswith("all.csv") for request in relay.take()))
        return counts[0], counts[1]


def test_a_file_of_many_symbols_is_read_as_often_as_one_of_few(server: Server) -> None:
    few, many = count_reads(server, FEW), count_reads(server, MANY)
    assert few == many
    assert min(few) > 0
