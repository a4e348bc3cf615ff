"""The leak gate's check of predictions: which fit made them, and whether they depend on later rows."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from chandlery.errors import LawError
from chandlery.features.run import FeatureRows
from chandlery.forecasts.backtest import Fits, predict_rows, slice_days
from chandlery.forecasts.leaks import CLOSE, KEEP_NOTHING, Witness, check_equal, moment
from chandlery.models import BUILT_IN
from chandlery.tasks.leak_gate.sampling import hash_of, open_unseen, pick_rows
from chandlery.tasks.passes import Passed, SymbolPass

__all__ = ["PredictionGate"]


class PredictionGate:
    """Predicts a sample of a symbol's rows again, with models that have predicted nothing before.

    Args:
        symbol_pass: The symbol's pass.
        fits: The fits that predict the rows, one entry for each model and horizon.
        starts: The first steps of the blocks to check.
    """

    def __init__(self, symbol_pass: SymbolPass, fits: Sequence[Fits], starts: frozenset[int]) -> None:
        self._pass, self._fits, self._starts = symbol_pass, fits, starts
        self.checked: set[int] = set()  # of the starts, those of blocks that went through `check`
        self._grid = symbol_pass.work.rules.grid
        self._unseen = {model.name: model for model in open_unseen(symbol_pass.work)}

    def check(self, passed: Passed, predictions: NDArray[np.float32]) -> None:
        """Check the fits that predicted a block; in sampled blocks, predict each day up to a moment inside it again.

        Args:
            passed: The block.
            predictions: Of its rows, (rows, fits).

        Raises:
            LawError: A model knows later rows, or a fit is younger than what it predicts.
        """
        if passed.block.start in self._starts:
            self.checked.add(passed.block.start)
        if passed.rows.step.size == 0:
            return
        close_ms = self._grid.close_ms(passed.block.start)
        for fit in self._fits:
            self._check_fit(fit, close_ms)
        if passed.block.start in self._starts:
            self._check_predictions(passed, predictions, close_ms)

    def _check_fit(self, fit: Fits, close_ms: int) -> None:
        count = count_before(fit, close_ms)
        where = f"split of model {fit.model.name}: {self._pass.symbol} at {moment(close_ms)} is predicted by"
        if fit.newest_before(close_ms) is not (fit.artefacts[count - 1] if count else None):
            raise LawError(
                f"{where} another fit", "the newest that is older", "look for code that chooses fits by later ones"
            )
        source = fit.parts[count - 1] if count else None
        if source is None:
            return
        wanted = (moment(int(fit.refit_ms[count - 1]))[:10], self._pass.symbol)
        if source != wanted:
            raise LawError(
                f"{where} what was learned of {source[1]} at {source[0]}",
                f"of {wanted[1]} at {wanted[0]}",
                "look for code that joins the parts of a fit",
            )

    def _check_predictions(self, passed: Passed, predictions: NDArray[np.float32], close_ms: int) -> None:
        rows = passed.rows
        seed = hash_of(self._pass.symbol, passed.block.start)
        ends = [
            (day.start, day.start + int(pick_rows(seed + place, rows.close[day], 2)[-(place % 2)]))
            for place, day in enumerate(slice_days(rows.step, self._grid))
        ]
        at = np.concatenate([np.arange(first, end + 1) for first, end in ends])
        names = ("step", "close", "sigma", "weight", "ready", "values")
        part = FeatureRows(*(getattr(rows, name)[at] for name in names))
        again = self._predict(part, close_ms)
        is_close = np.isclose(predictions[at], again, rtol=CLOSE, atol=CLOSE, equal_nan=True)
        if not is_close.all():
            row, place = np.argwhere(~is_close)[-1]
            witness = Witness(self._pass.symbol, self._grid.close_ms(int(part.step[row])))
            differs = slice(row, row + 1)
            name = f"model {self._fits[place].model.name}"
            check_equal(witness, [(name, predictions[at][differs, place], again[differs, place])])

    def _predict(self, rows: FeatureRows, close_ms: int) -> NDArray[np.float32]:
        """Predict rows by the fits that are known at a moment, with models from a fresh import."""
        fits = []
        for fit in self._fits:
            count, model = count_before(fit, close_ms), self._unseen[fit.model.name]
            fits.append(replace(fit, model=model, refit_ms=fit.refit_ms[:count], artefacts=fit.artefacts[:count]))
        try:
            return predict_rows(fits, self._pass.plan.names, rows, self._grid)
        except Exception as error:
            user_defined = ", ".join(name for name in self._unseen if name not in BUILT_IN)
            raise LawError(
                f"model {user_defined} knows more than its artefact: loaded afresh, it fails with {error!r}",
                "the same predictions",
                KEEP_NOTHING,
            ) from error


def count_before(fit: Fits, close_ms: int) -> int:
    """Return how many fits are older than a moment: counted here, so that a fault in `Fits` does not hide itself."""
    return int(np.searchsorted(fit.refit_ms, close_ms, side="left"))
