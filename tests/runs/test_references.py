"""The market of a series is a fixed list of coins, in the quote of most of its symbols."""

import pytest

from chandlery.runs.references import choose_references


@pytest.mark.parametrize(
    ("symbols", "first"),
    [
        (["BTCUSD", "ETHUSD", "LTCBTC"], ["BTCUSD", "ETHUSD", "XRPUSD", "EOSUSD"]),
        (["BTCUSDT", "ETHUSDT", "LTCUSD"], ["BTCUSDT", "ETHUSDT", "XRPUSDT", "EOSUSDT"]),
        (["XBTEUR", "ETHEUR"], ["XBTEUR", "ETHEUR", "XRPEUR", "EOSEUR"]),
        (["BTCUSDT", "BTCUSD"], ["BTCUSD", "ETHUSD", "XRPUSD", "EOSUSD"]),  # as many of each: USD comes first
        (["BTCUSDC", "BTCUSDT"], ["BTCUSDT", "ETHUSDT", "XRPUSDT", "EOSUSDT"]),
        (["BTCEUR", "BTCJPY"], ["BTCEUR", "ETHEUR", "XRPEUR", "EOSEUR"]),
        ([], ["BTCUSD", "ETHUSD", "XRPUSD", "EOSUSD"]),
        (["LTC"], ["BTCUSD", "ETHUSD", "XRPUSD", "EOSUSD"]),
    ],
)
def test_references_are_in_the_quote_of_most_symbols(symbols: list[str], first: list[str]) -> None:
    assert choose_references(symbols)[:4] == first
    assert choose_references(reversed(symbols)) == choose_references(symbols)
    assert len(set(choose_references(symbols))) == 9
