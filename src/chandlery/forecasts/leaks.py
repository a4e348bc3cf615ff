"""The leak gate: what was computed with all data must equal what is computed with the data of the time.

Rows are computed twice: with all their candles, and with candles and market cut at a moment, by
extensions that were loaded afresh and so remember nothing. What was known at that moment must be the
same in both, bit for bit. So it is with gap kinds, the choice of rows, predictions, and with what is
served and published. Labels are looked up again by hand; what trains a refit must have been known at
it. One value that differs breaks law 2, and the culprit is named.
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

KEEP_NOTHING = "keep nothing between calls of design, fit and predict but the artefact, and draw at random from the seed alone; no forecasts were published"
CLOSE = 1e-5  # where sums may be made in another order
EXACT = 1e-9  # where sums in float64 may be


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
        known_ms: When the last of its targets was known; None where nobody has noted that.
        rows: How many it holds for the model.
        keys: Of those that are sampled, (rows,); None where the model learns from sums.
        targets: Of those that are sampled, (rows, horizons); None likewise.
        totals: Of the sums, (1 + horizons,); None where there are none.
    """

    name: str
    symbol: str
    known_ms: int | None
    rows: int
    keys: NDArray[np.uint64] | None = None
    targets: NDArray[np.float32] | None = None
    totals: NDArray[np.float64] | None = None

    def take_lowest(self, count: int) -> "TrainedOn":
        """Return the bucket with so many of its sampled rows at most, those of the lowest keys, as `Sample.take_lowest` does."""
        if self.keys is None or self.targets is None or self.keys.size <= count:
            return self
        lowest = np.argsort(self.keys)[:count]
        return replace(self, rows=count, keys=self.keys[lowest], targets=self.targets[lowest])


def check_equal(witness: Witness, parts: Iterable[tuple[str, NDArray[Any], NDArray[Any]]]) -> None:
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


def are_close(full: NDArray[Any], cut: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which values are the same but for the order in which sums were made."""
    known = np.abs(full[np.isfinite(full)])
    scale = min(1.0, float(known.mean())) if known.size else 1.0
    close: NDArray[np.bool_] = np.isclose(full, cut, rtol=CLOSE, atol=CLOSE * scale, equal_nan=True)
    return close


def moment(ms: int) -> str:
    """Return a moment as text, to the minute."""
    return str(np.datetime64(ms, "ms"))[:16].replace("T", " ")


def _leak(witness: Witness, name: str, full: Any, cut: Any) -> LawError:
    return LawError(
        f"{name} of {witness.symbol} knows the future: {full} with all data, {cut} with the data of {moment(witness.cut_ms)}",
        "the same value",
        f"look for what makes {name} read past its candle; no forecasts were published",
    )


def look_up_labels(step: Ints, close: Floats, place: Ints, horizon: int, barriers: Ints) -> Floats:
    """Return the labels of some candles, looked up one by one: what `labels.label` must agree with.

    Args:
        step: Of all candles, ascending.
        close: Of all candles.
        place: Which candles are asked for.
        horizon: In steps.
        barriers: Missing steps that no label crosses: start, stop, ascending, (k, 2).
    """
    issued, target = step[place], step[place] + horizon
    last = np.searchsorted(step, target, side="right") - 1
    ahead = np.searchsorted(barriers[:, 1], issued, side="right")
    starts = np.append(barriers[:, 0], np.iinfo(np.int64).max)
    return np.where((target <= step[-1]) & (starts[ahead] > target), close[last], np.nan)


def check_split(model: str, refit: str, read: list[TrainedOn], training: Sums | Sample) -> None:
    """Make sure that a refit trains on rows alone whose every target was known at it, and on all that it says.

    Args:
        model: Its name.
        refit: The month at whose first instant it is fitted.
        read: The buckets that were read for it so far.
        training: Sums or a sample, as the model gets them.

    Raises:
        LawError: The split is the culprit.
    """
    refit_ms = int(np.datetime64(refit, "ms").astype(np.int64))
    hint = "look for what lets a fit have rows of later buckets, or rows without the embargo; nothing was fitted, no forecasts were published"
    for bucket in read:
        late = bucket.known_ms is not None and bucket.known_ms > refit_ms
        if bucket.name > refit or late:
            known = (
                f"targets as late as {moment(bucket.known_ms)}"
                if bucket.known_ms is not None
                else f"rows for the refit of {bucket.name}"
            )
            raise LawError(
                f"split of model {model} knows the future: its fit of {refit}-01 trains on {bucket.symbol} with {known}",
                f"targets known at {refit}-01",
                hint,
            )
    expected = sum(bucket.rows for bucket in read)
    if training.rows != expected:
        raise LawError(
            f"split of model {model}: its fit of {refit}-01 trains on {training.rows:,} rows",
            f"{expected:,}: those whose targets were known",
            hint,
        )
    held_by = Counter[str]()
    for bucket in read:
        held_by[bucket.symbol] += bucket.rows
    for symbol, rows in training.rows_by_symbol().items():
        if rows != held_by[symbol]:
            raise LawError(
                f"split of model {model}: its fit of {refit}-01 takes {rows:,} rows for {symbol}'s own",
                f"{held_by[symbol]:,}: those whose targets were known",
                hint,
            )
    wrong = _find_wrong_sums(read, training) if isinstance(training, Sums) else _find_wrong_rows(read, training)
    if wrong:
        raise LawError(
            f"split of model {model}: its fit of {refit}-01 trains on {wrong}", "those whose targets were known", hint
        )


def _find_wrong_sums(read: list[TrainedOn], training: Sums) -> str:
    """Return whose sums are other than those that were read; nothing where all are the same."""
    held = [(bucket.name, bucket.symbol, bucket.totals) for bucket in read if bucket.totals is not None]
    names, symbols, totals = zip(*held, strict=True)
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
    """Return what differs from the rows that were read; nothing where all is the same."""
    held = [
        (bucket.symbol, bucket.keys, bucket.targets)
        for bucket in read
        if bucket.keys is not None and bucket.targets is not None and bucket.keys.size
    ]
    symbols, keys, targets = zip(*held, strict=True)
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
    """Make sure that a model learns the same where it has seen nothing but its training.

    Args:
        model: Its name.
        refit: The month at whose first instant it is fitted.
        fit: What it has learned in the run.
        learn_again: Lets the model, loaded afresh, learn from the same training.

    Raises:
        LawError: It learns something else, or fails.
    """
    try:
        again, what = learn_again(), "learns something else"
    except Exception as error:  # noqa: BLE001 - a model of somebody's own may raise anything where it misses what it kept
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
    """Make sure that what is served rests on past outcomes alone.

    Args:
        witness: Whose rows; the moment is that of the cut.
        horizon: As text.
        full: What is served.
        again: What is served for the same rows where the outcomes that were not known at the cut are hidden.

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
