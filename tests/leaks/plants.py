"""The planted leaks of our own code: each replaces one of its functions, and beside it stand the words that must name
it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from chandlery.candles import gaps
from chandlery.features import market
from chandlery.features import run as features
from chandlery.forecasts import backtest
from chandlery.grid import Grid
from chandlery.models import Sample, Sums
from chandlery.state import paths
from chandlery.tasks import gaps as gaps_task
from chandlery.tasks import gather, horizon, passes, pools, symbol_fits, work
from chandlery.tasks import market as market_task
from chandlery.tasks.bucket import Bucket
from chandlery.tasks.leak_gate import rows as row_gate
from chandlery.tasks.leak_gate import served as served_gate

Plant = Callable[[pytest.MonkeyPatch], None]


def shift_labels(patch: pytest.MonkeyPatch) -> None:
    honest = passes.label
    patch.setattr(passes, "label", lambda *given: np.append(honest(*given)[1:], np.nan))


def label_across_gaps(patch: pytest.MonkeyPatch) -> None:
    honest = passes.label
    patch.setattr(
        passes, "label", lambda step, close, horizon, _: honest(step, close, horizon, np.empty((0, 2), np.int64))
    )


def shift_training_targets(patch: pytest.MonkeyPatch) -> None:
    honest = gather.targets_of
    patch.setattr(gather, "targets_of", lambda *given: np.roll(honest(*given), -1, axis=0))


def change_rows(change: Callable[[Any], None]) -> Plant:
    """Return a plant that changes the rows of each call of the feature pass."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        honest = features.run_features

        def changed(*given: Any) -> Any:
            rows, state = honest(*given)
            if rows.close.size:
                change(rows)
            return rows, state

        for module in (passes, row_gate):
            patch.setattr(module, "run_features", changed)

    return plant


def weigh_by_the_block(rows: Any) -> None:
    rows.weight[:] = rows.sigma / np.median(rows.sigma)


def weigh_by_the_next_move(rows: Any) -> None:
    rows.weight[:] = 1 + np.abs(np.diff(rows.close, append=rows.close[-1]))


def look_ahead_seldom(rows: Any) -> None:
    seldom = np.flatnonzero(rows.step[:-1] % 60 == 0)
    rows.values[seldom, 0] = np.sign(rows.close[seldom + 1] - rows.close[seldom])


def draw_by_outcome(patch: pytest.MonkeyPatch) -> None:
    honest = Bucket._draw

    def drawn(self: Any, fresh: Sample) -> None:
        best = np.argsort(-np.abs(fresh.target[:, 0]), kind="stable")[: fresh.rows // 2]
        honest(self, fresh._pick(best))

    patch.setattr(Bucket, "_draw", drawn)


def weigh_sample_by_outcome(patch: pytest.MonkeyPatch) -> None:
    honest = Bucket._draw
    patch.setattr(Bucket, "_draw", lambda self, fresh: honest(self, replace(fresh, weight=np.abs(fresh.target[:, 0]))))


def leave_out_losses(patch: pytest.MonkeyPatch) -> None:
    honest = Bucket.add

    def add(self: Any, models: Any, names: Any, rows: Any, target: Any, is_known: Any) -> int:
        return honest(self, models, names, rows, target, is_known & (target > 0).all(axis=1))

    patch.setattr(Bucket, "add", add)


def choose_rows_with_a_trade_after(patch: pytest.MonkeyPatch) -> None:
    honest = gather.trains

    def followed(symbol: str, steps: Any, grid: Grid) -> Any:
        return honest(symbol, steps, grid) & np.append(np.diff(steps) == 1, False)

    patch.setattr(gather, "trains", followed)


def train_before_the_reach(patch: pytest.MonkeyPatch) -> None:
    nearest = property(lambda self: ~np.isnan(self.actual[:, 0]))
    patch.setattr(passes.SymbolPass, "is_known", nearest)


def market_ahead(after: int) -> Plant:
    """Return a plant that moves the market a step ahead once so many blocks have passed."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        honest, passed = market.run_market, []

        def ahead(*given: Any) -> Any:
            block, state = honest(*given)
            passed.append(1)
            if len(passed) > after:
                block.index[:, :-1] = block.index[:, 1:].copy()
            return block, state

        patch.setattr(market_task, "run_market", ahead)

    return plant


def join_leader_still_open(patch: pytest.MonkeyPatch) -> None:
    honest = features._pick_market

    def ahead(*given: Any) -> Any:
        arrays = honest(*given)
        arrays.leader_log[:, :-1] = arrays.leader_log[:, 1:].copy()
        return arrays

    patch.setattr(features, "_pick_market", ahead)


def forget_the_embargo(patch: pytest.MonkeyPatch) -> None:
    honest = work.next_month
    patch.setattr(work, "next_month", lambda day: honest(day - 1))


def read_every_bucket(patch: pytest.MonkeyPatch) -> None:
    honest = pools.Buckets.until
    patch.setattr(pools.Buckets, "until", lambda self, *_: honest(self, "9999-12"))


def shuffle_the_split(patch: pytest.MonkeyPatch) -> None:
    honest = pools.SamplePool.training

    def shuffled(self: Any, model: Any) -> Any:
        training = honest(self, model)
        everything = [
            Sample.from_arrays(arrays)
            for *_, arrays in pools.Buckets(self._buckets.work, self._buckets.gathered).until("9999-12")
            if "sample.key" in arrays
        ]
        drawn = np.random.default_rng(0).permutation(sum(part.rows for part in everything))[: training.rows]
        return Sample.concat(everything)._pick(drawn)

    patch.setattr(pools.SamplePool, "training", shuffled)


def add_sums_of_later_rows(patch: pytest.MonkeyPatch) -> None:
    honest = pools.SumsPool.training

    def mixed(self: Any, model: Any) -> Any:
        later = pools.Buckets(self._buckets.work, self._buckets.gathered, model.name).until("9999-12")
        return sum(
            (sums for *_, arrays in later if (sums := Sums.from_arrays(arrays, model.name))), start=honest(self, model)
        )

    patch.setattr(pools.SumsPool, "training", mixed)


def add_later_rows_to_a_symbols_own(patch: pytest.MonkeyPatch) -> None:
    honest = pools.SumsPool.training

    def mixed(self: Any, model: Any) -> Any:
        training = honest(self, model)
        later = [
            (symbol, Sums.from_arrays(arrays, model.name))
            for _, symbol, arrays in pools.Buckets(self._buckets.work, self._buckets.gathered, model.name).until(
                "9999-12"
            )
        ]
        own = {
            symbol: sum((sums for whose, sums in later if whose == symbol and sums), start=sums)
            for symbol, sums in training.own.items()
        }
        return replace(training, own=own)

    patch.setattr(pools.SumsPool, "training", mixed)


def change_training(pool: type, change: Callable[[Any], Any]) -> Plant:
    """Return a plant that changes what a pool gives to models."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        honest = pool.training  # type: ignore[attr-defined]
        patch.setattr(pool, "training", lambda self, model: change(honest(self, model)))

    return plant


def exchange_own_sums(training: Any) -> Any:
    first, second, *_ = training.own
    sums, others = training.own[first], training.own[second]
    return replace(
        training, own={**training.own, first: replace(others, rows=sums.rows), second: replace(sums, rows=others.rows)}
    )


def sums_of_other_rows(training: Any) -> Any:
    return replace(training, xty=training.xty * 1.01)


def exchange_symbols(training: Any) -> Any:
    return replace(training, symbol=np.roll(training.symbol, 1))


def targets_of_other_rows(training: Any) -> Any:
    return replace(training, target=np.roll(training.target, -1, axis=0))


def change_parts(change: Callable[[list[Any], Callable[..., list[Any]]], list[Any]]) -> Plant:
    """Return a plant that changes which of a symbol's own parts are read."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        honest = symbol_fits.read_fits

        def changed(lake: Any, fit: str, year: str, symbol: str = paths.ALL, copies: Any = None) -> Any:
            found = honest(lake, fit, year, symbol, copies)
            return found if symbol == paths.ALL else change(found, lambda other: honest(lake, fit, year, other))

        patch.setattr(symbol_fits, "read_fits", changed)

    return plant


def give_parts_of_another_symbol(found: list[Any], read: Callable[[str], list[Any]]) -> list[Any]:
    return read("BTCUSD" if found and found[0].symbols != ["BTCUSD"] else "ETHUSD")


def predict_by_later_fits(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(backtest.Fits, "newest_before", lambda self, _: self.artefacts[-1])


def change_served(change: Callable[[Any, Any], None]) -> Plant:
    """Return a plant that changes what is served, knowing every outcome."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        honest = horizon.serve

        def changed(state: Any, rows: Any) -> Any:
            served, after = honest(state, rows)
            if rows.issued.size:
                change(served, rows)
            return served, after

        for module in (horizon, served_gate):
            patch.setattr(module, "serve", changed)

    return plant


def calibrate_on_all(served: Any, rows: Any) -> None:
    raw = np.nan_to_num(rows.predictions)
    served.calibrated[:] *= np.float32(np.nansum(raw[:, 0] * np.nan_to_num(rows.realised)) / (raw**2).sum())


def calibrate_late_on_the_next(served: Any, rows: Any) -> None:
    late = slice(rows.issued.size * 3 // 4, None)
    served.calibrated[late, 0] *= np.float32(1 + np.nanmean(rows.realised[late]))


def interval_of_future_residuals(served: Any, rows: Any) -> None:
    served.half_80[:] = np.nanquantile(np.abs(rows.realised - served.served), 0.8)


def choose_by_the_whole_record(served: Any, rows: Any) -> None:
    errors = np.nansum((rows.predictions - rows.realised[:, None]) ** 2, axis=0)
    served.served_by[:] = np.argmin(errors) if np.nansum(rows.realised) > 0 else -1


def call_outcomes_known_at_issue(patch: pytest.MonkeyPatch) -> None:
    honest = horizon.ServedRows
    patch.setattr(horizon, "ServedRows", lambda issued, _, *rest: honest(issued, issued, *rest))


def publish_with_outcomes(patch: pytest.MonkeyPatch) -> None:
    honest = horizon.to_forecasts
    nearer = pl.col("predicted_close") + 0.5 * (pl.col("actual_close") - pl.col("predicted_close")).fill_null(0.0)
    patch.setattr(horizon, "to_forecasts", lambda *given: honest(*given).with_columns(nearer.alias("predicted_close")))


def type_gaps_by_what_follows(patch: pytest.MonkeyPatch) -> None:
    honest = gaps.find_gaps

    def typed(traded: Any, grid: Grid, activity: Any) -> Any:
        found = honest(traded, grid, activity)
        steps = traded.start + np.flatnonzero(traded.flags)
        after = grid.steps_of(found["end"].dt.epoch("ms").to_numpy())
        followed = np.searchsorted(steps, after + 60) - np.searchsorted(steps, after) > 20
        return found.with_columns(kind=pl.when(pl.Series(followed)).then("kind").otherwise(pl.lit("no_trade")))

    for module in (gaps_task, row_gate):
        patch.setattr(module, "find_gaps", typed)


@dataclass(frozen=True)
class Own:
    """A leak of our own code: how it is planted, and which words name it."""

    plant: Plant
    words: str


OWN = {
    "label_shifted": Own(shift_labels, "label 1m of"),
    "label_across_a_gap": Own(label_across_gaps, "label 1m of"),
    "training_target_shifted": Own(shift_training_targets, "label 1m of"),
    "weight_by_the_whole_block": Own(change_rows(weigh_by_the_block), "sample weight of"),
    "weight_by_the_next_move": Own(change_rows(weigh_by_the_next_move), "sample weight of"),
    "feature_ahead_each_hour": Own(change_rows(look_ahead_seldom), "feature own_r_1 of"),
    "sample_drawn_by_outcome": Own(draw_by_outcome, "choice of rows of"),
    "sample_weighed_by_outcome": Own(weigh_sample_by_outcome, "sample weight of"),
    "losses_left_out": Own(leave_out_losses, "choice of rows of"),
    "rows_before_the_reach": Own(train_before_the_reach, "choice of training rows of"),
    "rows_chosen_by_a_later_trade": Own(choose_rows_with_a_trade_after, "choice of rows of"),
    "market_with_later_candles": Own(market_ahead(0), "market index of"),
    "market_with_later_candles_at_the_end": Own(market_ahead(5), "market index of"),
    "leader_without_as_of": Own(join_leader_still_open, "feature lead1_.* of"),
    "fold_without_purge": Own(forget_the_embargo, "split of model linear"),
    "fold_of_all_time": Own(read_every_bucket, "split of model linear"),
    "shuffled_split": Own(shuffle_the_split, "split of model tree"),
    "sums_of_later_rows_added": Own(add_sums_of_later_rows, "split of model linear"),
    "later_rows_in_a_symbols_own": Own(add_later_rows_to_a_symbols_own, "split of model linear"),
    "own_sums_exchanged": Own(change_training(pools.SumsPool, exchange_own_sums), "split of model linear"),
    "sums_of_other_rows": Own(change_training(pools.SumsPool, sums_of_other_rows), "split of model linear"),
    "sampled_symbols_exchanged": Own(change_training(pools.SamplePool, exchange_symbols), "split of model tree"),
    "sampled_targets_shifted": Own(change_training(pools.SamplePool, targets_of_other_rows), "split of model tree"),
    "own_part_of_another_symbol": Own(change_parts(give_parts_of_another_symbol), "split of model linear"),
    "predicted_by_a_later_fit": Own(predict_by_later_fits, "split of model linear"),
    "calibration_on_all_outcomes": Own(change_served(calibrate_on_all), "calibration at"),
    "calibration_on_later_outcomes_in_late_rows": Own(change_served(calibrate_late_on_the_next), "calibration at"),
    "outcomes_known_at_issue": Own(call_outcomes_known_at_issue, "(calibration|choice of model|interval) at"),
    "interval_of_future_residuals": Own(change_served(interval_of_future_residuals), "80 % interval at"),
    "model_chosen_by_its_future_record": Own(change_served(choose_by_the_whole_record), "choice of model at"),
    "published_with_outcomes": Own(publish_with_outcomes, "published predicted_close at"),
    "gap_kind_by_what_follows": Own(type_gaps_by_what_follows, "gap kind of"),
}
