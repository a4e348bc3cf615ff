"""Runs that publish a day of candles each, for readers to read meanwhile."""

import datetime as dt
import subprocess
import sys
from pathlib import Path

import polars as pl

from chandlery.lake.store import Store
from chandlery.sources.sample import SAMPLE_SYMBOLS, SamplePlan, write_sample
from gate import LAKE, RAW
from settings_text import to_toml

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "demo"))

from s3_server import Server

SYMBOLS, BASE_DAYS, NEW_YEAR, SEED = SAMPLE_SYMBOLS[:3], 44, dt.date(2019, 1, 1), 11
SETTINGS = '[forecast]\nhorizons = ["5m", "15m"]\nmodels = ["linear"]\nmin_train = "10d"\n'
RISE = 1.01  # factor of corrected prices
EACH = 3  # candle is corrected: a day of which most differed would be refused as that of another market


class Publisher:
    """Puts days of candles into the raw bucket, and runs.

    Args:
        folder: For the settings.
        server: The S3 server with the source and the lake.
        endpoint: URL of the proxy before the server.
        name: Of the source and the lake in their buckets.
        runs: Their number; half of them are in the new year, which has its own objects.
        minutes: Length of a candle.
    """

    def __init__(self, folder: Path, server: Server, endpoint: str, name: str, runs: int, minutes: int) -> None:
        self.lake, self._raw = f"s3://{LAKE}/{name}", Store(f"s3://{RAW}/{name}", server.storage)
        self._start = NEW_YEAR - dt.timedelta(days=BASE_DAYS + runs // 2)
        files = write_sample(
            SamplePlan(SYMBOLS, days=BASE_DAYS + runs, start=self._start, interval_minutes=minutes, seed=SEED)
        )
        self._candles = {symbol: file.candles for symbol, file in zip(SYMBOLS, files, strict=True)}
        config = folder / f"{name}.toml"
        config.write_text(SETTINGS + to_toml({"storage": {**server.storage, "endpoint_url": endpoint}}))
        self._command = [
            sys.executable,
            "-m",
            "chandlery",
            "run",
            "--quiet",
            "--config",
            str(config),
            "--source",
            self._raw.uri,
            "--lake",
            self.lake,
        ]

    def publish(self, number: int) -> None:
        """Put a day of every symbol and run; every second run also restates an older day of one symbol.

        Run 0 puts all days before the first one.

        Raises:
            RuntimeError: The run failed.
        """
        first, count = (0, BASE_DAYS) if number == 0 else (BASE_DAYS + number - 1, 1)
        for symbol in SYMBOLS:
            self._put(symbol, first, count)
        if number and number % 2 == 0:
            self._put(SYMBOLS[number // 2 % len(SYMBOLS)], BASE_DAYS // 2 + number, 1, rise=RISE)
        done = subprocess.run(self._command, check=False, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"run {number} ended with {done.returncode}: {done.stderr}")

    def _put(self, symbol: str, first: int, count: int, *, rise: float = 1.0) -> None:
        """Put a file with some days of a symbol, if it traded on them."""
        start, stop = (
            dt.datetime.combine(self._start + dt.timedelta(days=day), dt.time(), dt.UTC)
            for day in (first, first + count)
        )
        days = self._candles[symbol].filter(pl.col("open_time").is_between(start, stop, closed="left"))
        if days.height:
            factor = pl.when(pl.int_range(pl.len()) % EACH == 0).then(rise).otherwise(1.0)
            prices = (pl.col(name) * factor for name in ("open", "close", "high", "low"))
            rows = days.select(pl.col("open_time").dt.epoch("ms").alias("time"), *prices, "volume")
            self._raw.put(f"{symbol}/{start:%Y-%m-%d}{'' if rise == 1 else '-again'}.csv", rows.write_csv().encode())
