"""Ridge regression from Gram sums: all refits from one pass over the rows."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from chandlery.grid import Singles
from chandlery.models.base import Artefact, Sample, Sums, register

__all__ = ["Linear"]

LIMIT = 4.0
RIDGE = 0.01
WEIGHT_POWER = 1.5
SIGNALS = (
    "market_rel_1", "market_rel_2", "market_rel_5", "market_catch_rel", "lead1_r_1", "lead2_r_1", "own_mid",
    "market_ec_2", "market_ec_10", "lead1_mid", "lead1_ec_2", "market_mid", "lead2_ec_2", "lead1_sv_1", "market_sv_1",
)  # fmt: skip


class Linear:
    """Ridge on the features and on the key signals times staleness, activity and volatility.

    The penalty is 0.01 of the mean diagonal of X'WX; loss weights are (sigma against a typical one)^1.5.
    """

    name = "linear"
    algorithm = 1
    refit_months: tuple[int, ...] = tuple(range(1, 13))
    learns_from: Literal["sums", "sample"] = "sums"

    def design(self, values: Singles, names: Sequence[str]) -> Singles:
        """Return features within ±4 (0 where null), signals times conditions, and a constant."""
        count, place = values.shape[0], {name: column for column, name in enumerate(names)}
        signals = [place[name] for name in SIGNALS]
        width = len(names)
        design = np.empty((count, width + 4 * len(signals) + 1), np.float32)
        plain = design[:, :width]
        plain[:] = values
        plain[np.isnan(plain)] = 0.0
        key = plain[:, signals]
        conditions = (
            plain[:, place["own_gap"], None],
            plain[:, place["own_act_10"], None] - np.float32(0.5),
            np.clip(plain[:, place["own_vr"], None], -1, 1),
        )
        for number, condition in enumerate(conditions):
            np.multiply(key, condition, out=design[:, width + number * len(signals) : width + (number + 1) * len(signals)])
        design[:, width + 3 * len(signals) : -1] = np.clip(key, -1, 1)
        np.clip(design, -LIMIT, LIMIT, out=design)
        design[:, -1] = 1.0
        return design

    def weigh(self, weight: Singles) -> Singles:
        """Return weight^1.5."""
        return weight * np.sqrt(weight)

    def fit(self, training: Sums | Sample, seed: int) -> Artefact:
        """Solve (X'WX + λ) b = X'Wy."""
        del seed
        assert isinstance(training, Sums)  # noqa: S101 - learns_from says so
        size = training.xtx.shape[0]
        penalty = RIDGE * np.trace(training.xtx) / size
        solved = np.linalg.solve(training.xtx + penalty * np.eye(size), training.xty[:, 0])
        return {"coefficients": [float(value) for value in solved.astype(np.float32)]}

    def predict(self, artefact: Artefact, design: Singles) -> Singles:
        """Return X b."""
        return design @ np.array(artefact["coefficients"], np.float32)


register(Linear())
