"""The gather task: a symbol's candles to Gram sums and a sample of rows, bucket by bucket.

A bucket is put once, when it is complete; an incomplete one is stored with the checkpoint that cuts it. Nothing is
deleted here, so that a second copy of the task does no harm.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from chandlery.extensions import open_models
from chandlery.features.labels import normalise
from chandlery.grid import Grid
from chandlery.state.arrays import Arrays, name_arrays, pick_arrays, put_arrays
from chandlery.state.paths import Paths
from chandlery.tasks.bucket import Bucket, hash_rows
from chandlery.tasks.leak_gate.report import GateReport
from chandlery.tasks.leak_gate.rows import RowGate
from chandlery.tasks.leak_gate.training import BucketBefore, TrainingGate
from chandlery.tasks.passes import Passed, SymbolPass
from chandlery.tasks.work import Block, SymbolTask, Work

__all__ = ["Gathered", "gather_symbol", "is_gathered", "recall_gathered", "targets_of"]

# Rows of neighbouring minutes are nearly the same, so a quarter of them train. `docs/how_it_works.md` has the skill
# with all of them.
ROWS_PER_MINUTE = 0.25


@dataclass(frozen=True)
class Gathered:
    """The buckets of a symbol: one for every month from the first to the last.

    Args:
        symbol: The symbol.
        first: Name of its first bucket; empty if it has none.
        last: Name of its last bucket; empty if it has none.
        gate: The report of the leak gate; None if an earlier run has gathered the rows, whose gate has checked them.
    """

    symbol: str
    first: str
    last: str
    gate: GateReport | None = field(default=None, compare=False)


def trains(symbol: str, steps: NDArray[np.int64], grid: Grid) -> NDArray[np.bool_]:
    """Return which candles are trained on: a share of them by their hash; all, from intervals of 4 minutes on."""
    share = min(1.0, ROWS_PER_MINUTE * grid.minutes)
    highest = np.iinfo(np.uint64).max
    limit = np.uint64(share * 2**53) * np.uint64(2**11) if share < 1.0 else highest
    return hash_rows(symbol, steps) <= limit


def targets_of(symbol_pass: SymbolPass, passed: Passed) -> NDArray[np.float32]:
    """Return the normalised targets of a block's rows, (rows, horizons); NaN where a label is not known."""
    actual, rows = symbol_pass.actual[passed.place], passed.rows
    horizons = symbol_pass.work.rules.horizon_steps
    columns = [normalise(actual[:, k], rows.close, rows.sigma, steps) for k, steps in enumerate(horizons)]
    return np.column_stack(columns).astype(np.float32)


def gather_symbol(task: SymbolTask) -> Gathered:
    """Write a symbol's buckets from the span's first day on, and its states at the checkpoints.

    Raises:
        LawError: A value was computed from later data.
        LeaseHeldError: Another run has taken the lake.
        StateLostError: The checkpoint at the span's first day, or the market of a block, is missing or damaged.
    """
    work, symbol = task.work, task.symbol
    symbol_pass, models = SymbolPass(work, symbol), open_models(work.rules.models, work.extensions)

    def choose(_: Block, steps: NDArray[np.int64]) -> NDArray[np.bool_]:
        return trains(symbol, steps, work.rules.grid)

    restored: Arrays = work.lake.store.together(
        lambda: work.restore("gather", symbol) if task.is_resumed else {},
        lambda: symbol_pass.candles,
        lambda: symbol_pass.barriers,
    )[0]
    writer, row_gate = BucketWriter(work, symbol, restored), RowGate(symbol_pass, "gather", choose)
    training_gate = TrainingGate(symbol_pass, row_gate.starts)
    if not work.span.resumed:
        row_gate.check_gaps()  # in this task alone: the forecast task uses the same gaps
    for passed in symbol_pass.blocks(choose, pick_arrays("features", restored) or None):
        bucket, block = writer.turn_to(passed.block), passed.block
        target = targets_of(symbol_pass, passed)
        row_gate.check(passed, target)
        before = BucketBefore.of(bucket)
        added = bucket.add(models, symbol_pass.plan.names, passed.rows, target, symbol_pass.is_known[passed.place])
        training_gate.check(passed, target, before, bucket, added)
        if block.saves:
            state = name_arrays("features", passed.after._asdict()) | name_arrays("bucket", bucket.to_arrays())
            work.save(block.day, "gather", symbol, state | {"first": np.array(writer.first)})
    writer.finish()
    gate = GateReport.of(symbol, row_gate.starts, row_gate.checked, training_gate.checked)
    return Gathered(symbol, writer.first, writer.last, gate)


def is_gathered(work: Work) -> bool:
    """Return whether an earlier run has gathered all rows that the added models learn from, for other models."""
    if work.added is None or work.added.horizons != work.rules.horizons:
        return False
    models = open_models(work.rules.models, work.extensions)
    learned_from = {model.learns_from for model in models if model.name not in work.added.models}
    added = [model for model in models if model.name in work.added.models]
    return "sample" in learned_from and all(model.learns_from == "sample" for model in added)


def recall_gathered(work: Work, symbol: str, first_day: int, newest_ms: int) -> Gathered:
    """Return what `gather_symbol` would return for a symbol whose buckets were all gathered by an earlier run.

    Args:
        work: What is computed.
        symbol: The symbol.
        first_day: The UTC day on which its first candle closes, since 1970.
        newest_ms: When its newest candle closes.
    """
    blocks = [block for block in work.blocks() if block.day > first_day]
    after = work.rules.grid.steps_of(newest_ms)  # the step after the newest candle
    newest_save = max(work.span.saves, default=0)
    last = next((block for block in blocks if block.stop >= after and block.day >= newest_save), blocks[-1])
    return Gathered(symbol, blocks[0].bucket, last.bucket)


class BucketWriter:
    """Puts each bucket of a symbol once it is complete.

    Args:
        work: Where to write.
        symbol: The symbol.
        restored: Its checkpoint at the span's first day; empty if the symbol begins later.
    """

    def __init__(self, work: Work, symbol: str, restored: Arrays) -> None:
        self._work, self._symbol = work, symbol
        self.first, self.last = str(restored["first"]) if restored else "", ""
        arrays = pick_arrays("bucket", restored)
        self._bucket = Bucket(str(arrays["bucket"]), symbol, work.rules.grid, arrays) if arrays else None

    def turn_to(self, block: Block) -> Bucket:
        """Return the bucket of a block, and put the one before it."""
        if self._bucket is None or self._bucket.name != block.bucket:
            self.finish()
            self._bucket = Bucket(block.bucket, self._symbol, self._work.rules.grid)
            self.first = self.first or block.bucket
        return self._bucket

    def finish(self) -> None:
        """Put the current bucket, if there is one."""
        if self._bucket is None:
            return
        self.last = self._bucket.name
        path = Paths.of(self._work.lake).bucket(self._bucket.name, self._symbol)
        self._work.lake.guard()
        put_arrays(self._work.lake.store, path, self._bucket.to_arrays())
