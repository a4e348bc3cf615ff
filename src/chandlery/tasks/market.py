"""The market's task: reference pairs to leaders and index, month by month."""

from chandlery.grid import to_block
from chandlery.market import MarketBlock, MarketState, run_market, start_market
from chandlery.state import get_arrays, put_arrays
from chandlery.tasks.passes import market_path
from chandlery.tasks.work import Work

__all__ = ["build_market"]


def build_market(work: Work) -> int:
    """Write the market of every month of the span; return the number of months.

    Raises:
        LeaseHeldError: Another run has taken the lake.
    """
    lake = work.lake
    candles = {symbol: work.read_candles(symbol) for symbol in work.references}
    kept = work.restore("market")
    state = start_market(work.references, lake.interval_minutes) if kept is None else MarketState.from_arrays(kept)
    parts: list[MarketBlock] = []
    blocks = work.blocks()
    if work.span.resumed and (before := get_arrays(lake.store, market_path(blocks[0].month))) is not None:
        held = MarketBlock.from_arrays(before)
        parts = [held.cut(held.start, blocks[0].start)] if held.start < blocks[0].start else []
    months = 0
    for block, following in zip(blocks, [*blocks[1:], None], strict=True):
        pieces = {symbol: to_block(frame, lake.interval_minutes, block.start, block.stop) for symbol, frame in candles.items()}
        part, state = run_market(state, pieces, block.start, block.stop)
        parts.append(part)
        if block.saves:
            work.save(block.stop, "market", state.to_arrays())
        if following is None or following.month != block.month:
            lake.guard()
            put_arrays(lake.store, market_path(block.month), MarketBlock.join(parts).to_arrays())
            parts, months = [], months + 1
    return months
