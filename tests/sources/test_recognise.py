import datetime as dt
import json
import tomllib
from pathlib import Path

import pytest
from raw_files import HEADER, START_MS, find_grid, line, lines, raw_file, read, rows_of

from chandlery.errors import SourceError
from chandlery.grid import Grid
from chandlery.settings.model import LayoutSettings, SourceSettings
from chandlery.sources.doubts import UndecidedError
from chandlery.sources.files import read_file
from chandlery.sources.symbols import match_layout

LAYOUTS = Path(__file__).parents[3] / "shared" / "data" / "layouts"
SEVEN = {  # file: rows, interval, first time, open, high, low, close, volume of the first row
    "BSV_1541600000000_1542199940000_USD.csv": (649, 1, "2018-11-13 10:39", 10000.0, 10000.0, 10000.0, 10000.0, 0.001),
    "binance_LTC_USDT-1m.json": (3000, 1, "2021-05-15 15:24", 316.14, 316.32, 315.59, 315.7, 1110.5695),
    "bitfinex_LTC_30m_dated.csv": (2000, 30, "2017-10-01 00:00", 55.56, 55.892, 55.482, 55.688, 4796.95590674),
    "bitfinex_api_tLTCUSD.json": (120, 1, "2018-01-01 00:00", 225.68, 225.68, 225.09, 225.15, 51.07750912),
    "bitstamp_btcusd_1m.csv.gz": (3000, 1, "2026-08-17 00:00", 62831.65, 62831.65, 62830.32, 62830.33, 0.00336376),
    "bybit_BTCUSDT_1m.csv": (3000, 1, "2025-05-29 19:00", 105796.0, 105911.5, 105796.0, 105874.0, 277.448),
    "yahoo_LTC-USD_1m.csv": (
        3000,
        1,
        "2025-01-13 00:00",
        102.33152770996094,
        102.33152770996094,
        102.33152770996094,
        102.33152770996094,
        0.0,
    ),
}


@pytest.mark.shared
@pytest.mark.parametrize("name", SEVEN)
def test_collectors_layouts_are_read_right(name):
    path = LAYOUTS / name
    if not path.exists():
        pytest.skip("the shared data are not beside the repository")
    rows, interval, first, *values = SEVEN[name]
    raw = raw_file(path.read_bytes(), name, modified_at=dt.datetime(2026, 12, 1, tzinfo=dt.UTC))
    with path.open("rb") as stream:
        grid = find_grid(path.read_bytes(), raw, SourceSettings())
        assert grid == Grid(60 * interval)
        found = read_file(stream, raw, SourceSettings(), grid)
    assert (found.rows_read, rows_of(found).height, found.grid.seconds) == (rows, rows, 60 * interval)
    time, *numbers = rows_of(found).select("open_time", "open", "high", "low", "close", "volume").row(0)
    assert f"{time:%Y-%m-%d %H:%M}" == first
    assert numbers == values


def walk(count=60):
    """Candles whose open is near the previous close, as rows of time, open, high, low, close, volume."""
    rows, price = [], 100.0
    for step in range(count):
        close = price + (0.7 if step % 3 else -1.1)
        rows.append(
            [
                START_MS + step * 60_000,
                price + 0.01,
                max(price + 0.01, close) + 0.3,
                min(price, close) - 0.3,
                close,
                3.5 + step % 11,
            ]
        )
        price = close
    return rows


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4, 5), (0, 1, 4, 2, 3, 5), (0, 5, 4, 3, 2, 1), (0, 2, 3, 4, 1, 5)])
@pytest.mark.parametrize("form", ["csv", "json", "ndjson", "descending"])
def test_order_is_settled_by_envelope_and_continuity(order, form):
    rows = [[row[place] for place in order] for row in walk()]
    if form == "descending":
        rows.reverse()
    if form == "json":
        content = json.dumps(rows).encode()
    elif form == "ndjson":
        content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    else:
        content = "".join(",".join(map(str, row)) + "\n" for row in rows).encode()
    found = read(content)
    assert rows_of(found).sort("open_time").drop("row", "open_time").rows() == [tuple(row[1:]) for row in walk()]
    assert "continuity" in found.layout_words


@pytest.mark.parametrize("flaw", ["flat", "few", "no_continuity"])
def test_ambiguous_order_is_refused_with_what_to_set(flaw):
    rows = walk(60)
    if flaw == "flat":
        rows = [[row[0], row[4], row[4], row[4], row[4], row[5]] for row in rows]
    elif flaw == "few":
        rows = rows[:5]
    else:
        rows = [
            [row[0], 100.0 + (step * 7 % 5), 110.0, 90.0, 100.0 + (step * 3 % 5), row[5]]
            for step, row in enumerate(rows)
        ]
    content = "".join(",".join(map(str, row)) + "\n" for row in rows).encode()
    with pytest.raises(SourceError) as caught:
        read(content)
    assert "[[source.layout]]" in caught.value.hint
    assert "columns" in caught.value.hint
    by_hand = {"columns": ["time", "open", "high", "low", "close", "volume"]}
    assert rows_of(read(content, layout=by_hand)).height == len(rows)


@pytest.mark.parametrize(("unit", "factor"), [("s", 1 / 1000), ("ms", 1), ("us", 1000), ("ns", 1_000_000)])
def test_epochs_in_every_unit(unit, factor):
    rows = [(round((START_MS + step * 60_000) * factor), 10, 10, 11, 9, 1) for step in range(120)]
    found = read(HEADER + "".join(",".join(map(str, row)) + "\n" for row in rows).encode(), seconds=None)
    assert rows_of(found)["open_time"].dt.epoch("ms").to_list() == [START_MS + step * 60_000 for step in range(120)]
    assert found.grid.seconds == 60
    del unit


@pytest.mark.parametrize(
    "text",
    [
        "2019-01-01 00:00:00",
        "2019-01-01T00:00:00Z",
        "2019-01-01 00:00",
        "2019-01-01",
        "2019/01/01 00:00:00.000",
        "2019-01-01 02:00:00+02:00",
        "2018-12-31T19:30:00-0430",
        "2019-01-01 00:00:00 UTC",
    ],
)
def test_iso_times_are_read_as_utc_where_they_have_no_offset(text):
    found = read(HEADER + f"{text},10,10,11,9,1\n".encode())
    assert rows_of(found)["open_time"].dt.epoch("ms").to_list() == [START_MS]
    assert "UTC" in found.layout_words


def test_epochs_written_with_a_point():
    found = read(HEADER + b"1546300800.0,10,10,11,9,1\n1546300860.0,10,10,11,9,1\n1546300860.5,10,10,11,9,1\n")
    assert rows_of(found).height == 2
    assert found.rejects["reasons"].to_list() == [["off_grid_time"]]


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + HEADER + lines(3),
        (HEADER + lines(3)).replace(b"\n", b"\r\n"),
        (HEADER + lines(3)).replace(b",", b"\t"),
        (HEADER + lines(3)).replace(b",", b";"),
        (HEADER + lines(3)).rstrip(b"\n"),
        b"\n\n" + HEADER + lines(3) + b"\n\n",
        b'"Unix","Open","Close","High","Low","Volume LTC"\n' + lines(3),
        b"symbol,MTS,LTC.open,LTC.close,LTC.high,LTC.low,LTC.volume\n"
        + b"".join(b"LTC/USD," + line(step, price=10 + step) for step in range(3)),
    ],
)
def test_dialects_of_text(content):
    found = read(content)
    assert rows_of(found)["open"].to_list() == [10.0, 11.0, 12.0]
    assert found.rows_read == 3
    assert found.rejects.height == 0


@pytest.mark.parametrize("form", ["results", "nested", "array", "pretty", "ndjson", "after", "texts"])
def test_forms_of_json(form):
    names = ("time", "open", "close", "high", "low", "volume")
    rows = [
        dict(zip(names, (START_MS + step * 60_000, 10 + step, 10.5, 20.0, 5, 1.5), strict=True)) for step in range(5)
    ]
    text = {
        "results": json.dumps({"results": rows}),
        "nested": json.dumps({"status": "ok", "data": {"candles": rows}}),
        "array": json.dumps(rows),
        "pretty": json.dumps({"results": rows}, indent=2),
        "ndjson": "\n".join(map(json.dumps, rows)),
        "after": json.dumps({"results": rows, "count": 5}),
        "texts": json.dumps([{name: str(value) for name, value in row.items()} for row in rows]),
    }[form]
    found = read(text.encode(), "ltcusd.json")
    assert rows_of(found)["open"].to_list() == [10.0, 11.0, 12.0, 13.0, 14.0]
    assert found.rejects.height == 0


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"  \n\n", "empty"),
        (HEADER, "no row"),
        (b'{"results": []}', "no row"),
        (b"name,age,city,street,house,door\nAnn,3,Rome,A,B,C\n", "columns"),
        (b"date,temperature\n2019-01-01,3.5\n", "begins with"),
        (b"time,open,close,high\n1546300800000,1,2,3\n", "begins with"),
        (b"time,open,close,high,low,trades\n1546300800000,1,2,3,1,5\n", "no column that can be its volume"),
        (b"time,open,open,close,high,low,volume\n1546300800000,1,1,2,3,1,5\n", "two columns"),
        (b"time,open,close,high,low,volume\n2018-W52,1,2,3,1,5\n", "place of the time"),
        ("time,open\n".encode("utf-16"), "begins with 'time,open'"),
        (bytes(range(256)), "no text"),
        (b'{"error": "rate limit"}', "columns"),
        (b"<html><body>404</body></html>", "begins with"),
    ],
)
def test_what_is_no_table_of_candles_is_refused(content, says):
    with pytest.raises(SourceError) as caught:
        read(content)
    assert says in caught.value.found
    assert caught.value.expected
    assert caught.value.hint


def write_table(names, fields):
    """Return delimited text with 60 candles of an hour, of which `fields` writes the time."""
    rows = [[*fields(START_MS // 1000 + 3600 * step), *row[1:]] for step, row in enumerate(walk())]
    return ("\n".join([names, *(";".join(map(str, row)) for row in rows)]) + "\n").encode()


@pytest.mark.parametrize("names", ["Date;Time", "Datum;Zeit", "<DATE>;<TIME>"])
def test_a_time_of_day_in_a_column_of_its_own(names):
    def fields(seconds):
        moment = dt.datetime.fromtimestamp(seconds, dt.UTC)
        return f"{moment:%d.%m.%Y}", f"{moment:%H:%M}"

    found = read(write_table(f"{names};Open;High;Low;Close;Volume", fields), seconds=None)
    assert (rows_of(found).height, found.grid.seconds) == (60, 3600)


def test_dates_without_their_time_of_day_are_not_one_candle_a_day():
    def fields(seconds):
        moment = dt.datetime.fromtimestamp(seconds, dt.UTC)
        return f"{moment:%Y-%m-%d}", f"h{moment.hour}"

    with pytest.raises(SourceError, match="two prices at one time"):
        read(write_table("date;stunde;open;high;low;close;volume", fields), seconds=86_400)


@pytest.mark.parametrize("first", ["interval_begin", "von"])
def test_a_timestamp_behind_another_time_is_that_of_the_end(first):
    content = write_table(f"timestamp;{first};open;high;low;close;volume", lambda seconds: (seconds + 3600, seconds))
    found = read(content, seconds=None)
    assert rows_of(found)["open_time"].dt.epoch("ms").min() == START_MS
    assert found.grid.seconds == 3600


def test_documents_of_one_row_each_a_line():
    rows = [dict(zip(("timestamp", "open", "high", "low", "close", "volume"), row, strict=True)) for row in walk()]
    text = "".join(json.dumps({"channel": "ohlc", "data": [row]}) + "\n" for row in rows)
    found = read(text.encode(), "ltcusd.ndjson", seconds=None)
    assert rows_of(found).height == 60
    assert found.fetch_raw(rows_of(found)["row"][:1]) == [json.dumps(rows[0])]


def test_columns_whose_names_contradict_the_numbers_are_refused_with_the_right_order() -> None:
    prices = [10 + step % 7 for step in range(50)]
    rows = [f"{START_MS + step * 60_000},{p},{p - 1},{p + 1},{p + 0.5},2" for step, p in enumerate(prices)]
    content = "\n".join(["time,open,high,low,close,volume", *rows]).encode()
    with pytest.raises(UndecidedError, match="in 50 of 50 rows") as caught:
        read(content)
    assert caught.value.decision == "columns"
    lines = tomllib.loads(caught.value.hint.partition("\n")[2])
    (layout,) = lines["source"]["layout"]
    assert layout["columns"] == ["time", "open", "low", "high", "close", "volume"]
    assert read(content, layout=layout).rejects.is_empty()


@pytest.mark.parametrize("content", [b"[]", b'{"data": []}', b'{"code": "0", "result": {"list": [], "symbol": "BTC"}}'])
def test_an_answer_without_rows_is_called_that(content: bytes) -> None:
    with pytest.raises(SourceError, match="holds no row"):
        read(content, seconds=None)


def test_a_layout_that_names_the_file_comes_before_patterns() -> None:
    layouts = [
        LayoutSettings(files="*", symbol="LTCUSD", interval="1m"),
        LayoutSettings(files="a [[]1].csv", exchange="kraken"),
    ]
    found = match_layout("a [1].csv", SourceSettings(layout=layouts))
    assert found is not None
    assert (found.symbol, found.interval, found.exchange) == ("LTCUSD", "1m", "kraken")
    found = match_layout("b.csv", SourceSettings(layout=[*layouts, LayoutSettings(files="b.csv", symbol="ETHUSD")]))
    assert found is not None
    assert (found.symbol, found.interval) == ("ETHUSD", "1m")


def test_rows_of_a_window_that_moves_on_are_no_candles() -> None:
    """A ticker has the open, high and low of the last day, and is asked for each minute."""
    rows = [
        f"{START_MS + step * 60_000},{10 + step % 7 / 10},{10.4},{11 + step // 20},{9},{9.9},{10.1},{900 + step}"
        for step in range(100)
    ]
    with pytest.raises(UndecidedError, match="window of time that moves on"):
        read("\n".join(["timestamp,last,open,high,low,bid,ask,volume", *rows]).encode())


def test_candles_in_which_nothing_was_traded_are_candles() -> None:
    rows = [f"{START_MS + step * 60_000},10,10,10,10,{0 if step % 5 else 2}" for step in range(100)]
    assert read("\n".join(["time,open,high,low,close,volume", *rows]).encode()).rejects.is_empty()
