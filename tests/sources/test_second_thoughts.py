"""Evidence that stands elsewhere than where one looks first, and that speaks against what a name or a ratio says."""

import datetime as dt
import math
import random
from collections.abc import Sequence

import pytest
from raw_files import START_MS, read, rows_of

from chandlery.sources.doubts import UndecidedError

HEADER = "time,open,high,low,close,volume"
Row = tuple[int, float, float, float, float, float, float]


def walk(count: int, price: float = 42_000.0, *, swing: float = 0.001, digits: int = 2) -> list[Row]:
    """Return candles of a minute: time, open, high, low, close, volume in base and in quote."""
    chance, rows, last = random.Random(1), [], price  # noqa: S311 - no secret
    for step in range(count):
        open_, last = last, last * math.exp(chance.gauss(0, swing))
        high, low = max(open_, last) * (1 + swing / 2), min(open_, last) * (1 - swing / 2)
        prices = [round(each, digits) for each in (open_, high, low, last)]
        volume = round(chance.lognormvariate(2, 1), 4)
        rows.append((START_MS + 60_000 * step, *prices, volume, round(volume * sum(prices[1:]) / 3, 4)))
    return rows


def write(header: str, rows: Sequence[Sequence[object]]) -> bytes:
    return "\n".join([*filter(None, [header]), *(",".join(map(str, row)) for row in rows)]).encode() + b"\n"


def to_text(ms: int, ending: str = "") -> str:
    return f"{dt.datetime.fromtimestamp(ms / 1000, dt.UTC):%Y-%m-%d %H:%M:%S}{ending}"


WALK = walk(300)


@pytest.mark.parametrize("names", [("market_cap", "supply"), ("position_value", "position"), ("tvl_usd", "tvl")])
def test_what_is_worth_a_price_beside_a_named_volume_is_none(names: tuple[str, str]) -> None:
    rows = [(*row[:6], row[4] * (1000 + row[5]), 1000 + row[5]) for row in WALK]
    found = read(write(f"{HEADER},{','.join(names)}", rows))
    assert found.decisions["volume"].value == "volume"
    assert rows_of(found)["volume"].to_list() == [row[5] for row in WALK]


@pytest.mark.parametrize(
    "header", ["time,open,high,low,close,quote_volume,volume", "time,open,high,low,close,volume,turnover", ""]
)
def test_the_volumes_of_two_coins_of_nearly_equal_worth_are_told_apart(header: str) -> None:
    candles = walk(600, 1.0004, swing=0.00005, digits=5)
    order = (0, 1, 2, 3, 4, 6, 5) if header.endswith(",volume") else range(7)
    found = read(write(header, [[row[place] for place in order] for row in candles]), "TUSDUSDT.csv")
    assert rows_of(found)["volume"].to_list() == [row[5] for row in candles]


@pytest.mark.parametrize("count", [1, 3, 6])
def test_few_klines_without_names_are_read(count: int) -> None:
    rows = [
        (*row[:6], row[0] + 59_999, row[6], 44, round(row[5] / 2, 4), round(row[6] / 2, 4), 0) for row in WALK[:count]
    ]
    found = read(write("", rows), "BTCUSDT-1m-2024-01-01.csv")
    assert rows_of(found).select("open", "close", "volume").rows() == [(row[1], row[4], row[5]) for row in WALK[:count]]
    turned = [(*row[:1], *row[1:5][::-1], *row[5:]) for row in rows]  # columns of another order
    with pytest.raises(UndecidedError):
        read(write("", turned), "BTCUSDT-1m-2024-01-01.csv")


@pytest.mark.parametrize("first", [0, 1])
def test_minutes_without_a_trade_as_kaggle_writes_them(first: int) -> None:
    rows = [(row[0] // 1000, *(row[1:7] if (step + first) % 3 == 0 else ["NaN"] * 6)) for step, row in enumerate(WALK)]
    content = write("Timestamp,Open,High,Low,Close,Volume_(BTC),Volume_(Currency)", rows)
    found = read(content, "bitstamp_1-min.csv", layout={"symbol": "BTCUSD"})
    assert found.rows_read == len(WALK)
    assert rows_of(found).height == len(WALK) // 3


def test_offsets_in_some_rows_alone_leave_the_others_open() -> None:
    rows = [(to_text(row[0], "+02:00" if step % 2 else ""), *row[1:6]) for step, row in enumerate(WALK)]
    with pytest.raises(UndecidedError, match="some times in 'time' have an offset") as caught:
        read(write(HEADER, rows))
    assert caught.value.decision == "timezone"
    set_ = read(write(HEADER, rows), layout={"timezone": "Etc/GMT-2"})
    assert rows_of(set_)["open_time"].dt.epoch("ms").to_list() == [row[0] - 7_200_000 for row in WALK]


def test_times_without_an_offset_behind_others_are_refused_one_by_one() -> None:
    candles = walk(700)
    rows = [(to_text(row[0], "+02:00" if step < 600 else ""), *row[1:6]) for step, row in enumerate(candles)]
    found = read(write(HEADER, rows))
    assert (rows_of(found).height, found.rejects.height) == (600, 100)


@pytest.mark.parametrize(("header", "zone"), [
    ("timezone", "Europe/Berlin"), ("tz", "America/New_York"), ("zone", "CET"), ("utc_offset", "+01:00"),
    ("gmt_offset", "3600"),
])  # fmt: skip
def test_a_column_with_the_zone_counts(header: str, zone: str) -> None:
    content = write(f"{HEADER},{header}", [(to_text(row[0]), *row[1:6], zone) for row in WALK])
    with pytest.raises(UndecidedError, match="as its columns say") as caught:
        read(content)
    assert caught.value.decision == "timezone"
    for same in ("UTC", "GMT", "+00:00", "0"):
        utc = write(f"{HEADER},{header}", [(to_text(row[0]), *row[1:6], same) for row in WALK])
        assert rows_of(read(utc)).height == len(WALK)


def test_a_line_of_names_in_another_order_is_refused_and_the_same_one_is_left_out() -> None:
    half = len(WALK) // 2
    rows = [row[:6] for row in WALK]
    same = write(HEADER, rows[:half]) + write(HEADER, rows[half:])
    assert rows_of(read(same)).height == len(WALK)
    other = write(HEADER, rows[:half])
    other += write(
        "time,close,high,low,open,volume", [[row[place] for place in (0, 4, 2, 3, 1, 5)] for row in rows[half:]]
    )
    with pytest.raises(UndecidedError, match="another order of columns"):
        read(other)


@pytest.mark.parametrize("name", ["quote", "quote_currency", "currency"])
def test_a_quote_currency_in_a_column_is_compared_with_the_path(name: str) -> None:
    for source in ("BTCUSDT.csv", "BTC.csv"):
        content = write(f"{HEADER},{name}", [(*row[:6], "EUR") for row in WALK])
        with pytest.raises(UndecidedError, match="prices in EUR") as caught:
            read(content, source, seconds=None)
        assert 'symbol = "BTCEUR"' in caught.value.hint
    assert read(write(f"{HEADER},{name}", [(*row[:6], "USDT") for row in WALK]), "BTCUSDT.csv", seconds=None).rows_read


def test_two_columns_with_the_same_volume_leave_no_doubt() -> None:
    found = read(write("", [(*row[:6], row[5], row[6]) for row in WALK]), "BTCUSDT.csv")
    assert rows_of(found)["volume"].to_list() == [row[5] for row in WALK]
