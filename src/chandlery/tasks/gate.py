"""The leak gate's part of the work: a sample of the blocks, computed again from data cut inside them."""

import zlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from chandlery.errors import LawError
from chandlery.features import BUILT_IN, FeatureRows, compute_own, run_features
from chandlery.gaps import Activity, barriers, find_gaps
from chandlery.grid import CandleBlock, fill_dense
from chandlery.labels import label
from chandlery.leaks import Witness, compare
from chandlery.market import MarketBlock, MarketState, run_market
from chandlery.state import get_arrays
from chandlery.tasks.gaps import ACTIVITY
from chandlery.tasks.passes import Passed, SymbolPass, read_barriers
from chandlery.tasks.work import Block, Work

__all__ = ["MarketGate", "SymbolGate", "check_predictions", "choose_starts"]

MOST_PROBES = 3
CLOSE = 1e-5  # where sums may be made in another order


def choose_starts(work: Work, name: str, first: int, last: int) -> frozenset[int]:
    """Return the starts of some of the blocks that share a step with [first, last], by a hash."""
    starts = [block.start for block in work.blocks() if first < block.stop and block.start <= last]
    return frozenset(sorted(starts, key=lambda start: hash_of(name, start))[:MOST_PROBES])


def hash_of(name: str, start: int) -> int:
    """Return a number that follows from a name and a block alone."""
    return zlib.crc32(f"{name}{start}".encode())


def cut_block(block: CandleBlock, cut: int) -> CandleBlock:
    """Return a block without the candles of a step and later."""
    count = int(np.searchsorted(block.step, cut))
    return CandleBlock(block.start, block.stop, block.step[:count], block.prices[:, :count])


class MarketGate:
    """Computes a sample of the market again as it passes.

    Args:
        work: The span and the lake.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self._starts = choose_starts(work, "market", 0, work.blocks()[-1].stop)

    def look(self, block: Block, before: MarketState, candles: list[CandleBlock], market: MarketBlock) -> None:
        """Compare a block's market with what its candles up to a moment inside it give.

        Raises:
            LawError: A value differs; it names the culprit.
        """
        if block.start not in self._starts:
            return
        minutes = self._work.lake.interval_minutes
        cut = block.start + max(1, hash_of("market", block.start) % (block.stop - block.start))
        again, _ = run_market(before, [cut_block(piece, cut) for piece in candles], block.start, block.stop, minutes)
        known = slice(0, cut - block.start)
        names = ("log_close", "sigma", "signals", "index")
        parts = [(f"market {name}", getattr(market, name)[..., known], getattr(again, name)[..., known]) for name in names]
        compare(Witness("all", cut * minutes * 60_000), parts)


class SymbolGate:
    """Computes a sample of a symbol's rows and labels again as they pass.

    Args:
        symbol_pass: Whose.
    """

    def __init__(self, symbol_pass: SymbolPass) -> None:
        self._pass = symbol_pass
        steps = symbol_pass.candles.step
        self._starts = choose_starts(symbol_pass.work, symbol_pass.symbol, int(steps[0]), int(steps[-1])) if steps.size else frozenset()
        self._labels_seen = False

    def look(self, passed: Passed) -> None:
        """Compare a block's rows with what candles and market up to a moment inside it give.

        Raises:
            LawError: A value differs; it names the culprit.
        """
        rows, block = passed.rows, passed.block
        if block.start not in self._starts or rows.step.size == 0:
            return
        place = hash_of(self._pass.symbol, block.start) % rows.step.size
        cut = int(rows.step[max(place, rows.step.size // 2)]) + 1  # the last row known then is one of those compared
        candles = cut_block(self._pass.candles.cut(block.start, block.stop), cut)
        plan = self._pass.plan
        again, _ = run_features(plan, passed.before, candles, passed.market.forget(cut), np.isin(candles.step, rows.step))
        count = again.step.size
        columns = [(f"feature {name}", rows.values[:count, place], again.values[:, place]) for place, name in enumerate(plan.names)]
        names = (("close", "close"), ("sigma", "sigma"), ("sample weight", "weight"), ("readiness", "ready"))
        compare(self._witness(cut), [*((name, getattr(rows, field)[:count], getattr(again, field)) for name, field in names), *columns])
        self._look_at_lookback(passed, cut)
        if not self._labels_seen:
            self._labels_seen = True
            self._look_at_labels(cut)

    def _look_at_lookback(self, passed: Passed, cut: int) -> None:
        """Compare features of one's own with what the steps that they say they need give: an append has no more."""
        block, plan = passed.block, self._pass.plan
        if not plan.own:
            return
        candles = self._pass.candles.cut(block.start, cut)
        dense = fill_dense(passed.before.history, block.start, cut, candles.step, candles.prices)
        at = np.searchsorted(passed.rows.step, cut - 1)
        for place, own in enumerate(plan.own, start=len(BUILT_IN)):
            short = float(compute_own(own, dense[:, dense.shape[1] - own.lookback - 1 :])[-1])
            whole = float(passed.rows.values[at, place])
            if not np.isclose(np.float32(short), whole, rtol=CLOSE, atol=CLOSE, equal_nan=True):
                raise LawError(
                    f"feature {own.feature.name} of {self._pass.symbol} is {whole:g}, and {short:g} from the {own.lookback} steps before that its lookback names",
                    "the same value: an append sees no more",
                    "raise lookback to what the feature needs, or mend the feature",
                )

    def _witness(self, cut: int) -> Witness:
        return Witness(self._pass.symbol, cut * self._pass.work.lake.interval_minutes * 60_000)

    def _look_at_labels(self, cut: int) -> None:
        """Compare gaps and labels with and without the candles of a step and later."""
        work, minutes = self._pass.work, self._pass.work.lake.interval_minutes
        count = int(np.searchsorted(self._pass.candles.step, cut))
        steps, close = self._pass.candles.step[:count], self._pass.candles.close[:count]
        full = read_barriers(work, self._pass.symbol)
        arrays = get_arrays(work.lake.store, ACTIVITY)
        if not work.span.resumed and arrays is not None:
            activity = Activity.from_arrays(arrays)
            activity.traded[max(cut - activity.start, 0) :] = 0
            again = barriers(find_gaps(steps, minutes, activity), minutes)
            compare(self._witness(cut), [("gap kind", full[full[:, 1] <= steps[-1]], again[again[:, 1] <= steps[-1]])])
        for place, horizon in enumerate(work.lake.horizon_steps):
            labels = label(steps, close, horizon, full[full[:, 1] <= steps[-1]])
            known = steps + horizon < cut
            compare(self._witness(cut), [(f"label {work.lake.file.horizons[place]}m", self._pass.actual[:count, place][known], labels[known])])


def check_predictions(symbol_pass: SymbolPass, passed: Passed, predictions: NDArray[np.float32], predict: Callable[[FeatureRows], NDArray[np.float32]]) -> None:
    """Compare a block's predictions with what its rows up to a moment inside it give.

    Args:
        symbol_pass: Whose.
        passed: The block.
        predictions: Of all its rows, (n, fits).
        predict: Makes them from rows.

    Raises:
        LawError: A model saw later rows.
    """
    rows = passed.rows
    count = rows.step.size // 2 + hash_of(symbol_pass.symbol, passed.block.start) % max(rows.step.size // 2, 1)
    known = FeatureRows(*(getattr(rows, name)[:count] for name in ("step", "close", "sigma", "weight", "ready", "values")))
    again = predict(known)
    if np.allclose(predictions[:count], again, rtol=CLOSE, atol=CLOSE, equal_nan=True):
        return
    row, fit = np.argwhere(~np.isclose(predictions[:count], again, rtol=CLOSE, atol=CLOSE, equal_nan=True))[-1]
    minutes = symbol_pass.work.lake.interval_minutes
    model = symbol_pass.work.lake.file.models[fit // len(symbol_pass.work.lake.horizon_steps)]
    compare(Witness(symbol_pass.symbol, int(rows.step[row] + 1) * minutes * 60_000), [(f"model {model}", predictions[row : row + 1, fit], again[row : row + 1, fit])])
