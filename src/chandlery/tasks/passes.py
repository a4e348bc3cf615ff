"""The pass over a symbol's candles that the tasks gather and forecast share: features and labels, block by block."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from chandlery.errors import StateLostError
from chandlery.extensions import user_features
from chandlery.features.labels import label
from chandlery.features.market import MarketBlock, start_block
from chandlery.features.run import FeaturePlan, FeatureRows, FeatureState, plan_features, run_features, start_features
from chandlery.grid import CandleArrays, Ints, to_arrays
from chandlery.lake.store import Store
from chandlery.state.arrays import view_arrays
from chandlery.state.copies import open_copies
from chandlery.state.paths import Paths
from chandlery.tasks.marks import read_barriers
from chandlery.tasks.work import Arrays, Block, Work

__all__ = ["Choose", "Passed", "SymbolPass"]

Choose = Callable[[Block, NDArray[np.int64]], NDArray[np.bool_]]


@dataclass(frozen=True)
class Passed:
    """One block of the pass.

    Args:
        block: The block.
        place: The places of its rows among the symbol's candles, ascending, (n,).
        rows: Its rows, (n,).
        before: The state of the features at its start.
        after: The state of the features at its end.
        market: The market of its steps.
    """

    block: Block
    place: NDArray[np.int64]
    rows: FeatureRows
    before: FeatureState
    after: FeatureState
    market: MarketBlock


@dataclass
class SymbolPass:
    """One symbol's candles, features and labels over the span of the work.

    Args:
        work: The span and the lake.
        symbol: The symbol.
    """

    work: Work
    symbol: str

    @cached_property
    def plan(self) -> FeaturePlan:
        """The features of this symbol."""
        rules = self.work.rules
        return plan_features(self.symbol, rules.grid, rules.references, user_features(self.work.extensions))

    @cached_property
    def candles(self) -> CandleArrays:
        """Its candles, from one lead before the span on."""
        return to_arrays(self.work.read_candles(self.symbol), self.work.rules.grid)

    @cached_property
    def barriers(self) -> Ints:
        """Missing steps that no label crosses, start and stop, (k, 2)."""
        return read_barriers(self.work.lake, self.symbol)

    @cached_property
    def actual(self) -> NDArray[np.float64]:
        """The close at each horizon's target, (candles, horizons); NaN where unknown or beyond a gap."""
        horizons = self.work.rules.horizon_steps
        actual = np.empty((self.candles.step.size, len(horizons)))
        for place, horizon in enumerate(horizons):
            actual[:, place] = label(self.candles.step, self.candles.close, horizon, self.barriers)
        return actual

    @cached_property
    def is_known(self) -> NDArray[np.bool_]:
        """Which candles may train: those whose label at the reach is known, (candles,).

        Their labels at every horizon are then known too. A label is known where the symbol's newest candle closes at
        its target or later and no barrier lies before the target; a horizon is no longer than the reach, so its target
        comes no later, and no barrier lies before that one either.
        """
        rules = self.work.rules
        if rules.reach == rules.horizons[-1]:
            return ~np.isnan(self.actual[:, -1])
        actual = label(self.candles.step, self.candles.close, rules.reach_steps, self.barriers)
        is_known: NDArray[np.bool_] = ~np.isnan(actual)
        return is_known

    def blocks(self, choose: Choose, restored: Arrays | None) -> Iterator[Passed]:
        """Yield each block's rows and states, from the span's checkpoint or the symbol's first candle on.

        Args:
            choose: Returns which candles of a block get a row.
            restored: The state of the features at the span's first day; None if the symbol begins later.

        Raises:
            StateLostError: The market of a block is missing.
        """
        state = None if restored is None else FeatureState(**restored)
        if state is None and self.candles.step.size == 0:
            return
        copies = open_copies(self.work.lake)
        for block in self.work.blocks():
            if state is None and block.stop <= self.candles.step[0]:
                continue
            state = start_features(self.plan) if state is None else state
            before, candles = state, self.candles.cut(block.start, block.stop)
            market = read_market(self.work, copies, block)
            chosen = choose(block, candles.step)
            rows, state = run_features(self.plan, before, candles, market, chosen)
            place = np.flatnonzero(chosen) + np.searchsorted(self.candles.step, block.start)
            yield Passed(block, place, rows, before, state, market)
            has_ended = self.candles.step.size == 0 or block.stop > self.candles.step[-1]
            if has_ended and block.day >= max(self.work.span.saves, default=0):
                return  # no candles and no checkpoints follow


def read_market(work: Work, copies: Store | None, block: Block) -> MarketBlock:
    """Read the market of a block's steps, as the market task of this run wrote it.

    Raises:
        StateLostError: It is missing.
    """
    if not work.rules.references or block.start == block.stop:
        return start_block(0, block.start, block.stop)
    path = Paths.of(work.lake).market(block.start)
    arrays = view_arrays(work.lake.store, path, copies)
    if arrays is None:
        raise StateLostError(path, work.span.since - 1)
    return MarketBlock.from_arrays(arrays)
