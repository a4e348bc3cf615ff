"""What stands around the rows of a document, as columns beside them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from chandlery.sources.series_names import AROUND, read_context

__all__ = ["Around"]


@dataclass(frozen=True)
class Around:
    """What stands around rows.

    Args:
        texts: The texts of symbol, exchange and interval around each run of rows.
        counts: How many rows each run has.
    """

    texts: Sequence[tuple[str, str, str]]
    counts: Sequence[int]

    @classmethod
    def of(cls, runs: Iterable[tuple[Mapping[str, str], int]]) -> "Around":
        """Return what stands around runs of rows, from the context of each and its number of rows."""
        pairs = [(read_context(context), count) for context, count in runs]
        return cls([texts for texts, _ in pairs], [count for _, count in pairs])

    def to_frame(self, height: int, roles: Sequence[str]) -> pl.DataFrame:
        """Return a column of texts for each of some roles.

        Args:
            height: How many rows there are.
            roles: Some of symbol, exchange and interval.
        """
        numbers = {texts: number for number, texts in enumerate(dict.fromkeys(self.texts))}
        if len(numbers) == 1:
            places = np.zeros(height, np.int64)
        else:
            places = np.repeat([numbers[texts] for texts in self.texts], self.counts)
        columns = {role: pl.Series([texts[list(AROUND).index(role)] for texts in numbers]) for role in roles}
        return pl.DataFrame({role: values.gather(places) for role, values in columns.items()})
