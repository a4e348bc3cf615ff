"""The comparisons of the leak gate: values computed from all data must equal those computed from data cut at a moment.

The package `chandlery.tasks.leak_gate` computes a sample of rows a second time, from candles and market cut at a moment
and with extensions from a fresh import, which remember no earlier call. Features, gap kinds, the choice of rows and
published values must be equal bit for bit; predictions and user-defined features but for the order of sums. Labels are
looked up in another way. What trains a refit must have been known at its moment. A difference raises `LawError`, which
names what differs.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chandlery.errors import LawError
from chandlery.forecasts.blend import Served
from chandlery.grid import Floats, Ints
from chandlery.models import Sample, Sums, fading

__all__ = [
    "CLOSE",
    "KEEP_NOTHING",
    "TrainedOn",
    "Witness",
    "are_close",
    "check_equal",
    "check_learned",
    "check_served",
    "check_split",
    "look_up_labels",
    "moment",
]

KEEP_NOTHING = (
    "keep nothing between calls of design, fit and predict but the artefact, and draw at random from the seed alone; "
    "no forecasts were published"
)
CLOSE = 1e-5  # relative tolerance where float32 sums may be added in another order
EXACT = 1e-9  # the same for float64 sums


@dataclass(frozen=True)
class Witness:
    """Where and when two computations are compared.

    Args:
        symbol: Whose rows.
        cut_ms: The moment at which the data of the second were cut.
    """

    symbol: str
    cut_ms: int


@dataclass(frozen=True)
class TrainedOn:
    """A bucket of training rows, as a fit has read it.

    Args:
        name: The first refit that may train on it, a month.
        symbol: Whose rows.
        known_ms: When the last of its targets was known; None in buckets of versions that did not store it.
        rows: How many rows it has for the model.
        keys: Keys of the sampled rows, (rows,); None for a model that learns from sums.
        targets: Targets of the sampled rows, (rows, horizons); None for a model that learns from sums.
        totals: Totals of the sums, (1 + horizons,); None where there are no sums.
    """

    name: str
    symbol: str
    known_ms: int | None
    rows: int
    keys: NDArray[np.uint64] | None = None
    targets: NDArray[np.float32] | None = None
    totals: NDArray[np.float64] | None = None

    def take_lowest(self, count: int) -> "TrainedOn":
        """Return the bucket with at most `count` sampled rows, those of the lowest keys: see `Sample.take_lowest`."""
        if self.keys is None or self.targets is None or self.keys.size <= count:
            return self
        lowest = np.argsort(self.keys)[:count]
        return replace(self, rows=count, keys=self.keys[lowest], targets=self.targets[lowest])


def check_equal(witness: Witness, parts: Iterable[tuple[str, NDArray[Any], NDArray[Any]]]) -> None:
    """Raise if values computed from all data differ from those computed from data cut at a moment.

    Args:
        witness: Symbol and moment of the cut.
        parts: Name, values from all data, values from cut data.

    Raises:
        LawError: A value differs; the error names the part and the last differing value.
    """
    for name, full, cut in parts:
        if full.shape != cut.shape:
            raise _leak(witness, name, f"{full.shape[-1]:,} values", f"{cut.shape[-1]:,}")
        if not np.array_equal(full, cut, equal_nan=full.dtype.kind == "f"):
            differs = (full != cut) & ~(np.isnan(full) & np.isnan(cut)) if full.dtype.kind == "f" else full != cut
            raise _leak(witness, name, full[differs][-1], cut[differs][-1])


def are_close(full: NDArray[Any], cut: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which values are equal but for the order in which sums were added, as booleans."""
    known = np.abs(full[np.isfinite(full)])
    scale = min(1.0, float(known.mean())) if known.size else 1.0
    close: NDArray[np.bool_] = np.isclose(full, cut, rtol=CLOSE, atol=CLOSE * scale, equal_nan=True)
    return close


def moment(ms: int) -> str:
    """Return a time in ms as text, to the minute."""
    return str(np.datetime64(ms, "ms"))[:16].replace("T", " ")


def _leak(witness: Witness, name: str, full: Any, cut: Any) -> LawError:
    return LawError(
        f"{name} of {witness.symbol} knows the future: {full} with all data, "
        f"{cut} with the data of {moment(witness.cut_ms)}",
        "the same value",
        f"look for code that makes {name} read past its candle; no forecasts were published",
    )


def look_up_labels(step: Ints, close: Floats, place: Ints, horizon: int, barriers: Ints) -> Floats:
    """Return the labels of some candles, looked up one by one, to check `labels.label`.

    Args:
        step: Steps of all candles, ascending, (candles,).
        close: Closes of all candles, (candles,).
        place: Places of the candles whose labels are returned, (n,).
        horizon: In steps.
        barriers: Missing steps that no label crosses: start, stop, ascending, (k, 2).

    Returns:
        The close at the target, (n,); NaN where it is unknown or lies beyond a barrier.
    """
    issued, target = step[place], step[place] + horizon
    last = np.searchsorted(step, target, side="right") - 1
    ahead = np.searchsorted(barriers[:, 1], issued, side="right")
    starts = np.append(barriers[:, 0], np.iinfo(np.int64).max)
    return np.where((target <= step[-1]) & (starts[ahead] > target), close[last], np.nan)


def check_split(model: str, refit: str, read: list[TrainedOn], training: Sums | Sample) -> None:
    """Raise if a refit trains on rows whose targets were not all known, or on other rows than were read.

    Args:
        model: Its name.
        refit: The month at whose first instant it is fitted.
        read: The buckets that were read for it so far.
        training: Sums or a sample, as the model receives them.

    Raises:
        LawError: The split between training and prediction is wrong.
    """
    refit_ms = int(np.datetime64(refit, "ms").astype(np.int64))
    for bucket in read:
        late = bucket.known_ms is not None and bucket.known_ms > refit_ms
        if bucket.name > refit or late:
            rows = f"rows for the refit of {bucket.name}"
            found = rows if bucket.known_ms is None else f"targets as late as {moment(bucket.known_ms)}"
            raise _wrong_split(
                f"{model} knows the future",
                f"{refit}-01 trains on {bucket.symbol} with {found}",
                f"targets known at {refit}-01",
            )
    rows_read = Counter[str]()
    for bucket in read:
        rows_read[bucket.symbol] += bucket.rows
    known = "those whose targets were known"
    if training.rows != rows_read.total():
        raise _wrong_split(model, f"{refit}-01 trains on {training.rows:,} rows", f"{rows_read.total():,}: {known}")
    for symbol, count in training.rows_by_symbol().items():
        if count != rows_read[symbol]:
            raise _wrong_split(
                model, f"{refit}-01 takes {count:,} rows for {symbol}'s own", f"{rows_read[symbol]:,}: {known}"
            )
    wrong = _find_wrong_sums(read, training) if isinstance(training, Sums) else _find_wrong_rows(read, training)
    if wrong:
        raise _wrong_split(model, f"{refit}-01 trains on {wrong}", known)


def _wrong_split(model: str, found: str, expected: str) -> LawError:
    hint = (
        "look for code that gives a fit rows of later buckets, or rows without the embargo; nothing was fitted, "
        "no forecasts were published"
    )
    return LawError(f"split of model {model}: its fit of {found}", expected, hint)


def _find_wrong_sums(read: list[TrainedOn], training: Sums) -> str:
    """Name the first symbol whose sums differ from the buckets read, or return ""."""
    found = [(bucket.name, bucket.symbol, bucket.totals) for bucket in read if bucket.totals is not None]
    names, symbols, totals = zip(*found, strict=True)
    months, place = np.unique(names, return_inverse=True)
    faded = np.stack(totals) * np.array([fading(month, months[-1]) for month in months.tolist()])[place, None]
    owners, place = np.unique(symbols, return_inverse=True)
    expected = np.zeros((owners.size, faded.shape[1]))
    np.add.at(expected, place, faded)
    for symbol, sums, wanted in [
        ("all symbols", training, expected.sum(axis=0)),
        *((symbol, training.own.get(symbol), row) for symbol, row in zip(owners.tolist(), expected, strict=True)),
    ]:
        if sums is not None and not np.allclose(sums.totals, wanted, rtol=CLOSE, atol=EXACT * wanted[0]):
            return f"other sums of {symbol} than were read"
    return ""


def _find_wrong_rows(read: list[TrainedOn], training: Sample) -> str:
    """Describe the first difference from the sampled rows that were read, or return ""."""
    found = [
        (bucket.symbol, bucket.keys, bucket.targets)
        for bucket in read
        if bucket.keys is not None and bucket.targets is not None and bucket.keys.size
    ]
    symbols, keys, targets = zip(*found, strict=True)
    order = np.argsort(np.concatenate(keys), kind="stable")
    if not np.array_equal(training.key, np.concatenate(keys)[order]):
        return "other rows than were sampled"
    place = {symbol: place for place, symbol in enumerate(training.symbols)}
    if not np.array_equal(
        training.symbol, np.repeat([place.get(symbol, -1) for symbol in symbols], [key.size for key in keys])[order]
    ):
        return "rows under another symbol's name"
    if not np.array_equal(training.target, np.concatenate(targets)[order], equal_nan=True):
        return "other targets than were sampled"
    return ""


def check_learned(model: str, refit: str, fit: Any, learn_again: Callable[[], Any]) -> None:
    """Raise if a model learns something else when it knows nothing but its training rows.

    Args:
        model: Its name.
        refit: The month at whose first instant it is fitted.
        fit: What it learned in the run.
        learn_again: Fits the model, from a fresh import, on the same rows.

    Raises:
        LawError: It learns something else, or fails.
    """
    try:
        again, what = learn_again(), "learns something else"
    except Exception as error:  # noqa: BLE001 - a user-defined model that misses what it kept may raise anything
        again, what = None, f"fails with {error!r}"
    if not _same(fit, again):
        raise LawError(
            f"model {model} knows more than its training: loaded afresh, it {what} for {refit}-01",
            "the same from the same rows and seed",
            KEEP_NOTHING,
        )


def _same(one: Any, other: Any) -> bool:
    match one, other:
        case dict(), dict():
            return one.keys() == other.keys() and all(_same(one[name], other[name]) for name in one)
        case ((list() | tuple()), (list() | tuple())):
            return len(one) == len(other) and all(map(_same, one, other))
        case float() | int(), float() | int():
            return math.isclose(one, other, rel_tol=CLOSE, abs_tol=CLOSE**2) or (math.isnan(one) and math.isnan(other))
        case _:
            return bool(one == other)


def check_served(witness: Witness, horizon: str, full: Served, again: Served) -> None:
    """Raise if served forecasts depend on outcomes that were not known at the cut.

    Args:
        witness: Symbol and moment of the cut.
        horizon: As text.
        full: What is served.
        again: What is served for the same rows when outcomes later than the cut are hidden.

    Raises:
        LawError: A value differs.
    """
    names = {
        "calibrated": "calibration",
        "served": "served forecast",
        "served_by": "choice of model",
        "half_80": "80 % interval",
        "half_95": "95 % interval",
    }
    check_equal(
        witness, [(f"{text} at {horizon}", getattr(full, name), getattr(again, name)) for name, text in names.items()]
    )
