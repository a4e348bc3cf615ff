"""Features of the market, means over all references: their declarations, and the kernel that computes them.

To add one, declare it in `_declare`, look its column up below, and fill that column in `fill_index`.
"""

import numpy as np

from chandlery.features.arithmetic import CLIP, clip, window_sum
from chandlery.features.carried import CATCH as CATCHING
from chandlery.features.carried import INVERSE, MARKET_FLOW, MARKET_RETURN_1, MARKET_RETURN_2, MIDDLE, MOVE, SHARE
from chandlery.features.feature import Feature, name_window, number_columns
from chandlery.features.market import (
    INDEX_MID,
    INDEX_R_1,
    INDEX_R_5_REST,
    INDEX_SQUARES,
    INDEX_SQUARES_REST,
    RETURN_SCALES,
    RETURN_STEPS,
    RETURNS,
)
from chandlery.machine.jit import kernel

__all__ = ["FEATURES", "FLOW_STEPS", "HALF_LIVES", "fill_index"]

HALF_LIVES = (1, 2, 4, 10, 20, 60, 240, 1440)  # of error corrections
FLOW_STEPS = 10  # the longest window of signed volume: so many steps of it are carried from block to block
CATCH_CLIP = 12.0  # wider than CLIP: these are sums over all steps since the candle before


def _declare() -> tuple[Feature, ...]:
    mean = "mean over all other listed references"
    return (
        *(Feature(f"market_r_{k}", "σ", name_window(k), f"{mean} of r_{k}") for k in RETURNS),
        *(Feature(f"market_rel_{k}", "σ", name_window(k), f"market_r_{k} − own_r_{k}") for k in RETURNS),
        *(Feature(f"market_lag_{j}", "σ", f"(t − {j + 1}, t − {j}]", f"market r_1 at t−{j}") for j in (1, 2)),
        Feature("market_mid", "σ", name_window(1), f"{mean} of mid"),
        *(Feature(f"market_sv_{k}", "log", name_window(k), f"{mean} of sv_1, summed") for k in (1, 3, FLOW_STEPS)),
        Feature("market_disp", "σ", name_window(5), "standard deviation of r_5 over the same"),
        Feature("market_catch", "σ", "since the candle before", f"clip(Σ {mean} of Δ/σ, ±12)"),
        Feature("market_catch_rel", "σ", "since the candle before", "clip(Σ as in market_catch − own Δ/σ, ±12)"),
        *(
            Feature(f"market_ec_{h}", "σ", f"all, half-life {h}", f"as lead1_ec_{h}, of the {mean} of Δ/σ")
            for h in HALF_LIVES
        ),
    )


FEATURES = _declare()
_column = number_columns(FEATURES)
R_1, REL_1 = _column["market_r_1"], _column["market_rel_1"]  # the first of RETURNS
LAG_1, LAG_2 = _column["market_lag_1"], _column["market_lag_2"]
MID = _column["market_mid"]
SV_1, SV_3, SV_10 = _column["market_sv_1"], _column["market_sv_3"], _column["market_sv_10"]
DISP = _column["market_disp"]
CATCH, CATCH_REL = _column["market_catch"], _column["market_catch_rel"]
EC_1 = _column["market_ec_1"]  # the first of HALF_LIVES

CORRECTION_SCALES = 1.0 / np.sqrt(np.array(HALF_LIVES, np.float64))


@kernel
def fill_index(  # type: ignore[no-untyped-def]  # pragma: no cover
    values, at, numbers, averages, market, log, flows, lookback
):
    """Fill the features of this group; null where no other reference is listed.

    Args:
        values: The columns of this group, (rows, columns).
        at: Each row's step in the index.
        numbers: Of each row, see `carried`.
        averages: Of each row, d − EWM(d) of HALF_LIVES.
        market: The index, see `MarketArrays`; that of a reference contains its own part.
        log: log of dense closes, which begin with `lookback` steps of history.
        flows: The market's mean signed volume, which begins with FLOW_STEPS steps of history.
        lookback: How many.
    """
    _, _, _, _, index, is_reference = market
    part = 1.0 if is_reference else 0.0
    for r in range(at.size):
        t = at[r]
        i = lookback + t
        share, inverse = numbers[r, SHARE], numbers[r, INVERSE]
        known = not np.isnan(share)
        squares, mean_5 = 0.0, 0.0
        for j in range(RETURN_STEPS.size):
            k = RETURN_STEPS[j]
            past = log[i - k]
            moved = 0.0 if np.isnan(past) else clip((log[i] - past) * inverse * RETURN_SCALES[j], CLIP)
            total = np.float64(index[INDEX_R_1 + j, t]) + (np.float64(index[INDEX_R_5_REST, t]) if k == 5 else 0.0)
            mean = (total - part * moved) * share
            values[r, R_1 + j] = mean
            values[r, REL_1 + j] = mean - moved
            if k == 5:
                mean_5 = mean
                both = np.float64(index[INDEX_SQUARES, t]) + np.float64(index[INDEX_SQUARES_REST, t])
                squares = (both - part * moved * moved) * share
        values[r, LAG_1] = numbers[r, MARKET_RETURN_1]
        values[r, LAG_2] = numbers[r, MARKET_RETURN_2]
        values[r, MID] = (index[INDEX_MID, t] - part * numbers[r, MIDDLE]) * share
        values[r, SV_1] = numbers[r, MARKET_FLOW] if known else np.nan
        values[r, SV_3] = window_sum(flows, FLOW_STEPS + t, 3) if known else np.nan
        values[r, SV_10] = window_sum(flows, FLOW_STEPS + t, FLOW_STEPS) if known else np.nan
        values[r, DISP] = np.sqrt(max(squares - mean_5 * mean_5, 0.0)) if known else np.nan
        values[r, CATCH] = clip(numbers[r, CATCHING], CATCH_CLIP) if known else np.nan
        values[r, CATCH_REL] = clip(numbers[r, CATCHING] - numbers[r, MOVE], CATCH_CLIP) if known else np.nan
        for e in range(CORRECTION_SCALES.size):
            values[r, EC_1 + e] = clip(averages[r, e] * CORRECTION_SCALES[e], CLIP) if known else np.nan
