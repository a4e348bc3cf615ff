"""The built-in features, in the order of their columns: name, unit, window and recipe of each.

In recipes: `lc` is the log close, carried on where nothing trades; Δ its change over one step, clipped
at ±0.05·√(interval in minutes); σ = √EWM_240(Δ²); EWM_h an exponential mean of half-life h steps. A
window (t − k, t] counts steps of the clock and ends with the candle that has just closed.
"""

from chandlery.features import index, leaders, own
from chandlery.features.feature import Feature

__all__ = ["BUILT_IN"]

BUILT_IN: tuple[Feature, ...] = (*own.FEATURES, *leaders.FEATURES, *index.FEATURES)
