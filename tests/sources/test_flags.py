"""Candles that had not closed by what their rows say, with and without names of columns."""

import json

import pytest
from raw_files import START_MS, read, rows_of

COUNT = 60
NAMES = "time,open,high,low,close,volume"


def make(flags: list[str], *, is_twice: bool = False) -> list[list[object]]:
    """Return a row for each flag, or for each two of them, which stands last."""
    rows: list[list[object]] = []
    price = 100.0
    for step in range(len(flags) // (1 + is_twice)):
        opens, close = price + 0.01, price + (0.7 if step % 3 else -1.1)
        values = (opens, max(opens, close) + 0.3, min(opens, close) - 0.3, close, 3.5 + step % 11)
        row = [START_MS + step * 60_000, *(round(value, 4) for value in values)]
        rows += [[*row, flags[place]] for place in range(step * (1 + is_twice), (step + 1) * (1 + is_twice))]
        price = close
    return rows


def join(rows: list[list[object]], header: str = "") -> bytes:
    return "".join(f"{line}\n" for line in [header, *(",".join(map(str, row)) for row in rows)] if line).encode()


def count(content: bytes, source: str = "ltcusd.csv") -> tuple[int, int]:
    """Return how many candles are kept, and how many are refused as not closed."""
    found = read(content, source)
    reasons = found.rejects["reasons"].to_list()
    return rows_of(found).height, reasons.count(["not_closed"])


@pytest.mark.parametrize("name", ["confirm", "is_closed", "Complete", "x", "isFinal"])
@pytest.mark.parametrize("texts", [("1", "0"), ("true", "false"), ("t", "f"), ("Y", "N"), ("yes", "no")])
def test_a_column_that_says_that_a_candle_closed_is_heeded(name, texts):
    flags = [*[texts[0]] * (COUNT - 1), texts[1]]
    assert count(join(make(flags), f"{NAMES},{name}")) == (COUNT - 1, 1)


@pytest.mark.parametrize("name", ["is_open", "partial", "unfinished", "isPartial", "in_progress"])
@pytest.mark.parametrize("texts", [("1", "0"), ("true", "false"), ("t", "f")])
def test_a_column_that_says_that_a_candle_is_open_is_heeded(name, texts):
    flags = [*[texts[1]] * (COUNT - 1), texts[0]]
    assert count(join(make(flags), f"{NAMES},{name}")) == (COUNT - 1, 1)


def test_a_market_that_is_open_is_no_open_candle():
    assert count(join(make(["1"] * COUNT), f"{NAMES},is_open")) == (COUNT, 0)


@pytest.mark.parametrize("is_descending", [False, True])
@pytest.mark.parametrize("form", ["csv", "json", "json of texts"])
def test_ones_and_a_zero_for_the_newest_candle_need_no_name(form, is_descending):
    rows = make([*["1"] * (COUNT - 1), "0"])
    rows = rows[::-1] if is_descending else rows
    if form == "csv":
        assert count(join(rows)) == (COUNT - 1, 1)
        return
    written = [[str(value) for value in row] if "texts" in form else [*row[:-1], int(str(row[-1]))] for row in rows]
    assert count(json.dumps({"code": "0", "data": written}).encode(), "ltcusd.json") == (COUNT - 1, 1)


def test_a_candle_that_is_written_again_once_it_closed_needs_no_name():
    content = join(make(["0", "1"] * COUNT, is_twice=True))
    assert count(content) == (COUNT, COUNT)


def test_a_zero_far_behind_the_first_rows_is_heeded():
    rows = make([*["1"] * 4999, "0"])  # more rows than are looked at first
    assert count(join(rows)) == (len(rows) - 1, 1)


@pytest.mark.parametrize("flags", [["1", "0"] * (COUNT // 2), ["0"] * COUNT, [*["1"] * 30, "0", *["1"] * 29]])
def test_other_ones_and_zeros_are_no_flags(flags):
    assert count(join(make(flags))) == (COUNT, 0)


def test_a_volume_that_is_one_is_a_volume():
    rows = [[*row[:5], 1] for row in make(["1"] * COUNT)]
    found = read(join(rows))
    assert rows_of(found)["volume"].to_list() == [1.0] * COUNT
