"""The Python of docs/reading.md, run as it stands there, and what it has to give."""

import re
from pathlib import Path
from typing import Any

import polars as pl
from polars.testing import assert_frame_equal

import chandlery

PAGE = (Path(__file__).parents[1] / "docs" / "reading.md").read_text(encoding="utf-8")
WANTED: dict[str, dict[str, Any]] = {"candles": {"symbol": "BTCUSD"}, "forecasts": {"symbol": "BTCUSD", "horizon_minutes": 30}, "scores": {}, "ledger": {}}
PLACE = re.compile(r'^lake = ("lake"  # or )?"s3://crypto-lake"$', re.MULTILINE)


def find_snippets(section: str) -> list[str]:
    """Return the Python blocks below a heading of the page."""
    text = re.split(rf"^## {section}$", PAGE, flags=re.MULTILINE)[1]
    return re.findall(r"```python\n(.*?)```", re.split(r"^## ", text, flags=re.MULTILINE)[0], flags=re.DOTALL)


def run_snippet(snippet: str, lake: str, **names: object) -> dict[str, Any]:
    """Run a block on a lake, and return its names."""
    assert PLACE.search(snippet)
    exec(PLACE.sub(f"lake = {lake!r}", snippet), names)  # noqa: S102 - it is our own page
    return names


def read_wanted(lake: Path) -> dict[str, pl.DataFrame]:
    """Return what every block has to read, by table."""
    found = {table: chandlery.read_table(str(lake), table, **wanted) for table, wanted in WANTED.items()}
    found |= {table: found[table].filter(pl.col("year") == 2019) for table in ("candles", "forecasts")}
    found["scores"] = found["scores"].filter(pl.col("period") == "all")
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


def compare(found: dict[str, Any], expected: dict[str, pl.DataFrame]) -> None:
    """Hold what was read against what `read_table` reads, value for value."""
    for table, rows in expected.items():
        order = chandlery.schema.TABLES[table].schema.primary_key()
        assert set(found[table].columns) == set(rows.columns)
        assert_frame_equal(to_polars(found[table]).select(rows.columns).cast(dict(rows.schema)).sort(order), rows.sort(order), check_exact=True)
