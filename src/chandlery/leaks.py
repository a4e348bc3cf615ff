"""The leak gate: what was computed with all data must equal what is computed with the data of the time.

A block of rows is computed twice from the same state: with all its candles, and with its candles and
the market's cut at a moment inside it. What was known at that moment must be the same in both, bit for
bit. So it is with labels, gap kinds, weights and what is served. One value that differs breaks law 2,
and the culprit is named.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chandlery.errors import LawError
from chandlery.served import Served

__all__ = ["Witness", "check_served", "compare"]


@dataclass(frozen=True)
class Witness:
    """Where and when two computations are compared.

    Args:
        symbol: Whose rows.
        cut_ms: The moment at which the data of the second were cut.
    """

    symbol: str
    cut_ms: int


def compare(witness: Witness, parts: Iterable[tuple[str, NDArray[Any], NDArray[Any]]]) -> None:
    """Make sure that every part is the same with all data and with the data of the time.

    Args:
        witness: Where and when.
        parts: What it is, its values with all data, its values with the data of the time.

    Raises:
        LawError: A value differs; the part is the culprit.
    """
    for name, full, cut in parts:
        if full.shape != cut.shape:
            raise _leak(witness, name, f"{full.shape[-1]:,} values", f"{cut.shape[-1]:,}")
        if not np.array_equal(full, cut, equal_nan=full.dtype.kind == "f"):
            differs = (full != cut) & ~(np.isnan(full) & np.isnan(cut)) if full.dtype.kind == "f" else full != cut
            raise _leak(witness, name, full[differs][-1], cut[differs][-1])


def _leak(witness: Witness, name: str, full: Any, cut: Any) -> LawError:
    moment = str(np.datetime64(witness.cut_ms, "ms"))[:16].replace("T", " ")
    return LawError(
        f"{name} of {witness.symbol} knows the future: {full} with all data, {cut} with the data of {moment}",
        "the same value",
        f"look for what makes {name} read past its candle; no forecasts were published",
    )


def check_served(witness: Witness, full: Served, replay: Callable[[int], Served], rows: int) -> None:
    """Make sure that what is served rests on past outcomes alone.

    Args:
        witness: Whose rows; the moment is that of the cut.
        full: What is served.
        replay: Serves the first so many rows again, with the outcomes that were not known at the last of them hidden.
        rows: How many.

    Raises:
        LawError: A value differs.
    """
    cut = replay(rows)
    names = {"calibrated": "calibration", "served": "served forecast", "served_by": "choice of model", "half_80": "80 % interval", "half_95": "95 % interval"}
    compare(witness, [(text, getattr(full, name)[:rows], getattr(cut, name)) for name, text in names.items()])
