"""The interface of a model, and what a model learns from: sums over training rows, or a sample of them."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from chandlery.grid import Floats, Ints, Singles
from chandlery.machine.jit import kernel

__all__ = [
    "OWN",
    "RESERVED",
    "Artefact",
    "Model",
    "Sample",
    "Sums",
    "add_rows",
    "fading",
]

HALF_MAX = 65_504.0  # the greatest float16
RESERVED = ("naive", "blend", "served")  # names of other forecasts that stand beside those of models
OWN = "own"
HALF_LIFE_MONTHS = 3.0  # of the weight of rows, in sums and samples alike: markets change
COLUMNS = ("values", "target", "weight", "key", "symbol")
Artefact = dict[str, Any]
Arrays = dict[str, NDArray[Any]]


class Model(Protocol):
    """A model: one fit serves every symbol, including those that it was not trained on.

    An artefact may contain parts that were learned from one symbol alone, by symbol under `own`. `predict` receives
    under `own` the part of the row's symbol, or no `own` where there is none.

    Targets and predictions are log(price / close at issue) in units of sigma·√horizon.

    A model may also have `least_rows`: with fewer rows it is not fitted, and predicts nothing. Without it, one row
    is enough. And it may have `open_artefact`, which is called once for each artefact that comes into use: `predict` is
    then given what it returns in place of the artefact.

    Args:
        name: Names its column, `predicted_<name>`.
        algorithm: A version, raised when the model's results change.
        refit_months: Months of the year at the beginning of which it is fitted again.
        learns_from: Gram sums over all rows, or a sample of rows.
    """

    name: str
    algorithm: int
    refit_months: tuple[int, ...]
    learns_from: Literal["sums", "sample"]

    def design(self, values: Singles, names: Sequence[str]) -> Singles:
        """Return the model's inputs, (n, d), from features."""

    def weigh(self, weight: Singles) -> Singles:
        """Return loss weights from sigma against a typical sigma (0.3 to 5)."""

    def fit(self, training: "Sums | Sample", seed: int) -> Artefact:
        """Return what was learned, as plain values that JSON can hold."""

    def predict(self, artefact: Artefact, design: Singles) -> Singles:
        """Return predictions, float32 (n,)."""


@dataclass(frozen=True)
class Sums:
    """Weighted Gram sums over training rows.

    Args:
        lower: X'WX, the lower triangle row by row, float64 (d·(d + 1) / 2,).
        xty: X'Wy, float64 (d, horizons).
        rows: Number of rows.
        own: The sums of each symbol alone, by symbol, where they are known.
    """

    lower: Floats
    xty: Floats
    rows: int
    own: "dict[str, Sums]" = field(default_factory=dict)

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(self.lower + other.lower, self.xty + other.xty, self.rows + other.rows)

    def fade(self, keep: float) -> "Sums":
        """Return the sums with a share of their weight."""
        return Sums(self.lower * keep, self.xty * keep, self.rows)

    @property
    def xtx(self) -> Floats:
        """X'WX, (d, d); a new array each time."""
        square: Floats = unpack_lower(self.lower, self.xty.shape[0])
        return square

    @property
    def totals(self) -> Floats:
        """The trace of xtx and the column sums of xty, (1 + horizons,): a few numbers that distinguish sums."""
        diagonal = np.cumsum(np.arange(1, self.xty.shape[0] + 1)) - 1
        return np.append(self.lower[diagonal].sum(), self.xty.sum(axis=0))

    def rows_by_symbol(self) -> dict[str, int]:
        """Return the number of rows by symbol, where it is known."""
        return {symbol: sums.rows for symbol, sums in self.own.items()}

    def at(self, horizon: int) -> "Sums":
        """Return the sums of one horizon."""
        return Sums(
            self.lower,
            self.xty[:, horizon : horizon + 1],
            self.rows,
            {symbol: sums.at(horizon) for symbol, sums in self.own.items()},
        )

    def to_arrays(self, model: str) -> Arrays:
        """Return the sums as arrays named after a model."""
        return {
            f"sums.{model}.xtx": self.lower,
            f"sums.{model}.xty": self.xty,
            f"sums.{model}.rows": np.array(self.rows),
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays, model: str) -> "Sums | None":
        """Return a model's sums; None if there are none."""
        if f"sums.{model}.xty" not in arrays:
            return None
        return cls(arrays[f"sums.{model}.xtx"], arrays[f"sums.{model}.xty"], int(arrays[f"sums.{model}.rows"]))


@kernel
def add_lower(lower, square):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add the lower triangle of a symmetric matrix to one."""
    first = 0
    for i in range(square.shape[0]):
        for j in range(i + 1):
            lower[first + j] += square[i, j]
        first += i + 1


@kernel
def unpack_lower(lower, size):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the symmetric matrix of a lower triangle."""
    square, first = np.empty((size, size)), 0
    for i in range(size):
        for j in range(i + 1):
            square[i, j] = square[j, i] = lower[first + j]
        first += i + 1
    return square


@dataclass(frozen=True)
class Sample:
    """Training rows that were chosen by a hash of symbol and time.

    Args:
        values: Features, float32 (n, d); float16 in a stored bucket.
        target: float32 (n, horizons).
        weight: Sigma against a typical sigma, smaller for older rows, float32 (n,).
        key: The hash, uint64 (n,).
        symbol: The place of each row's symbol in `symbols`, (n,); 0 where that is empty.
        symbols: The symbols that rows may belong to.
    """

    values: Singles
    target: Singles
    weight: Singles
    key: NDArray[np.uint64]
    symbol: NDArray[np.int16]
    symbols: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self.key.size)

    def rows_by_symbol(self) -> dict[str, int]:
        """Return the number of rows by symbol, where it is known."""
        counts = np.bincount(self.symbol, minlength=len(self.symbols)).tolist()
        return {symbol: rows for symbol, rows in zip(self.symbols, counts, strict=False) if rows}

    def take_lowest(self, count: int) -> "Sample":
        """Return the rows with the lowest keys, sorted by key; views if they are sorted already."""
        if (self.key[1:] >= self.key[:-1]).all():
            return self if self.rows <= count else self._pick(slice(count))
        chosen = np.arange(self.rows) if self.rows <= count else np.argpartition(self.key, count)[:count]
        return self._pick(chosen[np.argsort(self.key[chosen], kind="stable")])

    def _pick(self, chosen: NDArray[np.int64] | slice) -> "Sample":
        return Sample(
            self.values[chosen],
            self.target[chosen],
            self.weight[chosen],
            self.key[chosen],
            self.symbol[chosen],
            self.symbols,
        )

    def at(self, horizon: int) -> "Sample":
        """Return the sample with the target of one horizon."""
        return replace(self, target=self.target[:, horizon : horizon + 1])

    @classmethod
    def of_one(cls, values: Singles, target: Singles, weight: Singles, key: NDArray[np.uint64]) -> "Sample":
        """Return rows of a single symbol, without its name."""
        return cls(values, target, weight, key, np.zeros(key.size, np.int16))

    @classmethod
    def concat(cls, parts: Iterable["Sample"]) -> "Sample":
        """Return samples with the same list of symbols as one."""
        samples = list(parts)
        values, target, weight, key, symbol = (
            np.concatenate([getattr(part, name) for part in samples]) for name in COLUMNS
        )
        return cls(values, target, weight, key, symbol, samples[0].symbols)

    def to_arrays(self) -> Arrays:
        """Return all of it as named arrays."""
        arrays: Arrays = {f"sample.{name}": getattr(self, name) for name in ("target", "weight", "key")}
        # Half the space; a relative error of a thousandth does not matter to a tree.
        return arrays | {"sample.values": np.clip(self.values, -HALF_MAX, HALF_MAX).astype(np.float16)}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> "Sample":
        """Return the sample from its arrays, values as float16."""
        values, target, weight, key = (arrays[f"sample.{name}"] for name in COLUMNS[:4])
        return cls.of_one(values, target, weight, key)

    def of(self, symbol: str, symbols: tuple[str, ...]) -> "Sample":
        """Return rows of one symbol with its name."""
        return replace(self, symbol=np.full(self.rows, symbols.index(symbol), np.int16), symbols=symbols)


def fading(bucket: str, later: str) -> float:
    """Return the factor by which the weight of a month's rows has decayed in a later month.

    Example:
        >>> fading("2019-01", "2019-04")
        0.5
    """
    months = int((np.datetime64(later, "M") - np.datetime64(bucket, "M")).astype(int))
    return float(0.5 ** (months / HALF_LIFE_MONTHS))


def add_rows(sums: Sums | None, design: Singles, target: Singles, weight: Singles, day: Ints) -> Sums | None:
    """Return the sums with rows added.

    Rows are summed in float32 within a UTC day, and days are added in order in float64: so an append gives the same
    bytes as a rebuild. Each horizon is a product by itself, so that its sums do not depend on the other horizons.

    Args:
        sums: The sums so far; None before the first row.
        design: Inputs, (n, d).
        target: (n, horizons).
        weight: Loss weights, (n,).
        day: UTC day of each row, ascending.
    """
    if design.shape[0] == 0:
        return sums
    root = np.sqrt(weight)[:, None]
    scaled, aimed = design * root, np.asfortranarray(target * root)
    inputs, horizons = design.shape[1], target.shape[1]
    lower = np.zeros(inputs * (inputs + 1) // 2) if sums is None else sums.lower.copy()
    xty = np.zeros((inputs, horizons)) if sums is None else sums.xty.copy()
    edges = [*np.flatnonzero(np.diff(day, prepend=day[0] - 1)), day.size]
    for first, last in itertools.pairwise(edges):
        rows = scaled[first:last]
        add_lower(lower, rows.T @ rows)
        for horizon in range(horizons):
            xty[:, horizon] += rows.T @ aimed[first:last, horizon]
    return Sums(lower, xty, (0 if sums is None else sums.rows) + design.shape[0])
