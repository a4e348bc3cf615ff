"""What features there are: name, unit, window and recipe of each, and those of one's own.

In recipes: `lc` is the log close, carried on where nothing trades; Δ its change over one step, clipped
at ±0.05·√(interval in minutes); σ = √EWM_240(Δ²); EWM_h an exponential mean of half-life h steps. A
window (t − k, t] counts steps of the clock and ends with the candle that has just closed.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from chandlery.features.market import RETURNS
from chandlery.grid import Floats

__all__ = ["BUILT_IN", "Bars", "Feature", "OwnFeature"]

OWN_RETURNS = (1, 2, 3, 5, 10, 15, 30, 60, 240)
OWN_MEANS = (3, 10, 60)
LEADER_HALF_LIVES: tuple[tuple[int, ...], ...] = ((1, 2, 4, 10, 20, 60), (1, 2, 4, 10, 20, 60), ())
MARKET_HALF_LIVES = (1, 2, 4, 10, 20, 60, 240, 1440)


@dataclass(frozen=True)
class Feature:
    """What a feature is.

    Args:
        name: Its recipe in short: group, signal, window in steps.
        unit: σ for what is in units of the pair's volatility, 1 for a plain number, log for a logarithm.
        window: What it looks at.
        recipe: How it is made.
    """

    name: str
    unit: str
    window: str
    recipe: str


def _window(steps: int) -> str:
    return f"(t − {steps}, t]"


def _own() -> list[Feature]:
    one = _window(1)
    return [
        *(Feature(f"own_r_{k}", "σ", _window(k), f"clip((lc(t) − lc(t−{k})) / (σ√{k}), ±8)") for k in OWN_RETURNS),
        *(Feature(f"own_{name}", "σ", one, f"clip((log {name} − lc) / σ, ±8)") for name in ("open", "high", "low")),
        Feature("own_mid", "σ", one, "clip((lc − (log high + log low)/2) / σ, ±8)"),
        Feature("own_range", "σ", one, "clip((log high − log low) / σ, 0, 8)"),
        *(Feature(f"own_dm_{k}", "σ", _window(k), f"clip((lc − mean of lc) / (σ√{k}), ±8)") for k in OWN_MEANS),
        Feature("own_gap", "log", _window(60), "log1p(min(steps since the candle before, 60))"),
        *(Feature(f"own_act_{k}", "1", _window(k), "share of steps with a trade") for k in (10, 60)),
        *(Feature(f"own_vol_{k}", "log", _window(k), "log1p(mean volume / EWM_1440(volume))") for k in (1, 10)),
        *(
            Feature(
                f"own_sv_{k}",
                "log",
                _window(k),
                "z = mean of sign(close − open)·volume / EWM_1440(volume); sign(z)·log1p|z|",
            )
            for k in (1, 5, 15)
        ),
        Feature("own_vr", "log", "all, half-lives 30 and 240", "log(√EWM_30(Δ²) / σ)"),
        *(Feature(f"own_lag_{j}", "σ", f"(t − {j + 1}, t − {j}]", f"r_1 at t−{j}, by σ of t−{j}") for j in (1, 2)),
        Feature("own_slow", "σ", "all, half-life 1440", "clip((lc − EWM_1440(lc)) / (σ√1440), ±8)"),
    ]


def _leaders() -> list[Feature]:
    found = []
    for n, half_lives in enumerate(LEADER_HALF_LIVES, start=1):
        found += [Feature(f"lead{n}_r_{k}", "σ", _window(k), f"r_{k} of leader {n}") for k in RETURNS]
        found += [
            *(
                Feature(f"lead{n}_{name}", "σ", _window(1), f"{name} of leader {n}")
                for name in ("open", "high", "low", "mid")
            ),
            Feature(f"lead{n}_sv_1", "log", _window(1), f"sv_1 of leader {n}"),
            Feature(
                f"lead{n}_sv_5",
                "log",
                _window(5),
                f"z = mean of sign(close − open)·volume / EWM_1440(volume) of leader {n}; sign(z)·log1p|z|",
            ),
            Feature(f"lead{n}_vr", "log", "all, half-lives 30 and 240", f"vr of leader {n}"),
        ]
        if n == 1:
            found.append(
                Feature("lead1_slow", "σ", "all, half-life 240", "clip((lc − EWM_240(lc)) / (σ√240), ±8) of leader 1")
            )
        found += [
            Feature(
                f"lead{n}_ec_{h}",
                "σ",
                f"all, half-life {h}",
                f"d = Σ Δ/σ of leader {n} − Σ Δ/σ; clip((d − EWM_{h}(d)) / √{h}, ±8)",
            )
            for h in half_lives
        ]
    return found


def _market() -> list[Feature]:
    mean = "mean over all other listed references"
    return [
        *(Feature(f"market_r_{k}", "σ", _window(k), f"{mean} of r_{k}") for k in RETURNS),
        *(Feature(f"market_rel_{k}", "σ", _window(k), f"market_r_{k} − own_r_{k}") for k in RETURNS),
        *(Feature(f"market_lag_{j}", "σ", f"(t − {j + 1}, t − {j}]", f"market r_1 at t−{j}") for j in (1, 2)),
        Feature("market_mid", "σ", _window(1), f"{mean} of mid"),
        *(Feature(f"market_sv_{k}", "log", _window(k), f"{mean} of sv_1, summed") for k in (1, 3, 10)),
        Feature("market_disp", "σ", _window(5), "standard deviation of r_5 over the same"),
        Feature("market_catch", "σ", "since the candle before", f"clip(Σ {mean} of Δ/σ, ±12)"),
        Feature("market_catch_rel", "σ", "since the candle before", "clip(Σ as in market_catch − own Δ/σ, ±12)"),
        *(
            Feature(f"market_ec_{h}", "σ", f"all, half-life {h}", f"as lead1_ec_{h}, of the {mean} of Δ/σ")
            for h in MARKET_HALF_LIVES
        ),
    ]


BUILT_IN: tuple[Feature, ...] = (*_own(), *_leaders(), *_market())


@dataclass(frozen=True)
class Bars:
    """Candles on every step of the clock: what a feature of one's own sees.

    Args:
        open: float64 (n,); where nothing traded, the last close; NaN before the first candle.
        high: Likewise.
        low: Likewise.
        close: Likewise.
        volume: 0 where nothing traded.
        traded: Whether the step has a candle.
    """

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    traded: np.ndarray


@dataclass(frozen=True)
class OwnFeature:
    """A feature of one's own.

    Args:
        feature: What it is.
        lookback: How many steps before the first it needs.
        compute: From bars to one value a step, of the same length.
    """

    feature: Feature
    lookback: int
    compute: Callable[[Bars], Floats]
