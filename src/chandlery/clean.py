"""Rows of a symbol's files to candles, rejects and ledger. Law 1: every row is accounted for."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from chandlery.config import to_minutes_text
from chandlery.errors import ChandleryError, LawError
from chandlery.schema import Candles, Ledger, Rejects
from chandlery.sources.files import FileRows, RawFile
from chandlery.sources.parse import NUMBERS
from chandlery.sources.rules import REASON_LIST

__all__ = ["ALGORITHM", "UNKNOWN", "Cleaned", "KeptFile", "refuse", "settle"]

ALGORITHM = 1
UNKNOWN = "UNKNOWN"


@dataclass(frozen=True)
class KeptFile:
    """A file that is gone from the source, or one that need not be read again, with what the lake holds of it.

    Args:
        ledger: Its one row of the ledger.
        candles: Its candles.
        rejects: Its rejects.
    """

    ledger: pl.DataFrame
    candles: pl.DataFrame
    rejects: pl.DataFrame


@dataclass(frozen=True)
class Cleaned:
    """One symbol's tables, with every column of the schema."""

    candles: pl.DataFrame
    rejects: pl.DataFrame
    ledger: pl.DataFrame


@dataclass(frozen=True)
class _Version:
    """A file's accepted rows in the contest for each time."""

    source: str
    modified_at: dt.datetime
    rows: pl.DataFrame
    read: FileRows | None
    kept: KeptFile | None


def settle(files: Sequence[FileRows], kept: Sequence[KeptFile] | None, exchange: str) -> Cleaned:
    """Return a symbol's candles, rejects and ledger: of each time one version stays.

    The version of the later-modified file stays, then that of the greater source, then the later row. Versions equal
    to it are counted as identical; others are superseded and stand in the rejects.

    Args:
        files: What was read, of one symbol.
        kept: Files that are gone from the source and not pruned.
        exchange: Its name.

    Raises:
        LawError: The rows of a file are not accounted for.
        StoreUnavailableError: A file changed while it was read.
    """
    versions = sorted([*map(_from_read, files), *map(_from_kept, kept or [])], key=lambda version: (version.modified_at, version.source))
    if not versions:
        return Cleaned(_empty(Candles), _empty(Rejects), _empty(Ledger))
    symbol = files[0].symbol if files else str(versions[0].kept.ledger["symbol"][0])  # type: ignore[union-attr]
    rows = versions[0].rows if len(versions) == 1 else pl.concat(version.rows.with_columns(file=pl.lit(place, pl.Int32)) for place, version in enumerate(versions))
    if len(versions) == 1:
        rows = rows.with_columns(file=pl.lit(0, pl.Int32))
    stays, identical, superseded = _contest(rows)
    interval = _find_interval(versions)
    names = pl.Series([version.source for version in versions])
    candles = stays.with_columns(source=names.gather(stays["file"]) if len(versions) > 1 else pl.lit(names[0]))
    candles = _complete(candles, Candles, exchange=exchange, symbol=symbol, interval=interval, year=pl.col("open_time").dt.year())
    beaten = {place: group for (place,), group in superseded.group_by("file")}
    rejects, ledger = [], []
    for place, version in enumerate(versions):
        mine = superseded.clear() if place not in beaten else beaten[place].sort("row")
        refused = _refusals(version, mine)
        rejects.append(refused)
        ledger.append(_account(version, refused.height - mine.height, mine.height, (stays, identical, place)))
    keys = {"exchange": exchange, "symbol": symbol}
    return Cleaned(
        candles,
        _complete(pl.concat(rejects), Rejects, **keys).sort("source", "row"),
        _complete(pl.DataFrame(ledger, schema={name: dtype for name, dtype in _types(Ledger).items() if name not in keys}), Ledger, **keys).sort("source"),
    )


def refuse(raw: RawFile, error: ChandleryError, exchange: str, symbol: str = UNKNOWN, sha256: str | None = None) -> pl.DataFrame:
    """Return the ledger's row of a file that was refused whole.

    Args:
        raw: The file.
        error: Why it was refused.
        exchange: Its name.
        symbol: Whose candles it would have held.
        sha256: Of its bytes, where they could be read.
    """
    row = {
        "source": raw.source, "status": "refused", "problem": str(error), "size_bytes": raw.size_bytes, "sha256": sha256,
        "modified_at": raw.modified_at, "layout": None, "first_time": None, "last_time": None, "rows_read": 0, "rows_kept": 0,
        "rows_identical": 0, "rows_superseded": 0, "rows_rejected": 0, "present": True,
    }  # fmt: skip
    types = {name: dtype for name, dtype in _types(Ledger).items() if name in row}
    return _complete(pl.DataFrame([row], schema=types), Ledger, exchange=exchange, symbol=symbol)


def _from_read(file: FileRows) -> _Version:
    return _Version(file.raw.source, file.raw.modified_at, file.rows, file, None)


def _from_kept(kept: KeptFile) -> _Version:
    """Return what is kept of a file as a version; its rows are numbered among those that no reject has."""
    account = kept.ledger.row(0, named=True)
    count = kept.candles.height
    taken = kept.rejects["row"].to_numpy()
    numbers = np.setdiff1d(np.arange(1, count + len(taken) + 1), taken)[:count]
    candles = kept.candles.sort("open_time").select(pl.Series("row", numbers, dtype=pl.Int64), "open_time", *NUMBERS)
    return _Version(account["source"], account["modified_at"], candles, None, kept)


def _contest(rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Return, of each time, the version that stays; those equal to it; and the others.

    **Reads** file (ascending rank), row, open_time and values.
    """
    times = rows["open_time"].to_physical().to_numpy()
    if len(times) < 2 or (times[1:] > times[:-1]).all():  # noqa: PLR2004 - one row has no rival
        return rows, rows.clear(), rows.clear()
    # One file's rows stand in their order already, and files in that of their rank: a stable sort by time is all.
    rows = rows.sort("open_time", maintain_order=True)
    times = rows["open_time"].to_physical().to_numpy()
    last = np.append(times[1:] != times[:-1], True)
    winners = np.flatnonzero(last)[np.cumsum(last) - last]
    values = rows.select(NUMBERS).to_numpy()
    same = (values == values[winners]).all(axis=1)
    return rows.filter(last), rows.filter(~last & same), rows.filter(~last & ~same)


def _find_interval(versions: Sequence[_Version]) -> str:
    for version in versions:
        if version.read is not None:
            return to_minutes_text(version.read.interval_minutes)
    kept = [version.kept.candles for version in versions if version.kept is not None and version.kept.candles.height]
    return str(kept[0]["interval"][0]) if kept else to_minutes_text(1)


def _refusals(version: _Version, superseded: pl.DataFrame) -> pl.DataFrame:
    """Return a file's rejects: those refused by themselves and those superseded."""
    if version.read is not None:
        texts = version.read.fetch_raw(superseded["row"])
        own = version.read.rejects
    else:
        # The file is gone: its text can only be given as it was parsed.
        texts = [",".join(map(str, row)) for row in superseded.select(pl.col("open_time").dt.to_string("iso:strict"), *NUMBERS).iter_rows()]
        own = version.kept.rejects.select("row", "raw", "open_time", "reasons")  # type: ignore[union-attr]
    reasons = pl.lit(pl.Series([["superseded"]], dtype=REASON_LIST)).first()
    lost = superseded.select("row", pl.Series("raw", texts, dtype=pl.String), "open_time", reasons.alias("reasons"))
    parts = [part.with_columns(pl.col("reasons").cast(REASON_LIST)) for part in (own, lost) if part.height]
    merged = pl.concat(parts) if parts else own.clear().with_columns(pl.col("reasons").cast(REASON_LIST))
    return merged.with_columns(source=pl.lit(version.source))


def _account(version: _Version, rejected: int, superseded: int, contest: tuple[pl.DataFrame, pl.DataFrame, int]) -> dict[str, Any]:
    """Return a file's row of the ledger.

    Raises:
        LawError: Its rows are not accounted for.
    """
    stays, identical, place = contest
    kept, same = (int((frame["file"] == place).sum()) for frame in (stays, identical))
    times = version.rows["open_time"]
    if version.read is not None:
        raw = version.read.raw
        row: dict[str, Any] = {
            "source": raw.source, "status": "read", "problem": None, "size_bytes": raw.size_bytes, "sha256": version.read.sha256,
            "modified_at": raw.modified_at, "layout": version.read.layout_words, "first_time": times.min(), "last_time": times.max(),
            "rows_read": version.read.rows_read, "present": True,
        }  # fmt: skip
    else:
        row = version.kept.ledger.row(0, named=True) | {"present": False}  # type: ignore[union-attr]
        before = int(row["rows_superseded"])
        same, superseded, rejected = same + int(row["rows_identical"]), superseded + before, rejected - before
    row |= {"rows_kept": kept, "rows_identical": same, "rows_superseded": superseded, "rows_rejected": rejected}
    if row["rows_read"] != kept + same + superseded + rejected:
        raise LawError(
            f"{version.source}: {row['rows_read']} rows read, {kept} kept, {same} identical, {superseded} superseded, {rejected} rejected",
            "every row accounted for",
            "report this as a bug, with the file",
        )
    return {name: row[name] for name in _types(Ledger) if name in row and name not in {"exchange", "symbol"}}


def _types(schema: type) -> dict[str, Any]:
    return {name: column.dtype for name, column in schema.columns().items()}  # type: ignore[attr-defined]


def _empty(schema: type) -> pl.DataFrame:
    return pl.DataFrame(schema=_types(schema))


def _complete(rows: pl.DataFrame, schema: type, **values: str | pl.Expr) -> pl.DataFrame:
    """Return rows with every column of a schema, in its order and types."""
    types = _types(schema)
    filled = rows.with_columns(**{name: pl.lit(value) if isinstance(value, str) else value for name, value in values.items()})
    return filled.select(pl.col(name).cast(dtype) for name, dtype in types.items())
