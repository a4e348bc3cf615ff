"""Files that differ in most of their common candles are not of one series; corrections and roundings are."""

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from chandlery.candles.rivals import MIN_COMMON, compare_files
from chandlery.schema import TIME
from chandlery.sources.rows import MonthRows

HOUR_MS = 3_600_000
START_MS = 1_546_300_800_000
HOURS = 2_000  # of three months
CLOSES = 3_000.0 + np.random.default_rng(1).standard_normal(HOURS).cumsum().round(2)


def rows_of(closes: NDArray[np.float64], first: int = 0) -> MonthRows:
    times = pl.Series(START_MS + HOUR_MS * np.arange(first, first + closes.size)).cast(TIME)
    rows = MonthRows()
    rows.add(pl.DataFrame({"row": np.arange(closes.size) + 1, "open_time": times, "close": closes}))
    return rows


def test_another_market_differs_in_nearly_all_candles() -> None:
    (compared,) = compare_files(
        {"spot.csv": rows_of(CLOSES), "perp.csv": rows_of((CLOSES[500:] * 1.0005).round(2), 500)}
    )
    assert compared.is_contest
    assert compared.sources == ("spot.csv", "perp.csv")
    assert compared.common == HOURS - 500
    assert compared.different > 0.99 * compared.common
    assert compared.open_time == START_MS + HOUR_MS * 500
    assert compared.closes == (CLOSES[500], round(CLOSES[500] * 1.0005, 2))


@pytest.mark.parametrize("decimals", [0, 1, 2, 8])
def test_rounded_prices_are_the_same(decimals: int) -> None:
    (compared,) = compare_files({"a": rows_of(CLOSES), "b": rows_of(CLOSES.round(decimals))})
    assert (compared.different, compared.is_contest) == (0, False)


def test_prices_that_were_floats_of_32_bits_are_the_same() -> None:
    exact = CLOSES / 7
    (compared,) = compare_files({"a": rows_of(exact), "b": rows_of(exact.astype(np.float32).astype(np.float64))})
    assert (compared.different, compared.is_contest) == (0, False)


@pytest.mark.parametrize("price", [1e-7, 1.0, 1e5])
def test_rounding_is_seen_at_any_size_of_price(price: float) -> None:
    exact = CLOSES / 3_000 * price
    rounded = exact.round(int(6 - np.log10(price)))
    assert not compare_files({"a": rows_of(exact), "b": rows_of(rounded)})[0].different
    assert compare_files({"a": rows_of(exact), "b": rows_of(rounded * 1.001)})[0].is_contest


def test_corrections_of_fewer_than_half_are_one_series() -> None:
    corrected = np.where(np.arange(HOURS) % 3 == 0, CLOSES * 1.01, CLOSES)
    (compared,) = compare_files({"a": rows_of(CLOSES), "b": rows_of(corrected)})
    assert compared.different == (HOURS + 2) // 3
    assert not compared.is_contest


def test_few_common_candles_say_nothing() -> None:
    few = MIN_COMMON - 1
    assert compare_files({"a": rows_of(CLOSES), "b": rows_of(CLOSES[-few:] * 2, HOURS - few)}) == []
    assert len(compare_files({"a": rows_of(CLOSES), "b": rows_of(CLOSES[-few - 1 :] * 2, HOURS - few - 1)})) == 1


def test_each_is_compared_with_the_first_that_has_the_candle() -> None:
    first, later = rows_of(CLOSES[:1000]), rows_of(CLOSES[500:], 500)
    compared = compare_files({"first": first, "later": later, "other": rows_of(CLOSES * 2)})
    assert [(each.sources, each.is_contest) for each in compared] == [
        (("first", "later"), False),
        (("first", "other"), True),
        (("later", "other"), True),
    ]


def test_files_whose_times_do_not_overlap_are_not_compared() -> None:
    assert compare_files({str(day): rows_of(CLOSES[24 * day : 24 * day + 24], 24 * day) for day in range(80)}) == []


def test_of_equal_times_in_one_file_the_last_counts() -> None:
    twice = MonthRows()
    for closes in (CLOSES * 2, CLOSES):
        twice.add(rows_of(closes).take(rows_of(closes).months))
    (compared,) = compare_files({"a": rows_of(CLOSES), "b": twice})
    assert (compared.common, compared.different) == (HOURS, 0)
