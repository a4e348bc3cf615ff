"""The rows of a symbol's files to candles, rejects and ledger, with every row accounted for.

Of the versions of one candle the one from the later-modified file stays, then the one of the greater
source, then the later row. Versions equal to it are identical; the others are superseded and stand in
the rejects with their exact text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from chandlery.errors import LawError
from chandlery.schema import REASONS, TIME
from chandlery.sources.files import FileRows, RawFile

__all__ = ["ALGORITHM", "Cleaned", "Refused", "settle"]

ALGORITHM = 1
PRICES = ("open", "high", "low", "close", "volume")
REJECTS: dict[str, Any] = {"source": pl.String, "row": pl.Int64, "raw": pl.String, "open_time": TIME, "reasons": pl.List(pl.String)}
LEDGER: dict[str, Any] = {
    "source": pl.String, "status": pl.String, "problem": pl.String, "size_bytes": pl.Int64, "sha256": pl.String,
    "modified_at": TIME, "layout": pl.String, "first_time": TIME, "last_time": TIME, "rows_read": pl.Int64,
    "rows_kept": pl.Int64, "rows_identical": pl.Int64, "rows_superseded": pl.Int64, "rows_rejected": pl.Int64, "present": pl.Boolean,
}  # fmt: skip


@dataclass(frozen=True)
class Refused:
    """A file that could not be read as candles.

    Args:
        raw: Which.
        problem: Why, and what to do.
    """

    raw: RawFile
    problem: str


@dataclass(frozen=True)
class Cleaned:
    """What a symbol's files come to.

    Args:
        candles: open_time, open, high, low, close, volume, source; ascending.
        rejects: source, row, raw, open_time, reasons; by source and row.
        ledger: One row a file.
    """

    candles: pl.DataFrame
    rejects: pl.DataFrame
    ledger: pl.DataFrame


def settle(files: Sequence[FileRows], refused: Sequence[Refused], interval_minutes: int) -> Cleaned:
    """Return the candles, rejects and ledger of files that share a symbol.

    Args:
        files: What was read.
        refused: What could not be.
        interval_minutes: The lake's grid.

    Raises:
        LawError: The rows of a file are not all accounted for.
    """
    files = sorted(files, key=lambda file: (file.raw.modified_at, file.raw.source))
    on_grid = [_judge_grid(file, interval_minutes) for file in files]
    candles, identical, superseded = _settle_versions([rows for rows, _ in on_grid])
    rejects, ledger = [], []
    for place, (file, (_, rejected)) in enumerate(zip(files, on_grid, strict=True)):
        lost = superseded.filter(pl.col("place") == place)
        counts = {
            "rows_kept": candles.filter(pl.col("place") == place).height if len(files) > 1 else candles.height,
            "rows_identical": identical.filter(pl.col("place") == place).height,
            "rows_superseded": lost.height,
            "rows_rejected": rejected.height,
        }
        rejects.append(_add_text(file, pl.concat([rejected, lost.select(rejected.columns)])))
        ledger.append(_account(file, counts))
    ledger += [_account_refused(item) for item in refused]
    names = pl.Series("source", [file.raw.source for file in files], pl.String)
    found = candles.with_columns(names.gather(candles["place"]).alias("source")) if files else candles.with_columns(source=pl.lit(""))
    return Cleaned(
        found.select("open_time", *PRICES, "source"),
        pl.concat([pl.DataFrame(schema=REJECTS), *rejects]).sort("source", "row"),
        pl.DataFrame(ledger, schema=LEDGER, orient="row").sort("source"),
    )


def _judge_grid(file: FileRows, interval_minutes: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split a file's rows into those on the grid and rejects; a reject off the grid has that reason too."""
    off = (pl.col("open_time").dt.epoch("ms") % (interval_minutes * 60_000) != 0).fill_null(value=False)
    rows, rejects = file.rows, file.rejects
    if rejects.height:
        late = pl.when(off).then(pl.concat_list("reasons", pl.lit("off_grid_time"))).otherwise("reasons")
        rejects = rejects.with_columns(late.alias("reasons"))
    strays = rows.filter(off)
    if strays.height:
        rows = rows.filter(~off)
        reason = pl.concat_list(pl.lit("off_grid_time")).alias("reasons")
        rejects = pl.concat([rejects, strays.select("row", "open_time", reason)])
    return rows, rejects


def _settle_versions(parts: list[pl.DataFrame]) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Return candles, identical and superseded rows; `place` is the place of a row's file, in the order of precedence."""
    columns = ["row", "open_time", *PRICES]
    placed = [rows.select(columns).with_columns(pl.lit(place, pl.UInt32).alias("place")) for place, rows in enumerate(parts)]
    schema: dict[str, Any] = {"row": pl.Int64, "open_time": TIME, **dict.fromkeys(PRICES, pl.Float64), "place": pl.UInt32}
    rows = pl.concat([pl.DataFrame(schema=schema), *placed])
    nothing = rows.clear().with_columns(pl.lit(None, pl.List(pl.String)).alias("reasons"))
    if bool(np.all(np.diff(rows["open_time"].dt.epoch("ms").to_numpy()) > 0)):  # the common case
        return rows, nothing, nothing
    rows = rows.sort("open_time", "place", "row")
    last = rows["open_time"] != rows["open_time"].shift(-1)
    winner = last.fill_null(value=True)
    candles, losers = rows.filter(winner), rows.filter(~winner)
    beside = losers.join(candles.select("open_time", *(pl.col(name).alias(f"{name}_stays") for name in PRICES)), on="open_time", how="left", maintain_order="left")
    equal = beside.select(pl.all_horizontal(pl.col(name) == pl.col(f"{name}_stays") for name in PRICES)).to_series()
    reasons = pl.concat_list(pl.lit("superseded")).alias("reasons")
    return candles, losers.filter(equal), losers.filter(~equal).with_columns(reasons)


def _add_text(file: FileRows, rejects: pl.DataFrame) -> pl.DataFrame:
    numbers = rejects["row"].to_list()
    texts = file.fetch(numbers) if numbers else {}
    order = {name: place for place, name in enumerate(REASONS)}
    reasons = [sorted(found, key=lambda name: order[name]) for found in rejects["reasons"].to_list()]
    return pl.DataFrame(
        {"source": [file.raw.source] * len(numbers), "row": numbers, "raw": [texts[number] for number in numbers], "open_time": rejects["open_time"], "reasons": reasons},
        schema=REJECTS,
    )


def _account(file: FileRows, counts: dict[str, int]) -> dict[str, object]:
    if file.rows_read != sum(counts.values()):
        raise LawError(f"{file.raw.source}: {file.rows_read:,} rows read and {counts}", "every row accounted for", "report this with the file: it is a fault of chandlery")
    return {
        "source": file.raw.source,
        "status": "read",
        "problem": None,
        "size_bytes": file.raw.size_bytes,
        "sha256": file.sha256,
        "modified_at": file.raw.modified_at,
        "layout": file.layout.words,
        "first_time": file.rows["open_time"].min(),
        "last_time": file.rows["open_time"].max(),
        "rows_read": file.rows_read,
        **counts,
        "present": True,
    }


def _account_refused(refused: Refused) -> dict[str, object]:
    nothing = dict.fromkeys(("rows_read", "rows_kept", "rows_identical", "rows_superseded", "rows_rejected"), 0)
    raw = refused.raw
    return {"source": raw.source, "status": "refused", "problem": refused.problem, "size_bytes": raw.size_bytes, "modified_at": raw.modified_at, **nothing, "present": True}
