"""Candles, rejects and ledger from the rows of a symbol's files: every row read is accounted for."""

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from chandlery.candles.fills import is_flat
from chandlery.errors import ChandleryError, LawError
from chandlery.schema import TIME, Candles, Ledger, Rejects
from chandlery.sources.decisions import encode, name_decisions
from chandlery.sources.files import FileRows, RawFile
from chandlery.sources.local_times import name_local
from chandlery.sources.parse import NUMBERS
from chandlery.sources.rows import MonthRows
from chandlery.sources.rules import REASON_LIST

__all__ = ["KeptFile", "Settling", "refuse"]

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
REFUSED_SUCCESSOR = ("refused_etag", "refused_sha256", "refused_modified_at", "undecided")
NO_REJECTS = pl.DataFrame(
    schema={"row": pl.Int64, "raw": pl.String, "open_time": TIME, "reasons": REASON_LIST, "source": pl.String}
)
COUNTS = ("rows_read", "rows_kept", "rows_identical", "rows_superseded", "rows_rejected")


@dataclass(frozen=True)
class KeptFile:
    """A version in force that is not read again.

    Its file is gone, a newer version of it was refused, or it was read under other settings and is held back.

    Args:
        ledger: Its one row of the ledger.
        candles: Its candles.
        rejects: Its rejects.
        outranked: Its rows that are not in the table, since another version of their candle outranks or equals them:
            row, open_time and values. None if they are not known; they then stay as they were settled.
        present: Whether a file of its name is in the source.
    """

    ledger: pl.DataFrame
    candles: pl.DataFrame
    rejects: pl.DataFrame
    outranked: pl.DataFrame | None = None
    present: bool = False

    @property
    def all_outranked(self) -> pl.DataFrame | None:
        """The outranked rows; None unless there are as many as the ledger has."""
        account = self.ledger.row(0, named=True)
        count = account["rows_identical"] + account["rows_superseded"]
        return self.outranked if self.outranked is not None and self.outranked.height == count else None


@dataclass(frozen=True)
class _Version:
    """A file's accepted rows, and what they come from: a file that was read, or a kept one."""

    source: str
    modified_at: dt.datetime
    rows: MonthRows
    read: FileRows | None
    kept: KeptFile | None


class Settling:
    """Settles which version of each candle of a symbol enters the table, and accounts for all others.

    The version of the file that was modified last is chosen; of several, that of the greater source, then the later
    row. Versions equal to it are counted as identical; others are superseded and enter the rejects.

    Args:
        files: The rows of the files that were read, of one symbol.
        kept: Versions of other files that are in force.
        keys: Exchange, interval and symbol, which all of them share.
        by_month: Settle a month at a time, because a year has too many rows.
    """

    def __init__(
        self, files: Sequence[FileRows], kept: Sequence[KeptFile], keys: Mapping[str, str], *, by_month: bool = False
    ) -> None:
        self._versions = sorted(
            [*map(_from_read, files), *map(_from_kept, kept)], key=lambda version: (version.modified_at, version.source)
        )
        self._by_month = by_month
        self._keys = keys
        self._places: dict[int, list[int]] = {}  # by month: the positions of the versions that have rows in it
        for place, version in enumerate(self._versions):
            for month in version.rows.months:
                self._places.setdefault(month, []).append(place)
        self._stay, self._identical = (np.zeros(len(self._versions), np.int64) for _ in range(2))
        self._flat: dict[tuple[int, int], list[int]] = {}  # by version and year: flat candles, and others
        self._superseded: dict[int, list[pl.DataFrame]] = {}
        self._equal: dict[int, list[pl.DataFrame]] = {}

    def settle_year(self, year: int) -> Iterator[pl.DataFrame]:
        """Yield a year's candles, ascending, in one frame or a frame for each month; call it once for each year."""
        months = [month for month in sorted(self._places) if 1970 + month // 12 == year]
        for stretch in [[month] for month in months] if self._by_month else [months] if months else []:
            yield self._settle(stretch)

    def _settle(self, months: list[int]) -> pl.DataFrame:
        places = sorted({place for month in months for place in self._places[month]})
        parts = []
        for place in places:
            version = self._versions[place]
            own = set(version.rows.months).intersection(months) if len(months) > 1 else months
            parts.append(version.rows.take(sorted(own)).with_columns(file=pl.lit(place, pl.Int32)))
        stays, identical, superseded = _contest(parts[0] if len(parts) == 1 else pl.concat(parts))
        self._stay += np.bincount(stays["file"].to_numpy(), minlength=self._stay.size)
        self._count_flat(stays, 1970 + months[0] // 12)
        self._identical += np.bincount(identical["file"].to_numpy(), minlength=self._stay.size)
        for parts_of, rows in ((self._superseded, superseded), (self._equal, identical)):
            for (place,), group in rows.group_by("file"):
                parts_of.setdefault(int(place), []).append(group)
        names = pl.Series([version.source for version in self._versions])
        named = stays.with_columns(source=names.gather(stays["file"]) if len(places) > 1 else pl.lit(names[places[0]]))
        return _complete(named, Candles, **self._keys, year=pl.col("open_time").dt.year())

    def _count_flat(self, stays: pl.DataFrame, year: int) -> None:
        counts = stays.group_by("file").agg(flat=is_flat().sum(), rows=pl.len())
        for place, flat, rows in counts.iter_rows():
            seen = self._flat.setdefault((place, year), [0, 0])
            seen[0] += flat
            seen[1] += rows - flat

    def _count_filled(self) -> Counter[int]:
        """Return how many candles of each version were filled in: the flat ones of years in which it has others."""
        filled: Counter[int] = Counter()
        for (place, _), (flat, others) in self._flat.items():
            filled[place] += flat if others else 0
        return filled

    def list_outranked(self) -> Iterator[tuple[str, pl.DataFrame]]:
        """Yield the source and the rows of every file with rows that are not in the table.

        Returns:
            row, open_time and values, by row.
        """
        for place, version in enumerate(self._versions):
            if parts := self._superseded.get(place, []) + self._equal.get(place, []):
                yield version.source, pl.concat(parts).select("row", "open_time", *NUMBERS).sort("row")

    def account(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Return the rejects and the ledger; call it after every year is settled.

        Raises:
            LawError: The rows of a file are not accounted for.
            StoreUnavailableError: A file changed while it was read.
        """
        if not self._versions:
            return _empty(Rejects), _empty(Ledger)
        rejects, ledger, filled = [], [], self._count_filled()
        for place, version in enumerate(self._versions):
            parts = self._superseded.get(place)
            superseded = _no_rows() if parts is None else pl.concat(parts).sort("row")
            rejected = _list_rejects(version, superseded)
            rejects.append(rejected)
            counts = (superseded.height, rejected.height - superseded.height)
            account = _account(version, (int(self._stay[place]), int(self._identical[place]), *counts), self._keys)
            ledger.append(account | {"rows_filled": filled[place]})
        types = {name: dtype for name, dtype in _types(Ledger).items() if name not in self._keys}
        accounts = _complete(pl.DataFrame(ledger, schema=types), Ledger, **self._keys)
        return _complete(pl.concat(rejects), Rejects, **self._keys).sort("source", "row"), accounts.sort("source")


def refuse(raw: RawFile, error: ChandleryError, keys: Mapping[str, str], sha256: str | None = None) -> pl.DataFrame:
    """Return the ledger's row of a file that was refused whole.

    Args:
        raw: The file.
        error: Why it was refused.
        keys: Exchange, interval and symbol of the ledger that it enters.
        sha256: Of its bytes, if they could be read.
    """
    row = {
        **dict.fromkeys(_types(Ledger)),
        **dict.fromkeys(COUNTS, 0),
        "source": raw.source,
        "status": "refused",
        "problem": str(error),
        "undecided": getattr(error, "decision", None),
        "decisions": encode(local) if (local := name_local(error)) else None,
        "size_bytes": raw.size_bytes,
        "etag": raw.etag,
        "sha256": sha256,
        "modified_at": raw.modified_at,
        "present": True,
    }
    types = {name: dtype for name, dtype in _types(Ledger).items() if name not in keys}
    return _complete(pl.DataFrame([row], schema=types), Ledger, **keys)


def _from_read(file: FileRows) -> _Version:
    return _Version(file.raw.source, file.raw.modified_at, file.accepted, file, None)


def _from_kept(kept: KeptFile) -> _Version:
    """Return a kept file as a version.

    The table does not have the row numbers of its candles: they get those that no reject and no outranked row has.
    """
    account = kept.ledger.row(0, named=True)
    count = kept.candles.height
    outranked = _no_rows() if kept.all_outranked is None else kept.all_outranked
    taken = np.union1d(kept.rejects["row"].to_numpy(), outranked["row"].to_numpy())
    numbers = np.setdiff1d(np.arange(1, count + len(taken) + 1), taken)[:count]
    candles = kept.candles.sort("open_time").select(pl.Series("row", numbers, dtype=pl.Int64), "open_time", *NUMBERS)
    rows = MonthRows()
    # Candles last: of several rows of one file for one candle the last one counts, and it was settled to be these.
    rows.add(pl.concat([outranked.select(candles.columns), candles]))
    return _Version(account["source"], account["modified_at"], rows, None, kept)


def _contest(rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Return the chosen version of each time, the versions equal to it, and the others.

    Reads:
        file (ascending rank), row, open_time and values.
    """
    times = rows["open_time"].to_physical().to_numpy()
    if len(times) < 2 or (times[1:] > times[:-1]).all():  # noqa: PLR2004 - a single row is chosen as it is
        return rows, rows.clear(), rows.clear()
    # Files come in the order of their rank and rows in that of their file: a stable sort by time keeps both orders.
    rows = rows.sort("open_time", maintain_order=True)
    times = rows["open_time"].to_physical().to_numpy()
    last = np.append(times[1:] != times[:-1], True)
    winners = np.flatnonzero(last)[np.cumsum(last) - last]
    values = rows.select(NUMBERS).to_numpy()
    same = (values == values[winners]).all(axis=1)
    return rows.filter(last), rows.filter(~last & same), rows.filter(~last & ~same)


def _list_rejects(version: _Version, superseded: pl.DataFrame) -> pl.DataFrame:
    """Return a file's rejects: the rows that break a rule, and those that are superseded."""
    if version.read is not None:
        texts = version.read.fetch_raw(superseded["row"])
        faulty = version.read.rejects
    else:
        kept = version.kept
        assert kept is not None  # noqa: S101 - a version was read or is kept
        faulty = kept.rejects.select("row", "raw", "open_time", "reasons")
        texts = _find_texts(superseded, faulty)
        if kept.all_outranked is not None:  # all superseded rows were settled again
            faulty = faulty.filter(~pl.col("reasons").cast(pl.List(pl.String)).list.contains("superseded"))
    if superseded.is_empty() and faulty.is_empty():
        return NO_REJECTS
    raw, reasons = pl.Series("raw", texts, dtype=pl.String), pl.lit(pl.Series([["superseded"]], dtype=REASON_LIST))
    settled = superseded.select("row", raw, "open_time", reasons.first().alias("reasons"))
    parts = [part.with_columns(pl.col("reasons").cast(REASON_LIST)) for part in (faulty, settled) if part.height]
    merged = pl.concat(parts) if parts else faulty.clear().with_columns(pl.col("reasons").cast(REASON_LIST))
    return merged.with_columns(source=pl.lit(version.source))


def _find_texts(superseded: pl.DataFrame, rejects: pl.DataFrame) -> list[str]:
    """Return the text of rows whose file cannot be read: from its stored rejects, else composed of the values."""
    exact = dict(rejects.select("row", "raw").iter_rows())
    parsed = superseded.select("row", pl.col("open_time").dt.to_string("iso:strict"), *NUMBERS)
    return [exact.get(row, ",".join(map(str, values))) for row, *values in parsed.iter_rows()]


def _account(version: _Version, counts: tuple[int, int, int, int], keys: Mapping[str, str]) -> dict[str, Any]:
    """Return a file's row of the ledger.

    Args:
        version: The file.
        counts: Of its rows: kept, identical, superseded, rejected.
        keys: Exchange, interval and symbol.

    Raises:
        LawError: Its rows are not accounted for.
    """
    kept, same, superseded, rejected = counts
    if version.read is not None:
        raw = version.read.raw
        row: dict[str, Any] = {
            **dict.fromkeys(REFUSED_SUCCESSOR),
            "source": raw.source,
            "status": "read",
            "problem": None,
            "size_bytes": raw.size_bytes,
            "etag": raw.etag,
            "sha256": version.read.sha256,
            "modified_at": raw.modified_at,
            "layout": version.read.layout_words,
            "decisions": encode(name_decisions(version.read.decisions, keys["symbol"])),
            "first_time": _moment(version.rows.first_ms),
            "last_time": _moment(version.rows.last_ms),
            "rows_read": version.read.rows_read,
            "present": True,
        }
    else:
        assert version.kept is not None  # noqa: S101 - a version was read or is kept
        row = version.kept.ledger.row(0, named=True) | {"present": version.kept.present}
        if version.kept.all_outranked is None:  # its outranked rows were not settled again: their counts stay
            before = int(row["rows_superseded"])
            same, superseded, rejected = same + int(row["rows_identical"]), superseded + before, rejected - before
    row |= {"rows_kept": kept, "rows_identical": same, "rows_superseded": superseded, "rows_rejected": rejected}
    if row["rows_read"] != kept + same + superseded + rejected:
        hint = "report this as a bug, with the file"
        if version.kept is not None:
            found = "candles of it are missing from the lake, and it cannot be read again"
            hint = f"{found}: upload it again, or remove it and run with --prune"
        counted = f"{kept} kept, {same} identical, {superseded} superseded, {rejected} rejected"
        found = f"{version.source}: {row['rows_read']} rows read, {counted}"
        raise LawError(found, "every row accounted for", hint)
    return {name: row[name] for name in _types(Ledger) if name in row and name not in keys}


def _moment(ms: int | None) -> dt.datetime | None:
    return None if ms is None else EPOCH + dt.timedelta(milliseconds=ms)


def _no_rows() -> pl.DataFrame:
    return pl.DataFrame(schema={"row": pl.Int64, "open_time": TIME, **dict.fromkeys(NUMBERS, pl.Float64)})


def _types(schema: type) -> dict[str, Any]:
    return {name: column.dtype for name, column in schema.columns().items()}  # type: ignore[attr-defined]


def _empty(schema: type) -> pl.DataFrame:
    return pl.DataFrame(schema=_types(schema))


def _complete(rows: pl.DataFrame, schema: type, **values: str | pl.Expr) -> pl.DataFrame:
    """Return rows with every column of a schema, in its order and types."""
    types = _types(schema)
    filled = rows.with_columns(
        **{name: pl.lit(value) if isinstance(value, str) else value for name, value in values.items()}
    )
    return filled.select(pl.col(name).cast(dtype) for name, dtype in types.items())
