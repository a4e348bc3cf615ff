"""The one pass over a symbol's candles that gather and forecast share."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from chandlery.features import FeaturePlan, FeatureRows, FeatureState, plan_features, run_features, start_features
from chandlery.grid import CandleArrays, to_arrays
from chandlery.labels import label
from chandlery.market import MarketBlock, start_block
from chandlery.state import get_arrays, view_arrays
from chandlery.storage import Store
from chandlery.tasks.nearby import open_copies
from chandlery.tasks.work import Block, Work

__all__ = ["MARKET", "Choose", "Passed", "SymbolPass", "market_path", "read_barriers"]

MARKET = "state/market/"
Choose = Callable[[Block, NDArray[np.int64]], NDArray[np.bool_]]


def market_path(block: Block) -> str:
    """Return where the market of a block's steps stands, while a run needs it."""
    return f"{MARKET}{block.start}.state"


def read_barriers(work: Work, symbol: str) -> NDArray[np.int64]:
    """Return the steps that no label of a symbol crosses, start and stop, (k, 2)."""
    arrays = get_arrays(work.lake.store, f"state/gaps/{symbol}.state")
    return np.empty((0, 2), np.int64) if arrays is None else arrays["barriers"]


@dataclass(frozen=True)
class Passed:
    """One block that the pass went through.

    Args:
        block: Which.
        place: Where its rows stand among the symbol's candles, ascending, (n,).
        rows: Its rows, (n,).
        before: The state at its start.
        after: The state at its end.
        market: The market that it saw.
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
        symbol: Whose candles.
    """

    work: Work
    symbol: str

    @cached_property
    def plan(self) -> FeaturePlan:
        """What features there are, for this symbol."""
        work = self.work
        return plan_features(self.symbol, work.lake.interval_minutes, work.references, work.extensions)

    @cached_property
    def candles(self) -> CandleArrays:
        """Its candles, from one lead before the span."""
        return to_arrays(self.work.read_candles(self.symbol), self.work.lake.interval_minutes)

    @cached_property
    def actual(self) -> NDArray[np.float64]:
        """The close at each horizon's target, (candles, horizons); NaN where unknown or across a gap."""
        barriers = read_barriers(self.work, self.symbol)
        horizons = self.work.lake.horizon_steps
        actual = np.empty((self.candles.step.size, len(horizons)))
        for place, horizon in enumerate(horizons):
            actual[:, place] = label(self.candles.step, self.candles.close, horizon, barriers)
        return actual

    def blocks(self, choose: Choose) -> Iterator[Passed]:
        """Yield each block's rows and its states, from the span's checkpoint or the first candle on.

        Args:
            choose: Says of the steps of a block's candles which get a row.
        """
        arrays = self.work.restore(f"features-{self.symbol}")
        state = None if arrays is None else FeatureState.from_arrays(arrays)
        if state is None and self.candles.step.size == 0:
            return
        copies = open_copies(self.work.lake)
        for block in self.work.blocks():
            if state is None and block.stop <= self.candles.step[0]:
                continue
            state = start_features(self.plan) if state is None else state
            candles, seen, before = self.candles.cut(block.start, block.stop), read_market(self.work, copies, block), state
            chosen = choose(block, candles.step)
            rows, state = run_features(self.plan, before, candles, seen, chosen)
            place = np.flatnonzero(chosen) + np.searchsorted(self.candles.step, block.start)
            yield Passed(block, place, rows, before, state, seen)
            if (self.candles.step.size == 0 or block.stop > self.candles.step[-1]) and not self._saves_follow(block):
                return

    def _saves_follow(self, block: Block) -> bool:
        return any(self.work.steps(day) > block.stop for day in self.work.span.saves)


def read_market(work: Work, copies: Store | None, block: Block) -> MarketBlock:
    """Return the market of a block's steps, as `build_market` wrote it in this run."""
    if not work.references:
        return start_block(0, block.start, block.stop)
    arrays = view_arrays(work.lake.store, market_path(block), copies)
    if arrays is None:
        raise FileNotFoundError(market_path(block))
    return MarketBlock.from_arrays(arrays)
