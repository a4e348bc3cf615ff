"""Which interval a file's candles have: its own commonest spacing, or that of the symbol's other files, or none."""

import numpy as np
import pytest

from chandlery.grid import Grid
from chandlery.sources.grids import Decided, Seen, decide_grids
from chandlery.sources.spacing import describe_grid
from chandlery.units import parse_interval, to_interval_text

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
MONDAY = 4 * DAY  # 1970-01-05
HOURS = Seen(np.arange(300) * HOUR)


def every(spacing: int, count: int = 30, first: int = 0) -> Seen:
    return Seen(first + spacing * np.arange(count))


def decide(seen: Seen, others: dict[str, Seen] | None = None, known: dict[str, Grid] | None = None) -> Decided:
    return decide_grids({"a/x.csv": seen, **(others or {})}, known or {})["a/x.csv"]


@pytest.mark.parametrize(
    ("spacing", "first", "grid"),
    [
        (SECOND, 0, Grid(1)),
        (15 * SECOND, 30 * SECOND, Grid(15)),
        (90 * SECOND, 0, Grid(90)),
        (MINUTE, 0, Grid(60)),
        (7 * MINUTE, 3 * MINUTE, Grid(420, 180)),
        (HOUR, 30 * MINUTE, Grid(3_600, 1_800)),
        (DAY, 5 * HOUR, Grid(86_400, 18_000)),
        (3 * DAY, DAY, Grid(259_200, 86_400)),
        (7 * DAY, MONDAY, Grid(604_800, 345_600)),
    ],
)
@pytest.mark.parametrize("count", [4, 30, 300])
def test_the_commonest_spacing_is_the_interval(spacing: int, first: int, grid: Grid, count: int) -> None:
    assert decide(every(spacing, count, first)) == Decided(grid)
    assert parse_interval(to_interval_text(grid.seconds)) == grid.seconds


@pytest.mark.parametrize(
    ("spacing", "first", "why"),
    [
        (1_000 * SECOND, 0, "neither whole minutes nor a part of an hour"),
        (MINUTE, 40 * SECOND, "40 s after each full 1m, where no candle opens"),
        (DAY, DAY - 20 * SECOND, "40 s after a full minute.* ends of candles"),
        (30 * DAY, 0, "months are not of equal length"),
        (14 * DAY, 0, "14 days apart, and a week is the longest"),
    ],
)
def test_what_no_candle_can_be_is_refused_with_the_reason(spacing: int, first: int, why: str) -> None:
    found = decide(every(spacing, first=first))
    assert found.grid is None
    with pytest.raises(Exception, match=f"(?s)a/x.csv: .*{why}.*(source.layout|source. exclude)"):
        raise found.error or AssertionError


def test_months_of_the_calendar_are_refused_by_name() -> None:
    months = np.arange("2019-01", "2022-01", dtype="datetime64[M]").astype("datetime64[ms]").astype(np.int64)
    assert "month" in str(decide(Seen(months)).error)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_file_of_few_rows_has_the_interval_of_the_others_or_none(count: int) -> None:
    few = every(24 * HOUR, count)
    assert decide(few, {"b/y.csv": HOURS}) == Decided(Grid(3_600))
    assert decide(few, known={"b/y.csv": Grid(3_600)}) == Decided(Grid(3_600))
    assert decide(few).grid is None
    assert "shows no interval" in str(decide(few).error)
    off = Seen(few.times + 5 * MINUTE)
    assert "do not fit candles of 60m" in str(decide(off, known={"b/y.csv": Grid(3_600)}).error)


def test_of_two_intervals_that_of_the_folder_is_taken_and_without_one_none() -> None:
    one = every(DAY, 1)
    minutes = Seen(np.arange(300) * MINUTE)
    assert decide(one, {"a/y.csv": HOURS, "b/z.csv": minutes}) == Decided(Grid(3_600))
    assert "fit candles of 1m and 60m" in str(decide(one, {"b/y.csv": HOURS, "c/z.csv": minutes}).error)


def test_files_that_the_lake_has_tell_of_their_folder_as_new_ones_do() -> None:
    known = {"a/y.csv": Grid(3_600), "b/z.csv": Grid(60)}
    assert decide(every(DAY, 1), known=known) == Decided(Grid(3_600))
    assert decide(every(DAY, 1), {"a/y.csv": HOURS}, {"b/z.csv": Grid(60)}) == Decided(Grid(3_600))


def test_files_of_one_row_each_are_looked_at_together() -> None:
    files = {f"a/{day}.csv": every(DAY, 1, day * DAY) for day in range(5)}
    assert set(decide_grids(files, {}).values()) == {Decided(Grid(86_400))}


def test_a_silence_of_days_is_no_interval_where_others_show_one() -> None:
    thin = Seen(np.array([0, 8, 17, 25]) * DAY)
    assert decide(thin, known={"b/y.csv": Grid(3_600)}) == Decided(Grid(3_600))
    assert decide(thin).grid is None


@pytest.mark.parametrize("share", [0.02, 0.05, 0.3, 0.9])
@pytest.mark.parametrize("step", [MINUTE, 15 * MINUTE])
@pytest.mark.parametrize("seed", range(10))
def test_a_pair_that_trades_seldom_shows_its_interval(share: float, step: int, seed: int) -> None:
    apart = np.random.default_rng(seed).geometric(share, 2_500)  # steps from one trade to the next
    assert decide(Seen(np.cumsum(apart) * step)) == Decided(Grid(step // SECOND))


@pytest.mark.parametrize("shorter", [500, 900, 980])
def test_candles_of_two_intervals_in_one_file_are_refused(shorter: int) -> None:
    hours = np.arange(1_000) * HOUR
    five = hours[-1] + np.arange(1, shorter) * 5 * MINUTE
    assert "shows no interval" in str(decide(Seen(np.concatenate([hours, five]))).error)


def test_rows_between_the_candles_are_not_taken_for_shorter_ones() -> None:
    hours = np.cumsum(np.random.default_rng(1).geometric(0.1, 2_000)) * HOUR
    stray = hours[:8] + MINUTE
    assert decide(Seen(np.concatenate([hours, stray]))) == Decided(Grid(3_600))


def test_an_interval_that_is_set_by_hand_holds() -> None:
    assert decide(Seen(np.cumsum(np.arange(2, 40)) * HOUR, given=60)) == Decided(Grid(60))
    assert "its times are 60m apart" in str(decide(Seen(HOURS.times, given=60)).error)
    assert decide(Seen(np.arange(10) * 7 * DAY + MONDAY, given=604_800)) == Decided(Grid(604_800, 345_600))


def test_grids_in_words() -> None:
    assert describe_grid(Grid(604_800, 345_600)) == "10080m that open on Monday"


def test_the_hint_of_a_refused_file_says_where_its_layout_belongs() -> None:
    error = decide(every(HOUR, 1)).error
    assert error is not None
    assert '[[source.layout]]\nfiles = "a/x.csv"\ninterval = "' in error.hint
