"""The volume in the base currency is told by names whose every word is known, and by what two volumes must obey."""

import json
from collections.abc import Callable

import numpy as np
import pytest
from raw_files import START_MS, read, rows_of

from chandlery.sources.doubts import UndecidedError

COUNT = 120
SOURCE = "BTCUSDT.csv"
GENERATOR = np.random.default_rng(5)
CLOSE = np.round(250 * np.exp(np.cumsum(GENERATOR.standard_normal(COUNT) * 0.01)), 2)
OPEN = np.concatenate([[250.0], CLOSE[:-1]])
HIGH, LOW = np.round(np.maximum(OPEN, CLOSE) * 1.001, 2), np.round(np.minimum(OPEN, CLOSE) * 0.999, 2)
MEAN = (HIGH + LOW) / 2
VOLUME = np.round(np.exp(GENERATOR.standard_normal(COUNT) + 4), 2)
TRADES = GENERATOR.integers(1, 500, COUNT)
FIGURE = np.round(GENERATOR.uniform(20, 80, COUNT), 2)
TIMES = START_MS + np.arange(COUNT) * 3_600_000
PRICES = {"time": TIMES, "open": OPEN, "high": HIGH, "low": LOW, "close": CLOSE}
COLUMNS = {
    "volume": VOLUME,
    "whole": (VOLUME * 100).astype(int),
    "turnover": np.round(VOLUME * MEAN, 6),
    "count": TRADES,
    "figure": FIGURE,
    "mean": np.where(np.arange(COUNT) % 3, MEAN, 0),  # as Kraken writes mean prices of candles without a trade
    "zeros": np.zeros(COUNT, int),
    "sixty": np.full(COUNT, 60),
    "coins": np.round((VOLUME * 100).astype(int) * 100 / MEAN, 8),  # of contracts that are worth 100 of the quote
}


def write(**named: str) -> bytes:
    """Return lines of fields: prices, then the columns that are named, by what they hold."""
    return write_rows([*PRICES, *named], named)


def write_rows(names: list[str] | None, held: dict[str, str]) -> bytes:
    arrays = [*PRICES.values(), *(COLUMNS[kind] for kind in held.values())]
    rows = [",".join(map(str, row)) for row in zip(*(array.tolist() for array in arrays), strict=True)]
    return ("\n".join([*([",".join(names)] if names else []), *rows]) + "\n").encode()


def write_bare(*kinds: str) -> bytes:
    """Return the same without a header."""
    return write_rows(None, {str(place): kind for place, kind in enumerate(kinds)})


def refuse(content: bytes, source: str = SOURCE) -> UndecidedError:
    """Return why the volume of a file is open."""
    with pytest.raises(UndecidedError) as caught:
        read(content, source, seconds=None)
    assert caught.value.decision == "volume"
    return caught.value


def offer(error: UndecidedError) -> list[str]:
    """Return the columns that the lines of a hint offer."""
    line = next((line for line in error.hint.split("\n") if line.startswith("volume = ")), "")
    value, _, note = line.removeprefix("volume = ").partition("  # ")
    return [value.strip('"'), *note.removeprefix("or ").split(", ")] if line else []


@pytest.mark.parametrize(
    ("volume", "quote"),
    [
        ("Volume BTC", "Volume USDT"),
        ("Volume_(BTC)", "Volume_(Currency)"),
        ("btc_volume", "usdt_volume"),
        ("volumeBTC", "volumeUSDT"),
        ("baseTokenVolume", "usdVolume"),
        ("base_volume", "counter_volume"),
        ("volume_coin", "volume_cash"),
        ("VolumeXBT", "quoteVolume"),
        ("sx_sum", "sx_value"),
        ("trade_volume", "turnover_usd"),
        ("Vol.", "money"),
    ],
)
@pytest.mark.parametrize("beside", [False, True])
def test_names_of_a_volume_in_the_base_currency(volume, quote, beside):
    content = write(**({quote: "turnover"} if beside else {}), **{volume: "volume", "trades": "count"})
    found = read(content, SOURCE, seconds=None)
    assert rows_of(found)["volume"].to_list() == VOLUME.tolist()
    assert (found.decisions["volume"].by == "its name") is not beside


@pytest.mark.parametrize("name", ["anything", "amt", "obj"])
def test_a_ratio_tells_the_volume_where_no_name_does(name):
    found = read(write(**{name: "volume", "paid": "turnover"}), SOURCE, seconds=None)
    assert rows_of(found)["volume"].to_list() == VOLUME.tolist()
    assert "ratio" in found.decisions["volume"].by


@pytest.mark.parametrize(
    "name",
    [
        *("volume_24h", "vol24h", "volume_7d", "rolling_volume", "volume_ma", "Volume MA", "volumeSMA20", "avg_volume"),
        *("volume_change", "volume_pct", "volumeRank", "volume_ratio", "cum_volume", "volume_zscore", "volume_lag"),
        *("buy_volume", "sellVolume", "takerBuyVolume", "ask_volume", "Up", "volume_contracts", "Spread", "period"),
        *("quote_volume", "volume_usd", "usdVolume", "counter_vol", "trades", "tradesCount", "market cap"),
    ],
)
def test_figures_made_of_a_volume_and_parts_of_it_are_none(name):
    error = refuse(write(**{name: "volume"}))
    assert name in error.found
    assert not offer(error)
    assert "write a column of the volume" in error.hint


@pytest.mark.parametrize("name", ["volume_1h", "volume_score", "Tick volume", "volume_eth", "Volumen"])
def test_a_name_with_a_word_that_is_not_known_is_offered(name):
    error = refuse(write(**{name: "volume", "rsi": "figure", "spread": "sixty"}))
    assert offer(error)[0] == name
    assert "rsi" not in error.hint + error.found
    found = read(write(**{name: "volume"}), SOURCE, seconds=None, layout={"volume": name})
    assert rows_of(found)["volume"].to_list() == VOLUME.tolist()


def test_numbers_that_cannot_be_a_volume_are_not_offered():
    assert offer(refuse(write(width="sixty", middle="mean", strength="figure")))[0] == "strength"
    assert not offer(refuse(write(width="sixty")))


@pytest.mark.parametrize(("volume", "turnover"), [("vol", "amount"), ("v", "sum"), ("volume", "turnover"), ("", "")])
def test_a_volume_that_counts_contracts_of_coins_is_refused(volume, turnover):
    content = write(**{volume: "whole", turnover: "turnover"}) if volume else write_bare("whole", "turnover")
    error = refuse(content)
    assert "contracts of 0.01 of the base currency" in error.found
    assert offer(error)[0] == (volume or "6")
    assert turnover not in offer(error) or not turnover
    settled = read(content, SOURCE, seconds=None, layout={"volume": offer(error)[0]})
    assert rows_of(settled)["volume"].to_list() == COLUMNS["whole"].tolist()


@pytest.mark.parametrize("names", [("vol", "amount"), ("volume", "anything"), ("amount", "value"), None])
def test_a_volume_that_counts_contracts_of_the_quote_currency_gives_way_to_the_coins(names):
    content = (
        write_bare("whole", "coins") if names is None else write(**dict(zip(names, ["whole", "coins"], strict=True)))
    )
    found = read(content, SOURCE, seconds=None)
    assert rows_of(found)["volume"].to_list() == COLUMNS["coins"].tolist()
    assert "contracts of 100 of the quote currency" in found.decisions["volume"].by


def test_two_volumes_of_which_one_is_a_multiple_are_in_doubt():
    assert set(offer(refuse(write(vol="whole", vol_ccy="volume")))) == {"vol", "vol_ccy"}
    same = read(write(volume="volume", amount="volume"), SOURCE, seconds=None)
    assert rows_of(same)["volume"].to_list() == VOLUME.tolist()


def test_figures_beside_a_volume_change_nothing():
    found = read(write(volume="volume", rsi="figure", n="count", strength="figure", x="sixty"), SOURCE, seconds=None)
    assert rows_of(found)["volume"].to_list() == VOLUME.tolist()


@pytest.mark.parametrize(("name", "beside"), [("<VOL>", "<TICKVOL>"), ("real_volume", "tick_volume"), ("v", "n")])
def test_a_volume_of_zeros_beside_trades_is_in_doubt(name, beside):
    assert offer(refuse(write(**{beside: "count", name: "zeros"}))) == [name, beside]
    found = read(write(**{name: "zeros", "spread": "sixty"}), SOURCE, seconds=None)
    assert rows_of(found)["volume"].unique().to_list() == [0.0]


@pytest.mark.parametrize("kinds", [("volume", "count"), ("mean", "volume", "count")])
def test_without_names_a_count_of_trades_stands_behind_the_volume(kinds):
    found = read(write_bare(*kinds), SOURCE, seconds=None)
    assert rows_of(found)["volume"].to_list() == VOLUME.tolist()


@pytest.mark.parametrize("kinds", [("whole", "figure"), ("whole", "count", "figure"), ("count", "volume")])
def test_without_names_a_column_behind_whole_numbers_is_no_volume_because_of_its_fractions(kinds):
    assert len(offer(refuse(write_bare(*kinds)))) == len(kinds)


@pytest.mark.parametrize(
    ("source", "cap", "is_refused"),
    [
        ("BTC-USD.csv", None, True),
        ("SHIB-USD.csv", None, False),
        ("SHIB-USD.csv", 1e9, True),
        ("SHIB-USD.csv", 1e15, False),
    ],
)
def test_a_volume_above_all_coins_there_are_may_be_in_the_quote_currency(source, cap, is_refused):
    rows = [
        f"{time},{open_},{high},{low},{close},{volume * 1e8:.0f}" + (f",{close * cap:.0f}" if cap else "")
        for time, open_, high, low, close, volume in zip(
            *(each.tolist() for each in PRICES.values()), VOLUME, strict=True
        )
    ]
    content = "\n".join([f"{','.join(PRICES)},volume{',Market Cap' if cap else ''}", *rows, ""]).encode()
    if not is_refused:
        assert rows_of(read(content, source, seconds=None)).height == COUNT
        return
    error = refuse(content, source)
    assert "quote currency" in error.found
    assert rows_of(read(content, source, seconds=None, layout={"volume": offer(error)[0]})).height == COUNT


def test_contracts_of_each_series_are_seen():
    sizes = {"BTC/USDT": 0.01, "ETH/USDT": 0.1}
    rows = []
    for step in range(COUNT):
        prices = {name: values[step].item() for name, values in PRICES.items()}
        for symbol, size in sizes.items():
            contracts = round(VOLUME[step] / size)
            rows.append({"symbol": symbol, **prices, "vol": contracts, "amount": contracts * size * MEAN[step]})
    assert "contracts" in refuse("".join(json.dumps(row) + "\n" for row in rows).encode(), "all.ndjson").found


@pytest.mark.parametrize("spell", [str, "{} (USD)".format, "{}_usdt".format, "btc_{}".format, "4a. {} (EUR)".format])
def test_prices_whose_names_have_a_currency(spell: Callable[[str], str]):
    names = ["time", *map(spell, list(PRICES)[1:]), "volume"]
    assert (
        rows_of(read(write_rows(names, {"volume": "volume"}), SOURCE, seconds=None))["close"].to_list()
        == CLOSE.tolist()
    )


def test_prices_in_two_currencies_are_refused_with_the_columns_of_one():
    spelt = ["{}a. {} (EUR)", "{}b. {} (USD)"]
    days = {
        f"2021-{1 + step // 28:02}-{1 + step % 28:02}": {
            **{each.format(number, role): PRICES[role][step] * (1 + place)
               for number, role in enumerate(list(PRICES)[1:], 1) for place, each in enumerate(spelt)},
            "5. volume": VOLUME[step],
        }
        for step in range(COUNT)
    }  # fmt: skip
    content = json.dumps({"Time Series (Digital Currency Daily)": days}).encode()
    with pytest.raises(UndecidedError, match="prices of eur and usd") as caught:
        read(content, "BTCEUR.json", seconds=86_400)
    line = next(line for line in caught.value.hint.split("\n") if line.startswith("columns = "))
    columns = json.loads(line.removeprefix("columns = ").partition("  #")[0])
    rows = rows_of(read(content, "BTCEUR.json", seconds=86_400, layout={"columns": columns}))
    assert rows["close"].to_list() == CLOSE.tolist()
    assert rows["volume"].to_list() == VOLUME.tolist()
