"""Lakes of format 1: made by the release that wrote them, where the history is there, and by hand."""

import json
import os
import subprocess
import sys
import tarfile
from io import BytesIO
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hours import LAST_DAY, put_days
from universe import Source

OLD_CODE = "bd82211"  # the last commit that wrote format 1
HOUSE = Path(__file__).parents[2]
KEYS = {"exchange": "bitfinex", "interval": "60m"}
SETTINGS = """
[source]
uri = "{raw}"
[lake]
uri = "{lake}"
[forecast]
horizons = ["1h", "4h"]
models = ["linear"]
min_train = "60d"
[engine]
workers = 1
"""


def unpack_old_code(folder: Path) -> Path:
    """Unpack the last code with format 1; the test is skipped where the history does not reach so far."""
    found = subprocess.run(["git", "archive", OLD_CODE, "src"], cwd=HOUSE, capture_output=True, check=False)
    if found.returncode:
        pytest.skip(f"the history of this clone does not have {OLD_CODE}, whose code wrote format 1")
    with tarfile.open(fileobj=BytesIO(found.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder / "src"


def run_old_code(code: Path, raw: Path, lake: Path) -> None:
    """Bring a lake up to date with the code of format 1."""
    config = lake.parent / f"{lake.name}.toml"
    config.write_text(SETTINGS.format(raw=raw, lake=lake))
    command = [sys.executable, "-m", "chandlery", "run", "--config", str(config), "--quiet"]
    environment = {**os.environ, "PYTHONPATH": str(code)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode in {0, 3}, done.stderr  # 3: some input was refused, as it should be


def upload(folder: Path) -> Source:
    """Return a source with whatever a ledger may have to tell of: refused files and rows, and files of no symbol."""
    source = Source(folder, 7, 1_538_352_000_000)
    for symbol in ("BTCUSD", "ETHUSD", "LTCUSD"):
        put_days(source, symbol, 1, 60)
        put_days(source, symbol, 60, LAST_DAY)
    faulty = folder / "ethusd_001.csv"
    lines = faulty.read_text().splitlines()
    lines[30] = "not a candle"
    faulty.write_text("\n".join(lines) + "\n")
    (folder / "readme.csv").write_text("nothing of interest\n")
    (folder / "btcusd_odd.csv").write_text("<html></html>\n" * 20)
    (folder / "zecusd.csv").write_text("")
    for name in ("ethusd_001.csv", "readme.csv", "btcusd_odd.csv", "zecusd.csv"):
        os.utime(folder / name, (source.clock_s, source.clock_s))
    return source


def read_old(lake: Path, table: str) -> pl.DataFrame:
    """Return the rows of a table of format 1, read by Polars alone, with the keys of its paths."""
    return pl.concat([read_object(path) for path in sorted(lake.glob(f"{table}/**/*.parquet"))], how="diagonal_relaxed")


def read_object(path: Path) -> pl.DataFrame:
    """Return the rows of one object with the keys of its path, as text."""
    keys = dict(part.split("=", 1) for part in path.parts if "=" in part)
    rows = pl.read_parquet(path, hive_partitioning=False)
    return rows.with_columns(pl.lit(value).alias(name) for name, value in keys.items())


def write_by_hand(new: Path, lake: Path, **fixed: Any) -> None:
    """Write the tables of a lake of format 2 as one of format 1 had them.

    Args:
        new: The lake, of one series.
        lake: Where to write.
        fixed: What `lake.json` has instead of the values of format 2; null for what it does not have.
    """
    (series,) = json.loads((new / "lake.json").read_text())["series"]
    for path in sorted(new.glob("*/exchange=*/**/part-0.parquet")):
        parts = path.relative_to(new).parts
        keys = dict(part.split("=", 1) for part in parts if "=" in part)
        rows = pl.read_parquet(path, hive_partitioning=False)
        if parts[0] not in {"ledger", "rejects"}:
            rows = rows.insert_column(0, pl.lit(series["interval"]).alias("interval"))
        folders = [parts[0], "exchange=bitfinex", *(f"{name}={keys[name]}" for name in keys if name not in KEYS)]
        target = lake.joinpath(*folders, "part-0.parquet")
        target.parent.mkdir(parents=True, exist_ok=True)
        rows.write_parquet(target)
    held = {name: value for name, value in series.items() if name not in {"reach", "offset"}}
    file = {"format": 1, **held, "exchange": "bitfinex", **fixed}
    (lake / "lake.json").write_text(json.dumps({name: value for name, value in file.items() if value is not None}))


def spread_refused(lake: Path) -> None:
    """Give the ledger's rows of refused files to the symbols in their names, as format 1 did."""
    folder = lake / "ledger" / "exchange=bitfinex"
    path = folder / "symbol=UNKNOWN" / "part-0.parquet"
    rows = pl.read_parquet(path, hive_partitioning=False)
    for symbol in ("BTCUSD", "ZECUSD"):
        chosen = pl.col("source").str.starts_with(symbol.lower())
        target = folder / f"symbol={symbol}" / "part-0.parquet"
        target.parent.mkdir(exist_ok=True)
        held = [pl.read_parquet(target, hive_partitioning=False)] if target.exists() else []
        pl.concat([*held, rows.filter(chosen)]).sort("source").write_parquet(target)
        rows = rows.filter(~chosen)
    rows.write_parquet(path)


def list_paths(lake: Path) -> list[str]:
    """Return the paths of all objects of a lake but its lock."""
    return sorted(
        path.relative_to(lake).as_posix() for path in lake.rglob("*") if path.is_file() and path.name != ".lease.lock"
    )
