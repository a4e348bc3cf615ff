"""Made-up minute candles: a market that leads its pairs, quiet minutes, an outage, and planted faults with the truth of them."""

import datetime as dt
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from chandlery.schema import REASONS

__all__ = ["Made", "make_candles", "write_sample"]

NAMES = "BTCUSD ETHUSD EOSUSD LTCUSD NEOUSD IOTUSD XRPUSD ETCUSD XMRUSD".split()
START = dt.datetime(2019, 1, 1, tzinfo=dt.UTC)
FAULT_SHARE = 0.012
MINUTE_MS = 60_000


@dataclass(frozen=True)
class Made:
    """Candles as arrays.

    Args:
        time: Opens, in ms, (n,).
        prices: open, close, high, low, volume, (n, 5).
    """

    time: NDArray[np.int64]
    prices: NDArray[np.float64]


def make_candles(symbols: int, rows: int, seed: int) -> dict[str, Made]:
    """Return so many symbols of about so many candles each; equal seeds give equal candles."""
    random = np.random.default_rng(seed)
    steps = int(rows / 0.75)
    volatility = 8e-4 * np.exp(0.5 * np.sin(np.arange(steps) / 3000) + 0.3 * random.standard_normal(steps).cumsum() / np.sqrt(steps))
    common = volatility * random.standard_normal(steps)
    quiet = np.ones(steps, np.bool_)
    outage = steps // 2
    quiet[outage : outage + 240] = False
    made = {}
    for place in range(symbols):
        name = NAMES[place] if place < len(NAMES) else f"S{place:03}USD"
        lagged = np.concatenate([np.zeros(place), common[: steps - place]]) if place else common
        log = np.log(100.0 / (place + 1)) + np.cumsum(lagged + 0.5 * volatility * random.standard_normal(steps))
        traded = (random.random(steps) < max(0.9 - 0.05 * place, 0.4)) & quiet
        hole = int(steps * (0.2 + 0.05 * (place % 5)))
        traded[hole : hole + 700] = False
        made[name] = _to_candles(log, volatility, traded, random)
    return made


def _to_candles(log: NDArray[np.float64], volatility: NDArray[np.float64], traded: NDArray[np.bool_], random: np.random.Generator) -> Made:
    step = np.flatnonzero(traded)
    close = np.round(np.exp(log[step]), 4)
    opened = np.round(np.concatenate([close[:1], close[:-1]]) * np.exp(0.2 * volatility[step] * random.standard_normal(step.size)), 4)
    reach = volatility[step] * np.abs(random.standard_normal((2, step.size)))
    high = np.round(np.maximum(opened, close) * np.exp(reach[0]), 4)
    low = np.round(np.minimum(opened, close) * np.exp(-reach[1]), 4)
    volume = np.round(random.lognormal(1.0, 1.0, step.size), 6)
    time = int(START.timestamp() * 1000) + step * MINUTE_MS
    return Made(time, np.column_stack([opened, close, high, low, volume]))


def write_sample(folder: Path, *, symbols: int = 3, rows: int = 50_000, faults: bool = True, seed: int = 0) -> pl.DataFrame:
    """Write one file a symbol, CSV and JSON in turns, and `_truth.json` where faults are planted.

    Returns:
        The planted rows: source, row, reasons (`identical` for equal doubles).

    Args:
        folder: Where to; made where it is not there.
        symbols: How many.
        rows: Candles of each, about.
        faults: Whether to plant faults.
        seed: Of the candles and the faults.
    """
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed + 1)
    truth: list[tuple[str, int, list[str]]] = []
    for place, (name, made) in enumerate(make_candles(symbols, rows, seed).items()):
        lines = [_line(time, values) for time, values in zip(made.time.tolist(), made.prices.tolist(), strict=True)]
        source = f"{name.lower()}.{'json' if place % 2 else 'csv'}"
        if faults:
            lines, planted = _plant(lines, random)
            truth += [(source, row, reasons) for row, reasons in planted]
        text = _to_json(lines) if place % 2 else "time,open,close,high,low,volume\n" + "".join(f"{','.join(line)}\n" for line in lines)
        (folder / source).write_text(text, encoding="utf-8")
    planted_rows = pl.DataFrame(truth, schema={"source": pl.String, "row": pl.Int64, "reasons": pl.List(pl.String)}, orient="row")
    if faults:
        (folder / "_truth.json").write_text(json.dumps(planted_rows.to_dicts()), encoding="utf-8")
    return planted_rows


def _line(time: int, values: list[float]) -> list[str]:
    return [str(time), *(repr(value) for value in values)]


def _to_json(lines: list[list[str]]) -> str:
    names = ("time", "open", "close", "high", "low", "volume")
    rows = ("{" + ", ".join(f'"{name}": {_json_value(value)}' for name, value in zip(names, line, strict=True)) + "}" for line in lines)
    return '{"results": [' + ",\n".join(rows) + "]}"


def _json_value(value: str) -> str:
    if value == "":
        return "null"
    try:
        finite = np.isfinite(float(value))
    except ValueError:
        finite = False
    return value if finite else json.dumps(value)


def _plant(lines: list[list[str]], random: np.random.Generator) -> tuple[list[list[str]], list[tuple[int, list[str]]]]:
    """Return lines with faults planted among them, and the row number and reasons of each."""
    kinds = [*[[name] for name in REASONS if name != "superseded"], ["superseded"], ["identical"], ["non_positive_price", "negative_volume"]]
    count = max(len(kinds), int(len(lines) * FAULT_SHARE))
    chosen = np.sort(random.choice(np.arange(10, len(lines) - 10), count, replace=False))
    planted: dict[int, list[tuple[list[str], list[str]]]] = {}
    for number, place in enumerate(chosen.tolist()):
        reasons = kinds[number % len(kinds)]
        planted.setdefault(place, []).append((_spoil(lines[place], reasons), reasons))
    woven: list[tuple[list[str], list[str]]] = []
    for place, line in enumerate(lines):
        woven += planted.get(place, [])  # the sound version comes later, so it stays
        woven.append((line, []))
    for place in range(200, len(woven) - 200, 997):  # disorder: swapped neighbours are no fault
        if not woven[place][1] and not woven[place + 1][1]:
            woven[place], woven[place + 1] = woven[place + 1], woven[place]
    return [line for line, _ in woven], [(row, reasons) for row, (_, reasons) in enumerate(woven, start=1) if reasons]


def _spoil(line: list[str], reasons: list[str]) -> list[str]:  # noqa: C901 - one branch a reason
    """Return a line changed so that it has exactly these reasons."""
    time, opened, close, high, low, volume = line
    first, last, top, bottom = float(opened), float(close), float(high), float(low)
    for reason in reasons:
        if reason == "unparseable":
            close = "n.a.n."
        elif reason == "missing_value":
            volume = ""
        elif reason == "non_finite":
            volume = "inf"
        elif reason == "non_positive_price":
            low = "-1.0"
        elif reason == "negative_volume":
            volume = f"-{volume}"
        elif reason == "high_below_body":
            high = repr(round((max(first, last) + bottom) / 2 if max(first, last) > bottom else bottom * 0.999, 6))
            low = repr(min(bottom, float(high)))
        elif reason == "low_above_body":
            low = repr(round((min(first, last) + top) / 2 if top > min(first, last) else top * 1.001, 6))
            high = repr(max(top, float(low)))
        elif reason == "off_grid_time":
            time = str(int(time) + 7_000)
        elif reason == "time_out_of_range":
            time = str(1_000_000_020_000)
        elif reason == "superseded":
            volume = repr(float(volume) + 1.0)
    return [time, opened, close, high, low, volume]
