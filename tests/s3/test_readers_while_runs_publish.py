"""Readers while runs publish: no read of ours fails, none of any kind fails twice or is wrong, and faults are found."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from s3_server import Server

from asks import ASKS, WAYS, Ask, answers_of, find_fault, to_answers
from chandlery.lake.reading import read_table
from chandlery.lake.tables import encode
from readers import Crowd, read_while_publishing
from recorder import TABLES_READ, Read, Recorder, Tally, Version

CANDLES, SUMS = ASKS[0], ASKS[1]


@pytest.mark.slow
def test_reads_while_runs_publish(admin: Server, tmp_path: Path) -> None:
    tallies, put = read_while_publishing(tmp_path, admin, Crowd(processes=2, threads=2), runs=2, minutes=5)
    assert all(run[table] for run in put for table in TABLES_READ)
    for way, tally in tallies.items():
        assert tally.holds(is_ours=WAYS[way].is_ours), (way, tally)
    assert sum(tally.crossed for tally in tallies.values()) > 0


@pytest.fixture
def recorder(sample_lake: Path) -> Iterator[Recorder]:
    """BTCUSD's candles of 2019 with a day less, put between 1 and 2, and whole, put between 5 and 6."""
    path = "candles/exchange=unknown/interval=1m/symbol=BTCUSD/year=2019/part-0.parquet"
    whole = pl.read_parquet(
        next((sample_lake / "candles").glob("*/*/symbol=BTCUSD/year=2019/*.parquet")), hive_partitioning=False
    )
    recorder = Recorder("http://127.0.0.1")
    contents = [encode([rows]) or b"" for rows in (whole[:-1440], whole)]
    recorder.versions[path] = [
        Version(began, began + 1, answers_of(path, content))
        for began, content in zip((1.0, 5.0), contents, strict=True)
    ]
    yield recorder
    recorder.server_close()


@pytest.fixture
def candles(sample_lake: Path) -> pl.DataFrame:
    return read_table(str(sample_lake), "candles", symbol="BTCUSD").with_columns(pl.lit("unknown").alias("exchange"))


def judged(recorder: Recorder, ask: Ask, rows: pl.DataFrame, began: float, ended: float) -> int:
    """Return how many reads are wrong, of one that found these rows."""
    tally, found = Tally(), to_answers(ask, ask.lazily(rows.lazy()).collect())
    read = Read("read_table", ask, began, ended, found, fault="" if ask.sums else find_fault(ask, rows, "read_table"))
    tally.add(read, recorder.admissible(read))
    return tally.wrong


@pytest.mark.parametrize("ask", [CANDLES, SUMS])
def test_a_version_is_right_while_it_is_there(recorder: Recorder, candles: pl.DataFrame, ask: Ask) -> None:
    old = candles[:-1440]
    assert [
        judged(recorder, ask, old, *moment)
        for moment in ((0.0, 0.5), (0.0, 1.5), (3.0, 4.0), (5.5, 5.8), (5.5, 9.0), (6.5, 9.0))
    ] == [1, 0, 0, 0, 0, 1]
    assert [judged(recorder, ask, candles, *moment) for moment in ((3.0, 4.0), (3.0, 5.5), (7.0, 8.0))] == [1, 0, 0]
    assert [judged(recorder, ask, candles[:0], *moment) for moment in ((0.0, 0.5), (0.0, 1.5), (2.5, 3.0))] == [0, 0, 1]


@pytest.mark.parametrize("ask", [CANDLES, SUMS])
def test_a_mixture_of_versions_is_wrong(recorder: Recorder, candles: pl.DataFrame, ask: Ask) -> None:
    mixture = candles.with_columns(
        pl.when(pl.int_range(pl.len()) == 7)
        .then("close")
        .otherwise(pl.col("close").shift(-1, fill_value=1.0))
        .alias("close")
    )
    for rows in (mixture, candles[1:], candles[:-1]):
        assert judged(recorder, ask, rows, 0.0, 9.0) == 1


def test_what_breaks_the_contract_is_wrong(recorder: Recorder, candles: pl.DataFrame) -> None:
    assert judged(recorder, CANDLES, candles, 7.0, 8.0) == 0
    broken = (
        candles[::-1],
        candles.select(candles.columns[::-1]),
        candles.with_columns(pl.col("year").cast(pl.Int64)),
        pl.concat([candles, candles[:1]]),
        candles.drop("volume"),
    )
    assert [judged(recorder, CANDLES, rows, 7.0, 8.0) for rows in broken] == [1] * len(broken)
