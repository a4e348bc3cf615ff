"""The leak gate's part of the work: a sample of the blocks, computed again from data cut inside them."""

import zlib

import numpy as np

from chandlery.features import run_features
from chandlery.gaps import Activity, barriers, find_gaps
from chandlery.grid import CandleBlock
from chandlery.labels import label
from chandlery.leaks import Witness, compare
from chandlery.market import MarketBlock, MarketState, run_market
from chandlery.state import get_arrays
from chandlery.tasks.gaps import ACTIVITY
from chandlery.tasks.passes import Passed, SymbolPass, read_barriers
from chandlery.tasks.work import Block, Work

__all__ = ["MarketGate", "SymbolGate"]

MOST_PROBES = 3


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
        if not self._labels_seen:
            self._labels_seen = True
            self._look_at_labels(cut)

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
