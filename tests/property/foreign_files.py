"""Files of candles as other people write them: true candles in a layout drawn at random, and what it leaves open."""

import bz2
import datetime as dt
import gzip
import io
import json
import lzma
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

import numpy as np

DAY = 86_400
START = 1_546_300_800  # 2019-01-01
LENGTHS = {60: "1m", 300: "5m", 900: "15m", 3_600: "1h", 14_400: "4h", DAY: "1d", 7 * DAY: "1w"}
MONDAY = 4 * DAY  # offset of weeks
PAIRS = [
    ("BTC", "USD"), ("ETH", "BTC"), ("LTC", "USDT"), ("DOGE", "EUR"), ("STETH", "USDT"), ("1INCH", "USDT"),
    ("TRUST", "USDT"), ("WBTC", "USD"), ("1000PEPE", "USDT"), ("SOL", "KRW"), ("FDUSD", "USDT"), ("ADA", "ETH"),
]  # fmt: skip
EXCHANGES = ["binance", "kraken", "Coinbase", "bitstamp"]
HEADERS = {
    "plain": ["time", "open", "high", "low", "close", "volume"],
    "capital": ["Timestamp", "Open", "High", "Low", "Close", "Volume"],
    "klines": ["Open time", "Open", "High", "Low", "Close", "Volume"],
    "short": ["t", "o", "h", "l", "c", "v"],
    "coinapi": ["time_period_start", "price_open", "price_high", "price_low", "price_close", "volume_traded"],
    "unix": ["unix", "open", "high", "low", "close", "Volume BASE"],
    "dotted": ["Date", "X.open", "X.high", "X.low", "X.close", "X.volume"],
}
TURNOVERS = {
    "plain": "quote_volume",
    "capital": "Turnover",
    "klines": "Quote asset volume",
    "short": "q",
    "coinapi": "value",
    "unix": "Volume QUOTE",
    "dotted": "X.quotevolume",
}
ENDS = {
    "plain": "close_time",
    "capital": "Close_Time",
    "klines": "Close time",
    "short": "T",
    "coinapi": "time_period_end",
    "unix": "close_time",
    "dotted": "EndTime",
}
UNITS = (
    *("s", "ms", "us", "ns", "mixed", "float", "iso", "iso offset", "iso T", "minutes"),
    *("ymd", "dots", "compact", "dmy", "mdy", "month", "am"),
)
Rows = list[dict[str, Any]]


@dataclass
class Drawn:
    """A file that was drawn.

    Args:
        name: Its path.
        content: Its bytes.
        member: The file inside a zip; None where it is no zip.
        modified_at: When it was written.
        symbol: Whose candles it has.
        seconds: Their interval.
        candles: open_time in ms, open, high, low, close and volume of each.
        leaves: The decisions that its evidence leaves open.
        choices: What was drawn.
    """

    name: str
    content: bytes
    member: str | None
    modified_at: dt.datetime
    symbol: str
    seconds: int
    candles: list[tuple[float, ...]]
    leaves: set[str]
    choices: dict[str, Any] = field(default_factory=dict)


def draw(seed: int) -> Drawn:
    """Draw true candles and a layout."""
    random = Random(seed)  # noqa: S311 - no secret
    seconds = random.choice(list(LENGTHS))
    base, quote = random.choice(PAIRS)
    count = random.choice([3, 12, 24, 60, 120, 288, 400])
    candles = draw_candles(random, seconds, count, 0.05 if (base, quote) in {("ETH", "BTC"), ("ADA", "ETH")} else 0)
    choices = draw_choices(random, seconds) | {"seconds": seconds}
    if choices["stamps"] == "end name" and not (choices["headed"] and choices["header"]):
        choices["stamps"] = "open"  # nothing could tell
    leaves: set[str] = set()
    name = draw_name(random, (base, quote), choices)
    rows = write_fields(random, candles, choices, (base, quote))
    content = write_shape(random, rows, choices)
    find_open(candles, choices, leaves)
    member = None
    if choices["packing"] == "zip":
        member = name.rpartition("/")[2]
        content, name = pack_zip(member, content), f"{name}.zip"
        name = f"{name}!{member}"
    elif choices["packing"]:
        ending, pack = choices["packing"]
        content, name = pack(content), f"{name}{ending}"
    last_close = candles[-1][0] / 1000 + seconds
    modified = dt.datetime.fromtimestamp(last_close + random.choice([0, 30, 1e6]), dt.UTC)
    return Drawn(name, content, member, modified, f"{base}{quote}", seconds, candles, leaves, choices)


def draw_candles(random: Random, seconds: int, count: int, price: float) -> list[tuple[float, ...]]:
    """Draw candles: some are missing, and each opens near the close before it."""
    level = price or random.choice([0.2, 3.5, 250.0, 8_000.0, 60_000.0])
    generator = np.random.default_rng(random.randrange(2**32))
    close = level * np.exp(np.cumsum(generator.standard_normal(count) * 0.004))
    open_ = np.concatenate([[level], close[:-1]]) * np.exp(generator.standard_normal(count) * 0.0004)
    high = np.maximum(open_, close) * np.exp(np.abs(generator.standard_normal(count)) * 0.002)
    low = np.minimum(open_, close) * np.exp(-np.abs(generator.standard_normal(count)) * 0.002)
    volume = np.exp(generator.standard_normal(count) + 2)
    missing = random.choice([0.0, 0.0, 0.1])
    offset = MONDAY if seconds == 7 * DAY else 0
    first = START // seconds + random.randrange(300)
    found = []
    for step in range(count):
        if step and generator.random() < missing:
            continue
        prices = [float(f"{values[step]:.6g}") for values in (open_, high, low, close)]
        prices[1], prices[2] = max(prices), min(prices)
        found.append((1000.0 * ((first + step) * seconds + offset), *prices, float(f"{volume[step]:.8g}")))
    return found


def draw_choices(random: Random, seconds: int) -> dict[str, Any]:
    """Draw the layout."""
    shape = random.choice(["csv"] * 4 + ["objects", "arrays", "results", "nested", "columns", "split", "index", "lines",
                                         "array lines", "documents"])  # fmt: skip
    packers: list[Any] = ["", "", "", (".gz", gzip.compress), (".xz", lzma.compress), (".bz2", bz2.compress), "zip"]
    unit = random.choice(UNITS)
    if seconds == 60 and random.random() < 0.2:
        unit = "ms"
    return {
        "shape": shape,
        "packing": random.choice(packers),
        "unit": unit,
        "header": random.choice(list(HEADERS)) if shape not in {"arrays", "array lines"} else None,
        "headed": shape != "csv" or random.random() < 0.75,
        "separator": random.choice([",", ",", ";", "\t", "|"]),
        "decimal": random.choice([".", ".", ","]),
        "newline": random.choice(["\n", "\n", "\r\n", "\r"]),
        "encoding": random.choice(["utf-8", "utf-8", "utf-8-sig", "utf-16"]),
        "comments": random.choice([0, 0, 1, 5]),
        "quoted": random.random() < 0.15,
        "descending": random.random() < 0.25,
        "shuffled": random.random() < 0.6,
        "order": random.random(),
        "turnover": random.random() < 0.35,
        "trades": random.random() < 0.3,
        "index": random.random() < 0.15,
        "mean": random.random() < 0.15,
        "end": random.choice(["", "", "", "ms", "s", "exact"]),
        "stamps": random.choice(["open", "open", "open", "open", "last second", "end name"]),
        "symbol": random.random() < 0.3,
        "interval": random.random() < 0.2,
        "length in name": random.random() < 0.4,
        "texts": random.random() < 0.3,
    }


def draw_name(random: Random, pair: tuple[str, str], choices: dict[str, Any]) -> str:
    """Draw a path that names the pair, and perhaps the exchange and the interval."""
    base, quote = pair
    ending = {"csv": ".csv", "lines": ".ndjson", "array lines": ".jsonl", "documents": ".ndjson"}.get(
        choices["shape"], ".json"
    )
    length = f"{random.choice('-_')}{LENGTHS[choices['seconds']]}" if choices["length in name"] else ""
    spelt = random.choice([f"{base}{quote}", f"{base}-{quote}", f"{base}_{quote}", f"{base}/{quote}" if base.isalpha()
                           and base in {"BTC", "ETH", "LTC", "SOL", "ADA", "DOGE"} else f"{base}-{quote}"])  # fmt: skip
    if spelt.isupper() and "/" not in spelt and base in {"BTC", "ETH", "LTC"} and random.random() < 0.3:
        spelt = spelt.lower()
    if spelt == f"{base}{quote}" and base in {"STETH", "TRUST", "FDUSD", "WBTC", "1INCH", "1000PEPE"}:
        spelt = f"{base}-{quote}"
    folder = random.choice(["", "", f"{random.choice(EXCHANGES)}/", "raw/"])
    tail = random.choice(["", "", "-2019-01", "_20190101", "_2019"])
    in_folder = random.random() < 0.2 and "/" not in spelt
    return f"{folder}{spelt}/2019-01{length}{ending}" if in_folder else f"{folder}{spelt}{length}{tail}{ending}"


def write_time(ms: float, unit: str, step: int, half: int) -> Any:
    """Return a time as a file writes it."""
    moment = dt.datetime.fromtimestamp(ms / 1000, dt.UTC)
    if unit == "mixed":
        unit = "ms" if step < half else "us"
    factors = {"s": 1e-3, "ms": 1, "us": 1_000, "ns": 1_000_000}
    if unit in factors:
        return round(ms * factors[unit]) if unit != "s" else round(ms / 1000) if ms % 1000 == 0 else ms / 1000
    if unit == "float":
        return ms / 1000
    forms: dict[str, Callable[[], str]] = {
        "iso": lambda: f"{moment:%Y-%m-%d %H:%M:%S}",
        "iso T": lambda: f"{moment:%Y-%m-%dT%H:%M:%S.}{moment.microsecond // 1000:03}Z",
        "iso offset": lambda: f"{moment + dt.timedelta(hours=2):%Y-%m-%d %H:%M:%S}+02:00",
        "minutes": lambda: f"{moment:%Y-%m-%d %H:%M}",
        "ymd": lambda: f"{moment.year}/{moment.month}/{moment.day} {moment.hour}:{moment:%M:%S}",
        "dots": lambda: f"{moment:%Y.%m.%d %H:%M:%S}",
        "compact": lambda: f"{moment:%Y%m%d %H%M%S}",
        "dmy": lambda: f"{moment:%d/%m/%Y %H:%M:%S}",
        "mdy": lambda: f"{moment:%m/%d/%Y %H:%M:%S}",
        "month": lambda: f"{moment:%b %d, %Y %H:%M:%S}",
        "am": lambda: f"{moment:%Y-%m-%d %I:%M:%S %p}",
    }
    return forms[unit]()


def write_fields(
    random: Random, candles: list[tuple[float, ...]], choices: dict[str, Any], pair: tuple[str, str]
) -> Rows:
    """Return rows of named fields in the order of the file."""
    generator = np.random.default_rng(random.randrange(2**32))
    half = len(candles) // 2
    trades = generator.integers(1, 5000, len(candles))
    rows = [
        {**write_row(candle, choices, step, half), **write_extras(candle, choices, pair, int(trades[step]))}
        for step, candle in enumerate(candles)
    ]
    if choices["shuffled"]:
        order = list(rows[0])
        Random(choices["order"]).shuffle(order)  # noqa: S311 - no secret
        rows = [{name: row[name] for name in order} for row in rows]
    if choices["descending"]:
        rows.reverse()
    rows = [{name.replace("BASE", pair[0]): value for name, value in row.items()} for row in rows]
    if choices["index"] and choices["shape"] in {"csv", "arrays"}:
        rows = [{"": number, **row} for number, row in enumerate(rows)]
    return rows


def write_row(candle: tuple[float, ...], choices: dict[str, Any], step: int, half: int) -> dict[str, Any]:
    """Return the time and the values of a candle by name."""
    ms, *values = candle
    seconds, style = choices["seconds"], choices["header"] or "plain"
    names, unit = HEADERS[style], choices["unit"]
    if choices["stamps"] == "end name":
        return dict(
            zip(["close_time", *names[1:]], [write_time(ms + 1000 * seconds, unit, step, half), *values], strict=True)
        )
    late = 1000 * (seconds - 1) if choices["stamps"] == "last second" and seconds > 60 else 0
    row = dict(zip(names, [write_time(ms + late, unit, step, half), *values], strict=True))
    if choices["stamps"] == "open" and choices["end"]:
        less = {"ms": 1, "s": 1000, "exact": 0}[choices["end"]]
        row[ENDS[style]] = write_time(ms + 1000 * seconds - less, unit, step, half)
    return row


def write_extras(
    candle: tuple[float, ...], choices: dict[str, Any], pair: tuple[str, str], trades: int
) -> dict[str, Any]:
    """Return what stands beside a candle, by name."""
    style = choices["header"] or "plain"
    is_short = style == "short"
    mean = sum(candle[2:5]) / 3
    extras = {
        "turnover": (TURNOVERS[style].replace("QUOTE", pair[1]), float(f"{candle[5] * mean:.10g}")),
        "trades": ("n" if is_short else "trades", trades),
        "mean": ("vwap", float(f"{mean:.7g}")),
        "symbol": ("s" if is_short else "symbol", f"{pair[0]}/{pair[1]}"),
        "interval": ("i" if is_short else "interval", LENGTHS[choices["seconds"]]),
    }
    return dict(extras[name] for name in extras if choices[name])


def write_shape(random: Random, rows: Rows, choices: dict[str, Any]) -> bytes:
    """Return the bytes of a file with some rows."""
    shape = choices["shape"]
    if choices["texts"] and shape != "csv":
        rows = [
            {name: str(value) if isinstance(value, float) else value for name, value in row.items()} for row in rows
        ]
    arrays = [list(row.values()) for row in rows]
    if shape == "csv":
        return write_csv(random, rows, choices)
    if shape in {"lines", "array lines", "documents"}:
        values: list[Any] = rows if shape == "lines" else arrays
        if shape == "documents":
            values = [{"channel": "ohlc", "data": {"candle": row}} for row in rows]
        return "".join(json.dumps(value) + "\n" for value in values).encode()
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    documents: dict[str, Any] = {
        "objects": rows,
        "arrays": arrays,
        "results": {"status": "ok", "results": rows, "count": len(rows)},
        "nested": {"error": [], "result": {"rows": rows, "last": 5}},
        "columns": {"s": "ok", **columns} if "s" not in columns else columns,
        "split": {"columns": list(columns), "index": list(range(len(rows))), "data": arrays},
        "index": {str(number): row for number, row in enumerate(rows)},
    }
    return json.dumps(documents[shape], indent=random.choice([None, None, 1])).encode()


def write_csv(random: Random, rows: Rows, choices: dict[str, Any]) -> bytes:
    """Return delimited text."""
    separator = choices["separator"]
    decimal = "." if separator == "," and not choices["quoted"] else choices["decimal"]
    choices["decimal"] = decimal

    def write(value: Any) -> str:
        text = f"{value:.10f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
        text = text.replace(".", decimal) if isinstance(value, float) else text
        return f'"{text}"' if choices["quoted"] or separator in text else text

    lines = [separator.join(map(write, row.values())) for row in rows]
    if choices["headed"]:
        lines = [separator.join(rows[0]), *lines]
    mark = random.choice(["# made by a collector", "https://www.example.com/data"])
    before = [mark] * choices["comments"] if mark.startswith("#") else [mark] * min(choices["comments"], 1)
    return (choices["newline"].join([*before, *lines]) + choices["newline"]).encode(choices["encoding"])


def pack_zip(member: str, content: bytes) -> bytes:
    """Return a zip archive with one file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, content)
    return buffer.getvalue()


def find_open(candles: list[tuple[float, ...]], choices: dict[str, Any], leaves: set[str]) -> None:
    """Add the decisions that the evidence of a file leaves open."""
    is_named = choices["headed"] and choices["shape"] not in {"arrays", "array lines"}
    few = len(candles) < 60
    if not is_named and few:
        leaves |= {"columns", "volume"}
    if not is_named and (choices["turnover"] or choices["trades"] or choices["mean"]):
        leaves |= {"volume"} if choices["trades"] or few else set()
    tells_length = (
        (choices["interval"] and is_named)
        or choices["length in name"]
        or (choices["end"] and choices["stamps"] == "open")
    )
    if len(candles) < 24 and not tells_length:
        leaves |= {"interval"}
    if choices["unit"] in {"dmy", "mdy"}:
        moments = [dt.datetime.fromtimestamp(candle[0] / 1000, dt.UTC) for candle in candles]
        if all(moment.day <= 12 for moment in moments):
            leaves |= {"time_format"}
    if choices["stamps"] == "end name" and not is_named:
        leaves |= {"stamps"}
    if choices["unit"] == "minutes" and (choices["stamps"] == "last second" or choices["end"] in {"ms", "s"}):
        leaves |= {"stamps", "interval", "time_column"}
    if choices["end"] and choices["stamps"] == "open" and not is_named:
        leaves |= {"time_column", "columns"}
