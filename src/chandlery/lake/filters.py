"""The filters of readers, as values of partition keys, and whether a lake has such values."""

from collections.abc import Mapping, Sequence

from chandlery.errors import SettingsError
from chandlery.schema import series_name
from chandlery.units import UNASSIGNED_NAME, normalise_series, normalise_symbol

__all__ = ["check_known", "make_filter"]


def make_filter(series: str | None, symbol: str | None, horizon_minutes: int | None) -> dict[str, str]:
    """Return the values of partition keys that a reader asks for.

    Example:
        >>> make_filter("kraken/1h", "ltc/usd", None)
        {'exchange': 'kraken', 'interval': '60m', 'symbol': 'LTCUSD'}
    """
    wanted = dict(zip(("exchange", "interval"), normalise_series(series).split("/"), strict=True)) if series else {}
    if symbol:
        wanted["symbol"] = normalise_symbol(symbol)
    return wanted if horizon_minutes is None else {**wanted, "horizon_minutes": str(horizon_minutes)}


def check_known(wanted: Mapping[str, str], known: Sequence[Mapping[str, str]], lake: str) -> None:
    """Check that a lake which holds candles or files holds some of the wanted series and symbol.

    Args:
        wanted: What `make_filter` returned.
        known: The partition keys of the objects of ledger and candles.
        lake: URI of the lake.

    Raises:
        SettingsError: The lake holds others only.
    """
    series = {series_name(parts) for parts in known}
    asked = series_name(wanted) if "exchange" in wanted else ""
    if series and asked and asked not in series:
        named = ", ".join(sorted(series - {UNASSIGNED_NAME} or series))
        raise SettingsError(f"no series {asked} in {lake}", f"one of {named}", "check its spelling")
    symbols = {parts["symbol"] for parts in known if asked in {"", series_name(parts)}}
    if symbols and (symbol := wanted.get("symbol", "")) and symbol not in symbols:
        found = f"nothing is known of {symbol}{f' as {asked}' if asked else ''} in {lake}"
        raise SettingsError(found, f"one of {', '.join(sorted(symbols)[:50])}", "check its spelling")
