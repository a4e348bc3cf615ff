"""Small lakes of hourly candles, for tests that need many runs: a run takes a fraction of a second."""

import copy
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rebuild import find_differences
from universe import Source, hours_of_trades

from chandlery.runs.pipeline import Options, RunReport, ingest, run
from chandlery.settings.model import Settings, load_settings

START_MS = 1_538_352_000_000  # 2018-10-01: the first days end in January
FIRST_DAY, LAST_DAY = 1, 110
SERIES = "exchange=unknown/interval=60m"
SETTINGS = {"horizons": ["1h", "4h"], "models": ["linear"], "min_train": "60d"}
Values = Mapping[str, Any]


def make_settings(
    raw: Path | str,
    lake: Path,
    forecast: Values | None = None,
    source: Values | None = None,
    symbols: tuple[str, ...] = (),
) -> Settings:
    """Return the settings of a run; `forecast` takes the place of `SETTINGS` as a whole."""
    flags = {
        "source": {"uri": str(raw), **(source or {})},
        "lake": {"uri": str(lake)},
        "forecast": SETTINGS if forecast is None else forecast,
        "engine": {"workers": 1},
        "symbols": list(symbols),
    }
    return load_settings(None, flags)


@dataclass
class Lake:
    """A lake, and the raw files that it is made of.

    Args:
        source: The raw files.
        folder: Where the lake is.
        settings: Those of its runs, as `make_settings` takes them.
    """

    source: Source
    folder: Path
    settings: dict[str, Any]

    @property
    def raw(self) -> Path:
        return self.source.folder

    @property
    def state(self) -> Path:
        """The folder of the state of its series."""
        return self.folder / "state" / SERIES

    def bring(
        self, stage: Callable[..., RunReport] = run, options: Options | None = None, **settings: Any
    ) -> RunReport:
        """Bring the lake up to date with a stage; these settings take the place of the lake's own."""
        found = stage(make_settings(self.raw, self.folder, **{**self.settings, **settings}), options or Options())
        self.source.mark_read()
        return found

    def compare_with_rebuild(
        self, folder: Path, unseen: Mapping[str, list[str]] | None = None, **settings: Any
    ) -> list[str]:
        """Return what differs from a new lake, computed from the versions in force."""
        self.source.write_in_force(folder / "raw")
        run(make_settings(folder / "raw", folder / "lake", **{**self.settings, **settings}))
        return find_differences(self.folder, folder / "lake", dict(self.source.unseen() if unseen is None else unseen))

    def objects(self) -> dict[str, bytes]:
        """Return every file of the lake but the lock, with its content."""
        paths = (path for path in sorted(self.folder.rglob("*")) if path.is_file() and path.name != ".lease.lock")
        return {path.relative_to(self.folder).as_posix(): path.read_bytes() for path in paths}

    def copy(self, folder: Path) -> "Lake":
        """Return a copy of the lake and of its raw files, brought up to date: a copied file is a new version."""
        shutil.copytree(self.raw, folder / "raw")
        shutil.copytree(self.folder, folder / "lake")
        source = replace(self.source, folder=folder / "raw", files=copy.deepcopy(self.source.files))
        copied = replace(self, source=source, folder=folder / "lake")
        copied.bring(ingest)
        return copied

    def put(self, symbol: str, first: int, stop: int, revision: int = 0, name: str = "") -> str:
        """Upload a symbol's candles of some days; return the file's name."""
        return put_days(self.source, symbol, first, stop, revision, name)


def put_days(source: Source, symbol: str, first: int, stop: int, revision: int = 0, name: str = "") -> str:
    """Upload a symbol's candles of some days of the universe; return the file's name."""
    hours = hours_of_trades(source.seed, symbol, first * 24, stop * 24)
    revisions = np.full_like(hours, revision)
    if not name:
        return source.put_new(symbol, hours, revisions)
    source.put(name, symbol, hours, revisions)
    return name


def start_lake(folder: Path, symbols: tuple[str, ...] = ("BTCUSD", "ETHUSD"), **settings: Any) -> Lake:
    """Return a lake after its first run: one file of each symbol, with candles up to January."""
    lake = Lake(Source(folder / "raw", 7, START_MS), folder / "lake", settings)
    for symbol in symbols:
        lake.put(symbol, FIRST_DAY, LAST_DAY)
    lake.bring()
    return lake
