"""Made-up candles that behave like real ones, with planted faults and the truth about them."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from chandlery.grid import DAY_MINUTES, MINUTE_MS
from chandlery.sources.planting import join_lines, plant_faults

__all__ = ["SAMPLE_SYMBOLS", "SampleFile", "SamplePlan", "write_sample"]

SAMPLE_SYMBOLS = ("BTCUSD", "ETHUSD", "XRPUSD", "EOSUSD", "LTCUSD", "NEOUSD", "IOTUSD", "ETCUSD", "XMRUSD")


@dataclass(frozen=True)
class SamplePlan:
    """What to make up.

    Args:
        symbols: Whose candles; the first leads, the others follow some minutes later.
        days: How many, in whole UTC days.
        start: The first day.
        interval_minutes: Of the candles.
        form: CSV, or one JSON document a file; or the two in turn.
        fault_share: How many faulty rows to plant, as a share of the rows; if above 0, every kind of fault at least
            once.
        seed: Equal seeds make equal bytes.
    """

    symbols: tuple[str, ...] = SAMPLE_SYMBOLS[:3]
    days: int = 60
    start: dt.date = dt.date(2019, 1, 1)
    interval_minutes: int = 1
    form: Literal["csv", "json", "in turn"] = "csv"
    fault_share: float = 0.0
    seed: int = 0


class SampleFile(NamedTuple):
    """A made-up file.

    Args:
        name: Of the file.
        content: Its bytes.
        candles: What must come out of it: open_time, open, high, low, close, volume.
        truth: What was planted: source, row, raw, reasons of each row that must be refused.
    """

    name: str
    content: bytes
    candles: pl.DataFrame
    truth: pl.DataFrame


def write_sample(plan: SamplePlan) -> Iterator[SampleFile]:
    """Make up a file a symbol, one after the other.

    Prices follow a market whose volatility comes in waves; minutes without a trade have no row, more of them at
    night and for later symbols; each symbol has a hole of its own, and now and then the exchange is down for all.

    Args:
        plan: What to make up.

    Example:
        >>> [file.name for file in write_sample(SamplePlan(symbols=("LTCUSD",), days=1))]
        ['ltcusd.csv']
    """
    count = plan.days * DAY_MINUTES // plan.interval_minutes
    shared = np.random.default_rng([plan.seed, 0])
    volatility = _waves(shared, count, plan.interval_minutes)
    market = shared.standard_normal(count) * volatility
    is_up = _outages(shared, count)
    for place, symbol in enumerate(plan.symbols):
        random = np.random.default_rng([plan.seed, place + 1])
        candles = _make_candles(plan, random, place, (market, volatility, is_up))
        form = ("csv", "json")[place % 2] if plan.form == "in turn" else plan.form
        name = f"{symbol.lower()}.{form}"
        lines, truth = plant_faults(candles, form, plan.fault_share, random)
        yield SampleFile(
            name,
            join_lines(lines, form),
            candles,
            truth.select(pl.lit(name).alias("source"), "row", "raw", "reasons"),
        )


def _waves(random: np.random.Generator, count: int, interval_minutes: int) -> NDArray[np.float64]:
    """Return a volatility a step that swings over days and over hours."""
    steps = np.arange(count)
    log_volatility = np.full(count, np.log(6e-4 * np.sqrt(interval_minutes)))
    for hours, size in ((72, 0.5), (3, 0.35)):
        knots = np.arange(0, count + hours * 60, hours * 60)
        log_volatility += np.interp(steps, knots, random.standard_normal(len(knots)) * size)
    volatility: NDArray[np.float64] = np.exp(log_volatility)
    return volatility


def _outages(random: np.random.Generator, count: int) -> NDArray[np.bool_]:
    """Return the steps in which the exchange is up."""
    is_up = np.ones(count, bool)
    for start in random.integers(0, count, size=max(1, count // 30_000)):
        is_up[start : start + int(random.integers(120, 360))] = False
    return is_up


def _make_candles(
    plan: SamplePlan,
    random: np.random.Generator,
    place: int,
    shared: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]],
) -> pl.DataFrame:
    """Return one symbol's candles: the market some steps later, and a life of its own."""
    market, volatility, is_up = shared
    count = len(market)
    led = np.concatenate([np.zeros(place), market[: count - place]])
    following = np.concatenate([[0.0], led[:-1]])
    own = random.standard_normal(count) * volatility
    moves = 0.7 * led + 0.15 * following + 0.7 * own - 0.1 * np.concatenate([[0.0], own[:-1]])
    close = 10.0 ** (3.5 - 0.5 * (place % 7)) * np.exp(np.cumsum(moves))
    traded = is_up & (random.random(count) < _activity(plan, count, place))
    hole = int(random.integers(count // 4, 3 * count // 4))
    traded[hole : hole + count // 40] = False
    traded[0] = True
    steps = np.flatnonzero(traded)
    close, spread = close[steps], volatility[steps]
    open_ = np.concatenate([close[:1], close[:-1]]) * np.exp(random.standard_normal(len(steps)) * spread * 0.1)
    high = np.maximum(open_, close) * np.exp(np.abs(random.standard_normal(len(steps))) * spread * 0.4)
    low = np.minimum(open_, close) * np.exp(-np.abs(random.standard_normal(len(steps))) * spread * 0.4)
    volume = np.exp(random.standard_normal(len(steps)) + 2 + np.log1p(np.abs(moves[steps]) / spread))
    start = dt.datetime.combine(plan.start, dt.time(), dt.UTC)
    times = int(start.timestamp() * 1000) + steps * plan.interval_minutes * MINUTE_MS
    prices = {"open": open_, "high": high, "low": low, "close": close}
    # Five significant digits, as exchanges quote; rounding keeps the order of prices.
    columns = {name: pl.Series(values).round_sig_figs(5) for name, values in prices.items()} | {
        "volume": pl.Series(volume).round(8)
    }
    return pl.DataFrame({"open_time": pl.Series(times).cast(pl.Datetime("ms", "UTC")), **columns})


def _activity(plan: SamplePlan, count: int, place: int) -> NDArray[np.float64]:
    """Return the chance of a trade a step: less at night, less for later symbols."""
    minutes = np.arange(count) * plan.interval_minutes % DAY_MINUTES
    return np.clip(0.9 - 0.04 * place + 0.08 * np.sin(2 * np.pi * minutes / DAY_MINUTES), 0.05, 1.0)
