"""A site of the daily run, in tests: raw files that come by the day, settings, a lake, and chandlery as a program of
its own.
"""

import datetime as dt
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import polars as pl
from lakes import digests

from chandlery.lake.store import Store
from chandlery.sources.sample import SAMPLE_SYMBOLS, SamplePlan, write_sample

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-airflow" / "bin" / "python"
ALL = ["wait", "ingest", "forecast", "check", "report"]  # the DAG's tasks
TENTH, ELEVENTH, TWELFTH = (dt.date(2019, 2, day) for day in (10, 11, 12))
DAY = dt.timedelta(days=1)
DAYS = 105
LAST_DAYS = 5  # each of which has its last candle
SYMBOLS = SAMPLE_SYMBOLS[:2]
INTERVAL_MINUTES = 30


@dataclass(frozen=True)
class Site:
    """Where the daily run is at home.

    Args:
        folder: Of everything that is not elsewhere.
        storage: Options of the store that the lake is in.
        lake_uri: The lake; a folder where it is left out.
        first_day: Of the candles.
    """

    folder: Path
    storage: Mapping[str, str] = field(default_factory=dict)
    lake_uri: str = ""
    first_day: dt.date = dt.date(2018, 11, 1)

    @property
    def raw(self) -> Path:
        return self.folder / "raw"

    @property
    def lake(self) -> str:
        return self.lake_uri or str(self.folder / "lake")

    @property
    def config(self) -> Path:
        return self.folder / "chandlery.toml"

    @property
    def report(self) -> Path:
        return self.folder / "report.html"

    def settle(self, *, lease_seconds: float = 60, extensions: tuple[str, ...] = ()) -> None:
        """Write chandlery.toml; its source is named from where it stands."""
        lines = ["[source]", 'uri = "raw"', "[lake]", f'uri = "{self.lake}"', f"lease_seconds = {lease_seconds}"]
        lines += [
            "[forecast]",
            'horizons = ["30m"]',
            'models = ["linear"]',
            'min_train = "10d"',
            f"extensions = {list(extensions)}",
        ]
        lines += [
            "[engine]",
            "workers = 1",
            "[storage]",
            *(f'{name} = "{value}"' for name, value in self.storage.items()),
        ]
        self.folder.mkdir(parents=True, exist_ok=True)
        self.config.write_text("\n".join(lines))

    def deliver(self, *days: dt.date) -> None:
        """Put the files of some days into the source, a file a symbol and day; first of all, a file of what was before
        them.
        """
        if not self.raw.exists():
            self.raw.mkdir(parents=True)
            self._put("history", self.first_day, min(days))
        for day in days:
            self._put(str(day), day, day + dt.timedelta(days=1))

    def look(self) -> dict[str, tuple[str, dt.datetime]]:
        """Return hash and time of change of every object of the lake."""
        changed = {entry.path: entry.modified_at for entry in Store(self.lake, self.storage).list()}
        return {path: (digest, changed[path]) for path, digest in digests(self.lake, dict(self.storage)).items()}

    def path(self, symbol: str, day: dt.date) -> Path:
        return self.raw / f"{symbol.lower()}-{day}.csv"

    def _put(self, name: str, first: dt.date, stop: dt.date) -> None:
        for symbol, candles in sample(self.first_day).items():
            chosen = candles.filter(pl.col("open_time").dt.date().is_between(first, stop, closed="left"))
            times = chosen["open_time"].dt.epoch("ms")
            chosen.select(times.alias("time"), "open", "close", "high", "low", "volume").write_csv(
                self.raw / f"{symbol.lower()}-{name}.csv"
            )


@cache
def sample(first_day: dt.date) -> dict[str, pl.DataFrame]:
    """Return the candles of each symbol."""
    plan = SamplePlan(SYMBOLS, days=DAYS, start=first_day, interval_minutes=INTERVAL_MINUTES, seed=3)
    candles = {symbol: file.candles for symbol, file in zip(SYMBOLS, write_sample(plan), strict=True)}
    ends = pl.concat(candles.values())["open_time"].dt.offset_by(f"{INTERVAL_MINUTES}m")
    midnights = [
        dt.datetime.combine(first_day + dt.timedelta(days=day), dt.time(), dt.UTC)
        for day in range(DAYS - LAST_DAYS + 1, DAYS + 1)
    ]
    assert set(midnights) <= set(ends)
    return candles


def write_program(folder: Path, environment: Mapping[str, str] | None = None) -> Path:
    """Return this very chandlery as a program, as an environment of its own has one; what it finds in its environment
    may be more.
    """
    path = folder / "chandlery"
    words = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in (environment or {}).items())
    path.write_text(
        f'#!/bin/sh\n{words}PYTHONPATH="{ROOT / "src"}:$PYTHONPATH" exec "{sys.executable}" -m chandlery "$@"\n'
    )
    path.chmod(0o755)
    return path
