"""How a span is cut into blocks, where candles last longer than a day or less than a minute."""

import datetime as dt
from itertools import pairwise

from chandlery.grid import Grid
from chandlery.lake.handle import Lake
from chandlery.lake.lake_file import Series
from chandlery.lake.store import Store
from chandlery.state.checkpoints import Span
from chandlery.tasks.work import Rules, Work

DAY_SECONDS = 86_400
DAY_MS = 1_000 * DAY_SECONDS


def day(text: str) -> int:
    return (dt.date.fromisoformat(text) - dt.date(1970, 1, 1)).days


def make_work(grid: Grid, horizon: int, span: Span) -> Work:
    rules = Rules(grid.seconds, grid.offset, (horizon,), horizon, ("linear",), (), 60, 0, ())
    file = Series("bitfinex", "10080m", [horizon], ["linear"], [], "60d", 0, [], horizon, grid.offset)
    return Work(Lake(Store("unused"), file), span, rules, span.since, ())


def test_between_two_midnights_there_may_be_no_weekly_candle() -> None:
    mondays = Grid(7 * DAY_SECONDS, 4 * DAY_SECONDS)
    saves = (day("2019-01-03"), day("2019-01-05"))
    stop = day("2019-02-04")
    work = make_work(mondays, 10_080, Span(day("2018-12-31"), resumed=False, saves=saves, stop_ms=stop * DAY_MS))
    first = mondays.steps_of(day("2018-12-31") * DAY_MS)  # the five close on 7, 14, 21, 28 and 4
    found = [(block.start - first, block.stop - first, block.day, block.bucket, block.saves) for block in work.blocks()]
    assert found == [
        (0, 0, day("2019-01-01"), "2019-02", False),  # a month begins
        (0, 0, day("2019-01-03"), "2019-02", True),
        (0, 0, day("2019-01-05"), "2019-02", True),
        (0, 3, day("2019-01-25"), "2019-02", False),  # a week, the embargo, before the refit of February
        (3, 4, day("2019-02-01"), "2019-03", False),
        (4, 5, day("2019-02-04"), "2019-03", False),
    ]


def test_blocks_of_seconds_hold_no_more_steps_than_a_month_of_minutes() -> None:
    stop = day("2019-03-01")
    for seconds, most in ((1, 86_400), (15, 44_640), (60, 44_640)):
        grid = Grid(seconds)
        work = make_work(grid, 60, Span(day("2019-01-01"), resumed=False, saves=(), stop_ms=stop * DAY_MS))
        blocks = work.blocks()
        assert max(block.stop - block.start for block in blocks) <= most
        assert blocks[0].start == grid.step_at(day("2019-01-01"))
        assert blocks[-1].stop == grid.step_at(stop)
        assert all(one.stop == other.start for one, other in pairwise(blocks))
