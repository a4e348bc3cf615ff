"""The market task: the candles of the reference pairs to leaders and index, block by block.

The blocks are stored until the end of the run, for the tasks of all symbols.
"""

from collections.abc import Iterator
from itertools import groupby

from chandlery.features.market import MarketBlock, MarketState, run_market, start_market
from chandlery.grid import CandleBlock, to_arrays, year_of
from chandlery.state.arrays import put_arrays
from chandlery.state.paths import ALL, Paths
from chandlery.tasks.leak_gate.market import MarketGate
from chandlery.tasks.traded import read_traded
from chandlery.tasks.work import Block, Work

__all__ = ["build_market", "forget_market"]


def build_market(work: Work) -> int:
    """Write the market of every block of the span that has steps; return the number of blocks.

    Raises:
        LawError: A value was computed from later data.
        LeaseHeldError: Another run has taken the lake.
        StateLostError: The state of the span's first day is missing or damaged.
    """
    paths = Paths.of(work.lake)

    def put(built: tuple[Block, MarketBlock]) -> None:
        work.lake.guard()
        put_arrays(work.lake.store, paths.market(built[0].start), built[1].to_arrays())

    return sum(1 for _ in work.lake.store.ask_ahead(put, run_blocks(work)))


def run_blocks(work: Work) -> Iterator[tuple[Block, MarketBlock]]:
    """Yield the market of each block that has steps, after the leak gate, and store the states at the checkpoints.

    Where candles are longer than a day, a block may have no step: then it has a state and no market.
    """
    grid, gate = work.rules.grid, MarketGate(work)
    references, resumed = work.rules.references, work.span.resumed
    state = MarketState(**work.restore("market", ALL)) if resumed else start_market(references, grid)
    for block, candles in read_blocks(work, work.blocks()):
        before = state
        market, state = run_market(before, candles, block.start, block.stop, grid)
        gate.check(block, before, candles, market)
        if block.saves:
            work.save(block.day, "market", ALL, state._asdict())
        if block.start < block.stop:
            yield block, market


def read_blocks(work: Work, blocks: list[Block]) -> Iterator[tuple[Block, list[CandleBlock]]]:
    """Yield each block with the candles of the reference pairs; one year of them is in memory at a time."""
    grid = work.rules.grid
    for _, group in groupby(blocks, lambda block: year_of(grid.open_ms(block.start))):
        year = list(group)
        span = grid.open_ms(year[0].start), grid.open_ms(year[-1].stop)
        candles = [to_arrays(read_traded(work.lake, symbol, *span), grid) for symbol in work.rules.references]
        yield from ((block, [arrays.cut(block.start, block.stop) for arrays in candles]) for block in year)


def forget_market(work: Work) -> None:
    """Delete the market: every run computes that of its own span."""
    work.lake.guard()
    work.lake.store.delete_all(entry.path for entry in work.lake.store.list(Paths.of(work.lake).markets))
