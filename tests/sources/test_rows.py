"""Rows by month: the same from memory as from the folder, and settled a month at a time as at once."""

import datetime as dt
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from raw_files import HEADER, MODIFIED, line, read, settle

from chandlery.candles.clean import KeptFile
from chandlery.sources.files import FileRows
from chandlery.sources.rows import MonthRows, Room

MONTH_STEPS = 31 * 1440


def make_rows(steps: np.ndarray) -> pl.DataFrame:
    times = pl.Series("open_time", steps * 60_000).cast(pl.Datetime("ms", "UTC"))
    return pl.DataFrame({"row": np.arange(steps.size), "open_time": times, "close": steps * 1.0})


@pytest.mark.parametrize("limit", [0, 20_000, 10**9])
def test_rows_come_back_in_the_order_in_which_they_were_added(limit: int) -> None:
    steps = np.random.default_rng(0).permutation(np.arange(0, 300_000, 100))
    with Room(limit) as room:
        rows = MonthRows(room)
        for first in range(0, steps.size, 500):
            rows.add(make_rows(steps)[first : first + 500])
        assert room.is_full == (limit < 10**9)
        assert (rows.height, rows.first_ms, rows.last_ms) == (3_000, 0, 299_900 * 60_000)
        assert rows.months == list(range(7))
        for month in rows.months:
            expected = make_rows(steps).filter(pl.col("open_time").dt.month() == month + 1)
            assert_frame_equal(rows.take([month]), expected)


def test_the_folder_goes_with_the_room() -> None:
    with Room(0) as room:
        MonthRows(room).add(make_rows(np.arange(10)))
        folder = room._folder
        assert isinstance(folder, Path)
        assert list(folder.iterdir())
    assert not folder.exists()


def test_a_room_is_shared_and_given_back() -> None:
    size = int(make_rows(np.arange(1_000)).estimated_size())
    with Room(3 * size) as room:
        first, second = MonthRows(room), MonthRows(room)
        first.add(make_rows(np.arange(1_000)))
        second.add(make_rows(np.arange(1_000)))
        assert not room.is_full
        second.add(make_rows(np.arange(2_000)))
        assert room.is_full
        first.add(make_rows(np.arange(1_000, 2_000)))
        assert len(first._held[0]) == 2
        assert first.height == 2_000
        assert second.height == 3_000


def files_of_two_months(room: Room) -> list[FileRows]:
    """Two files with duplicates, other versions and disorder, on both sides of the end of January 2019."""
    days = [*range(MONTH_STEPS - 40, MONTH_STEPS + 40)]
    one = b"".join(map(line, [*reversed(days), *days[10:20]])) + line(MONTH_STEPS + 3, price=11) + b"x,1,1,1,1,1\n"
    two = b"".join(line(step, price=10 + (step % 7 == 0)) for step in days[20:60])
    settings = {"max_rejected_share": 1.0}
    return [
        read(
            HEADER + text,
            f"{name}/ltcusd.csv",
            settings=settings,
            room=room,
            modified_at=MODIFIED + dt.timedelta(hours=hour),
        )
        for hour, (name, text) in enumerate((("a", one), ("b", two)))
    ]


@pytest.mark.parametrize("limit", [0, 10**9])
def test_settled_by_month_is_settled_at_once(limit: int) -> None:
    with Room(limit) as room, Room() as other:
        whole = settle(files_of_two_months(other), [])
        gone = KeptFile(
            *(frame.filter(source="a/ltcusd.csv") for frame in (whole.ledger, whole.candles, whole.rejects))
        )
        by_month = settle(files_of_two_months(room), [], by_month=True)
        for name in ("candles", "rejects", "ledger"):
            assert_frame_equal(getattr(by_month, name), getattr(whole, name))
        assert whole.ledger["rows_superseded"].sum() > 0
        assert whole.ledger["rows_identical"].sum() > 0
        kept, again = (
            settle(files_of_two_months(place)[1:], [gone], by_month=by_month)
            for place, by_month in ((other, False), (room, True))
        )
        for name in ("candles", "rejects", "ledger"):
            assert_frame_equal(getattr(again, name), getattr(kept, name))
