"""Compiles the kernels of forecasts side by side, before a first run would compile one after the other.

Each function here computes a few made-up values in the way of the tasks: a kernel is compiled for the types that it is
called with.
"""

from collections.abc import Callable

import numpy as np

from chandlery.elementwise import exp_each
from chandlery.features.kernel import fill_rows
from chandlery.features.labels import label
from chandlery.features.market import run_market, start_block, start_market
from chandlery.features.run import plan_features, run_features, start_features
from chandlery.forecasts.blend import ServedRows, serve, start_served
from chandlery.forecasts.scores import ScoreRows, start_sums, sum_scores
from chandlery.grid import CandleBlock, Grid
from chandlery.machine.jit import is_stored
from chandlery.models.base import add_lower, unpack_lower
from chandlery.models.forest import Forest
from chandlery.models.linear import Linear

__all__ = ["KERNELS", "are_compiled", "compile_kernels"]

GRID = Grid(60)
SYMBOL = "A"
STEPS = 2


def _compile_rows() -> None:
    plan = plan_features(SYMBOL, GRID, [SYMBOL])
    candles = CandleBlock(0, STEPS, np.arange(STEPS), np.ones((5, STEPS + 1))[:, :STEPS])  # cut from longer ones
    rows, _ = run_features(plan, start_features(plan), candles, start_block(1, 0, STEPS))
    model = Linear()
    design = model.design(rows.values, plan.names)
    model.predict({"coefficients": [0.0] * design.shape[1]}, design)


def _compile_market() -> None:
    candles = CandleBlock(0, STEPS, np.arange(STEPS), np.ones((5, STEPS)))
    run_market(start_market((SYMBOL,), GRID), [candles], 0, STEPS, GRID)
    label(np.arange(STEPS), np.ones(STEPS), 1, np.empty((0, 2), np.int64))
    lower = np.zeros(1)
    add_lower(lower, np.zeros((1, 1), np.float32))
    unpack_lower(lower, 1)


def _compile_served() -> None:
    moments, known = np.arange(STEPS), np.zeros(STEPS)
    rows = ServedRows(moments, moments + 1, np.zeros((STEPS, 1), np.float32), known, known + 1.0, 1)
    served, _ = serve(start_served(1), rows)
    exp_each(served.served)
    exp_each(known)


def _compile_scores() -> None:
    moments, prices = np.arange(STEPS), np.ones(STEPS)
    rows = ScoreRows(moments, prices, prices, np.zeros((STEPS, 2)), np.zeros((STEPS, 2)))
    sum_scores(start_sums(1), rows, 1)


def _compile_trees(word: type[np.unsignedinteger]) -> None:
    none = np.empty(0, np.int64)
    trees = Forest(np.zeros(1, np.int64), none.astype(np.float32), none, none.astype(word), none.astype(np.bool_),
                   np.zeros(1), np.zeros(1, np.int64))  # fmt: skip
    trees.predict(np.zeros((1, 1), np.float32))


# What is compiled in one piece, and roughly for how many seconds.
KERNELS: dict[str, tuple[Callable[[], None], float]] = {
    "features": (_compile_rows, 4.0),
    "market": (_compile_market, 1.5),
    "served": (_compile_served, 2.0),
    "scores": (_compile_scores, 1.0),
    "short trees": (lambda: _compile_trees(np.uint32), 1.0),
    "long trees": (lambda: _compile_trees(np.uint64), 1.0),
}


def are_compiled() -> bool:
    """Return whether an earlier process has compiled kernels of forecasts."""
    return is_stored(fill_rows)


def compile_kernels(name: str) -> str:
    """Compile some kernels, and store them for other processes.

    Args:
        name: Which, from `KERNELS`.

    Returns:
        The name.
    """
    KERNELS[name][0]()
    return name
