"""Rows of several series at several places of a document, each told by what stands around it."""

import json
from collections.abc import Callable

import pytest
from raw_files import read, rows_of

from chandlery.sources.doubts import UndecidedError
from chandlery.sources.files import FileRows
from chandlery.sources.parts import Part
from chandlery.sources.streams import HEAD_BYTES
from series_rows import PRICES, Row, list_rows, make_rows, read_each, survey

Pieces = dict[str, list[list[object]]]


def to_arrays(rows: list[Row]) -> list[list[object]]:
    return [[value for name, value in row.items() if name != "symbol"] for row in rows]


def write_bybit(symbol: str, rows: list[list[object]]) -> dict[str, object]:
    texts = [list(map(str, row)) for row in rows]
    return {"retCode": 0, "result": {"category": "spot", "symbol": symbol, "list": texts}, "time": 1}


def write_okx(symbol: str, rows: list[list[object]]) -> dict[str, object]:
    return {"arg": {"channel": "candle1H", "instId": symbol}, "data": [[*map(str, row), "1"] for row in rows]}


def write_kraken(symbol: str, rows: list[list[object]]) -> dict[str, object]:
    return {"error": [], "result": {symbol: rows, "last": 1}}


def write_meta(symbol: str, rows: list[list[object]]) -> dict[str, object]:
    names = "symbol interval currency_base currency_quote exchange type".split()
    texts = dict(zip(names, [symbol, "1h", *"abcd"], strict=True))
    values = [dict(zip("datetime open high low close volume".split(), row, strict=True)) for row in rows]
    return {"meta": {**texts, "exchange": "Binance"}, "values": values, "status": "ok"}


def write_columns(symbol: str, rows: list[list[object]]) -> dict[str, object]:
    return {"s": "ok", "symbol": symbol, **dict(zip("tohlcv", map(list, zip(*rows, strict=True)), strict=True))}


ANSWERS = {write.__name__: write for write in (write_bybit, write_okx, write_kraken, write_meta, write_columns)}
DOCUMENTS: dict[str, Callable[[Pieces], object]] = {
    "by symbol": lambda pieces: pieces,
    "by symbol, indented": lambda pieces: pieces,
    "deeper": lambda pieces: {"data": {symbol: {"candles": rows} for symbol, rows in pieces.items()}},
    "by exchange": lambda pieces: {
        exchange: {symbol: {"1h": rows}}
        for exchange, (symbol, rows) in zip(("binance", "kraken", "okx", "gemini"), pieces.items(), strict=True)
    },
    "rows by symbol": lambda pieces: [
        {symbol: dict(zip("time open high low close volume".split(), rows[step], strict=True))
         for symbol, rows in pieces.items()}
        for step in range(120)
    ],
    **{f"list of {name}": lambda pieces, write=write: [write(*each) for each in pieces.items()]  # type: ignore[misc]
       for name, write in ANSWERS.items()},
}  # fmt: skip


@pytest.mark.parametrize("form", DOCUMENTS)
def test_rows_at_several_places_of_a_document(form: str) -> None:
    pieces = {symbol: to_arrays(make_rows(symbol)) for symbol in PRICES}
    content = json.dumps(DOCUMENTS[form](pieces), indent=1 if "indented" in form else None).encode()
    check_documents(content, "all.json", is_told="by exchange" in form or "meta" in form)


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_a_line(name: str) -> None:
    pieces = {symbol: to_arrays(make_rows(symbol)) for symbol in PRICES}
    answers = [
        ANSWERS[name](symbol, rows[first : first + 7]) for first in range(0, 120, 7) for symbol, rows in pieces.items()
    ]
    content = "".join(json.dumps(answer) + "\n" for answer in answers).encode()
    found = check_documents(content, "all.ndjson", is_told="meta" in name)
    alone = [answer for answer in answers if "DOGE" in json.dumps(answer)]
    content = "".join(json.dumps(answer) + "\n" for answer in alone).encode()
    (part,) = read_each(content, "all.ndjson").values()
    assert (
        rows_of(part)
        .drop("row")
        .equals(rows_of(next(found[each] for each in found if "DOGE" in each.symbol)).drop("row"))
    )


def check_documents(content: bytes, source: str, *, is_told: bool) -> dict[Part, FileRows]:
    """Check that a document has four parts with 120 rows each."""
    found = read_each(content, source)
    assert [part.symbol for part in found] == [symbol.replace("/", "") for symbol in PRICES]
    assert all(bool(part.exchange) == is_told for part in found)
    assert [file.rows_read for file in found.values()] == [120] * 4
    assert list_rows(found.values()) == list(range(1, 481))
    for symbol, file in zip(PRICES, found.values(), strict=True):
        rows = rows_of(file)
        assert rows.height == 120
        assert rows["close"].to_list() == [row["close"] for row in make_rows(symbol)]
        assert str(rows["close"][7]) in file.fetch_raw(rows["row"][7:8])[0]
    return found


def test_an_answer_about_one_symbol_tells_it() -> None:
    content = json.dumps(write_bybit("BTCUSDT", to_arrays(make_rows("BTC/USDT")))).encode()
    assert list(read_each(content, "kline.json")) == [Part("BTCUSDT")]
    content = content.replace(b'"spot"', b'"linear"')
    assert list(read_each(content, "kline.json")) == [Part("BTCUSDT_PERP")]
    assert rows_of(read(content, "BTCUSDT.json", seconds=None)).height == 120
    content = json.dumps({"symbol": "BTCUSDT", "rows": to_arrays(make_rows("BTC/USDT")), "interval": "1h"}).encode()
    assert list(read_each(content, "kline.json")) == [Part("BTCUSDT", seconds=3600)]
    content = json.dumps({"rows": to_arrays(make_rows("BTC/USDT")), "symbol": "BTCUSDT"}).encode()
    assert list(read_each(content, "kline.json")) == [Part("BTCUSDT")]


@pytest.mark.slow
def test_a_second_array_far_behind_the_first_rows() -> None:
    rows = {symbol: to_arrays(make_rows(symbol, 3_000)) for symbol in ("BTC/USDT", "ETH/USDT")}
    content = json.dumps(rows, indent=60).encode()
    assert content.index(b"ETH/USDT") > HEAD_BYTES
    found = read_each(content, "all.json")
    assert {part.symbol: file.rows_read for part, file in found.items()} == {"BTCUSDT": 3_000, "ETHUSDT": 3_000}
    with pytest.raises(UndecidedError, match="symbols BTCUSDT, ETHUSDT"):
        read(content, "BTC-USDT.json", seconds=3600)


def test_rows_of_several_kinds_are_refused() -> None:
    rows = make_rows("BTC/USDT")
    content = json.dumps({"BTCUSDT": {"rows": to_arrays(rows)}, "ETHUSDT": {"rows": rows}}).encode()
    with pytest.raises(UndecidedError) as caught:
        survey(content, "all.json")
    assert caught.value.decision == "shape"


# Columns are recognised in spite of rows of several series.
