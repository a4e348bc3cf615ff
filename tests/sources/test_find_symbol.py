import pytest
from pydantic import ValidationError

from chandlery.errors import SourceError
from chandlery.settings.model import LayoutSettings, SourceSettings
from chandlery.sources.symbols import find_symbol


@pytest.mark.parametrize(
    ("source", "symbol"),
    [
        ("ltcusd.csv.gz", "LTCUSD"),
        ("LTC-USD.csv", "LTCUSD"),
        ("dusk_usd.csv", "DUSKUSD"),
        ("dusk:usd.csv", "DUSKUSD"),
        ("BSV_1541600000000_1542199940000_USD.csv", "BSVUSD"),
        ("binance_LTC_USDT-1m.json", "LTCUSDT"),
        ("bitfinex_LTC_30m_dated.csv", "LTC"),
        ("bitfinex_api_tLTCUSD.json", "LTCUSD"),
        ("bitstamp_btcusd_1m.csv.gz", "BTCUSD"),
        ("bybit_BTCUSDT_1m.csv", "BTCUSDT"),
        ("yahoo_LTC-USD_1m.csv", "LTCUSD"),
        ("LTCUSD-1m-2019-01.zip!LTCUSD-1m-2019-01.csv", "LTCUSD"),
        ("candles.zip!ltcusd.csv", "LTCUSD"),
        ("LTCUSD/2019/01.csv", "LTCUSD"),
        ("symbol=LTCUSD/part-0.csv", "LTCUSD"),
        ("ethbtc.ndjson.zst", "ETHBTC"),
        ("b2mbtc.csv", "B2MBTC"),
    ],
)
def test_path_names_symbol(source, symbol):
    assert find_symbol(source) == symbol


@pytest.mark.parametrize(
    "source", ["2019.csv", "candles.csv", "btcusd_ltcusd.csv", "part-0.json", "UNKNOWN.csv", "symbol=UNKNOWN/1.csv"]
)
def test_path_that_does_not_tell_is_refused_with_what_to_set(source):
    with pytest.raises(SourceError) as caught:
        find_symbol(source)
    assert "[[source.layout]]" in caught.value.hint


def test_symbol_set_by_hand_wins():
    settings = SourceSettings(layout=[LayoutSettings(files="2019*.csv", symbol="ltc/usd")])
    assert find_symbol("raw/2019-01.csv", settings) == "LTCUSD"


@pytest.mark.parametrize("text", ["UNKNOWN", "unknown", "un-known"])
def test_the_symbol_of_refused_files_is_given_to_no_file(text):
    with pytest.raises(ValidationError, match="stands for refused files alone"):
        LayoutSettings(symbol=text)


def test_a_name_beside_that_of_refused_files_still_tells():
    assert find_symbol("LTC/UNKNOWN.csv") == "LTC"
    assert find_symbol("UNKNOWN/ltcusd.csv") == "LTCUSD"
