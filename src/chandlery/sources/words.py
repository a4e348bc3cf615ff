"""The words of a path, and what each of them may stand for: a coin, an exchange, an interval, a kind of market."""

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from chandlery.units import parse_interval

__all__ = [
    "COINS",
    "COIN_QUOTES",
    "ENGLISH",
    "EXCHANGES",
    "EXPIRY",
    "KINDS",
    "MARKETS",
    "MONEY",
    "MONTHS",
    "ORDERS",
    "QUOTES",
    "SILENT",
    "Word",
    "find_interval",
    "is_english",
    "is_silent",
    "list_kinds",
    "list_named",
    "name_exchange",
    "split_words",
]

# Currencies that are money: of two of them, the one that is written first is the base.
MONEY = frozenset(
    "USD USDT USDC USDE USD1 TUSD BUSD FDUSD PYUSD RLUSD GUSD DAI EUR EURT EUROC GBP JPY CNHT CHT CNH CNY TRY AUD CAD "
    "CHF MXNT MXN BRL KRW UST MIM INR SGD IDR THB UAH PLN ZAR RUB NGN ARS COP VND PHP AED NZD SEK CZK HKD ILS "
    "USTF0".split()
)
# Coins that pairs are quoted in, the strongest first: a pair that is written the other way round is turned.
COIN_QUOTES = ("BTC", "XBT", "BTCF0", "ETH", "BNB", "XAUT", "XAU", "EOS", "XLM", "DUSK")
QUOTES = frozenset([*MONEY, *COIN_QUOTES])
# Well-known coins. They only settle words that could be read in two ways, such as the months of a file's name: any
# other coin is recognised beside its quote currency.
COINS = frozenset(
    "1INCH AAVE ADA ALGO ANKR APE APT AR ARB ATOM AVAX AXS BAL BAND BAT BCH BGB BNB BONK BSV BTC BTG BTT BTTC CAKE "
    "CBBTC CBETH CELO CFX CHZ CKB COMP CRO CRV CVX DASH DCR DGB DOGE DOT DUSK DYDX EGLD ENA ENJ ENS EOS ETC ETH FET "
    "FIL FLOKI FLOW FLR FTM FTT GALA GMT GRT HBAR HNT HTX HYPE ICP ICX IMX INJ IOST IOT IOTA IOTX JASMY JUP KAS KAVA "
    "KCS KDA KLAY KNC KSM LDO LINK LRC LSK LTC LUNA LUNC MANA MATIC MEME MINA MKR MLN MNT NEAR NEO NEXO OKB OMG ONDO "
    "ONE ONT OP ORDI PAXG PENGU PEPE POL PYTH QNT QTUM RENDER REP RNDR ROSE RSR RUNE RVN SAND SATS SC SEI SHIB SNX "
    "SOL STETH STORJ STRK STX SUI SUSHI SXP TAO THETA TIA TON TRUMP TRX TWT UMA UNI USTC VET WAVES WBETH WBTC WETH WIF "
    "WLD WOO XAUT XBT XDG XEC XEM XLM XMR XRP XTZ XVG XVS YFI ZEC ZEN ZIL ZRX".split()
)
# Currencies that are called like English words, or like words of file names: these are meant in lower case, unless the
# other currency of the pair stands beside them.
ENGLISH = frozenset(
    "APE BAL BAND BAT CAKE COMP DOT FLOW LINK MEME NEAR ONE OP RENDER ROSE SAND TON TRUMP WAVES "
    "CAD COP MIM PHP RUB TRY".split()
)
EXCHANGES = {
    name: name
    for name in (
        "binance binanceus bingx bitbank bitbay bitfinex bitflyer bitget bithumb bitmart bitmex bitpanda "
        "bitso bitstamp bittrex bitvavo btcmarkets btcturk bybit cexio coinbase coincheck coinex coinone "
        "cryptocom deribit dydx exmo ftx gateio gemini hitbtc htx huobi hyperliquid indodax itbit korbit "
        "kraken kucoin lbank mexc mtgox okcoin okx phemex poloniex probit tokocrypto upbit wazirx whitebit "
        "yobit zaif"
    ).split()
} | {"okex": "okx", "gdax": "coinbase", "coinbasepro": "coinbase", "binanceusdm": "binance", "binancecoinm": "binance"}
# Words for kinds of markets: what they add to a symbol.
KINDS = {
    **dict.fromkeys("spot margin spbl".split(), ""),
    **dict.fromkeys("perp perps perpetual perpetuals swap swaps futures future fut futs umfuture umfutures cmfuture "
                    "cmfutures um cm usdm coinm linear inverse umcbl dmcbl cmcbl".split(),
                    "PERP"),
    **dict.fromkeys("mark markprice markpriceklines".split(), "MARK"),
    **dict.fromkeys("index indexprice indexpriceklines".split(), "INDEX"),
    **dict.fromkeys("premiumindex premiumindexklines".split(), "PREMIUM"),
    # What looks like candles and has no prices of trades.
    **dict.fromkeys("funding fundingrate option options basis premium openinterest liquidation liquidations heikin "
                    "heikinashi ha renko dvol longshort".split(),
                    "OTHER"),
    # Futures whose expiry changes from day to day.
    **dict.fromkeys("currentquarter thisquarter nextquarter biquarter thisweek nextweek".split(), "ROLLING"),
}  # fmt: skip
ROW_NUMBERS = frozenset("with without no reset date datetime time".split())  # words before an index that is no price
MARKETS = {"spot": "", "perp": "PERP", "mark": "MARK", "index": "INDEX", "premium": "PREMIUM"}  # as settings name them
SILENT = frozenset(
    "yahoo ccxt cryptodatadownload coinapi coinmarketcap cmc coingecko kaggle kaiko tardis freqtrade "
    "api candle candles kline klines ohlc ohlcv bars trades data dated date hist history historical market markets "
    "raw part parts page pages sample csv json parquet feather export exports file files set all full max min new old "
    "pro fx fiat crypto coin coins pair pairs price prices archive daily monthly weekly hourly minute minutes utc gmt "
    "dataset datasets output merged clean cleaned updated final latest candlestick candlesticks "
    "from to and the v vs in per of by on at with for".split()
)
MONTHS = "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split()
_MONTH = f"({'|'.join(MONTHS)})"
EXPIRY = re.compile(rf"(\d{{1,2}}){_MONTH}(\d{{2}}|20\d{{2}})", re.IGNORECASE)  # 29MAR24
_MONTH_NAME = f"({_MONTH}|JANUARY|FEBRUARY|MARCH|APRIL|JUNE|JULY|AUGUST|SEPT|SEPTEMBER|OCTOBER|NOVEMBER|DECEMBER)"
DATE = re.compile(
    rf"{EXPIRY.pattern}|{_MONTH_NAME}\d*|(20)?(\d{{2}})?Q[1-4](20)?(\d{{2}})?|\d{{8}}T\d+Z?", re.IGNORECASE
)
ORDERS = frozenset("CW NW CQ NQ".split())  # of expiries: Huobi's futures of this week, next week and so on
LONE_UNITS = {"minute": 60, "minutes": 60, "minutely": 60, "hourly": 3600}
UNITS = {
    **dict.fromkeys("s sec secs second seconds".split(), "s"),
    **dict.fromkeys("m min mins minute minutes".split(), "m"),
    **dict.fromkeys("h hr hrs hour hours".split(), "h"),
    **dict.fromkeys("d day days".split(), "d"),
    **dict.fromkeys("w wk week weeks".split(), "w"),
}
# Lengths that exchanges offer: another number beside a unit, such as 30d, is the span of the file's data.
OFFERED = {
    "s": {1, 5, 10, 15, 30},
    "m": {1, 2, 3, 5, 6, 10, 12, 15, 20, 30, 45, 60, 90, 120, 240},
    "h": {1, 2, 3, 4, 6, 8, 12, 24},
    "d": {1, 3},
    "w": {1},
}
SUFFIX = re.compile(
    r"\.(csv|tsv|txt|json|jsonl|ndjson|gz|gzip|zst|zip|xz|bz2|parquet|pq|feather|arrow|ipc)$", re.IGNORECASE
)
COPY = re.compile(r"\s*(\(\d+\)|- Copy|_copy)$", re.IGNORECASE)


@dataclass(frozen=True)
class Word:
    """A word of a part of a path.

    Args:
        text: As it is written.
        before: What stands between it and the word before it.
    """

    text: str
    before: str = ""

    @property
    def upper(self) -> str:
        """The word in upper case."""
        return self.text.upper()

    @property
    def lower(self) -> str:
        """The word in lower case."""
        return self.text.lower()

    @property
    def is_number(self) -> bool:
        """Whether it has digits alone, or is a version."""
        return bool(re.fullmatch(r"\d+|v\d+", self.text, re.IGNORECASE))


def split_words(part: str) -> list[Word]:
    """Return the words of a part of a path, without the endings of file names.

    Example:
        >>> [word.text for word in split_words("BTC-USD (1).csv.gz")]
        ['BTC', 'USD']
    """
    while SUFFIX.search(part):
        part = SUFFIX.sub("", part)
    part = COPY.sub("", part)
    words, end = [], 0
    for met in re.finditer(r"[^\W_]+", part):
        words.append(Word(met[0], part[end : met.start()]))
        end = met.end()
    return words


@lru_cache(maxsize=10_000)  # most paths of a source have the same words, and each is asked for several times
def name_exchange(word: str) -> str:
    """Return the exchange of a word; also of a word such as bitstampUSD, which names a quote currency as well."""
    if word in EXCHANGES:
        return EXCHANGES[word]
    rests = (word.removesuffix(quote.lower()) for quote in MONEY if word.endswith(quote.lower()))
    return next((EXCHANGES[rest] for rest in rests if rest in EXCHANGES), "")


@lru_cache(maxsize=10_000)
def is_silent(word: Word) -> bool:
    """Return whether a word names no coin: a common word of file names, an exchange, a kind of market or a date."""
    lower = word.lower
    is_common = lower in SILENT or lower in KINDS or word.text in ORDERS
    return is_common or bool(name_exchange(lower)) or bool(DATE.fullmatch(word.text))


def is_english(word: Word) -> bool:
    """Return whether a word that may be a currency is rather an English word, because it is in lower case."""
    return word.upper in ENGLISH and word.text == word.lower


def list_named(words: list[Word]) -> list[Word]:
    """Return the words of a part of a path that may name a currency."""
    length = find_interval(words)
    used = length[1] if length else []
    return [word for word in words if not (word.is_number or word in used or is_silent(word))]


def list_kinds(words: list[Word]) -> list[tuple[str, str]]:
    """Return the words of a part of a path that name kinds of markets, and the kinds; two words may name one together.

    Example:
        >>> list_kinds(split_words("BTCUSDT_premium_index")), list_kinds(split_words("spot_index"))
        ([('premium index', 'PREMIUM')], [('spot', ''), ('index', 'INDEX')])
    """
    found: list[tuple[str, str]] = []
    used, before = None, ""
    for first, second in pairwise([*words, Word("")]):
        joined = first.lower + second.lower
        if first is used:
            continue
        if len(first.text) > 1 and len(second.text) > 1 and joined in KINDS:
            found.append((f"{first.text} {second.text}", KINDS[joined]))
            used = second
        elif first.lower in KINDS and not (first.lower == "index" and before in ROW_NUMBERS):
            found.append((first.text, KINDS[first.lower]))
        before = first.lower
    return found


def find_interval(words: list[Word]) -> tuple[int, list[Word]] | None:
    """Return the length of a candle that words name, in seconds, and the words that name it; None if none or two do.

    A capital M stands for months, which are 0 seconds here.

    Example:
        >>> find_interval(split_words("BTCUSDT-1h-2024-01.csv"))
        (3600, [Word(text='1h', before='-')])
        >>> find_interval(split_words("btcusd_1-min_data.csv"))[0], find_interval(split_words("ltcusd.csv"))
        (60, None)
    """
    found: dict[int, list[Word]] = {}
    for place, word in enumerate(words):
        seconds, used = _read_length(word.text), [word]
        if seconds is None and word.text.isdigit() and place + 1 < len(words) and words[place + 1].text.isalpha():
            seconds, used = _read_length(word.text + words[place + 1].text), [word, words[place + 1]]
        if seconds is None and word.lower in LONE_UNITS and not (place and words[place - 1].text.isdigit()):
            seconds, used = LONE_UNITS[word.lower], [word]
        if seconds is not None:
            found.setdefault(seconds, []).extend(used)
    return next(iter(found.items())) if len(found) == 1 else None


def _read_length(text: str) -> int | None:
    """Return the seconds of a length such as 5m, 15min, 1h, H4 or M15; 0 for months; None for anything else."""
    met = re.fullmatch(r"(\d{1,3})([A-Za-z]+)", text)
    if met is None and (turned := re.fullmatch(r"(MN|[MHDW])(\d{1,2})", text)):  # as MetaTrader writes them
        met = re.fullmatch(r"(\d+)([a-z]+)", f"{turned[2]}{turned[1].lower().replace('mn', 'mo')}")
    if met is None:
        return None
    number, unit = int(met[1]), met[2]
    if unit == "M" or unit.lower() in {"mo", "mon", "mth", "month", "months"}:
        return 0
    short = UNITS.get(unit.lower())
    if short is None or number not in OFFERED[short]:
        return None
    return parse_interval(f"{number}{short}")
