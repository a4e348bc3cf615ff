"""The leak gate's check of a symbol's rows: features, weights, the choice of rows, labels and kinds of gaps."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from chandlery.candles.gaps import barriers, find_gaps
from chandlery.errors import LawError, SettingsError
from chandlery.extensions import loaded_afresh, user_features
from chandlery.features.dense import fill_dense
from chandlery.features.feature import UserFeature
from chandlery.features.labels import normalise
from chandlery.features.registry import BUILT_IN
from chandlery.features.run import compute_user_feature, run_features
from chandlery.forecasts.leaks import Witness, are_close, check_equal, look_up_labels, moment
from chandlery.grid import Floats, Ints, Singles, Traded
from chandlery.tasks.gaps import read_activity
from chandlery.tasks.leak_gate.sampling import CUTS, cut_market, hash_of, pick_blocks, pick_rows
from chandlery.tasks.passes import Choose, Passed, SymbolPass

__all__ = ["RowGate"]

# Moments at which the data of a user-defined feature are cut: more than of built-in ones, because the author of the
# feature may not know about leaks. Each is computed from one lookback of history, which is cheap.
OWN_CUTS = 512
ROW_PARTS = {"close": "close", "sigma": "sigma", "weight": "sample weight", "ready": "readiness"}


class RowGate:
    """Computes a sample of a symbol's rows and labels again while a pass goes through its blocks.

    The blocks are some by a hash, the one over which the price moved most, and the last.

    Args:
        symbol_pass: The symbol's pass.
        purpose: The name of the task. Tasks check different blocks, so that a leak that begins late is found by one.
        choose: Which candles get a row.
        since: The first step of the blocks that may be checked.
    """

    def __init__(self, symbol_pass: SymbolPass, purpose: str, choose: Choose, since: int = 0) -> None:
        self._pass, self._choose = symbol_pass, choose
        self._lake, self._symbol = symbol_pass.work.lake, symbol_pass.symbol
        self.starts = self._choose_starts(purpose, since)
        self.checked: set[int] = set()  # of these, the blocks that went through `check`
        fresh = {}
        if symbol_pass.plan.own:
            with loaded_afresh():
                fresh = {own.feature.name: own for own in user_features(symbol_pass.work.extensions)}
        self._own = [fresh.get(own.feature.name, own) for own in symbol_pass.plan.own]

    def _choose_starts(self, purpose: str, since: int) -> frozenset[int]:
        step, close = self._pass.candles.step, self._pass.candles.close
        blocks = self._pass.work.blocks()
        edges = [
            (block.start, *np.searchsorted(step, [block.start, block.stop])) for block in blocks if block.start >= since
        ]
        moves = {start: abs(np.log(close[last - 1] / close[first])) for start, first, last in edges if first < last}
        if not moves:
            return frozenset()
        by_hash = pick_blocks(f"{purpose} {self._symbol}", moves)
        return frozenset([*by_hash, max(moves), max(moves, key=lambda start: moves[start])])

    def check(self, passed: Passed, target: NDArray[np.float32] | None = None) -> None:
        """Compare a block's rows and labels with those computed from data up to moments inside the block.

        Args:
            passed: The block.
            target: Training targets of its rows, (n, horizons); None in a pass that trains nothing.

        Raises:
            LawError: A value differs.
        """
        if passed.block.start not in self.starts:
            return
        self.checked.add(passed.block.start)
        if passed.rows.step.size == 0:
            return
        self._check_built_in(passed)
        if self._own:
            self._check_user_defined(passed)
        self._check_labels(passed, target)

    def _check_built_in(self, passed: Passed) -> None:
        """Compare the rows with rows computed piece by piece; each piece ends with the last candle that is known."""
        rows, block = passed.rows, passed.block
        plan = replace(self._pass.plan, own=())
        state = passed.before._replace(history=passed.before.history[:, -plan.lookback :])
        start, first = block.start, 0
        for end in pick_rows(hash_of(self._symbol, block.start), rows.close, CUTS).tolist():
            cut = int(rows.step[end]) + 1
            candles = self._pass.candles.cut(start, cut)
            chosen = self._choose(block, candles.step)
            again, state = run_features(plan, state, candles, cut_market(passed.market, start, cut), chosen)
            witness, piece = self._witness(cut), slice(first, end + 1)
            check_equal(witness, [("choice of rows", rows.step[piece], again.step)])
            parts = [(name, getattr(rows, field)[piece], getattr(again, field)) for field, name in ROW_PARTS.items()]
            check_equal(witness, parts)
            full = rows.values[piece, : len(BUILT_IN)]
            if not np.array_equal(full, again.values, equal_nan=True):
                names = enumerate(plan.names)
                check_equal(witness, [(f"feature {name}", full[:, k], again.values[:, k]) for k, name in names])
            start, first = cut, end + 1

    def _check_user_defined(self, passed: Passed) -> None:
        """Compare user-defined features, from a fresh import, with their values where a candle is the last known one.

        The whole block is computed once up to the last sampled row, and single rows from one lookback of history: an
        append has no more.
        """
        rows, block, lookback = passed.rows, passed.block, self._pass.plan.lookback
        dense = self._fill(passed, block.stop)
        for place, own in enumerate(self._own, start=len(BUILT_IN)):
            name, whole = f"feature {own.feature.name}", rows.values[:, place]
            count = max(1, min(OWN_CUTS, dense.shape[1] // (own.lookback + 1)))
            at = pick_rows(hash_of(self._symbol + name, block.start), rows.close, count)
            steps = rows.step[at] - block.start + lookback
            asked = (steps[:, None] + np.arange(-own.lookback, 1)).ravel()
            short = self._compute_short(own, dense[:, asked])[own.lookback :: own.lookback + 1]
            self._check_single_rows(passed, own, at[~are_close(whole[at], short)], dense)
            cut = int(rows.step[at[-1]]) + 1
            known = slice(0, int(at[-1]) + 1)
            again = compute_user_feature(own, self._fill(passed, cut))
            again = again[rows.step[known] - block.start + lookback].astype(np.float32)
            differs = ~are_close(whole[known], again)
            check_equal(self._witness(cut), [(name, whole[known][differs], again[differs])])

    def _check_single_rows(self, passed: Passed, own: UserFeature, differs: Ints, dense: Floats) -> None:
        """Find why a feature differs in single rows: it looks ahead, or further back than its lookback, or neither.

        Raises:
            LawError: The feature looks ahead, or further back than its lookback.
        """
        rows, short = passed.rows, ""
        place = self._pass.plan.names.index(own.feature.name)
        for row in differs.tolist():
            step = int(rows.step[row])
            whole, last = rows.values[row : row + 1, place], step - passed.block.start + self._pass.plan.lookback
            alone = self._compute_short(own, dense[:, last - own.lookback : last + 1])[-1:]
            if are_close(whole, alone)[0]:
                continue
            known = compute_user_feature(own, self._fill(passed, step + 1))[last : last + 1].astype(np.float32)
            if not are_close(whole, known)[0]:
                check_equal(self._witness(step + 1), [(f"feature {own.feature.name}", whole, known)])
            if not short:
                short = f"{whole[0]:g}, and {alone[0]:g} from the {own.lookback} steps before that its lookback names"
        if short:
            raise LawError(
                f"feature {own.feature.name} of {self._symbol} is {short}",
                "the same value: an append has no more history",
                "raise lookback to what the feature needs, or correct the feature",
            )

    def _compute_short(self, own: UserFeature, dense: Floats) -> Singles:
        """Return a feature at steps for which it gets one lookback of history and no more."""
        try:
            return compute_user_feature(own, dense).astype(np.float32)
        except SettingsError as error:
            few = f"{dense.shape[1]} steps, enough for a lookback of {own.lookback}"
            raise LawError(
                f"feature {own.feature.name} of {self._symbol} returns no value on {few}: {error.found}",
                "a value for every step",
                "raise lookback to what the feature needs, or correct the feature",
            ) from error

    def _fill(self, passed: Passed, cut: int) -> Floats:
        """Return the dense candles of a block; from step `cut` on, nothing trades."""
        block = passed.block
        candles = self._pass.candles.cut(block.start, cut)
        dense: Floats = fill_dense(passed.before.history, block.start, block.stop, candles.step, candles.prices)
        return dense

    def _witness(self, cut: int) -> Witness:
        return Witness(self._symbol, self._pass.work.rules.grid.open_ms(cut))

    def _check_labels(self, passed: Passed, target: NDArray[np.float32] | None) -> None:
        """Compare labels, training targets and the choice of training rows with labels looked up one by one."""
        rows, candles, rules = passed.rows, self._pass.candles, self._pass.work.rules
        for place, horizon in enumerate(rules.horizon_steps):
            expected = look_up_labels(candles.step, candles.close, passed.place, horizon, self._pass.barriers)
            self._check_label(passed, place, self._pass.actual[passed.place, place], expected)
            if target is not None:
                normalised = normalise(expected, rows.close, rows.sigma, horizon).astype(np.float32)
                self._check_label(passed, place, target[:, place], normalised)
        if target is not None:
            labels = look_up_labels(candles.step, candles.close, passed.place, rules.reach_steps, self._pass.barriers)
            parts = [("choice of training rows", self._pass.is_known[passed.place], np.isfinite(labels))]
            check_equal(self._witness(passed.block.stop), parts)

    def _check_label(
        self, passed: Passed, horizon: int, found: NDArray[np.floating], wanted: NDArray[np.floating]
    ) -> None:
        if np.array_equal(found, wanted, equal_nan=True):
            return
        row = int(np.flatnonzero((found != wanted) & ~(np.isnan(found) & np.isnan(wanted)))[-1])
        issued = moment(self._witness(int(passed.rows.step[row]) + 1).cut_ms)
        minutes = self._pass.work.rules.horizons[horizon]
        raise LawError(
            f"label {minutes}m of {self._symbol} issued at {issued} is {found[row]}",
            f"{wanted[row]}: the last close at the target time, where the target is past and no gap lies before it",
            "look for code that shifts labels, or builds them across gaps; no forecasts were published",
        )

    def check_gaps(self) -> None:
        """Compare the gaps with those found when the candle that ends one of them is the newest of all.

        Raises:
            LawError: A kind differs.
        """
        full, step = self._pass.barriers, self._pass.candles.step
        measured = read_activity(self._lake)
        if measured is None or full.size == 0:
            return
        cut = int(full[hash_of(self._symbol, 0) % full.shape[0], 1]) + 1
        known, grid = step[: np.searchsorted(step, cut)], self._lake.grid
        activity = replace(measured, traded=measured.traded.copy())
        activity.traded[max(cut - activity.start, 0) :] = 0
        # Read-only like the array that was read: Numba compiles a kernel again for a writable one.
        activity.traded.setflags(write=False)
        again = barriers(find_gaps(Traded.of(known), grid, activity), grid)
        check_equal(self._witness(cut), [("gap kind", full[full[:, 1] < cut], again)])
