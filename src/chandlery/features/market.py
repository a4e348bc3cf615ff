"""Reference pairs to leaders and index, step by step: what every symbol sees of the market.

The first four references are leaders: their own signals are kept. All references together are the
index: sums of their signals, from which a symbol that is itself a reference takes its own part away.
Everything is in units of each pair's own volatility; nothing is listed before its first candle.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chandlery.grid import CandleBlock, Floats, Grid, Ints, Singles, fill_dense, log_each
from chandlery.machine.jit import kernel

__all__ = [
    "INDEX_COLUMNS",
    "LEADER_COLUMNS",
    "RETURNS",
    "MarketBlock",
    "MarketState",
    "clip",
    "decay",
    "run_market",
    "signed_log",
    "start_block",
    "start_market",
]

MOST_LEADERS = 4  # three for each symbol, and one more for the leaders themselves
RETURNS = (1, 2, 3, 5, 10, 15, 30, 60)
LOOKBACK = 60
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
MID, FLOW, SQUARES, MOVE, R_5, R_5_REST, SQUARES_REST = map(
    INDEX_COLUMNS.index, ("mid", "signed_volume", "r_5_squared", "move", "r_5", "r_5_rest", "r_5_squared_rest")
)
SPLIT = {
    R_5: R_5_REST,
    SQUARES: SQUARES_REST,
}  # a dispersion is a small difference of these sums: what float32 leaves of them stands in rows of its own

RETURN_STEPS = np.array(RETURNS)
ROOTS = 1.0 / np.sqrt(np.array(RETURNS, np.float64))


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
        leaders: Their places among the references; those that are not listed yet may be left out.
        log_close: Of each leader, float64 (leaders, n); NaN before it is listed.
        sigma: Volatility of one step of each leader, float32 (leaders, n).
        signals: LEADER_COLUMNS of each leader, float32 (leaders, 6, n): open, high and low against the close in units of sigma,
            signed volume of 1 and of 5 steps, log of fast against slow volatility.
        index: INDEX_COLUMNS, sums over the listed references, float32 (columns, n).
    """

    start: int
    leaders: Ints
    log_close: Floats
    sigma: Singles
    signals: Singles
    index: Singles

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return all of it as named arrays; leaders that are not listed yet take no room."""
        listed = np.flatnonzero(~np.isnan(self.log_close).all(axis=1))
        leaders = {name: getattr(self, name)[listed] for name in ("log_close", "sigma", "signals")}
        return {"start": np.array(self.start), "leaders": self.leaders[listed], "index": self.index, **leaders}

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> "MarketBlock":
        """Return the block that arrays hold."""
        return cls(
            int(arrays["start"]), *(arrays[name] for name in ("leaders", "log_close", "sigma", "signals", "index"))
        )


def start_market(references: tuple[str, ...], grid: Grid) -> MarketState:
    """Return the state before the first candle."""
    history = np.full((len(references), 6, LOOKBACK), np.nan)
    history[:, 4:] = 0.0
    averages = np.zeros((len(references), 3))
    averages[:, :2] = 1e-6 * grid.minutes
    return MarketState(history, averages)


def start_block(leaders: int, start: int, stop: int) -> MarketBlock:
    """Return the market of steps [start, stop) in which nobody is listed."""
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
        state: The state before; it is left as it is.
        candles: The references' candles of these steps, leaders first; empty where a reference is missing.
        start: First step.
        stop: Step after the last.
        grid: The lake's.
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
        if piece.step.size == 0 and np.isnan(history[place, 3, -1]):
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
def clip(value: float, limit: float) -> float:  # pragma: no cover
    """Return a value within ±limit."""
    return min(max(value, -limit), limit)


@kernel
def decay(half_life: float) -> float:  # pragma: no cover
    """Return what is left of an exponential mean after one step."""
    return 0.5 ** (1.0 / half_life)


@kernel
def signed_log(value):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return sign(value)·log(1 + |value|)."""
    return np.sign(value) * np.log(1.0 + abs(value))  # to 1e-16 of 1, and three times as fast as log1p


@kernel
def _add_reference(dense, averages, own, leader, index, minutes):  # type: ignore[no-untyped-def]  # pragma: no cover
    log_close, sigma, signals = own
    keep, keep_fast, keep_volume = decay(240.0), decay(30.0), decay(1440.0)
    limit, floor, floor_fast = 0.05 * np.sqrt(minutes), 1e-4 * np.sqrt(minutes), 1e-5 * np.sqrt(minutes)
    variance, fast, volume = averages[0], averages[1], averages[2]
    lookback = 60
    logs = log_each(dense[3])
    for t in range(dense.shape[1] - lookback):
        i = lookback + t
        if np.isnan(logs[i]):
            continue
        before = logs[i - 1]
        move = 0.0 if np.isnan(before) else clip(logs[i] - before, limit)
        variance = keep * variance + (1.0 - keep) * move * move
        fast = keep_fast * fast + (1.0 - keep_fast) * move * move
        volume = keep_volume * volume + (1.0 - keep_volume) * dense[4, i]
        scale = max(np.sqrt(variance), floor)
        inverse = 1.0 / scale
        index[0, t] += 1.0
        for j in range(RETURN_STEPS.size):
            past = logs[i - RETURN_STEPS[j]]
            moved = 0.0 if np.isnan(past) else clip((logs[i] - past) * inverse * ROOTS[j], 8.0)
            index[1 + j, t] += moved
            if 1 + j == R_5:
                index[SQUARES, t] += moved * moved
        opened, high, low, flow, flows = 0.0, 0.0, 0.0, 0.0, 0.0
        typical = max(volume, 1e-12)
        for j in range(i - 4, i + 1):
            if dense[5, j] > 0.0:
                flows += np.sign(dense[3, j] - dense[0, j]) * dense[4, j]
        if dense[5, i] > 0.0:
            opened = (np.log(dense[0, i]) - logs[i]) * inverse
            high = (np.log(dense[1, i]) - logs[i]) * inverse
            low = (np.log(dense[2, i]) - logs[i]) * inverse
            flow = signed_log(np.sign(dense[3, i] - dense[0, i]) * dense[4, i] / typical)
        index[MID, t] += clip(-0.5 * (high + low), 8.0)
        index[FLOW, t] += flow
        index[MOVE, t] += move * inverse
        log_close[leader, t] = logs[i]
        sigma[leader, t] = scale
        signals[leader, 0, t] = opened
        signals[leader, 1, t] = high
        signals[leader, 2, t] = low
        signals[leader, 3, t] = flow
        signals[leader, 4, t] = signed_log(flows / 5.0 / typical)
        signals[leader, 5, t] = np.log(max(np.sqrt(fast), floor_fast) * inverse)
    averages[0], averages[1], averages[2] = variance, fast, volume
