"""The feature pass: a loop over the steps of the clock that updates the state, and one row for each chosen candle.

The loop notes the state as of each row. After every few hundred steps the groups of features, `own`, `leaders` and
`index`, fill their columns of the noted rows: each group declares its features and computes them.
"""

from typing import NamedTuple

import numpy as np

from chandlery.features import carried, index, leaders, own
from chandlery.features.arithmetic import (
    CLIP,
    DAY_HALF_LIFE,
    FAST_FLOOR,
    FAST_HALF_LIFE,
    HALF_LIFE,
    LEAST_VOLUME,
    MOVE_LIMIT,
    SIGMA_FLOOR,
    clip,
    decay,
    signed_log,
)
from chandlery.features.carried import (
    CATCH,
    FAST,
    FIRST,
    FLOW,
    INVERSE,
    LEADER_SLOW,
    MARKET_FLOW,
    MARKET_RETURN_1,
    MARKET_RETURN_2,
    MEAN_LOG,
    MEAN_VOLUME,
    MOVE,
    NUMBERS,
    RETURN_1,
    RETURN_2,
    SCALARS,
    SHARE,
    SINCE,
    SUMS,
    TYPICAL_VOLUME,
    VARIANCE,
)
from chandlery.features.index import FLOW_STEPS, fill_index
from chandlery.features.leaders import CORRECTION_FIRST, LEADERS, fill_leaders
from chandlery.features.market import INDEX_FLOW, INDEX_LISTED, INDEX_MOVE, INDEX_R_1, LOOKBACK
from chandlery.features.own import fill_own
from chandlery.grid import CLOSE, TRADED, VOLUME, Floats, Ints, Singles
from chandlery.machine.jit import kernel

__all__ = ["EC_HALF_LIVES", "MarketArrays", "fill_rows"]

# Error corrections in the order of the averages: those of each leader, then those of the market.
EC_HALF_LIVES = np.array([*(half for group in leaders.HALF_LIVES for half in group), *index.HALF_LIVES], np.float64)
EC_MARKET, EC_END = CORRECTION_FIRST[LEADERS], EC_HALF_LIVES.size
# The groups' columns stand in the order of `registry.BUILT_IN`.
OWN_END = len(own.FEATURES)
LEADERS_END = OWN_END + len(leaders.FEATURES)
MEAN_STEPS = np.array(carried.MEANS)
# Steps whose rows are filled together. A call for each row would cost a third of the pass; what is noted of a few
# hundred rows stays in the processor's cache.
CHUNK = 256
# Weights are σ against a typical one: so rows of a quiet pair are not drowned out by those of a wild one, and no row
# counts for nothing or for more than a few others.
TYPICAL_SIGMA = 1e-3  # of a step of one minute; of longer ones times √minutes
LEAST_WEIGHT, MOST_WEIGHT = 0.3, 5.0


class MarketArrays(NamedTuple):
    """The market as the kernel reads it.

    Args:
        leader_log: log close of the leaders after LOOKBACK steps of history, (3, 60 + n).
        leader_sigma: float32 (3, n).
        places: Where each leader stands in signals, (3,); −1 where it is not listed.
        signals: float32 (leaders, 6, n).
        sums: The index, float32 (15, n).
        is_reference: Whether the symbol itself is part of the index.
    """

    leader_log: Floats
    leader_sigma: Singles
    places: Ints
    signals: Singles
    sums: Singles
    is_reference: bool


@kernel
def scale_moves(leader_log, leader_sigma, limit):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return each leader's moves in units of its volatility, (leaders, n); NaN where it is not listed."""
    moves = np.empty(leader_sigma.shape)
    for n in range(leader_sigma.shape[0]):
        for t in range(leader_sigma.shape[1]):
            move = leader_log[n, LOOKBACK + t] - leader_log[n, LOOKBACK + t - 1]
            moves[n, t] = (0.0 if np.isnan(move) else clip(move, limit)) / leader_sigma[n, t]
    return moves


@kernel
def take_up(averages, keeps, first, last, ahead):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Update the error corrections [first, last) by how far a leader or the market moved ahead in a step."""
    if not np.isnan(ahead):
        for e in range(first, last):
            averages[e] = keeps[e] * (averages[e] + ahead)


@kernel
def fill_rows(  # type: ignore[no-untyped-def]  # pragma: no cover
    dense, logs, flows, flow_history, market, scalars, averages, clock, chosen, out
):
    """Update the state by every step, and fill the rows of the chosen steps among those with a candle.

    Args:
        dense: From `fill_dense`, with steps of history.
        logs: log of dense closes.
        flows: sign(close − open)·volume of every step.
        flow_history: The market's mean signed volume over the last FLOW_STEPS steps, changed in place.
        market: The market of the same steps.
        scalars: The state, see `carried`; changed in place.
        averages: d − EWM(d) for each of EC_HALF_LIVES, changed in place.
        clock: Length of a step in minutes, and the steps after which a row is ready.
        chosen: Which of the steps with a candle get a row.
        out: close, sigma, weight (n,), ready (n,), values (n, features).
    """
    closes, sigmas, weights, ready, values = out
    minutes, warm_up = clock
    leader_log, leader_sigma, _, _, sums, is_reference = market
    keep, keep_fast, keep_day = decay(HALF_LIFE), decay(FAST_HALF_LIFE), decay(DAY_HALF_LIFE)
    root = np.sqrt(minutes)
    limit, floor, floor_fast = MOVE_LIMIT * root, SIGMA_FLOOR * root, FAST_FLOOR * root
    typical = TYPICAL_SIGMA * root
    keeps = np.array([decay(h) for h in EC_HALF_LIVES])
    steps = sums.shape[1]
    lookback = dense.shape[1] - steps
    counts = np.zeros(dense.shape[1] + 1)  # whole numbers: their differences are exact
    for i in range(dense.shape[1]):
        counts[i + 1] = counts[i] + dense[TRADED, i]
    leader_moves = scale_moves(leader_log, leader_sigma, limit)
    market_flows = np.zeros(FLOW_STEPS + steps)
    for step in range(FLOW_STEPS):
        market_flows[step] = flow_history[step]
    own_part = 1.0 if is_reference else 0.0
    candles = dense, logs, flows, counts
    at, numbers, kept = np.empty(CHUNK, np.int64), np.empty((CHUNK, NUMBERS)), np.empty((CHUNK, EC_END))
    row, place = 0, 0
    for start in range(0, steps, CHUNK):
        first_row = row
        for t in range(start, min(start + CHUNK, steps)):
            i = lookback + t
            log = logs[i]
            if np.isnan(log):
                continue
            before = logs[i - 1]
            listed = not np.isnan(before)
            traded = dense[TRADED, i] > 0.0
            if not listed:
                scalars[MEAN_LOG] = log
            scalars[VARIANCE] *= keep
            scalars[FAST] *= keep_fast
            scalars[MEAN_VOLUME] *= keep_day
            scalars[MEAN_LOG] = keep_day * scalars[MEAN_LOG] + (1.0 - keep_day) * log
            gets_row = traded and chosen[place]
            sigma, inverse, volume, own_move, own_return, own_flow = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
            if traded:  # without a candle the price has not moved
                move = clip(log - before, limit) if listed else 0.0
                scalars[VARIANCE] += (1.0 - keep) * move * move
                scalars[FAST] += (1.0 - keep_fast) * move * move
                scalars[MEAN_VOLUME] += (1.0 - keep_day) * dense[VOLUME, i]
                sigma = max(np.sqrt(scalars[VARIANCE]), floor)
                inverse = 1.0 / sigma
                volume = max(scalars[MEAN_VOLUME], LEAST_VOLUME)
                own_move = move * inverse
                own_return = clip((log - before) * inverse, CLIP) if listed else 0.0
                own_flow = signed_log(flows[i] / volume) if gets_row or is_reference else 0.0

            others = sums[INDEX_LISTED, t] - own_part
            share = 1.0 / others if others > 0.5 else np.nan
            market_move = (sums[INDEX_MOVE, t] - own_part * own_move) * share if others > 0.5 else 0.0
            market_flow = (sums[INDEX_FLOW, t] - own_part * own_flow) * share if others > 0.5 else 0.0
            market_return = (sums[INDEX_R_1, t] - own_part * own_return) * share
            market_flows[FLOW_STEPS + t] = market_flow
            step_log = leader_log[0, LOOKBACK + t] - leader_log[0, LOOKBACK + t - 1]
            if not np.isnan(step_log):
                scalars[LEADER_SLOW] = keep * (scalars[LEADER_SLOW] + step_log)
            # Written out for each leader: loops between constants are unrolled.
            take_up(averages, keeps, CORRECTION_FIRST[0], CORRECTION_FIRST[1], leader_moves[0, t] - own_move)
            take_up(averages, keeps, CORRECTION_FIRST[1], CORRECTION_FIRST[2], leader_moves[1, t] - own_move)
            take_up(averages, keeps, CORRECTION_FIRST[2], CORRECTION_FIRST[3], leader_moves[2, t] - own_move)
            take_up(averages, keeps, EC_MARKET, EC_END, market_move - own_move)
            scalars[CATCH] += market_move
            scalars[SINCE] += 1.0
            scalars[FIRST] += 1.0
            for j in range(MEAN_STEPS.size):
                leaves = logs[i - MEAN_STEPS[j]]
                scalars[SUMS + j] += log if np.isnan(leaves) else log - leaves

            if gets_row:
                closes[row] = dense[CLOSE, i]
                sigmas[row] = sigma
                weights[row] = min(max(sigma / typical, LEAST_WEIGHT), MOST_WEIGHT)
                ready[row] = scalars[FIRST] > warm_up
                now = row - first_row
                at[now] = t
                for j in range(SCALARS):
                    numbers[now, j] = scalars[j]
                for j in range(EC_END):
                    kept[now, j] = averages[j]
                numbers[now, INVERSE], numbers[now, TYPICAL_VOLUME] = inverse, volume
                numbers[now, FLOW], numbers[now, MOVE] = own_flow, own_move
                numbers[now, SHARE], numbers[now, MARKET_FLOW] = share, market_flow
                row += 1
            if traded:
                scalars[CATCH] = 0.0
                scalars[SINCE] = 0.0
                place += 1
            scalars[MARKET_RETURN_2] = scalars[MARKET_RETURN_1]
            scalars[RETURN_2] = scalars[RETURN_1]
            scalars[RETURN_1] = own_return
            scalars[MARKET_RETURN_1] = market_return
        count = row - first_row
        part = values[first_row:row]
        fill_own(part[:, :OWN_END], lookback + at[:count], numbers, candles, floor_fast)
        fill_leaders(part[:, OWN_END:LEADERS_END], at[:count], numbers, kept, market)
        fill_index(
            part[:, LEADERS_END:], at[:count], numbers, kept[:, EC_MARKET:], market, logs, market_flows, lookback
        )
    for step in range(FLOW_STEPS):
        flow_history[step] = market_flows[steps + step]
