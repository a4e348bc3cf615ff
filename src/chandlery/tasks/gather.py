"""The gather task: a symbol's candles to Gram sums and a sample of rows, bucket by bucket.

A bucket is named by the first refit that may train on its rows. Whole buckets are put once; the one that a
checkpoint cuts is kept with the checkpoint. Nothing is deleted here: a second copy of the task does no harm.
"""

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chandlery.features.labels import normalise
from chandlery.features.run import FeatureRows
from chandlery.forecasts.leaks import CLOSE, Witness, compare
from chandlery.grid import Grid
from chandlery.models import Model, Sample, Sums, add_rows, open_models
from chandlery.state.arrays import name_arrays, pick_arrays, put_arrays
from chandlery.state.paths import Paths
from chandlery.tasks.gate import SymbolGate, open_unseen
from chandlery.tasks.passes import Passed, SymbolPass
from chandlery.tasks.work import Arrays, Block, SymbolTask, Work

__all__ = ["SAMPLE_ROWS", "Gathered", "gather_symbol", "is_gathered", "recall_gathered", "targets_of"]

ROWS_PER_MINUTE = (
    0.25  # neighbouring minutes tell nearly the same: see docs/how_it_works.md for what the others would add
)
SAMPLE_ROWS = (
    10_240  # a symbol and bucket: thinned as they fade, those of a year of six pairs make a pool of about 265,000
)


@dataclass(frozen=True)
class Gathered:
    """What became of a symbol's rows: there is a bucket for every month from the first to the last.

    Args:
        symbol: Whose.
        first: Name of its first bucket; empty where it has none.
        last: Name of its last one.
    """

    symbol: str
    first: str
    last: str


def hash_rows(symbol: str, steps: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return a hash of symbol and time: who is in the sample depends on nothing else.

    Source:
        Steele, Lea, Flood (2014), Fast splittable pseudorandom number generators: the finaliser of SplitMix64.
    """
    mixed = steps.astype(np.uint64) + np.array([zlib.crc32(symbol.encode())], np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    for shift, multiplier in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(multiplier)
    keys: NDArray[np.uint64] = mixed ^ (mixed >> np.uint64(31))
    return keys


def trains(symbol: str, steps: NDArray[np.int64], grid: Grid) -> NDArray[np.bool_]:
    """Return which candles are trained on, by their hash: a share of those of short intervals, all of long ones."""
    share = min(1.0, ROWS_PER_MINUTE * grid.minutes)
    highest = np.iinfo(np.uint64).max
    limit = np.uint64(share * 2**53) * np.uint64(2**11) if share < 1.0 else highest
    return hash_rows(symbol, steps) <= limit


def targets_of(symbol_pass: SymbolPass, passed: Passed) -> NDArray[np.float32]:
    """Return the normalised targets of rows, (rows, horizons); NaN where a label is not known."""
    actual, rows = symbol_pass.actual[passed.place], passed.rows
    horizons = symbol_pass.work.rules.horizon_steps
    columns = [normalise(actual[:, k], rows.close, rows.sigma, steps) for k, steps in enumerate(horizons)]
    return np.column_stack(columns).astype(np.float32)


class Bucket:
    """Sums for the models that learn from sums, and a sample of rows for the others."""

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
        """Add the rows that are ready and whose every label is known; return their number.

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
        """Return all of it as named arrays."""
        arrays: Arrays = {"bucket": np.array(self.name), "newest": np.array(self.newest)}
        for name, sums in self.sums.items():
            arrays |= sums.to_arrays(name)
        return arrays | (self.sample.to_arrays() if self.sample is not None else {})


def gather_symbol(task: SymbolTask) -> Gathered:
    """Write a symbol's buckets from the span's first day on, and its states at the checkpoints.

    Raises:
        LawError: A value knew the future; it names the culprit.
        LeaseHeldError: Another run has taken the lake.
    """
    work, symbol = task.work, task.symbol
    symbol_pass, models = SymbolPass(work, symbol), open_models(work.rules.models, work.extensions)

    def choose(_: Block, steps: NDArray[np.int64]) -> NDArray[np.bool_]:
        return trains(symbol, steps, work.rules.grid)

    kept: Arrays = work.lake.store.together(
        lambda: work.restore("gather", symbol) if task.is_resumed else {},
        lambda: symbol_pass.candles,
        lambda: symbol_pass.barriers,
    )[0]
    writer, gate, unseen = (
        BucketWriter(work, symbol, kept),
        SymbolGate(symbol_pass, "gather", choose),
        open_unseen(work),
    )
    if not work.span.resumed:
        gate.look_at_gaps()  # here alone: forecasts rest on the same
    for passed in symbol_pass.blocks(choose, pick_arrays("features", kept) or None):
        bucket, block = writer.turn_to(passed.block), passed.block
        target = targets_of(symbol_pass, passed)
        gate.look(passed, target)
        before = dict(bucket.sums), bucket.sample
        used = bucket.add(models, symbol_pass.plan.names, passed.rows, target, symbol_pass.is_known[passed.place])
        if block.start in gate.starts:
            Fresh(symbol_pass, passed, target, unseen).check(before, bucket, used)
        if block.saves:
            state = name_arrays("features", passed.after.to_arrays()) | name_arrays("bucket", bucket.to_arrays())
            work.save(block.day, "gather", symbol, state | {"first": np.array(writer.first)})
    writer.finish()
    return Gathered(symbol, writer.first, writer.last)


def is_gathered(work: Work) -> bool:
    """Return whether the models that are added learn from rows that an earlier run has gathered for others."""
    if work.added is None or work.added.horizons != work.rules.horizons:
        return False
    models = open_models(work.rules.models, work.extensions)
    held = {model.learns_from for model in models if model.name not in work.added.models}
    return held.issuperset({"sample"}) and all(
        model.learns_from == "sample" for model in models if model.name in work.added.models
    )


def recall_gathered(work: Work, symbol: str, first_day: int, newest_ms: int) -> Gathered:
    """Return what gathering a symbol from its first candle on would, where its buckets are there.

    Args:
        work: What is computed.
        symbol: Whose.
        first_day: The UTC day on which its first candle closes, since 1970.
        newest_ms: When its newest candle closes.
    """
    blocks = [block for block in work.blocks() if block.day > first_day]
    after = work.rules.grid.steps_of(newest_ms)  # the step after the newest candle
    newest_save = max(work.span.saves, default=0)
    last = next((block for block in blocks if block.stop >= after and block.day >= newest_save), blocks[-1])
    return Gathered(symbol, blocks[0].bucket, last.bucket)


class Fresh:
    """What a block must have added to a bucket: every row that the hash names and whose labels are known, as it is.

    Args:
        symbol_pass: Whose.
        passed: The block.
        target: Of its rows, (n, horizons).
        models: From `open_unseen`.
    """

    def __init__(
        self, symbol_pass: SymbolPass, passed: Passed, target: NDArray[np.float32], models: list[Model]
    ) -> None:
        self._models = models
        self._pass, work, rows = symbol_pass, symbol_pass.work, passed.rows
        self._witness = Witness(symbol_pass.symbol, work.rules.grid.open_ms(passed.block.stop))
        usable = rows.ready & symbol_pass.is_known[passed.place]
        steps = rows.step[usable]
        self._days = work.rules.grid.days_of(steps)
        self._rows = Sample.of_one(
            rows.values[usable], target[usable], rows.weight[usable], hash_rows(symbol_pass.symbol, steps)
        )

    def check(self, before: tuple[dict[str, Sums], Sample | None], bucket: Bucket, used: int) -> None:
        """Compare what was added with it.

        Raises:
            LawError: Rows were chosen by something else, or changed on their way.
        """
        compare(self._witness, [("choice of rows", np.array([used]), np.array([self._rows.rows]))])
        sums, sample = before
        for model in self._models:
            if model.learns_from == "sums" and self._rows.rows:
                self._check_sums(model, sums.get(model.name), bucket.sums[model.name])
        if bucket.sample is not None:
            self._check_sample(sample, bucket.sample)

    def _check_sums(self, model: Model, before: Sums | None, after: Sums) -> None:
        fresh, rows = self._rows, after.rows - (before.rows if before else 0)
        added = add_rows(
            None, model.design(fresh.values, self._pass.plan.names), fresh.target, model.weigh(fresh.weight), self._days
        )
        assert added is not None  # noqa: S101 - there are rows
        grown = after.xty - (before.xty if before else 0.0)
        close = np.isclose(grown, added.xty, rtol=CLOSE, atol=CLOSE * np.abs(after.xty).max())
        parts = [("rows", np.array([rows]), np.array([added.rows])), ("sums", grown[~close], added.xty[~close])]
        compare(self._witness, [(f"training {name} of model {model.name}", full, cut) for name, full, cut in parts])

    def _check_sample(self, before: Sample | None, after: Sample) -> None:
        fresh = self._rows
        held = np.concatenate([fresh.key] if before is None else [before.key, fresh.key])
        compare(self._witness, [("choice of rows", after.key, np.sort(held)[:SAMPLE_ROWS])])
        order, here = np.argsort(fresh.key), np.isin(after.key, fresh.key)
        at = order[np.searchsorted(fresh.key, after.key[here], sorter=order)]
        names = {"values": "sampled feature", "target": "sampled label", "weight": "sample weight"}
        compare(
            self._witness,
            [(text, getattr(after, name)[here], getattr(fresh, name)[at]) for name, text in names.items()],
        )


class BucketWriter:
    """Puts each bucket once it is whole.

    Args:
        work: Where to write.
        symbol: Whose.
        kept: The state of gather as of the span's first day; empty where the symbol begins later.
    """

    def __init__(self, work: Work, symbol: str, kept: Arrays) -> None:
        self._work, self._symbol = work, symbol
        self.first, self.last = str(kept["first"]) if kept else "", ""
        arrays = pick_arrays("bucket", kept)
        self._bucket = Bucket(str(arrays["bucket"]), symbol, work.rules.grid, arrays) if arrays else None

    def turn_to(self, block: Block) -> Bucket:
        """Return the bucket of a block; the one before it is whole then."""
        if self._bucket is None or self._bucket.name != block.bucket:
            self.finish()
            self._bucket = Bucket(block.bucket, self._symbol, self._work.rules.grid)
            self.first = self.first or block.bucket
        return self._bucket

    def finish(self) -> None:
        """Put the bucket in hand."""
        if self._bucket is not None:
            self.last = self._bucket.name
            self._work.lake.guard()
            put_arrays(
                self._work.lake.store,
                Paths.of(self._work.lake).bucket(self._bucket.name, self._symbol),
                self._bucket.to_arrays(),
            )
