"""The leak gate's check of the market: what a block gives must not change when later candles are unknown."""

import numpy as np

from chandlery.features.market import MarketBlock, MarketState, run_market
from chandlery.forecasts.leaks import Witness, check_equal
from chandlery.grid import CandleBlock
from chandlery.tasks.leak_gate.sampling import CUTS, cut_candles, cut_market, hash_of, pick_blocks
from chandlery.tasks.work import Block, Work

__all__ = ["MarketGate"]


class MarketGate:
    """Computes the market of a sample of blocks again.

    Args:
        work: The span and the lake.
    """

    def __init__(self, work: Work) -> None:
        self._grid = work.rules.grid
        starts = [block.start for block in work.blocks() if block.start < block.stop]
        self._starts = {*pick_blocks("market", starts), *starts[-1:]}

    def check(self, block: Block, before: MarketState, candles: list[CandleBlock], market: MarketBlock) -> None:
        """Compare a block's market with the market computed piece by piece, each piece from its own candles alone.

        Args:
            block: The block.
            before: The state at its start.
            candles: Of each reference pair.
            market: Computed from all of the block's candles.

        Raises:
            LawError: A value differs.
        """
        if block.start not in self._starts or block.start == block.stop:
            return
        state, start = before, block.start
        random = np.random.default_rng(hash_of("market", block.start))
        for cut in np.unique(random.integers(block.start + 1, block.stop, CUTS, endpoint=True)).tolist():
            pieces = [cut_candles(piece, start, cut) for piece in candles]
            again, state = run_market(state, pieces, start, cut, self._grid)
            full = cut_market(market, start, cut)
            parts = [
                (f"market {name}", getattr(full, name), getattr(again, name))
                for name in ("log_close", "sigma", "signals", "index")
            ]
            check_equal(Witness("all", self._grid.open_ms(cut)), parts)
            start = cut
