"""Sources of groups of like files, for the tests of what `check` and `plan` show of them."""

import datetime as dt
from pathlib import Path

START = dt.datetime(2019, 1, 1, tzinfo=dt.UTC)
HEADER = "time,open,high,low,close,volume\n"


def write_hours(path: Path, day: int, *, hours: int = 24, form: str = "%Y-%m-%d %H:%M:%S", price: float = 30.0) -> None:
    """Write the candles of hours of a day, whose times are texts of a form."""
    lines = []
    for hour in range(hours):
        time = START + dt.timedelta(days=day, hours=hour)
        first, last = price + (day + hour) % 7 / 10, price + (day + hour + 1) % 7 / 10
        low, high = min(first, last) - 0.25, max(first, last) + 0.25
        lines.append(f"{time:{form}},{first:.2f},{high:.2f},{low:.2f},{last:.2f},{1 + hour % 5}\n")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEADER + "".join(lines))


def write_clean(folder: Path, *, days: int = 5, symbols: tuple[str, ...] = ("LTC-USD", "ETH-USD")) -> None:
    """Write a file a day of some symbols, all of one kind."""
    for symbol in symbols:
        for day in range(days):
            write_hours(folder / f"kraken/{symbol}/{START + dt.timedelta(days=day):%Y-%m-%d}.csv", day)


def write_mixed(folder: Path) -> None:
    """Write two kinds of files, and one whose days and months cannot be told apart."""
    write_clean(folder, days=3)
    for day in range(3):
        content = "\n".join(
            f'{{"t": {int((START + dt.timedelta(days=day, minutes=minute)).timestamp())}, "o": 4000.5, "h": 4001, '
            f'"l": 4000, "c": 4000.5, "v": 2}}'
            for minute in range(60)
        )
        (folder / "minutes").mkdir(exist_ok=True)
        (folder / f"minutes/BTCUSD-1m-{day + 1}.ndjson").write_text(content)
    write_hours(folder / "by hand/XRPEUR.csv", 3, form="%d/%m/%Y %H:%M", hours=20)


def write_hopeless(folder: Path) -> None:
    """Write files of which none can be read as candles, and some that are left out by their names."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "chart.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    (folder / "README.md").write_text("# Candles\n")
    (folder / "LTCUSD-empty.csv").write_bytes(b"")
    (folder / "LTCUSD-page.csv").write_text("<!DOCTYPE html>\n<html><body>404 Not Found</body></html>\n")
    (folder / "BTCUSD-picture.csv").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20)
    write_hours(folder / "prices/one.csv", 0)
    write_hours(folder / "prices/two.csv", 1)
