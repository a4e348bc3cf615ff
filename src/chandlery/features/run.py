"""One pass over a symbol's candles in the order of time, with a small state between blocks.

A rebuild, an append and a live candle go through the same pass, so that all of them give the same values.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chandlery.elementwise import log_each
from chandlery.errors import SettingsError
from chandlery.features.arithmetic import START_VARIANCE
from chandlery.features.carried import FAST, SCALARS, VARIANCE
from chandlery.features.dense import fill_dense
from chandlery.features.feature import Bars, Feature, UserFeature
from chandlery.features.index import FLOW_STEPS
from chandlery.features.kernel import EC_HALF_LIVES, MarketArrays, fill_rows
from chandlery.features.leaders import LEADERS
from chandlery.features.market import LOOKBACK, MOST_LEADERS, MarketBlock
from chandlery.features.own import HISTORY
from chandlery.features.registry import BUILT_IN
from chandlery.grid import (
    CLOSE,
    DAY_SECONDS,
    DENSE_ROWS,
    HIGH,
    LOW,
    OPEN,
    TRADED,
    VOLUME,
    CandleBlock,
    Floats,
    Grid,
    Ints,
    Singles,
)

__all__ = [
    "FeaturePlan",
    "FeatureRows",
    "FeatureState",
    "compute_user_feature",
    "plan_features",
    "run_features",
    "start_features",
    "warm_up_steps",
]

WARM_UP_STEPS = 1440  # the longest half-life of a feature
WARM_UP_DAYS = 90  # of long candles: 1,440 daily ones would be four years
LEAST_WARM_UP = 60  # steps, the longest window over the market


@dataclass(frozen=True)
class FeaturePlan:
    """The features of a symbol.

    Args:
        symbol: The symbol.
        grid: When its candles open.
        leaders: Places of its leaders among the references; −1 where there is none.
        is_reference: Whether the symbol is part of the index.
        own: User-defined features.
    """

    symbol: str
    grid: Grid
    leaders: tuple[int, ...]
    is_reference: bool
    own: tuple[UserFeature, ...] = ()

    @cached_property
    def features(self) -> tuple[Feature, ...]:
        """All features, in the order of the columns."""
        return (*BUILT_IN, *(own.feature for own in self.own))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the features, in the order of the columns."""
        return tuple(item.name for item in self.features)

    @cached_property
    def lookback(self) -> int:
        """Steps of history in the state."""
        return max([HISTORY, *(own.lookback for own in self.own)])


class FeatureState(NamedTuple):
    """The state of the pass between blocks: arrays that are stored by the names of the fields.

    Args:
        history: Dense candles of the last steps, (6, lookback).
        leader_log: log close of the leaders over the last steps, (3, 60).
        flow_history: Mean signed volume of the market over the last steps, (10,).
        scalars: Exponential means and counts, (SCALARS,).
        averages: Error corrections, one for each half-life.
    """

    history: Floats
    leader_log: Floats
    flow_history: Floats
    scalars: Floats
    averages: Floats


@dataclass(frozen=True)
class FeatureRows:
    """One row for each chosen candle, in the order of time.

    Args:
        step: Step of the candle, (n,); it is issued at step + 1.
        close: Its close, (n,).
        sigma: Volatility of one step, (n,).
        weight: sigma against a typical one, within 0.3 and 5, (n,).
        ready: Whether there is enough history before it, see `warm_up_steps`, (n,).
        values: The features, (n, features); NaN where a reference is not listed.
    """

    step: Ints
    close: Floats
    sigma: Floats
    weight: Singles
    ready: NDArray[np.bool_]
    values: Singles


def warm_up_steps(grid: Grid) -> int:
    """Return after how many steps a symbol's rows are trained on and predicted.

    These are 1,440 steps, as long as the longest half-life, but no more than 90 days, and at least 60 steps.

    Example:
        >>> [warm_up_steps(Grid(60 * minutes)) for minutes in (1, 60, 240, 1440, 10_080)]
        [1440, 1440, 540, 90, 60]
    """
    return max(LEAST_WARM_UP, min(WARM_UP_STEPS, WARM_UP_DAYS * DAY_SECONDS // grid.seconds))


def plan_features(symbol: str, grid: Grid, references: Sequence[str], own: tuple[UserFeature, ...] = ()) -> FeaturePlan:
    """Return the features of a symbol.

    Args:
        symbol: The symbol.
        grid: When its candles open.
        references: The references, leaders first.
        own: User-defined features.

    Raises:
        SettingsError: Two features have one name.
    """
    leaders = [place for place, name in enumerate(references[:MOST_LEADERS]) if name != symbol][:LEADERS]
    padded = (*leaders, -1, -1, -1)[:LEADERS]
    plan = FeaturePlan(symbol, grid, padded, symbol in references, own)
    if len(set(plan.names)) < len(plan.names):
        twice = next(name for name in plan.names if plan.names.count(name) > 1)
        raise SettingsError(f"two features called {twice}", "a name for each", "rename the one in your extension")
    return plan


def start_features(plan: FeaturePlan) -> FeatureState:
    """Return the state before the first candle."""
    history = np.full((DENSE_ROWS, plan.lookback), np.nan)
    history[[VOLUME, TRADED]] = 0.0
    scalars = np.zeros(SCALARS)
    scalars[[VARIANCE, FAST]] = START_VARIANCE * plan.grid.minutes
    return FeatureState(
        history, np.full((LEADERS, LOOKBACK), np.nan), np.zeros(FLOW_STEPS), scalars, np.zeros(EC_HALF_LIVES.size)
    )


def run_features(
    plan: FeaturePlan,
    state: FeatureState,
    block: CandleBlock,
    market: MarketBlock,
    chosen: NDArray[np.bool_] | None = None,
) -> tuple[FeatureRows, FeatureState]:
    """Return the rows of a block and the state after it; the state before is not changed.

    Which candles get a row changes neither the rows nor the state. A candle without a row costs a fraction.

    Args:
        plan: From `plan_features`.
        state: The state at the start of the block.
        block: The symbol's candles.
        market: The market of the same steps.
        chosen: Which of the candles get a row; by default all of them.
    """
    steps = block.stop - block.start
    chosen = np.ones(block.step.size, np.bool_) if chosen is None else chosen
    count = int(np.count_nonzero(chosen))
    dense = fill_dense(state.history, block.start, block.stop, block.step, block.prices)
    logs = log_each(dense[CLOSE])
    flows = np.sign(dense[CLOSE] - dense[OPEN]) * dense[VOLUME]
    flows[np.isnan(flows)] = 0.0
    arrays = _pick_market(plan, state, block, market)
    scalars, averages, flow_history = state.scalars.copy(), state.averages.copy(), state.flow_history.copy()
    values = np.empty((count, len(plan.names)), np.float32)
    rows = FeatureRows(
        block.step[chosen],
        np.empty(count),
        np.empty(count),
        np.empty(count, np.float32),
        np.empty(count, np.bool_),
        values,
    )
    out = (rows.close, rows.sigma, rows.weight, rows.ready, values)
    clock = (plan.grid.minutes, float(warm_up_steps(plan.grid)))
    fill_rows(dense, logs, flows, flow_history, arrays, scalars, averages, clock, chosen, out)
    _fill_own(plan, dense, rows.step - block.start + plan.lookback, values)
    after = FeatureState(dense[:, steps:].copy(), arrays.leader_log[:, steps:].copy(), flow_history, scalars, averages)
    return rows, after


def _pick_market(plan: FeaturePlan, state: FeatureState, block: CandleBlock, market: MarketBlock) -> MarketArrays:
    """Return the market as the kernel reads it.

    What leaders did before the symbol's first candle is left out, so that rows do not depend on where blocks are cut.
    """
    steps = market.index.shape[1]
    log = np.full((LEADERS, LOOKBACK + steps), np.nan)
    log[:, :LOOKBACK] = state.leader_log
    sigma, places = np.full((LEADERS, steps), np.nan, np.float32), np.full(LEADERS, -1)
    for n, place in enumerate(plan.leaders):
        listed = np.flatnonzero(market.leaders == place)
        if listed.size:
            places[n] = listed[0]
            log[n, LOOKBACK:], sigma[n] = market.log_close[listed[0]], market.sigma[listed[0]]
    if np.isnan(state.history[CLOSE, -1]):
        before = int(block.step[0]) - block.start if block.step.size else steps
        log[:, : LOOKBACK + before] = np.nan
    # Whether an array may be changed is part of its type: other arrays than these would compile the kernel once more.
    signals, index = _read_only(market.signals), _read_only(market.index)
    return MarketArrays(log, sigma, places, signals, index, plan.is_reference)


def _read_only(values: Singles) -> Singles:
    """Return an array that is contiguous and cannot be changed."""
    view: Singles = np.ascontiguousarray(values).view()
    view.flags.writeable = False
    return view


def _fill_own(plan: FeaturePlan, dense: Floats, rows: Ints, values: Singles) -> None:
    if not plan.own:
        return
    for place, own in enumerate(plan.own, start=len(BUILT_IN)):
        values[:, place] = compute_user_feature(own, dense)[rows]


def compute_user_feature(own: UserFeature, dense: Floats) -> Floats:
    """Return a user-defined feature at every step of dense candles; values that are not finite are NaN.

    Raises:
        SettingsError: It fails, or does not return one value for each step.
    """
    prices = dense[: VOLUME + 1].view()
    prices.flags.writeable = False  # the built-in features see the same candles
    bars = Bars(prices[OPEN], prices[HIGH], prices[LOW], prices[CLOSE], prices[VOLUME], dense[TRADED] > 0)
    try:
        computed = np.asarray(own.compute(bars), np.float64)
    except MemoryError:
        raise
    except Exception as error:
        raise SettingsError(
            f"feature {own.feature.name} failed on {bars.close.size} steps: {error!r}",
            "one value for each step",
            "correct the feature",
        ) from error
    if computed.shape != bars.close.shape:
        raise SettingsError(
            f"feature {own.feature.name} has shape {computed.shape}",
            f"{bars.close.shape}: one value for each step",
            "return an array as long as bars.close",
        )
    # Trees and sums treat infinite values differently.
    return np.where(np.abs(computed) <= np.finfo(np.float32).max, computed, np.nan)
