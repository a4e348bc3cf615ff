"""The feature pass against a slow oracle, against itself cut into pieces, and against itself cut short."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from slow import Pair, slow_features

from chandlery.features.feature import Feature, UserFeature
from chandlery.features.market import MarketBlock, run_market, start_market
from chandlery.features.registry import BUILT_IN
from chandlery.features.run import FeatureRows, compute_user_feature, plan_features, run_features, start_features
from chandlery.grid import CandleArrays, CandleBlock, Grid, to_arrays
from chandlery.sources.sample import SAMPLE_SYMBOLS, SamplePlan, write_sample

MINUTES = Grid(60)
REFERENCES = ("BTCUSD", "MISSING", "ETHUSD", "LTCUSD", "EOSUSD")
LENGTH = 6_000


def shift(arrays: CandleArrays, start: int, first: int = 0) -> CandleArrays:
    """Return candles of [start + first, start + LENGTH) with steps counted from start."""
    chosen = (arrays.step >= start + first) & (arrays.step < start + LENGTH)
    return CandleArrays(arrays.step[chosen] - start, np.ascontiguousarray(arrays.prices[:, chosen]))


@pytest.fixture(scope="module")
def made() -> dict[str, CandleArrays]:
    """Sample pairs; EOS is listed late."""
    files = write_sample(SamplePlan(SAMPLE_SYMBOLS[:5], days=5, seed=2))
    arrays = {file.name[:6].upper(): to_arrays(file.candles, MINUTES) for file in files}
    start = min(int(found.step[0]) for found in arrays.values())
    return {name: shift(found, start, 2_000 if name == "EOSUSD" else 0) for name, found in arrays.items()}


@pytest.fixture(scope="module")
def real(shared: Path) -> dict[str, CandleArrays]:
    """A slice of real minutes in which LTC and EOS trade thinly."""
    found = {}
    for name in ("LTCUSD", "BTCUSD", "EOSUSD"):
        text = pl.read_csv(shared / "bitfinex" / f"{name.lower()}.csv.gz")
        candles = text.with_columns(pl.col("time").cast(pl.Datetime("ms", "UTC")).alias("open_time"))
        found[name] = shift(to_arrays(candles, MINUTES), 25_300_000)
    return found


def run(
    pairs: dict[str, CandleArrays], symbol: str, cuts: list[int], known: int = LENGTH, every: int = 1
) -> tuple[FeatureRows, tuple[str, ...]]:
    """Return a symbol's rows from blocks that begin at the cuts.

    Args:
        pairs: The candles, by symbol.
        symbol: The symbol.
        cuts: First steps of the blocks.
        known: Only candles before this step are used.
        every: Only candles whose step is a multiple of this get a row.
    """
    plan = plan_features(symbol, MINUTES, REFERENCES)
    state, market_state = start_features(plan), start_market(REFERENCES, MINUTES)
    parts = []
    for start, stop in zip(cuts, [*cuts[1:], LENGTH], strict=True):

        def piece(name: str, start: int = start, stop: int = stop) -> CandleBlock:
            short = pairs[name].cut(start, min(stop, max(known, start)))
            return CandleBlock(start, stop, short.step, short.prices)

        nothing = CandleBlock(start, stop, np.empty(0, np.int64), np.empty((5, 0)))
        blocks = [piece(name) if name in pairs else nothing for name in REFERENCES]
        market, market_state = run_market(market_state, blocks, start, stop, MINUTES)
        candles, market = piece(symbol), MarketBlock.from_arrays(market.to_arrays())
        rows, state = run_features(plan, state, candles, market, candles.step % every == 0)
        parts.append(rows)
    fields = ("step", "close", "sigma", "weight", "ready", "values")
    return FeatureRows(*(np.concatenate([getattr(part, name) for part in parts]) for name in fields)), plan.names


def check_against_oracle(pairs: dict[str, CandleArrays], symbol: str) -> None:
    grid = {name: Pair(found.step, found.prices, LENGTH) for name, found in pairs.items()}
    leading = [name for name in REFERENCES[:4] if name != symbol][:3]
    others = [grid[name] for name in REFERENCES if name in grid and name != symbol]
    expected = slow_features(grid[symbol], [grid.get(name) for name in leading], others)
    rows, names = run(pairs, symbol, [0])
    assert set(names) == set(expected) == {feature.name for feature in BUILT_IN}
    for place, name in enumerate(names):
        wanted, got = expected[name][rows.step], rows.values[:, place].astype(np.float64)
        assert np.array_equal(np.isnan(wanted), np.isnan(got)), name
        scale = max(float(np.nanstd(wanted)) if np.any(np.isfinite(wanted)) else 1.0, 1e-3)
        worst = np.nanmax(np.abs(wanted - got), initial=0.0) / scale
        # float32 itself holds 6e-8 of a value: beside a large mean that is more than 1e-6 of a small deviation
        assert worst <= max(1e-6, 1.2e-7 * float(np.nanmax(np.abs(wanted), initial=0.0)) / scale), (name, worst)


@pytest.mark.parametrize("symbol", ["LTCUSD", "BTCUSD", "EOSUSD"])
def test_features_equal_the_slow_oracle(made: dict[str, CandleArrays], symbol: str) -> None:
    check_against_oracle(made, symbol)


def test_features_equal_the_slow_oracle_on_real_minutes(real: dict[str, CandleArrays]) -> None:
    check_against_oracle(real, "LTCUSD")


@pytest.mark.parametrize("cuts", [[0, 1, 2, 240, 241, 1440], [0, 3_000], list(range(0, LENGTH, 61))])
def test_cutting_blocks_changes_no_bit(made: dict[str, CandleArrays], cuts: list[int]) -> None:
    whole, pieces = (run(made, "LTCUSD", found)[0] for found in ([0], cuts))
    for name in ("step", "close", "sigma", "weight", "ready", "values"):
        assert np.array_equal(getattr(whole, name), getattr(pieces, name), equal_nan=name == "values"), name


@pytest.mark.parametrize("every", [7, 1_000])
def test_which_candles_get_a_row_changes_no_bit(made: dict[str, CandleArrays], every: int) -> None:
    whole, some = run(made, "LTCUSD", [0, 3_000])[0], run(made, "LTCUSD", [0, 3_000], every=every)[0]
    chosen = whole.step % every == 0
    for name in ("step", "close", "sigma", "weight", "ready", "values"):
        assert np.array_equal(getattr(whole, name)[chosen], getattr(some, name), equal_nan=name == "values"), name


def test_infinite_values_of_a_user_defined_feature_are_missing() -> None:
    ratio = UserFeature(
        Feature("ratio", "1", "1", "volume over itself"),
        1,
        lambda bars: bars.volume * np.array([1.0, np.inf, -np.inf, np.nan, 1e39]),
    )
    np.testing.assert_array_equal(compute_user_feature(ratio, np.ones((6, 5))), [1.0, np.nan, np.nan, np.nan, np.nan])


@pytest.mark.parametrize("known", [1, 1_500, 2_001, 5_999])
def test_later_candles_change_no_bit(made: dict[str, CandleArrays], known: int) -> None:
    whole, short = run(made, "LTCUSD", [0])[0], run(made, "LTCUSD", [0], known)[0]
    count = short.step.size
    assert np.all(whole.step[:count] < known)
    for name in ("close", "sigma", "weight", "ready", "values"):
        assert np.array_equal(getattr(whole, name)[:count], getattr(short, name), equal_nan=name == "values"), name
