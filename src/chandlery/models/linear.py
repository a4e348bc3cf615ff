"""Ridge regression from Gram sums: all refits from one pass over the rows."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from chandlery.grid import Singles
from chandlery.machine.jit import kernel
from chandlery.models.base import OWN, Artefact, Sample, Sums

__all__ = ["Linear"]

LIMIT = np.float32(4.0)  # of inputs: a squared loss is led by extreme rows
RIDGE = 0.01  # of the mean diagonal of X'WX
SIGNALS = (
    "market_rel_1", "market_rel_2", "market_rel_5", "market_catch_rel", "lead1_r_1", "lead2_r_1", "own_mid",
    "market_ec_2", "market_ec_10", "lead1_mid", "lead1_ec_2", "market_mid", "lead2_ec_2", "lead1_sv_1", "market_sv_1",
)  # fmt: skip


class Linear:
    """Ridge on the features and on the key signals times staleness, activity and volatility.

    Rows fade with a half-life of three months. The penalty is 0.01 of the mean diagonal of X'WX; loss weights are
    (sigma against a typical one)^1.5. A symbol's own coefficients come from its own sums plus the mean of all
    symbols' sums.
    """

    name = "linear"
    algorithm = 4
    refit_months: tuple[int, ...] = tuple(range(1, 13))
    learns_from: Literal["sums", "sample"] = "sums"

    def design(self, values: Singles, names: Sequence[str]) -> Singles:
        """Return features within ±4 (0 where null), signals times conditions, and a constant."""
        place = {name: column for column, name in enumerate(names)}
        signals = np.array([place[name] for name in SIGNALS])
        return fill_design(values, signals, place["own_gap"], place["own_act_10"], place["own_vr"])

    def weigh(self, weight: Singles) -> Singles:
        """Return weight^1.5."""
        return weight * np.sqrt(weight)

    def fit(self, training: Sums | Sample, seed: int) -> Artefact:
        """Solve (X'WX + λ) b = X'Wy, for all symbols and for each."""
        del seed
        assert isinstance(training, Sums)  # noqa: S101 - learns_from says so
        fitted = solve(training)
        if len(training.own) > 1:
            mean = training.fade(1.0 / len(training.own))
            fitted[OWN] = {symbol: solve(mean + sums) for symbol, sums in training.own.items()}
        return fitted

    def predict(self, artefact: Artefact, design: Singles) -> Singles:
        """Return X b; a row's value does not depend on how many rows there are."""
        coefficients = np.array(artefact.get(OWN, artefact)["coefficients"], np.float32)
        predicted: Singles = dot_rows(np.ascontiguousarray(design), coefficients)
        return predicted


def solve(sums: Sums) -> Artefact:
    """Return the coefficients of the ridge."""
    xtx = sums.xtx
    size = xtx.shape[0]
    penalty = RIDGE * np.trace(xtx) / size
    xtx[np.diag_indices(size)] += penalty
    solved = np.linalg.solve(xtx, sums.xty[:, 0])
    return {"coefficients": [float(value) for value in solved.astype(np.float32)]}


@kernel
def fill_design(values, signals, gap, activity, volatility):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the inputs: features, signals × staleness, × activity, × volatility ratio, signs of signals, 1."""
    count, width = values.shape
    several = signals.size
    design = np.empty((count, width + 4 * several + 1), np.float32)
    for i in range(count):
        out = design[i]
        for j in range(width):
            value = values[i, j]
            out[j] = np.float32(0.0) if np.isnan(value) else min(max(value, -LIMIT), LIMIT)
        stale, active = out[gap], out[activity] - np.float32(0.5)
        shaken = min(max(out[volatility], np.float32(-1.0)), np.float32(1.0))
        for j in range(several):
            signal = out[signals[j]]
            out[width + j] = min(max(signal * stale, -LIMIT), LIMIT)
            out[width + several + j] = min(max(signal * active, -LIMIT), LIMIT)
            out[width + 2 * several + j] = min(max(signal * shaken, -LIMIT), LIMIT)
            out[width + 3 * several + j] = min(max(signal, np.float32(-1.0)), np.float32(1.0))
        out[width + 4 * several] = np.float32(1.0)
    return design


@kernel
def dot_rows(design, coefficients):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return design @ coefficients, float32 (n,), each row summed in an order that its width alone fixes.

    BLAS adds in another order for one row than for many. Here a row is cut into 11 parts of equal length, whose
    products are added place by place: a loop without dependencies, which the compiler turns into vector
    instructions without changing any sum. Of the 181 built-in inputs each part fills one 512-bit register.
    """
    count, width = design.shape
    part = width // 11
    lanes = np.empty(part, np.float32)
    out = np.empty(count, np.float32)
    for i in range(count):
        row = design[i]
        for j in range(part):
            lanes[j] = (
                (add_pair(row, coefficients, j, part) + add_pair(row, coefficients, j + 2 * part, part))
                + (add_pair(row, coefficients, j + 4 * part, part) + add_pair(row, coefficients, j + 6 * part, part))
            ) + (add_pair(row, coefficients, j + 8 * part, part) + row[j + 10 * part] * coefficients[j + 10 * part])
        first = second = third = fourth = np.float32(0.0)
        for j in range(0, part - 3, 4):
            first += lanes[j]
            second += lanes[j + 1]
            third += lanes[j + 2]
            fourth += lanes[j + 3]
        for j in range(part - part % 4, part):
            first += lanes[j]
        for j in range(11 * part, width):
            second += row[j] * coefficients[j]
        out[i] = (first + third) + (second + fourth)
    return out


@kernel
def add_pair(row, coefficients, at, part):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the sum of the products at a place and one part further."""
    return row[at] * coefficients[at] + row[at + part] * coefficients[at + part]
