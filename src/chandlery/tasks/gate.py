"""The leak gate's task: a sample of a symbol's blocks, computed again from data cut inside the block."""

import zlib
from dataclasses import dataclass

import numpy as np

from chandlery.features import FeatureState, run_features, start_features
from chandlery.gaps import Activity, barriers, find_gaps
from chandlery.grid import CandleBlock
from chandlery.labels import label
from chandlery.leaks import Witness, compare
from chandlery.market import MarketState, run_market, start_market
from chandlery.state import get_arrays
from chandlery.tasks.gaps import ACTIVITY
from chandlery.tasks.gather import SymbolTask
from chandlery.tasks.market import read_references
from chandlery.tasks.passes import MarketReader, SymbolPass, read_barriers
from chandlery.tasks.work import Arrays, Block, Work

__all__ = ["Probe", "check_symbol"]

MOST_PROBES = 3


@dataclass(frozen=True)
class Probe:
    """A block and the step at which data are cut.

    Args:
        block: Where the rows are.
        cut: Candles of this step and later are unknown.
    """

    block: Block
    cut: int


def check_symbol(task: SymbolTask) -> tuple[str, int]:
    """Compute a sample of rows again from data cut at their time; return the symbol and the number of rows.

    Raises:
        LawError: A value differs; it names the culprit.
    """
    symbol_pass = SymbolPass(task.work, task.symbol)
    if symbol_pass.candles.step.size == 0:
        return task.symbol, 0
    probes = choose(symbol_pass)
    rows = sum(check_block(symbol_pass, probe) for probe in probes)
    for probe in probes[:1]:
        check_labels(symbol_pass, probe.cut)
    return task.symbol, rows


def choose(symbol_pass: SymbolPass) -> list[Probe]:
    """Return blocks that begin where a state is known, and a cut in each, by a hash of symbol and time."""
    work = symbol_pass.work
    starts = {work.steps(day) for day in (work.span.since, *work.span.saves)}
    traded = symbol_pass.candles.step
    blocks = [block for block in work.blocks() if block.start in starts and traded[0] < block.stop and block.start <= traded[-1]]
    order = sorted(blocks, key=lambda block: zlib.crc32(f"{symbol_pass.symbol}{block.start}".encode()))
    probes = []
    for block in order[:MOST_PROBES]:
        first, last = np.searchsorted(traded, [block.start, block.stop])
        inside = traded[first:last]
        if inside.size:
            place = zlib.crc32(f"{block.start}{symbol_pass.symbol}".encode()) % inside.size
            probes.append(Probe(block, int(inside[max(place, inside.size // 2)]) + 1))
    return probes


def state_of(work: Work, block: Block, name: str) -> Arrays | None:
    """Return a state as of a block's start; None where nothing had begun."""
    return get_arrays(work.lake.store, work.checkpoint(block.start * work.lake.interval_minutes // 1440, name))


def check_block(symbol_pass: SymbolPass, probe: Probe) -> int:
    """Compare market and features of a block with and without the data after the cut."""
    work, block, plan = symbol_pass.work, probe.block, symbol_pass.plan
    kept = state_of(work, block, "market")
    market_state = MarketState.from_arrays(kept) if kept else start_market(work.references, work.lake.interval_minutes)
    references = [None if piece is None else cut_block(piece, probe.cut) for piece in read_references(work, block)]
    market_cut, _ = run_market(market_state, references, block.start, block.stop, work.lake.interval_minutes)
    market = MarketReader(work).read(block)
    known = slice(0, probe.cut - block.start)
    now = probe.cut * work.lake.interval_minutes * 60_000
    parts = [(f"market {name}", getattr(market, name)[..., known], getattr(market_cut, name)[..., known]) for name in ("log_close", "sigma", "signals", "index")]
    compare(Witness(symbol_pass.symbol, now), parts)
    held = state_of(work, block, f"features-{symbol_pass.symbol}")
    state = FeatureState.from_arrays(held) if held else start_features(plan)
    candles = symbol_pass.candles.cut(block.start, block.stop)
    rows, _ = run_features(plan, state, candles, market)
    rows_cut, _ = run_features(plan, state, cut_block(candles, probe.cut), market_cut)
    count = rows_cut.step.size
    columns = [(f"feature {name}", rows.values[:count, place], rows_cut.values[:, place]) for place, name in enumerate(plan.names)]
    others = [(name, getattr(rows, field)[:count], getattr(rows_cut, field)) for name, field in (("close", "close"), ("sigma", "sigma"), ("sample weight", "weight"), ("readiness", "ready"))]
    compare(Witness(symbol_pass.symbol, now), [*others, *columns])
    return count


def cut_block(block: CandleBlock, cut: int) -> CandleBlock:
    """Return a block without the candles of a step and later."""
    count = int(np.searchsorted(block.step, cut))
    return CandleBlock(block.start, block.stop, block.step[:count], block.prices[:, :count])


def check_labels(symbol_pass: SymbolPass, cut: int) -> None:
    """Compare gaps and labels with and without the candles of a step and later."""
    work, minutes = symbol_pass.work, symbol_pass.work.lake.interval_minutes
    count = int(np.searchsorted(symbol_pass.candles.step, cut))
    steps, close = symbol_pass.candles.step[:count], symbol_pass.candles.close[:count]
    full = read_barriers(work, symbol_pass.symbol)
    witness = Witness(symbol_pass.symbol, cut * minutes * 60_000)
    arrays = get_arrays(work.lake.store, ACTIVITY)
    if not work.span.resumed and arrays is not None:
        activity = Activity.from_arrays(arrays)
        activity.traded[max(cut - activity.start, 0) :] = 0
        again = barriers(find_gaps(steps, minutes, activity), minutes)
        compare(witness, [("gap kind", full[full[:, 1] <= steps[-1]], again[again[:, 1] <= steps[-1]])])
    for place, horizon in enumerate(work.lake.horizon_steps):
        labels = label(steps, close, horizon, full[full[:, 1] <= steps[-1]])
        known = steps + horizon < cut
        compare(witness, [(f"label {work.lake.file.horizons[place]}m", symbol_pass.actual[:count, place][known], labels[known])])
