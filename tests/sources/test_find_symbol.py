import pytest
from pydantic import ValidationError

from chandlery.errors import SourceError
from chandlery.settings.model import LayoutSettings, SourceSettings
from chandlery.sources.doubts import UndecidedError
from chandlery.sources.symbols import find_symbol, read_path


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
        ("BTC/USDT.csv", "BTCUSDT"),
        ("BTC/USDT:USDT-1h.csv", "BTCUSDT_PERP"),
        ("BTC_USDT_USDT-1h-futures.json", "BTCUSDT_PERP"),
        ("futures/um/daily/markPriceKlines/BTCUSDT/1h/BTCUSDT-1h.csv", "BTCUSDT_PERP_MARK"),
        ("okx_BTC-USDT-SWAP.csv", "BTCUSDT_PERP"),
        ("BTC-29MAR24.json", "BTC_240329"),
        ("tDUSK:USD.json", "DUSKUSD"),
        ("tBTC_USDT.csv", "TBTCUSDT"),
        ("KRW-BTC.csv", "BTCKRW"),
        ("BTC_LTC.json", "LTCBTC"),
        ("STETH-USDT.csv", "STETHUSDT"),
        ("RAW_USDT.csv", "RAWUSDT"),
        ("1D-USD.csv", "1DUSD"),
        ("BITSTAMP_SPOT_BTC_USD.csv", "BTCUSD"),
        ("BTC-USD (1).csv", "BTCUSD"),
        ("base=BTC/quote=USDT/2024.csv", "BTCUSDT"),
        ("ETH/BTC_2019.csv.zip!BTC_2019.csv", "ETHBTC"),
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


@pytest.mark.parametrize(
    ("source", "seconds"),
    [
        ("BTCUSDT-1h-2024-01.csv", 3600),
        ("BTC-USD/2019-01-5m.csv", 300),
        ("btcusd_1-min_data.csv", 60),
        ("BTCUSD_H4.csv", 14_400),
        ("klines/15m/BTCUSDT.csv", 900),
        ("BTCUSDT-1M-2024.csv", 0),
        ("1D-USD.csv", None),
        ("btcusd_last_30d.csv", None),
        ("1m/BTCUSDT-1h.csv", 3600),
    ],
)
def test_path_names_the_length_of_candles(source, seconds):
    assert read_path(source).interval == seconds


@pytest.mark.parametrize(
    "source",
    ["BTC-USD-240329.csv", "BTC-29MAR24-70000-C.json", "bitstampUSD_1-min_data.csv", "BTCUSD/ethusd.csv", "august.csv",
     "BTC_USDT_ETH.csv", "prices/usd.csv", "USD.csv", "ΝΕΟ–USD.csv", "binance/BTC_USDT_USDT-8h-funding_rate.json"],
)  # fmt: skip
def test_path_that_can_be_read_in_several_ways_is_refused(source):
    with pytest.raises(SourceError) as caught:
        find_symbol(source)
    assert "symbol = " in caught.value.hint


@pytest.mark.parametrize(
    ("source", "exchange"),
    [
        ("kraken/BTCUSD.csv", "kraken"),
        ("Coinbase_BTCUSD_1m.csv", "coinbase"),
        ("coinbase-pro/BTC-USD.csv", "coinbase"),
        ("binance_us/BTCUSD.csv", "binanceus"),
        ("bitstampUSD_1-min_data.csv", "bitstamp"),
        ("exchange=okx/BTC-USDT.csv", "okx"),
        ("kraken/binance_BTCUSD.csv", "binance"),
        ("raw/BTCUSD.csv", ""),
    ],
)
def test_path_names_the_exchange(source, exchange):
    assert read_path(source).exchange == exchange


@pytest.mark.parametrize(
    ("path", "layout", "symbol"),
    [
        ("BTC-USDT/2024.csv", {"market": "perp"}, "BTCUSDT_PERP"),
        ("futures/um/BTCUSDT.csv", {"market": "spot"}, "BTCUSDT"),
        ("futures/um/BTCUSDT.csv", {"market": "mark"}, "BTCUSDT_PERP_MARK"),
        ("spot/markPriceKlines/BTCUSDT.csv", {"market": "index"}, "BTCUSDT_INDEX"),
        ("BTCUSD_240329.csv", {"market": "spot"}, "BTCUSD"),
        ("a.csv", {"symbol": "ethusdt", "market": "perp"}, "ETHUSDT_PERP"),
        ("a.csv", {"symbol": "ETHUSDT_PERP", "market": "perp"}, "ETHUSDT_PERP"),
    ],
)
def test_a_market_that_is_set_comes_before_that_of_the_path(path: str, layout: dict[str, str], symbol: str) -> None:
    assert find_symbol(path, SourceSettings(layout=[LayoutSettings(**layout)])) == symbol


def test_a_symbol_and_a_market_that_contradict_each_other_are_refused() -> None:
    settings = SourceSettings(layout=[LayoutSettings(symbol="ETHUSDT_PERP", market="spot")])
    with pytest.raises(UndecidedError, match="symbol = 'ETHUSDT_PERP' and market = 'spot'") as caught:
        find_symbol("a.csv", settings)
    assert caught.value.decision == "market"
