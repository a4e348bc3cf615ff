"""Shared by tests of pages: settings of a lake, the figures of a page, and a file with a hostile name."""

import json
import math
import re
from pathlib import Path
from typing import Any

from chandlery.runs.pipeline import ingest
from chandlery.settings.model import Settings, load_settings
from chandlery.units import to_interval_text

HOSTILE = "xrpusd<script>alert(1)<img src=x onerror=alert(2)>.csv"
START = 1_546_300_800  # 2019-01-01; a Tuesday, and no whole multiple of 7 minutes or of a week
HORIZONS = {1: "1m", 15: "5m", 420: "7m", 14_400: "4h", 86_400: "1d", 604_800: "1w"}  # by interval in seconds
HELD = re.compile(r'<script type="application/json" data-for="([^"]+)">(.*?)</script>', re.DOTALL)


def settings_of(lake: Path, *symbols: str) -> Settings:
    return load_settings(None, {"lake": {"uri": str(lake)}, **({"symbols": list(symbols)} if symbols else {})})


def figures_of(page: Path) -> dict[str, dict[str, Any]]:
    """Return every figure of a page, by name."""
    return {name: json.loads(text) for name, text in HELD.findall(page.read_text(encoding="utf-8"))}


def trace(figure: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the trace of a figure by its name."""
    return next(found for found in figure["data"] if found.get("name") == name)


def write_hostile(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    (folder / HOSTILE).write_text("</script><script>alert(3)</script>,b\nno,candles\n")


def make_lake(folder: Path, seconds: int, count: int, *, gap: int = 0) -> Path:
    """Return a lake of candles of some seconds: two symbols without forecasts, the first with a gap in its middle."""
    first = -(-START // seconds) * seconds
    (folder / "raw").mkdir(parents=True)
    for symbol in ("btcusd", "ethusd"):
        missing = range(count // 2, count // 2 + gap) if symbol == "btcusd" else range(0)
        lines = ["time,open,close,high,low,volume"]
        for step in range(count):
            if step not in missing:
                price = 100 + 5 * math.sin(step / 50)
                lines.append(f"{(first + step * seconds) * 1000},{price},{price + 1},{price + 2},{price - 1},1.5")
        (folder / "raw" / f"{symbol}.csv").write_text("\n".join(lines))
    flags = {
        "source": {"uri": str(folder / "raw"), "layout": [{"files": "*", "interval": to_interval_text(seconds)}]},
        "lake": {"uri": str(folder / "lake")},
        "forecast": {"horizons": [HORIZONS[seconds]]},
        "engine": {"workers": 1},
    }
    assert ingest(load_settings(None, flags)).exit_code == 0
    return folder / "lake"
