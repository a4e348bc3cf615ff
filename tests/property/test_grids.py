"""Random histories of lakes of long and odd candles: late listings, silences and late uploads, against a rebuild."""

import datetime as dt
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from grids import SYMBOLS, Series
from lakes import digests

pytestmark = pytest.mark.slow

HOUR, DAY = 3_600, 86_400
RUNS = 4
SERIES = [
    (Series("1w", 7 * DAY, dt.datetime(2012, 1, 2, tzinfo=dt.UTC), 150, 4 * DAY), ["1w", "3w"], "400d"),
    (Series("3d", 3 * DAY, dt.datetime(2015, 1, 2, tzinfo=dt.UTC), 260), ["3d"], "180d"),
    (Series("1d", DAY, dt.datetime(2016, 1, 1, 5, tzinfo=dt.UTC), 330, 5 * HOUR), ["1d", "10d"], "60d"),
    (Series("16h", 16 * HOUR, dt.datetime(2016, 1, 2, 2, tzinfo=dt.UTC), 500, 2 * HOUR), ["16h"], "60d"),
    (Series("7m", 420, dt.datetime(2019, 1, 1, 0, 3, tzinfo=dt.UTC), 9_000), ["7m"], "5d"),
]


def draw_places(random: np.random.Generator, count: int) -> list[int]:
    """Return which candles a symbol has: it may be listed late, be silent at times, and trade seldom."""
    kept = random.random(count) < random.choice([1.0, 0.9])
    for start in random.integers(0, count, random.integers(0, 4)):
        kept[start : start + random.integers(1, count // 6)] = False
    kept[: random.choice([0, random.integers(1, count // 2)])] = False
    kept[-1] = True
    return np.flatnonzero(kept).tolist()


@pytest.mark.parametrize(("series", "horizons", "min_train"), SERIES, ids=[series.interval for series, *_ in SERIES])
@pytest.mark.parametrize("seed", range(2))
def test_a_history_equals_a_rebuild(
    tmp_path: Path, series: Series, horizons: list[str], min_train: str, seed: int
) -> None:
    random = np.random.default_rng([seed, series.seconds])
    raw, forecast = tmp_path / "raw", {"models": ["linear"], "horizons": horizons, "min_train": min_train}
    raw.mkdir()
    places = {symbol: draw_places(random, series.count) for symbol in SYMBOLS}
    begun = dict.fromkeys(SYMBOLS, 0)
    for number in range(RUNS):
        for symbol in SYMBOLS:
            further = int(random.choice([1, 2, series.count // 4, series.count // 2]))
            stop = series.count if number == RUNS - 1 else begun[symbol] + further
            chosen = [place for place in places[symbol] if begun[symbol] <= place < stop]
            begun[symbol] = stop
            if chosen:
                candles = series.candles(symbol).filter(pl.col("place").is_in(chosen))
                candles.drop("place").write_csv(raw / f"{symbol.lower()}_{number}.csv")
        if any(raw.iterdir()):
            series.run(raw, tmp_path / "lake", **forecast)
    series.run(raw, tmp_path / "whole", **forecast)
    assert digests(tmp_path / "lake") == digests(tmp_path / "whole")
