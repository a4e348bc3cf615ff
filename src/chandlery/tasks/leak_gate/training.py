"""The leak gate's check of training rows: a block adds exactly the rows that it should, with unchanged values."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chandlery.forecasts.leaks import CLOSE, Witness, check_equal
from chandlery.models import Sample, Sums, add_rows
from chandlery.tasks.bucket import SAMPLE_ROWS, Bucket, hash_rows
from chandlery.tasks.leak_gate.sampling import open_unseen
from chandlery.tasks.passes import Passed, SymbolPass

__all__ = ["BucketBefore", "TrainingGate"]


class BucketBefore(NamedTuple):
    """What a bucket held before a block was added.

    Args:
        sums: By model.
        sample: None if there was none.
    """

    sums: dict[str, Sums]
    sample: Sample | None

    @classmethod
    def of(cls, bucket: Bucket) -> "BucketBefore":
        """Return what a bucket holds now."""
        return cls(dict(bucket.sums), bucket.sample)


class TrainingGate:
    """Computes what a sample of blocks adds to a symbol's bucket of training rows.

    Args:
        symbol_pass: The symbol's pass.
        starts: The first steps of the blocks to check.
    """

    def __init__(self, symbol_pass: SymbolPass, starts: frozenset[int]) -> None:
        self._pass, self._starts = symbol_pass, starts
        self.checked: set[int] = set()  # of the starts, those of blocks that went through `check`
        self._models = [model for model in open_unseen(symbol_pass.work) if model.learns_from == "sums"]

    def check(
        self, passed: Passed, target: NDArray[np.float32], before: BucketBefore, bucket: Bucket, added: int
    ) -> None:
        """Compare what a block added with all of its rows that the hash chooses and whose labels are known.

        Args:
            passed: The block.
            target: Of its rows, (n, horizons).
            before: The bucket before the block was added.
            bucket: The bucket after it.
            added: How many rows were added.

        Raises:
            LawError: Rows were chosen in another way, or changed.
        """
        if passed.block.start not in self._starts:
            return
        self.checked.add(passed.block.start)
        grid = self._pass.work.rules.grid
        witness = Witness(self._pass.symbol, grid.open_ms(passed.block.stop))
        usable = passed.rows.ready & self._pass.is_known[passed.place]
        steps, values, weight = (getattr(passed.rows, name)[usable] for name in ("step", "values", "weight"))
        rows = Sample.of_one(values, target[usable], weight, hash_rows(self._pass.symbol, steps))
        check_equal(witness, [("choice of rows", np.array([added]), np.array([rows.rows]))])
        for model in self._models if rows.rows else ():
            inputs = model.design(rows.values, self._pass.plan.names)
            expected = add_rows(None, inputs, rows.target, model.weigh(rows.weight), grid.days_of(steps))
            assert expected is not None  # noqa: S101 - there are rows
            check_sums(witness, model.name, (before.sums.get(model.name), bucket.sums[model.name]), expected)
        if bucket.sample is not None:
            check_sample(witness, before.sample, bucket.sample, rows)


def check_sums(witness: Witness, model: str, totals: tuple[Sums | None, Sums], expected: Sums) -> None:
    """Compare by how much a model's sums grew with the sums of the rows alone.

    Args:
        witness: Symbol and end of the block.
        model: Its name.
        totals: The sums before the block, None if there were none, and after it.
        expected: The sums of the rows.

    Raises:
        LawError: They differ by more than the order of a sum explains.
    """
    before, after = totals
    rows = after.rows - (before.rows if before else 0)
    grown = after.xty - (before.xty if before else 0.0)
    differs = ~np.isclose(grown, expected.xty, rtol=CLOSE, atol=CLOSE * np.abs(after.xty).max())
    counts = (f"training rows of model {model}", np.array([rows]), np.array([expected.rows]))
    check_equal(witness, [counts, (f"training sums of model {model}", grown[differs], expected.xty[differs])])


def check_sample(witness: Witness, before: Sample | None, after: Sample, rows: Sample) -> None:
    """Compare a sample with the rows of the lowest keys among those before the block and those of the block.

    Args:
        witness: Symbol and end of the block.
        before: The sample before the block; None if there was none.
        after: The sample after it.
        rows: The rows of the block.

    Raises:
        LawError: Other rows are in the sample, or their values differ.
    """
    keys = np.concatenate([rows.key] if before is None else [before.key, rows.key])
    check_equal(witness, [("choice of rows", after.key, np.sort(keys)[:SAMPLE_ROWS])])
    order, is_new = np.argsort(rows.key), np.isin(after.key, rows.key)
    at = order[np.searchsorted(rows.key, after.key[is_new], sorter=order)]
    names = {"values": "sampled feature", "target": "sampled label", "weight": "sample weight"}
    check_equal(
        witness, [(text, getattr(after, name)[is_new], getattr(rows, name)[at]) for name, text in names.items()]
    )
