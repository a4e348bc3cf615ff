"""The leak gate's part of the work: a sample of the blocks, computed again from data cut inside them.

Which blocks: some by a hash of the symbol and the block, the one over which the price moved most, and
the last, in gather and in forecast each its own: what looks ahead only after a while is met there.
"""

import zlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from chandlery.candles.gaps import barriers, find_gaps
from chandlery.errors import LawError, SettingsError
from chandlery.features.labels import normalise
from chandlery.features.market import MarketBlock, MarketState, run_market
from chandlery.features.registry import BUILT_IN, OwnFeature, loaded_afresh, own_features
from chandlery.features.run import FeatureRows, compute_own, run_features
from chandlery.forecasts.backtest import Fits, predict_rows, slice_days
from chandlery.forecasts.leaks import CLOSE, KEEP_NOTHING, Witness, are_close, compare, look_up_labels, moment
from chandlery.grid import CandleBlock, Floats, Ints, Singles, Traded, fill_dense
from chandlery.models import BUILT_IN as BUILT_IN_MODELS
from chandlery.models import Model, open_afresh, open_models
from chandlery.tasks.gaps import read_activity
from chandlery.tasks.passes import Choose, Passed, SymbolPass
from chandlery.tasks.work import Block, Work

__all__ = ["MarketGate", "ModelGate", "SymbolGate", "hash_of", "open_unseen"]

BY_HASH = 2  # blocks of a pass
CUTS = 24  # moments inside a block at which the data of what is built in are cut
OWN_CUTS = 512  # likewise for features of one's own: they are asked for single rows
ROW_PARTS = {"close": "close", "sigma": "sigma", "weight": "sample weight", "ready": "readiness"}


def hash_of(name: str, start: int) -> int:
    """Return a number that follows from a name and a block alone."""
    return zlib.crc32(f"{name}{start}".encode())


def open_unseen(work: Work) -> list[Model]:
    """Return the lake's models; those of extensions as if nobody had called them yet."""
    names = work.rules.models
    return (
        open_models(names, work.extensions)
        if set(names) <= set(BUILT_IN_MODELS)
        else open_afresh(names, work.extensions)
    )


def pick_rows(seed: int, close: Floats, count: int) -> Ints:
    """Return some places, ascending: half by a hash, half just before the greatest moves, where looking ahead pays."""
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
    return replace(
        market,
        start=start,
        **{name: getattr(market, name)[..., part] for name in ("log_close", "sigma", "signals", "index")},
    )


class MarketGate:
    """Computes a sample of the market again as it passes.

    Args:
        work: The span and the lake.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        starts = [block.start for block in work.blocks() if block.start < block.stop]
        self._starts = {*sorted(starts, key=lambda start: hash_of("market", start))[:BY_HASH], *starts[-1:]}

    def look(self, block: Block, before: MarketState, candles: list[CandleBlock], market: MarketBlock) -> None:
        """Compare a block's market with what comes out of its candles where each piece of them ends what is known.

        Raises:
            LawError: A value differs; it names the culprit.
        """
        if block.start not in self._starts or block.start == block.stop:
            return
        grid, state, start = self._work.rules.grid, before, block.start
        random = np.random.default_rng(hash_of("market", block.start))
        for cut in np.unique(random.integers(block.start + 1, block.stop, CUTS, endpoint=True)).tolist():
            again, state = run_market(state, [cut_candles(piece, start, cut) for piece in candles], start, cut, grid)
            full = cut_market(market, start, cut)
            parts = [
                (f"market {name}", getattr(full, name), getattr(again, name))
                for name in ("log_close", "sigma", "signals", "index")
            ]
            compare(Witness("all", grid.open_ms(cut)), parts)
            start = cut


class SymbolGate:
    """Computes a sample of a symbol's rows and labels again as they pass.

    Args:
        symbol_pass: Whose.
        purpose: Of the pass: each looks at other blocks.
        choose: Which candles get a row in it.
        since: The first step of the blocks to look at.
    """

    def __init__(self, symbol_pass: SymbolPass, purpose: str, choose: Choose, since: int = 0) -> None:
        self._pass, self._purpose, self._choose = symbol_pass, purpose, choose
        self._lake, self._symbol = symbol_pass.work.lake, symbol_pass.symbol
        self.starts = self._choose_starts(since)
        fresh = {}
        if symbol_pass.plan.own:
            with loaded_afresh():
                fresh = {own.feature.name: own for own in own_features(symbol_pass.work.extensions)}
        self._own = [fresh.get(own.feature.name, own) for own in symbol_pass.plan.own]

    def _choose_starts(self, since: int) -> frozenset[int]:
        step, close = self._pass.candles.step, self._pass.candles.close
        blocks = self._pass.work.blocks()
        edges = [
            (block.start, *np.searchsorted(step, [block.start, block.stop])) for block in blocks if block.start >= since
        ]
        held = {start: abs(np.log(close[last - 1] / close[first])) for start, first, last in edges if first < last}
        by_hash = sorted(held, key=lambda start: hash_of(f"{self._purpose} {self._symbol}", start))[:BY_HASH]
        return frozenset([*by_hash, max(held), max(held, key=lambda start: held[start])]) if held else frozenset()

    def look(self, passed: Passed, target: NDArray[np.float32] | None = None) -> None:
        """Compare a block's rows and labels with what candles and market up to moments inside it give.

        Args:
            passed: The block.
            target: What its rows are trained on, (n, horizons); None where nothing is trained.

        Raises:
            LawError: A value differs; it names the culprit.
        """
        block = passed.block
        if block.start not in self.starts or passed.rows.step.size == 0:
            return
        self._look_at_rows(passed)
        if self._own:
            self._look_at_own(passed)
        self._look_at_labels(passed, target)

    def _look_at_rows(self, passed: Passed) -> None:
        """Compare what is built in, piece by piece: each piece ends with the last candle that is known."""
        rows, block = passed.rows, passed.block
        plan = replace(self._pass.plan, own=())
        state = passed.before._replace(history=passed.before.history[:, -plan.lookback :])
        start, first = block.start, 0
        for end in pick_rows(hash_of(self._symbol, block.start), rows.close, CUTS).tolist():
            cut = int(rows.step[end]) + 1
            candles = self._pass.candles.cut(start, cut)
            again, state = run_features(
                plan, state, candles, cut_market(passed.market, start, cut), self._choose(block, candles.step)
            )
            witness = self._witness(cut)
            compare(witness, [("choice of rows", rows.step[first : end + 1], again.step)])
            compare(
                witness,
                [
                    (name, getattr(rows, field)[first : end + 1], getattr(again, field))
                    for field, name in ROW_PARTS.items()
                ],
            )
            full = rows.values[first : end + 1, : len(BUILT_IN)]
            if not np.array_equal(full, again.values, equal_nan=True):
                compare(
                    witness,
                    [
                        (f"feature {name}", full[:, place], again.values[:, place])
                        for place, name in enumerate(plan.names)
                    ],
                )
            start, first = cut, end + 1

    def _look_at_own(self, passed: Passed) -> None:
        """Compare features of one's own, loaded afresh, with what they give where a candle is the last that is known.

        Once for the block, and for single rows from the steps that they say they need: an append has no more.
        """
        rows, block, lookback = passed.rows, passed.block, self._pass.plan.lookback
        dense = self._fill(passed, block.stop)
        for place, own in enumerate(self._own, start=len(BUILT_IN)):
            name, whole = f"feature {own.feature.name}", rows.values[:, place]
            count = max(1, min(OWN_CUTS, dense.shape[1] // (own.lookback + 1)))
            at = pick_rows(hash_of(self._symbol + name, block.start), rows.close, count)
            seen = rows.step[at] - block.start + lookback
            asked = (seen[:, None] + np.arange(-own.lookback, 1)).ravel()
            short = self._compute_short(own, dense[:, asked])[own.lookback :: own.lookback + 1]
            self._judge(passed, own, at[~are_close(whole[at], short)], dense)
            cut = int(rows.step[at[-1]]) + 1
            known = slice(0, int(at[-1]) + 1)
            again = compute_own(own, self._fill(passed, cut))[rows.step[known] - block.start + lookback].astype(
                np.float32
            )
            differs = ~are_close(whole[known], again)
            compare(self._witness(cut), [(name, whole[known][differs], again[differs])])

    def _judge(self, passed: Passed, own: OwnFeature, differs: Ints, dense: Floats) -> None:
        """Say of rows that differ whether their feature looks ahead, or further back than it says, or neither."""
        rows, short = passed.rows, ""
        place = self._pass.plan.names.index(own.feature.name)
        for row in differs.tolist():
            whole, last = (
                rows.values[row : row + 1, place],
                int(rows.step[row]) - passed.block.start + self._pass.plan.lookback,
            )
            alone = self._compute_short(own, dense[:, last - own.lookback : last + 1])[-1:]
            if are_close(whole, alone)[0]:
                continue
            cut = int(rows.step[row]) + 1
            known = compute_own(own, self._fill(passed, cut))[last : last + 1].astype(np.float32)
            if not are_close(whole, known)[0]:
                compare(self._witness(cut), [(f"feature {own.feature.name}", whole, known)])
            short = (
                short or f"{whole[0]:g}, and {alone[0]:g} from the {own.lookback} steps before that its lookback names"
            )
        if short:
            raise LawError(
                f"feature {own.feature.name} of {self._symbol} is {short}",
                "the same value: an append sees no more",
                "raise lookback to what the feature needs, or mend the feature",
            )

    def _compute_short(self, own: OwnFeature, dense: Floats) -> Singles:
        """Return a feature at steps of which it gets no more history than it says it needs."""
        try:
            return compute_own(own, dense).astype(np.float32)
        except SettingsError as error:
            few = f"{dense.shape[1]} steps, enough for a lookback of {own.lookback}"
            raise LawError(
                f"feature {own.feature.name} of {self._symbol} gives no value on {few}: {error.found}",
                "a value for every step",
                "raise lookback to what the feature needs, or mend the feature",
            ) from error

    def _fill(self, passed: Passed, cut: int) -> Floats:
        """Return the dense candles of a block, flat from a step on."""
        block = passed.block
        candles = self._pass.candles.cut(block.start, cut)
        dense: Floats = fill_dense(passed.before.history, block.start, block.stop, candles.step, candles.prices)
        return dense

    def _witness(self, cut: int) -> Witness:
        return Witness(self._symbol, self._pass.work.rules.grid.open_ms(cut))

    def _look_at_labels(self, passed: Passed, target: NDArray[np.float32] | None) -> None:
        """Look the labels of a block's rows up again, and which of the rows may train."""
        rows, candles = passed.rows, self._pass.candles
        crossed = self._pass.barriers
        for place, horizon in enumerate(self._pass.work.rules.horizon_steps):
            expected = look_up_labels(candles.step, candles.close, passed.place, horizon, crossed)
            pairs = [(self._pass.actual[passed.place, place], expected)]
            if target is not None:
                pairs.append(
                    (target[:, place], normalise(expected, rows.close, rows.sigma, horizon).astype(np.float32))
                )
            for found, wanted in pairs:
                if not np.array_equal(found, wanted, equal_nan=True):
                    row = int(np.flatnonzero((found != wanted) & ~(np.isnan(found) & np.isnan(wanted)))[-1])
                    issued = moment(self._witness(int(rows.step[row]) + 1).cut_ms)
                    minutes = self._pass.work.rules.horizons[place]
                    raise LawError(
                        f"label {minutes}m of {self._symbol} issued at {issued} is {found[row]}",
                        f"{wanted[row]}: the last close at the target time, where the target is past and no gap lies "
                        "before it",
                        "look for what shifts labels, or builds them across gaps; no forecasts were published",
                    )
        if target is not None:
            reach = self._pass.work.rules.reach_steps
            known = np.isfinite(look_up_labels(candles.step, candles.close, passed.place, reach, crossed))
            parts = [("choice of training rows", self._pass.is_known[passed.place], known)]
            compare(self._witness(passed.block.stop), parts)

    def look_at_gaps(self) -> None:
        """Compare the gaps with what is found when a candle that ends one of them is the newest of all.

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
        activity.traded.setflags(write=False)  # as what was read: kernels are compiled for one kind of array
        again = barriers(find_gaps(Traded.of(known), grid, activity), grid)
        compare(self._witness(cut), [("gap kind", full[full[:, 1] < cut], again)])


class ModelGate:
    """Predicts a sample of a symbol's rows again as they pass, by models that have seen nothing yet.

    Args:
        symbol_pass: Whose.
        fits: What predicts them, one a model and horizon.
        starts: The blocks to look at.
    """

    def __init__(self, symbol_pass: SymbolPass, fits: Sequence[Fits], starts: frozenset[int]) -> None:
        self._pass, self._fits, self._starts = symbol_pass, fits, starts
        self._unseen = {model.name: model for model in open_unseen(symbol_pass.work)}

    def look(self, passed: Passed, predictions: NDArray[np.float32]) -> None:
        """Compare a block's predictions with what each of its days gives up to a moment inside it.

        Raises:
            LawError: A model saw later rows, or is younger than what it predicts.
        """
        work, rows = self._pass.work, passed.rows
        if rows.step.size == 0:
            return
        grid = work.rules.grid
        close_ms = grid.close_ms(passed.block.start)
        known = [int(np.searchsorted(fit.refit_ms, close_ms, side="left")) for fit in self._fits]
        for fit, count in zip(self._fits, known, strict=True):
            used, source = fit.newest_before(close_ms), fit.parts[count - 1] if count else None
            where = f"split of model {fit.model.name}: {self._pass.symbol} at {moment(close_ms)} is predicted by"
            if used is not (fit.artefacts[count - 1] if count else None):
                raise LawError(
                    f"{where} another fit", "the newest that is older", "look for what chooses fits by later ones"
                )
            if source is not None and source != (
                wanted := (moment(int(fit.refit_ms[count - 1]))[:10], self._pass.symbol)
            ):
                raise LawError(
                    f"{where} what was learned of {source[1]} at {source[0]}",
                    f"of {wanted[1]} at {wanted[0]}",
                    "look for what joins a fit's parts",
                )
        if passed.block.start not in self._starts:
            return
        seed = hash_of(self._pass.symbol, passed.block.start)
        ends = [
            (day.start, day.start + int(pick_rows(seed + place, rows.close[day], 2)[-(place % 2)]))
            for place, day in enumerate(slice_days(rows.step, grid))
        ]
        at = np.concatenate([np.arange(first, end + 1) for first, end in ends])
        part = FeatureRows(
            *(getattr(rows, name)[at] for name in ("step", "close", "sigma", "weight", "ready", "values"))
        )
        fits = [
            replace(
                fit, model=self._unseen[fit.model.name], refit_ms=fit.refit_ms[:count], artefacts=fit.artefacts[:count]
            )
            for fit, count in zip(self._fits, known, strict=True)
        ]
        try:
            again = predict_rows(fits, self._pass.plan.names, part, grid)
        except Exception as error:
            own = ", ".join(name for name in self._unseen if name not in BUILT_IN_MODELS)
            raise LawError(
                f"model {own} knows more than its artefact: loaded afresh, it fails with {error!r}",
                "the same predictions",
                KEEP_NOTHING,
            ) from error
        close = np.isclose(predictions[at], again, rtol=CLOSE, atol=CLOSE, equal_nan=True)
        if not close.all():
            row, place = np.argwhere(~close)[-1]
            witness = Witness(self._pass.symbol, grid.close_ms(int(part.step[row])))
            compare(
                witness,
                [
                    (
                        f"model {self._fits[place].model.name}",
                        predictions[at][row : row + 1, place],
                        again[row : row + 1, place],
                    )
                ],
            )
