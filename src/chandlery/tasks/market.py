"""The market's tasks: reference pairs to leaders and index, block by block, for as long as a run needs them."""

from chandlery.grid import to_arrays
from chandlery.market import MarketState, run_market, start_market
from chandlery.state import put_arrays
from chandlery.tasks.gate import MarketGate
from chandlery.tasks.passes import MARKET, market_path
from chandlery.tasks.work import Work

__all__ = ["build_market", "forget_market"]


def build_market(work: Work) -> int:
    """Write the market of every block of the span; return the number of blocks.

    Raises:
        LawError: A value knew the future; it names the culprit.
        LeaseHeldError: Another run has taken the lake.
    """
    lake, minutes = work.lake, work.lake.interval_minutes
    candles = [to_arrays(work.read_candles(symbol), minutes) for symbol in work.references]
    kept = work.restore("market")
    state = start_market(work.references, minutes) if kept is None else MarketState.from_arrays(kept)
    blocks, gate = work.blocks(), MarketGate(work)
    for block in blocks:
        pieces = [arrays.cut(block.start, block.stop) for arrays in candles]
        before = state
        market, state = run_market(before, pieces, block.start, block.stop, minutes)
        gate.look(block, before, pieces, market)
        if block.saves:
            work.save(block.stop, "market", state.to_arrays())
        lake.guard()
        put_arrays(lake.store, market_path(block), market.to_arrays())
    return len(blocks)


def forget_market(work: Work) -> None:
    """Take the market away: every run makes that of its own span."""
    for entry in work.lake.store.list(MARKET):
        work.lake.guard()
        work.lake.store.delete(entry.path)
