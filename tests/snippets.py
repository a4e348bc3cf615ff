"""The Python of docs/reading.md, run as it stands there, and what it has to give."""

import re
from pathlib import Path
from typing import Any

import polars as pl
from polars.testing import assert_frame_equal

import chandlery

PAGE = (Path(__file__).parents[1] / "docs" / "reading.md").read_text(encoding="utf-8")
SERIES, HORIZON = "bitfinex/1m", 30  # of the page
PLACE = re.compile(r'^lake = ("lake"  # or )?"s3://crypto-lake"$', re.MULTILINE)


def find_snippets(section: str) -> list[str]:
    """Return the Python blocks below a heading of the page."""
    text = re.split(rf"^## {section}$", PAGE, flags=re.MULTILINE)[1]
    return re.findall(r"```python\n(.*?)```", re.split(r"^## ", text, flags=re.MULTILINE)[0], flags=re.DOTALL)


def run_snippet(
    snippet: str, lake: str, series: str = SERIES, horizon_minutes: int = HORIZON, **names: object
) -> dict[str, Any]:
    """Run a block on a lake, written for one of its series, and return its names."""
    assert PLACE.search(snippet)
    text = PLACE.sub(f"lake = {lake!r}", snippet)
    exchange, _, interval = series.partition("/")
    text = text.replace("bitfinex", exchange).replace("'1m'", f"'{interval}'")
    text = text.replace('"1m"', f'"{interval}"').replace('/1m"', f'/{interval}"').replace("=1m/", f"={interval}/")
    text = re.sub(r"(horizon_minutes\W+)30\b", rf"\g<1>{horizon_minutes}", text)
    exec(text, names)  # noqa: S102 - it is our own page
    return names


def read_wanted(lake: Path, series: str = SERIES, horizon_minutes: int = HORIZON) -> dict[str, pl.DataFrame]:
    """Return what every block has to read, by table: all rows, filtered here; of forecasts, the series' columns."""
    exchange, _, interval = series.partition("/")
    found = {table: chandlery.read_table(str(lake), table) for table in ("candles", "scores", "ledger")}
    found["forecasts"] = chandlery.read_table(str(lake), "forecasts", series=series)
    of_series = {"exchange": exchange, "interval": interval}
    pair = {**of_series, "symbol": "BTCUSD", "year": 2019}
    found["candles"] = found["candles"].filter(**pair)
    found["forecasts"] = found["forecasts"].filter(**pair, horizon_minutes=horizon_minutes)
    found["scores"] = found["scores"].filter(**of_series, period="all")
    assert all(rows.height for rows in found.values())
    return found


def to_polars(rows: Any) -> pl.DataFrame:
    """Return what a library reads as a Polars frame, times in UTC."""
    if hasattr(rows, "toArrow"):  # Spark
        rows = pl.from_arrow(rows.toArrow())
    elif hasattr(rows, "to_arrow_table"):  # DuckDB
        rows = pl.from_arrow(rows.to_arrow_table())
    elif not isinstance(rows, pl.DataFrame):
        rows = pl.from_pandas(rows)
    times = [name for name, kind in rows.schema.items() if isinstance(kind, pl.Datetime)]
    return rows.with_columns(pl.col(times).dt.convert_time_zone("UTC"))


def check_tables(found: dict[str, Any], expected: dict[str, pl.DataFrame]) -> None:
    """Check that tables read in another way have the values that `read_table` returns.

    A column of a model that only other series have may come too, as null.
    """
    for table, rows in expected.items():
        order = chandlery.schema.TABLES[table].schema.primary_key()
        read = to_polars(found[table])
        others = set(read.columns) - set(rows.columns)
        assert set(read.columns) >= set(rows.columns)
        assert all(name.startswith("predicted_") and read[name].is_null().all() for name in others)
        same = read.select(rows.columns).cast(dict(rows.schema)).sort(order)
        assert_frame_equal(same, rows.sort(order), check_exact=True)
