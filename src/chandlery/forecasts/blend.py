"""The choice of what is served: a blend of all models, weighted by past results, or the naive forecast.

At each UTC midnight, the rows whose target has passed are added to the state, and no others. The slopes, weights,
records and intervals of the day depend on those rows alone.

- A model's *slope* is the regression of outcomes on its own past out-of-sample predictions, shrunk towards 0, between 0
  and 1.2.
- The *weights* of the blend are fitted for all models together. They are not negative, shrunk towards equal weights,
  and sum to 1.2 at most.
- The blend is served if its record beats naive by MARGIN standard errors in the long run, and has not turned bad in the
  last weeks. Otherwise naive is served.
- In *wild* times, when volatility exceeds WILD times the usual, predicted moves are scaled down to that limit. Naive is
  served until there is a record of wild times, and whenever that record has turned bad.

The constants were chosen on candles before 2019-07 and on noise.

A *record* is a sum of gains: a row's squared error of naive less that of the blend. Targets of neighbouring rows
overlap by up to the horizon, so their gains are correlated, and the 1,440 rows of a day are worth far fewer independent
ones. The variance of the sum therefore counts every pair of gains, with a weight that falls exponentially with the time
between their targets. Such weights keep the variance positive, are defined for rows at any distance, and need one
number in the state: the weighted sum of past gains that the next gain is paired with.

Source:
    Breiman (1996), Stacked regressions: non-negative weights on past predictions.
    Newey, West (1987), A simple, positive semi-definite, heteroskedasticity and autocorrelation consistent
    covariance matrix. Their weights fall linearly with the distance.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chandlery.forecasts.intervals import BINS, add_residual, fade_residuals, quantile
from chandlery.grid import DAY_MS, Floats, Ints, Singles
from chandlery.machine.jit import kernel

__all__ = ["BLEND", "Served", "ServedRows", "ServedState", "serve", "start_served"]

BLEND = "blend"
WEIGHT_HALF_LIFE = 60.0  # days, of the sums behind slopes and weights
RECORD_HALF_LIVES = (365.0, 30.0, 365.0)  # days, of the records of the long run, the last weeks and wild times
USUAL_HALF_LIFE = 30.0  # days, of the usual volatility
SHRINK = 30.0  # the penalty: as if so much squared prediction had met targets of 0, or had equal weights
EQUAL = 0.75  # the sum of the equal weights that weights are shrunk towards
MOST_WEIGHT = 1.2  # the largest slope, and the largest sum of weights
# Noise whose gains are a pure random walk is above 3 standard errors on 0.13 % of rows; above 2, on 2.3 %.
MARGIN = 3.0  # standard errors by which the long run must beat naive
RECENT_TOLERANCE = 0.5  # standard errors below naive from which on the last weeks have turned bad
WILD_TOLERANCE = 2.0  # the same for wild times; larger, because their records are short
OVERLAP = 2.0  # horizons between two targets after which the weight of their gains' product has fallen to 1 / e
LARGEST = 6.0  # larger targets, in units of sigma·√horizon, are clipped to it
WILD = 4.0  # wild times begin where sigma exceeds so many times the usual one
LONG_RUN, LAST_WEEKS, WILD_TIMES = range(3)  # rows of `ServedState.record`
GAINS, VARIANCE, PAIRED, NEWEST = range(4)  # its columns
SWEEPS = 100  # of coordinate descent over the weights: a fixed number, so that results are equal everywhere


@dataclass(frozen=True)
class ServedRows:
    """Rows to serve, in the order of time.

    Args:
        issued: When forecasts are issued, in ms, (n,).
        target: Their target times, in ms, (n,).
        predictions: In units of sigma·√horizon, NaN where not fitted, (n, models).
        realised: log(actual / close) in the same units, NaN where unknown, (n,).
        sigma: Volatility of one step, (n,).
        steps: The horizon in steps.
    """

    issued: Ints
    target: Ints
    predictions: Singles
    realised: Floats
    sigma: Floats
    steps: int

    def cut(self, part: slice) -> "ServedRows":
        """Return some of the rows."""
        return ServedRows(
            self.issued[part],
            self.target[part],
            self.predictions[part],
            self.realised[part],
            self.sigma[part],
            self.steps,
        )


@dataclass(frozen=True)
class Served:
    """Served forecasts, in units of sigma·√horizon.

    Args:
        calibrated: Each model's prediction times its slope and, last, the blend, (n, models + 1).
        served: The served forecast; 0 where naive is served, (n,).
        served_by: Place of the blend, −1 for naive, (n,).
        half_80: Half width of the 80 % interval, (n,); NaN before there are LEAST_RESIDUALS.
        half_95: Half width of the 95 % interval, (n,).
    """

    calibrated: Singles
    served: Singles
    served_by: NDArray[np.int8]
    half_80: Singles
    half_95: Singles

    @classmethod
    def concat(cls, parts: list["Served"]) -> "Served":
        """Join parts that follow each other."""
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in cls.__annotations__))

    def cut(self, part: slice) -> "Served":
        """Return some of the rows."""
        return Served(*(getattr(self, name)[part] for name in self.__annotations__))


class ServedState(NamedTuple):
    """The state between rows, stored by the names of its fields.

    Args:
        day: The day of the last row, (1,); −1 before the first.
        gram: Decayed sums of predictions with predictions, (models, models).
        cross: Decayed sums of predictions with targets, (models,).
        record: Of the long run, the last weeks and wild times, (3, 4): the decayed sum of the blend's gains over naive;
            its variance; the sum of gains that the next gain is paired with; the newest target in ms.
        weights: Today's weights of the blend, (models,).
        slopes: Today's slopes, (models,).
        serves: Whether the blend is served today, in calm and in wild times, (2,).
        usual: Decayed mean of log sigma, NaN before the first day is over; sum and number of today's, (3,).
        halves: Today's half widths of the 80 and 95 % intervals, (2,).
        histogram: Decayed weights of residuals, (BINS,).
        seen: How many residuals were ever added, (1,).
        pending_issued: Issues of the rows whose target had not passed at the last midnight, (k,).
        pending_target: Their targets, (k,).
        pending_realised: Their outcomes, (k,). They are final: a checkpoint is only made where all these targets have
            passed.
        pending_raw: Their predictions, (k, models).
        pending_blend: Their blend, (k,).
        pending_served: What was served for them, (k,).
        pending_wild: Whether they were issued in wild times, (k,).
    """

    day: Ints
    gram: Floats
    cross: Floats
    record: Floats
    weights: Floats
    slopes: Floats
    serves: NDArray[np.bool_]
    usual: Floats
    halves: Floats
    histogram: Floats
    seen: Ints
    pending_issued: Ints
    pending_target: Ints
    pending_realised: Floats
    pending_raw: Singles
    pending_blend: Singles
    pending_served: Singles
    pending_wild: NDArray[np.bool_]


def start_served(models: int) -> ServedState:
    """Return the state before the first row."""
    none, none32 = np.empty(0), np.empty(0, np.float32)
    return ServedState(
        day=np.array([-1]),
        gram=np.zeros((models, models)),
        cross=np.zeros(models),
        record=np.zeros((3, 4)),
        weights=np.full(models, EQUAL / models),
        slopes=np.zeros(models),
        serves=np.zeros(2, np.bool_),
        usual=np.array([np.nan, 0.0, 0.0]),
        halves=np.full(2, np.nan),
        histogram=np.zeros(BINS),
        seen=np.zeros(1, np.int64),
        pending_issued=none.astype(np.int64),
        pending_target=none.astype(np.int64),
        pending_realised=none,
        pending_raw=np.empty((0, models), np.float32),
        pending_blend=none32,
        pending_served=none32,
        pending_wild=none.astype(np.bool_),
    )


def serve(state: ServedState, rows: ServedRows) -> tuple[Served, ServedState]:
    """Decide what is served for each row.

    Args:
        state: The state before the first row; it is not changed.
        rows: In the order of time, later than the rows of the state.

    Returns:
        What is served, and the state after the last row.
    """
    first_new, count = state.pending_issued.size, rows.issued.size
    issued = np.concatenate([state.pending_issued, rows.issued])
    target = np.concatenate([state.pending_target, rows.target])
    raw = np.concatenate([state.pending_raw, rows.predictions])
    realised = np.concatenate([state.pending_realised, rows.realised])
    blend = np.concatenate([state.pending_blend, np.empty(count, np.float32)])
    served = np.concatenate([state.pending_served, np.empty(count, np.float32)])
    wild = np.concatenate([state.pending_wild, np.empty(count, np.bool_)])
    copied = ServedState(**{name: array.copy() for name, array in state._asdict().items()})
    by, slopes, halves = np.empty(count, np.int8), np.empty_like(rows.predictions), np.empty((count, 2), np.float32)
    known = (issued, target, raw, realised, np.log(rows.sigma), float(rows.steps))
    inner = copied[: ServedState._fields.index("pending_issued")]
    first = _serve(inner, first_new, known, (blend, served, wild), (by, slopes, halves))
    after = copied._replace(
        pending_issued=issued[first:],
        pending_target=target[first:],
        pending_realised=realised[first:],
        pending_raw=raw[first:],
        pending_blend=blend[first:],
        pending_served=served[first:],
        pending_wild=wild[first:],
    )
    calibrated = np.column_stack([rows.predictions * slopes, blend[first_new:]])
    return Served(calibrated, served[first_new:], by, halves[:, 0], halves[:, 1]), after


@kernel
def _serve(inner, first_new, known, pending, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    day, gram, cross, record, weights, slope, serves, usual, half, histogram, seen = inner
    issued, target, raw, realised, log_sigma, steps = known
    blend, served, wild = pending
    by, slopes, halves = out
    first, models = 0, slope.size
    for i in range(first_new, issued.size):
        row = i - first_new
        today = issued[i] // DAY_MS
        if today != day[0]:
            if day[0] >= 0:
                _decay(gram, cross, record, usual, float(today - day[0]))
                fade_residuals(histogram, float(today - day[0]), (target[i] - issued[i]) / steps / DAY_MS)
            while first < i and target[first] <= today * DAY_MS:
                if not np.isnan(realised[first]):
                    gain = _add_outcome(gram, cross, raw[first], blend[first], realised[first])
                    _add_gain(record, gain, issued[first], target[first], wild[first])
                    add_residual(histogram, seen, abs(realised[first] - served[first]))
                first += 1
            _weigh(gram, cross, weights, slope)
            serves[0] = _beats(record[LONG_RUN], MARGIN) and _beats(record[LAST_WEEKS], -RECENT_TOLERANCE)
            serves[1] = _beats(record[WILD_TIMES], -WILD_TOLERANCE)
            half[0], half[1] = quantile(histogram, seen, 0.80), quantile(histogram, seen, 0.95)
            day[0] = today
        usual[1] += log_sigma[row]
        usual[2] += 1.0
        beyond = log_sigma[row] - usual[0] - np.log(WILD)
        wild[i] = beyond > 0.0
        total, fitted = 0.0, False
        for m in range(models):
            slopes[row, m] = slope[m]
            if not np.isnan(raw[i, m]):
                total += weights[m] * raw[i, m]
                fitted = True
        blend[i] = total if fitted else np.nan
        if fitted and serves[0] and total != 0.0 and (serves[1] or not wild[i]):
            served[i], by[row] = blend[i] * np.exp(-beyond) if wild[i] else blend[i], models
        else:
            served[i], by[row] = 0.0, -1
        halves[row, 0], halves[row, 1] = half[0], half[1]
    return first


@kernel
def _decay(gram, cross, record, usual, days):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Decay all sums over some days, and add the last day's volatility to the usual one."""
    keep = 0.5 ** (days / WEIGHT_HALF_LIFE)
    for m in range(cross.size):
        cross[m] *= keep
        for n in range(cross.size):
            gram[m, n] *= keep
    for k in range(3):
        keep = 0.5 ** (days / RECORD_HALF_LIVES[k])
        record[k, GAINS] *= keep
        record[k, VARIANCE] *= keep * keep  # a variance: of products of two gains
        record[k, PAIRED] *= keep
    mean = usual[1] / usual[2]
    keep = 0.5 ** (days / USUAL_HALF_LIFE)
    usual[0] = mean if np.isnan(usual[0]) else keep * usual[0] + (1.0 - keep) * mean
    usual[1], usual[2] = 0.0, 0.0


@kernel
def _add_outcome(gram, cross, raw, blend, realised):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add a row with a known outcome to the sums; return the gain of its blend over naive."""
    met = min(max(realised, -LARGEST), LARGEST)
    for m in range(raw.size):
        if np.isnan(raw[m]):
            continue
        cross[m] += raw[m] * met
        for n in range(raw.size):
            if not np.isnan(raw[n]):
                gram[m, n] += raw[m] * raw[n]
    return 0.0 if np.isnan(blend) else met * met - (met - blend) * (met - blend)


@kernel
def _add_gain(record, gain, issued, target, wild):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add a gain to the records, and its products with itself and with earlier gains to their variances."""
    overlap = max(OVERLAP * (target - issued), 1.0)  # not 0 where a target is no later than its issue
    for k in range(3 if wild else 2):
        paired = record[k, PAIRED] * np.exp((record[k, NEWEST] - target) / overlap)
        record[k, GAINS] += gain
        record[k, VARIANCE] += gain * (gain + 2.0 * paired)
        record[k, PAIRED] = paired + gain
        record[k, NEWEST] = target


@kernel
def _beats(record, errors):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return whether a record exceeds `errors` of its standard errors."""
    return record[GAINS] > errors * np.sqrt(max(record[VARIANCE], 0.0))


@kernel
def _weigh(gram, cross, weights, slope):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Set the slopes, and the weights by penalised least squares: coordinate descent over the models."""
    models = slope.size
    for m in range(models):
        slope[m] = min(max(cross[m] / (gram[m, m] + SHRINK), 0.0), MOST_WEIGHT)
    equal = EQUAL / models
    for _ in range(SWEEPS):
        for m in range(models):
            rest = cross[m] + SHRINK * equal
            for n in range(models):
                if n != m:
                    rest -= gram[m, n] * weights[n]
            weights[m] = max(rest / (gram[m, m] + SHRINK), 0.0)
    total = weights.sum()
    if total > MOST_WEIGHT:
        weights *= MOST_WEIGHT / total
