"""The feature pass: one loop over the steps of the clock, one row a candle; see registry.BUILT_IN for every recipe."""

from itertools import accumulate
from typing import NamedTuple

import numpy as np

from chandlery.features import registry
from chandlery.features.market import FLOW, MID, MOVE, R_5_REST, RETURNS, SQUARES, SQUARES_REST, clip, decay, signed_log
from chandlery.features.registry import LEADER_HALF_LIVES, MARKET_HALF_LIVES, OWN_MEANS
from chandlery.grid import Floats, Ints, Singles
from chandlery.machine.jit import kernel

__all__ = ["EC_HALF_LIVES", "HISTORY", "SCALARS", "MarketArrays", "fill_rows"]

HISTORY = 240
LEADER_HISTORY = 60
LEADERS = len(LEADER_HALF_LIVES)
SCALARS = 15
VARIANCE, FAST, VOLUME, SLOW, CATCH, OWN_1, OWN_2, MARKET_1, MARKET_2, SINCE, FIRST, LEADER_SLOW, SUMS = range(13)
GROUPS = (*LEADER_HALF_LIVES, MARKET_HALF_LIVES)  # of error corrections: a group a leader, and the market last
EC_HALF_LIVES = np.array([half_life for group in GROUPS for half_life in group], np.float64)
# SUMS: running sums of log closes; rounding moves them by 1e-10 in ten years of minutes.
EC_FIRST = tuple(accumulate(map(len, GROUPS), initial=0))  # a tuple: loops between its constants are unrolled
OWN_RETURNS = np.array(registry.OWN_RETURNS)
MARKET_RETURNS = np.array(RETURNS)
OWN_ROOTS = 1.0 / np.sqrt(OWN_RETURNS)
MARKET_ROOTS = 1.0 / np.sqrt(MARKET_RETURNS)
EC_ROOTS = 1.0 / np.sqrt(EC_HALF_LIVES)
MEANS = np.array(OWN_MEANS)
MEAN_SCALES = 1.0 / (MEANS * np.sqrt(MEANS))
SLOW_SCALE, LEADER_SLOW_SCALE = 1.0 / np.sqrt(1440.0), 1.0 / np.sqrt(240.0)
FLOWS = 10  # steps of the market's flow that are remembered
LONGEST_WAIT = 60
WAITS = np.log1p(np.arange(LONGEST_WAIT + 1.0))


class MarketArrays(NamedTuple):
    """The market as the kernel reads it.

    Args:
        leader_log: log close of the leaders with LEADER_HISTORY steps before, (3, 60 + n).
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
            move = leader_log[n, 60 + t] - leader_log[n, 59 + t]
            moves[n, t] = (0.0 if np.isnan(move) else clip(move, limit)) / leader_sigma[n, t]
    return moves


@kernel
def take_up(averages, keeps, first, last, ahead):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Let some error corrections take in how far somebody went ahead in a step, where it is known."""
    if not np.isnan(ahead):
        for e in range(first, last):
            averages[e] = keeps[e] * (averages[e] + ahead)


@kernel
def window_sum(values, i, k):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the sum over (i − k, i], oldest first."""
    total = 0.0
    for j in range(i - k + 1, i + 1):
        total += values[j]
    return total


@kernel
def fill_rows(dense, logs, flows, flow_history, market, scalars, averages, clock, chosen, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Take in every step, and fill close, sigma, weight, ready and features of the chosen ones among those traded.

    Args:
        dense: From fill_dense, with `lookback` steps of history.
        logs: log of dense closes.
        flows: sign(close − open)·volume of every step.
        flow_history: The index's mean signed volume of the last 10 steps, changed in place.
        market: The market of the same steps.
        scalars: What is carried from step to step, changed in place.
        averages: d − EWM(d) for each of EC_HALF_LIVES, changed in place.
        clock: Length of a step in minutes, and the steps after which a row is ready.
        chosen: Which of the traded steps get a row.
        out: close, sigma, weight (n,), ready (n,), values (n, features).
    """
    closes, sigmas, weights, ready, values = out
    minutes, warm_up = clock
    leader_log, leader_sigma, places, signals, index, is_reference = market
    keep, keep_fast, keep_day = decay(240.0), decay(30.0), decay(1440.0)
    limit, floor, floor_fast = 0.05 * np.sqrt(minutes), 1e-4 * np.sqrt(minutes), 1e-5 * np.sqrt(minutes)
    typical = 1e-3 * np.sqrt(minutes)
    keeps = np.array([decay(h) for h in EC_HALF_LIVES])
    steps = index.shape[1]
    lookback = dense.shape[1] - steps
    counts = np.zeros(dense.shape[1] + 1)  # whole numbers: their differences are exact
    for i in range(dense.shape[1]):
        counts[i + 1] = counts[i] + dense[5, i]
    leader_moves = scale_moves(leader_log, leader_sigma, limit)
    market_flows = np.zeros(FLOWS + steps)
    market_flows[:FLOWS] = flow_history
    own_part = 1.0 if is_reference else 0.0
    row, place = 0, 0
    for t in range(steps):
        i = lookback + t
        log = logs[i]
        if np.isnan(log):
            continue
        before = logs[i - 1]
        listed = not np.isnan(before)
        traded = dense[5, i] > 0.0
        if not listed:
            scalars[SLOW] = log
        scalars[VARIANCE] *= keep
        scalars[FAST] *= keep_fast
        scalars[VOLUME] *= keep_day
        scalars[SLOW] = keep_day * scalars[SLOW] + (1.0 - keep_day) * log
        gets_row = traded and chosen[place]
        sigma, inverse, volume, own_move, own_return, own_flow = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        if traded:  # elsewhere the price has not moved
            move = clip(log - before, limit) if listed else 0.0
            scalars[VARIANCE] += (1.0 - keep) * move * move
            scalars[FAST] += (1.0 - keep_fast) * move * move
            scalars[VOLUME] += (1.0 - keep_day) * dense[4, i]
            sigma = max(np.sqrt(scalars[VARIANCE]), floor)
            inverse = 1.0 / sigma
            volume = max(scalars[VOLUME], 1e-12)
            own_move = move * inverse
            own_return = clip((log - before) * inverse, 8.0) if listed else 0.0
            own_flow = signed_log(flows[i] / volume) if gets_row or is_reference else 0.0

        others = index[0, t] - own_part
        share = 1.0 / others if others > 0.5 else np.nan
        market_move = (index[MOVE, t] - own_part * own_move) * share if others > 0.5 else 0.0
        market_flow = (index[FLOW, t] - own_part * own_flow) * share if others > 0.5 else 0.0
        market_return = (index[1, t] - own_part * own_return) * share
        market_flows[FLOWS + t] = market_flow
        step_log = leader_log[0, 60 + t] - leader_log[0, 59 + t]
        if not np.isnan(step_log):
            scalars[LEADER_SLOW] = keep * (scalars[LEADER_SLOW] + step_log)
        take_up(averages, keeps, EC_FIRST[0], EC_FIRST[1], leader_moves[0, t] - own_move)
        take_up(averages, keeps, EC_FIRST[1], EC_FIRST[2], leader_moves[1, t] - own_move)
        take_up(averages, keeps, EC_FIRST[2], EC_FIRST[3], leader_moves[2, t] - own_move)
        take_up(averages, keeps, EC_FIRST[3], EC_FIRST[4], market_move - own_move)
        scalars[CATCH] += market_move
        scalars[SINCE] += 1.0
        scalars[FIRST] += 1.0
        for j in range(MEANS.size):
            leaves = logs[i - MEANS[j]]
            scalars[SUMS + j] += log if np.isnan(leaves) else log - leaves

        if gets_row:
            closes[row] = dense[3, i]
            sigmas[row] = sigma
            weights[row] = min(max(sigma / typical, 0.3), 5.0)
            ready[row] = scalars[FIRST] > warm_up
            out_row = values[row]
            f = 0
            for j in range(OWN_RETURNS.size):
                past = logs[i - OWN_RETURNS[j]]
                out_row[f] = 0.0 if np.isnan(past) else clip((log - past) * inverse * OWN_ROOTS[j], 8.0)
                f += 1
            high, low = np.log(dense[1, i]), np.log(dense[2, i])
            middle = clip((log - 0.5 * (high + low)) * inverse, 8.0)
            out_row[f] = clip((np.log(dense[0, i]) - log) * inverse, 8.0)
            out_row[f + 1] = clip((high - log) * inverse, 8.0)
            out_row[f + 2] = clip((low - log) * inverse, 8.0)
            out_row[f + 3] = middle
            out_row[f + 4] = min((high - low) * inverse, 8.0)
            f += 5
            for j in range(MEANS.size):
                below = min(scalars[FIRST], MEANS[j]) * log - scalars[SUMS + j]
                out_row[f] = clip(below * inverse * MEAN_SCALES[j], 8.0)
                f += 1
            out_row[f] = WAITS[int(min(scalars[SINCE], LONGEST_WAIT))]
            out_row[f + 1] = (counts[i + 1] - counts[i - 9]) / 10.0
            out_row[f + 2] = (counts[i + 1] - counts[i - 59]) / 60.0
            out_row[f + 3] = abs(own_flow) if flows[i] != 0.0 else np.log(1.0 + dense[4, i] / volume)  # the same number
            out_row[f + 4] = np.log(1.0 + window_sum(dense[4], i, 10) / 10.0 / volume)
            f += 5
            out_row[f] = own_flow
            for k in (5, 15):
                f += 1
                out_row[f] = signed_log(window_sum(flows, i, k) / k / volume)
            f += 1
            out_row[f] = np.log(max(np.sqrt(scalars[FAST]), floor_fast) * inverse)
            out_row[f + 1] = scalars[OWN_1]
            out_row[f + 2] = scalars[OWN_2]
            out_row[f + 3] = clip((log - scalars[SLOW]) * inverse * SLOW_SCALE, 8.0)
            f += 4
            e = 0
            for n in range(LEADERS):
                leader_inverse = 1.0 / leader_sigma[n, t]
                now = leader_log[n, 60 + t]
                for j in range(MARKET_RETURNS.size):
                    past = leader_log[n, 60 + t - MARKET_RETURNS[j]]
                    moved = clip((now - past) * leader_inverse * MARKET_ROOTS[j], 8.0)
                    out_row[f] = np.nan if np.isnan(now) else (0.0 if np.isnan(past) else moved)
                    f += 1
                held = places[n]
                if held < 0:
                    for j in range(7):
                        out_row[f + j] = np.nan
                else:
                    for j in range(3):
                        out_row[f + j] = clip(signals[held, j, t], 8.0)
                    out_row[f + 3] = clip(-0.5 * (signals[held, 1, t] + signals[held, 2, t]), 8.0)
                    for j in range(3, 6):
                        out_row[f + 1 + j] = signals[held, j, t]
                f += 7
                if n == 0:
                    out_row[f] = (
                        np.nan
                        if np.isnan(now)
                        else clip(scalars[LEADER_SLOW] * leader_inverse * LEADER_SLOW_SCALE, 8.0)
                    )
                    f += 1
                for _ in range(EC_FIRST[n], EC_FIRST[n + 1]):
                    out_row[f] = np.nan if np.isnan(now) else clip(averages[e] * EC_ROOTS[e], 8.0)
                    e += 1
                    f += 1
            squares = 0.0
            mean_5 = 0.0
            for j in range(MARKET_RETURNS.size):
                k = MARKET_RETURNS[j]
                past = logs[i - k]
                own = 0.0 if np.isnan(past) else clip((log - past) * inverse * MARKET_ROOTS[j], 8.0)
                total = np.float64(index[1 + j, t]) + (np.float64(index[R_5_REST, t]) if k == 5 else 0.0)
                mean = (total - own_part * own) * share
                out_row[f + j] = mean
                out_row[f + MARKET_RETURNS.size + j] = mean - own
                if k == 5:
                    mean_5 = mean
                    squares = (
                        np.float64(index[SQUARES, t]) + np.float64(index[SQUARES_REST, t]) - own_part * own * own
                    ) * share
            f += 2 * MARKET_RETURNS.size
            out_row[f] = scalars[MARKET_1]
            out_row[f + 1] = scalars[MARKET_2]
            f += 2
            out_row[f] = (index[MID, t] - own_part * middle) * share
            out_row[f + 1] = market_flow if others > 0.5 else np.nan
            out_row[f + 2] = window_sum(market_flows, FLOWS + t, 3) if others > 0.5 else np.nan
            out_row[f + 3] = window_sum(market_flows, FLOWS + t, 10) if others > 0.5 else np.nan
            out_row[f + 4] = np.sqrt(max(squares - mean_5 * mean_5, 0.0)) if others > 0.5 else np.nan
            out_row[f + 5] = clip(scalars[CATCH], 12.0) if others > 0.5 else np.nan
            out_row[f + 6] = clip(scalars[CATCH] - own_move, 12.0) if others > 0.5 else np.nan
            f += 7
            for _ in range(EC_FIRST[LEADERS], EC_FIRST[LEADERS + 1]):
                out_row[f] = clip(averages[e] * EC_ROOTS[e], 8.0) if others > 0.5 else np.nan
                e += 1
                f += 1
            row += 1
        if traded:
            scalars[CATCH] = 0.0
            scalars[SINCE] = 0.0
            place += 1
        scalars[MARKET_2] = scalars[MARKET_1]
        scalars[OWN_2] = scalars[OWN_1]
        scalars[OWN_1] = own_return
        scalars[MARKET_1] = market_return
    flow_history[:] = market_flows[steps:]
