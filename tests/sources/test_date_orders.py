"""Dates such as 01/01 do not tell whether the day comes first: rows further on in the file do."""

import io
import itertools
import json
from collections.abc import Callable, Sequence

import numpy as np
import polars as pl
import pytest
from raw_files import START_MS, read, rows_of

from chandlery.settings.model import SourceSettings
from chandlery.sources.doubts import UndecidedError
from chandlery.sources.texts import Text

STEPS = 4 * 1440  # minutes from the first of January on: the first rows, by which a file is recognised, lie on that day
FORMATS = {"dmy": "%d/%m/%Y %H:%M", "mdy": "%m/%d/%Y %H:%M"}
NAMES = ("time", "open", "high", "low", "close", "volume")
Row = tuple[str, float, float, float, float, float]


def make_rows(order: str, steps: Sequence[int]) -> list[Row]:
    texts = pl.Series(steps, dtype=pl.Int64) * 60_000 + START_MS
    shown = texts.cast(pl.Datetime("ms")).dt.to_string(FORMATS[order]).to_list()
    return [
        (text, 1000 + step % 7, 1008 + step % 2, 999 - step % 2, 1000 + (step + 1) % 7, 1.5)
        for text, step in zip(shown, steps, strict=True)
    ]


def write_csv(rows: list[Row]) -> bytes:
    return "\n".join([",".join(NAMES), *(",".join(map(str, row)) for row in rows), ""]).encode()


def write_two_columns(rows: list[Row]) -> bytes:
    lines = [",".join((*row[0].split(), *map(str, row[1:]))) for row in rows]
    return "\n".join([",".join(("date", *NAMES)), *lines, ""]).encode()


def write_document(rows: list[Row]) -> bytes:
    return json.dumps([dict(zip(NAMES, row, strict=True)) for row in rows]).encode()


def write_lines(rows: list[Row]) -> bytes:
    return "\n".join(json.dumps(dict(zip(NAMES, row, strict=True))) for row in rows).encode()


def write_deep(rows: list[Row]) -> bytes:
    return json.dumps({"result": {"LTCUSD": [list(row) for row in rows]}, "error": []}).encode()


def write_parquet(rows: list[Row]) -> bytes:
    out = io.BytesIO()
    pl.DataFrame(rows, schema=NAMES, orient="row").write_parquet(out)
    return out.getvalue()


WRITERS = (write_csv, write_two_columns, write_document, write_lines, write_deep, write_parquet)


@pytest.mark.parametrize("write", WRITERS, ids=lambda each: each.__name__)
@pytest.mark.parametrize(("order", "is_reversed"), list(itertools.product(FORMATS, (False, True))))
def test_later_rows_decide(order: str, is_reversed: bool, write: Callable[[list[Row]], bytes]) -> None:  # noqa: FBT001
    # Reversed files begin on the last minute of the day whose number is that of its month.
    steps = range(STEPS) if not is_reversed else range(1439, 1439 - STEPS, -1)
    name = "ltcusd.parquet" if write is write_parquet else "ltcusd.json" if "json" in write.__code__.co_names else ""
    file = read(write(make_rows(order, steps)), name or "ltcusd.csv", seconds=None)
    times = rows_of(file)["open_time"].cast(pl.Int64).to_list()
    assert times == [START_MS + step * 60_000 for step in steps]
    assert file.rejects.is_empty()
    assert file.decisions["time_format"].value == order
    assert f"text, {'day' if order == 'dmy' else 'month'} first" in file.layout_words


@pytest.mark.parametrize("order", FORMATS)
def test_rows_of_several_symbols_decide_together(order: str) -> None:
    steps = range(STEPS)
    rows = [f"{','.join(map(str, row))},{base}USD" for base in ("LTC", "ETH") for row in make_rows(order, steps)]
    content = "\n".join([",".join((*NAMES, "symbol")), *rows, ""]).encode()
    _, layout = Text(io.BytesIO(content), "1m.csv", None, SourceSettings()).peek()
    assert layout.time.form == order


@pytest.mark.parametrize("order", FORMATS)
def test_a_day_that_reads_the_same_in_each_order(order: str) -> None:
    file = read(write_csv(make_rows(order, range(1440))), seconds=None)
    assert rows_of(file).height == 1440


def test_a_zone_does_not_move_the_evidence() -> None:
    file = read(write_csv(make_rows("mdy", range(STEPS))), seconds=None, layout={"timezone": "Asia/Tokyo"})
    assert rows_of(file)["open_time"].cast(pl.Int64).to_list()[-1] == START_MS + (STEPS - 1 - 540) * 60_000


@pytest.mark.parametrize("order", FORMATS)
def test_a_second_day_far_behind_that_one_order_cannot_read(order: str) -> None:
    # Rows that cannot be read are read in smaller pieces: the two orders cut the same text in different places.
    steps = [*range(1440)] * 60 + list(range(363 * 1440, 363 * 1440 + 1440))  # the 30th of December
    _, layout = Text(io.BytesIO(write_csv(make_rows(order, steps))), "1m.csv", None, SourceSettings()).peek()
    assert layout.time.form == order


def test_rows_without_an_order_are_refused_with_the_settings_that_decide() -> None:
    later = 33 * 1440  # the third of February, or the second of March
    content = write_csv(make_rows("mdy", [*range(1440), *range(later, later + 1440)]))
    with pytest.raises(UndecidedError) as caught:
        read(content, seconds=None)
    assert caught.value.decision == "time_format"
    assert 'time_format = "dmy"' in str(caught.value)
    assert 'or "mdy"' in str(caught.value)
    read_by_hand = read(content, seconds=None, layout={"time_format": "mdy"})
    assert rows_of(read_by_hand).height == 2 * 1440


def test_shuffled_rows_of_a_few_days_decide() -> None:
    steps = [*range(1440), *(1440 + np.random.default_rng(1).permutation(STEPS)).tolist()]
    assert read(write_csv(make_rows("mdy", steps)), seconds=None).decisions["time_format"].value == "mdy"
