"""What is served: a blend of all models, weighed on its own past, and naive as the floor.

At each UTC midnight the rows whose target is past are taken in, and only they: slopes, weights, the
guards and the intervals of the day rest on them. A model's slope is its regression on its own past
out-of-sample predictions, shrunk towards 0 and within 0 and 1.2. The blend's weights are the same for
all models at once: not negative, shrunk towards equal ones, 1.2 together at most. The blend is served
where its record beats naive by MARGIN standard errors over the long run and has not turned bad over the
newest weeks; naive is served elsewhere. Where volatility is beyond WILD times the usual, moves are forecast
as if it were just that, and naive is served as long as there is no record of such times, and once it
has turned bad. The constants were chosen on candles before 2019-07 and on noise.

A record is a sum of gains: a row's squared error of naive less that of the blend. Targets of neighbouring
rows overlap by up to the horizon, so their gains are correlated, and 1,440 rows of a day are worth far fewer.
The variance of the sum therefore counts every pair of gains, with a weight that falls exponentially with the
time between their targets. Such weights keep the variance positive, hold for rows at any distance, and need
one number in the state: the weighted sum of past gains that the next one is paired with.

Source:
    Breiman (1996), Stacked regressions: non-negative weights on past predictions.
    Newey, West (1987), A simple, positive semi-definite, heteroskedasticity and autocorrelation consistent
    covariance matrix. Their weights fall linearly with the distance.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chandlery.forecasts.intervals import BINS, add_residual, fade_residuals, quantile
from chandlery.grid import DAY_MS, Floats, Ints, Singles
from chandlery.machine.jit import kernel

__all__ = ["BLEND", "Served", "ServedRows", "ServedState", "serve", "start_served"]

BLEND = "blend"
WEIGHT_HALF_LIFE = 60.0  # days, of slopes and weights
RECORD_HALF_LIVES = (365.0, 30.0, 365.0)  # long run, newest weeks, wild times
USUAL_HALF_LIFE = 30.0
SHRINK = 30.0  # as if so much squared prediction had met targets of 0, or an equal weight
EQUAL = 0.75  # of all equal weights together
MOST_WEIGHT = 1.2  # of a slope, and of all weights together
# Noise whose gains are a pure random walk is above 3 standard errors on 0.13 % of rows; above 2, on 2.3 %.
MARGIN = 3.0  # standard errors by which the long run must beat naive
RECENT_TOLERANCE = 0.5  # standard errors below naive at which the newest weeks have turned bad
WILD_TOLERANCE = 2.0  # likewise for wild times; their records are short
OVERLAP = 2.0  # horizons between two targets after which the weight of their gains' product has fallen to 1 / e
LARGEST = 6.0  # targets beyond it, in units of sigma·√horizon, count as it
WILD = 4.0  # sigma against the usual one
SWEEPS = 100


@dataclass(frozen=True)
class ServedRows:
    """Rows to serve, in the order of time.

    Args:
        issued: When, in ms, (n,).
        target: What they aim at, in ms, (n,).
        predictions: In units of sigma·√horizon, NaN where not fitted, (n, models).
        realised: log(actual / close) in the same units, NaN where unknown, (n,).
        sigma: Volatility of one step, (n,).
        steps: The horizon in steps: targets overlap by so much.
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
    """What is served for each row.

    Args:
        calibrated: Each model's prediction times its slope and, last, the blend, in the same units, (n, models + 1).
        served: What is served; 0 where naive is, (n,).
        served_by: Place of the blend, −1 for naive, (n,).
        half_80: Half width of the 80 % interval, likewise; NaN before there are residuals.
        half_95: Likewise, 95 %.
    """

    calibrated: Singles
    served: Singles
    served_by: NDArray[np.int8]
    half_80: Singles
    half_95: Singles

    @classmethod
    def concat(cls, parts: list["Served"]) -> "Served":
        """Return parts that follow each other as one."""
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in cls.__annotations__))

    def cut(self, part: slice) -> "Served":
        """Return some of the rows."""
        return Served(*(getattr(self, name)[part] for name in self.__annotations__))


class ServedState(NamedTuple):
    """What is remembered between rows.

    Args:
        day: The day that was last refreshed, (1,); −1 before the first.
        gram: Decayed sums of predictions with predictions, (models, models).
        cross: Decayed sums of predictions with targets, (models,).
        record: Of the long run, the newest weeks and wild times, (3, 4): the decayed sum of the blend's gains over
            naive; its variance; the sum of gains that the next one is paired with; the newest target in ms.
        weights: In force: of the blend, (models,).
        slopes: In force, (models,).
        serves: In force: whether the blend is served in calm and in wild times, (2,).
        usual: Decayed mean of log sigma; sum and number of today's, (3,); NaN before the first day is over.
        halves: In force, (2,).
        histogram: Of residuals, faded, (BINS,).
        seen: How many residuals there were, (1,).
        pending_issued: Rows whose target was not past at the last midnight, (k,).
        pending_target: (k,).
        pending_realised: What became of them: final, for a checkpoint is only made where all their targets are past, (k,).
        pending_raw: Their predictions, (k, models).
        pending_blend: Their blend, (k,).
        pending_served: What was served, (k,).
        pending_wild: Whether volatility was beyond WILD times the usual, (k,).
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

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return all of it as named arrays."""
        return dict(self._asdict())

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> "ServedState":
        """Return the state that arrays hold."""
        return cls(**arrays)


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
    """Decide what is served for each row, and return the state after the last.

    Args:
        state: The state before; it is left as it is.
        rows: In the order of time, after those that the state has seen.
    """
    held, count = state.pending_issued.size, rows.issued.size
    issued = np.concatenate([state.pending_issued, rows.issued])
    target = np.concatenate([state.pending_target, rows.target])
    raw = np.concatenate([state.pending_raw, rows.predictions])
    realised = np.concatenate([state.pending_realised, rows.realised])
    blend = np.concatenate([state.pending_blend, np.empty(count, np.float32)])
    served = np.concatenate([state.pending_served, np.empty(count, np.float32)])
    wild = np.concatenate([state.pending_wild, np.empty(count, np.bool_)])
    kept = ServedState.from_arrays({name: array.copy() for name, array in state.to_arrays().items()})
    by, slopes, halves = np.empty(count, np.int8), np.empty_like(rows.predictions), np.empty((count, 2), np.float32)
    known = (issued, target, raw, realised, np.log(rows.sigma), float(rows.steps))
    inner = kept[: ServedState._fields.index("pending_issued")]
    first = _serve(inner, held, known, (blend, served, wild), (by, slopes, halves))
    after = kept._replace(
        pending_issued=issued[first:],
        pending_target=target[first:],
        pending_realised=realised[first:],
        pending_raw=raw[first:],
        pending_blend=blend[first:],
        pending_served=served[first:],
        pending_wild=wild[first:],
    )
    calibrated = np.column_stack([rows.predictions * slopes, blend[held:]])
    return Served(calibrated, served[held:], by, halves[:, 0], halves[:, 1]), after


@kernel
def _serve(inner, held, known, pending, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    day, gram, cross, record, weights, slope, serves, usual, half, histogram, seen = inner
    issued, target, raw, realised, log_sigma, steps = known
    blend, served, wild = pending
    by, slopes, halves = out
    first, models = 0, slope.size
    for i in range(held, issued.size):
        row = i - held
        today = issued[i] // DAY_MS
        if today != day[0]:
            if day[0] >= 0:
                _fade(gram, cross, record, usual, float(today - day[0]))
                fade_residuals(histogram, float(today - day[0]), (target[i] - issued[i]) / steps / DAY_MS)
            while first < i and target[first] <= today * DAY_MS:
                if not np.isnan(realised[first]):
                    gain = _take_in(gram, cross, raw[first], blend[first], realised[first])
                    _add_gain(record, gain, issued[first], target[first], wild[first])
                    add_residual(histogram, seen, abs(realised[first] - served[first]))
                first += 1
            _weigh(gram, cross, weights, slope)
            serves[0] = _beats(record[0], MARGIN) and _beats(record[1], -RECENT_TOLERANCE)
            serves[1] = _beats(record[2], -WILD_TOLERANCE)
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
def _fade(gram, cross, record, usual, days):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Let what is remembered fade over so many days; the last day's volatility joins the usual."""
    keep = 0.5 ** (days / WEIGHT_HALF_LIFE)
    for m in range(cross.size):
        cross[m] *= keep
        for n in range(cross.size):
            gram[m, n] *= keep
    for k in range(3):
        keep = 0.5 ** (days / RECORD_HALF_LIVES[k])
        record[k, 0] *= keep
        record[k, 1] *= keep * keep  # a variance: of products of two gains
        record[k, 2] *= keep
    mean = usual[1] / usual[2]
    keep = 0.5 ** (days / USUAL_HALF_LIFE)
    usual[0] = mean if np.isnan(usual[0]) else keep * usual[0] + (1.0 - keep) * mean
    usual[1], usual[2] = 0.0, 0.0


@kernel
def _take_in(gram, cross, raw, blend, realised):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add a row whose target is known to the sums; return the gain of its blend over naive."""
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
    """Add a gain to the records, and its products with itself and with those before it to their variances."""
    overlap = max(OVERLAP * (target - issued), 1.0)  # not 0 where a target is no later than its issue
    for k in range(3 if wild else 2):
        paired = record[k, 2] * np.exp((record[k, 3] - target) / overlap)
        record[k, 0] += gain
        record[k, 1] += gain * (gain + 2.0 * paired)
        record[k, 2] = paired + gain
        record[k, 3] = target


@kernel
def _beats(record, errors):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return whether a record is above so many of its standard errors."""
    return record[0] > errors * np.sqrt(max(record[1], 0.0))


@kernel
def _weigh(gram, cross, weights, slope):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Set slopes, and the weights that least squares with a penalty gives, one coordinate after the other."""
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
