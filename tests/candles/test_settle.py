import datetime as dt

import polars as pl
import pytest
from raw_files import HEADER, MODIFIED, START_MS, line, lines, raw_file, read, settle

from chandlery.candles.clean import KeptFile, refuse
from chandlery.errors import LawError, SourceError, StoreUnavailableError
from chandlery.schema import Candles, Ledger, Rejects

COUNTS = ("rows_read", "rows_kept", "rows_identical", "rows_superseded", "rows_rejected")


def counts(cleaned, source=None):
    ledger = cleaned.ledger if source is None else cleaned.ledger.filter(source=source)
    return ledger.select(COUNTS).row(0)


def check(cleaned):
    Candles.validate(cleaned.candles)
    Rejects.validate(cleaned.rejects)
    Ledger.validate(cleaned.ledger)
    assert cleaned.candles["open_time"].is_sorted()
    assert cleaned.candles["open_time"].is_unique().all()


def test_clean_file_is_kept_whole():
    cleaned = settle([read(HEADER + lines(300))], [])
    check(cleaned)
    assert counts(cleaned) == (300, 300, 0, 0, 0)
    assert cleaned.candles.select("exchange", "symbol", "year", "interval", "source").unique().rows() == [
        ("bitfinex", "LTCUSD", 2019, "1m", "ltcusd.csv")
    ]


def test_identical_rows_are_counted_and_not_rejected():
    cleaned = settle([read(HEADER + line(0) + line(1) + line(0) + line(0).replace(b"1.5", b"1.50"))], [])
    check(cleaned)
    assert counts(cleaned) == (4, 2, 2, 0, 0)
    assert cleaned.rejects.height == 0


def test_later_row_of_a_file_supersedes_an_earlier_one():
    cleaned = settle([read(HEADER + line(0, price=10) + line(1) + line(0, price=10.05))], [])
    check(cleaned)
    assert counts(cleaned) == (3, 2, 0, 1, 0)
    assert cleaned.candles["open"].to_list() == [10.05, 10.0]
    assert cleaned.rejects.select("row", "raw", "open_time", pl.col("reasons").cast(pl.List(pl.String))).rows() == [
        (1, line(0, price=10).decode().rstrip(), dt.datetime.fromtimestamp(START_MS / 1000, dt.UTC), ["superseded"])
    ]


def test_disorder_is_put_in_order():
    cleaned = settle([read(HEADER + line(5) + line(1) + line(3))], [])
    check(cleaned)
    assert counts(cleaned) == (3, 3, 0, 0, 0)


@pytest.mark.parametrize(("later", "price"), [("a", 20.0), ("b", 30.0), (None, 30.0)])
def test_of_two_files_the_later_modified_stays_then_the_greater_source(later, price):
    files = {
        name: read(
            HEADER + line(0, price=value) + line(1),
            f"{name}/ltcusd.csv",
            modified_at=MODIFIED + dt.timedelta(hours=name == later),
        )
        for name, value in (("a", 20.0), ("b", 30.0))
    }
    for order in (("a", "b"), ("b", "a")):
        cleaned = settle([files[name] for name in order], [])
        check(cleaned)
        assert cleaned.candles["open"].to_list() == [price, 10.0]
        winner = "a" if price == 20 else "b"
        loser = "b" if winner == "a" else "a"
        assert counts(cleaned, f"{winner}/ltcusd.csv") == (2, 2, 0, 0, 0)
        assert counts(cleaned, f"{loser}/ltcusd.csv") == (2, 0, 1, 1, 0)
        assert cleaned.rejects["source"].to_list() == [f"{loser}/ltcusd.csv"]


def test_superseded_row_stands_beside_those_rejected_for_themselves():
    content = HEADER + line(0) + b"x,1,1,1,1,1\n" + line(0, price=10.1)
    cleaned = settle([read(content, settings={"max_rejected_share": 1.0})], [])
    check(cleaned)
    assert counts(cleaned) == (3, 1, 0, 1, 1)
    assert cleaned.rejects["row"].to_list() == [1, 2]


def test_file_that_is_gone_keeps_its_candles_until_another_version_comes():
    old = settle([read(HEADER + b"x,1,1,1,1,1\n" + line(0, price=20) + line(1) + line(2), "old/ltcusd.csv")], [])
    gone = KeptFile(old.ledger, old.candles, old.rejects)
    alone = settle([], [gone])
    check(alone)
    assert alone.candles.equals(old.candles)
    assert alone.ledger["present"].to_list() == [False]
    new = read(HEADER + line(0, price=30) + line(1), "new/ltcusd.csv", modified_at=MODIFIED + dt.timedelta(hours=1))
    both = settle([new], [gone])
    check(both)
    assert both.candles["open"].to_list() == [30.0, 10.0, 10.0]
    assert counts(both, "new/ltcusd.csv") == (2, 2, 0, 0, 0)
    assert counts(both, "old/ltcusd.csv") == (4, 1, 1, 1, 1)
    again = settle(
        [new],
        [
            KeptFile(
                both.ledger.filter(source="old/ltcusd.csv"),
                both.candles.filter(source="old/ltcusd.csv"),
                both.rejects.filter(source="old/ltcusd.csv"),
            )
        ],
    )
    check(again)
    assert counts(again, "old/ltcusd.csv") == (4, 1, 1, 1, 1)


def test_a_row_that_is_unaccounted_for_breaks_the_law():
    file = read(HEADER + lines(5))
    file.rows_read += 1
    with pytest.raises(LawError, match="6 rows read, 5 kept"):
        settle([file], [])


def test_file_that_changed_since_it_was_read_is_refused():
    file = read(HEADER + line(0, price=10) + line(0, price=10.1))
    file._text._stream.truncate(len(HEADER))
    with pytest.raises(StoreUnavailableError):
        settle([file], [])


def test_refused_file_has_a_row_in_the_ledger():
    ledger = refuse(
        raw_file(b"", "2019.csv"),
        SourceError("2019.csv is empty", "candles", "remove it"),
        {"exchange": "bitfinex", "interval": "1m", "symbol": "UNKNOWN"},
    )
    Ledger.validate(ledger)
    assert ledger.select("symbol", "status", "problem", *COUNTS).row(0) == (
        "UNKNOWN",
        "refused",
        "2019.csv is empty; expected candles. Hint: remove it",
        0,
        0,
        0,
        0,
        0,
    )


def test_nothing_makes_empty_tables():
    cleaned = settle([], [])
    check(cleaned)


def test_file_of_refused_rows_alone_has_no_candle():
    cleaned = settle([read(HEADER + b"1546300800000,1,1,1,0,1\n" * 3)], [])
    check(cleaned)
    assert counts(cleaned) == (3, 0, 0, 0, 3)
    assert cleaned.ledger.select("first_time", "last_time").row(0) == (None, None)
