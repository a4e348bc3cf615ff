"""A bucket of training rows: Gram sums for models that learn from sums, and a sample of rows for the others.

A bucket has the rows of one symbol, and its name is the first refit (a month) that may train on them.
"""

import zlib

import numpy as np
from numpy.typing import NDArray

from chandlery.features.run import FeatureRows
from chandlery.grid import Grid
from chandlery.models import Model, Sample, Sums, add_rows
from chandlery.state.arrays import Arrays

__all__ = ["SAMPLE_ROWS", "Bucket", "hash_rows"]

# At most, of a symbol and bucket. The samples of six pairs over a year, thinned as they fade, make a pool of about
# 265,000 rows.
SAMPLE_ROWS = 10_240


def hash_rows(symbol: str, steps: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return a hash of symbol and time for each row: which rows are sampled depends on nothing else.

    Args:
        symbol: The symbol of all rows.
        steps: The step of each row, (n,).

    Source:
        Steele, Lea, Flood (2014), Fast splittable pseudorandom number generators: the finaliser of SplitMix64.
    """
    mixed = steps.astype(np.uint64) + np.array([zlib.crc32(symbol.encode())], np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    for shift, multiplier in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(multiplier)
    keys: NDArray[np.uint64] = mixed ^ (mixed >> np.uint64(31))
    return keys


class Bucket:
    """The training rows of one symbol for the refits from one month on.

    Args:
        name: The first refit that may train on the rows, a month.
        symbol: The symbol.
        grid: The lake's.
        arrays: From `to_arrays`, to add to a stored bucket; None starts an empty one.
    """

    def __init__(self, name: str, symbol: str, grid: Grid, arrays: Arrays | None = None) -> None:
        self.name, self.symbol, self.grid = name, symbol, grid
        self.sums: dict[str, Sums] = {}
        self.sample: Sample | None = None
        self.newest = -1  # step of the newest row used
        if arrays:
            self.newest = int(arrays.get("newest", self.newest))
            names = [name.split(".")[1] for name in arrays if name.endswith(".rows")]
            self.sums = {name: sums for name in names if (sums := Sums.from_arrays(arrays, name))}
            self.sample = Sample.from_arrays(arrays) if "sample.key" in arrays else None

    def add(
        self,
        models: list[Model],
        names: tuple[str, ...],
        rows: FeatureRows,
        target: NDArray[np.float32],
        is_known: NDArray[np.bool_],
    ) -> int:
        """Add the rows that have enough history and whose labels are all known; return how many were added.

        Args:
            models: Those that learn from the bucket.
            names: The features, in order.
            rows: Of one block.
            target: Of these rows, (n, horizons).
            is_known: Whether the label at the reach is known, and so those at all horizons, (n,).
        """
        usable = rows.ready & is_known
        values, target, weight = rows.values[usable], target[usable], rows.weight[usable]
        steps = rows.step[usable]
        days = self.grid.days_of(steps)
        for model in models:
            if model.learns_from == "sums":
                inputs = model.design(values, names)
                sums = add_rows(self.sums.get(model.name), inputs, target, model.weigh(weight), days)
                self.sums |= {model.name: sums} if sums else {}
        if any(model.learns_from == "sample" for model in models):
            self._draw(Sample.of_one(values, target, weight, hash_rows(self.symbol, steps)))
        self.newest = max(self.newest, int(steps.max(initial=-1)))
        return steps.size

    def _draw(self, fresh: Sample) -> None:
        self.sample = Sample.concat([fresh] if self.sample is None else [self.sample, fresh]).take_lowest(SAMPLE_ROWS)

    def to_arrays(self) -> Arrays:
        """Return the bucket as named arrays."""
        arrays: Arrays = {"bucket": np.array(self.name), "newest": np.array(self.newest)}
        for name, sums in self.sums.items():
            arrays |= sums.to_arrays(name)
        return arrays | (self.sample.to_arrays() if self.sample is not None else {})
