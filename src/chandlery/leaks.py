"""The leak gate: what was computed with all data must equal what is computed with the data of the time.

A row issued at *t* is computed again from candles cut at *t*, from a state as of a midnight before it,
and that state itself from the midnight before that: so nothing that the row rests on can know what came
after. One value that differs breaks law 2, and the culprit is named.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chandlery.errors import LawError

__all__ = ["Witness", "compare_rows"]


@dataclass(frozen=True)
class Witness:
    """What one row consists of, by the name of its part.

    Args:
        symbol: Whose row.
        issued_ms: When it was issued.
        parts: Name of a feature, weight, label or market column → its value.
    """

    symbol: str
    issued_ms: int
    parts: dict[str, NDArray[np.generic]]


def compare_rows(full: Witness, cut: Witness) -> None:
    """Make sure that a row is the same with and without the data after it.

    Args:
        full: As computed in the run.
        cut: As computed from data cut at the moment of issue.

    Raises:
        LawError: They differ; the first part that does is the culprit.
    """
    for name, value in full.parts.items():
        other = cut.parts[name]
        if value.shape != other.shape or not np.array_equal(value, other, equal_nan=value.dtype.kind == "f"):
            moment = str(np.datetime64(full.issued_ms, "ms"))[:16]
            raise LawError(
                f"{name} of {full.symbol} at {moment} is {value} with later data and {other} without",
                "the same value: nothing knows the future",
                f"look for what {name} reads after its candle; no forecasts were published",
            )
