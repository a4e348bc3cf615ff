"""Faults planted into made-up candles, each with the reasons for which it must come back.

Every fault is a row of its own beside the true ones, so that exactly the true candles come out.
"""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import polars as pl

__all__ = ["FAULTS", "join_lines", "plant_faults"]

Form = Literal["csv", "json"]
FIELDS = ("time", "open", "close", "high", "low", "volume")
TOKENS: Mapping[Form, Mapping[str, str]] = {
    "csv": {"word": "abc", "nothing": "", "nan": "nan", "infinity": "inf"},
    "json": {"word": '"abc"', "nothing": "null", "nan": "NaN", "infinity": "Infinity"},
}
YEAR_2001_MS, YEAR_2090_MS = 978_307_200_000, 3_786_912_000_000

# Name of the fault → the reasons for which it must come back; an identical row is no fault and must not come back.
FAULTS: Mapping[str, tuple[str, ...]] = {
    "word_as_price": ("unparseable",),
    "word_as_time": ("unparseable",),
    "cut_row": ("unparseable",),
    "long_row": ("unparseable",),
    "no_price": ("missing_value",),
    "no_time": ("missing_value",),
    "nan_price": ("non_finite",),
    "infinite_volume": ("non_finite",),
    "zero_price": ("non_positive_price",),
    "negative_volume": ("negative_volume",),
    "low_high": ("high_below_body",),
    "high_low": ("low_above_body",),
    "crossed": ("high_below_body", "low_above_body"),
    "between_times": ("off_grid_time",),
    "past": ("time_out_of_range",),
    "future": ("time_out_of_range",),
    "all_at_once": ("unparseable", "missing_value", "negative_volume", "off_grid_time", "time_out_of_range"),
    "other_version": ("superseded",),
    "identical": (),
    "disorder": (),
}
CSV_ONLY = {"cut_row", "long_row"}


def plant_faults(
    candles: pl.DataFrame, form: Form, share: float, random: np.random.Generator
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the lines of a file with planted faults, and the rejects that reading it must give.

    Returns:
        The lines; and row, raw and reasons of each line that must be refused.

    Args:
        candles: The true candles.
        form: CSV or JSON.
        share: Planted rows a true row.
        random: Where chance comes from.
    """
    true = candles.select(
        key=pl.int_range(pl.len()).cast(pl.Float64),
        fault=pl.lit(""),
        time=pl.col("open_time").dt.epoch("ms"),
        **{name: pl.col(name) for name in FIELDS[1:]},
    )
    faults = [name for name in FAULTS if form == "csv" or name not in CSV_ONLY]
    count = max(len(faults), round(share * true.height)) if share > 0 else 0
    places = random.choice(true.height, size=min(count, true.height), replace=False)
    kinds = np.array([faults[number % len(faults)] for number in range(len(places))], dtype=object)
    true = true.with_columns(key=_disorder(true["key"].to_numpy(), places[kinds == "disorder"]))
    planted = true[places[kinds != "disorder"]].with_columns(
        fault=pl.Series(kinds[kinds != "disorder"].tolist(), dtype=pl.String)
    )
    lines = pl.concat([_to_lines(true, form), _to_lines(_damage(planted), form)])
    lines = lines.sort("key", maintain_order=True).with_columns(row=pl.int_range(1, pl.len() + 1, dtype=pl.Int64))
    reasons = pl.DataFrame(
        {"fault": list(FAULTS), "reasons": [list(reasons) for reasons in FAULTS.values()]},
        schema_overrides={"reasons": pl.List(pl.String)},
    )
    truth = (
        lines.filter(pl.col("fault") != "")
        .join(reasons, on="fault", maintain_order="left")
        .filter(pl.col("reasons").list.len() > 0)
    )
    return lines.select("line"), truth.select("row", pl.col("line").alias("raw"), "reasons")


def _disorder(keys: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Move some rows fifty rows down."""
    keys = keys.copy()
    keys[places] += 50.25
    return keys


def _damage(rows: pl.DataFrame) -> pl.DataFrame:
    """Return copies of true rows with what is wrong by number; each stands after its row, another version before it."""
    fault, body_high, body_low = pl.col("fault"), pl.max_horizontal("open", "close"), pl.min_horizontal("open", "close")
    return rows.with_columns(
        key=pl.col("key") + pl.when(fault == "other_version").then(-0.5).otherwise(0.5),
        time=pl.when(fault == "between_times").then(pl.col("time") + 17_000)
        .when(fault == "past").then(YEAR_2001_MS)
        .when(fault == "future").then(YEAR_2090_MS)
        .when(fault == "all_at_once").then(YEAR_2090_MS + 1)
        .otherwise("time"),
        high=pl.when(fault == "low_high").then(body_high * 0.99)
        .when(fault == "high_low").then(body_high * 1.02)
        .when(fault == "crossed").then(body_low * 0.98)
        .when(fault == "other_version").then(body_high * 1.5)
        .otherwise("high"),
        low=pl.when(fault == "low_high").then(body_low * 0.98)
        .when(fault == "high_low").then(body_low * 1.01)
        .when(fault == "crossed").then(body_high * 1.02)
        .when(fault == "zero_price").then(0.0)
        .otherwise("low"),
        volume=pl.when(fault.is_in(["negative_volume", "all_at_once"])).then(-1.0).otherwise("volume"),
    )  # fmt: skip


def _to_lines(rows: pl.DataFrame, form: Form) -> pl.DataFrame:
    """Return rows as lines of text, with what is wrong by text."""
    words = {
        ("open", "word"): ["word_as_price", "all_at_once"], ("time", "word"): ["word_as_time"],
        ("close", "nothing"): ["no_price", "all_at_once"], ("time", "nothing"): ["no_time"],
        ("close", "nan"): ["nan_price"], ("volume", "infinity"): ["infinite_volume"],
    }  # fmt: skip
    texts = {name: pl.col(name).cast(pl.String) for name in FIELDS}
    for (name, token), faults in words.items():
        texts[name] = pl.when(pl.col("fault").is_in(faults)).then(pl.lit(TOKENS[form][token])).otherwise(texts[name])
    if form == "csv":
        whole = pl.concat_str([texts[name] for name in FIELDS], separator=",")
        short = pl.concat_str([texts[name] for name in FIELDS[:4]], separator=",")
        line = (
            pl.when(pl.col("fault") == "cut_row")
            .then(short)
            .when(pl.col("fault") == "long_row")
            .then(whole + ",1")
            .otherwise(whole)
        )
    else:
        named = [pl.lit(f'"{name}": ') + texts[name] for name in FIELDS]
        line = pl.lit("{") + pl.concat_str(named, separator=", ") + pl.lit("}")
    return rows.select("key", "fault", line.alias("line"))


def join_lines(lines: pl.DataFrame, form: Form) -> bytes:
    """Return lines as a file: CSV with a header, or `{"results": […]}`."""
    if form == "csv":
        return (",".join(FIELDS) + "\n" + "\n".join(lines["line"].to_list()) + "\n").encode()
    return ('{"results": [' + ",".join(lines["line"].to_list()) + "]}").encode()
