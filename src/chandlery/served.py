"""What is served: models calibrated on their own past, the best of them, and naive as the floor.

At each UTC midnight the rows whose target is past are taken in, and only they: slopes, the choice and
the intervals of the day rest on them. A model's slope is its regression on its own past out-of-sample
predictions, shrunk towards 0 and within 0 and 1.2. Served is the model whose calibrated past errors
are least; where that record does not beat naive by a margin, over the long run and over the newest
weeks, naive is served. The constants were chosen on 2016–2018.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chandlery.grid import DAY_MS, Floats, Ints, Singles
from chandlery.intervals import BINS, WINDOW, add_residual, quantile
from chandlery.jit import kernel

__all__ = ["ALGORITHM", "Served", "ServedRows", "ServedState", "serve", "start_served"]

ALGORITHM = 1
SLOPE_HALF_LIFE = 90.0  # days
RECORD_HALF_LIFE = 60.0
RECENT_HALF_LIFE = 10.0
SHRINK = 30.0  # as if so much squared prediction had met targets of 0
MOST_SLOPE = 1.2
MARGIN = 1.0  # standard errors by which the record must beat naive
LARGEST = 6.0  # targets beyond it, in units of sigma·√horizon, count as it


@dataclass(frozen=True)
class ServedRows:
    """Rows to serve, in the order of time.

    Args:
        issued: When, in ms, (n,).
        target: What they aim at, in ms, (n,).
        predictions: In units of sigma·√horizon, NaN where not fitted, (n, models).
        realised: log(actual / close) in the same units, NaN where unknown, (n,).
    """

    issued: Ints
    target: Ints
    predictions: Singles
    realised: Floats


@dataclass(frozen=True)
class Served:
    """What is served for each row.

    Args:
        calibrated: Each model's prediction times its slope, in the same units, (n, models).
        served: The one that is served; 0 where naive is, (n,).
        served_by: Place of the model, −1 for naive, (n,).
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
        sums: Decayed sums, (models, 6): prediction·target, prediction², record, its square, recent record, its square.
        slopes: In force, (models,).
        choice: In force: place of the model, −1 for naive, (1,).
        halves: In force, (2,).
        histogram: Of residuals, (BINS,).
        ring: Their bins, (WINDOW,).
        counts: How many there were, (1,).
        pending_issued: Rows whose target was not past at the last midnight, (k,).
        pending_target: (k,).
        pending_realised: What became of them: final, for a checkpoint is only made where all their targets are past, (k,).
        pending_raw: Their predictions, (k, models).
        pending_slopes: The slopes that were in force, (k, models).
        pending_served: What was served, (k,).
    """

    day: Ints
    sums: Floats
    slopes: Floats
    choice: Ints
    halves: Floats
    histogram: Ints
    ring: NDArray[np.int16]
    counts: Ints
    pending_issued: Ints
    pending_target: Ints
    pending_realised: Floats
    pending_raw: Singles
    pending_slopes: Singles
    pending_served: Singles

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return all of it as named arrays."""
        return dict(self._asdict())

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> "ServedState":
        """Return the state that arrays hold."""
        return cls(**arrays)


def start_served(models: int) -> ServedState:
    """Return the state before the first row."""
    none, none32 = np.empty(0), np.empty((0, models), np.float32)
    return ServedState(
        day=np.array([-1]),
        sums=np.zeros((models, 6)),
        slopes=np.zeros(models),
        choice=np.array([-1]),
        halves=np.full(2, np.nan),
        histogram=np.zeros(BINS, np.int64),
        ring=np.zeros(WINDOW, np.int16),
        counts=np.zeros(1, np.int64),
        pending_issued=none.astype(np.int64),
        pending_target=none.astype(np.int64),
        pending_realised=none,
        pending_raw=none32,
        pending_slopes=none32,
        pending_served=none.astype(np.float32),
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
    slopes = np.concatenate([state.pending_slopes, np.empty_like(rows.predictions)])
    served = np.concatenate([state.pending_served, np.empty(count, np.float32)])
    kept = ServedState.from_arrays({name: array.copy() for name, array in state.to_arrays().items()})
    by, halves = np.empty(count, np.int8), np.empty((count, 2), np.float32)
    inner = (kept.day, kept.sums, kept.slopes, kept.choice, kept.halves, kept.histogram, kept.ring, kept.counts)
    first = _serve(inner, held, issued, target, raw, realised, slopes, served, by, halves)
    after = kept._replace(
        pending_issued=issued[first:],
        pending_target=target[first:],
        pending_realised=realised[first:],
        pending_raw=raw[first:],
        pending_slopes=slopes[first:],
        pending_served=served[first:],
    )
    calibrated = rows.predictions * slopes[held:]
    return Served(calibrated, served[held:], by, halves[:, 0], halves[:, 1]), after


@kernel
def _serve(inner, held, issued, target, raw, realised, slopes, served, by, halves):  # type: ignore[no-untyped-def]  # pragma: no cover
    day, sums, slope, choice, half, histogram, ring, counts = inner
    first = 0
    for i in range(held, issued.size):
        today = issued[i] // DAY_MS
        if today != day[0]:
            if day[0] >= 0:
                _fade(sums, float(today - day[0]))
            while first < i and target[first] <= today * DAY_MS:
                if not np.isnan(realised[first]):
                    _take_in(sums, raw[first], slopes[first], realised[first])
                    add_residual(histogram, ring, counts, abs(realised[first] - served[first]))
                first += 1
            _choose(sums, slope, choice)
            half[0], half[1] = quantile(histogram, counts, 0.80), quantile(histogram, counts, 0.95)
            day[0] = today
        best = choice[0]
        for m in range(slope.size):
            slopes[i, m] = slope[m]
        if best >= 0 and not np.isnan(raw[i, best]) and slope[best] > 0.0:
            served[i] = raw[i, best] * slopes[i, best]
            by[i - held] = best
        else:
            served[i] = 0.0
            by[i - held] = -1
        halves[i - held, 0], halves[i - held, 1] = half[0], half[1]
    return first


@kernel
def _fade(sums, days):  # type: ignore[no-untyped-def]  # pragma: no cover
    for m in range(sums.shape[0]):
        for k in range(6):
            half_life = SLOPE_HALF_LIFE if k < 2 else (RECORD_HALF_LIFE if k < 4 else RECENT_HALF_LIFE)
            sums[m, k] *= 0.5 ** (days / half_life)


@kernel
def _take_in(sums, raw, slopes, realised):  # type: ignore[no-untyped-def]  # pragma: no cover
    met = min(max(realised, -LARGEST), LARGEST)
    for m in range(sums.shape[0]):
        if np.isnan(raw[m]):
            continue
        sums[m, 0] += raw[m] * met
        sums[m, 1] += raw[m] * raw[m]
        trial = raw[m] * (slopes[m] if slopes[m] > 0.0 else 0.5)
        gain = met * met - (met - trial) * (met - trial)
        sums[m, 2] += gain
        sums[m, 3] += gain * gain
        sums[m, 4] += gain
        sums[m, 5] += gain * gain


@kernel
def _choose(sums, slope, choice):  # type: ignore[no-untyped-def]  # pragma: no cover
    best = 0.0
    choice[0] = -1
    for m in range(slope.size):
        slope[m] = min(max(sums[m, 0] / (sums[m, 1] + SHRINK), 0.0), MOST_SLOPE)
        ahead = sums[m, 2] > MARGIN * np.sqrt(sums[m, 3])
        not_bad = sums[m, 4] > -MARGIN * np.sqrt(sums[m, 5])
        if ahead and not_bad and sums[m, 2] > best:
            best = sums[m, 2]
            choice[0] = m
