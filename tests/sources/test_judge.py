import json

import pytest
from raw_files import HEADER, START_MS, lines, read, rows_of

from chandlery.schema import REASONS

T = START_MS
ROWS = [
    (f"{T},abc,10,11,9,1", ["unparseable"]),
    (f"{T},10,10,11,9", ["unparseable"]),
    (f"{T},10,10,11,9,1,7", ["unparseable"]),
    (f"{T},1_0,10,11,9,1", ["unparseable"]),
    (f'{T},"10,10,11,9,1', ["unparseable"]),
    ("soon,10,10,11,9,1", ["unparseable"]),
    (f"{T},10,,11,9,1", ["missing_value"]),
    (f"{T},10,null,11,9,1", ["missing_value"]),
    (",10,10,11,9,1", ["missing_value"]),
    (f"{T},10,10,11,9,nan", ["non_finite"]),
    (f"{T},10,10,inf,9,1", ["non_finite"]),
    (f"{T},10,10,1e999,9,1", ["non_finite"]),
    (f"{T},10,10,11,0,1", ["non_positive_price"]),
    (f"{T},10,10,11,-9,1", ["non_positive_price"]),
    (f"{T},10,10,11,9,-1", ["negative_volume"]),
    (f"{T},10,12,11,9,1", ["high_below_body"]),
    (f"{T},8,10,11,9,1", ["low_above_body"]),
    (f"{T},10,10,9,11,1", ["high_below_body", "low_above_body"]),
    (f"{T + 1},10,10,11,9,1", ["off_grid_time"]),
    ("946684800000,10,10,11,9,1", ["time_out_of_range"]),  # pragma: allowlist secret
    ("1767312060000,10,10,11,9,1", ["time_out_of_range"]),
    ("99999999999999999999999,10,10,11,9,1", ["off_grid_time", "time_out_of_range"]),
    (
        "-5,abc,,nan,-1,-1",
        [
            "unparseable",
            "missing_value",
            "non_finite",
            "non_positive_price",
            "negative_volume",
            "off_grid_time",
            "time_out_of_range",
        ],
    ),
]


@pytest.mark.parametrize(("text", "reasons"), ROWS)
def test_every_reason_that_holds_is_listed_with_the_exact_text(text, reasons):
    found = read(HEADER + lines(3, first=5) + text.encode() + b"\n")
    assert found.rejects.select("row", "raw", "reasons").rows() == [(4, text, reasons)]
    assert found.rows_read == 4


def test_every_reason_but_superseded_is_among_them():
    assert {reason for _, reasons in ROWS for reason in reasons} == REASONS.keys() - {"superseded", "not_closed"}


@pytest.mark.parametrize(
    "text",
    [
        f" {T} ,10, 10,11,9,1 ",
        f'"{T}","10","10","11","9","1"',
        f"{T},+10,1e1,11.,9,.5",
        f"{T},10,10,10,10,0",
        "1767312000000,10,10,11,9,1",
    ],
)
def test_odd_but_right_rows_are_accepted(text):
    found = read(HEADER + lines(3, first=5) + text.encode() + b"\n")
    assert found.rejects.height == 0
    assert rows_of(found).height == 4


JSON_ROWS = [
    ({"open": "abc"}, ["unparseable"]),
    ({"open": True}, ["unparseable"]),
    ({"open": [1]}, ["unparseable"]),
    ({"open": None}, ["missing_value"]),
    ({"open": ""}, ["missing_value"]),
    ({"open": float("nan")}, ["non_finite"]),
    ({"volume": float("inf")}, ["non_finite"]),
    ({"volume": -1, "low": 0}, ["non_positive_price", "negative_volume"]),
    ({"time": T + 500}, ["off_grid_time"]),
    ({"time": 2**70}, ["off_grid_time", "time_out_of_range"]),
]


@pytest.mark.parametrize(("change", "reasons"), JSON_ROWS)
@pytest.mark.parametrize("form", ["document", "lines"])
def test_reasons_of_json_rows(change, reasons, form):
    good = {"time": T, "open": 10, "close": 10, "high": 11, "low": 9, "volume": 1}
    texts = [
        json.dumps(good | {"time": T + 60_000}),
        json.dumps(good | change),
        json.dumps(good | {"time": T + 120_000}),
    ]
    content = "\n".join(texts) if form == "lines" else "[" + ", ".join(texts) + "]"
    found = read(content.encode(), "ltcusd.json")
    assert found.rejects.select("row", "raw", "reasons").rows() == [(2, texts[1], reasons)]


def test_missing_key_is_a_missing_value():
    good = {"time": T, "open": 10, "close": 10, "high": 11, "low": 9, "volume": 1}
    content = json.dumps([good, {name: value for name, value in good.items() if name != "low"}])
    assert read(content.encode(), "ltcusd.json").rejects["reasons"].to_list() == [["missing_value"]]


def test_unreadable_times_are_null_and_others_stand():
    found = read(HEADER + f"x,10,10,11,9,1\n{T},abc,10,11,9,1\n".encode() + lines(3, first=5))
    assert [time is None for time in found.rejects["open_time"]] == [True, False]
