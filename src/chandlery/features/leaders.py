"""Features of the leaders, the first of the references: their declarations, and the kernel that computes them.

To add one, declare it in `_declare`, look its column up below, and fill that column in `fill_leaders`.
"""

from itertools import accumulate

import numpy as np

from chandlery.features.arithmetic import CLIP, HALF_LIFE, clip
from chandlery.features.carried import LEADER_SLOW
from chandlery.features.feature import Feature, name_window, number_columns
from chandlery.features.market import (
    LOOKBACK,
    RETURN_SCALES,
    RETURN_STEPS,
    RETURNS,
    SIGNAL_HIGH,
    SIGNAL_LOW,
    SIGNAL_OPEN,
    SIGNAL_SV_1,
    SIGNAL_SV_5,
    SIGNAL_VR,
)
from chandlery.machine.jit import kernel

__all__ = ["CORRECTION_FIRST", "FEATURES", "HALF_LIVES", "LEADERS", "fill_leaders"]

HALF_LIVES: tuple[tuple[int, ...], ...] = ((1, 2, 4, 10, 20, 60), (1, 2, 4, 10, 20, 60), ())  # of error corrections
LEADERS = len(HALF_LIVES)


def _declare(n: int) -> tuple[Feature, ...]:
    """Return the features of leader n, counted from 1."""
    slow = Feature("lead1_slow", "σ", "all, half-life 240", "clip((lc − EWM_240(lc)) / (σ√240), ±8) of leader 1")
    flow = f"z = mean of sign(close − open)·volume / EWM_1440(volume) of leader {n}; sign(z)·log1p|z|"
    return (
        *(Feature(f"lead{n}_r_{k}", "σ", name_window(k), f"r_{k} of leader {n}") for k in RETURNS),
        *(
            Feature(f"lead{n}_{name}", "σ", name_window(1), f"{name} of leader {n}")
            for name in ("open", "high", "low", "mid")
        ),
        Feature(f"lead{n}_sv_1", "log", name_window(1), f"sv_1 of leader {n}"),
        Feature(f"lead{n}_sv_5", "log", name_window(5), flow),
        Feature(f"lead{n}_vr", "log", "all, half-lives 30 and 240", f"vr of leader {n}"),
        *([slow] if n == 1 else []),
        *(
            Feature(
                f"lead{n}_ec_{h}",
                "σ",
                f"all, half-life {h}",
                f"d = Σ Δ/σ of leader {n} − Σ Δ/σ; clip((d − EWM_{h}(d)) / √{h}, ±8)",
            )
            for h in HALF_LIVES[n - 1]
        ),
    )


FEATURES = tuple(feature for n in range(1, LEADERS + 1) for feature in _declare(n))
_column = number_columns(FEATURES)
R_1 = tuple(_column[f"lead{n}_r_1"] for n in range(1, LEADERS + 1))  # the first of RETURNS, of each leader
TO_OPEN, TO_HIGH, TO_LOW, MID, SV_1, SV_5, VR = (
    _column[f"lead1_{name}"] - R_1[0] for name in ("open", "high", "low", "mid", "sv_1", "sv_5", "vr")
)  # after R_1, the same for each leader
SLOW = _column["lead1_slow"]
EC_1 = tuple(_column.get(f"lead{n}_ec_1", 0) for n in range(1, LEADERS + 1))  # the first of HALF_LIVES, where there are

CORRECTION_FIRST = tuple(accumulate(map(len, HALF_LIVES), initial=0))  # place of each leader's first in the averages
CORRECTION_SCALES = 1.0 / np.sqrt([float(half_life) for group in HALF_LIVES for half_life in group])
SLOW_SCALE = 1.0 / np.sqrt(HALF_LIFE)


@kernel
def fill_leaders(values, at, numbers, averages, market):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Fill the features of this group; null where a leader is not listed.

    Args:
        values: The columns of this group, (rows, columns).
        at: Each row's step in the arrays of the market; their log closes begin with LOOKBACK steps of history.
        numbers: Of each row, see `carried`.
        averages: Of each row, d − EWM(d) of the HALF_LIVES of each leader.
        market: The leaders, see `MarketArrays`.
    """
    leader_log, leader_sigma, places, signals, _, _ = market
    for n in range(LEADERS):
        place, first = places[n], R_1[n]
        for r in range(at.size):
            t = at[r]
            inverse = 1.0 / leader_sigma[n, t]
            now = leader_log[n, LOOKBACK + t]
            for j in range(RETURN_STEPS.size):
                past = leader_log[n, LOOKBACK + t - RETURN_STEPS[j]]
                moved = clip((now - past) * inverse * RETURN_SCALES[j], CLIP)
                values[r, first + j] = np.nan if np.isnan(now) else (0.0 if np.isnan(past) else moved)
            if place < 0:
                values[r, first + TO_OPEN] = values[r, first + TO_HIGH] = values[r, first + TO_LOW] = values[
                    r, first + MID
                ] = np.nan
                values[r, first + SV_1] = values[r, first + SV_5] = values[r, first + VR] = np.nan
            else:
                high, low = signals[place, SIGNAL_HIGH, t], signals[place, SIGNAL_LOW, t]
                values[r, first + TO_OPEN] = clip(signals[place, SIGNAL_OPEN, t], CLIP)
                values[r, first + TO_HIGH] = clip(high, CLIP)
                values[r, first + TO_LOW] = clip(low, CLIP)
                values[r, first + MID] = clip(-0.5 * (high + low), CLIP)
                values[r, first + SV_1] = signals[place, SIGNAL_SV_1, t]
                values[r, first + SV_5] = signals[place, SIGNAL_SV_5, t]
                values[r, first + VR] = signals[place, SIGNAL_VR, t]
            if n == 0:
                values[r, SLOW] = (
                    np.nan if np.isnan(now) else clip(numbers[r, LEADER_SLOW] * inverse * SLOW_SCALE, CLIP)
                )
            for e in range(CORRECTION_FIRST[n], CORRECTION_FIRST[n + 1]):
                corrected = clip(averages[r, e] * CORRECTION_SCALES[e], CLIP)
                values[r, EC_1[n] + e - CORRECTION_FIRST[n]] = np.nan if np.isnan(now) else corrected
