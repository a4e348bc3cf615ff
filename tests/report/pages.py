"""What tests of pages share: settings of a lake, a page's figures, and a file with a hostile name."""

import json
import re
from pathlib import Path
from typing import Any

from chandlery.config import Settings, load_settings

HOSTILE = "xrpusd<script>alert(1)<img src=x onerror=alert(2)>.csv"
HELD = re.compile(r'<script type="application/json" data-for="([^"]+)">(.*?)</script>', re.DOTALL)


def settings_of(lake: Path, *symbols: str) -> Settings:
    return load_settings(None, {"lake": {"uri": str(lake)}, **({"symbols": list(symbols)} if symbols else {})})


def figures_of(page: Path) -> dict[str, dict[str, Any]]:
    """Return every figure of a page, by name."""
    return {name: json.loads(text) for name, text in HELD.findall(page.read_text(encoding="utf-8"))}


def trace(figure: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the trace of a figure that has a name."""
    return next(found for found in figure["data"] if found.get("name") == name)


def write_hostile(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    (folder / HOSTILE).write_text("</script><script>alert(3)</script>,b\nno,candles\n")
