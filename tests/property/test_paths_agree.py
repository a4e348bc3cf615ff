import json
import re

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from raw_files import HEADER, MODIFIED, START_MS, line, read, settle

from chandlery.grid import Grid
from chandlery.sources.around import Around
from chandlery.sources.layout import Layout
from chandlery.sources.parse import Batch, parse_elements, parse_fields, parse_json_lines
from chandlery.sources.rules import judge
from chandlery.sources.times import TimeForm

PLACES = (0, 1, 3, 4, 2, 5)
MS = TimeForm("epoch", "ms")
TEXT = Layout("fields", PLACES, MS, "", width=6)
NOTHING = Around([], [])
numbers = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False, width=64).map(repr),
    st.floats(min_value=1e-8, max_value=1e8).map(lambda value: f"{value:.8f}"),
    st.integers(-10, 10**6).map(str),
    st.sampled_from(["0", "-0", "1e5", "1E-5", "+3", ".5", "7.", "nan", "NaN", "inf", "-Infinity", "1e400", "1e-400"]),
)
odd = st.one_of(
    st.sampled_from(
        [
            "",
            " ",
            "null",
            "abc",
            "1_0",
            "0x1",
            "1e",
            "--1",
            "1.2.3",
            "true",
            '"5"',
            '"',
            " 4 ",
            "4 4",
            "٣",
            "5,",
            "\x0b",
        ]
    ),
    st.text(max_size=4).filter(lambda text: not re.search(r"[\n\r]", text)),
)
times = st.one_of(
    st.integers(0, 10_000).map(lambda step: str(START_MS + step * 60_000)),
    st.integers(-(2**65), 2**65).map(str),
    st.floats(0, 2e12).map(repr),
    odd,
)
rows = st.tuples(times, *[st.one_of(numbers, numbers, numbers, odd)] * 5).map(",".join)
plain_rows = st.tuples(times, *[numbers] * 5).map(",".join)


def whole(batch: Batch) -> pl.DataFrame:
    fields = batch.fields.with_columns(row=pl.int_range(1, pl.len() + 1, dtype=pl.Int64))
    good, bad, late = judge(fields, Grid(1), MODIFIED)
    raw = batch.raw(bad["row"].to_numpy() - 1)
    return pl.concat([good, late, bad.with_columns(pl.Series("raw", raw, dtype=pl.String))], how="diagonal").sort("row")


@settings(deadline=None, max_examples=100)
@given(st.one_of(st.lists(plain_rows, min_size=1, max_size=5), st.lists(rows, min_size=1, max_size=5)))
def test_typed_and_lenient_reading_of_text_agree(texts):
    text = "\n".join(texts).encode("utf-8", "surrogatepass")
    assert_frame_equal(whole(parse_fields(text, TEXT)), whole(parse_fields(text, TEXT, lenient=True)), check_exact=True)


json_values = st.one_of(
    st.floats(),
    st.integers(-(2**70), 2**70),
    st.none(),
    st.booleans(),
    st.sampled_from(["1.5", "", "abc", "nan"]),
    st.just([1]),
    st.just({"a": 1}),
)
json_numbers = st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**60), 2**60))
json_times = st.one_of(
    st.integers(0, 10_000).map(lambda step: START_MS + step * 60_000), st.integers(-(2**62), 2**62), json_values
)
json_rows = st.one_of(
    st.tuples(st.integers(-(2**62), 2**62), *[json_numbers] * 5).map(list),
    st.tuples(json_times, *[st.one_of(json_numbers, json_values)] * 5).map(list),
    st.lists(json_numbers, max_size=8),
)


@settings(deadline=None, max_examples=100)
@given(st.lists(json_rows, min_size=1, max_size=4), st.booleans())
def test_typed_and_lenient_reading_of_json_agree(values, keyed):
    names = ("time", "open", "close", "high", "low", "volume")
    items = [dict(zip(names, value, strict=False)) for value in values] if keyed else values
    places = tuple(names[place] for place in PLACES) if keyed else PLACES
    document = Layout("document", places, MS, "", width=0 if keyed else 6)
    texts = [json.dumps(item) for item in items]
    joined, by_line = ", ".join(texts).encode(), "\n".join(texts).encode()
    lenient = whole(parse_elements(joined, document, NOTHING, lenient=True))
    assert_frame_equal(whole(parse_elements(joined, document, NOTHING)), lenient, check_exact=True)
    lines = Layout("lines", places, MS, "", width=0 if keyed else 6)
    assert_frame_equal(whole(parse_json_lines(by_line, lines)), lenient, check_exact=True)
    assert_frame_equal(whole(parse_json_lines(by_line, lines, lenient=True)), lenient, check_exact=True)
    assert lenient.filter(pl.col("raw").is_not_null())["raw"].to_list() == [
        texts[row - 1] for row in lenient.filter(pl.col("raw").is_not_null())["row"]
    ]


@settings(deadline=None, max_examples=100)
@given(
    st.lists(
        st.one_of(
            rows,
            st.tuples(st.integers(0, 5), st.sampled_from([10.0, 10.5])).map(
                lambda pair: line(pair[0], price=pair[1]).decode().rstrip()
            ),
        ),
        min_size=1,
        max_size=30,
    )
)
def test_every_row_is_accounted_for(texts):
    texts = [text for text in texts if text.strip()]
    content = HEADER + "".join(f"{text}\n" for text in [line(0).decode().rstrip()] * 40 + texts).encode(
        "utf-8", "replace"
    )
    cleaned = settle([read(content, layout={"interval": "1m"}, settings={"max_rejected_share": 1.0})], [])
    ledger = cleaned.ledger.row(0, named=True)
    assert ledger["rows_read"] == 40 + len(texts)
    assert cleaned.rejects.height == ledger["rows_superseded"] + ledger["rows_rejected"]
    assert cleaned.candles.height == ledger["rows_kept"]
