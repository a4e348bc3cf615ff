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

__all__ = ["Probe", "check_market", "check_symbol"]

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


def check_market(work: Work) -> int:
    """Compute a sample of the market again from data cut at their time; return the number of steps.

    Raises:
        LawError: A value differs; it names the culprit.
    """
    steps = 0
    minutes = work.lake.interval_minutes
    for block in choose_blocks(work, "market", 0, work.blocks()[-1].stop):
        probe = Probe(block, block.start + max(1, int(hash_of("market", block) % (block.stop - block.start))))
        kept = state_of(work, block, "market")
        state = MarketState.from_arrays(kept) if kept else start_market(work.references, minutes)
        references = [cut_block(piece, probe.cut) for piece in read_references(work, block)]
        market_cut, _ = run_market(state, references, block.start, block.stop, minutes)
        market = MarketReader(work).read(block)
        known = slice(0, probe.cut - block.start)
        names = ("log_close", "sigma", "signals", "index")
        parts = [(f"market {name}", getattr(market, name)[..., known], getattr(market_cut, name)[..., known]) for name in names]
        compare(Witness("all", probe.cut * minutes * 60_000), parts)
        steps += probe.cut - block.start
    return steps


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


def hash_of(name: str, block: Block) -> int:
    """Return a number that follows from a name and a block alone."""
    return zlib.crc32(f"{name}{block.start}".encode())


def choose_blocks(work: Work, name: str, first: int, last: int) -> list[Block]:
    """Return some of the blocks that begin where states are known and share a step with [first, last], by a hash."""
    starts = {work.steps(day) for day in (work.span.since, *work.span.saves)}
    blocks = [block for block in work.blocks() if block.start in starts and first < block.stop and block.start <= last]
    return sorted(blocks, key=lambda block: hash_of(name, block))[:MOST_PROBES]


def choose(symbol_pass: SymbolPass) -> list[Probe]:
    """Return blocks of a symbol, and a cut in the later half of each."""
    steps = symbol_pass.candles.step
    probes = []
    for block in choose_blocks(symbol_pass.work, symbol_pass.symbol, int(steps[0]), int(steps[-1])):
        first, last = np.searchsorted(steps, [block.start, block.stop])
        inside = steps[first:last]
        if inside.size:
            place = hash_of(symbol_pass.symbol, block) % inside.size
            probes.append(Probe(block, int(inside[max(place, inside.size // 2)]) + 1))
    return probes


def state_of(work: Work, block: Block, name: str) -> Arrays | None:
    """Return a state as of a block's start; None where nothing had begun."""
    return get_arrays(work.lake.store, work.checkpoint(block.start * work.lake.interval_minutes // 1440, name))


def check_block(symbol_pass: SymbolPass, probe: Probe) -> int:
    """Compare the features of a block with and without the data after the cut."""
    work, block, plan = symbol_pass.work, probe.block, symbol_pass.plan
    market = MarketReader(work).read(block)
    held = state_of(work, block, f"features-{symbol_pass.symbol}")
    state = FeatureState.from_arrays(held) if held else start_features(plan)
    candles = symbol_pass.candles.cut(block.start, block.stop)
    rows, _ = run_features(plan, state, candles, market)
    rows_cut, _ = run_features(plan, state, cut_block(candles, probe.cut), market.forget(probe.cut))
    count = rows_cut.step.size
    columns = [(f"feature {name}", rows.values[:count, place], rows_cut.values[:, place]) for place, name in enumerate(plan.names)]
    others = [(name, getattr(rows, field)[:count], getattr(rows_cut, field)) for name, field in (("close", "close"), ("sigma", "sigma"), ("sample weight", "weight"), ("readiness", "ready"))]
    compare(Witness(symbol_pass.symbol, probe.cut * work.lake.interval_minutes * 60_000), [*others, *columns])
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
