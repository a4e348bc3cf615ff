"""Columns that name what rows are of, whatever their headers: symbols, kinds of markets, and other labels."""

import io
from collections.abc import Sequence

import polars as pl
import pytest
from raw_files import START_MS, raw_file, read

from chandlery.settings.model import SourceSettings
from chandlery.sources.doubts import UndecidedError
from chandlery.sources.parts import Part
from chandlery.sources.surveys import peek_parts, survey_parts

HEADERS = (
    "asset token symbol_id contract instrument_code code name tradingsymbol SYMBOL_NAME inst currency_pair".split()
)


def write(columns: dict[str, Sequence[str]], rows: int = 100) -> bytes:
    """Return candles with columns of texts beside them; a shorter column is repeated."""
    steps = [step for step in range(rows) for _ in range(1)]
    frame = pl.DataFrame(
        {
            **{name: [texts[step * len(texts) // rows] for step in steps] for name, texts in columns.items()},
            "time": [START_MS + 3_600_000 * step for step in steps],
            **{name: [10.0 + add + step % 7 for step in steps] for name, add in PRICES.items()},
            "volume": [1.5] * rows,
        }
    )
    return frame.write_csv().encode()


PRICES = {"open": 0.0, "high": 1.0, "low": -1.0, "close": 0.5}


def survey(content: bytes, source: str) -> dict[Part, int]:
    """Return the parts of a file; one without a name where its path decides."""
    raw, settings = raw_file(content, source), SourceSettings()
    seen = peek_parts(io.BytesIO(content), raw, settings)
    if seen is not None:
        if seen.error is not None:
            raise seen.error
        return {Part(): seen.times.size}
    return {part: each.times.size for part, each in survey_parts(io.BytesIO(content), raw, settings).items()}


@pytest.mark.parametrize("header", HEADERS)
def test_a_symbol_under_any_header_is_compared_with_the_path(header: str) -> None:
    with pytest.raises(UndecidedError, match="its path says LTCUSDT") as caught:
        survey(write({header: ["ETHUSDT"]}), "LTCUSDT.csv")
    assert caught.value.decision == "symbol"
    assert survey(write({header: ["LTC/USDT"]}), "LTCUSDT.csv") == {Part(): 100}


@pytest.mark.parametrize("header", HEADERS)
def test_symbols_under_any_header_split_a_file(header: str) -> None:
    content = write({header: ["BTC-USDT", "ETH-USDT"]})
    assert {part.symbol for part in survey(content, "candles.csv")} == {"BTCUSDT", "ETHUSDT"}


@pytest.mark.parametrize("header", ["asset", "token", "base"])
def test_coins_without_a_quote_currency_are_a_doubt(header: str) -> None:
    with pytest.raises(UndecidedError, match="quote currency"):
        survey(write({header: ["BTC", "ETH"]}), "candles.csv")


@pytest.mark.parametrize(("header", "kind", "symbol"), [
    ("market", "futures", "BTCUSDT_PERP"), ("market_type", "swap", "BTCUSDT_PERP"), ("instType", "SPOT", "BTCUSDT"),
    ("category", "linear", "BTCUSDT_PERP"),
])  # fmt: skip
def test_the_kind_of_market_in_a_column_belongs_to_the_symbol(header: str, kind: str, symbol: str) -> None:
    assert {part.symbol for part in survey(write({"symbol": ["BTCUSDT"], header: [kind]}), "candles.csv")} == {symbol}
    both = write({"symbol": ["BTCUSDT"], header: ["spot", "swap"]})
    assert {part.symbol for part in survey(both, "candles.csv")} == {"BTCUSDT", "BTCUSDT_PERP"}


def test_a_kind_of_market_in_a_column_is_compared_with_the_path() -> None:
    content = write({"market_type": ["swap"]})
    with pytest.raises(UndecidedError, match="'swap' by one of its columns") as caught:
        survey(content, "BTCUSDT.csv")
    assert 'market = "perp"' in caught.value.hint
    assert survey(content, "swap/BTCUSDT.csv") == {Part(): 100}
    assert survey(write({"market_type": ["spot"]}), "BTCUSDT.csv") == {Part(): 100}


def test_a_market_that_is_no_well_known_exchange_is_none() -> None:
    assert {part.exchange for part in survey(write({"symbol": ["BTCUSDT"], "market": ["US"]}), "candles.csv")} == {""}
    named = survey(write({"symbol": ["BTCUSDT"], "market": ["Kraken"]}), "candles.csv")
    assert {part.exchange for part in named} == {"kraken"}


@pytest.mark.parametrize(("header", "labels"), [
    ("contract_type", ["PERPETUAL", "CURRENT_QUARTER"]), ("price_type", ["last", "mark"]),
    ("id", ["bitcoin", "ethereum"]), ("side", ["bid", "ask"]), ("name", ["Bitcoin", "Ethereum"]),
])  # fmt: skip
def test_rows_of_several_labels_are_no_series(header: str, labels: list[str]) -> None:
    content = write({header: labels})
    with pytest.raises(UndecidedError, match=f"rows of '{min(labels)}' and") as caught:
        read(content, "BTCUSD.csv", seconds=3600)
    assert caught.value.decision == "series"
    assert read(content, "BTCUSD.csv", seconds=3600, layout={"split": False}).rows_read == 100
    assert read(write({header: labels[:1]}), "BTCUSD.csv", seconds=3600).rows_read == 100


@pytest.mark.parametrize("texts", [[f"row {step}" for step in range(100)], ["1", "2"], ["up", "down"] * 50])
def test_columns_that_are_no_labels_are_left_alone(texts: list[str]) -> None:
    header = "comment" if texts[0] == "up" else "id"
    assert read(write({header: texts}), "BTCUSD.csv", seconds=3600).rows_read == 100
