"""What is served: calibrated, never worse than naive in the long run, causal, and the same however it is cut."""

from dataclasses import replace

import numpy as np
import pytest

from chandlery.forecasts.blend import (
    LARGEST,
    OVERLAP,
    RECORD_HALF_LIVES,
    Served,
    ServedRows,
    serve,
    start_served,
)
from chandlery.grid import DAY_MS

MINUTE = 60_000
START = 1_546_300_800_000
BLEND_PLACE = 2


def make_rows(days: int, *, strength: float, scale: float = 1.0, seed: int = 0) -> ServedRows:
    """Rows whose first model has `strength` of correlation, told `scale` times too loud; the second is noise."""
    random = np.random.default_rng(seed)
    count = days * 1440
    issued = START + np.arange(1, count + 1) * MINUTE
    signal = random.standard_normal(count)
    realised = strength * signal + np.sqrt(1 - strength**2) * random.standard_t(5, count) / np.sqrt(5 / 3)
    predictions = np.column_stack([scale * strength * signal, 0.2 * random.standard_normal(count)]).astype(np.float32)
    return ServedRows(issued, issued + 5 * MINUTE, predictions, realised, np.full(count, 1e-3), 5)


def skill(rows: ServedRows, served: Served) -> float:
    return 1 - float(((rows.realised - served.served) ** 2).sum() / (rows.realised**2).sum())


def part_of(rows: ServedRows, part: slice) -> ServedRows:
    return ServedRows(
        rows.issued[part], rows.target[part], rows.predictions[part], rows.realised[part], rows.sigma[part], rows.steps
    )


def test_a_good_model_is_served_and_its_loudness_mended() -> None:
    rows = make_rows(60, strength=0.15, scale=3.0)
    served, _ = serve(start_served(2), rows)
    later = slice(20 * 1440, None)
    assert np.mean(served.served_by[later] == BLEND_PLACE) > 0.95
    assert (
        skill(part_of(rows, later), Served(*(getattr(served, name)[later] for name in Served.__annotations__))) > 0.015
    )


@pytest.mark.parametrize("seed", range(4))
def test_noise_is_not_served(seed: int) -> None:
    rows = make_rows(120, strength=0.0, seed=seed)
    rows.predictions[:, 0] = 0.2 * np.random.default_rng(seed + 50).standard_normal(rows.issued.size)
    served, _ = serve(start_served(2), rows)
    assert skill(rows, served) > -2e-4
    assert np.all(served.served[served.served_by < 0] == 0.0)
    assert np.mean(served.served_by < 0) > 0.5


def test_a_model_that_turns_bad_is_dropped_within_weeks() -> None:
    good, bad = make_rows(60, strength=0.2), make_rows(40, strength=0.2, seed=1)
    bad.predictions[:, 0] *= -1
    shifted = ServedRows(
        bad.issued + 60 * DAY_MS, bad.target + 60 * DAY_MS, bad.predictions, bad.realised, bad.sigma, bad.steps
    )
    _, state = serve(start_served(2), good)
    served, _ = serve(state, shifted)
    assert np.mean(served.served_by[:1440] == BLEND_PLACE) > 0.9
    assert np.mean(served.served_by[21 * 1440 :] == BLEND_PLACE) == 0.0


def test_two_half_signals_are_blended() -> None:
    rows = make_rows(90, strength=0.2)
    random = np.random.default_rng(7)
    signal = rows.predictions[:, 0].copy()
    for model in range(2):
        rows.predictions[:, model] = signal + 0.2 * random.standard_normal(rows.issued.size).astype(np.float32)
    served, state = serve(start_served(2), rows)
    later = part_of(rows, slice(20 * 1440, None))
    gains = [
        1 - float(((later.realised - served.calibrated[20 * 1440 :, place]) ** 2).sum() / (later.realised**2).sum())
        for place in range(3)
    ]
    assert gains[2] > 1.2 * max(gains[:2])
    assert state.weights.sum() <= 1.2
    assert np.all(state.weights > 0.1)


def test_volatility_without_a_record_is_met_with_naive() -> None:
    rows = make_rows(60, strength=0.2)
    rows.sigma[50 * 1440 :] *= 10.0
    served, _ = serve(start_served(2), rows)
    assert np.all(served.served_by[50 * 1440 : 51 * 1440 - 1] == -1)
    assert np.all(served.served_by[40 * 1440 : 50 * 1440] == BLEND_PLACE)
    assert np.all(served.served_by[53 * 1440 :] == BLEND_PLACE)  # the record has grown meanwhile


def test_wild_volatility_moves_no_forecast_further() -> None:
    rows = make_rows(60, strength=0.2)
    rows.sigma[50 * 1440 :] *= 10.0
    served, _ = serve(start_served(2), rows)
    day = slice(53 * 1440, 54 * 1440 - 1)
    usual = np.exp(np.mean(np.log(rows.sigma[: 50 * 1440])))
    louder = (
        rows.sigma[day] / usual / np.exp((1 - 0.5 ** (3 / 30)) * np.log(10.0))
    )  # three wild days have become a part of what is usual
    assert np.allclose(served.served[day], served.calibrated[day, BLEND_PLACE] * 4.0 / louder, rtol=1e-4)


def test_intervals_follow_a_change_within_days() -> None:
    rows = make_rows(60, strength=0.1)
    rows.realised[40 * 1440 :] *= 2.0
    served, _ = serve(start_served(2), rows)
    assert np.mean(served.half_80[51 * 1440 :]) == pytest.approx(
        2.0 * np.mean(served.half_80[30 * 1440 : 40 * 1440]), rel=0.05
    )


def test_intervals_cover_what_they_say() -> None:
    rows = make_rows(60, strength=0.1)
    served, _ = serve(start_served(2), rows)
    later = slice(20 * 1440, None)
    residual = np.abs(rows.realised - served.served)[later]
    assert np.mean(residual <= served.half_80[later]) == pytest.approx(0.80, abs=0.01)
    assert np.mean(residual <= served.half_95[later]) == pytest.approx(0.95, abs=0.005)
    assert np.isnan(served.half_80[:1000]).all()


def with_horizon(rows: ServedRows, steps: int) -> ServedRows:
    return replace(rows, target=rows.issued + steps * MINUTE, steps=steps)


@pytest.mark.parametrize("steps", [5, 3 * 1440 + 7])
@pytest.mark.parametrize("count", [1, 1440, 9 * 1440, 20 * 1440 + 777])
def test_cutting_anywhere_changes_no_bit(count: int, steps: int) -> None:
    rows = with_horizon(make_rows(30, strength=0.1), steps)
    whole, end = serve(start_served(2), rows)
    first, state = serve(start_served(2), part_of(rows, slice(0, count)))
    second, again = serve(state, part_of(rows, slice(count, None)))
    joined = Served.concat([first, second])
    for name in Served.__annotations__:
        assert np.array_equal(getattr(whole, name), getattr(joined, name), equal_nan=True), name
    for one, other in zip(end, again, strict=True):
        assert np.array_equal(one, other, equal_nan=True)


@pytest.mark.parametrize("steps", [1, 60, 3_000])
def test_a_record_counts_every_pair_of_gains_by_the_distance_of_their_targets(steps: int) -> None:
    rows = with_horizon(make_rows(12, strength=0.1), steps)
    chosen = np.flatnonzero(np.random.default_rng(5).random(rows.issued.size) < 0.1)
    chosen = chosen[(chosen < 5 * 1440) | (chosen > 8 * 1440)]  # days without a row
    names = ("issued", "target", "predictions", "realised", "sigma")
    rows = ServedRows(*(getattr(rows, name)[chosen] for name in names), steps)
    rows.sigma[700:] *= 10.0
    served, state = serve(start_served(2), rows)
    blend, met = served.calibrated[:, BLEND_PLACE], np.clip(rows.realised, -LARGEST, LARGEST)
    gains = met**2 - (met - blend) ** 2
    midnights = np.unique(rows.issued // DAY_MS) * DAY_MS
    taken = rows.target <= midnights[-1]
    gains, target = gains[taken], rows.target[taken]
    days = (midnights[-1] - midnights[np.searchsorted(midnights, target)]) / DAY_MS
    weights = np.exp(-np.abs(target[:, None] - target) / (OVERLAP * steps * MINUTE))
    for record, half_life in zip(state.record[:2], RECORD_HALF_LIVES, strict=False):
        faded = gains * 0.5 ** (days / half_life)
        assert record[:2] == pytest.approx([faded.sum(), faded @ weights @ faded])
    assert state.record[2, 0] != 0.0


def test_outcomes_change_nothing_before_they_are_known() -> None:
    rows = make_rows(30, strength=0.1)
    whole, _ = serve(start_served(2), rows)
    count = 20 * 1440 + 700
    now = rows.issued[count - 1]
    known = part_of(rows, slice(0, count))
    hidden = replace(known, realised=np.where(known.target <= now, known.realised, np.nan))
    short, _ = serve(start_served(2), hidden)
    for name in Served.__annotations__:
        assert np.array_equal(getattr(whole, name)[:count], getattr(short, name), equal_nan=True), name
