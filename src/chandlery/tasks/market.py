"""The market's task: reference pairs to leaders and index, month by month."""

from chandlery.grid import to_arrays
from chandlery.market import MarketBlock, MarketState, run_market, start_market
from chandlery.state import get_arrays, put_arrays
from chandlery.tasks.gate import MarketGate
from chandlery.tasks.passes import market_path
from chandlery.tasks.work import Block, Work

__all__ = ["build_market"]


def build_market(work: Work) -> int:
    """Write the market of every month of the span; return the number of months.

    Raises:
        LawError: A value knew the future; it names the culprit.
        LeaseHeldError: Another run has taken the lake.
    """
    lake, minutes = work.lake, work.lake.interval_minutes
    candles = [to_arrays(work.read_candles(symbol), minutes) for symbol in work.references]
    kept = work.restore("market")
    state = start_market(work.references, minutes) if kept is None else MarketState.from_arrays(kept)
    blocks, gate = work.blocks(), MarketGate(work)
    parts = before_span(work, blocks[0])
    months = 0
    for block, following in zip(blocks, [*blocks[1:], None], strict=True):
        pieces = [arrays.cut(block.start, block.stop) for arrays in candles]
        before = state
        part, state = run_market(before, pieces, block.start, block.stop, minutes)
        gate.look(block, before, pieces, part)
        parts.append(part)
        if block.saves:
            work.save(block.stop, "market", state.to_arrays())
        if following is None or following.month != block.month:
            lake.guard()
            put_arrays(lake.store, market_path(block.month), MarketBlock.join(parts).to_arrays())
            parts, months = [], months + 1
    return months


def before_span(work: Work, block: Block) -> list[MarketBlock]:
    """Return the part of a block's month that lies before the span and stays as it is."""
    arrays = get_arrays(work.lake.store, market_path(block.month)) if work.span.resumed else None
    if arrays is None:
        return []
    held = MarketBlock.from_arrays(arrays)
    return [held.cut(held.start, block.start)] if held.start < block.start else []

