"""Words of paths that are no coins, and what a path names then: another coin with its quote, or a doubt."""

import pytest
from raw_files import HEADER, line, read

from chandlery.settings.model import LayoutSettings, SourceSettings
from chandlery.sources.decisions import generalise_path
from chandlery.sources.doubts import UndecidedError
from chandlery.sources.symbols import find_symbol, read_path


def refuse(source: str) -> UndecidedError:
    """Return why a path decides no symbol, after its lines to paste have settled it."""
    with pytest.raises(UndecidedError) as caught:
        find_symbol(source)
    line = next(line for line in caught.value.hint.splitlines() if line.startswith("symbol = "))
    symbol = line.split('"')[1]
    if symbol != "?":
        assert find_symbol(source, SourceSettings(layout=[LayoutSettings(files=source, symbol=symbol)])) == symbol
    return caught.value


@pytest.mark.parametrize("word", ["vs", "in", "per", "close", "final", "mid", "v2", "2024", "whatever"])
@pytest.mark.parametrize(("coin", "quote"), [("SOL", "USD"), ("ADA", "EUR"), ("1INCH", "USDT")])
def test_a_word_between_a_coin_and_its_quote_is_no_coin(word: str, coin: str, quote: str) -> None:
    assert find_symbol(f"{coin}_{word}_{quote}.csv") == f"{coin}{quote}"


@pytest.mark.parametrize("folder", ["vs_usd", "fiat_USD", "top50_usd", "usd", "USD", "quoted_in_USD", "kraken_usd"])
@pytest.mark.parametrize("name", ["{}.csv", "{}_1h.csv", "{}/2024.csv", "{}/1h/2024.csv"])
def test_a_folder_of_a_quote_currency_is_no_pair(folder: str, name: str) -> None:
    assert [find_symbol(f"{folder}/{name.format(coin)}") for coin in ("SOL", "ADA", "BTC")] == [
        "SOLUSD",
        "ADAUSD",
        "BTCUSD",
    ]


@pytest.mark.parametrize("word", ["my", "av", "histohour", "cryptocompare", "XT", "uniswap_v3", "gate"])
@pytest.mark.parametrize("pair", ["BTC_USD", "eth-usdt", "ETH_BTC"])
def test_a_word_before_a_well_known_pair_makes_no_second_pair(word: str, pair: str) -> None:
    assert find_symbol(f"{word}_{pair}.csv") == find_symbol(f"{pair}.csv")


@pytest.mark.parametrize(
    ("source", "symbol"),
    [
        ("DUSK_USD.csv", "DUSKUSD"),
        ("FOO-USDT.csv", "FOOUSDT"),
        ("foo_usdt/2024.csv", "FOOUSDT"),
        ("FOO/USDT.csv", "FOOUSDT"),
        ("USDT/FOO.csv", "FOOUSDT"),
        ("USDT_FOO.csv", "FOOUSDT"),
        ("meme/FOO_USDT.csv", "FOOUSDT"),
        ("SOL/FOOUSDT.csv", "FOOUSDT"),
        ("foo_usdt/part-00000-8a7b-4abc.c000.snappy.parquet", "FOOUSDT"),
        ("FOO_BTC.csv", "FOOBTC"),
        ("SUSDT-1h-2024-01.csv", "SUSDT"),
        ("PERP-USDT.csv", "PERPUSDT"),
    ],
)
def test_an_unknown_coin_is_read_where_nothing_speaks_against_it(source: str, symbol: str) -> None:
    assert find_symbol(source) == symbol


@pytest.mark.parametrize(
    ("source", "choices"),
    [
        ("SOL/CLOSE_USD.csv", {"SOLUSD", "CLOSEUSD"}),
        ("vs1_usd/FOO.csv", {"VS1USD", "FOOUSD"}),
        ("my_eth.csv", {"MYETH", "ETH"}),
        ("RESULTS/BTC.csv", {"RESULTSBTC", "BTC"}),
        ("DATA_BTC.csv", {"DATABTC", "BTC"}),
        ("BTC/FOO.csv", {"BTC", "FOO", "FOOBTC"}),
        ("BTC/ADA.csv", {"ADA", "ADABTC"}),
        ("BTCUSDT/ETH.csv", {"BTCUSDT", "ETHUSDT"}),
        ("USDT/BTC/ADA.csv", {"BTCUSDT", "ADAUSDT"}),
        ("BTCUSD1.csv", {"BTCUSD", "BTCUSD1"}),
        ("REPORT.csv", {"REPORT"}),
    ],
)
def test_a_path_of_which_two_words_may_be_the_coin_is_refused_with_the_symbols_it_may_name(
    source: str, choices: set[str]
) -> None:
    error = refuse(source)
    assert error.decision == "symbol"
    assert {text for text in error.hint.split('"')[1::2] if text.isalnum()} >= choices


@pytest.mark.parametrize("name", ["BINANCE", "Coinbase", "OKX", "SPOT", "DAILY", "CANDLES"])
def test_an_exchange_or_a_common_word_before_a_coin_is_no_base(name: str) -> None:
    assert [find_symbol(f"{name}_{coin}_1h.csv") for coin in ("BTC", "ETH", "BNB")] == ["BTC", "ETH", "BNB"]


@pytest.mark.parametrize("name", ["JAN", "FEB", "March", "Q1", "2024Q3", "CLEAN", "DATASET"])
def test_a_month_or_a_common_word_in_the_folder_of_a_coin_is_no_coin(name: str) -> None:
    assert find_symbol(f"LTC/{name}.csv") == "LTC"


@pytest.mark.parametrize("word", ["august", "August", "Kenneth", "country", "Tools"])
def test_a_common_word_that_ends_like_a_quote_currency_is_no_pair(word: str) -> None:
    assert find_symbol(f"{word}/SOL.csv") == "SOL"


@pytest.mark.parametrize(
    ("path", "symbol"),
    [
        ("symbol=BTC%2FUSDT/2024-01.csv", "BTCUSDT"),
        ("BTC%2DEUR.csv", "BTCEUR"),
        ("LTC%20USD.csv", "LTCUSD"),
        ("coin=SOL/currency=EUR/1.csv", "SOLEUR"),
        ("coin=eth/currency=btc/1.csv", "ETHBTC"),
        ("asset=ADA/quote_asset=USD/1.csv", "ADAUSD"),
        ("base_currency=UNI/quote_currency=USDT/1.csv", "UNIUSDT"),
        ("baseAsset=foo/quoteAsset=usdt/1.csv", "FOOUSDT"),
        ("product_type=spot/symbol=BTCUSDT/1.csv", "BTCUSDT"),
        ("type=perp/symbol=BTCUSDT/1.csv", "BTCUSDT_PERP"),
        ("crypto=DOGE/vs_currency=usd/1.csv", "DOGEUSD"),
        ("coin=BTC/BTCUSDT-1h.csv", "BTCUSDT"),
        ("symbol=FOO/interval=1h/1.csv", "FOO"),
        ("symbol=BTCUSDT_PERP_MARK/1.csv", "BTCUSDT_PERP_MARK"),
        ("index/symbol=BTC-USDT/1.csv", "BTCUSDT_INDEX"),
        ("EURUSD=X.csv", "EURUSD"),
    ],
)
def test_keys_of_partitions_are_no_words_of_a_pair(path: str, symbol: str) -> None:
    assert find_symbol(path) == symbol


def test_partitions_that_name_no_coin_are_refused() -> None:
    for name in ("bitcoin", "ethereum"):
        assert refuse(f"id={name}/vs_currency=usd/2024.csv").decision == "symbol"


@pytest.mark.parametrize(
    ("name", "symbol", "seconds"),
    [
        ("BTCUSD60", "BTCUSD", 3_600),
        ("ETHBTC15", "ETHBTC", 900),
        ("LTCUSD1440", "LTCUSD", 86_400),
        ("BTCUSDH1", "BTCUSD", 3_600),
        ("FOOUSDM5", "FOOUSD", 300),
        ("BTCUSDMN", "BTCUSD", 0),
        ("DOGEUSDT1h", "DOGEUSDT", 3_600),
        ("BTCUSDT20240101", "BTCUSDT", None),
        ("BTCUSDT2024-01-01", "BTCUSDT", None),
        ("BTCUSD1-1h-2024-01", "BTCUSD1", 3_600),
        ("XXBTZUSD", "XBTUSD", None),
        ("XETHZEUR_60", "ETHEUR", None),
        ("XETHXXBT", "ETHXBT", None),
        ("sBTCUSDT", "BTCUSDT", None),
        ("XBTUSDTM", "XBTUSDT_PERP", None),
    ],
)
def test_a_pair_is_found_in_the_spellings_of_exchanges_and_programs(
    name: str, symbol: str, seconds: int | None
) -> None:
    assert find_symbol(f"{name}.csv") == symbol
    assert read_path(f"{name}.csv").interval == seconds


def test_paths_of_one_kind_are_alike_however_a_pair_is_spelt() -> None:
    for shape in ("symbol={}%2F{}/1.csv", "{}{}60.csv", "s{}{}.csv", "t{}{}.csv", "id={}/vs={}/1.csv"):
        paths = [shape.format(*pair) for pair in (("LTC", "USD"), ("DOGE", "USDT"))]
        assert len({generalise_path(path, read_path(path).pair) for path in paths}) == 1


@pytest.mark.parametrize("expiry", ["29MAR24", "240329", "20240329", "3MAY24"])
@pytest.mark.parametrize("strike", ["50000", "0d52", "0.52"])
@pytest.mark.parametrize("shape", ["BTC-{}-{}-C", "XRP_USDC-{}-{}-P", "BTC-{}-{}-C-USDT", "deribit/BTC-{}-{}-call_1h"])
def test_options_are_no_candles_of_their_coin(expiry: str, strike: str, shape: str) -> None:
    error = refuse(f"{shape.format(expiry, strike)}.csv")
    assert error.decision == "market"
    assert "option" in str(error)


@pytest.mark.parametrize(
    "name",
    ["BTC-0329", "BTCUSD0329", "BTC-240329", "BTC-MAR24", "BTCUSD-29Mar2024", "BTCUSD_CURRENT_QUARTER_1h",
     "BTCUSD_NEXT_QUARTER_1h", "BTC-USD-CQ", "BTC_NW", "BTCUSDT_nextquarter", "BTCUSD_quarterly", "BTC=F"],
)  # fmt: skip
def test_futures_without_a_clear_expiry_are_not_the_spot_price(name: str) -> None:
    assert refuse(f"{name}.csv").decision == "market"


@pytest.mark.parametrize(
    ("path", "symbol"),
    [
        ("BTCUSDT_index_1h.csv", "BTCUSDT_INDEX"),
        ("okx/index-candles/BTC-USD.csv", "BTCUSD_INDEX"),
        ("bybit/spot_index/XRPUSD/XRPUSD2024-01-01_index_price.csv", "XRPUSD_INDEX"),
        ("bybit/premium_index/ETHUSD/ETHUSD2024-01-01_premium_index.csv", "ETHUSD_PREMIUM"),
        ("BTCUSDT_mark_price.csv", "BTCUSDT_MARK"),
        ("BTCUSDT_UMCBL.csv", "BTCUSDT_PERP"),
        ("BTCUSDT_without_index.csv", "BTCUSDT"),
        ("BTC-29MAR24-USDT.csv", "BTCUSDT_240329"),
    ],
)
def test_kinds_of_markets_are_found_in_words_that_stand_apart(path: str, symbol: str) -> None:
    assert find_symbol(path) == symbol


@pytest.mark.parametrize(
    "words", ["heikin_ashi", "HeikinAshi", "renko", "basis", "open_interest", "funding-rate", "fundingRate", "premium"]
)
def test_what_no_trade_was_made_at_is_no_price(words: str) -> None:
    for path in (f"BTCUSDT_{words}_1h.csv", f"{words}/BTCUSDT.csv"):
        error = refuse(path)
        assert error.decision == "market"
        assert words.partition("_")[0].partition("-")[0] in str(error)


def test_the_folder_of_a_market_is_the_quote_if_the_prices_fit() -> None:
    path = "btc/ETH/2024-02.csv"
    assert find_symbol(path) == "ETHBTC"
    cheap, dear = (HEADER + b"".join(line(step, price=price) for step in range(30)) for price in (0.5, 20.0))
    assert read(cheap, path, seconds=None).rows_read == read(cheap, seconds=None).rows_read
    with pytest.raises(UndecidedError, match="neither clearly those of ETHBTC"):
        read(dear, path, seconds=None)
