"""The numbers that the feature pass carries from step to step: their places in `FeatureState.scalars`.

Checkpoints store the array as it is. Whoever adds a place raises the version of the stages that write it.
"""

__all__ = [
    "CATCH",
    "FAST",
    "FIRST",
    "FLOW",
    "INVERSE",
    "LEADER_SLOW",
    "MARKET_FLOW",
    "MARKET_RETURN_1",
    "MARKET_RETURN_2",
    "MEANS",
    "MEAN_LOG",
    "MEAN_VOLUME",
    "MIDDLE",
    "MOVE",
    "NUMBERS",
    "RETURN_1",
    "RETURN_2",
    "SCALARS",
    "SHARE",
    "SINCE",
    "SUMS",
    "TYPICAL_VOLUME",
    "VARIANCE",
]

MEANS = (3, 10, 60)  # steps over which log closes are summed

VARIANCE = 0  # EWM_240 of the squared moves
FAST = 1  # EWM_30 of the squared moves
MEAN_VOLUME = 2  # EWM_1440 of the volume
MEAN_LOG = 3  # EWM_1440 of the log close
CATCH = 4  # the market's moves in units of σ since the candle before
RETURN_1, RETURN_2 = 5, 6  # r_1 one and two steps ago
MARKET_RETURN_1, MARKET_RETURN_2 = 7, 8  # the market's r_1 one and two steps ago
SINCE = 9  # steps since the candle before
FIRST = 10  # steps since the first candle
LEADER_SLOW = 11  # lc − EWM_240(lc) of the first leader
SUMS = 12  # sums of log closes over MEANS, one place each; rounding moves them by 1e-10 in ten years of minutes
SCALARS = SUMS + len(MEANS)

# A row is computed from a copy of what is carried, followed by numbers of its step alone.
INVERSE = SCALARS  # 1 / σ
TYPICAL_VOLUME = SCALARS + 1  # EWM_1440 of the volume, or a little where it is 0
FLOW = SCALARS + 2  # signed log of sign(close − open)·volume against the typical volume
MOVE = SCALARS + 3  # the move in units of σ
MIDDLE = SCALARS + 4  # own_mid in full precision
SHARE = SCALARS + 5  # 1 / number of other listed references; null if there are none
MARKET_FLOW = SCALARS + 6  # mean of FLOW over them
NUMBERS = SCALARS + 7
