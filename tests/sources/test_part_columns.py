"""Columns that are told in each series of a file: without names, times of the close, volumes, local times, coins."""

import datetime as dt
import io
import json
import zoneinfo
from collections.abc import Callable

import pytest
from raw_files import raw_file, rows_of

from chandlery.settings.model import LayoutSettings, SourceSettings
from chandlery.sources.doubts import UndecidedError
from chandlery.sources.surveys import peek_parts, survey_parts
from series_rows import (
    HOUR,
    NAMES,
    PRICES,
    Row,
    blocks,
    halves,
    interleaved,
    make_rows,
    read_each,
    survey,
    to_csv,
)


@pytest.mark.parametrize("order", [blocks, interleaved, halves])
@pytest.mark.parametrize(
    "shuffled", ["time symbol open close high low volume", "symbol volume low high close open time"]
)
def test_columns_without_names(order: Callable[..., list[Row]], shuffled: str) -> None:
    parts = [make_rows(symbol) for symbol in PRICES]
    rows = order(*parts)
    lines = [",".join(str(row[name]) for name in shuffled.split()) for row in rows]
    found = read_each(("\n".join(lines) + "\n").encode(), "all.csv")
    assert [part.symbol for part in found] == [symbol.replace("/", "") for symbol in PRICES]
    for rows, file in zip(parts, found.values(), strict=True):
        read = rows_of(file).sort("open_time")
        assert [read[name].to_list() for name in NAMES[2:]] == [[row[name] for row in rows] for name in NAMES[2:]]


def test_the_time_of_close_of_several_intervals() -> None:
    few = [
        [
            {**row, "timestamp": int(str(row["time"])) + step - 1, "interval": name}
            for row in make_rows("BTC/USDT", 9, step)
        ]
        for name, step in (("1h", HOUR), ("1d", 24 * HOUR))
    ]
    found = survey(to_csv(blocks(*few)), "BTC-USDT.csv")
    assert {part.seconds: seen.length_ms for part, seen in found.items()} == {3600: HOUR, 86_400: 24 * HOUR}


@pytest.mark.parametrize("worth", [(100, 100), (100, 10)])
def test_contracts_of_each_series(worth: tuple[int, int]) -> None:
    parts = [make_rows(symbol) for symbol in ("BTC/USDT", "ETH/USDT")]
    for rows, value in zip(parts, worth, strict=True):
        for row in rows:
            row["quote_volume"] = row["volume"]
            row["volume"] = round(float(str(row["volume"])) * float(str(row["close"])) / value, 6)
    found = read_each(to_csv(interleaved(*parts)), "all.csv")
    assert all(rows_of(file)["volume"].to_list() == [1.5 + step % 7 for step in range(120)] for file in found.values())


def test_numbers_of_the_rows_of_each_series_are_no_volume() -> None:
    parts = [
        [{"": number, **row} for number, row in enumerate(make_rows(symbol))] for symbol in ("BTC/USDT", "ETH/USDT")
    ]
    lines = [",".join(map(str, row.values())) for row in halves(*parts)]
    found = read_each(("\n".join(lines) + "\n").encode(), "all.csv")
    assert all(rows_of(file)["volume"].to_list() == [1.5 + step % 7 for step in range(120)] for file in found.values())


@pytest.mark.parametrize("order", [blocks, interleaved, halves])
@pytest.mark.parametrize("form", ["csv", "json"])
def test_the_hour_that_stands_twice_is_told_apart_in_each_series(order: Callable[..., list[Row]], form: str) -> None:
    utc = [dt.datetime(2023, 10, 28, tzinfo=dt.UTC) + dt.timedelta(hours=step) for step in range(60)]
    local = [f"{moment.astimezone(zoneinfo.ZoneInfo('Europe/Berlin')):%Y-%m-%d %H:%M:%S}" for moment in utc]
    parts = []
    for symbol in ("BTC/USDT", "ETH/USDT"):
        rows = make_rows(symbol, 60)
        parts.append(
            [{**row, "time": time, "step": step} for step, (row, time) in enumerate(zip(rows, local, strict=True))]
        )
    rows = sorted(order(*parts), key=lambda row: int(str(row["step"]))) if order is interleaved else order(*parts)
    content = to_csv(rows)
    if form == "json":
        content = json.dumps([{"symbol": row.pop("symbol"), "rows": [row]} for row in rows]).encode()
    found = read_each(content, f"all.{form}", timezone="Europe/Berlin")
    assert [part.symbol for part in found] == ["BTCUSDT", "ETHUSDT"]
    for file in found.values():
        assert rows_of(file).sort("open_time")["open_time"].to_list() == utc


@pytest.mark.parametrize("coins", [["BTC"], ["BTC", "ETH"]])
def test_coins_without_a_quote_currency_decide_no_symbol(coins: list[str]) -> None:
    content = to_csv(interleaved(*(make_rows(coin) for coin in coins)))
    raw, settings = raw_file(content, "coins.csv"), SourceSettings()
    with pytest.raises(UndecidedError) as met:
        peek_parts(io.BytesIO(content), raw, settings)
    assert met.value.decision == "symbol"
    told = [line for line in met.value.hint.splitlines() if line.startswith(("split", "symbol"))]
    assert told[0].split("  #")[0] == ("split = true" if len(coins) > 1 else 'symbol = "BTCUSD"')
    split = SourceSettings(layout=[LayoutSettings(split=True)])
    assert [part.symbol for part in survey_parts(io.BytesIO(content), raw, split)] == coins
