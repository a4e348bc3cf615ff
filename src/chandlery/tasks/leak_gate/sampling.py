"""Which blocks and rows the leak gate checks, the data of a block cut at a step, and models loaded afresh."""

import zlib
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from chandlery.extensions import loaded_afresh, open_models
from chandlery.features.market import MarketBlock
from chandlery.grid import CandleBlock, Floats, Ints
from chandlery.models import BUILT_IN, Model
from chandlery.tasks.work import Work

__all__ = ["CUTS", "cut_candles", "cut_market", "hash_of", "open_unseen", "pick_blocks", "pick_rows"]

# Each block that is checked is computed twice. Symbols and passes are hashed by different names, so that a run of many
# symbols checks many different blocks.
BLOCKS_BY_HASH = 2
CUTS = 24  # moments inside a block at which the data of built-in features and of the market are cut


def hash_of(name: str, start: int) -> int:
    """Return a number that depends on a name and the first step of a block alone."""
    return zlib.crc32(f"{name}{start}".encode())


def pick_blocks(name: str, starts: Iterable[int]) -> list[int]:
    """Return the first steps of the blocks that a hash chooses for a name, at most `BLOCKS_BY_HASH`."""
    return sorted(starts, key=lambda start: hash_of(name, start))[:BLOCKS_BY_HASH]


def pick_rows(seed: int, close: Floats, count: int) -> Ints:
    """Return the places of some rows, ascending.

    Half are drawn at random, half are just before the largest moves, where a feature that looks ahead gains most.

    Args:
        seed: Of the draw.
        close: The close of each row, (n,).
        count: How many to return at most.
    """
    if close.size <= count:
        return np.arange(close.size)
    half = max(count // 2, 1)
    moves = np.abs(np.diff(close)) / close[:-1]
    largest = np.argpartition(moves, -half)[-half:]
    return np.unique(np.concatenate([largest, np.random.default_rng(seed).choice(close.size, half, replace=False)]))


def cut_candles(block: CandleBlock, start: int, stop: int) -> CandleBlock:
    """Return the candles of steps [start, stop) of a block."""
    first, last = np.searchsorted(block.step, [start, stop])
    return CandleBlock(start, stop, block.step[first:last], block.prices[:, first:last])


def cut_market(market: MarketBlock, start: int, stop: int) -> MarketBlock:
    """Return the market of steps [start, stop) of a block."""
    part = slice(start - market.start, stop - market.start)
    names = ("log_close", "sigma", "signals", "index")
    return replace(market, start=start, **{name: getattr(market, name)[..., part] for name in names})


def open_unseen(work: Work) -> list[Model]:
    """Return the lake's models; user-defined ones from a fresh import, so that they remember no earlier call."""
    if set(work.rules.models) <= set(BUILT_IN):
        return open_models(work.rules.models, work.extensions)
    with loaded_afresh():
        return open_models(work.rules.models, work.extensions)
