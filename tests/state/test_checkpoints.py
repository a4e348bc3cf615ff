"""Which checkpoint a run may resume from: decided by what it rests on, and by nothing else."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hours import START_MS
from hypothesis import given, settings
from hypothesis import strategies as st

from chandlery.grid import Grid
from chandlery.state.checkpoints import (
    Marked,
    Past,
    choose_kept,
    combine_marks,
    digest_days,
    lead_days,
    mark_past,
    plan_span,
    restart_day,
    select_days,
)

DAY_MS = 86_400_000
FIRST = 17_900


def make_past(**changes: object) -> Past:
    """Return a past of 100 days, with other fields where they are given."""
    past = Past(
        np.arange(FIRST, FIRST + 100, dtype=np.int32),
        np.arange(100, dtype=np.uint64),
        np.array([[(FIRST + 10) * 24, (FIRST + 11) * 24]]),
        (FIRST + 100) * DAY_MS,
    )
    return replace(past, **changes)  # type: ignore[arg-type]


def mark(past: Past, day: int, lead: int = 1) -> str:
    return mark_past(past, day, lead, Grid(3600))


def make_marked(symbol: str, past: Past, days: tuple[int, ...], lead: int = 1) -> Marked:
    marks = {day: mark(past, day, lead) for day in days}
    return Marked(symbol, "", int(past.days[0]), past.newest_ms, marks)


@pytest.mark.parametrize(("offset", "differs"), [(0, True), (49, True), (50, True), (51, False), (99, False)])
def test_a_mark_covers_the_days_up_to_a_lead_after_it(offset: int, differs: bool) -> None:  # noqa: FBT001
    past = make_past()
    digests = past.digests.copy()
    digests[offset] += 1
    other = make_past(digests=digests)
    assert (mark(past, FIRST + 50) != mark(other, FIRST + 50)) == differs
    gone = make_past(days=np.delete(past.days, offset), digests=np.delete(past.digests, offset))
    assert (mark(past, FIRST + 50) != mark(gone, FIRST + 50)) == differs


@pytest.mark.parametrize(("step", "differs"), [((FIRST + 51) * 24 - 1, True), ((FIRST + 51) * 24, False)])
def test_a_mark_covers_the_barriers_that_begin_there(step: int, differs: bool) -> None:  # noqa: FBT001
    past = make_past()
    other = make_past(barriers=np.vstack([past.barriers, [[step, step + 5]]]))
    assert (mark(past, FIRST + 50) != mark(other, FIRST + 50)) == differs


def test_a_mark_tells_whether_labels_up_to_there_are_known() -> None:
    edge = (FIRST + 51) * DAY_MS
    known, unknown, later = (mark(make_past(newest_ms=ms), FIRST + 50) for ms in (edge, edge - 1, edge + DAY_MS * 20))
    assert known != unknown
    assert known == later


def test_a_symbol_that_begins_later_leaves_no_trace() -> None:
    days = (FIRST + 50,)
    late = make_past(days=np.array([FIRST + 51], np.int32), digests=np.ones(1, np.uint64))
    one = {"A": make_marked("A", make_past(), days)}
    both = one | {"B": make_marked("B", late, days)}
    assert combine_marks("base", one, days[0]) == combine_marks("base", both, days[0])
    assert combine_marks("base", one, days[0]) != combine_marks("other", one, days[0])
    renamed = {"C": make_marked("C", make_past(), days)}
    assert combine_marks("base", one, days[0]) != combine_marks("base", renamed, days[0])


def test_a_run_resumes_from_the_newest_checkpoint_that_holds() -> None:
    past = make_past()
    held_days = (FIRST + 30, FIRST + 60, FIRST + 99)
    days = select_days(FIRST, [past.newest_ms], 1, held_days)
    pasts = {"A": make_marked("A", past, days)}
    held = {day: combine_marks("base", pasts, day) for day in held_days}
    assert plan_span("base", pasts, 1, held).since == FIRST + 99
    changed = past.digests.copy()
    changed[45] += 1
    other = {"A": make_marked("A", make_past(digests=changed), days)}
    span = plan_span("base", other, 1, held)
    assert (span.since, span.resumed) == (FIRST + 30, True)
    assert span.saves[-1] == FIRST + 99
    assert not plan_span("another", pasts, 1, held).resumed
    assert plan_span("another", pasts, 1, held).since == FIRST
    assert not plan_span("base", pasts, 1, dict.fromkeys(held_days, "something else")).resumed


def test_a_checkpoint_beyond_the_last_known_label_is_not_resumed_from() -> None:
    past = make_past()
    days = (FIRST + 50, FIRST + 99, FIRST + 100)
    pasts = {"A": make_marked("A", past, days)}
    held = {day: combine_marks("base", pasts, day) for day in days}
    assert plan_span("base", pasts, 1, held).since == FIRST + 99


@pytest.mark.parametrize(("behind", "restart"), [(0, 99), (3, 96), (6, 93), (7, 99), (40, 99)])
def test_a_symbol_that_fell_silent_holds_a_run_back_for_a_week(behind: int, restart: int) -> None:
    newest = [(FIRST + 100) * DAY_MS, (FIRST + 100 - behind) * DAY_MS]
    assert restart_day(newest, 1) == FIRST + restart


@given(st.sets(st.integers(17_000, 18_000), min_size=1, max_size=60))
@settings(max_examples=100, deadline=None)
def test_what_is_kept_is_little_and_reaches_back(days: set[int]) -> None:
    kept = choose_kept(days)
    assert kept <= days
    assert max(days) in kept
    assert choose_kept(kept) == kept  # keeping again drops nothing more
    assert len(kept) <= 1 + 6 + 2 * 5 + 1


def test_a_daily_run_keeps_few_checkpoints() -> None:
    kept: set[int] = set()
    for day in range(18_300, 18_500):
        kept = choose_kept({*kept, day})
        assert {day} <= kept
        assert len(kept) <= 1 + 2 * 5 + 1  # the newest, two for each age, and the first of July


@pytest.mark.parametrize(("reach", "lead"), [(60, 1), (1440, 1), (1441, 2), (10_080, 7)])
def test_the_lead_is_the_longest_label_in_whole_days(reach: int, lead: int) -> None:
    assert lead_days(reach) == lead


@pytest.mark.parametrize("column", ["open_time", "open", "high", "low", "close", "volume"])
def test_a_day_has_another_digest_once_one_value_differs(column: str) -> None:
    times = pl.Series([START_MS + 3_600_000 * step for step in range(48)]).cast(pl.Datetime("ms", "UTC"))
    values = {name: [10.0 + step % 5 for step in range(48)] for name in ("open", "high", "low", "close", "volume")}
    candles = pl.DataFrame({"open_time": times, **values})
    changed = pl.col(column).dt.offset_by("1m") if column == "open_time" else pl.col(column) + 1e-9
    chosen = pl.when(pl.int_range(pl.len()) == 30).then(changed).otherwise(pl.col(column))
    other = candles.with_columns(chosen.alias(column))
    (days, one), (_, two) = digest_days(candles), digest_days(other)
    assert days.tolist() == [START_MS // DAY_MS, START_MS // DAY_MS + 1]
    assert (one == two).tolist() == [True, False]


def test_swapped_values_have_another_digest() -> None:
    times = pl.Series([START_MS, START_MS + 60_000]).cast(pl.Datetime("ms", "UTC"))
    values = {name: [1.0, 2.0] for name in ("open", "high", "low", "close", "volume")}
    candles = pl.DataFrame({"open_time": times, **values})
    digests = {
        digest_days(frame)[1].tobytes()
        for frame in (
            candles,
            candles.with_columns(open=pl.Series([2.0, 1.0])),
            candles.with_columns(close=pl.Series([2.0, 1.0])),
            candles.with_columns(open=pl.Series([2.0, 1.0]), close=pl.Series([2.0, 1.0])),
        )
    }
    assert len(digests) == 4
