"""The market pass: from the candles of the references to the leaders and the index that every symbol's features use.

The first four references are leaders, whose own signals are kept. All references together are the index: sums of their
signals, from which the features of a symbol that is itself a reference subtract its own part. Signals are in units of
each pair's own volatility. A pair is not listed before its first candle.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chandlery.elementwise import log_each
from chandlery.features.arithmetic import (
    CLIP,
    DAY_HALF_LIFE,
    FAST_FLOOR,
    FAST_HALF_LIFE,
    HALF_LIFE,
    LEAST_VOLUME,
    MOVE_LIMIT,
    SIGMA_FLOOR,
    START_VARIANCE,
    clip,
    decay,
    signed_log,
)
from chandlery.features.dense import fill_dense
from chandlery.grid import CLOSE, DENSE_ROWS, HIGH, LOW, OPEN, TRADED, VOLUME, CandleBlock, Floats, Grid, Ints, Singles
from chandlery.machine.jit import kernel

__all__ = [
    "INDEX_FLOW",
    "INDEX_LISTED",
    "INDEX_MID",
    "INDEX_MOVE",
    "INDEX_R_1",
    "INDEX_R_5_REST",
    "INDEX_SQUARES",
    "INDEX_SQUARES_REST",
    "LOOKBACK",
    "MOST_LEADERS",
    "RETURNS",
    "RETURN_SCALES",
    "RETURN_STEPS",
    "SIGNAL_HIGH",
    "SIGNAL_LOW",
    "SIGNAL_OPEN",
    "SIGNAL_SV_1",
    "SIGNAL_SV_5",
    "SIGNAL_VR",
    "MarketBlock",
    "MarketState",
    "run_market",
    "start_block",
    "start_market",
]

MOST_LEADERS = 4  # each symbol has three, and a leader is not its own
RETURNS = (1, 2, 3, 5, 10, 15, 30, 60)
LOOKBACK = max(RETURNS)  # steps of history of a reference that the passes need
LEADER_COLUMNS = ("open", "high", "low", "sv_1", "sv_5", "volatility_ratio")
INDEX_COLUMNS = (
    "listed",
    *(f"r_{k}" for k in RETURNS),
    "mid",
    "signed_volume",
    "r_5_squared",
    "move",
    "r_5_rest",
    "r_5_squared_rest",
)
INDEX_LISTED = INDEX_COLUMNS.index("listed")
INDEX_R_1 = INDEX_COLUMNS.index("r_1")  # the first of RETURNS
INDEX_R_5 = INDEX_COLUMNS.index("r_5")
INDEX_MID = INDEX_COLUMNS.index("mid")
INDEX_FLOW = INDEX_COLUMNS.index("signed_volume")
INDEX_SQUARES = INDEX_COLUMNS.index("r_5_squared")
INDEX_MOVE = INDEX_COLUMNS.index("move")
INDEX_R_5_REST = INDEX_COLUMNS.index("r_5_rest")
INDEX_SQUARES_REST = INDEX_COLUMNS.index("r_5_squared_rest")
SIGNAL_OPEN, SIGNAL_HIGH, SIGNAL_LOW, SIGNAL_SV_1, SIGNAL_SV_5, SIGNAL_VR = range(len(LEADER_COLUMNS))
VARIANCE, FAST, MEAN_VOLUME = range(3)  # in MarketState.averages

# The dispersion is a small difference of these two sums. Of each, the part that float32 loses has a column of its own.
SPLIT = {INDEX_R_5: INDEX_R_5_REST, INDEX_SQUARES: INDEX_SQUARES_REST}

RETURN_STEPS = np.array(RETURNS)
RETURN_SCALES = 1.0 / np.sqrt(np.array(RETURNS, np.float64))


class MarketState(NamedTuple):
    """The state of the market pass between blocks: arrays that are stored by the names of the fields.

    Args:
        history: Dense candles of the last steps, by reference, (references, 6, lookback).
        averages: Exponential means by reference, (references, 3).
    """

    history: Floats
    averages: Floats


@dataclass(frozen=True)
class MarketBlock:
    """The market at steps [start, start + n).

    Args:
        start: First step.
        leaders: Places of the leaders among the references; those that are not listed yet may be missing.
        log_close: log close of each leader, float64 (leaders, n); NaN before it is listed.
        sigma: Volatility of one step of each leader, float32 (leaders, n).
        signals: LEADER_COLUMNS of each leader, float32 (leaders, 6, n): open, high and low against the close in units
            of sigma, signed volume of 1 and of 5 steps, log of fast against slow volatility.
        index: INDEX_COLUMNS, sums over the listed references, float32 (columns, n).
    """

    start: int
    leaders: Ints
    log_close: Floats
    sigma: Singles
    signals: Singles
    index: Singles

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the block as named arrays, without the leaders that are not listed yet."""
        listed = np.flatnonzero(~np.isnan(self.log_close).all(axis=1))
        leaders = {name: getattr(self, name)[listed] for name in ("log_close", "sigma", "signals")}
        return {"start": np.array(self.start), "leaders": self.leaders[listed], "index": self.index, **leaders}

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> "MarketBlock":
        """Return the block from its arrays."""
        return cls(
            int(arrays["start"]), *(arrays[name] for name in ("leaders", "log_close", "sigma", "signals", "index"))
        )


def start_market(references: tuple[str, ...], grid: Grid) -> MarketState:
    """Return the state before the first candle."""
    history = np.full((len(references), DENSE_ROWS, LOOKBACK), np.nan)
    history[:, [VOLUME, TRADED]] = 0.0
    averages = np.zeros((len(references), 3))
    averages[:, [VARIANCE, FAST]] = START_VARIANCE * grid.minutes
    return MarketState(history, averages)


def start_block(leaders: int, start: int, stop: int) -> MarketBlock:
    """Return the market of steps [start, stop) without any listed reference."""
    steps = stop - start
    return MarketBlock(
        start,
        np.arange(leaders),
        np.full((leaders, steps), np.nan),
        np.full((leaders, steps), np.nan, np.float32),
        np.full((leaders, len(LEADER_COLUMNS), steps), np.nan, np.float32),
        np.zeros((len(INDEX_COLUMNS), steps), np.float32),
    )


def run_market(
    state: MarketState, candles: list[CandleBlock], start: int, stop: int, grid: Grid
) -> tuple[MarketBlock, MarketState]:
    """Return the market of steps [start, stop) and the state after them.

    Args:
        state: The state before; it is not changed.
        candles: The references' candles of these steps, leaders first; empty where a reference is missing.
        start: First step.
        stop: Step after the last.
        grid: When candles open.
    """
    count, steps = len(candles), stop - start
    leaders = min(MOST_LEADERS, count)
    block = start_block(leaders, start, stop)
    history, averages = state.history.copy(), state.averages.copy()
    index = np.zeros((len(INDEX_COLUMNS), steps))
    spare = (
        np.empty((1, steps)),
        np.empty((1, steps), np.float32),
        np.empty((1, len(LEADER_COLUMNS), steps), np.float32),
    )
    for place, piece in enumerate(candles):
        if piece.step.size == 0 and np.isnan(history[place, CLOSE, -1]):
            continue  # not listed yet
        dense = fill_dense(history[place], start, stop, piece.step, piece.prices)
        own = (block.log_close, block.sigma, block.signals) if place < leaders else spare
        _add_reference(dense, averages[place], own, place if place < leaders else 0, index, grid.minutes)
        history[place] = dense[:, steps:]
    for whole, rest in SPLIT.items():
        index[rest] = index[whole] - index[whole].astype(np.float32)
    block.index[:] = index
    return block, MarketState(history, averages)


@kernel
def _add_reference(dense, averages, own, leader, index, minutes):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add a reference's signals to the index, and write them to its place among the leaders; update its averages."""
    log_close, sigma, signals = own
    keep, keep_fast, keep_volume = decay(HALF_LIFE), decay(FAST_HALF_LIFE), decay(DAY_HALF_LIFE)
    root = np.sqrt(minutes)
    limit, floor, floor_fast = MOVE_LIMIT * root, SIGMA_FLOOR * root, FAST_FLOOR * root
    variance, fast, volume = averages[VARIANCE], averages[FAST], averages[MEAN_VOLUME]
    logs = log_each(dense[CLOSE])
    for t in range(dense.shape[1] - LOOKBACK):
        i = LOOKBACK + t
        if np.isnan(logs[i]):
            continue
        before = logs[i - 1]
        move = 0.0 if np.isnan(before) else clip(logs[i] - before, limit)
        variance = keep * variance + (1.0 - keep) * move * move
        fast = keep_fast * fast + (1.0 - keep_fast) * move * move
        volume = keep_volume * volume + (1.0 - keep_volume) * dense[VOLUME, i]
        scale = max(np.sqrt(variance), floor)
        inverse = 1.0 / scale
        index[INDEX_LISTED, t] += 1.0
        for j in range(RETURN_STEPS.size):
            past = logs[i - RETURN_STEPS[j]]
            moved = 0.0 if np.isnan(past) else clip((logs[i] - past) * inverse * RETURN_SCALES[j], CLIP)
            index[INDEX_R_1 + j, t] += moved
            if INDEX_R_1 + j == INDEX_R_5:
                index[INDEX_SQUARES, t] += moved * moved
        opened, high, low, flow, flows = 0.0, 0.0, 0.0, 0.0, 0.0
        typical = max(volume, LEAST_VOLUME)
        for j in range(i - 4, i + 1):
            if dense[TRADED, j] > 0.0:
                flows += np.sign(dense[CLOSE, j] - dense[OPEN, j]) * dense[VOLUME, j]
        if dense[TRADED, i] > 0.0:
            opened = (np.log(dense[OPEN, i]) - logs[i]) * inverse
            high = (np.log(dense[HIGH, i]) - logs[i]) * inverse
            low = (np.log(dense[LOW, i]) - logs[i]) * inverse
            flow = signed_log(np.sign(dense[CLOSE, i] - dense[OPEN, i]) * dense[VOLUME, i] / typical)
        index[INDEX_MID, t] += clip(-0.5 * (high + low), CLIP)
        index[INDEX_FLOW, t] += flow
        index[INDEX_MOVE, t] += move * inverse
        log_close[leader, t] = logs[i]
        sigma[leader, t] = scale
        signals[leader, SIGNAL_OPEN, t] = opened
        signals[leader, SIGNAL_HIGH, t] = high
        signals[leader, SIGNAL_LOW, t] = low
        signals[leader, SIGNAL_SV_1, t] = flow
        signals[leader, SIGNAL_SV_5, t] = signed_log(flows / 5.0 / typical)
        signals[leader, SIGNAL_VR, t] = np.log(max(np.sqrt(fast), floor_fast) * inverse)
    averages[VARIANCE], averages[FAST], averages[MEAN_VOLUME] = variance, fast, volume
