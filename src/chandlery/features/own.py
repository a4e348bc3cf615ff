"""Features of the pair itself: their declarations, and the kernel that computes them.

To add one, declare it in `_declare`, look its column up below, and fill that column in `fill_own`.
"""

import numpy as np

from chandlery.features.arithmetic import CLIP, DAY_HALF_LIFE, clip, signed_log, window_sum
from chandlery.features.carried import (
    FAST,
    FIRST,
    FLOW,
    INVERSE,
    MEAN_LOG,
    MEANS,
    MIDDLE,
    RETURN_1,
    RETURN_2,
    SINCE,
    SUMS,
    TYPICAL_VOLUME,
)
from chandlery.features.feature import Feature, name_window, number_columns
from chandlery.grid import HIGH, LOW, OPEN, VOLUME
from chandlery.machine.jit import kernel

__all__ = ["FEATURES", "HISTORY", "fill_own"]

RETURNS = (1, 2, 3, 5, 10, 15, 30, 60, 240)
LONGEST_GAP = 60
HISTORY = max(RETURNS)  # steps before a row that the kernel reads


def _declare() -> tuple[Feature, ...]:
    one, flow = name_window(1), "z = mean of sign(close − open)·volume / EWM_1440(volume); sign(z)·log1p|z|"
    return (
        *(Feature(f"own_r_{k}", "σ", name_window(k), f"clip((lc(t) − lc(t−{k})) / (σ√{k}), ±8)") for k in RETURNS),
        *(Feature(f"own_{name}", "σ", one, f"clip((log {name} − lc) / σ, ±8)") for name in ("open", "high", "low")),
        Feature("own_mid", "σ", one, "clip((lc − (log high + log low)/2) / σ, ±8)"),
        Feature("own_range", "σ", one, "clip((log high − log low) / σ, 0, 8)"),
        *(Feature(f"own_dm_{k}", "σ", name_window(k), f"clip((lc − mean of lc) / (σ√{k}), ±8)") for k in MEANS),
        Feature(
            "own_gap", "log", name_window(LONGEST_GAP), f"log1p(min(steps since the candle before, {LONGEST_GAP}))"
        ),
        *(Feature(f"own_act_{k}", "1", name_window(k), "share of steps with a trade") for k in (10, 60)),
        *(Feature(f"own_vol_{k}", "log", name_window(k), "log1p(mean volume / EWM_1440(volume))") for k in (1, 10)),
        *(Feature(f"own_sv_{k}", "log", name_window(k), flow) for k in (1, 5, 15)),
        Feature("own_vr", "log", "all, half-lives 30 and 240", "log(√EWM_30(Δ²) / σ)"),
        *(Feature(f"own_lag_{j}", "σ", f"(t − {j + 1}, t − {j}]", f"r_1 at t−{j}, by σ of t−{j}") for j in (1, 2)),
        Feature("own_slow", "σ", "all, half-life 1440", "clip((lc − EWM_1440(lc)) / (σ√1440), ±8)"),
    )


FEATURES = _declare()
_column = number_columns(FEATURES)
R_1 = _column["own_r_1"]  # the first of RETURNS
TO_OPEN, TO_HIGH, TO_LOW = _column["own_open"], _column["own_high"], _column["own_low"]
MID, RANGE = _column["own_mid"], _column["own_range"]
DM_3 = _column["own_dm_3"]  # the first of MEANS
GAP = _column["own_gap"]
ACT_10, ACT_60 = _column["own_act_10"], _column["own_act_60"]
VOL_1, VOL_10 = _column["own_vol_1"], _column["own_vol_10"]
SV_1, SV_5, SV_15 = _column["own_sv_1"], _column["own_sv_5"], _column["own_sv_15"]
VR = _column["own_vr"]
LAG_1, LAG_2 = _column["own_lag_1"], _column["own_lag_2"]
SLOW = _column["own_slow"]

RETURN_STEPS, MEAN_STEPS = np.array(RETURNS), np.array(MEANS)
RETURN_SCALES = 1.0 / np.sqrt(RETURN_STEPS)
MEAN_SCALES = 1.0 / (MEAN_STEPS * np.sqrt(MEAN_STEPS))
SLOW_SCALE = 1.0 / np.sqrt(DAY_HALF_LIFE)
GAPS = np.log1p(np.arange(LONGEST_GAP + 1.0))


@kernel
def fill_own(values, at, numbers, candles, floor_fast):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Fill the features of this group, and MIDDLE among the numbers.

    Args:
        values: The columns of this group, (rows, columns).
        at: Place of each row's step in the arrays of candles, which begin with history.
        numbers: Of each row, see `carried`.
        candles: Dense candles; log of their closes; sign(close − open)·volume of each step; and how many steps before
            each have a candle.
        floor_fast: The least fast volatility.
    """
    dense, logs, flows, counts = candles
    for r in range(at.size):
        i = at[r]
        log, inverse, volume, flow = logs[i], numbers[r, INVERSE], numbers[r, TYPICAL_VOLUME], numbers[r, FLOW]
        for j in range(RETURN_STEPS.size):
            past = logs[i - RETURN_STEPS[j]]
            values[r, R_1 + j] = 0.0 if np.isnan(past) else clip((log - past) * inverse * RETURN_SCALES[j], CLIP)
        high, low = np.log(dense[HIGH, i]), np.log(dense[LOW, i])
        numbers[r, MIDDLE] = clip((log - 0.5 * (high + low)) * inverse, CLIP)
        values[r, TO_OPEN] = clip((np.log(dense[OPEN, i]) - log) * inverse, CLIP)
        values[r, TO_HIGH] = clip((high - log) * inverse, CLIP)
        values[r, TO_LOW] = clip((low - log) * inverse, CLIP)
        values[r, MID] = numbers[r, MIDDLE]
        values[r, RANGE] = min((high - low) * inverse, CLIP)
        for j in range(MEAN_STEPS.size):
            below = min(numbers[r, FIRST], MEAN_STEPS[j]) * log - numbers[r, SUMS + j]
            values[r, DM_3 + j] = clip(below * inverse * MEAN_SCALES[j], CLIP)
        values[r, GAP] = GAPS[int(min(numbers[r, SINCE], LONGEST_GAP))]
        values[r, ACT_10] = (counts[i + 1] - counts[i - 9]) / 10.0
        values[r, ACT_60] = (counts[i + 1] - counts[i - 59]) / 60.0
        # Where the step has a flow, its size is the same number: that saves a logarithm.
        values[r, VOL_1] = abs(flow) if flows[i] != 0.0 else np.log(1.0 + dense[VOLUME, i] / volume)
        values[r, VOL_10] = np.log(1.0 + window_sum(dense[VOLUME], i, 10) / 10.0 / volume)
        values[r, SV_1] = flow
        values[r, SV_5] = signed_log(window_sum(flows, i, 5) / 5 / volume)
        values[r, SV_15] = signed_log(window_sum(flows, i, 15) / 15 / volume)
        values[r, VR] = np.log(max(np.sqrt(numbers[r, FAST]), floor_fast) * inverse)
        values[r, LAG_1] = numbers[r, RETURN_1]
        values[r, LAG_2] = numbers[r, RETURN_2]
        values[r, SLOW] = clip((log - numbers[r, MEAN_LOG]) * inverse * SLOW_SCALE, CLIP)
