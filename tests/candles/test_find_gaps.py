"""Runs of missing candles and what they are taken for."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from chandlery.candles.gaps import barriers, combine_activity, find_gaps, measure_activity
from chandlery.grid import Grid, Traded

DAYS = 30
MINUTES = Grid(60)
START = 17_897 * 1440


def trade(share: float, missing: list[tuple[int, int]], seed: int) -> np.ndarray:
    """Return steps traded at random, none within some stretches."""
    random = np.random.default_rng(seed)
    traded = random.random(DAYS * 1440) < share
    for first, last in missing:
        traded[first:last] = False
        traded[[first - 1, last]] = True
    traded[[0, -1]] = True
    return START + np.flatnonzero(traded)


def gaps_of(own: np.ndarray, *others: np.ndarray) -> pl.DataFrame:
    activity = combine_activity([measure_activity(Traded.of(steps), MINUTES) for steps in (own, *others)], MINUTES)
    return find_gaps(Traded.of(own), MINUTES, activity)


def kind_at(gaps: pl.DataFrame, step: int) -> str | None:
    moment = np.datetime64((START + step) * 60_000, "ms").item()
    found = gaps.filter(
        (pl.col("start").dt.replace_time_zone(None) <= moment)
        & (pl.col("end").dt.replace_time_zone(None) > moment)
        & (pl.col("kind") != "no_trade")
    )
    return found["kind"][0] if found.height else None


STRETCH = (20_000, 20_400)


def test_a_hole_is_improbable_while_others_trade() -> None:
    gaps = gaps_of(trade(0.7, [STRETCH], 1), trade(0.8, [], 2), trade(0.6, [], 3))
    assert kind_at(gaps, 20_200) == "hole"
    assert "chance of mere quiet" in gaps.filter(pl.col("kind") == "hole")["evidence"][0]


def test_a_hole_needs_nobody_to_ask() -> None:
    assert kind_at(gaps_of(trade(0.7, [STRETCH], 1)), 20_200) == "hole"


def test_an_outage_silences_everybody() -> None:
    gaps = gaps_of(trade(0.7, [STRETCH], 1), trade(0.8, [STRETCH], 2), trade(0.6, [STRETCH], 3))
    assert kind_at(gaps, 20_200) == "outage"


def test_what_a_quiet_symbol_often_does_is_no_gap() -> None:
    own = trade(0.02, [STRETCH], 1)
    gaps = gaps_of(own, trade(0.8, [], 2), trade(0.6, [], 3))
    assert kind_at(gaps, 20_200) in {None, "unknown"}
    quiet = gaps.filter(pl.col("kind") == "no_trade")
    real = gaps.filter(pl.col("kind") != "no_trade")
    assert quiet["missing"].sum() + real["missing"].sum() == own[-1] - own[0] + 1 - own.size


def test_a_run_in_doubt_is_unknown() -> None:
    gaps = gaps_of(trade(0.5, [(20_000, 20_018)], 1), trade(0.8, [], 2), trade(0.6, [], 3))
    assert kind_at(gaps, 20_010) == "unknown"


def test_kinds_rest_on_the_past_alone() -> None:
    pairs = [trade(share, [STRETCH], seed) for share, seed in ((0.7, 1), (0.8, 2), (0.6, 3))]
    cut = START + 21_000
    whole, short = gaps_of(*pairs), gaps_of(*(steps[steps < cut] for steps in pairs))
    end = short["end"].max()
    real = pl.col("kind") != "no_trade"
    assert whole.filter(real & (pl.col("end") <= end)).equals(short.filter(real))


def test_barriers_leave_mere_quiet_out() -> None:
    gaps = gaps_of(trade(0.7, [STRETCH], 1), trade(0.8, [], 2), trade(0.6, [], 3))
    found = barriers(gaps, MINUTES)
    assert found.shape == (gaps.filter(pl.col("kind") != "no_trade").height, 2)
    assert [START + 20_000, START + 20_400] in found.tolist()


def test_activity_adds_up_over_symbols_of_any_span() -> None:
    stretches = [(20_000, 22_000), (0, 1_500), (30_000, 40_000), (18_000, 31_000)]
    steps = [np.arange(first, last, step) for step, (first, last) in enumerate(stretches, start=1)]
    parts = [measure_activity(Traded.of(START + found), MINUTES) for found in steps]
    whole = combine_activity(parts, MINUTES)
    for name in ("traded", "listed", "log_quiet"):
        scale = 1 if name == "traded" else 1440
        expected = np.zeros(whole.traded.size // scale)
        for part in parts:
            first = (part.start - whole.start) // scale
            expected[first : first + getattr(part, name).size] += getattr(part, name)
        np.testing.assert_array_equal(getattr(whole, name), expected)
    assert (whole.start, whole.traded.size) == (START, (40_000 // 1440 + 9) * 1440)


@pytest.mark.slow
def test_the_long_holes_of_the_real_candles_are_found_and_labels_are_kept(shared: Path) -> None:
    steps = {}
    for name in ("ltcusd", "btcusd", "eosusd"):
        text = pl.read_csv(shared / "bitfinex" / f"{name}.csv.gz", columns=["time"])
        steps[name] = text["time"].to_numpy() // 60_000
    activity = combine_activity([measure_activity(Traded.of(found), MINUTES) for found in steps.values()], MINUTES)
    gaps = find_gaps(Traded.of(steps["ltcusd"]), MINUTES, activity)
    for moment in ("2014-12-01", "2015-05-15", "2016-05-01", "2016-08-06"):
        at = pl.lit(moment).str.to_datetime(time_unit="ms", time_zone="UTC")
        found = gaps.filter((pl.col("start") < at) & (pl.col("end") > at) & (pl.col("kind") != "no_trade"))
        assert found["kind"].to_list() in (["hole"], ["outage"]), moment
    recent = gaps.filter((pl.col("start").dt.year() >= 2018) & (pl.col("kind") != "no_trade"))
    assert recent.height < 0.005 * steps["ltcusd"].size
