"""A file whose rows belong to several series: its parts have each of its rows once, and each reads as a file alone."""

import datetime as dt
import io
from collections.abc import Callable

import pytest
from raw_files import START_MS, find_difference, raw_file, read, rows_of

from chandlery.errors import SourceError
from chandlery.grid import Grid
from chandlery.settings.model import LayoutSettings, SourceSettings
from chandlery.sources.doubts import UndecidedError
from chandlery.sources.files import FileRows, read_file, read_parts
from chandlery.sources.parts import Part, name_value
from chandlery.sources.surveys import peek_parts, survey_parts
from series_rows import (
    FORMS,
    HOUR,
    NAMES,
    PRICES,
    Row,
    blocks,
    halves,
    interleaved,
    list_rows,
    make_rows,
    read_each,
    survey,
    to_csv,
    to_ndjson,
)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("order", [blocks, interleaved, halves])
def test_each_part_reads_as_a_file_alone(form: str, order: Callable[..., list[Row]]) -> None:
    parts = {f"{symbol.replace('/', '')}": make_rows(symbol) for symbol in PRICES}
    content = FORMS[form](order(*parts.values()))
    read_whole = read_each(content, f"candles.{form}")
    assert set(read_whole) == {Part(symbol) for symbol in parts}
    assert list(read_whole) == [Part(symbol) for symbol in parts]
    assert sum(file.rows_read for file in read_whole.values()) == sum(map(len, parts.values()))
    assert list_rows(read_whole.values()) == list(range(1, 1 + sum(map(len, parts.values()))))
    for symbol, rows in parts.items():
        alone = read(FORMS[form](rows), f"{symbol[:-4]}-USDT.{form}", seconds=None)
        part = read_whole[Part(symbol)]
        assert rows_of(part).drop("row").equals(rows_of(alone).drop("row"))
        assert part.grid == alone.grid == Grid(3600)
        assert part.rejects.is_empty()


def test_two_exchanges_and_two_intervals() -> None:
    hours, days = make_rows("BTC/USDT", interval="1h"), make_rows("BTC/USDT", 40, 24 * HOUR, interval="1d")
    content = to_csv(blocks([{**row, "venue": "Kraken"} for row in hours], [{**row, "venue": "okex"} for row in days]))
    found = read_each(content, "all.csv")
    assert list(found) == [Part("BTCUSDT", "kraken", 3600), Part("BTCUSDT", "okx", 86_400)]
    assert [file.rows_read for file in found.values()] == [120, 40]
    found = read_each(to_csv(interleaved(hours, days)), "BTC-USDT.csv")
    assert {part: (file.rows_read, file.grid) for part, file in found.items()} == {
        Part(seconds=3600): (120, Grid(3600)),
        Part(seconds=86_400): (40, Grid(86_400)),
    }


def test_length_by_times_of_open_and_close_is_that_of_each_part() -> None:
    few = [
        [{**row, "close_time": int(str(row["time"])) + step - 1} for row in make_rows(symbol, 3, step)]
        for symbol, step in (("BTC/USDT", HOUR), ("ETH/USDT", HOUR))
    ]
    found = survey(to_csv(blocks(*few)), "all.csv")
    assert {part.symbol: seen.length_ms for part, seen in found.items()} == {"BTCUSDT": HOUR, "ETHUSDT": HOUR}


def test_a_file_of_one_series_is_not_surveyed() -> None:
    content = to_csv(make_rows("BTC/USDT"))
    seen = peek_parts(io.BytesIO(content), raw_file(content, "BTC-USDT.csv"), SourceSettings())
    assert seen is not None
    assert seen.times.size == 120
    parts = survey_parts(io.BytesIO(content), raw_file(content, "BTC-USDT.csv"), SourceSettings())
    assert list(parts) == [Part()]
    whole = read_file(io.BytesIO(content), raw_file(content), SourceSettings(), Grid(3600), part=Part())
    assert whole.rows_read == 120


@pytest.mark.parametrize(
    ("source", "parts"),
    [
        ("candles.csv", [Part("BTCUSDT"), Part("TRUSTUSDT")]),
        ("SNAPSHOT_USDT.csv", [Part("BTCUSDT"), Part("TRUSTUSDT")]),
        ("futures/um/2019.csv", [Part("BTCUSDT_PERP"), Part("TRUSTUSDT_PERP")]),
        ("futures/markPrice/2019.csv", [Part("BTCUSDT_PERP_MARK"), Part("TRUSTUSDT_PERP_MARK")]),
    ],
)
def test_symbols_are_spelled_as_the_lake_spells_them(source: str, parts: list[Part]) -> None:
    assert list(survey(to_csv(interleaved(make_rows("BTC/USDT"), make_rows("TRUST/USDT"))), source)) == parts


def test_two_spellings_of_a_coin_are_one_series() -> None:
    rows = halves(make_rows("XBT/USD"), make_rows("ETH/USD"))
    assert list(survey(to_csv(rows), "all.csv")) == [Part("XBTUSD"), Part("ETHUSD")]
    rows[150]["symbol"] = "BTC/USD"
    found = read_each(to_csv(rows), "all.csv")
    assert [(part.symbol, file.rows_read) for part, file in found.items()] == [("BTCUSD", 120), ("ETHUSD", 120)]


def test_two_expiries_are_two_series() -> None:
    rows = interleaved(make_rows("BTC-USD-240329"), make_rows("BTC-USD-240628"))
    assert list(survey(to_csv(rows), "all.csv")) == [Part("BTCUSD_240329"), Part("BTCUSD_240628")]


@pytest.mark.parametrize(
    ("source", "rows", "layout", "decision"),
    [
        ("BTCUSDT.csv", interleaved(make_rows("BTC/USDT"), make_rows("ETH/USDT")), {}, "symbol"),
        ("BTCUSDT.csv", make_rows("ETH/USDT"), {}, "symbol"),
        ("BTCUSDT.csv", interleaved(make_rows("DOGE/USDT"), make_rows("ETH/USDT")), {}, "symbol"),
        ("TRUST-USDT.csv", interleaved(make_rows("TRUST/USDT"), make_rows("ETH/USDT")), {}, "symbol"),
        ("all.csv", interleaved(make_rows("BTC/USDT"), make_rows("ETH/USDT")), {"symbol": "TRUSTUSDT"}, "symbol"),
        ("kraken/all.csv", make_rows("BTC/USDT", exchange="binance"), {}, "exchange"),
        ("kraken/all.csv", blocks(make_rows("BTC/USDT", exchange="binance"), make_rows("BTC/USDT", exchange="kraken")),
         {}, "exchange"),
        ("all.csv", blocks(make_rows("BTC/USDT", exchange="binance"), make_rows("BTC/USDT", exchange="kraken")),
         {"exchange": "kraken"}, "exchange"),
        ("all_1h.csv", blocks(make_rows("LTC/BTC", interval="1h"), make_rows("LTC/BTC", 9, 24 * HOUR, interval="1d")),
         {}, "interval"),
    ],
)  # fmt: skip
def test_rows_that_contradict_the_path_are_refused_unless_they_are_to_decide(
    source: str, rows: list[Row], layout: dict[str, object], decision: str
) -> None:
    content, settings = to_csv(rows), SourceSettings(layout=[LayoutSettings(**layout)] if layout else [])
    with pytest.raises(UndecidedError) as caught:
        peek_parts(io.BytesIO(content), raw_file(content, source), settings)
    assert caught.value.decision == decision
    assert "\nsplit = true" in caught.value.hint
    found = read_each(content, source, **layout, split=True)
    assert all(part.symbol for part in found)
    assert sum(file.rows_read for file in found.values()) == len(rows)


def test_a_contradiction_behind_the_first_rows_is_refused() -> None:
    rows = blocks(make_rows("BTC/USDT", 20_000), make_rows("TRUST/USDT"))
    content = to_csv(rows)
    with pytest.raises(UndecidedError, match="TRUST"):
        survey(content, "TRUST-USDT.csv")
    with pytest.raises(UndecidedError, match="symbols BTCUSDT, TRUSTUSDT") as caught:
        read(content, "BTCUSDT.csv", seconds=3600)
    assert caught.value.decision == "series"


def test_rows_are_not_to_be_split() -> None:
    content = to_csv(interleaved(make_rows("BTC/USDT"), make_rows("ETH/USDT")))
    with pytest.raises(UndecidedError) as caught:
        survey(content, "all.csv", split=False)
    assert caught.value.decision == "series"


@pytest.mark.parametrize(
    ("role", "value", "decision", "words"),
    [
        ("symbol", "", "symbol", "row 78 names no symbol"),
        ("symbol", "???", "symbol", "row 78 has '???'"),
        ("exchange", "", "exchange", "row 78 names no exchange"),
        ("interval", "1M", "interval", "row 78 has the interval '1M'"),
    ],
)
def test_a_row_that_names_no_series_is_refused(role: str, value: str, decision: str, words: str) -> None:
    parts = (make_rows(symbol, exchange="kraken", interval="1h") for symbol in ("BTC/USDT", "ETH/USDT"))
    rows = interleaved(*parts)
    rows[77][role] = value
    with pytest.raises(UndecidedError, match=words.replace("?", r"\?")) as caught:
        survey(to_csv(rows), "all.csv")
    assert caught.value.decision == decision


def test_rows_that_cannot_be_read_belong_to_the_part_before() -> None:
    lines = to_csv(blocks(make_rows("BTC/USDT", 30), make_rows("ETH/USDT", 30))).decode().splitlines()
    lines[20] = f"{START_MS},BTC"  # of the wrong width
    lines[40] = lines[40].replace("ETH/USDT,", "ETH/USDT,abc")  # it tells its series
    lines.insert(45, lines[0].upper())  # a header in the middle, which names no symbol
    lines.insert(46, ",,,,,,")
    found = read_each(("\n".join(lines) + "\n").encode(), "all.csv")
    counts = {part.symbol: (file.rows_read, file.rejects["row"].to_list()) for part, file in found.items()}
    assert counts == {"BTCUSDT": (30, [20]), "ETHUSDT": (32, [40, 45, 46])}
    assert list_rows(found.values()) == list(range(1, 63))
    assert found[Part("BTCUSDT")].rejects["raw"].to_list() == [f"{START_MS},BTC"]
    assert found[Part("ETHUSDT")].fetch_raw(rows_of(found[Part("ETHUSDT")])["row"][:1]) == [lines[31]]


def test_rows_before_the_first_part_belong_to_it() -> None:
    rows = blocks([dict.fromkeys(NAMES)], make_rows("BTC/USDT", 30), make_rows("ETH/USDT", 30))
    found = read_each(to_ndjson(rows), "all.ndjson")
    assert {part.symbol: file.rows_read for part, file in found.items()} == {"BTCUSDT": 31, "ETHUSDT": 30}
    assert found[Part("BTCUSDT")].rejects["row"].to_list() == [1]


def test_what_refuses_a_part_refuses_no_other_that_is_read_with_it() -> None:
    content = to_csv(interleaved(make_rows("BTC/USDT"), make_rows("ETH/USDT"), make_rows("DOGE/USDT", step=HOUR // 60)))
    parts = [Part(symbol) for symbol in ("BTCUSDT", "ETHUSDT", "DOGEUSDT", "LTCUSDT")]
    found = read_parts(io.BytesIO(content), raw_file(content), SourceSettings(), dict.fromkeys(parts, Grid(3600)))
    assert [isinstance(file, FileRows) for file in found.values()] == [True, True, False, False]
    for part, refused in list(found.items())[2:]:
        with pytest.raises(SourceError) as alone:
            read_file(io.BytesIO(content), raw_file(content), SourceSettings(), Grid(3600), part=part)
        assert str(refused) == str(alone.value)
    broken = content + f"{START_MS + 200 * HOUR},,1,1,1,1,1\n".encode()
    found = read_parts(io.BytesIO(broken), raw_file(broken), SourceSettings(), dict.fromkeys(parts, Grid(3600)))
    assert [type(each) for each in found.values()] == [UndecidedError] * 4
    assert all("names no symbol" in str(found[part]) for part in parts[:2])


@pytest.mark.parametrize("late", [1, 40])
def test_candles_that_had_not_closed_are_refused_in_each_part(late: int) -> None:
    count, symbols = 120, list(PRICES)[:3]
    content = to_csv(interleaved(*(make_rows(symbol, count) for symbol in symbols)))
    written = dt.datetime.fromtimestamp((START_MS + (count - late) * HOUR) / 1000 + 60, dt.UTC)
    raw, parts = raw_file(content, modified_at=written), [Part(symbol.replace("/", "")) for symbol in symbols]
    found = read_parts(io.BytesIO(content), raw, SourceSettings(), dict.fromkeys(parts, Grid(3600)))
    for part in parts:
        alone = read_file(io.BytesIO(content), raw, SourceSettings(), Grid(3600), part=part)
        together = found[part]
        assert isinstance(together, FileRows)
        assert find_difference(alone, together) == ""
        assert (together.rejects.height, together.early) == ((1, 0) if late == 1 else (0, late - 1))
        texts = [text.encode() in content for text in together.rejects["raw"]]
        assert texts == [True] * together.rejects.height


def test_a_part_that_the_file_has_not() -> None:
    content = to_csv(make_rows("BTC/USDT"))
    with pytest.raises(SourceError, match="no row of ETHUSDT"):
        read_file(io.BytesIO(content), raw_file(content), SourceSettings(), Grid(3600), part=Part("ETHUSDT"))


def test_symbols_of_two_exchanges_are_refused() -> None:
    content = to_csv(blocks(make_rows("BINANCE:BTCUSDT"), make_rows("KRAKEN:BTCUSDT")))
    with pytest.raises(UndecidedError, match="exchanges binance and kraken") as caught:
        survey(content, "all.csv")
    assert caught.value.decision == "exchange"
    with pytest.raises(UndecidedError, match="exchanges binance, kraken"):
        read(content, "BTCUSDT.csv", seconds=None)
    assert list(survey(to_csv(make_rows("KRAKEN:BTCUSDT")), "all.csv")) == [Part("BTCUSDT")]


def test_a_part_is_placed_by_more_than_its_first_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chandlery.sources.parse.PIECE_BYTES", 4_000)  # a line that is not typed makes small batches
    late = [{**row, "time": int(str(row["time"])) + HOUR - 1} for row in make_rows("ETH/USDT")]
    late[0]["time"] = START_MS  # its first row alone is that of the open
    rows = blocks(make_rows("BTC/USDT", 52), late)
    rows[3]["open"] = "x"
    found = read_each(to_csv(rows), "all.csv")[Part("ETHUSDT")]
    assert (rows_of(found)["open_time"].dt.epoch("ms") % HOUR == 0).all()
    assert found.rejects["row"].to_list() == [53]


def test_a_pair_with_its_quote_first_is_turned_by_the_prices_of_its_part() -> None:
    parts = survey(to_csv(interleaved(make_rows("USDT_BTC"), make_rows("BTC_ETH"))), "all.csv")
    assert list(parts) == [Part("BTCUSDT"), Part("ETHBTC")]
    assert [seen.error is None for seen in parts.values()] == [True, False]  # no ether costs ten bitcoins


@pytest.mark.parametrize("text", ["SPOT", "BINANCE", "USDT", "12"])
def test_a_column_of_something_else_names_no_series(text: str) -> None:
    rows = [{**row, "symbol": text} for row in make_rows("BTC/USDT")]
    content = to_csv([{"market" if name == "symbol" else name: row[name] for name in NAMES} for row in rows])
    seen = peek_parts(io.BytesIO(content), raw_file(content, "candles.csv"), SourceSettings())
    assert seen is not None
    assert name_value("exchange", "spot", []) == name_value("exchange", "USDT", []) == ""


def test_few_times_are_kept() -> None:
    rows = interleaved(make_rows("BTC/USDT", 500), make_rows("ETH/USDT", 500))
    for row in rows[::3]:
        row["time"] = START_MS + 61 * (int(str(row["time"])) - START_MS) // 59
    assert all(seen.times.size <= 48 for seen in survey(to_csv(rows), "all.csv").values())


@pytest.mark.parametrize("order", [blocks, interleaved, halves])
def test_signs_of_several_series_are_looked_for_in_each_part(order: Callable[..., list[Row]]) -> None:
    btc, eth = make_rows("BTC/USDT"), make_rows("ETH/USDT")
    content = to_csv(order(btc, eth, [{**row, "open": 1.1 * float(str(row["open"])), "high": 1e6} for row in eth]))
    parts = survey(content, "all.csv")
    grid, raw = Grid(3600), raw_file(content, "all.csv")
    assert list(parts) == [Part("BTCUSDT"), Part("ETHUSDT")]
    assert read_file(io.BytesIO(content), raw, SourceSettings(), grid, part=Part("BTCUSDT")).rows_read == 120
    with pytest.raises(UndecidedError, match="two prices at one time"):
        read_file(io.BytesIO(content), raw, SourceSettings(), grid, part=Part("ETHUSDT"))


# Documents: the series stands around the rows.
