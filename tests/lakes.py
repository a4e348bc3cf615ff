"""Running lakes in tests, and comparing them byte for byte."""

import hashlib
from pathlib import Path
from typing import Any

from chandlery.config import load_settings
from chandlery.pipeline import Options, RunReport, run
from chandlery.progress import Silent
from chandlery.sources.sample import make_candles
from chandlery.storage import Store

STATE = ("state/", "runs/", "lease.json", ".lease.lock", "_probe/")


def run_lake(source: str | Path, lake: str | Path, *, workers: int = 1, storage: dict[str, str] | None = None, options: Options | None = None, **forecast: Any) -> RunReport:
    flags = {
        "source": {"uri": str(source)},
        "lake": {"uri": str(lake), "lease_seconds": 2},
        "storage": storage or {},
        "forecast": {"horizons": ["1m", "5m"], "min_train": "10d", **forecast},
        "engine": {"workers": workers},
    }
    return run(load_settings(None, flags), options or Options(), Silent())


def digests(lake: str | Path, storage: dict[str, str] | None = None) -> dict[str, str]:
    """Return the hash of every object that law 5 speaks of."""
    store = Store(str(lake), storage)
    return {entry.path: hashlib.sha256(store.get(entry.path) or b"").hexdigest() for entry in store.list() if not entry.path.startswith(STATE)}


def write_days(folder: Path, first: int, last: int, *, symbols: int = 3, rows: int = 62_000, seed: int = 3, name: str = "") -> None:
    """Write a CSV a symbol with the sample's candles of some of its days."""
    folder.mkdir(parents=True, exist_ok=True)
    for symbol, made in make_candles(symbols, rows, seed).items():
        day = (made.time - made.time[0] // 86_400_000 * 86_400_000) // 86_400_000
        chosen = (day >= first) & (day < last)
        lines = [f"{time},{','.join(map(repr, values))}\n" for time, values in zip(made.time[chosen].tolist(), made.prices[chosen].tolist(), strict=True)]
        (folder / f"{symbol.lower()}{name}.csv").write_text("time,open,close,high,low,volume\n" + "".join(lines))
