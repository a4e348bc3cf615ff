"""Bad input, each with its exit code and a message that says what to do; nothing is lost, the other files finish."""

import gzip
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from lakes import write_days

from chandlery.lake.reading import read_table

pytestmark = pytest.mark.slow


def call(*arguments: str, cwd: Path | None = None, **environment: str) -> "subprocess.CompletedProcess[str]":
    program = [sys.executable, "-m", "chandlery", *arguments]
    return subprocess.run(
        program, capture_output=True, text=True, check=False, cwd=cwd, env={**os.environ, **environment}
    )


def rows(count: int, *, step: int = 60_000, start: int = 1_546_300_800_000, price: float = 100.0) -> list[str]:
    return [f"{start + place * step},{price},{price + 0.1},{price + 0.2},{price - 0.1},1.5" for place in range(count)]


HEADER = "time,open,close,high,low,volume"


def csv(*lines: str) -> bytes:
    return "\n".join((HEADER, *lines, "")).encode()


def broken_json() -> bytes:
    prices = '"open": 1.0, "close": 1.0, "high": 1.0, "low": 1.0, "volume": 1.0'
    some = ",".join(f'{{"time": {1546300800000 + 60_000 * minute}, {prices}}}' for minute in range(999))
    return ('{"results": [' + ",".join([some] * 1_001) + ', {"time": 15463 oops]}').encode()


BAD = {
    "empty.csv": (b"", "is empty|holds no"),
    "cut.csv.gz": (gzip.compress(csv(*rows(50_000)))[:-4000], "ended before the end-of-stream marker"),
    "million.json": (broken_json(), "row 1,?000,?000"),
    "other.csv": (b"name,street,city,country,phone,mail\nAnn,Elm St,Bern,CH,1,a@b\nBob,Oak St,Rome,IT,2,b@c\n", "time"),
    "mixed.csv": (
        csv(*rows(700), *rows(700, step=1_800_000, start=1_546_300_800_000 + 700 * 60_000)),
        "interval|candles of",
    ),
    "two.csv": (
        b"time,symbol,open,close,high,low,volume\n"
        + b"".join(
            f"{1546300800000 + n * 60000},{'BTCUSD' if n % 2 else 'ETHUSD'},1,1,1,1,1\n".encode() for n in range(300)
        ),
        "symbol",
    ),
}
SYMBOLS = dict(zip(BAD, ("XRPUSD", "ETCUSD", "XMRUSD", "NEOUSD", "IOTUSD", "ZECUSD"), strict=True))


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, "subprocess.CompletedProcess[str]"]:
    base = tmp_path_factory.mktemp("bad")
    write_days(base / "raw", 0, 3, symbols=2)
    for name, (content, _) in BAD.items():
        (base / "raw" / f"{SYMBOLS[name]}.{name.partition('.')[2]}").write_bytes(content)
    future = csv(*rows(300), *rows(30, start=4_000_020_000_000))
    (base / "raw" / "LTCUSD.csv").write_bytes(future)
    (base / "raw" / "12345.csv").write_bytes(csv(*rows(200)))
    return base, call("run", "--source", str(base / "raw"), "--lake", str(base / "lake"), "--horizon", "1m")


def test_the_run_ends_with_3_and_without_a_traceback(ran: tuple[Path, "subprocess.CompletedProcess[str]"]) -> None:
    done = ran[1]
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert "Hint:" in done.stdout


@pytest.mark.parametrize("name", list(BAD))
def test_each_bad_file_is_refused_by_name(ran: tuple[Path, "subprocess.CompletedProcess[str]"], name: str) -> None:
    file = f"{SYMBOLS[name]}.{name.partition('.')[2]}"
    row = read_table(str(ran[0] / "lake"), "ledger").row(by_predicate=pl.col("source") == file, named=True)
    assert row["status"] == "refused"
    is_known = name in {
        "million.json",
        "mixed.csv",
    }  # the others show no interval, so they belong to no series
    assert row["symbol"] == (SYMBOLS[name] if is_known else "UNKNOWN")
    assert re.search(BAD[name][1], row["problem"]), row["problem"]
    assert row["problem"] in ran[1].stdout


def test_rows_of_the_future_are_rejected_one_by_one(ran: tuple[Path, "subprocess.CompletedProcess[str]"]) -> None:
    rejects = read_table(str(ran[0] / "lake"), "rejects", symbol="LTCUSD")
    assert rejects.height == 30
    assert rejects["reasons"].to_list() == [["time_out_of_range"]] * 30
    assert "LTCUSD.csv: 9.1% of its rows were rejected" in ran[1].stdout


def test_a_file_without_a_symbol_is_in_the_ledger(ran: tuple[Path, "subprocess.CompletedProcess[str]"]) -> None:
    row = read_table(str(ran[0] / "lake"), "ledger").row(by_predicate=pl.col("source") == "12345.csv", named=True)
    assert (row["exchange"], row["interval"], row["symbol"]) == ("unknown", "unknown", "UNKNOWN")


def test_the_other_files_finish(ran: tuple[Path, "subprocess.CompletedProcess[str]"]) -> None:
    ledger = read_table(str(ran[0] / "lake"), "ledger")
    assert set(ledger.filter(ledger["status"] == "read")["symbol"]) == {"BTCUSD", "ETHUSD", "LTCUSD"}


def test_refused_again_on_every_run_until_it_is_mended(ran: tuple[Path, "subprocess.CompletedProcess[str]"]) -> None:
    base = ran[0]
    again = call("run", "--source", str(base / "raw"), "--lake", str(base / "lake"), "--json")
    assert again.returncode == 3
    assert json.loads(again.stdout)["published"] == 0
    explained = call("explain", "ltc/usd", "--row", "301", "--lake", str(base / "lake"))
    assert "time_out_of_range" in explained.stdout


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        ([], {"CHANDLERY_SOURCE__EXCHANGE": "kraken"}, "exchange"),
        (
            [],
            {"CHANDLERY_SOURCE__EXCHANGE": "my exchange"},
            "source.exchange: exchange 'my exchange'; expected a name of",
        ),
        (["--horizon", "90s"], {}, "duration '90s'"),
        (["--model", "crystal"], {}, "model 'crystal'"),
        ([], {"CHANDLERY_FORECAST__TYPO": "1"}, "CHANDLERY_FORECAST__TYPO: there is no such setting"),
    ],
)
def test_settings_that_cannot_be_are_told(
    ran: tuple[Path, "subprocess.CompletedProcess[str]"],
    arguments: list[str],
    environment: dict[str, str],
    message: str,
) -> None:
    base = ran[0]
    done = call("run", "--source", str(base / "raw"), "--lake", str(base / "lake"), *arguments, **environment)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_typo_in_the_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "chandlery.toml").write_text('[source]\nuir = "raw"\n')
    done = call("run", cwd=tmp_path)
    assert done.returncode == 2
    assert "source.uir: there is no such setting" in done.stderr


def test_several_faults_are_told_together(tmp_path: Path) -> None:
    layout = (
        "[[source.layout]]\n"
        'symbol = "BTC+USD"\n'
        'exchange = "my/exchange"\n'
        "[[series]]\n"
        'exchange = "a=b"\n'
        'interval = "1h"\n'
    )
    (tmp_path / "chandlery.toml").write_text(layout)
    done = call("run", cwd=tmp_path)
    assert done.returncode == 2
    for fault in (
        "source.layout.0.symbol: symbol 'BTC+USD'; expected",
        "source.layout.0.exchange: exchange 'my/exchange'; expected",
        "series.0.exchange: exchange 'a=b'; expected",
    ):
        assert fault in done.stderr
    assert "pattern" not in done.stderr


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    done = call("run", "--source", str(tmp_path / "nowhere"), "--lake", str(tmp_path / "lake"))
    assert done.returncode == 2
    assert "no folder" in done.stderr


def test_init_writes_settings_that_load(tmp_path: Path) -> None:
    assert call("init", cwd=tmp_path).returncode == 0
    assert "max_rejected_share = 0.05" in (tmp_path / "chandlery.toml").read_text()
    assert "no lake" in call("run", cwd=tmp_path).stderr
    assert call("init", cwd=tmp_path).returncode == 2


def test_a_full_disk_is_told_and_nothing_is_lost(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(small)], check=False, capture_output=True
    ).returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        write_days(tmp_path / "raw", 0, 20, symbols=1)
        done = call("run", "--source", str(tmp_path / "raw"), "--lake", str(small / "lake"), "--horizon", "1m")
        assert done.returncode == 5, done.stderr
        assert "no room left" in done.stderr
        assert "Traceback" not in done.stderr
        subprocess.run(["mount", "-o", "remount,size=100m", str(small)], check=True)
        assert (
            call("run", "--source", str(tmp_path / "raw"), "--lake", str(small / "lake"), "--horizon", "1m").returncode
            == 0
        )
        assert (
            read_table(str(small / "lake"), "candles").height
            == read_table(str(small / "lake"), "ledger")["rows_kept"].sum()
        )
    finally:
        subprocess.run(["umount", str(small)], check=True)
