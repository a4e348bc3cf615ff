"""Files that hold several series, which columns tell or what stands around the rows, and what they leave open."""

import datetime as dt
import json
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from foreign_files import (
    EXCHANGES,
    LENGTHS,
    PAIRS,
    Rows,
    draw_candles,
    draw_choices,
    find_open,
    write_fields,
    write_shape,
)

COLUMNS = ("csv", "csv", "objects", "arrays", "results", "nested", "lines", "array lines")
DOCUMENTS = ("by key", "deeper", "answers", "answer lines", "arguments")
WITHOUT_NAMES = {"arrays", "array lines"}
NAMES = ["candles", "all_2019", "raw/data", "ohlcv/part-0", "exports/2019-01-01", "klines"]
APART = [("base", "quote"), ("baseAsset", "quoteAsset"), ("base_currency", "quote_currency"), ("symbol", "currency")]
COLLECTORS = ["SNAPSHOT_USDT", "ARCHIVER-USD", "dumps/HARVEST-EUR"]


@dataclass
class Series:
    """One of the series of a file: what tells it, and its candles."""

    pair: tuple[str, str]
    exchange: str
    seconds: int
    candles: list[tuple[float, ...]]

    @property
    def symbol(self) -> str:
        """The symbol."""
        return "".join(self.pair)


@dataclass
class Mixed:
    """A file that was drawn.

    Args:
        name: Its path.
        content: Its bytes.
        modified_at: When it was written.
        series: The series whose rows it holds.
        path: The symbol and the exchange that its path names; empty where it names none.
        leaves: The decisions that its evidence leaves open.
        choices: What was drawn.
    """

    name: str
    content: bytes
    modified_at: dt.datetime
    series: list[Series]
    path: tuple[str, str]
    leaves: set[str]
    choices: dict[str, Any] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return sum(len(each.candles) for each in self.series)


def draw_mixed(seed: int) -> Mixed:
    """Draw true candles of several series and a layout."""
    random = Random(seed)  # noqa: S311 - no secret
    seconds = random.choice(list(LENGTHS))
    choices = draw_choices(random, seconds) | {"seconds": seconds, "packing": "", "length in name": False}
    choices["shape"] = random.choice(COLUMNS) if random.random() < 0.65 else random.choice(DOCUMENTS)
    choices["kind"] = random.choice(["symbols", "symbols", "symbols", "exchanges", "intervals"])
    choices["arrays"] = choices["shape"] in WITHOUT_NAMES or (choices["shape"] in DOCUMENTS and random.random() < 0.5)
    choices["header"] = None if choices["arrays"] else choices["header"] or "plain"
    choices["headed"] = (choices["shape"] != "csv" or choices["headed"]) and not choices["arrays"]
    if choices["stamps"] == "end name" and not choices["headed"]:
        choices["stamps"] = "open"
    choices["order"] = random.choice(["interleaved", "blocks", "appended"])
    choices["field order"] = random.random()
    choices["exchange"] = choices["kind"] == "exchanges" or random.random() < 0.15
    choices["interval"] = choices["kind"] == "intervals" or choices["interval"]
    series = draw_series(random, choices)
    choices["symbol"] = choices["kind"] == "symbols" or random.random() < 0.5
    leaves: set[str] = set()
    name, path = draw_path(random, series, choices, leaves)
    for each in series:
        is_told = {"headed": choices["headed"], "shape": "csv" if choices["headed"] else "arrays"}
        find_open(each.candles, choices | is_told | {"seconds": each.seconds}, leaves)
    content = write_mixed(random, series, choices)
    last = max(each.candles[-1][0] / 1000 + each.seconds for each in series)
    modified = dt.datetime.fromtimestamp(last + random.choice([0, 30, 1e6]), dt.UTC)
    return Mixed(name, content, modified, series, path, leaves, choices)


def draw_series(random: Random, choices: dict[str, Any]) -> list[Series]:
    """Draw the series of a file."""
    count = random.choice([2, 3, 4, 5]) if choices["kind"] == "symbols" else 2
    pairs = random.sample(PAIRS, count) if choices["kind"] == "symbols" else [random.choice(PAIRS)] * 2
    exchanges = [random.choice(EXCHANGES)] * count
    if choices["kind"] == "exchanges":
        exchanges = random.sample(EXCHANGES, 2)
    lengths = [choices["seconds"]] * count
    if choices["kind"] == "intervals":
        lengths = random.sample([each for each in LENGTHS if each != 60 or choices["stamps"] != "last second"], 2)
    rows = random.choice([24, 60, 120, 200])
    found = []
    for pair, exchange, seconds in zip(pairs, exchanges, lengths, strict=True):
        price = 0.05 if pair in {("ETH", "BTC"), ("ADA", "ETH")} else 0
        candles = draw_candles(random, seconds, rows, price)
        found.append(Series(pair, exchange.lower(), seconds, candles))
    return found


def draw_path(
    random: Random, series: list[Series], choices: dict[str, Any], leaves: set[str]
) -> tuple[str, tuple[str, str]]:
    """Draw a path that names no pair, one of the pairs or something like a pair; return it and what it names."""
    ending = {"csv": ".csv", "lines": ".ndjson", "array lines": ".jsonl", "answer lines": ".ndjson"}
    which = random.choice(["none", "none", "none", "one", "collector"])
    symbol = ""
    if which == "one" or not choices["symbol"]:
        pair = random.choice(series).pair
        name, symbol = "-".join(pair), "".join(pair)
        if choices["kind"] == "symbols":
            leaves |= {"symbol"}
    elif which == "collector":
        name = random.choice(COLLECTORS)
    else:
        name = random.choice(NAMES)
    exchange = ""
    if random.random() < 0.2:
        exchange = random.choice(series).exchange
        name = f"{exchange}/{name}"
        if choices["kind"] == "exchanges":
            leaves |= {"exchange"}
    if choices["kind"] == "intervals" and random.random() < 0.2:
        name = f"{name}_{LENGTHS[random.choice(series).seconds]}"
        leaves |= {"interval"}
    return f"{name}{ending.get(choices['shape'], '.json')}", (symbol, exchange)


def write_mixed(random: Random, series: list[Series], choices: dict[str, Any]) -> bytes:
    """Return the bytes of a file with the rows of several series."""
    is_document = choices["shape"] in DOCUMENTS
    spell = random.choice(["/", "-", "", "_"]) if is_document else "/"
    own = choices | {"order": choices["field order"], "index": False, "descending": False}
    own |= {"shape": "arrays"} if choices["arrays"] else {}
    if is_document:
        own |= {"symbol": False, "interval": False}
    if choices["kind"] == "symbols" and choices["header"] == "unix":
        own |= {"header": "plain"}
    written: list[Rows] = []
    apart = random.choice(APART) if choices["symbol"] and choices["headed"] and random.random() < 0.4 else ()
    for each in series:
        rows = write_fields(random, each.candles, own | {"seconds": each.seconds}, each.pair)
        if choices["exchange"] and not is_document:
            rows = [{**row, "venue": each.exchange} for row in rows]
        if apart and not is_document:
            rows = [{**drop_symbol(row), apart[0]: each.pair[0], apart[1]: each.pair[1]} for row in rows]
        written.append(rows[::-1] if choices["descending"] else rows)
    if not is_document:
        return write_shape(random, arrange(written, series, choices), own | {"quoted": choices["quoted"]})
    texts = [[to_texts(row, choices) for row in rows] for rows in written]
    values: list[list[Any]] = [[list(row.values()) for row in rows] if choices["arrays"] else rows for rows in texts]
    names = [name_series(each, choices, spell) for each in series]
    return write_document(random, names, values, choices)


def drop_symbol(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row without its symbol."""
    return {name: value for name, value in row.items() if name not in {"symbol", "s"}}


def to_texts(row: dict[str, Any], choices: dict[str, Any]) -> dict[str, Any]:
    """Return a row with its numbers as texts, where that was drawn."""
    if not choices["texts"]:
        return row
    return {name: str(value) if isinstance(value, float) else value for name, value in row.items()}


def arrange(written: list[Rows], series: list[Series], choices: dict[str, Any]) -> Rows:
    """Return the rows of several series in one order."""
    if choices["order"] == "blocks":
        return [row for rows in written for row in rows]
    if choices["order"] == "appended":
        halves = [(rows[: len(rows) // 2], rows[len(rows) // 2 :]) for rows in written]
        return [row for place in (0, 1) for half in halves for row in half[place]]
    step = -1 if choices["descending"] else 1
    times = [[candle[0] * step for candle in each.candles[::step]] for each in series]
    keyed = [
        (time, number, row)
        for number, (moments, rows) in enumerate(zip(times, written, strict=True))
        for time, row in zip(moments, rows, strict=True)
    ]
    return [row for _, _, row in sorted(keyed, key=lambda each: each[:2])]


def name_series(series: Series, choices: dict[str, Any], spell: str) -> dict[str, str]:
    """Return the names of a series that stand around its rows."""
    names = {}
    if choices["exchange"]:
        names["exchange"] = series.exchange
    if choices["symbol"]:
        names["symbol"] = spell.join(series.pair)
    if choices["interval"]:
        names["interval"] = LENGTHS[series.seconds]
    return names


def write_document(
    random: Random, names: list[dict[str, str]], values: list[list[Any]], choices: dict[str, Any]
) -> bytes:
    """Return a document with rows at several places."""
    shape = choices["shape"]
    if shape in {"by key", "deeper"}:
        document: dict[str, Any] = {}
        for around, rows in zip(names, values, strict=True):
            *outer, last = around.values()
            place = document
            for key in outer:
                place = place.setdefault(key, {})
            place[last] = rows if shape == "by key" else {"candles": rows, "count": len(rows)}
        whole = document if shape == "by key" else {"status": "ok", "data": document}
        return json.dumps(whole, indent=random.choice([None, None, 1])).encode()
    size = random.choice([1, 10, 1000]) if shape == "answer lines" else random.choice([20, 1000])
    stretches = [
        (around, rows[first : first + size])
        for around, rows in zip(names, values, strict=True)
        for first in range(0, len(rows), size)
    ]
    if choices["order"] == "interleaved":
        random.shuffle(stretches)
    if shape == "arguments":
        answers: list[Any] = [{"arg": around, "data": rows} for around, rows in stretches]
    else:
        answers = [{"code": 0, "result": {**around, "rows": rows}} for around, rows in stretches]
    if shape == "answer lines":
        return "".join(json.dumps(answer) + "\n" for answer in answers).encode()
    return json.dumps(answers).encode()


def pick(mixed: Mixed, symbol: str, exchange: str, seconds: int) -> Series | None:
    """Return the series of a file that has these names; None if it has no such one."""
    names = (symbol or mixed.path[0], exchange or mixed.path[1], seconds)
    for each in mixed.series:
        told = each.exchange if mixed.choices["exchange"] or mixed.path[1] else ""
        if names == (each.symbol, told, each.seconds):
            return replace(each)
    return None
