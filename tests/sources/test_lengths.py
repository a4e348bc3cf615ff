"""Candles of two lengths in one file are told, however they stand there."""

import random
from collections.abc import Callable

import numpy as np
import pytest
from raw_files import HEADER, START_MS, read, rows_of

from chandlery.sources.doubts import UndecidedError

MINUTE_MS = 60_000
Candle = tuple[int, float, float, float, float, float]


def make_candles(count: int, seed: int = 0) -> list[Candle]:
    """Return candles of a minute: time, open, high, low, close, volume."""
    rng = np.random.default_rng(seed)
    price, found = 100.0, []
    for step in range(count):
        path = (price * np.exp(np.cumsum(rng.normal(0, 0.001, 5)))).round(4).tolist()
        low, high = min(price, *path), max(price, *path)
        found.append((START_MS + step * MINUTE_MS, price, high, low, path[-1], float(rng.integers(1, 9))))
        price = path[-1]
    return found


def join(candles: list[Candle], length: int) -> list[Candle]:
    """Return candles of some steps, made of shorter ones."""
    groups = [candles[first : first + length] for first in range(0, len(candles) - length + 1, length)]
    return [
        (
            group[0][0],
            group[0][1],
            max(each[2] for each in group),
            min(each[3] for each in group),
            group[-1][4],
            sum(each[5] for each in group),
        )
        for group in groups
    ]


def write(candles: list[Candle]) -> bytes:
    return HEADER + "".join(f"{t},{o},{c},{h},{low},{v}\n" for t, o, h, low, c, v in candles).encode()


def sort(candles: list[Candle]) -> list[Candle]:
    return sorted(candles, key=lambda each: each[0])


ORDERS: dict[str, Callable[[list[Candle], list[Candle]], list[Candle]]] = {
    "shorter first": lambda short, long: short + long,
    "longer first": lambda short, long: long + short,
    "by time": lambda short, long: sort(short + long),
    "by time, longer first": lambda short, long: sort(long + short),
    "newest first": lambda short, long: sort(short + long)[::-1],
}


@pytest.mark.parametrize("length", [2, 4, 15, 60])
@pytest.mark.parametrize("order", ORDERS)
def test_a_candle_that_covers_others_is_told(order: str, length: int) -> None:
    short = make_candles(600)
    with pytest.raises(UndecidedError, match=r"candle of 1m and one of|mixes candles") as caught:
        read(write(ORDERS[order](short, join(short, length))))
    assert caught.value.decision == "series"


@pytest.mark.parametrize("length", [4, 15, 60])
@pytest.mark.parametrize("is_after", [True, False])
def test_a_stretch_of_longer_candles_is_told(length: int, is_after: bool) -> None:  # noqa: FBT001
    candles = make_candles(300 + 40 * length)
    short, long = (
        (candles[:300], join(candles[300:], length)) if is_after else (candles[-300:], join(candles[:-300], length))
    )
    with pytest.raises(UndecidedError, match="mixes candles of 1m with candles of"):
        read(write(sort(short + long)))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.8])
def test_a_pair_that_is_seldom_traded_is_read(share: float, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - no secret
    traded = [candle for candle in make_candles(3000, seed) if chance.random() < share]
    assert rows_of(read(write(traded))).height == len(traded)


def test_every_other_candle_left_out_for_a_while_is_read() -> None:
    candles = make_candles(600)
    kept = candles[:200] + candles[200:300:2] + candles[300:]
    assert rows_of(read(write(kept))).height == len(kept)


def test_states_of_a_candle_are_read_and_the_last_one_counts() -> None:
    """A collector that asks for sixty candles at a time has the last one of each answer once more, when it is whole."""
    candles, written = make_candles(600), []
    for number, (time, open_, _, _, close, volume) in enumerate(candles):
        if number % 60 == 59:
            near = open_ + (close - open_) / 10
            written.append((time, open_, max(open_, near), min(open_, near), near, volume / 10))
        written.append(candles[number])
    found = read(write(written))
    assert rows_of(found).height == len(written)


def test_a_column_called_tf_splits_a_file_by_interval() -> None:
    candles = make_candles(240)
    rows = [f"1m,{t},{o},{h},{low},{c},{v}" for t, o, h, low, c, v in candles]
    content = "\n".join(["tf,time,open,high,low,close,volume", *rows]).encode()
    assert read(content).decisions["interval"].by == "its column of intervals"
